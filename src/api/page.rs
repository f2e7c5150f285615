//! Pages of lists. An iterator is the last entry's id; with `-` in front of the first entry's id it goes back.

use super::problem::Problem;
use crate::{
    flow::Engine,
    model::{Kind, Record},
    store::{ListPage, StoreError, Window},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Entries of a page when nothing is said.
pub const DEFAULT_LIMIT: usize = 50;
/// Entries of a page at most.
pub const MAX_LIMIT: usize = 250;

/// Stands in iterators before an id that starts with `-` itself, as an event type's name may; no id starts with it.
const GUARD: char = '+';

/// Defines the ordering in a listing of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ordering {
    /// Lowest first.
    Ascending,
    /// Highest first.
    Descending,
}

/// What a request says about its page. Lists that have no order of their own to choose take [`PageQuery`] without it.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Limit the number of returned items
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u64>,
    /// The iterator returned from a prior invocation
    pub iterator: Option<String>,
    /// The sorting order of the returned items
    #[param(inline = false)]
    pub order: Option<Ordering>,
}

/// As [`PageQuery`], for lists with one order.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FixedPageQuery {
    /// Limit the number of returned items
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u64>,
    /// The iterator returned from a prior invocation
    pub iterator: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListResponse<T> {
    /// The entries.
    pub data: Vec<T>,
    /// Where the next page starts. Always there, also on the last page: kept, it finds what is added later.
    #[schema(required, example = "iterator")]
    pub iterator: Option<String>,
    /// Where the previous page starts.
    #[schema(example = "-iterator")]
    pub prev_iterator: Option<String>,
    /// Whether nothing follows in the direction of this request.
    pub done: bool,
}

/// A page that was asked for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries at most.
    pub limit: usize,
    descending: bool,
    cursor: Option<Cursor>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    id: String,
    back: bool,
}

impl PageQuery {
    /// Checks it.
    ///
    /// # Errors
    /// 422 for a limit outside 1 to [`MAX_LIMIT`], or an iterator that `valid` does not take.
    pub fn check(&self, default: Ordering, valid: impl Fn(&str) -> bool) -> Result<Page, Problem> {
        let order = self.order.unwrap_or(default);
        Page::new(self.limit, self.iterator.as_deref(), order, valid)
    }
}

impl FixedPageQuery {
    /// Checks it.
    ///
    /// # Errors
    /// As [`PageQuery::check`].
    pub fn check(&self, order: Ordering, valid: impl Fn(&str) -> bool) -> Result<Page, Problem> {
        Page::new(self.limit, self.iterator.as_deref(), order, valid)
    }
}

impl Page {
    fn new(limit: Option<u64>, iterator: Option<&str>, order: Ordering, valid: impl Fn(&str) -> bool) -> Result<Self, Problem> {
        let limit = match limit.map(usize::try_from) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit @ 1..=MAX_LIMIT)) => limit,
            Some(_) => {
                return Err(Problem::field(&["query", "limit"], "range", format!("The limit is from 1 to {MAX_LIMIT}.")));
            }
        };
        let cursor = iterator.filter(|text| !text.is_empty()).map(|text| {
            let (id, back) = text.strip_prefix('-').map_or((text, false), |id| (id, true));
            let id = id.strip_prefix(GUARD).unwrap_or(id);
            let refused = || Problem::field(&["query", "iterator"], "iterator", "This is not an iterator of this list.");
            valid(id).then(|| Cursor { id: id.to_owned(), back }).ok_or_else(refused)
        });
        Ok(Page { limit, descending: order == Ordering::Descending, cursor: cursor.transpose()? })
    }

    fn back(&self) -> bool {
        self.cursor.as_ref().is_some_and(|c| c.back)
    }

    /// Whether rows are read from high to low.
    #[must_use]
    pub fn reads_down(&self) -> bool {
        self.descending != self.back()
    }

    /// The id that the iterator names.
    #[must_use]
    pub fn after(&self) -> Option<&str> {
        self.cursor.as_ref().map(|c| c.id.as_str())
    }

    /// The window of a time-ordered list that holds this page and one row more, within exclusive bounds. `number` reads
    /// the iterator's id.
    #[must_use]
    pub fn window(&self, above: u128, below: u128, number: impl Fn(&str) -> Option<u128>) -> Window {
        let down = self.reads_down();
        let mut window = Window { above, below, newest_first: down, limit: self.limit + 1 };
        match self.after().and_then(number) {
            Some(at) if down => window.below = below.min(at),
            Some(at) => window.above = above.max(at),
            None => {}
        }
        window
    }

    /// The answer, from rows in the order they were read: at most `limit` of them and, when there are more, at least one
    /// beyond.
    pub fn answer<R, T>(&self, mut rows: Vec<R>, id: impl Fn(&R) -> String, mut out: impl FnMut(R) -> T) -> ListResponse<T> {
        let done = rows.len() <= self.limit;
        rows.truncate(self.limit);
        if self.back() {
            rows.reverse();
        }
        let repeated = || self.cursor.as_ref().map(|c| c.id.clone());
        let iterator = rows.last().map(&id).or_else(repeated).map(guarded);
        let prev_iterator = rows.first().map(&id).or_else(repeated).map(|id| format!("-{}", guarded(id)));
        ListResponse { data: rows.into_iter().map(&mut out).collect(), iterator, prev_iterator, done }
    }

    /// Reads records for [`Page::answer`]: those that `keep` keeps, until there is one more than the limit.
    ///
    /// # Errors
    /// The store is away or damaged.
    pub async fn records<R>(
        &self,
        engine: &Engine,
        kind: Kind,
        scope: &str,
        keep: impl Fn(Record) -> Option<R>,
    ) -> Result<Vec<R>, StoreError> {
        let now = engine.clock.now();
        let mut rows = Vec::new();
        let mut after = self.after().map(str::to_owned);
        loop {
            let wanted = self.limit + 1;
            let page = ListPage { after: after.as_deref(), backwards: self.reads_down(), limit: wanted };
            let found = engine.store.list(kind, scope, page, now).await?;
            let last = found.len() < wanted;
            after = found.last().map(|stored| stored.record.address().key);
            rows.extend(found.into_iter().filter_map(|stored| keep(stored.record)));
            if last || rows.len() > self.limit {
                return Ok(rows);
            }
        }
    }
}

/// The id as an iterator shows it.
fn guarded(id: String) -> String {
    if id.starts_with('-') { format!("{GUARD}{id}") } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: Option<u64>, iterator: Option<&str>, order: Ordering) -> Result<Page, Problem> {
        let query = PageQuery { limit, iterator: iterator.map(str::to_owned), order: Some(order) };
        query.check(Ordering::Ascending, |id| id.parse::<u128>().is_ok())
    }

    /// What a store that holds 1 to 7 answers.
    fn ask(iterator: Option<&str>, order: Ordering) -> ListResponse<u128> {
        let page = page(Some(3), iterator, order).unwrap();
        let window = page.window(0, u128::MAX, |id| id.parse().ok());
        let mut rows: Vec<u128> = (1..=7).filter(|n| *n > window.above && *n < window.below).collect();
        if window.newest_first {
            rows.reverse();
        }
        rows.truncate(window.limit);
        page.answer(rows, ToString::to_string, |n| n)
    }

    #[test]
    fn pages_go_forward_and_back() {
        let first = ask(None, Ordering::Descending);
        assert_eq!((first.data, first.iterator.as_deref(), first.done), (vec![7, 6, 5], Some("5"), false));
        let second = ask(Some("5"), Ordering::Descending);
        assert_eq!((second.data, second.prev_iterator.as_deref()), (vec![4, 3, 2], Some("-4")));
        let last = ask(Some("2"), Ordering::Descending);
        assert_eq!((last.data, last.done), (vec![1], true));
        let back = ask(Some("-4"), Ordering::Descending);
        assert_eq!((back.data, back.iterator.as_deref(), back.done), (vec![7, 6, 5], Some("5"), true));
        assert_eq!(ask(Some("3"), Ordering::Ascending).data, [4, 5, 6]);
        let back = ask(Some("-6"), Ordering::Ascending);
        assert_eq!((back.data, back.done), (vec![3, 4, 5], false));
    }

    #[test]
    fn an_empty_page_repeats_its_iterator() {
        let empty = ask(Some("7"), Ordering::Ascending);
        assert_eq!((empty.data, empty.iterator.as_deref(), empty.done), (vec![], Some("7"), true));
        let text = serde_json::to_value(ask(Some("7"), Ordering::Ascending)).unwrap();
        assert_eq!(text["prevIterator"], "-7");
        let nothing = page(None, None, Ordering::Ascending).unwrap().answer(Vec::<u8>::new(), ToString::to_string, |n| n);
        assert!(serde_json::to_value(nothing).unwrap()["iterator"].is_null());
    }

    #[test]
    fn ids_that_start_with_a_dash_are_no_way_back() {
        let check = |iterator: &str| {
            let query = PageQuery { iterator: Some(iterator.into()), ..PageQuery::default() };
            query.check(Ordering::Ascending, |id| id == "-x").unwrap()
        };
        let answer = check("+-x").answer(vec!["-x"], ToString::to_string, |id| id);
        assert_eq!((answer.iterator.as_deref(), answer.prev_iterator.as_deref()), (Some("+-x"), Some("-+-x")));
        assert!(!check("+-x").reads_down() && check("-+-x").reads_down());
        assert_eq!(check("-+-x").after(), Some("-x"));
    }

    #[test]
    fn bad_pages_are_refused_by_name() {
        for (limit, iterator, name) in
            [(Some(0), None, "limit"), (Some(251), None, "limit"), (None, Some("x"), "iterator"), (None, Some("-"), "iterator")]
        {
            let Err(Problem::Invalid(items)) = page(limit, iterator, Ordering::Ascending) else { panic!("{name}") };
            assert_eq!(items[0].loc, ["query", name]);
        }
        assert_eq!(page(Some(250), None, Ordering::Ascending).unwrap().limit, 250);
    }
}
