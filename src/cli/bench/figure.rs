//! A figure and its judgement against the design's floor and goal.

use super::{database::DatabaseCost, outcome::Faults, sample::Summary};
use serde::Serialize;

/// A figure, before it is known what the network path alone allows.
#[derive(Clone, Debug, Default)]
pub(super) struct Figure {
    /// What was measured.
    pub(super) name: &'static str,
    /// How much; `None`: it could not be measured, the notes say why.
    pub(super) measure: Option<Measure>,
    /// What is asked for.
    pub(super) bounds: Option<Bounds>,
    /// Why it is not to be judged although there are bounds.
    pub(super) unjudged: bool,
    /// Latencies beside it.
    pub(super) latency: Option<Summary>,
    /// CPU time of the server for one delivery, in nanoseconds.
    pub(super) cpu_ns: Option<u64>,
    /// Resident memory of the server at its end, in bytes.
    pub(super) rss: Option<u64>,
    /// What the database did for one message.
    pub(super) database: Option<DatabaseCost>,
    /// What went wrong.
    pub(super) faults: Faults,
    /// What else is to be known.
    pub(super) notes: Vec<String>,
}

/// What a figure says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure {
    /// Requests a second of the client straight into the receiver.
    Raw(f64),
    /// Deliveries a second, compared with half of the raw figure: each message costs two exchanges.
    OfCeiling(f64),
    /// Deliveries a second, compared with the raw figure.
    OfRaw(f64),
    /// A time in nanoseconds.
    Time(u64),
    /// A ratio.
    Times(f64),
    /// Bytes.
    Bytes(u64),
}

/// The design's floor and goal, in the unit of the judged value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    /// Must be reached.
    pub(super) floor: f64,
    /// Should be reached.
    pub(super) goal: f64,
}

/// How a figure compares with its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    /// The goal is reached.
    Goal,
    /// The floor is reached.
    Floor,
    /// The floor is not reached.
    Below,
    /// Requests failed or deliveries are missing: the value means nothing.
    Faulty,
    /// Not measured.
    Unmeasured,
    /// Nothing is asked for, or the conditions were not those of the design.
    Unjudged,
}

impl Measure {
    /// The number that bounds speak of: a share for rates, otherwise the measure itself. `None`: it needs the raw
    /// figure and there is none.
    pub(super) fn judged(self, raw: Option<f64>) -> Option<f64> {
        let raw = raw.filter(|raw| *raw > 0.0);
        match self {
            Measure::Raw(rate) => Some(rate),
            Measure::OfCeiling(rate) => Some(rate / (raw? / 2.0)),
            Measure::OfRaw(rate) => Some(rate / raw?),
            Measure::Time(ns) => Some(ns as f64),
            Measure::Times(ratio) => Some(ratio),
            Measure::Bytes(bytes) => Some(bytes as f64),
        }
    }

    fn higher_is_better(self) -> bool {
        matches!(self, Measure::Raw(_) | Measure::OfCeiling(_) | Measure::OfRaw(_))
    }

    /// A judged value of this kind, for people.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Measure::Raw(_) => format!("{value:.0} /s"),
            Measure::OfCeiling(_) | Measure::OfRaw(_) => format!("{:.1} %", value * 100.0),
            Measure::Time(_) if value >= 1e9 => format!("{:.2} s", value / 1e9),
            Measure::Time(_) => format!("{:.2} ms", value / 1e6),
            Measure::Times(_) => format!("{value:.2} x"),
            Measure::Bytes(_) => format!("{:.1} MB", value / 1e6),
        }
    }

    /// The plain rate beside a share.
    pub(super) fn rate(self) -> Option<f64> {
        match self {
            Measure::Raw(rate) | Measure::OfCeiling(rate) | Measure::OfRaw(rate) => Some(rate),
            _ => None,
        }
    }
}

impl Figure {
    /// One that could not be measured.
    pub(super) fn unmeasured(name: &'static str, why: String) -> Self {
        Figure { name, notes: vec![why], ..Figure::default() }
    }

    /// Its mark.
    pub(super) fn mark(&self, raw: Option<f64>) -> Mark {
        let Some(measure) = self.measure else { return Mark::Unmeasured };
        if self.faults.errors > 0 || self.faults.missing > 0 {
            return Mark::Faulty;
        }
        let (Some(bounds), Some(value), false) = (self.bounds, measure.judged(raw), self.unjudged) else {
            return Mark::Unjudged;
        };
        let reaches = |bound: f64| if measure.higher_is_better() { value >= bound } else { value <= bound };
        match (reaches(bounds.goal), reaches(bounds.floor)) {
            (true, _) => Mark::Goal,
            (false, true) => Mark::Floor,
            (false, false) => Mark::Below,
        }
    }
}

impl Mark {
    /// For the table.
    pub(super) fn word(self) -> &'static str {
        match self {
            Mark::Goal => "goal",
            Mark::Floor => "floor",
            Mark::Below => "BELOW",
            Mark::Faulty => "FAULTY",
            Mark::Unmeasured => "not measured",
            Mark::Unjudged => "-",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(measure: Measure, floor: f64, goal: f64) -> Figure {
        Figure { measure: Some(measure), bounds: Some(Bounds { floor, goal }), ..Figure::default() }
    }

    #[test]
    fn shares_are_judged_upwards() {
        let raw = Some(60_000.0);
        for (rate, mark) in [(18_000.0, Mark::Goal), (17_999.0, Mark::Floor), (12_000.0, Mark::Floor), (11_999.0, Mark::Below)] {
            assert_eq!(figure(Measure::OfCeiling(rate), 0.4, 0.6).mark(raw), mark, "{rate}");
        }
        assert_eq!(figure(Measure::OfRaw(18_000.0), 0.4, 0.6).mark(raw), Mark::Below);
        assert_eq!(figure(Measure::OfRaw(36_000.0), 0.4, 0.6).mark(raw), Mark::Goal);
    }

    #[test]
    fn times_ratios_and_sizes_are_judged_downwards() {
        assert_eq!(figure(Measure::Time(400_000), 1e6, 4e5).mark(None), Mark::Goal);
        assert_eq!(figure(Measure::Time(400_001), 1e6, 4e5).mark(None), Mark::Floor);
        assert_eq!(figure(Measure::Times(2.01), 2.0, 1.2).mark(None), Mark::Below);
        assert_eq!(figure(Measure::Bytes(150_000_000), 3e8, 1.5e8).mark(None), Mark::Goal);
    }

    #[test]
    fn faults_and_foreign_conditions_are_not_judged() {
        let mut one = figure(Measure::OfCeiling(30_000.0), 0.4, 0.6);
        assert_eq!(one.mark(None), Mark::Unjudged);
        one.faults.duplicates = 3;
        assert_eq!(one.mark(Some(60_000.0)), Mark::Goal);
        one.faults.missing = 1;
        assert_eq!(one.mark(Some(60_000.0)), Mark::Faulty);
        let scaled = Figure { unjudged: true, ..figure(Measure::Bytes(1), 3e8, 1.5e8) };
        assert_eq!(scaled.mark(None), Mark::Unjudged);
        assert_eq!(Figure::unmeasured("x", "why".into()).mark(None), Mark::Unmeasured);
    }
}
