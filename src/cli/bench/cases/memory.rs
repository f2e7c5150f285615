//! Memory of an idle server with many endpoints.

use super::super::{
    Bench,
    api::{Admin, Target},
    figure::{Bounds, Figure, Measure},
    server::Server,
};
use anyhow::ensure;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// Resident bytes.
const BOUNDS: Bounds = Bounds { floor: 300e6, goal: 150e6 };
/// Applications.
const APPS: u32 = 10_000;
/// Endpoints of each.
const ENDPOINTS: u32 = 10;
/// How long the server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(3);

/// Resident memory after a restart and a rest.
pub(super) async fn measure(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    ensure!(bench.given.is_none(), "it needs a server of our own");
    let recipe = bench.recipe(name).await?;
    let server = Server::start(&recipe).await?;
    let wanted = bench.args.scaled(APPS);
    let begin = Instant::now();
    let made = fill(bench, server.target(), wanted).await?;
    let filling = begin.elapsed().as_secs_f64();
    let filled = server.usage()?;
    server.stop().await?;

    let server = Server::start(&recipe).await?;
    let started = server.born().elapsed().as_secs_f64();
    tokio::time::sleep(IDLE).await;
    let usage = server.usage()?;
    server.stop().await?;
    recipe.remove().await?;
    let mb = filled.rss / 1_000_000;
    Ok(Figure {
        name,
        measure: Some(Measure::Bytes(usage.rss)),
        bounds: Some(BOUNDS),
        unjudged: made < APPS || bench.databases.is_some(),
        rss: Some(usage.rss),
        notes: vec![
            format!("{} endpoints in {made} of {wanted} applications, made in {filling:.1} s ({mb} MB then)", made * ENDPOINTS),
            format!("healthy {started:.2} s after the restart; read {IDLE:?} later"),
        ],
        ..Figure::default()
    })
}

/// Makes applications with their endpoints until there are so many, or the time for it is over; how many are complete.
async fn fill(bench: &Bench, target: &Target, apps: u32) -> anyhow::Result<u32> {
    let until = Instant::now() + bench.args.fill();
    let next = Arc::new(AtomicU32::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..bench.args.connections {
        let (mut admin, next) = (Admin::new(target.clone()), Arc::clone(&next));
        let url = bench.receiver.url(0, 0);
        workers.spawn(async move {
            let mut made = 0;
            while Instant::now() < until && next.fetch_add(1, Ordering::Relaxed) < apps {
                let app = admin.app("bench").await?;
                for _ in 0..ENDPOINTS {
                    admin.endpoint(&app, &url).await?;
                }
                made += 1;
            }
            anyhow::Ok(made)
        });
    }
    let mut made = 0;
    while let Some(worker) = workers.join_next().await {
        made += worker??;
    }
    Ok(made)
}
