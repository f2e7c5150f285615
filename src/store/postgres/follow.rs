//! Following: what other nodes changed, and what they left behind. Notifications bring it at once over a connection of
//! their own, which must be direct (a pooler in transaction mode passes none on); without them, or when one is lost,
//! looking every second finds the same.

use super::{
    Shared,
    node::Beat,
    wire::{self, damaged},
};
use crate::{
    model::{EndpointId, MsgId},
    store::{News, StoreError},
};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_postgres::{AsyncMessage, Client, types::Type};

/// Between two looks for changes.
const LOOK: Duration = Duration::from_secs(1);
/// Between two tries to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);
/// Of so many heartbeats, one is followed by a look at everything queued, come what may.
const LOOK_AT_QUEUE: u32 = 12;
/// Between two looks whether partitions are to be made.
const PARTITIONS: Duration = Duration::from_secs(3600);
/// Between two calls to other nodes.
const BETWEEN_CALLS: Duration = Duration::from_millis(20);
/// Endpoints in one call: a notification holds at most 8000 bytes.
const CALLED_AT_ONCE: usize = 200;
/// Days whose partitions are made: yesterday's on.
const DAYS: i64 = 6;
const DAY_MS: u64 = 86_400_000;

/// Changes at and above a transaction, with the one below which no more can come.
const CHANGES: &str = "\
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS low, c.seq, c.scope, c.kind, c.key \
    FROM (SELECT 1) one LEFT JOIN postrider.changes c ON c.xact >= $1::text::xid8 ORDER BY c.seq";

/// How far changes were read.
#[derive(Default)]
pub(super) struct Position {
    low: String,
    seen: HashSet<i64>,
}

impl Position {
    /// Where the database is now: what came before needs no telling.
    pub(super) async fn now(shared: &Shared) -> Result<Self, StoreError> {
        let rows = shared.links.records.read("SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS low", &[]).await?;
        let row = rows.first().ok_or_else(|| damaged("a snapshot"))?;
        Ok(Position { low: wire::get(row, "low")?, seen: HashSet::new() })
    }

    /// Tells what has changed since.
    async fn look(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let rows = shared.links.records.read(CHANGES, &[(&self.low, Type::TEXT)]).await?;
        let mut still = HashSet::new();
        for row in &rows {
            self.low = wire::get(row, "low")?;
            let Some(seq) = wire::get::<Option<i64>>(row, "seq")? else { continue };
            still.insert(seq);
            if !self.seen.contains(&seq) {
                shared.tell(News::Record(wire::address(row)?));
            }
        }
        self.seen = still;
        Ok(())
    }
}

/// Listens and looks until the store is closed.
pub(super) async fn changes(shared: Arc<Shared>, mut position: Position) {
    let (heard, mut hearing) = mpsc::unbounded_channel::<String>();
    let mut listener: Option<Client> = None;
    let mut listen_at = Instant::now();
    while !shared.closed() {
        if listener.as_ref().is_none_or(Client::is_closed) && Instant::now() >= listen_at {
            listener = listen(&shared, heard.clone()).await;
            listen_at = Instant::now() + LISTEN_AGAIN;
        }
        tokio::select! {
            payload = hearing.recv() => {
                match payload.as_deref().map(|payload| payload.split_once(' ').unwrap_or((payload, ""))) {
                    Some(("queue", _)) => {
                        shared.tell(News::Queue);
                        continue;
                    }
                    Some(("nodes", _)) => {
                        shared.beat.notify_one();
                        continue;
                    }
                    Some(("due", endpoints)) => {
                        due(&shared, endpoints);
                        continue;
                    }
                    Some(("cancelled", which)) => {
                        cancelled(&shared, which);
                        continue;
                    }
                    _ => {}
                }
            }
            () = sleep(LOOK) => {}
            () = shared.ended() => return,
        }
        if let Err(error) = position.look(&shared).await
            && !shared.closed()
        {
            tracing::debug!(%error, "changes of other nodes not seen yet");
        }
    }
}

async fn listen(shared: &Shared, heard: mpsc::UnboundedSender<String>) -> Option<Client> {
    let hear = move |message| {
        if let AsyncMessage::Notification(notification) = message {
            let _nobody_listens = heard.send(notification.payload().to_owned());
        }
    };
    let client = shared.place.listen(hear).await.ok()?;
    client.batch_execute("LISTEN postrider").await.ok()?;
    Some(client)
}

fn due(shared: &Shared, endpoints: &str) {
    let endpoints = endpoints.split(' ').filter_map(|hex| u128::from_str_radix(hex, 16).ok()).map(EndpointId);
    endpoints.filter(|endpoint| shared.node.owns(*endpoint)).for_each(|endpoint| shared.tell(News::Due(endpoint)));
}

/// One that this node has asked for itself comes too, and finds nothing.
fn cancelled(shared: &Shared, which: &str) {
    let number = |hex| u128::from_str_radix(hex, 16).ok();
    if let Some((endpoint, msg)) = which.split_once(' ').and_then(|(endpoint, msg)| Some((number(endpoint)?, number(msg)?))) {
        shared.tell(News::Cancelled(EndpointId(endpoint), MsgId(msg)));
    }
}

/// Tells other nodes of their endpoints that have something due. A notification that is lost is made good by the look at
/// everything queued.
pub(super) async fn calls(shared: Arc<Shared>) {
    while !shared.closed() {
        tokio::select! {
            () = shared.called.notified() => {}
            () = shared.ended() => return,
        }
        let endpoints: Vec<_> = std::mem::take(&mut *shared.calls.lock()).into_iter().collect();
        for some in endpoints.chunks(CALLED_AT_ONCE) {
            let hex: Vec<_> = some.iter().map(|endpoint| format!("{:x}", endpoint.0)).collect();
            let payload = format!("due {}", hex.join(" "));
            if let Err(error) = shared.links.records.run("SELECT pg_notify('postrider', $1)", &[(&payload, Type::TEXT)]).await {
                tracing::debug!(%error, "other nodes not called");
            }
        }
        sleep(BETWEEN_CALLS).await;
    }
}

/// Keeps this node's row, gives back what is owed, makes partitions ahead, until the store is closed.
pub(super) async fn heartbeats(shared: Arc<Shared>) {
    let (mut beats, mut partitions_at) = (0u32, Instant::now() + PARTITIONS);
    let mut processes = shared.node.alive();
    shared.tell(News::Processes(processes));
    while !shared.closed() {
        tokio::select! {
            () = sleep(shared.node.pause()) => {}
            () = shared.beat.notified() => {}
            () = shared.ended() => return,
        }
        beats = beats.wrapping_add(1);
        let beat = async {
            let beat = shared.node.beat(&shared.links.beats).await?;
            let alive = shared.node.alive();
            if alive != processes {
                processes = alive;
                shared.tell(News::Processes(alive));
            }
            let freed = shared.owed.give_back(&shared.links.beats).await?;
            Ok::<_, StoreError>(beat != Beat::Quiet || freed || beats.is_multiple_of(LOOK_AT_QUEUE))
        };
        match beat.await {
            Ok(true) => shared.tell(News::Queue),
            Ok(false) => {}
            Err(error) if shared.closed() => tracing::debug!(%error, "the last heartbeat"),
            Err(error) => tracing::warn!(%error, "no heartbeat"),
        }
        if Instant::now() >= partitions_at {
            partitions_at = Instant::now() + PARTITIONS;
            if let Err(error) = partitions(&shared).await {
                tracing::warn!(%error, "partitions not made; messages go to the default ones until they are");
            }
        }
    }
}

/// Makes the partitions of the coming days.
pub(super) async fn partitions(shared: &Shared) -> Result<(), StoreError> {
    let yesterday = i64::try_from(shared.clock.now().0 / DAY_MS).unwrap_or(0) - 1;
    let statement = "SELECT postrider.make_partitions_1($1, $2)";
    shared.links.upkeep.run(statement, &[(&yesterday, Type::INT8), (&DAYS, Type::INT8)]).await.map(drop)
}
