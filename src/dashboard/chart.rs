//! Charts as SVG, drawn on the server: no script, and readable by who cannot see them.

use crate::model::{Attempt, Time};
use askama::filters::HtmlSafe;
use std::{fmt, time::Duration};

/// Slices of time in a chart.
const SLICES: usize = 60;
/// Widths of the drawing, in its own units: on a desk, and on a small screen, where the style shows the other one.
const WIDTHS: [(&str, f64); 2] = [("chart broad", 960.0), ("chart slim", 330.0)];
/// Height of both.
const HEIGHT: f64 = 250.0;
/// Where the curves are, above the bars of how many attempts there were.
const TOP: f64 = 38.0;
const FLOOR: f64 = 168.0;
/// Height of the longest bar, and where they stand.
const BAR: f64 = 34.0;
const GROUND: f64 = 214.0;

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
    pub(super) fn of<'a>(attempts: impl IntoIterator<Item = &'a Attempt>, since: Time, until: Time) -> Option<Self> {
        let slice = until.since(since) / u32::try_from(SLICES).unwrap_or(1);
        let mut took: Vec<Vec<f64>> = vec![Vec::new(); SLICES];
        let mut slices = vec![Slice::default(); SLICES];
        for attempt in attempts.into_iter().filter(|attempt| attempt.id.time() >= since) {
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

    fn x(at: usize, width: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        let (at, slices) = (at as f64, SLICES as f64);
        width * (at + 0.5) / slices
    }

    fn y(&self, ms: f64) -> f64 {
        TOP + (FLOOR - TOP) * (1.0 - ms / self.most)
    }

    /// A line through the slices that have a value, and a dot at each.
    fn line(&self, f: &mut fmt::Formatter<'_>, (class, width): (&str, f64), pick: fn(&Slice) -> Option<f64>) -> fmt::Result {
        let points: Vec<(f64, f64)> =
            self.slices.iter().enumerate().filter_map(|(at, slice)| Some((Self::x(at, width), self.y(pick(slice)?)))).collect();
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

impl Latency {
    /// Lines at round times, each with its time above it.
    fn grid(&self, f: &mut fmt::Formatter<'_>, width: f64) -> fmt::Result {
        for part in [0.0, 0.5, 1.0] {
            let (y, shown) = (self.y(self.most * part), super::view::millis(self.most * part));
            write!(f, "<line class=\"axis\" x1=\"0\" x2=\"{width}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")?;
            if part > 0.0 {
                write!(f, "<text x=\"0\" y=\"{:.1}\">{shown}</text>", y - 5.0)?;
            }
        }
        Ok(())
    }

    /// How many attempts there were in each slice, the failed ones on top.
    fn bars(&self, f: &mut fmt::Formatter<'_>, width: f64) -> fmt::Result {
        let most = self.slices.iter().map(|slice| slice.ok + slice.failed).max().unwrap_or(0).max(1);
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let height = |count: usize| if count == 0 { 0.0 } else { (BAR * count as f64 / most as f64).max(3.0) };
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        let thick = width / SLICES as f64 * 0.6;
        for (at, slice) in self.slices.iter().enumerate().filter(|(_, slice)| slice.ok + slice.failed > 0) {
            let from = self.since.plus(self.slice * u32::try_from(at).unwrap_or(0));
            let (x, ok, bad) = (Self::x(at, width) - thick / 2.0, height(slice.ok), height(slice.failed));
            write!(f, "<g><title>{} delivered, {} failed from {from} on</title>", slice.ok, slice.failed)?;
            write!(f, "<rect class=\"ok\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{thick:.1}\" height=\"{ok:.1}\"/>", GROUND - ok)?;
            write!(
                f,
                "<rect class=\"bad\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{thick:.1}\" height=\"{bad:.1}\"/></g>",
                GROUND - ok - bad
            )?;
        }
        write!(f, "<line class=\"axis\" x1=\"0\" x2=\"{width}\" y1=\"{GROUND}\" y2=\"{GROUND}\"/>")
    }

    /// The drawing in one of its widths.
    fn svg(&self, f: &mut fmt::Formatter<'_>, (class, width): (&str, f64)) -> fmt::Result {
        let ago = |seconds: u64| format!("{} ago", super::view::span(seconds));
        let (reach, failed) = (self.reach.as_secs(), self.slices.iter().map(|slice| slice.failed).sum::<usize>());
        let told = format!("{}: {} attempts, {failed} failed", super::view::span(reach), self.attempts);
        write!(f, "<svg class=\"{class}\" viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\"")?;
        write!(f, " aria-label=\"Response time over the last {told}\">")?;
        self.grid(f, width)?;
        self.bars(f, width)?;
        self.line(f, ("p50", width), |slice| slice.p50)?;
        self.line(f, ("p95", width), |slice| slice.p95)?;
        let y = HEIGHT - 6.0;
        write!(f, "<text x=\"0\" y=\"{y}\">{}</text>", ago(reach))?;
        write!(f, "<text class=\"mid\" x=\"{}\" y=\"{y}\">{}</text>", width / 2.0, ago(reach / 2))?;
        write!(f, "<text class=\"end\" x=\"{width}\" y=\"{y}\">now</text></svg>")
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for form in WIDTHS {
            self.svg(f, form)?;
        }
        f.write_str("<p class=\"key\">")?;
        for (word, label) in
            [("p50", "p50: half of the responses"), ("p95", "p95: 95 of 100"), ("ok", "delivered"), ("bad", "failed attempts")]
        {
            write!(f, "<span><i class=\"k-{word}\"></i>{label}</span>")?;
        }
        f.write_str("</p>")
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
