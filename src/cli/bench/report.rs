//! The report: the figures with their marks, as a table or as JSON.

use super::{
    database::DatabaseCost,
    figure::{Figure, Mark, Measure},
    machine::Machine,
    outcome::Faults,
    sample::Summary,
};
use serde::Serialize;
use std::fmt;

/// Head of the table.
const HEAD: [&str; 13] =
    ["figure", "value", "rate", "floor", "goal", "mark", "p50 ms", "p99 ms", "max ms", "CPU us", "RSS MB", "dup", "lost+err"];

/// Raw figures that differ by more than this share mean that something else was running.
const RAW_SPREAD_MAX: f64 = 0.15;

/// All that a run measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    command: String,
    machine: Machine,
    doubts: Vec<String>,
    /// Requests a second of the client straight into the receiver: before, between and after the other cases.
    raw_per_second: Vec<f64>,
    /// Half of their mean.
    ceiling_per_second: Option<f64>,
    figures: Vec<Row>,
}

/// A judged figure.
#[derive(Clone, Debug, Serialize)]
struct Row {
    name: &'static str,
    /// The judged value: a share, nanoseconds, a ratio, bytes or a rate, by `unit`.
    value: Option<f64>,
    unit: &'static str,
    per_second: Option<f64>,
    floor: Option<f64>,
    goal: Option<f64>,
    mark: Mark,
    latency_ns: Option<Summary>,
    cpu_ns_per_delivery: Option<u64>,
    rss_bytes: Option<u64>,
    /// What PostgreSQL did for one message.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_per_message: Option<DatabaseCost>,
    #[serde(flatten)]
    faults: Faults,
    notes: Vec<String>,
    #[serde(skip)]
    shown: [String; 3],
}

impl Report {
    /// Judges each figure by the raw ones beside it.
    pub(super) fn new(command: String, machine: Machine, figures: Vec<Figure>) -> Self {
        let raws: Vec<Option<f64>> = figures.iter().map(raw_rate).collect();
        let raw_per_second: Vec<f64> = raws.iter().copied().flatten().collect();
        let mut doubts = machine.doubts();
        doubts.extend(spread(&raw_per_second));
        Report {
            version: env!("CARGO_PKG_VERSION"),
            command,
            doubts,
            machine,
            raw_per_second,
            ceiling_per_second: mean(raws.iter().copied().flatten()).map(|raw| raw / 2.0),
            figures: figures.into_iter().enumerate().map(|(at, figure)| Row::new(figure, beside(&raws, at))).collect(),
        }
    }

    /// How many figures could not be measured or have faults.
    pub(super) fn failures(&self) -> usize {
        self.figures.iter().filter(|row| matches!(row.mark, Mark::Faulty | Mark::Unmeasured)).count()
    }
}

fn raw_rate(figure: &Figure) -> Option<f64> {
    match figure.measure {
        Some(Measure::Raw(rate)) => Some(rate),
        _ => None,
    }
}

/// The mean of the last raw figure before that place and the first one after it.
fn beside(raws: &[Option<f64>], at: usize) -> Option<f64> {
    let before = raws.iter().take(at).rev().copied().flatten().next();
    let after = raws.iter().skip(at + 1).copied().flatten().next();
    mean(before.into_iter().chain(after))
}

fn mean(rates: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = rates.fold((0.0, 0.0), |(sum, count), rate| (sum + rate, count + 1.0));
    (sum > 0.0).then(|| sum / count)
}

/// What the distance between the raw figures says.
fn spread(raws: &[f64]) -> Option<String> {
    let (low, high) = raws.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), raw| (low.min(*raw), high.max(*raw)));
    let spread = (high - low) / high;
    let doubt = || format!("the raw figures differ by {:.0} %: the machine was not quiet, shares are doubtful", spread * 100.0);
    (spread > RAW_SPREAD_MAX).then(doubt)
}

impl Row {
    fn new(figure: Figure, raw: Option<f64>) -> Self {
        let value = figure.measure.and_then(|measure| measure.judged(raw));
        let show =
            |value: Option<f64>| figure.measure.zip(value).map_or_else(|| "-".to_owned(), |(measure, value)| measure.show(value));
        let (floor, goal) = (figure.bounds.map(|bounds| bounds.floor), figure.bounds.map(|bounds| bounds.goal));
        Row {
            name: figure.name,
            value,
            unit: unit(figure.measure),
            per_second: figure.measure.and_then(Measure::rate),
            floor,
            goal,
            mark: figure.mark(raw),
            latency_ns: figure.latency,
            cpu_ns_per_delivery: figure.cpu_ns,
            rss_bytes: figure.rss,
            database_per_message: figure.database,
            shown: [show(value), show(floor), show(goal)],
            faults: figure.faults,
            notes: figure.notes,
        }
    }

    fn cells(&self) -> [String; HEAD.len()] {
        let scaled =
            |value: Option<u64>, unit: f64| value.map_or_else(|| "-".into(), |value| format!("{:.2}", value as f64 / unit));
        let latency = |pick: fn(&Summary) -> u64| scaled(self.latency_ns.as_ref().map(pick), 1e6);
        let [value, floor, goal] = self.shown.clone();
        [
            self.name.to_owned(),
            value,
            self.per_second.map_or_else(|| "-".into(), |rate| format!("{rate:.0}/s")),
            floor,
            goal,
            self.mark.word().to_owned(),
            latency(|summary| summary.p50),
            latency(|summary| summary.p99),
            latency(|summary| summary.max),
            scaled(self.cpu_ns_per_delivery, 1e3),
            scaled(self.rss_bytes, 1e6),
            self.faults.duplicates.to_string(),
            format!("{}+{}", self.faults.missing, self.faults.errors),
        ]
    }
}

fn unit(measure: Option<Measure>) -> &'static str {
    match measure {
        Some(Measure::Raw(_)) => "per_second",
        Some(Measure::OfCeiling(_)) => "share_of_ceiling",
        Some(Measure::OfRaw(_)) => "share_of_raw",
        Some(Measure::Time(_)) => "nanoseconds",
        Some(Measure::Times(_)) => "ratio",
        Some(Measure::Bytes(_)) => "bytes",
        None => "none",
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "postrider {}: {}", self.version, self.command)?;
        writeln!(f, "{}", self.machine)?;
        for doubt in &self.doubts {
            writeln!(f, "note: {doubt}")?;
        }
        if let Some(ceiling) = self.ceiling_per_second {
            let raws: Vec<String> = self.raw_per_second.iter().map(|raw| format!("{raw:.0}")).collect();
            writeln!(f, "raw {} requests/s; ceiling {ceiling:.0} messages/s (half of the mean)", raws.join(" and "))?;
        }
        writeln!(f)?;
        write_table(f, &self.figures)?;
        for row in &self.figures {
            let error = row.faults.first_error.iter().map(|error| format!("first error: {error}"));
            let database = row.database_per_message.iter().map(ToString::to_string);
            for note in row.notes.iter().cloned().chain(database).chain(error) {
                writeln!(f, "{}: {note}", row.name)?;
            }
        }
        Ok(())
    }
}

/// The first column to the left, the others to the right.
fn write_table(f: &mut fmt::Formatter<'_>, rows: &[Row]) -> fmt::Result {
    let lines: Vec<_> = std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
    let mut widths = [0; HEAD.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in &lines {
        for (at, (cell, width)) in line.iter().zip(widths).enumerate() {
            if at == 0 { write!(f, "{cell:<width$}")? } else { write!(f, "  {cell:>width$}")? }
        }
        writeln!(f)?;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::super::figure::Bounds;
    use super::*;

    fn report() -> Report {
        let bounds = Some(Bounds { floor: 0.4, goal: 0.6 });
        let figures = vec![
            Figure { name: "raw before", measure: Some(Measure::Raw(50_000.0)), ..Figure::default() },
            Figure { name: "one endpoint", measure: Some(Measure::OfCeiling(15_000.0)), bounds, ..Figure::default() },
            Figure { name: "ten endpoints", measure: Some(Measure::OfRaw(12_000.0)), bounds, ..Figure::default() },
            Figure::unmeasured("start", "no disk".into()),
            Figure { name: "raw after", measure: Some(Measure::Raw(70_000.0)), ..Figure::default() },
        ];
        Report::new("bench".into(), Machine::here(tempfile::tempdir().unwrap().path()).unwrap(), figures)
    }

    #[test]
    fn the_table_shows_shares_of_the_mean_and_marks() {
        let text = report().to_string();
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>();
        assert!(text.contains("raw 50000 and 70000 requests/s; ceiling 30000 messages/s"), "{text}");
        assert_eq!(line("one endpoint")[2..=9], ["50.0", "%", "15000/s", "40.0", "%", "60.0", "%", "floor"]);
        assert_eq!(line("ten endpoints")[2..=9], ["20.0", "%", "12000/s", "40.0", "%", "60.0", "%", "BELOW"]);
        assert!(text.contains("start: no disk"));
        assert_eq!(report().failures(), 1);
        assert!(text.contains("note: the raw figures differ by 29 %"), "{text}");
    }

    #[test]
    fn each_share_is_judged_by_the_raw_figures_beside_it() {
        let raws = [Some(50_000.0), None, None, Some(70_000.0), None, Some(40_000.0)];
        assert_eq!([1, 2, 4].map(|at| beside(&raws, at)), [Some(60_000.0), Some(60_000.0), Some(55_000.0)]);
        assert_eq!((beside(&raws, 5), beside(&[None, None], 1)), (Some(70_000.0), None));
    }

    #[test]
    fn raw_figures_that_agree_raise_no_doubt() {
        assert_eq!(spread(&[50_000.0, 45_000.0]), None);
        assert_eq!(spread(&[50_000.0]), None);
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[0.0, 0.0]), None);
        assert!(spread(&[50_000.0, 40_000.0]).is_some());
    }

    #[test]
    fn json_says_the_same() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["ceiling_per_second"], 30_000.0);
        assert_eq!(json["figures"][1]["value"], 0.5);
        assert_eq!(json["figures"][1]["mark"], "floor");
        assert_eq!(json["figures"][3]["mark"], "unmeasured");
        assert_eq!(json["figures"][1]["missing"], 0);
    }
}
