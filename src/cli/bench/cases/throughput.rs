//! Deliveries a second in a closed loop, until the last one has arrived.

use super::super::{
    Bench,
    figure::{Bounds, Figure, Measure},
    host::Host,
};
use super::site::{Drive, Site};

/// Shares asked for, of the ceiling with one endpoint and of the raw figure with ten.
const BOUNDS: Bounds = Bounds { floor: 0.4, goal: 0.6 };
/// Share of the ceiling asked for with one endpoint on PostgreSQL on the same machine.
const DATABASE_BOUNDS: Bounds = Bounds { floor: 0.15, goal: 0.25 };
/// Share of the ceiling asked for of receiving: a request is verified, and its event kept against repetition.
const RECEIVE_BOUNDS: Bounds = Bounds { floor: 0.35, goal: 0.5 };
/// Endpoints of each message in the second case.
const TEN: u32 = 10;

/// One endpoint.
pub(super) async fn one(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    let host = bench.host(name).await?;
    let site = Site::new(bench, host.target()?, 1).await?;
    let bounds = if bench.databases.is_some() { DATABASE_BOUNDS } else { BOUNDS };
    flood(bench, (host, site), Figure { name, bounds: Some(bounds), ..Figure::default() }, Measure::OfCeiling).await
}

/// Ten endpoints of one application.
pub(super) async fn ten(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    let host = bench.host(name).await?;
    let site = Site::new(bench, host.target()?, TEN).await?;
    flood(
        bench,
        (host, site),
        Figure { name, bounds: Some(BOUNDS), unjudged: bench.databases.is_some(), ..Figure::default() },
        Measure::OfRaw,
    )
    .await
}

/// A source, and one endpoint that gets what it receives.
pub(super) async fn receive(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    let host = bench.host(name).await?;
    let site = Site::receiving(bench, host.target()?).await?;
    let unjudged = bench.databases.is_some();
    flood(bench, (host, site), Figure { name, bounds: Some(RECEIVE_BOUNDS), unjudged, ..Figure::default() }, Measure::OfCeiling)
        .await
}

async fn flood(
    bench: &Bench,
    (host, mut site): (Host, Site),
    figure: Figure,
    measure: fn(f64) -> Measure,
) -> anyhow::Result<Figure> {
    let (outcome, cost) = site.measure(bench, &host, Drive::Closed).await?;
    host.end(&[&site.app]).await?;
    let seconds = outcome.elapsed.as_secs_f64();
    Ok(Figure {
        measure: Some(measure(outcome.rate())),
        latency: outcome.from_start,
        cpu_ns: cost.cpu_ns,
        database: cost.database,
        rss: cost.rss,
        notes: vec![format!("{} deliveries in {seconds:.2} s", outcome.delivered)],
        faults: outcome.faults,
        ..figure
    })
}
