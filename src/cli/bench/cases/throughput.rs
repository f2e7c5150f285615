//! Deliveries a second in a closed loop, until the last one has arrived.

use super::super::{
    Bench,
    figure::{Bounds, Figure, Measure},
};
use super::site::{Drive, Site};

/// Shares asked for, of the ceiling with one endpoint and of the raw figure with ten.
const BOUNDS: Bounds = Bounds { floor: 0.4, goal: 0.6 };
/// Endpoints of each message in the second case.
const TEN: u32 = 10;

/// One endpoint.
pub(super) async fn one(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    flood(bench, name, 1, Measure::OfCeiling).await
}

/// Ten endpoints of one application.
pub(super) async fn ten(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    flood(bench, name, TEN, Measure::OfRaw).await
}

async fn flood(bench: &Bench, name: &'static str, endpoints: u32, measure: fn(f64) -> Measure) -> anyhow::Result<Figure> {
    let host = bench.host(name).await?;
    let mut site = Site::new(bench, host.target(), endpoints).await?;
    let (outcome, cost) = site.measure(bench, &host, Drive::Closed).await?;
    host.end(&[&site.app]).await?;
    let seconds = outcome.elapsed.as_secs_f64();
    Ok(Figure {
        name,
        measure: Some(measure(outcome.rate())),
        bounds: Some(BOUNDS),
        latency: outcome.from_start,
        cpu_ns: cost.cpu_ns,
        rss: cost.rss,
        notes: vec![format!("{} deliveries in {seconds:.2} s", outcome.delivered)],
        faults: outcome.faults,
        ..Figure::default()
    })
}
