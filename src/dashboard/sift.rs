//! Sifting: filters for lists of which the API has none of its own, in pages that lead both ways and that are bounded: a page
//! looks at so many rows, and where it stopped, the way on begins.

use super::{
    desk::Desk,
    fields::Fields,
    view::{Listed, Pager, with},
};
use crate::api::Problem;
use serde::de::DeserializeOwned;

/// Rows that one page looks at, at most.
const MAX_LOOKED: usize = 2_000;
/// Rows that are asked for at once.
const BATCH: usize = 250;

/// A list that is sifted.
pub(super) struct Sifted<'a, T> {
    /// The API's path, with a query.
    pub(super) path: &'a str,
    /// Where the page begins: `-` in front leads back.
    pub(super) from: &'a str,
    /// Rows of a page at most.
    pub(super) limit: usize,
    /// By what the API's iterators name a row.
    pub(super) id: fn(&T) -> &str,
}

impl<T: DeserializeOwned> Sifted<'_, T> {
    /// The rows that `keep` takes.
    pub(super) async fn rows(&self, desk: &Desk, keep: impl Fn(&T) -> bool) -> Result<Listed<T>, Problem> {
        let back = self.from.starts_with('-');
        let (mut kept, mut looked, mut at) = (Vec::new(), 0, self.from.to_owned());
        let (full, done) = loop {
            let path = format!("{}&limit={BATCH}&iterator={}", self.path, super::fields::segment(&at));
            let listed: Listed<T> = desk.get(&path).await?;
            let (next, done) = listed.onwards(back);
            looked += listed.data.len();
            let mut rows = listed.data;
            if back {
                rows.reverse();
            }
            let room = self.limit - kept.len();
            let mut fitting = rows.into_iter().filter(|row| keep(row));
            kept.extend(fitting.by_ref().take(room));
            let full = kept.len() == self.limit;
            if full || done || looked >= MAX_LOOKED {
                at = next.unwrap_or(at);
                break (full, done && !(full && fitting.next().is_some()));
            }
            at = next.unwrap_or(at);
        };
        if back {
            kept.reverse();
        }
        let named = |row: Option<&T>| row.map(|row| format!("+{}", (self.id)(row)));
        let (first, last) = (named(kept.first()).map(|id| format!("-{id}")), named(kept.last()));
        // Behind the last row that is shown, unless fewer than a page were found: then behind the last that was looked at.
        let resumed = Some(at).filter(|_| !full);
        let (behind, before) = if back { (last, resumed.or(first)) } else { (resumed.or(last), first) };
        Ok(Listed::of(kept, behind, before, done))
    }
}

/// A page of rows that are all at hand, from the query's `from` on, and the ways to its neighbours.
pub(super) fn paged<T>(rows: Vec<T>, query: &str, limit: usize) -> (Vec<T>, Pager) {
    let from: usize = Fields::parse(query.as_bytes()).text("from").parse().unwrap_or(0);
    let to = |from: usize| with(query, "from", &if from == 0 { String::new() } else { from.to_string() });
    let pager = Pager {
        previous: (from > 0).then(|| to(from.saturating_sub(limit))),
        next: (rows.len() > from.saturating_add(limit)).then(|| to(from.saturating_add(limit))),
    };
    (rows.into_iter().skip(from).take(limit).collect(), pager)
}

/// Whether a text has a part, whatever the case of its letters.
pub(super) fn has(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_at_hand_are_paged_both_ways() {
        let page = |query: &str| paged((0..5).collect(), query, 2);
        assert_eq!(page("q=x"), (vec![0, 1], Pager { previous: None, next: Some("?q=x&from=2".into()) }));
        assert_eq!(page("q=x&from=2"), (vec![2, 3], Pager { previous: Some("?q=x".into()), next: Some("?q=x&from=4".into()) }));
        assert_eq!(page("from=4"), (vec![4], Pager { previous: Some("?from=2".into()), next: None }));
        assert_eq!(page(&format!("from={}", usize::MAX)).0, [0; 0]);
    }
}
