//! Accept to delivered in an open loop: a slow answer delays no later message.

use super::super::{
    Bench,
    figure::{Bounds, Figure, Measure},
    sample::Summary,
};
use super::site::{Drive, Site};

/// Half of the deliveries, in nanoseconds.
const P50: Bounds = Bounds { floor: 1e6, goal: 0.4e6 };
/// 99 of 100, in nanoseconds.
const P99: Bounds = Bounds { floor: 5e6, goal: 1.5e6 };
/// The rate that the bounds are for, in messages a second.
const RATE: u64 = 1000;

/// From the start of sending to arrival.
pub(super) async fn measure(bench: &Bench, name: &'static str) -> anyhow::Result<Vec<Figure>> {
    let host = bench.host(name).await?;
    let mut site = Site::new(bench, host.target()?, 1).await?;
    let (outcome, cost) = site.measure(bench, &host, Drive::Open(bench.args.rate)).await?;
    host.end(&[&site.app]).await?;
    let figure = |name, pick: fn(Summary) -> u64, bounds| Figure {
        name,
        measure: outcome.from_start.map(pick).map(Measure::Time),
        bounds: Some(bounds),
        unjudged: bench.args.rate != RATE || bench.databases.is_some(),
        latency: outcome.from_start,
        cpu_ns: cost.cpu_ns,
        database: cost.database,
        rss: cost.rss,
        faults: outcome.faults.clone(),
        ..Figure::default()
    };
    let mut p50 = figure("latency p50", |summary| summary.p50, P50);
    p50.notes = vec![
        format!("{} messages/s, from the start of sending to arrival; waiting for a connection counts", bench.args.rate),
        format!("from the answer to arrival (0 where the delivery was quicker): {}", show(outcome.from_accepted)),
        format!("from the planned time of sending, with the lateness of the pace itself: {}", show(outcome.from_due)),
    ];
    Ok(vec![p50, figure("latency p99", |summary| summary.p99, P99)])
}

/// Percentiles in words.
fn show(summary: Option<Summary>) -> String {
    let ms = |ns: u64| ns as f64 / 1e6;
    summary.map_or_else(
        || "nothing arrived".to_owned(),
        |summary| format!("p50 {:.2}, p99 {:.2}, max {:.2} ms", ms(summary.p50), ms(summary.p99), ms(summary.max)),
    )
}
