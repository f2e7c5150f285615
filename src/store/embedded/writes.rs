//! The batch that is being built: verbs validate against the database *plus* what the same batch holds already, and a
//! verb that fails takes back what it had staged, so that verbs sharing a commit stay all or nothing each.

use super::codec::{self, Counters};
use super::keys::{self, OrderEntryKey, OrderPlace, Place, StatsKey};
use super::lanes::Lanes;
use super::order::{self, Waiting};
use super::spaces::{PerSpace, Space, Spaces, failure};
use crate::model::{Delivery, DeliveryState, EndpointId, MsgId, OrderKey, Time, Trigger};
use crate::store::StoreError;
use fjall::{PersistMode, Slice};
use foldhash::HashMap;
use parking_lot::MutexGuard;
use std::{collections::BTreeSet, ops::Bound};

/// Counters kept in memory at most, so that the busy ones need no read.
const CACHED_COUNTERS: usize = 4096;
/// Writes to a keyspace for which a batch keeps room from one to the next.
const KEPT_ROOM: usize = 1024;
/// Revisions reserved with one write.
const REVISION_BLOCK: u64 = 1 << 20;
/// Under which key `meta` keeps the next free revision.
const REVISION_KEY: &[u8] = b"revision";

/// Values staged; `None` deletes.
type Staged = PerSpace<HashMap<Slice, Option<Slice>>>;

/// What outlives a batch.
#[derive(Debug, Default)]
pub(super) struct Memory {
    counters: HashMap<StatsKey, Counters>,
    /// The next revision, and the first that is not reserved yet.
    revisions: Option<(u64, u64)>,
    /// The last batch's, empty: the next one need not grow its own.
    staged: Staged,
}

/// What the lanes learn once the batch is committed: earlier, a claim could see an entry that is about to go, or move
/// past one that is about to come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// The entry is gone, with its lease.
    Ended(EndpointId, Trigger, MsgId),
    /// An entry that nobody holds.
    Queued(EndpointId, Trigger, Place),
    /// Everything of the endpoint is gone.
    Forgotten(EndpointId),
}

/// A batch under construction.
pub(super) struct Writes<'a> {
    spaces: &'a Spaces,
    memory: &'a mut Memory,
    /// Held while the batch is built.
    pub(super) lanes: MutexGuard<'a, Lanes>,
    staged: Staged,
    /// Keys of `order` that were staged; those that stay are in `staged` too.
    ordered: BTreeSet<OrderEntryKey>,
    undo: Vec<(Space, Slice, Option<Option<Slice>>)>,
    effects: Vec<Effect>,
}

/// A batch ready to be committed.
pub(super) struct Built {
    staged: Staged,
    effects: Vec<Effect>,
}

impl<'a> Writes<'a> {
    /// An empty batch.
    pub(super) fn new(spaces: &'a Spaces, memory: &'a mut Memory, lanes: MutexGuard<'a, Lanes>) -> Self {
        let staged = std::mem::take(&mut memory.staged);
        Writes { spaces, memory, lanes, staged, ordered: BTreeSet::new(), undo: Vec::new(), effects: Vec::new() }
    }

    /// Runs one verb; when it fails, nothing of it stays. The verb touches `lanes` only once it can no longer fail.
    pub(super) fn run<T>(&mut self, verb: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.undo.clear();
        let effects = self.effects.len();
        let result = verb(self);
        if result.is_err() {
            self.effects.truncate(effects);
            for (space, key, before) in self.undo.drain(..).rev() {
                match before {
                    Some(value) => self.staged.of_mut(space).insert(key, value),
                    None => self.staged.of_mut(space).remove(&key),
                };
            }
        }
        result
    }

    /// The batch, when every verb has run.
    pub(super) fn finish(self) -> Built {
        Built { staged: self.staged, effects: self.effects }
    }

    /// The value as it will be.
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, StoreError> {
        match self.staged.of(space).get(key) {
            Some(staged) => Ok(staged.clone()),
            None => self.spaces.get(space, key),
        }
    }

    /// Stages a value.
    pub(super) fn put(&mut self, space: Space, key: impl Into<Slice>, value: impl Into<Slice>) {
        self.stage(space, key.into(), Some(value.into()));
    }

    /// Stages a deletion.
    pub(super) fn remove(&mut self, space: Space, key: impl Into<Slice>) {
        self.stage(space, key.into(), None);
    }

    fn stage(&mut self, space: Space, key: Slice, value: Option<Slice>) {
        let before = self.staged.of_mut(space).insert(key.clone(), value);
        self.undo.push((space, key, before));
    }

    /// Adds an entry to the queue, which nobody holds.
    pub(super) fn enqueue(&mut self, delivery: &Delivery, trigger: Trigger, place: Place) {
        self.put(Space::Queue, keys::queue(delivery.endpoint, trigger, place), delivery.app.bytes());
        self.effects.push(Effect::Queued(delivery.endpoint, trigger, place));
    }

    /// Lets something wait in its place of the order.
    pub(super) fn put_waiting(&mut self, key: OrderEntryKey, value: Vec<u8>) {
        self.ordered.insert(key);
        self.put(Space::Order, key, value);
    }

    /// What waits next behind a place of the order, in the database or in this batch.
    pub(super) fn waiting_behind(&self, endpoint: EndpointId, key: OrderKey, seq: u64) -> Result<Option<Waiting>, StoreError> {
        let bound = |seq| keys::order(endpoint, key, OrderPlace::Waiting(seq));
        let range = (Bound::Excluded(bound(seq)), Bound::Included(bound(u64::MAX)));
        let staged = self.staged.of(Space::Order);
        let fresh = self.ordered.range(range).find_map(|key| Some((key, staged.get(key.as_slice())?.as_ref()?)));
        for guard in self.spaces.of(Space::Order).range(range) {
            let (key, value) = guard.into_inner().map_err(failure)?;
            if staged.contains_key(&key) {
                continue;
            }
            return match fresh {
                Some((first, value)) if first.as_slice() < &*key => order::read(first, value),
                _ => order::read(&key, &value),
            };
        }
        fresh.map_or(Ok(None), |(key, value)| order::read(key, value))
    }

    /// The delivery is owed by its open message no longer, if it was.
    pub(super) fn close(&mut self, endpoint: EndpointId, msg: MsgId) {
        if self.lanes.close(endpoint, msg) {
            self.remove(Space::Open, msg.bytes());
        }
    }

    /// Tells the lanes, once the batch is committed.
    pub(super) fn then(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// The delivery's row.
    pub(super) fn delivery(&self, endpoint: EndpointId, msg: MsgId) -> Result<Option<Delivery>, StoreError> {
        self.get(Space::Deliveries, &keys::delivery(endpoint, msg))?.map(|value| codec::read_delivery(&value)).transpose()
    }

    /// Writes the delivery's row.
    pub(super) fn put_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        let value = codec::write_delivery(delivery)?;
        self.put(Space::Deliveries, keys::delivery(delivery.endpoint, delivery.msg), value);
        self.lanes.written(delivery.endpoint, delivery.msg);
        Ok(())
    }

    /// Changes the counters of the endpoint for messages made at that time.
    pub(super) fn count(&mut self, endpoint: EndpointId, made: Time, change: impl FnOnce(&mut Counters)) -> Result<(), StoreError> {
        let key = keys::stats(endpoint, keys::minute(made));
        let staged = self.staged.of(Space::Stats).get(key.as_slice());
        let mut counters = match (staged, self.memory.counters.get(&key)) {
            (Some(staged), _) => staged.as_deref().map(codec::read_counters).transpose()?.unwrap_or_default(),
            (None, Some(cached)) => *cached,
            (None, None) => {
                self.spaces.get(Space::Stats, &key)?.map(|value| codec::read_counters(&value)).transpose()?.unwrap_or_default()
            }
        };
        change(&mut counters);
        let value = codec::write_counters(&counters)?;
        self.put(Space::Stats, key, value);
        Ok(())
    }

    /// Counts a delivery's change of state.
    pub(super) fn count_move(&mut self, before: DeliveryState, after: &Delivery) -> Result<(), StoreError> {
        if std::mem::discriminant(&before) == std::mem::discriminant(&after.state) {
            return Ok(());
        }
        self.count(after.endpoint, after.msg.time(), |counters| {
            if let Some(counter) = counter(counters, before) {
                *counter = counter.saturating_sub(1);
            }
            if let Some(counter) = counter(counters, after.state) {
                *counter += 1;
            }
        })
    }

    /// Counts a delivery no longer.
    pub(super) fn count_gone(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        self.count(delivery.endpoint, delivery.msg.time(), |counters| {
            counters.accepted = counters.accepted.saturating_sub(1);
            if let Some(counter) = counter(counters, delivery.state) {
                *counter = counter.saturating_sub(1);
            }
        })
    }

    /// A revision above all before it, also of records that were deleted since.
    pub(super) fn revision(&mut self) -> Result<u64, StoreError> {
        let (next, end) = match self.memory.revisions {
            Some(range) => range,
            None => {
                let stored = self.spaces.get(Space::Meta, REVISION_KEY)?;
                let next = stored.and_then(|v| v.first_chunk().map(|b| u64::from_be_bytes(*b))).unwrap_or(1);
                (next, next)
            }
        };
        let end = if next < end { end } else { next + REVISION_BLOCK };
        // Staged with every revision of the batch: a verb that fails may take back the first.
        self.put(Space::Meta, REVISION_KEY, end.to_be_bytes());
        self.memory.revisions = Some((next + 1, end));
        Ok(next)
    }
}

fn counter(counters: &mut Counters, state: DeliveryState) -> Option<&mut u64> {
    match state {
        DeliveryState::Pending(_) => None,
        DeliveryState::Delivered => Some(&mut counters.delivered),
        DeliveryState::Exhausted => Some(&mut counters.exhausted),
        DeliveryState::Cancelled => Some(&mut counters.cancelled),
    }
}

impl Built {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        Space::ALL.iter().all(|space| self.staged.of(*space).is_empty())
    }

    /// Bytes of keys and values: about what the journal grows by.
    pub(super) fn bytes(&self) -> usize {
        let of =
            |space: &Space| self.staged.of(*space).iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, |v| v.len()));
        Space::ALL.iter().flat_map(of).sum()
    }

    /// Commits; with `sync` the batch is on the disk afterwards, without it the operating system has it.
    pub(super) fn commit(&self, spaces: &Spaces, sync: bool) -> Result<(), StoreError> {
        let mode = if sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = spaces.db.batch().durability(Some(mode));
        for space in Space::ALL {
            let keyspace = spaces.of(space);
            for (key, value) in self.staged.of(space) {
                match value {
                    Some(value) => batch.insert(keyspace, key.clone(), value.clone()),
                    // Each is written once and removed once, as these tombstones require.
                    None if space == Space::Open => batch.remove_weak(keyspace, key.clone()),
                    None => batch.remove(keyspace, key.clone()),
                }
            }
        }
        batch.commit().map_err(failure)
    }

    /// Tells memory what is committed.
    pub(super) fn publish(mut self, memory: &mut Memory, lanes: &mut Lanes) {
        if memory.counters.len() > CACHED_COUNTERS {
            memory.counters.clear();
        }
        for (key, value) in self.staged.of(Space::Stats) {
            let Some(key) = key.first_chunk::<24>() else { continue };
            match value.as_deref().map(codec::read_counters) {
                Some(Ok(counters)) => memory.counters.insert(*key, counters),
                _ => memory.counters.remove(key),
            };
        }
        for effect in self.effects {
            match effect {
                Effect::Ended(endpoint, trigger, msg) => lanes.lane(endpoint).drop_held(msg, trigger),
                Effect::Queued(endpoint, trigger, place) => lanes.lane(endpoint).queued(trigger, place),
                Effect::Forgotten(endpoint) => lanes.forget(endpoint),
            }
        }
        for space in Space::ALL {
            let staged = self.staged.of_mut(space);
            staged.clear();
            staged.shrink_to(KEPT_ROOM);
        }
        memory.staged = self.staged;
    }
}
