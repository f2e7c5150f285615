//! The raw figure: the client straight into the receiver, with requests that look like deliveries.

use super::super::{
    Bench,
    client::Route,
    figure::{Figure, Measure},
    letter::Letter,
    load::Load,
    outcome::Outcome,
    receiver,
};
use super::site::WARM_UP;
use http::Method;
use std::sync::Arc;

/// The headers of a delivery besides `host` and `content-type`; the values have the usual lengths.
const HEADERS: [(&str, &str); 4] = [
    ("user-agent", concat!("postrider/", env!("CARGO_PKG_VERSION"))),
    ("webhook-id", "msg_00000000000000000000000000"),
    ("webhook-timestamp", "1700000000"),
    ("webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
];

/// Requests a second, closed loop.
pub(super) async fn measure(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    let path = receiver::path(bench.board.open(1), 0);
    let mut load = Load {
        board: Arc::clone(&bench.board),
        route: Route::new(bench.receiver.address(), Method::POST, &path, &HEADERS)?,
        others: Vec::new(),
        letter: Letter::payload(bench.args.payload),
        from: 0,
        connections: bench.args.connections,
    };
    let warm = load.closed(WARM_UP, usize::MAX).await;
    load.from = u32::try_from(warm.sent.len())?;
    bench.board.restart(load.from);
    let log = load.closed(bench.args.window(), usize::MAX).await;
    let outcome = Outcome::gather(&bench.board, log, 1).await;
    Ok(Figure {
        name,
        measure: Some(Measure::Raw(outcome.rate())),
        latency: outcome.from_start,
        faults: outcome.faults,
        ..Figure::default()
    })
}
