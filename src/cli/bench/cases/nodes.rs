//! How throughput grows with the nodes on one database: one endpoint, closed loop, connections dealt out among the nodes.

use super::super::{
    Bench,
    figure::{Figure, Measure},
};
use super::site::{Drive, Site};
use anyhow::ensure;

/// What the figures are called, by the number of nodes.
const NAMES: [&str; 3] = ["one node", "two nodes", "three nodes"];

/// Deliveries a second with each number of nodes. Not judged: here they share one machine.
pub(super) async fn measure(bench: &Bench, name: &'static str) -> anyhow::Result<Vec<Figure>> {
    ensure!(bench.databases.is_some(), "it needs --store");
    let mut host = bench.host(name).await?;
    let mut site = Site::new(bench, host.target()?, 1).await?;
    let mut figures: Vec<Figure> = Vec::new();
    let mut alone = 0.0;
    for name in NAMES {
        if !figures.is_empty() {
            host.join().await?;
        }
        site.spread(&host.targets())?;
        let (outcome, cost) = site.measure(bench, &host, Drive::Closed).await?;
        if figures.is_empty() {
            alone = outcome.rate();
        }
        let times = outcome.rate() / alone;
        figures.push(Figure {
            name,
            measure: Some(Measure::OfCeiling(outcome.rate())),
            latency: outcome.from_start,
            cpu_ns: cost.cpu_ns,
            rss: cost.rss,
            database: cost.database,
            notes: vec![format!("{times:.2} times one node; nodes, client, receiver and PostgreSQL share this machine's cores")],
            faults: outcome.faults,
            ..Figure::default()
        });
    }
    host.end(&[]).await?;
    Ok(figures)
}
