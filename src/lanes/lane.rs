//! One endpoint's lane: what waits in memory, what runs, and which goes next.

use super::{Budget, bucket::Bucket, concurrency::Concurrency};
use crate::{
    model::{AppId, EndpointId, Message, MsgId, Time, Trigger},
    store::Lease,
};
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};

/// Fresh messages that a lane keeps in memory; more stay in the store.
const FRESH_ROOM: usize = 32_768;
/// Deliveries that a lane claims from the store at once.
const CLAIM: usize = 128;
/// A lane claims again when so few claimed ones wait.
const CLAIM_BELOW: usize = 32;
/// Of so many starts, one goes to what was claimed from the store even while fresh messages wait: they go first, and
/// nothing starves.
const TURNS: u32 = 5;

/// A leased delivery on its way to an attempt.
#[derive(Clone, Debug)]
pub struct Work {
    /// Where it goes.
    pub endpoint: EndpointId,
    /// The application.
    pub app: AppId,
    /// What it carries.
    pub message: Arc<Message>,
    /// What starts it.
    pub trigger: Trigger,
    /// The fence of its result.
    pub lease: Lease,
    /// Scheduled attempts that failed before.
    pub failed: u32,
    /// Attempts made before.
    pub attempts: u32,
    /// What it keeps in memory while it waits, in bytes: its share of the message.
    pub bytes: usize,
}

/// What a message in memory takes beside its payload, and a delivery in a lane, in bytes.
const WAITING_BYTES: usize = 256;

/// The share that each of so many deliveries has in the memory of a message.
#[must_use]
pub fn share(message: &Message, deliveries: usize) -> usize {
    (message.payload.len() + WAITING_BYTES) / deliveries.max(1) + WAITING_BYTES
}

/// What a lane has to say after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The endpoint answered well, in so many microseconds.
    Good(u32),
    /// It failed, in whatever way.
    Bad,
    /// There was no attempt.
    None,
}

/// What a lane does next.
#[derive(Debug)]
pub enum Next {
    /// This delivery starts; a slot has been taken for it.
    Start(Work),
    /// Nothing before that time.
    At(Time),
    /// Nothing until something happens.
    Rest,
}

/// One endpoint's lane.
#[derive(Debug)]
pub struct Lane {
    endpoint: EndpointId,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    fresh: VecDeque<Work>,
    claimed: VecDeque<Work>,
    reserved: usize,
    running: Vec<(MsgId, bool)>,
    turn: u32,
    concurrency: Concurrency,
    bucket: Option<Bucket>,
    waits_for_slot: bool,
    claiming: bool,
    stored_due: Option<Time>,
    alarm_at: Option<Time>,
}

impl Lane {
    pub(super) fn new(endpoint: EndpointId) -> Self {
        Lane { endpoint, state: Mutex::default() }
    }

    /// The endpoint.
    #[must_use]
    pub fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// Keeps room in memory for a message that is about to be accepted; `false`: it must stay in the store.
    pub fn reserve(&self, budget: &Budget) -> bool {
        let mut state = self.state.lock();
        let room = state.fresh.len() + state.reserved < FRESH_ROOM && budget.has_memory();
        state.reserved += usize::from(room);
        room
    }

    /// Gives back room that was not needed.
    pub fn unreserve(&self) {
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_sub(1);
    }

    /// Takes a fresh message for which room was reserved.
    pub fn push(&self, work: Work, budget: &Budget) {
        budget.queue(work.bytes);
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_sub(1);
        state.fresh.push_back(work);
    }

    /// Takes what was claimed from the store, and learns when more is due there.
    pub fn claimed(&self, works: Vec<Work>, stored_due: Option<Time>, budget: &Budget) {
        let mut state = self.state.lock();
        state.claiming = false;
        state.stored_due = state.stored_due.into_iter().chain(stored_due).min();
        for work in works {
            budget.queue(work.bytes);
            state.claimed.push_back(work);
        }
    }

    /// Learns that a delivery in the store is due at that time; the time to set an alarm for, if none is set before it.
    #[must_use]
    pub fn note_due(&self, due: Time) -> Option<Time> {
        let mut state = self.state.lock();
        state.stored_due = Some(state.stored_due.map_or(due, |d| d.min(due)));
        state.set_alarm(due)
    }

    /// The time to set an alarm for so that the lane is looked at then, if none is set before it.
    #[must_use]
    pub fn set_alarm(&self, at: Time) -> Option<Time> {
        self.state.lock().set_alarm(at)
    }

    /// The alarm rang.
    pub fn rang(&self) {
        self.state.lock().alarm_at = None;
    }

    /// How many deliveries to claim from the store now; `None`: no claim. At most one claim runs at a time, and each
    /// ends with [`Lane::claimed`].
    #[must_use]
    pub fn wants_claim(&self, now: Time) -> Option<usize> {
        let mut state = self.state.lock();
        let due = state.stored_due.is_some_and(|due| due <= now);
        if !due || state.claiming || state.claimed.len() >= CLAIM_BELOW {
            return None;
        }
        state.claiming = true;
        state.stored_due = None;
        Some(CLAIM)
    }

    /// When the store has more for this lane, as far as it knows.
    #[must_use]
    pub fn stored_due(&self) -> Option<Time> {
        self.state.lock().stored_due
    }

    /// Whether nothing waits in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.fresh.is_empty() && state.claimed.is_empty()
    }

    /// What goes next, under the lane's limits and the shared budget. `rate`: deliveries a second at most, looked up only
    /// when it matters.
    #[must_use]
    pub fn next(&self, rate: impl FnOnce() -> Option<u16>, now: Time, budget: &Budget) -> Next {
        let mut state = self.state.lock();
        if (state.fresh.is_empty() && state.claimed.is_empty()) || !state.concurrency.allows(state.running.len()) {
            return Next::Rest;
        }
        let slow = state.concurrency.is_slow();
        if !budget.take(slow) {
            if !std::mem::replace(&mut state.waits_for_slot, true) {
                budget.wait(self.endpoint);
            }
            // The last slot may have been given back before this lane stood in line, and then nobody calls it.
            if !budget.take(slow) {
                return Next::Rest;
            }
        }
        if let Err(later) = state.take_token(rate(), now) {
            budget.give_back(slow);
            return Next::At(later);
        }
        match state.pop() {
            Some(work) => {
                budget.unqueue(work.bytes);
                state.running.push((work.message.id, slow));
                Next::Start(work)
            }
            None => {
                budget.give_back(slow);
                Next::Rest
            }
        }
    }

    /// An attempt has ended: its slot is free again.
    pub fn finish(&self, msg: MsgId, report: Report, budget: &Budget) {
        let mut state = self.state.lock();
        let busy = !state.concurrency.allows(state.running.len());
        let Some(at) = state.running.iter().position(|(m, _)| *m == msg) else { return };
        let (_, slow) = state.running.swap_remove(at);
        budget.give_back(slow);
        match report {
            Report::Good(us) => state.concurrency.learn(Some(us), busy),
            Report::Bad => state.concurrency.learn(None, busy),
            Report::None => {}
        }
    }

    /// The lane's turn in the queue for slots has come.
    pub fn called(&self) {
        self.state.lock().waits_for_slot = false;
    }

    /// Takes everything that waits in memory, to be given back to the store: the endpoint is disabled or gone.
    #[must_use]
    pub fn drain(&self, budget: &Budget) -> Vec<Work> {
        let mut state = self.state.lock();
        let mut works: Vec<Work> = state.fresh.drain(..).collect();
        works.extend(state.claimed.drain(..));
        works.iter().for_each(|w| budget.unqueue(w.bytes));
        works
    }

    /// Whether an attempt of this message runs.
    #[must_use]
    pub fn runs(&self, msg: MsgId) -> bool {
        self.state.lock().running.iter().any(|(m, _)| *m == msg)
    }

    /// How many attempts run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.state.lock().running.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        let waits = !state.fresh.is_empty() || !state.claimed.is_empty() || state.reserved > 0;
        !waits && state.running.is_empty() && !state.claiming && state.stored_due.is_none() && state.alarm_at.is_none()
    }
}

impl State {
    fn set_alarm(&mut self, at: Time) -> Option<Time> {
        if self.alarm_at.is_some_and(|set| set <= at) {
            return None;
        }
        self.alarm_at = Some(at);
        Some(at)
    }

    fn take_token(&mut self, rate: Option<u16>, now: Time) -> Result<(), Time> {
        let Some(rate) = rate.filter(|r| *r > 0) else {
            self.bucket = None;
            return Ok(());
        };
        if self.bucket.as_ref().is_none_or(|b| b.rate() != rate) {
            self.bucket = Some(Bucket::new(rate, now));
        }
        self.bucket.as_mut().map_or(Ok(()), |b| b.take(now))
    }

    fn pop(&mut self) -> Option<Work> {
        self.turn = (self.turn + 1) % TURNS;
        if self.turn == 0 {
            self.claimed.pop_front().or_else(|| self.fresh.pop_front())
        } else {
            self.fresh.pop_front().or_else(|| self.claimed.pop_front())
        }
    }
}

#[cfg(test)]
mod tests;
