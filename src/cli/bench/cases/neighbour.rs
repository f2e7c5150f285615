//! A healthy application, alone and then beside one whose endpoint never answers and has messages waiting.

use super::super::{
    Bench,
    api::Admin,
    figure::{Bounds, Figure, Measure},
};
use super::site::{Drive, Site, fill, hanging};
use anyhow::Context;

/// How much larger the p99 may be.
const BOUNDS: Bounds = Bounds { floor: 2.0, goal: 1.2 };
/// Messages that wait for the hanging endpoint.
const WAITING: u32 = 2000;

/// The ratio of the two p99.
pub(super) async fn measure(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    let host = bench.host(name).await?;
    let mut site = Site::new(bench, host.target()?, 1).await?;
    let drive = Drive::Open(bench.args.rate / 2);
    let (alone, _) = site.measure(bench, &host, drive).await?;

    let silence = hanging(bench)?;
    let mut admin = Admin::new(host.target()?.clone());
    let app = admin.app("bench hanging").await?;
    let endpoint = admin.endpoint(&app, &format!("http://{}/", silence.local_addr()?)).await?;
    let waiting = fill(bench, host.target()?, &app, WAITING).await?;
    let (beside, cost) = site.measure(bench, &host, drive).await?;
    let pending = admin.pending(&app, &endpoint).await;
    host.end(&[&site.app, &app]).await?;

    let before = alone.from_start.context("nothing arrived alone")?;
    let after = beside.from_start.context("nothing arrived beside")?;
    let ms = |ns: u64| ns as f64 / 1e6;
    let mut figure = Figure {
        name,
        measure: Some(Measure::Times(after.p99 as f64 / before.p99 as f64)),
        bounds: Some(BOUNDS),
        latency: Some(after),
        cpu_ns: cost.cpu_ns,
        database: cost.database,
        rss: cost.rss,
        faults: beside.faults,
        notes: vec![
            format!("{} messages/s; p99 alone {:.2} ms, beside {:.2} ms", bench.args.rate / 2, ms(before.p99), ms(after.p99)),
            format!("{} messages were accepted for the hanging endpoint; pending after: {}", waiting.accepted(), show(pending)),
        ],
        ..Figure::default()
    };
    figure.faults.add(alone.faults);
    figure.faults.errors += waiting.errors;
    figure.faults.first_error = figure.faults.first_error.or(waiting.first_error);
    Ok(figure)
}

/// A count of the server, or why there is none.
pub(super) fn show(pending: anyhow::Result<u64>) -> String {
    pending.map_or_else(|error| format!("unknown ({error:#})"), |count| count.to_string())
}
