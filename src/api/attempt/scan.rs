//! Reading a filtered page: rows come in chunks, most may be filtered out, and the work of one request is bounded.

use crate::{
    api::{
        page::{FixedPageQuery, ListResponse, Ordering, Page},
        problem::Problem,
    },
    store::Window,
};
use std::{str::FromStr, time::Duration};
use tokio::time::Instant;

/// Rows that one request looks at; what lies beyond is for the next page.
const ROW_BUDGET: usize = 10_000;
/// Bytes of content that one request reads before it stops early: large payloads would fill the memory.
const BYTE_BUDGET: usize = 8 * 1024 * 1024;
/// How long one request goes on looking at rows: some of them cost a round trip to the store.
const PATIENCE: Duration = Duration::from_millis(100);
/// Rows fetched at once, at most.
const CHUNK: usize = 64;
/// Rows fetched before anything is known of their size.
const FIRST_CHUNK: usize = 16;

/// A page being read. Ask for the [`Scan::next`] chunk, fetch them, [`Scan::offer`] each row, say with [`Scan::fetched`] how
/// many there were; when there is no next chunk, [`Scan::answer`].
#[derive(Debug)]
pub(in crate::api) struct Scan<T> {
    rest: Window,
    page: usize,
    items: Vec<T>,
    resume: Option<u128>,
    rows_left: usize,
    bytes_left: usize,
    until: Instant,
    /// Bytes of the largest row so far.
    largest: usize,
    end: Option<End>,
}

/// Why a scan ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// There are no more rows.
    Rows,
    /// The page or the budget is full.
    Full,
}

/// What a scan found.
#[derive(Debug, PartialEq, Eq)]
struct Scanned<T> {
    /// The rows that were kept, in the order in which they were read.
    items: Vec<T>,
    /// The last row that was looked at: where the next page goes on.
    resume: Option<u128>,
    /// Whether nothing lies beyond.
    done: bool,
}

/// Checks what a request says about its page, newest first, and opens a scan for it within exclusive bounds of ids of
/// type `I`.
///
/// # Errors
/// As [`FixedPageQuery::check`].
pub(in crate::api) fn open<T, I: FromStr>(
    query: &FixedPageQuery,
    (above, below): (u128, u128),
    number: fn(I) -> u128,
) -> Result<(Page, Scan<T>), Problem> {
    let read = |text: &str| text.parse::<I>().ok().map(number);
    let page = query.check(Ordering::Descending, |text| read(text).is_some())?;
    let scan = Scan::new(page.window(above, below, read), page.limit);
    Ok((page, scan))
}

impl<T> Scan<T> {
    /// A page of at most `page` rows that are kept, from a window.
    fn new(window: Window, page: usize) -> Self {
        Scan {
            rest: window,
            page,
            items: Vec::new(),
            resume: None,
            rows_left: ROW_BUDGET,
            bytes_left: BYTE_BUDGET,
            until: Instant::now() + PATIENCE,
            largest: 0,
            end: None,
        }
    }

    /// As [`Scan::chunk`], after others had their turn: a store in this process never waits by itself.
    pub(in crate::api) async fn next(&self) -> Option<Window> {
        if self.resume.is_some() && self.end.is_none() {
            tokio::task::yield_now().await;
        }
        self.chunk()
    }

    /// The next rows to fetch: at first what an unfiltered page needs, its rows and one to see whether there is more, but few,
    /// because they may be large; then as many as fit into the budget if they are as large as the largest so far.
    fn chunk(&self) -> Option<Window> {
        let fit = match self.resume {
            None => self.page.saturating_add(1).min(FIRST_CHUNK),
            Some(_) => CHUNK.min(self.bytes_left.div_ceil(self.largest.max(1))),
        };
        self.end.is_none().then_some(Window { limit: fit, ..self.rest })
    }

    /// Takes a row that was looked at, with the item made of it if it is wanted; whether to offer another.
    pub(in crate::api) fn offer(&mut self, id: u128, bytes: usize, item: Option<T>) -> bool {
        if item.is_some() && self.items.len() >= self.page {
            self.end = Some(End::Full);
            return false;
        }
        self.items.extend(item);
        self.resume = Some(id);
        match self.rest.newest_first {
            true => self.rest.below = id,
            false => self.rest.above = id,
        }
        self.rows_left = self.rows_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        self.largest = self.largest.max(bytes);
        if self.rows_left == 0 || self.bytes_left == 0 || Instant::now() >= self.until {
            self.end = Some(End::Full);
        }
        self.end.is_none()
    }

    /// Notes that a chunk brought so many rows.
    pub(in crate::api) fn fetched(&mut self, chunk: Window, rows: usize) {
        if rows < chunk.limit && self.end.is_none() {
            self.end = Some(End::Rows);
        }
    }

    /// What was found.
    fn finish(self) -> Scanned<T> {
        Scanned { items: self.items, resume: self.resume, done: self.end == Some(End::Rows) }
    }

    /// The page's answer, given each item's id and how an id is written. A page that ended early, with few items or none,
    /// has the iterator of the last row that was looked at.
    pub(in crate::api) fn answer<I: ToString>(self, page: &Page, id: fn(&T) -> I, text: fn(u128) -> I) -> ListResponse<T> {
        let scanned = self.finish();
        let mut answer = page.answer(scanned.items, |item| id(item).to_string(), |item| item);
        answer.done = scanned.done;
        let resume = scanned.resume.filter(|_| !scanned.done).map(|resume| text(resume).to_string());
        match resume {
            Some(resume) if page.reads_down() => answer.iterator = Some(resume),
            Some(resume) => answer.prev_iterator = Some(format!("-{resume}")),
            None => {}
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MsgId;

    fn scan(rows: &[u128], window: Window, bytes: usize, keep: fn(u128) -> bool) -> (Scanned<u128>, usize) {
        let mut scan = Scan::new(window, window.limit);
        let mut fetches = 0;
        while let Some(chunk) = scan.chunk() {
            let mut found: Vec<u128> = rows.iter().copied().filter(|r| *r > chunk.above && *r < chunk.below).collect();
            if chunk.newest_first {
                found.reverse();
            }
            found.truncate(chunk.limit);
            fetches += 1;
            for row in &found {
                if !scan.offer(*row, bytes, keep(*row).then_some(*row)) {
                    break;
                }
            }
            scan.fetched(chunk, found.len());
        }
        (scan.finish(), fetches)
    }

    fn window(newest_first: bool, limit: usize) -> Window {
        Window { above: 0, below: u128::MAX, newest_first, limit }
    }

    #[test]
    fn an_unfiltered_page_takes_one_fetch() {
        let rows: Vec<u128> = (1..=100).collect();
        let (page, fetches) = scan(&rows, window(true, 3), 0, |_| true);
        assert_eq!((page.items, page.resume, page.done, fetches), (vec![100, 99, 98], Some(98), false, 1));
        let (page, _) = scan(&rows[..3], window(true, 3), 0, |_| true);
        assert_eq!((page.items.len(), page.done), (3, true));
        let (page, _) = scan(&[], window(true, 3), 0, |_| true);
        assert_eq!((page.items.len(), page.resume, page.done), (0, None, true));
    }

    #[test]
    fn a_filtered_page_reads_on_and_knows_its_end() {
        let rows: Vec<u128> = (1..=1000).collect();
        let (page, _) = scan(&rows, window(true, 3), 0, |r| r % 300 == 0);
        assert_eq!((page.items, page.done), (vec![900, 600, 300], true));
        let (page, _) = scan(&rows, window(false, 2), 0, |r| r % 300 == 0);
        assert_eq!((page.items, page.resume, page.done), (vec![300, 600], Some(899), false));
    }

    #[tokio::test(start_paused = true)]
    async fn the_budgets_end_a_page_early() {
        let rows: Vec<u128> = (1..=ROW_BUDGET as u128 + 500).collect();
        let (page, _) = scan(&rows, window(true, 3), 0, |r| r == 1);
        assert_eq!((page.items.len(), page.resume, page.done), (0, Some(501), false));
        let (page, _) = scan(&rows, window(true, 250), BYTE_BUDGET / 32, |_| true);
        assert_eq!((page.items.len(), page.done), (32, false));
    }

    #[test]
    fn chunks_are_no_larger_than_what_the_budget_has_left() {
        let mut scan = Scan::<u128>::new(window(true, 250), 250);
        assert_eq!(scan.chunk().unwrap().limit, FIRST_CHUNK);
        assert!(scan.offer(1000, BYTE_BUDGET / 10, None));
        assert_eq!(scan.chunk().unwrap().limit, 10);
        let mut scan = Scan::<u128>::new(window(true, 250), 250);
        assert!(scan.offer(1000, 1, None));
        assert_eq!(scan.chunk().unwrap().limit, CHUNK);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_a_page_early_but_never_before_its_first_row() {
        let mut scan = Scan::<u128>::new(window(true, 3), 3);
        tokio::time::advance(PATIENCE * 2).await;
        assert!(scan.chunk().is_some());
        assert!(!scan.offer(9, 0, None));
        assert!(scan.chunk().is_none());
        let page = scan.finish();
        assert_eq!((page.items.len(), page.resume, page.done), (0, Some(9), false));
    }

    fn answer(iterator: Option<&str>, keep: fn(u128) -> bool) -> ListResponse<MsgId> {
        let query = FixedPageQuery { limit: Some(2), iterator: iterator.map(str::to_owned) };
        let (page, mut scan) = open(&query, (0, u128::MAX), |id: MsgId| id.0).unwrap();
        while let Some(chunk) = scan.chunk() {
            let mut found: Vec<u128> = (1..=ROW_BUDGET as u128 + 500).filter(|r| *r > chunk.above && *r < chunk.below).collect();
            if chunk.newest_first {
                found.reverse();
            }
            found.truncate(chunk.limit);
            for row in &found {
                if !scan.offer(*row, 0, keep(*row).then_some(MsgId(*row))) {
                    break;
                }
            }
            scan.fetched(chunk, found.len());
        }
        scan.answer(&page, |id| *id, MsgId)
    }

    #[tokio::test(start_paused = true)]
    async fn iterators_go_both_ways_also_past_an_empty_page() {
        let text = |n: u128| MsgId(n).to_string();
        let first = answer(None, |r| r <= 3);
        assert_eq!((first.data.len(), first.iterator.clone(), first.done), (0, Some(text(501)), false));
        let second = answer(first.iterator.as_deref(), |r| r <= 3);
        assert_eq!((second.data, second.done), (vec![MsgId(3), MsgId(2)], false));
        let last = answer(Some(&text(2)), |r| r <= 3);
        assert_eq!((last.data, last.done), (vec![MsgId(1)], true));
        let back = answer(Some(&format!("-{}", text(1))), |r| r <= 4);
        assert_eq!((back.data, back.done), (vec![MsgId(3), MsgId(2)], false));
        assert!(open::<(), MsgId>(&FixedPageQuery { limit: None, iterator: Some("x".into()) }, (0, 9), |id| id.0).is_err());
    }
}
