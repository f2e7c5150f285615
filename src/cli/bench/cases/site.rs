//! A site under load: an application with endpoints at the receiver, in a round of its own.

use super::super::{
    Bench,
    api::{Admin, Target},
    client::Route,
    host::{Cost, Host},
    letter::Letter,
    load::{Load, Log},
    outcome::Outcome,
    seal::Seal,
};
use http::Method;
use std::{sync::Arc, time::Duration};

/// What third parties sign with.
const SECRET: &str = "a secret of the bench";
/// Load before each measurement.
pub(super) const WARM_UP: Duration = Duration::from_secs(1);

/// An application whose endpoints are the receiver.
#[derive(Debug)]
pub(in super::super) struct Site {
    /// Its application.
    pub(super) app: String,
    load: Load,
    endpoints: u32,
}

/// How to drive a load.
#[derive(Clone, Copy, Debug)]
pub(super) enum Drive {
    /// The next request waits for the last answer.
    Closed,
    /// So many messages a second.
    Open(u64),
}

impl Site {
    /// Sets one up.
    pub(in super::super) async fn new(bench: &Bench, target: &Target, endpoints: u32) -> anyhow::Result<Self> {
        let round = bench.board.open(endpoints);
        let mut admin = Admin::new(target.clone());
        let app = admin.app("bench").await?;
        for endpoint in 0..endpoints {
            admin.endpoint(&app, &bench.receiver.url(round, endpoint)).await?;
        }
        let load = load(bench, target, &app)?;
        Ok(Site { app, load, endpoints })
    }

    /// Sets one up whose application owns a source, and gets its messages from there.
    pub(in super::super) async fn receiving(bench: &Bench, target: &Target) -> anyhow::Result<Self> {
        let site = Self::new(bench, target, 1).await?;
        let path = Admin::new(target.clone()).source(&site.app, SECRET).await?;
        let route = Route::new(target.address, Method::POST, &path, &[])?.sealed(Seal::new(SECRET)?);
        Ok(Site { load: Load { route, letter: Letter::payload(bench.args.payload), ..site.load }, ..site })
    }

    /// Warms up, then measures for the bench's window.
    pub(super) async fn measure(&mut self, bench: &Bench, host: &Host, drive: Drive) -> anyhow::Result<(Outcome, Cost)> {
        self.run(bench, drive, WARM_UP).await?;
        let before = host.used().await?;
        let outcome = self.run(bench, drive, bench.args.window()).await?;
        let cost = host.cost(before, &outcome, self.endpoints).await?;
        Ok((outcome, cost))
    }

    /// Drives until the time is over and what was accepted has arrived.
    pub(super) async fn run(&mut self, bench: &Bench, drive: Drive, window: Duration) -> anyhow::Result<Outcome> {
        bench.board.restart(self.load.from);
        let log = match drive {
            Drive::Closed => self.load.closed(window, usize::MAX).await,
            Drive::Open(rate) => self.load.open(rate, window).await?,
        };
        self.load.from += u32::try_from(log.sent.len())?;
        Ok(Outcome::gather(&bench.board, log, self.endpoints).await)
    }

    /// Sends so many messages and waits for them.
    pub(in super::super) async fn send(&mut self, bench: &Bench, count: usize) -> Outcome {
        bench.board.restart(self.load.from);
        let log = self.load.closed(bench.args.fill(), count).await;
        self.load.from = self.load.from.saturating_add(u32::try_from(log.sent.len()).unwrap_or(u32::MAX));
        Outcome::gather(&bench.board, log, self.endpoints).await
    }

    /// Sends so many messages, however long it takes up to `longest`, and waits for them.
    pub(super) async fn pass(&mut self, bench: &Bench, count: usize, longest: Duration) -> anyhow::Result<Outcome> {
        bench.board.restart(self.load.from);
        let log = self.load.closed(longest, count).await;
        self.load.from += u32::try_from(log.sent.len())?;
        Ok(Outcome::gather(&bench.board, log, self.endpoints).await)
    }

    /// Goes on against all nodes of a database.
    pub(super) fn spread(&mut self, targets: &[&Target]) -> anyhow::Result<()> {
        self.load.others = targets.iter().skip(1).map(|target| target.messages(&self.app)).collect::<anyhow::Result<_>>()?;
        Ok(())
    }

    /// Goes on against the same application elsewhere, after a restart.
    pub(super) fn move_to(&mut self, bench: &Bench, target: &Target) -> anyhow::Result<()> {
        self.load = Load { from: self.load.from, ..load(bench, target, &self.app)? };
        Ok(())
    }
}

/// The load that creates messages of an application.
fn load(bench: &Bench, target: &Target, app: &str) -> anyhow::Result<Load> {
    Ok(Load {
        board: Arc::clone(&bench.board),
        route: target.messages(app)?,
        others: Vec::new(),
        letter: Letter::message(bench.args.payload),
        from: 0,
        connections: bench.args.connections,
    })
}

/// Creates so many messages of an application, without looking at their deliveries.
pub(super) async fn fill(bench: &Bench, target: &Target, app: &str, count: u32) -> anyhow::Result<Log> {
    Ok(load(bench, target, app)?.closed(bench.args.fill(), usize::try_from(count)?).await)
}

/// An address that takes connections and never answers: nothing ever accepts what its queue holds.
pub(super) fn hanging(bench: &Bench) -> std::io::Result<std::net::TcpListener> {
    std::net::TcpListener::bind((bench.args.receive_listen, 0))
}
