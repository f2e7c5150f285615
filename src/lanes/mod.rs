//! Lanes: one for each endpoint that has work, so that no endpoint can hurt another.
//!
//! This module decides and does nothing else: no I/O, no tasks, no clock of its own. `flow::dispatch` carries the decisions
//! out. A lane holds a bounded part of its endpoint's queue in memory; the rest stays in the store.

mod alarm;
mod bucket;
mod budget;
mod circuit;
mod concurrency;
mod lane;
mod slots;

pub use alarm::Alarm;
pub use budget::Budget;
pub use circuit::CircuitState;
pub use lane::{Lane, LaneView, Limits, Next, Report, Ring, Work, share};

use crate::model::{EndpointId, Time};
use foldhash::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;

/// Locks over which the lanes are spread.
const SHARDS: usize = 32;

/// The lanes of all endpoints that have work.
#[derive(Debug)]
pub struct Lanes {
    shards: Vec<Mutex<HashMap<EndpointId, Arc<Lane>>>>,
    /// What they share.
    pub budget: Budget,
    /// When lanes that wait for a time are to be looked at.
    pub alarm: Alarm,
}

impl Lanes {
    /// Lanes that together run at most `max_in_flight` attempts.
    #[must_use]
    pub fn new(max_in_flight: usize) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Lanes { shards, budget: Budget::new(max_in_flight), alarm: Alarm::default() }
    }

    fn shard(&self, endpoint: EndpointId) -> Option<&Mutex<HashMap<EndpointId, Arc<Lane>>>> {
        // The low bits are chance.
        self.shards.get(usize::try_from(endpoint.0 % SHARDS as u128).unwrap_or(0))
    }

    /// The endpoint's lane, made when it has none.
    #[must_use]
    pub fn open(&self, endpoint: EndpointId) -> Arc<Lane> {
        match self.shard(endpoint) {
            Some(shard) => shard.lock().entry(endpoint).or_insert_with(|| Arc::new(Lane::new(endpoint))).clone(),
            None => Arc::new(Lane::new(endpoint)),
        }
    }

    /// The endpoint's lane, if it has one.
    #[must_use]
    pub fn get(&self, endpoint: EndpointId) -> Option<Arc<Lane>> {
        self.shard(endpoint)?.lock().get(&endpoint).cloned()
    }

    /// So many processes, this one included, deliver: what an endpoint gets at once, unless it says so itself, is shared.
    pub fn share_with(&self, processes: usize) {
        self.budget.share_with(processes);
    }

    /// Attempts that run and work that waits in memory, over all lanes.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.budget.in_flight() == 0
    }

    /// Forgets lanes that have nothing to do; the number forgotten.
    pub fn sweep(&self, now: Time) -> usize {
        let mut swept = 0;
        for shard in &self.shards {
            let mut lanes = shard.lock();
            let before = lanes.len();
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || !lane.is_idle(now));
            swept += before - lanes.len();
            lanes.shrink_to_fit();
        }
        swept
    }
}
