//! What nodes share: the state, who judges it, what was lost, and who is there.

use super::{
    super::dice::Dice,
    state::{Owed, State, node_of},
};
use crate::{
    clock::Clock,
    model::{AppId, Delivery, DeliveryState, EndpointId, Message, MsgId, Time, Trigger},
    store::{Change, Lease, News, Settlement, embedded::SETTLE_SYNC},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};
use tokio::sync::{Notify, mpsc};

/// How long after a node's death, where there are others, its leases hold.
const LEASE_TIME: Duration = Duration::from_secs(30);

/// Sees what the store is told.
pub(in super::super) trait Judge: Send + Sync {
    /// A result is about to be recorded.
    fn settles(&self, state: &State, settlement: &Settlement);
    /// A delivery was moved.
    fn moved(&self, before: DeliveryState, after: &Delivery);
    /// Records were changed.
    fn changed(&self, changes: &[Change], now: Time);
    /// Messages were pruned.
    fn pruned(&self, app: AppId, messages: &[MsgId], now: Time);
    /// Messages have lost their payloads to their retention.
    fn expunged(&self, messages: &[Arc<Message>], now: Time);
    /// A pending delivery was cancelled.
    fn cancelled(&self, endpoint: EndpointId, msg: MsgId);
}

/// What nodes share.
#[derive(Default)]
pub(in super::super) struct Shared {
    pub(in super::super) state: Mutex<State>,
    pub(in super::super) judge: OnceLock<Arc<dyn Judge>>,
    pub(in super::super) clock: OnceLock<Arc<dyn Clock>>,
    /// There are other processes.
    pub(in super::super) cluster: AtomicBool,
    /// Processes are told of every change, their own included, as those at a database are.
    pub(in super::super) told: AtomicBool,
    /// Nobody gets an answer but that the store is away.
    pub(in super::super) away: AtomicBool,
    /// Told when a node has died.
    pub(in super::super) died: Notify,
    /// Faults by kind.
    pub(in super::super) counts: Mutex<BTreeMap<&'static str, u64>>,
    /// No process came or went since all were there.
    pub(in super::super) steady: AtomicBool,
    /// Until when a node was cut off, and could not know what others did.
    pub(in super::super) cut_off_until: Mutex<Time>,
    /// Successes that are recorded, while the process whose they are has not been told yet.
    pub(in super::super) unheard: Mutex<BTreeSet<(EndpointId, MsgId)>>,
    /// The state before each result that power would take with it, once it is watched.
    pub(in super::super) unsynced: Mutex<Option<Vec<(Time, State)>>>,
    /// Every process that ever was, by its number.
    pub(super) nodes: Mutex<Vec<Member>>,
}

/// A process, as others know it.
pub(in super::super) struct Member {
    /// Since when nobody hears of it: it has ended, or is cut off.
    pub(super) dead_since: Option<Time>,
    /// What it is told waits for one that is cut off; none: it has ended, or goes by another number.
    pub(super) news: Option<mpsc::UnboundedSender<News>>,
}

impl Shared {
    pub(super) fn now(&self) -> Time {
        self.clock.get().map_or(Time(0), |clock| clock.now())
    }

    pub(in super::super) fn count(&self, what: &'static str) {
        *self.counts.lock().entry(what).or_default() += 1;
    }

    /// Whether a node is dead, and others know it.
    pub(super) fn is_gone(&self, node: u64, now: Time) -> bool {
        let nodes = self.nodes.lock();
        let member = usize::try_from(node).ok().and_then(|node| nodes.get(node));
        member.is_some_and(|member| member.dead_since.is_some_and(|since| since.plus(LEASE_TIME) <= now))
    }

    /// Whether anything is leased by a node that may still be there.
    pub(in super::super) fn is_leased(&self) -> bool {
        let now = self.now();
        let holds = |lease: Lease| !self.is_gone(node_of(lease), now);
        self.state.lock().queue.values().any(|owed| owed.over.is_none() && owed.lease.is_some_and(holds))
    }

    /// What has been due since then, and is leased by nobody who may still be there.
    pub(in super::super) fn free_since(&self, since: Time) -> Vec<(EndpointId, MsgId, Trigger)> {
        let (state, now) = (self.state.lock(), self.now());
        let is_free = |owed: &Owed| owed.lease.is_none_or(|held| self.is_gone(node_of(held), now));
        let free = state.queue.iter().filter(|(_, owed)| owed.over.is_none() && owed.due <= since && is_free(owed));
        free.map(|(key, _)| *key).collect()
    }

    /// Tells all nodes.
    pub(in super::super) fn tell(&self, news: &News) {
        self.nodes.lock().iter().filter_map(|member| member.news.as_ref()).for_each(|to| drop(to.send(news.clone())));
    }

    /// The power goes with the only process: what was not durable is gone, as much of it as `chance` says.
    pub(in super::super) fn lose_power(&self, dice: &mut Dice) {
        let died = self.nodes.lock().iter().filter_map(|member| member.dead_since).max().unwrap_or(Time(0));
        let Some(mut unsynced) = self.unsynced.lock().take() else { return };
        unsynced.retain(|(at, _)| at.plus(SETTLE_SYNC) > died);
        if unsynced.is_empty() {
            return;
        }
        self.count("results lost with the power");
        let at = usize::try_from(dice.below(unsynced.len() as u64)).unwrap();
        *self.state.lock() = unsynced.swap_remove(at).1;
    }

    pub(super) fn before_result(&self, state: &State, now: Time) {
        if let Some(unsynced) = &mut *self.unsynced.lock() {
            if unsynced.first().is_some_and(|(since, _)| since.plus(SETTLE_SYNC) <= now) {
                unsynced.clear();
            }
            unsynced.push((now, state.clone()));
        }
    }

    pub(super) fn all_is_durable(&self) {
        if let Some(unsynced) = &mut *self.unsynced.lock() {
            unsynced.clear();
        }
    }
}
