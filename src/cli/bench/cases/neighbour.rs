//! Healthy endpoints, alone and then beside some that never answer and have messages waiting.

use super::super::{
    Bench,
    api::Admin,
    figure::{Bounds, Figure, Measure},
    outcome::Faults,
};
use super::site::{Drive, Site, fill, hanging};
use anyhow::Context;

/// How much larger the p99 may be.
const BOUNDS: Bounds = Bounds { floor: 2.0, goal: 1.2 };

/// Who lives beside whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Street {
    /// Endpoints of the healthy application.
    healthy: u32,
    /// Applications whose only endpoint hangs.
    hanging: u32,
    /// Messages that wait for each of these.
    waiting: u32,
}

/// One beside one, with many messages waiting.
pub(super) const NEIGHBOUR: Street = Street { healthy: 1, hanging: 1, waiting: 2000 };
/// Of a hundred endpoints, half hang.
pub(super) const CROWD: Street = Street { healthy: 50, hanging: 50, waiting: 200 };

/// The ratio of the two p99. The healthy endpoints get half as many deliveries a second as the rate says.
pub(super) async fn measure(bench: &Bench, name: &'static str, street: Street) -> anyhow::Result<Figure> {
    let host = bench.host(name).await?;
    let mut site = Site::new(bench, host.target()?, street.healthy).await?;
    let rate = (bench.args.rate / 2 / u64::from(street.healthy)).max(1);
    let (alone, _) = site.measure(bench, &host, Drive::Open(rate)).await?;

    let mut admin = Admin::new(host.target()?.clone());
    let (mut silences, mut ill, mut accepted, mut faults) = (Vec::new(), Vec::new(), 0, Faults::default());
    for _ in 0..street.hanging {
        let silence = hanging(bench)?;
        let app = admin.app("bench hanging").await?;
        let endpoint = admin.endpoint(&app, &format!("http://{}/", silence.local_addr()?)).await?;
        let waiting = fill(bench, host.target()?, &app, street.waiting).await?;
        accepted += waiting.accepted();
        faults.errors += waiting.errors;
        faults.first_error = faults.first_error.or(waiting.first_error);
        silences.push(silence);
        ill.push((app, endpoint));
    }
    let (beside, cost) = site.measure(bench, &host, Drive::Open(rate)).await?;
    let mut pending = Ok(0);
    for (app, endpoint) in &ill {
        let more = admin.pending(app, endpoint).await;
        pending = pending.and_then(|sum| more.map(|more| sum + more));
    }
    let apps: Vec<&str> = [site.app.as_str()].into_iter().chain(ill.iter().map(|(app, _)| app.as_str())).collect();
    host.end(&apps).await?;

    let before = alone.from_start.context("nothing arrived alone")?;
    let after = beside.from_start.context("nothing arrived beside")?;
    let ms = |ns: u64| ns as f64 / 1e6;
    faults.add(beside.faults);
    faults.add(alone.faults);
    Ok(Figure {
        name,
        measure: Some(Measure::Times(after.p99 as f64 / before.p99 as f64)),
        bounds: Some(BOUNDS),
        latency: Some(after),
        cpu_ns: cost.cpu_ns,
        database: cost.database,
        rss: cost.rss,
        faults,
        notes: vec![
            format!(
                "{rate} messages/s to each of {} endpoints; p99 alone {:.2} ms, beside {:.2} ms",
                street.healthy,
                ms(before.p99),
                ms(after.p99)
            ),
            format!("{accepted} messages were accepted for {} hanging endpoints; pending after: {}", street.hanging, show(pending)),
        ],
        ..Figure::default()
    })
}

/// A count of the server, or why there is none.
pub(super) fn show(pending: anyhow::Result<u64>) -> String {
    pending.map_or_else(|error| format!("unknown ({error:#})"), |count| count.to_string())
}
