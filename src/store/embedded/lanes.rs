//! Who holds which delivery, and where each endpoint's queue begins. In memory only: a crash frees every lease.
//!
//! The front of a queue fills with the traces of deleted entries, which a scan has to step over. A lane therefore
//! remembers for each section (trigger) the lowest place that may have an entry which nobody holds. The rule that keeps
//! this exact: *every entry below the cursor is in `held`*. A claim moves the cursor only past what it found held or
//! takes; an entry committed without a lease pulls it back; a lease that is given back or runs out stays in `held`,
//! where the next claim finds it.

use super::keys::Place;
use crate::model::{AppId, EndpointId, MsgId, Time, Trigger};
use crate::store::Lease;
use foldhash::{HashMap, HashMapExt};

/// When the lease of an entry that was given back "ran out"; under it no result counts.
const GIVEN_BACK: Time = Time(0);

/// The lanes of all endpoints, and the messages that are open: those of whose deliveries some are owed without an entry in
/// the queue, because they were leased as the message was accepted.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<EndpointId, Lane>,
    open: HashMap<MsgId, Open>,
}

/// An open message.
#[derive(Clone, Copy, Debug)]
struct Open {
    app: AppId,
    /// Deliveries that are owed without an entry.
    owed: usize,
}

/// What is held of one endpoint's queue.
#[derive(Debug)]
pub(super) struct Lane {
    manual: Option<Place>,
    scheduled: Option<Place>,
    held: HashMap<(MsgId, Trigger), Held>,
    /// No held entry's lease runs out before.
    earliest: Time,
}

/// A queue entry, or an owed delivery without one, that is, or was last, leased.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// The fence; others may claim from `until` on.
    pub(super) lease: Lease,
    /// The due time in the entry's key.
    pub(super) due: Time,
    /// The delivery has no row yet, so there is none to look for.
    pub(super) fresh: bool,
    /// It is owed because its message is open, not by an entry in the queue.
    pub(super) unqueued: bool,
    /// Its result is being committed: nobody may claim it any more.
    pub(super) settling: bool,
}

impl Default for Lane {
    fn default() -> Self {
        Lane { manual: Some(Place::FIRST), scheduled: Some(Place::FIRST), held: HashMap::new(), earliest: Time(u64::MAX) }
    }
}

impl Lanes {
    /// The endpoint's lane.
    pub(super) fn lane(&mut self, endpoint: EndpointId) -> &mut Lane {
        self.lanes.entry(endpoint).or_default()
    }

    /// Forgets the endpoint with its leases, but for what open messages owe it: a purge has closed what was there when it
    /// came, so those were accepted after it, in the same batch.
    pub(super) fn forget(&mut self, endpoint: EndpointId) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        lane.held.retain(|_, held| held.unqueued);
        if lane.held.is_empty() {
            self.lanes.remove(&endpoint);
        }
    }

    /// The entry, when it is held under that lease and its result is not in yet.
    pub(super) fn held(&mut self, endpoint: EndpointId, msg: MsgId, trigger: Trigger, lease: Lease) -> Option<&mut Held> {
        let held = self.lanes.get_mut(&endpoint)?.held.get_mut(&(msg, trigger))?;
        let counts = held.lease.token == lease.token && held.lease.until > GIVEN_BACK && !held.settling;
        counts.then_some(held)
    }

    /// Whether somebody holds the entry or held it last.
    pub(super) fn lane_knows(&self, endpoint: EndpointId, msg: MsgId, trigger: Trigger) -> bool {
        self.lanes.get(&endpoint).is_some_and(|lane| lane.knows(msg, trigger))
    }

    /// A message with that many deliveries that are leased and not queued.
    pub(super) fn open(&mut self, msg: MsgId, app: AppId, owed: usize) {
        self.open.insert(msg, Open { app, owed });
    }

    /// The application of an open message.
    pub(super) fn app_of(&self, msg: MsgId) -> Option<AppId> {
        self.open.get(&msg).map(|open| open.app)
    }

    /// The delivery is owed by its open message no longer, if it was; whether that closes the message.
    pub(super) fn close(&mut self, endpoint: EndpointId, msg: MsgId) -> bool {
        let Some(held) = self.lanes.get_mut(&endpoint).and_then(|lane| lane.held.get_mut(&(msg, Trigger::Scheduled))) else {
            return false;
        };
        if !std::mem::replace(&mut held.unqueued, false) {
            return false;
        }
        let Some(open) = self.open.get_mut(&msg) else { return false };
        open.owed -= 1;
        open.owed == 0 && self.open.remove(&msg).is_some()
    }

    /// The endpoint's deliveries that are owed by open messages.
    pub(super) fn unqueued(&self, endpoint: EndpointId) -> Vec<MsgId> {
        let held = self.lanes.get(&endpoint).into_iter().flat_map(|lane| &lane.held);
        held.filter(|(_, held)| held.unqueued).map(|((msg, _), _)| *msg).collect()
    }

    /// Endpoints with deliveries that are owed by open messages, each with the earliest due time.
    pub(super) fn unqueued_endpoints(&self) -> impl Iterator<Item = (EndpointId, Time)> {
        let due = |lane: &Lane| lane.held.values().filter(|held| held.unqueued).map(|held| held.due).min();
        self.lanes.iter().filter_map(move |(endpoint, lane)| Some((*endpoint, due(lane)?)))
    }

    /// The delivery has a row from now on.
    pub(super) fn written(&mut self, endpoint: EndpointId, msg: MsgId) {
        if let Some(held) = self.lanes.get_mut(&endpoint).and_then(|lane| lane.held.get_mut(&(msg, Trigger::Scheduled))) {
            held.fresh = false;
        }
    }
}

impl Lane {
    /// Leases an entry.
    pub(super) fn hold(&mut self, msg: MsgId, trigger: Trigger, held: Held) {
        self.earliest = self.earliest.min(held.lease.until);
        self.held.insert((msg, trigger), held);
    }

    /// Ends a lease together with its entry.
    pub(super) fn drop_held(&mut self, msg: MsgId, trigger: Trigger) {
        self.held.remove(&(msg, trigger));
        if self.held.is_empty() {
            self.held = HashMap::new();
            self.earliest = Time(u64::MAX);
        }
    }

    /// Gives an entry back: the next claim may take it.
    pub(super) fn give_back(&mut self, msg: MsgId, trigger: Trigger) {
        if let Some(held) = self.held.get_mut(&(msg, trigger)) {
            held.lease.until = GIVEN_BACK;
            self.earliest = GIVEN_BACK;
        }
    }

    /// Whether somebody holds the entry or held it last.
    pub(super) fn knows(&self, msg: MsgId, trigger: Trigger) -> bool {
        self.held.contains_key(&(msg, trigger))
    }

    /// Entries whose lease has run out by `now`, and whether each is unqueued.
    pub(super) fn run_out(&mut self, now: Time) -> Vec<(Trigger, Place, bool)> {
        if self.earliest > now {
            return Vec::new();
        }
        let free = self.held.iter().filter(|(_, held)| !held.settling);
        self.earliest = free.clone().map(|(_, held)| held.lease.until).min().unwrap_or(Time(u64::MAX));
        free.filter(|(_, held)| held.lease.until <= now)
            .map(|((msg, trigger), held)| (*trigger, Place { due: held.due, msg: *msg }, held.unqueued))
            .collect()
    }

    /// From where on a claim has to look; `None`: nowhere.
    pub(super) fn cursor(&mut self, trigger: Trigger) -> &mut Option<Place> {
        match trigger {
            Trigger::Manual => &mut self.manual,
            Trigger::Scheduled => &mut self.scheduled,
        }
    }

    /// An entry that nobody holds was committed.
    pub(super) fn queued(&mut self, trigger: Trigger, place: Place) {
        let cursor = self.cursor(trigger);
        *cursor = Some(cursor.map_or(place, |at| at.min(place)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_forgets_what_it_closed_and_nothing_that_was_accepted_behind_it() {
        let (endpoint, old, new) = (EndpointId(1), MsgId(1), MsgId(2));
        let lease = Lease { token: 1, until: Time(9) };
        let held = Held { lease, due: Time(0), fresh: true, unqueued: true, settling: false };
        let mut lanes = Lanes::default();
        for msg in [old, new] {
            lanes.open(msg, AppId(1), 1);
            lanes.lane(endpoint).hold(msg, Trigger::Scheduled, held);
        }
        assert!(lanes.close(endpoint, old));
        lanes.forget(endpoint);
        assert!(lanes.held(endpoint, old, Trigger::Scheduled, lease).is_none());
        assert!(lanes.held(endpoint, new, Trigger::Scheduled, lease).is_some());
        assert!(lanes.close(endpoint, new), "nothing stays open");
    }
}
