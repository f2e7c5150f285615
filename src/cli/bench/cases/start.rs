//! Start after a kill, with many deliveries pending.

use super::super::{
    Bench,
    api::{Admin, Target},
    figure::{Bounds, Figure, Measure},
    server::Server,
};
use super::{
    neighbour::show,
    site::{Site, fill, hanging},
};
use anyhow::ensure;
use tokio::time::Instant;

/// Nanoseconds from the start of the process to the first fresh delivery.
const BOUNDS: Bounds = Bounds { floor: 10e9, goal: 2e9 };
/// Endpoints of the application whose deliveries wait.
const ENDPOINTS: u32 = 100;
/// Its messages.
const MESSAGES: u32 = 10_000;

/// Time from the start of the process until a fresh message of another application is delivered.
pub(super) async fn measure(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    ensure!(bench.given.is_none(), "it needs a server of our own");
    let recipe = bench.recipe(name).await?;
    let server = Server::start(&recipe).await?;
    let silence = hanging(bench)?;
    let mut site = Site::new(bench, server.target(), 1).await?;
    let (app, endpoints) = wait_for(server.target(), &format!("http://{}/", silence.local_addr()?)).await?;
    let begin = Instant::now();
    let log = fill(bench, server.target(), &app, bench.args.scaled(MESSAGES)).await?;
    let filling = begin.elapsed().as_secs_f64();
    server.kill().await?;

    let server = Server::start(&recipe).await?;
    let healthy = server.born().elapsed().as_secs_f64();
    site.move_to(bench, server.target())?;
    let outcome = site.send(bench, 1).await;
    let delivered = bench.board.tally().last.saturating_sub(bench.board.stamp(server.born()));
    let pending = count(server.target(), &app, &endpoints).await;
    let usage = server.usage()?;
    server.kill().await?;
    recipe.remove().await?;
    let mut figure = Figure {
        name,
        measure: (outcome.delivered == 1).then_some(Measure::Time(delivered)),
        bounds: Some(BOUNDS),
        unjudged: log.accepted() < u64::from(MESSAGES) || bench.databases.is_some(),
        rss: Some(usage.rss),
        faults: outcome.faults,
        notes: vec![
            format!("healthy after {healthy:.2} s; then a fresh message of another application was sent"),
            format!(
                "{} messages to {ENDPOINTS} hanging endpoints, accepted in {filling:.1} s; pending after the start: {}",
                log.accepted(),
                show(pending)
            ),
        ],
        ..Figure::default()
    };
    figure.faults.errors += log.errors;
    figure.faults.first_error = figure.faults.first_error.or(log.first_error);
    Ok(figure)
}

/// An application with endpoints at that address.
async fn wait_for(target: &Target, url: &str) -> anyhow::Result<(String, Vec<String>)> {
    let mut admin = Admin::new(target.clone());
    let app = admin.app("bench waiting").await?;
    let mut endpoints = Vec::new();
    for _ in 0..ENDPOINTS {
        endpoints.push(admin.endpoint(&app, url).await?);
    }
    Ok((app, endpoints))
}

/// The pending deliveries of those endpoints, as the server counts them.
async fn count(target: &Target, app: &str, endpoints: &[String]) -> anyhow::Result<u64> {
    let mut admin = Admin::new(target.clone());
    let mut pending = 0;
    for endpoint in endpoints {
        pending += admin.pending(app, endpoint).await?;
    }
    Ok(pending)
}
