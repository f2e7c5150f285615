//! Any text as the iterator of a page, and as the id of an entry: an iterator that is answered leads on from its entry, and the
//! other one back to it.

use postrider::{
    api::page::{MAX_LIMIT, Ordering, Page, PageQuery},
    model::MsgId,
};

fn page(choice: u8, iterator: &str, valid: impl Fn(&str) -> bool) -> Option<Page> {
    let order = if choice & 1 == 0 { Ordering::Ascending } else { Ordering::Descending };
    let limit = Some(u64::from(choice)).filter(|limit| *limit > 0);
    let query = PageQuery { limit, iterator: Some(iterator.to_owned()), order: Some(order) };
    query.check(Ordering::Ascending, valid).ok()
}

pub fn run(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Some(asked) = page(*choice, text, |id| id.parse::<MsgId>().is_ok()) {
        let window = asked.window(3, u128::MAX - 3, |id| id.parse::<MsgId>().ok().map(|id| id.0));
        assert!(window.above >= 3 && window.below <= u128::MAX - 3 && window.limit <= MAX_LIMIT + 1);
        assert_eq!(window.newest_first, asked.reads_down());
    }
    // As the id of an entry, which may start with a dash; none starts with the guard.
    if text.is_empty() || text.starts_with('+') {
        return;
    }
    let Some(first) = page(*choice, "", |_| true) else { return };
    let answer = first.answer(vec![text.to_owned()], Clone::clone, |id| id);
    let on = page(*choice, &answer.iterator.unwrap(), |id| id == text).unwrap();
    let back = page(*choice, &answer.prev_iterator.unwrap(), |id| id == text).unwrap();
    assert_eq!((on.after(), back.after()), (Some(text), Some(text)));
    assert!(on.reads_down() == first.reads_down() && back.reads_down() != first.reads_down());
}
