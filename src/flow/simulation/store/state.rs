//! What flows: messages, deliveries, the queue with its leases, attempts. For strict order see [`super::order`].

use super::{order::Turn, records::Records};
use crate::{
    model::{AppId, Attempt, AttemptId, Cause, Delivery, DeliveryState, EndpointId, Message, MsgId, Time, Trigger},
    store::{
        Change, Claimed, Claims, Conflict, Lease, NewMessage, PARKED, Requeue, Settled, Settlement, Stats, StoreError, Window,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Milliseconds of a minute, of which statistics count whole ones.
const MINUTE_MS: u64 = 60_000;
/// Bits of a lease's number below the node's.
const COUNTER_BITS: u32 = 40;

/// A delivery that is owed an attempt.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Owed {
    pub(in super::super) app: AppId,
    pub(in super::super) due: Time,
    pub(in super::super) lease: Option<Lease>,
    /// Something else has settled the delivery, by this node; who holds this may still tell how it went.
    pub(in super::super) over: Option<u64>,
    /// An attempt was begun under this lease.
    pub(in super::super) begun: bool,
    /// Its place within its key, if it goes in strict order.
    pub(in super::super) turn: Option<Turn>,
}

impl Owed {
    /// Owed from that time on, outside of any order.
    fn at(app: AppId, due: Time) -> Owed {
        Owed { app, due, lease: None, over: None, begun: false, turn: None }
    }
}

/// What is wrong with an attempt that a receiver sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Trouble {
    NotLeased,
    BegunTwice,
    TooEarly,
    AfterSuccess,
}

/// Everything that the store keeps.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct State {
    pub(in super::super) records: Records,
    pub(in super::super) messages: BTreeMap<(AppId, MsgId), Arc<Message>>,
    pub(in super::super) deliveries: BTreeMap<(EndpointId, MsgId), Delivery>,
    pub(in super::super) queue: BTreeMap<(EndpointId, MsgId, Trigger), Owed>,
    pub(in super::super) attempts: BTreeMap<(EndpointId, AttemptId), Arc<Attempt>>,
    /// Deliveries that have come to an end once.
    pub(in super::super) ended: BTreeSet<(EndpointId, MsgId)>,
    /// Places in an order that were given.
    pub(super) places: u64,
}

/// A lease of a node.
pub(super) fn lease_of(node: u64, number: u64, until: Time) -> Lease {
    Lease { token: (node << COUNTER_BITS) | number, until }
}

/// Whose lease it is.
pub(super) fn node_of(lease: Lease) -> u64 {
    lease.token >> COUNTER_BITS
}

pub(super) fn entries(
    queue: &BTreeMap<(EndpointId, MsgId, Trigger), Owed>,
    endpoint: EndpointId,
) -> impl Iterator<Item = (MsgId, Trigger, &Owed)> {
    let from = (endpoint, MsgId(0), Trigger::Scheduled);
    let own = queue.range(from..).take_while(move |((other, ..), _)| *other == endpoint);
    own.map(|((_, msg, trigger), owed)| (*msg, *trigger, owed))
}

pub(super) fn within<T>(window: Window, rows: impl DoubleEndedIterator<Item = (u128, T)>) -> Vec<T> {
    let inside = rows.filter(|(id, _)| *id > window.above && *id < window.below).map(|(_, row)| row);
    if window.newest_first { inside.rev().take(window.limit).collect() } else { inside.take(window.limit).collect() }
}

impl State {
    pub(super) fn accept(&mut self, new: &NewMessage) -> Result<(), StoreError> {
        let message = &new.message;
        if message.event_id.is_some() && self.by_event_id(message.app, message.event_id.as_deref()).is_some() {
            return Err(StoreError::Conflict(Conflict::EventId));
        }
        if let Some(mark) = &new.mark {
            self.records.change(&[Change::Insert(mark.clone())], message.id.time())?;
        }
        let due = message.first_due();
        for (endpoint, lease) in message.endpoints.iter().copied().zip(&new.leases) {
            let owed = match message.order(endpoint) {
                Some(key) => self.join((endpoint, key), Owed::at(message.app, due)),
                None => Owed { lease: *lease, ..Owed::at(message.app, due) },
            };
            self.queue.insert((endpoint, message.id, Trigger::Scheduled), owed);
            self.deliveries.insert((endpoint, message.id), Delivery::fresh(message.app, message.id, endpoint, due));
        }
        self.messages.insert((message.app, message.id), message.clone());
        Ok(())
    }

    pub(super) fn by_event_id(&self, app: AppId, event_id: Option<&str>) -> Option<&Arc<Message>> {
        self.messages
            .range((app, MsgId(0))..=(app, MsgId(u128::MAX)))
            .map(|(_, message)| message)
            .find(|message| message.event_id.as_deref() == event_id)
    }

    /// Leases what is due; `free` says whether a lease holds no longer.
    pub(super) fn claim(
        &mut self,
        endpoint: EndpointId,
        lease: Lease,
        (now, limit): (Time, usize),
        free: impl Fn(Lease) -> bool,
    ) -> Claims {
        let frees = |owed: &Owed| owed.lease.is_none_or(|held| held.until <= now || free(held));
        let over = entries(&self.queue, endpoint).filter(|(_, _, owed)| owed.over.is_some() && frees(owed));
        let over: Vec<_> = over.map(|(msg, trigger, _)| (endpoint, msg, trigger)).collect();
        for key in over {
            self.queue.remove(&key);
        }
        let mut open: Vec<(Time, MsgId, Trigger)> = entries(&self.queue, endpoint)
            .filter(|(_, _, owed)| owed.over.is_none() && frees(owed))
            .map(|(msg, trigger, owed)| (owed.due, msg, trigger))
            .collect();
        open.sort_unstable_by_key(|(due, msg, trigger)| (*due, *msg, *trigger));
        let due = open.iter().take_while(|(due, ..)| *due <= now).count();
        let left = open.split_off(due.min(limit));
        let mut taken = Vec::new();
        for (_, msg, trigger) in open {
            let owed = self.queue.get_mut(&(endpoint, msg, trigger)).unwrap();
            (owed.lease, owed.begun) = (Some(lease), false);
            let Some(message) = self.messages.get(&(owed.app, msg)) else { continue };
            let delivery = self.deliveries.get(&(endpoint, msg)).cloned();
            let delivery = delivery.unwrap_or_else(|| Delivery::fresh(owed.app, msg, endpoint, message.first_due()));
            taken.push(Claimed { delivery, trigger, message: message.clone(), lease });
        }
        Claims { taken, next_due: left.first().map(|(due, ..)| *due).filter(|due| *due < PARKED) }
    }

    pub(super) fn queued_endpoints(&self) -> Vec<(EndpointId, Time)> {
        let mut found: BTreeMap<EndpointId, Time> = BTreeMap::new();
        for ((endpoint, ..), owed) in self.queue.iter().filter(|(_, owed)| owed.over.is_none() && owed.due < PARKED) {
            let due = found.entry(*endpoint).or_insert(owed.due);
            *due = owed.due.min(*due);
        }
        found.into_iter().collect()
    }

    pub(super) fn release(&mut self, (endpoint, msg, trigger): (EndpointId, MsgId, Trigger), lease: Lease) {
        let Some(owed) = self.queue.get_mut(&(endpoint, msg, trigger)) else { return };
        if owed.lease.is_some_and(|held| held.token == lease.token) {
            owed.lease = None;
            if owed.over.is_some() {
                self.queue.remove(&(endpoint, msg, trigger));
            }
        }
    }

    /// All of the endpoint under this lease.
    pub(super) fn release_all(&mut self, endpoint: EndpointId, lease: Lease) {
        let held = entries(&self.queue, endpoint).filter(|(_, _, owed)| owed.lease.is_some_and(|held| held.token == lease.token));
        let held: Vec<_> = held.map(|(msg, trigger, _)| (endpoint, msg, trigger)).collect();
        held.into_iter().for_each(|key| self.release(key, lease));
    }

    pub(super) fn settle(&mut self, settlement: &Settlement, now: Time) -> Result<Settled, StoreError> {
        let Settlement { msg, endpoint, app, trigger, lease, verdict, ref attempt, ref changes, order } = *settlement;
        let key = (endpoint, msg, trigger);
        let held = self.queue.get(&key).filter(|owed| owed.lease.is_some_and(|held| held.token == lease.token));
        if held.is_none() {
            return Ok(Settled::LeaseLost);
        }
        if !changes.is_empty() {
            self.records.change(changes, now)?;
        }
        let first_due = || self.messages.get(&(app, msg)).map_or(msg.time(), |message| message.first_due());
        let row = self.deliveries.get(&(endpoint, msg)).cloned();
        let mut delivery = row.unwrap_or_else(|| Delivery::fresh(app, msg, endpoint, first_due()));
        let before = delivery.state;
        delivery.conclude(trigger, verdict, attempt.as_ref().map(|attempt| attempt.id));
        if let Some(attempt) = attempt {
            self.attempts.insert((endpoint, attempt.id), Arc::new(attempt.clone()));
        }
        let ended = self.queue.remove(&key);
        let turn = ended.and_then(|ended| ended.turn);
        let is_sent = attempt.as_ref().is_some_and(|attempt| attempt.outcome.cause != Cause::Expunged);
        if ended.is_some_and(|ended| !ended.begun) && is_sent {
            // A receiver cannot tell which of two it sees: it was the other one.
            let other = if trigger == Trigger::Manual { Trigger::Scheduled } else { Trigger::Manual };
            self.queue.get_mut(&(endpoint, msg, other)).into_iter().for_each(|owed| owed.begun = false);
        }
        if trigger == Trigger::Scheduled || before != delivery.state {
            self.schedule(&delivery, turn, node_of(lease));
        }
        self.deliveries.insert((endpoint, msg), delivery.clone());
        if !matches!(delivery.state, DeliveryState::Pending(_)) {
            self.ended.insert((endpoint, msg));
            order.into_iter().for_each(|key| self.pass_on((endpoint, key), now));
        }
        Ok(Settled::Recorded(delivery))
    }

    /// A scheduled entry exists exactly while the delivery is pending.
    fn schedule(&mut self, delivery: &Delivery, turn: Option<Turn>, by: u64) {
        let key = (delivery.endpoint, delivery.msg, Trigger::Scheduled);
        if let DeliveryState::Pending(due) = delivery.state {
            self.queue.insert(key, Owed { turn, ..Owed::at(delivery.app, due) });
        } else if let Some(owed) = self.queue.get_mut(&key) {
            owed.over = Some(by);
            if owed.lease.is_none() {
                self.queue.remove(&key);
            }
        }
    }

    pub(super) fn requeue(&mut self, app: AppId, endpoint: EndpointId, which: Requeue, now: Time) -> u64 {
        match which {
            Requeue::Once(msg) => u64::from(self.once(app, endpoint, msg)),
            Requeue::Exhausted { low, high } if low < high => {
                let rows = self.deliveries.range_mut((endpoint, low)..(endpoint, high)).map(|(_, row)| row);
                let rows = rows.filter(|row| row.state == DeliveryState::Exhausted && !row.attempts.is_empty());
                let mut count = 0;
                for row in rows {
                    (row.state, row.failed) = (DeliveryState::Pending(now), 0);
                    self.queue.insert((endpoint, row.msg, Trigger::Scheduled), Owed::at(app, now));
                    count += 1;
                }
                count
            }
            Requeue::Exhausted { .. } => 0,
        }
    }

    fn once(&mut self, app: AppId, endpoint: EndpointId, msg: MsgId) -> bool {
        let Some(message) = self.messages.get_mut(&(app, msg)) else { return false };
        if self.queue.contains_key(&(endpoint, msg, Trigger::Manual)) {
            return true;
        }
        if !message.endpoints.contains(&endpoint) {
            let state = DeliveryState::Exhausted;
            self.deliveries.insert((endpoint, msg), Delivery { state, ..Delivery::fresh(app, msg, endpoint, message.first_due()) });
            Arc::make_mut(message).endpoints.push(endpoint);
        }
        self.queue.insert((endpoint, msg, Trigger::Manual), Owed::at(app, Time(0)));
        true
    }

    pub(super) fn stats(&self, endpoint: EndpointId, since: Time, until: Time) -> Stats {
        let mut stats = Stats::default();
        let minutes = since.0 / MINUTE_MS..until.0.div_ceil(MINUTE_MS).max(since.0 / MINUTE_MS);
        let rows = self.deliveries.range((endpoint, MsgId(0))..=(endpoint, MsgId(u128::MAX)));
        for (_, row) in rows.filter(|((_, msg), _)| minutes.contains(&(msg.time().0 / MINUTE_MS))) {
            match row.state {
                DeliveryState::Delivered => stats.delivered += 1,
                DeliveryState::Exhausted => stats.exhausted += 1,
                DeliveryState::Pending(_) => stats.pending += 1,
                DeliveryState::Cancelled => stats.cancelled += 1,
            }
        }
        stats
    }

    /// The process that held all leases is gone.
    pub(in super::super) fn free_all(&mut self) {
        self.queue.retain(|_, owed| owed.over.is_none());
        self.queue.values_mut().for_each(|owed| (owed.lease, owed.begun) = (None, false));
    }

    /// A message whose scheduled attempt to the endpoint is under way.
    pub(in super::super) fn begun(&self, endpoint: EndpointId) -> Option<MsgId> {
        entries(&self.queue, endpoint).find(|(_, trigger, owed)| *trigger == Trigger::Scheduled && owed.begun).map(|(msg, ..)| msg)
    }

    /// A message that waits in a node's memory for its attempt to the endpoint, and whether it goes in order.
    pub(in super::super) fn waits(&self, endpoint: EndpointId, node: u64) -> Option<(MsgId, bool)> {
        let is_held = |owed: &Owed| owed.lease.is_some_and(|held| node_of(held) == node) && owed.over.is_none() && !owed.begun;
        let (msg, _, owed) = entries(&self.queue, endpoint).find(|(_, _, owed)| is_held(owed))?;
        Some((msg, owed.turn.is_some()))
    }

    /// When the last payload goes that has an end.
    pub(in super::super) fn last_payload(&self) -> Option<Time> {
        self.messages.values().filter(|message| !message.expunged).filter_map(|message| message.payload_expires_at).max()
    }

    /// A receiver sees an attempt that a node makes: which entry of the queue it is for.
    pub(in super::super) fn begin(
        &mut self,
        node: u64,
        (endpoint, msg): (EndpointId, MsgId),
        now: Time,
    ) -> Result<(Trigger, Time), Trouble> {
        let mut trouble = Trouble::NotLeased;
        for trigger in [Trigger::Manual, Trigger::Scheduled] {
            let Some(owed) = self.queue.get_mut(&(endpoint, msg, trigger)) else { continue };
            if owed.lease.is_none_or(|held| node_of(held) != node) {
                continue;
            }
            if owed.begun {
                trouble = Trouble::BegunTwice;
                continue;
            }
            // What another process holds in memory it cannot know to be over.
            if owed.over == Some(node) {
                trouble = Trouble::AfterSuccess;
                continue;
            }
            if owed.due > now {
                trouble = Trouble::TooEarly;
                continue;
            }
            owed.begun = true;
            return Ok((trigger, owed.due));
        }
        Err(trouble)
    }
}
