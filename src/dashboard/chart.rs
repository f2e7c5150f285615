//! Charts as SVG, drawn on the server: no script, and readable by who cannot see them.

use crate::model::{Attempt, Time};
use askama::filters::HtmlSafe;
use std::{fmt, time::Duration};

/// Slices of time in a chart.
const SLICES: usize = 48;
/// Size of the drawing, in its own units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 190.0;
/// Room for the axes.
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 30.0;
const TOP: f64 = 10.0;

/// One slice of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Slice {
    p50: Option<f64>,
    p95: Option<f64>,
    ok: usize,
    failed: usize,
}

/// How long an endpoint's answers took, over time; and how many attempts failed.
#[derive(Debug)]
pub(super) struct Latency {
    slices: Vec<Slice>,
    since: Time,
    slice: Duration,
    reach: Duration,
    most: f64,
    attempts: usize,
}

impl Latency {
    /// Of attempts, in any order, from `since` to `until`. `None`: there is none.
    pub(super) fn of(attempts: &[Attempt], since: Time, until: Time) -> Option<Self> {
        let slice = until.since(since) / u32::try_from(SLICES).unwrap_or(1);
        let mut took: Vec<Vec<f64>> = vec![Vec::new(); SLICES];
        let mut slices = vec![Slice::default(); SLICES];
        for attempt in attempts.iter().filter(|attempt| attempt.id.time() >= since) {
            let at = attempt.id.time().since(since).as_millis() / slice.as_millis().max(1);
            let at = usize::try_from(at).unwrap_or(0).min(SLICES - 1);
            let (Some(slice), Some(took)) = (slices.get_mut(at), took.get_mut(at)) else { continue };
            match attempt.outcome.succeeded() {
                true => slice.ok += 1,
                false => slice.failed += 1,
            }
            if attempt.outcome.status.is_some() {
                took.push(f64::from(attempt.outcome.phases.total_us) / 1000.0);
            }
        }
        for (slice, took) in slices.iter_mut().zip(&mut took) {
            took.sort_by(f64::total_cmp);
            let percentile = |part: usize| took.get((took.len() * part / 100).min(took.len().saturating_sub(1))).copied();
            (slice.p50, slice.p95) = (percentile(50), percentile(95));
        }
        let count = slices.iter().map(|slice| slice.ok + slice.failed).sum();
        let most = slices.iter().filter_map(|slice| slice.p95).fold(0.0, f64::max);
        (count > 0).then(|| Latency { slices, since, slice, reach: until.since(since), most: ceiling(most), attempts: count })
    }

    fn x(at: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        let (at, slices) = (at as f64, SLICES as f64);
        LEFT + (WIDTH - LEFT) * (at + 0.5) / slices
    }

    fn y(&self, ms: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - ms / self.most)
    }

    /// A line through the slices that have a value, and a dot at each.
    fn line(&self, f: &mut fmt::Formatter<'_>, class: &str, pick: fn(&Slice) -> Option<f64>) -> fmt::Result {
        let points: Vec<(f64, f64)> =
            self.slices.iter().enumerate().filter_map(|(at, slice)| Some((Self::x(at), self.y(pick(slice)?)))).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        write!(f, "<polyline class=\"{class}\" points=\"{}\"/>", path.join(" "))?;
        for (x, y) in points {
            write!(f, "<circle class=\"dot-{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>")?;
        }
        Ok(())
    }
}

/// The next round number.
fn ceiling(ms: f64) -> f64 {
    let mut step = 1.0;
    while step < 1e9 {
        for round in [1.0, 2.0, 5.0] {
            if ms <= step * round {
                return step * round;
            }
        }
        step *= 10.0;
    }
    ms
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reach = super::view::span(self.reach.as_secs());
        let failed: usize = self.slices.iter().map(|slice| slice.failed).sum();
        write!(
            f,
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Answer time over the last {reach}: {} attempts, {failed} failed\">",
            self.attempts
        )?;
        for part in [0.0, 0.5, 1.0] {
            let y = self.y(self.most * part);
            let shown = super::view::millis(self.most * part);
            write!(f, "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")?;
            write!(f, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{shown}</text>", LEFT - 6.0, y + 4.0)?;
        }
        for (at, slice) in self.slices.iter().enumerate().filter(|(_, slice)| slice.failed > 0) {
            let from = self.since.plus(self.slice * u32::try_from(at).unwrap_or(0));
            let (x, y) = (Self::x(at) - 3.0, HEIGHT - BOTTOM + 5.0);
            write!(
                f,
                "<rect class=\"bad\" x=\"{x:.1}\" y=\"{y}\" width=\"6\" height=\"8\"><title>{} failed of {} after {from}</title></rect>",
                slice.failed,
                slice.ok + slice.failed
            )?;
        }
        self.line(f, "p50", |slice| slice.p50)?;
        self.line(f, "p95", |slice| slice.p95)?;
        write!(
            f,
            "<text x=\"{LEFT}\" y=\"{}\">{reach} ago</text><text x=\"{WIDTH}\" y=\"{}\" text-anchor=\"end\">now</text></svg>",
            HEIGHT - 4.0,
            HEIGHT - 4.0
        )
    }
}

// Numbers and words of our own making.
impl HtmlSafe for Latency {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppId, AttemptId, Cause, EndpointId, Headers, MsgId, Outcome, Trigger};

    fn attempt(at: u64, us: u32, cause: Cause) -> Attempt {
        let mut outcome = Outcome::failed(cause, "<b>");
        outcome.status = Some(200);
        outcome.phases.total_us = us;
        Attempt {
            id: AttemptId::lowest_at(Time(at)),
            msg: MsgId(1),
            endpoint: EndpointId(2),
            app: AppId(3),
            trigger: Trigger::Scheduled,
            number: 1,
            url: "<script>".into(),
            request_headers: Headers::default(),
            outcome,
        }
    }

    #[test]
    fn a_chart_tells_its_figures_and_nothing_of_strangers() {
        let attempts =
            [attempt(1_000, 2_000, Cause::Success), attempt(1_000, 9_000, Cause::BadStatus), attempt(0, 1, Cause::Success)];
        let text = Latency::of(&attempts, Time(10), Time(4_810)).unwrap().to_string();
        assert!(
            text.contains("2 attempts, 1 failed")
                && text.contains("10.0 ms")
                && text.contains(">4 s ago<")
                && !text.contains("script"),
            "{text}"
        );
        assert!(Latency::of(&[], Time(0), Time(9)).is_none());
        assert_eq!((ceiling(0.3), ceiling(3.0), ceiling(12.0), ceiling(70.0)), (1.0, 5.0, 20.0, 100.0));
    }
}
