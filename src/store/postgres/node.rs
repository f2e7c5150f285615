//! This process among others: its number, the row that keeps all of its leases, and the others' rows.
//!
//! A lease is a number with the node's in its upper bits, and counts while the node's row does: one small update every few
//! seconds keeps every lease, and nothing is written when a delivery changes hands. The row's time is the database's; the
//! node itself measures from before it asked, by a clock that does not jump, so that it stops believing first. A node that
//! was too late takes a new number: what it holds under the old one is not its own any more. So does one whose database
//! started again or is another one: results that were not flushed, or not replicated, are gone there, and their entries
//! stand under leases that this node no longer knows of.

use super::{
    link::Links,
    wire::{self, int, natural},
};
use crate::{
    model::{EndpointId, Time},
    store::{Lease, StoreError},
};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;
use tokio_postgres::types::Type;

/// Bits of a lease's number below the node's.
const COUNTER_BITS: u32 = 40;
/// Of the lease time, the part that passes between two heartbeats.
const BEATS: u32 = 6;

const REGISTER: &str = "WITH old AS (DELETE FROM postrider.nodes WHERE node = $2) \
    INSERT INTO postrider.nodes (node, expires_at) \
    VALUES (nextval('postrider.node_number'), now() + make_interval(secs => $1)) \
    RETURNING node, pg_postmaster_start_time()::text AS server, pg_notify('postrider', 'nodes')::text";
const BEAT: &str = "WITH beat AS ( \
        UPDATE postrider.nodes SET expires_at = now() + make_interval(secs => $2) \
        WHERE node = $1 AND expires_at > now() RETURNING node \
    ), gone AS (DELETE FROM postrider.nodes WHERE expires_at < now() - interval '1 minute') \
    SELECT node, pg_postmaster_start_time()::text AS server FROM ( \
        SELECT node FROM beat UNION SELECT node FROM postrider.nodes WHERE expires_at > now() AND node <> $1) alive";

/// This node.
pub(super) struct Node {
    lease: Duration,
    state: Mutex<State>,
    /// It gives up its row, or has done so.
    leaving: AtomicBool,
}

struct State {
    number: u64,
    believed_until: Instant,
    /// When the database server was started, in its own words.
    server: String,
    /// All that live, as far as it is known.
    alive: BTreeSet<u64>,
}

/// What a heartbeat found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing new.
    Quiet,
    /// Somebody is gone, or this node was itself: deliveries may be free.
    Gone,
    /// Somebody has come.
    Come,
}

impl Node {
    /// Registers a new one.
    pub(super) async fn register(links: &Links, lease: Duration) -> Result<Self, StoreError> {
        let state = enlist(links, lease, 0).await?;
        let node = Node { lease, state: Mutex::new(state), leaving: AtomicBool::new(false) };
        // Who else is there decides whose endpoints are whose.
        node.beat(links).await?;
        Ok(node)
    }

    /// No node: it holds no leases.
    pub(super) fn none() -> Self {
        let state = State { number: 0, believed_until: Instant::now(), server: String::new(), alive: BTreeSet::new() };
        Node { lease: Duration::ZERO, state: Mutex::new(state), leaving: AtomicBool::new(false) }
    }

    /// How long to wait between heartbeats.
    pub(super) fn pause(&self) -> Duration {
        self.lease / BEATS
    }

    /// A lease with that counter. It has no time of its own.
    pub(super) fn lease(&self, counter: u64) -> Lease {
        let low = counter & ((1 << COUNTER_BITS) - 1);
        Lease { token: (self.state.lock().number << COUNTER_BITS) | low, until: Time(0) }
    }

    /// Whether a lease is this node's and its row is known to count.
    pub(super) fn stands(&self, lease: Lease) -> bool {
        let state = self.state.lock();
        lease.token >> COUNTER_BITS == state.number && Instant::now() < state.believed_until
    }

    /// Whether an endpoint is this node's: of all live ones the one whose mix with the endpoint is highest, so that few
    /// endpoints change hands when a node comes or goes.
    pub(super) fn owns(&self, endpoint: EndpointId) -> bool {
        let state = self.state.lock();
        let own = mix(endpoint, state.number);
        state.alive.iter().all(|node| *node == state.number || (mix(endpoint, *node), *node) < (own, state.number))
    }

    /// How many live, as far as it is known.
    pub(super) fn alive(&self) -> usize {
        self.state.lock().alive.len()
    }

    fn known(&self) -> (u64, String) {
        let state = self.state.lock();
        (state.number, state.server.clone())
    }

    /// This node's number.
    pub(super) fn number(&self) -> u64 {
        self.state.lock().number
    }

    /// Keeps the row, or takes a new number when that was too late.
    pub(super) async fn beat(&self, links: &Links) -> Result<Beat, StoreError> {
        let (asked, (number, server)) = (Instant::now(), self.known());
        let params =
            [(&int(number) as &(dyn tokio_postgres::types::ToSql + Sync), Type::INT8), (&self.lease.as_secs_f64(), Type::FLOAT8)];
        let rows = links.run(BEAT, &params).await?;
        let alive = rows.iter().map(|row| wire::get::<i64>(row, "node").map(natural)).collect::<Result<BTreeSet<_>, _>>()?;
        let is_server = rows.first().map_or(Ok(true), |row| wire::get::<String>(row, "server").map(|now| now == server))?;
        if self.leaving.load(Relaxed) {
            // Its row is gone because it was given up, and is not to come back.
            return Ok(Beat::Quiet);
        }
        if !alive.contains(&number) || !is_server {
            let why = if is_server { "it was away for longer than its leases" } else { "the database has started again" };
            tracing::warn!(number, "this node starts over under a new number: {why}");
            let fresh = enlist(links, self.lease, number).await?;
            *self.state.lock() = fresh;
            return Ok(Beat::Gone);
        }
        let mut state = self.state.lock();
        state.believed_until = asked + self.lease;
        let beat = match (state.alive.is_subset(&alive), alive.is_subset(&state.alive)) {
            (true, true) => Beat::Quiet,
            (true, false) => Beat::Come,
            (false, _) => Beat::Gone,
        };
        state.alive = alive;
        Ok(beat)
    }

    /// Gives up the row, and with it every lease.
    pub(super) async fn leave(&self, links: &Links) -> Result<(), StoreError> {
        if self.number() == 0 {
            return Ok(());
        }
        self.leaving.store(true, Relaxed);
        let leave = "WITH gone AS (DELETE FROM postrider.nodes WHERE node = $1) SELECT pg_notify('postrider', 'queue'), pg_notify('postrider', 'nodes')";
        links.run(leave, &[(&int(self.number()), Type::INT8)]).await.map(drop)
    }
}

/// The finaliser of SplitMix64 over both.
fn mix(endpoint: EndpointId, node: u64) -> u64 {
    let low = u64::try_from(endpoint.0 & u128::from(u64::MAX)).unwrap_or(0);
    let mut mixed = low ^ node.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// `old`: the number that the node had; its row goes.
async fn enlist(links: &Links, lease: Duration, old: u64) -> Result<State, StoreError> {
    let asked = Instant::now();
    let rows = links.run(REGISTER, &[(&lease.as_secs_f64(), Type::FLOAT8), (&int(old), Type::INT8)]).await?;
    let row = rows.first().ok_or_else(|| wire::damaged("a node"))?;
    let number = natural(wire::get(row, "node")?);
    Ok(State { number, server: wire::get(row, "server")?, believed_until: asked + lease, alive: BTreeSet::from([number]) })
}
