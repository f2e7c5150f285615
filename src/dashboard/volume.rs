//! How many deliveries there were over the last day, from the counts that the store keeps of every minute: all of an endpoint's,
//! however many. Bounded: the busiest endpoints are counted, as many as fit the time.

use super::{
    survey::{MINUTE, Survey, Surveyed},
    view::{grouped, noun, span},
};
use crate::{
    flow::Engine,
    model::Time,
    store::{Stats, StoreError},
};
use askama::filters::HtmlSafe;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::{fmt, time::Duration};
use tokio::time::Instant;

/// Slices of the day.
const SLICES: u32 = 12;
/// How long one is: whole minutes, as the store counts.
const SLICE: Duration = Duration::from_secs(2 * 3600);
/// Endpoints that are counted at most.
const BUSIEST: usize = 20;
/// How long counting goes on.
const PATIENCE: Duration = Duration::from_millis(50);
/// Slices that the store is asked for at once.
const AT_ONCE: usize = SLICES as usize;
/// Widths of the drawing, in its own units: on a desk, and on a small screen.
const WIDTHS: [(&str, f64); 2] = [("chart broad", 960.0), ("chart slim", 330.0)];
/// Height of both, and where the bars stand and how high the longest is.
const HEIGHT: f64 = 170.0;
const GROUND: f64 = 144.0;
const BAR: f64 = 116.0;

/// Deliveries over time.
#[derive(Debug)]
pub(super) struct Volume {
    slices: Vec<Stats>,
    since: Time,
    /// Endpoints that are counted.
    pub(super) endpoints: usize,
    /// Endpoints that had any.
    pub(super) busy: usize,
}

impl Volume {
    /// Of the busiest endpoints of a survey. `None`: nothing was accepted for them in the last day.
    ///
    /// # Errors
    /// As the store's.
    pub(super) async fn of(engine: &Engine, survey: &Survey, now: Time) -> Result<Option<Self>, StoreError> {
        let mut rows: Vec<&Surveyed> = survey.rows.iter().filter(|row| total(&row.stats) > 0).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(total(&row.stats)));
        let minute = u64::try_from(MINUTE.as_millis()).unwrap_or(u64::MAX);
        let end = Time(now.0 / minute * minute).plus(MINUTE);
        let since = end.minus(SLICE * SLICES);
        let mut volume = Volume { slices: vec![Stats::default(); AT_ONCE], since, endpoints: 0, busy: rows.len() };
        let until = Instant::now() + PATIENCE;
        for row in rows.into_iter().take(BUSIEST) {
            let slices = (0..SLICES).map(|at| {
                let from = since.plus(SLICE * at);
                engine.store.stats(row.route.id, from, from.plus(SLICE))
            });
            let found: Vec<Stats> = stream::iter(slices.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
            volume.add(&found);
            if Instant::now() >= until {
                break;
            }
        }
        Ok(Some(volume).filter(|volume| volume.slices.iter().any(|slice| total(slice) > 0)))
    }

    fn add(&mut self, found: &[Stats]) {
        self.endpoints += 1;
        for (sum, one) in self.slices.iter_mut().zip(found) {
            sum.delivered += one.delivered;
            sum.exhausted += one.exhausted;
            sum.pending += one.pending;
            sum.cancelled += one.cancelled;
        }
    }

    /// Of which endpoints it is, in words.
    pub(super) fn caption(&self) -> String {
        let all = match self.endpoints == self.busy {
            true => format!("all deliveries of {} {}", grouped(self.busy as u64), noun(self.busy as u64, "endpoint", "endpoints")),
            false => format!("all deliveries of the {} busiest of {} endpoints", self.endpoints, grouped(self.busy as u64)),
        };
        format!("From the store's counts: {all}, by when the message was accepted.")
    }

    /// The drawing in one of its widths.
    fn svg(&self, f: &mut fmt::Formatter<'_>, (class, width): (&str, f64)) -> fmt::Result {
        let sum = |pick: fn(&Stats) -> u64| grouped(self.slices.iter().map(pick).sum());
        let (ok, bad) = (sum(|slice| slice.delivered), sum(|slice| slice.exhausted));
        write!(f, "<svg class=\"{class}\" viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\"")?;
        write!(f, " aria-label=\"Deliveries of the last day: {ok} delivered, {bad} failed, {} waiting\">", sum(|s| s.pending))?;
        let most = self.slices.iter().map(total).max().unwrap_or(0).max(1);
        write!(f, "<line class=\"axis\" x1=\"0\" x2=\"{width}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>", GROUND - BAR)?;
        write!(f, "<text x=\"0\" y=\"{:.1}\">{}</text>", GROUND - BAR - 5.0, grouped(most))?;
        let wide = width / f64::from(SLICES);
        for (at, slice) in (0..SLICES).zip(&self.slices) {
            let from = self.since.plus(SLICE * at);
            let x = wide * f64::from(at) + wide * 0.15;
            write!(f, "<g><title>From {from} on, {}: ", span(SLICE.as_secs()))?;
            write!(f, "{} delivered, {} failed, {} waiting, ", slice.delivered, slice.exhausted, slice.pending)?;
            write!(f, "{} cancelled</title>", slice.cancelled)?;
            let mut y = GROUND;
            let parts = [("ok", slice.delivered), ("bad", slice.exhausted), ("wait", slice.pending), ("gone", slice.cancelled)];
            for (word, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
                #[expect(clippy::cast_precision_loss, reason = "for people")]
                let high = (BAR * count as f64 / most as f64).max(1.5);
                y -= high;
                write!(f, "<rect class=\"{word}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{high:.1}\"/>", wide * 0.7)?;
            }
            f.write_str("</g>")?;
        }
        write!(f, "<line class=\"axis\" x1=\"0\" x2=\"{width}\" y1=\"{GROUND}\" y2=\"{GROUND}\"/>")?;
        let (day, y) = ((SLICE * SLICES).as_secs(), HEIGHT - 8.0);
        write!(f, "<text x=\"0\" y=\"{y}\">{} ago</text>", span(day))?;
        write!(f, "<text class=\"mid\" x=\"{}\" y=\"{y}\">{} ago</text>", width / 2.0, span(day / 2))?;
        write!(f, "<text class=\"end\" x=\"{width}\" y=\"{y}\">now</text></svg>")
    }
}

fn total(stats: &Stats) -> u64 {
    stats.delivered + stats.exhausted + stats.pending + stats.cancelled
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for form in WIDTHS {
            self.svg(f, form)?;
        }
        f.write_str("<p class=\"key\">")?;
        for (word, label) in [("ok", "delivered"), ("bad", "failed"), ("wait", "waiting"), ("gone", "cancelled")] {
            write!(f, "<span><i class=\"k-{word}\"></i>{label}</span>")?;
        }
        f.write_str("</p>")
    }
}

// Numbers and words of our own making.
impl HtmlSafe for Volume {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delivery_counts_and_the_caption_says_of_whom() {
        let mut volume = Volume { slices: vec![Stats::default(); AT_ONCE], since: Time(0), endpoints: 0, busy: 2 };
        let one = |delivered| Stats { delivered, exhausted: 1, ..Stats::default() };
        volume.add(&[one(2_000), one(0)]);
        assert!(volume.caption().contains("the 1 busiest of 2 endpoints"), "{}", volume.caption());
        volume.add(&[one(345)]);
        assert!(volume.caption().contains("all deliveries of 2 endpoints"), "{}", volume.caption());
        let text = volume.to_string();
        assert!(text.contains("2\u{202f}345 delivered, 3 failed, 0 waiting") && text.contains(">2\u{202f}347</text>"), "{text}");
        assert_eq!(text.matches("class=\"ok\"").count(), 2, "one slice had any, in each width");
    }
}
