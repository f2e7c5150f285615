//! One endpoint's lane: what waits in memory, what runs, and which goes next.

mod state;

use super::{
    Budget,
    circuit::{CircuitState, Gate},
};
use crate::{
    model::{AppId, EndpointId, Message, MsgId, Time, Trigger},
    store::Lease,
};
use parking_lot::Mutex;
use state::State;
use std::sync::Arc;

/// Fresh messages that a lane keeps in memory; more stay in the store.
const FRESH_ROOM: usize = 32_768;
/// Deliveries that a lane claims from the store at once.
const CLAIM: usize = 128;
/// A lane claims again when so few claimed ones wait.
const CLAIM_BELOW: usize = 32;
/// Messages that are remembered to have been struck out while they were accepted, at most.
const STRUCK: usize = 256;
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
    /// It failed, and somebody had asked for it: what is tried out or replayed does not say how the endpoint does by itself.
    InVain,
    /// There was no attempt.
    None,
}

/// What holds a lane back, in deliveries a second at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// All deliveries.
    pub rate: Option<u16>,
    /// Those claimed from the store, while the endpoint catches up.
    pub pace: Option<u16>,
    /// Attempts at once at most, whatever the time. `None`: as many as the endpoint answers well.
    pub concurrency: Option<u16>,
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

/// An alarm that is to be set for a lane, which has one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// When.
    pub at: Time,
    /// The one that it takes the place of.
    pub instead_of: Option<Time>,
}

/// A lane as it is, to be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneView {
    /// Fresh messages that wait in memory.
    pub fresh: usize,
    /// Deliveries claimed from the store that wait in memory.
    pub claimed: usize,
    /// Attempts that run.
    pub running: usize,
    /// Attempts at once that it allows now.
    pub limit: usize,
    /// Whether the endpoint has failed so often, or takes so long to answer, that it is kept from what others need.
    pub slow: bool,
    /// Whether the endpoint is left alone.
    pub circuit: CircuitState,
    /// The mean time of the last answers, in microseconds.
    pub mean_us: Option<f32>,
    /// The oldest of what waits in memory or runs.
    pub oldest: Option<MsgId>,
    /// When the next delivery in the store is due.
    pub stored_due: Option<Time>,
}

/// One endpoint's lane.
#[derive(Debug)]
pub struct Lane {
    endpoint: EndpointId,
    state: Mutex<State>,
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

    /// Takes a fresh message for which room was reserved. One that was struck out meanwhile comes back: it is to be given back to
    /// the store.
    #[must_use]
    pub fn push(&self, work: Work, budget: &Budget) -> Option<Work> {
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_sub(1);
        if !state.struck_fresh.is_empty() {
            let is_struck = state.struck_fresh.contains(&work.message.id);
            if state.reserved == 0 {
                state.struck_fresh.clear();
            }
            if is_struck {
                return Some(work);
            }
        }
        budget.queue(work.bytes);
        state.fresh.push_back(work);
        None
    }

    /// Takes what was claimed from the store, and learns when more is due there. What was struck out meanwhile comes back: it
    /// is to be given back to the store.
    pub fn claimed(&self, works: Vec<Work>, stored_due: Option<Time>, budget: &Budget) -> Vec<Work> {
        let mut state = self.state.lock();
        state.claiming = false;
        state.stored_due = state.stored_due.into_iter().chain(stored_due).min();
        let struck = std::mem::take(&mut state.struck);
        let (back, works): (Vec<Work>, Vec<Work>) = match struck.is_empty() {
            true => (Vec::new(), works),
            false => works.into_iter().partition(|work| struck.contains(&(work.message.id, work.trigger))),
        };
        for work in works {
            budget.queue(work.bytes);
            state.claimed.push_back(work);
        }
        back
    }

    /// Learns that a delivery in the store is due at that time; the alarm to set, if none is set before it.
    #[must_use]
    pub fn note_due(&self, due: Time) -> Option<Ring> {
        let mut state = self.state.lock();
        state.stored_due = Some(state.stored_due.map_or(due, |d| d.min(due)));
        state.set_alarm(due)
    }

    /// Learns that something in the store is due now, when it is looked at without an alarm.
    pub fn look(&self, now: Time) {
        let mut state = self.state.lock();
        state.stored_due = Some(state.stored_due.map_or(now, |due| due.min(now)));
    }

    /// The alarm to set so that the lane is looked at then, if none is set before it.
    #[must_use]
    pub fn set_alarm(&self, at: Time) -> Option<Ring> {
        self.state.lock().set_alarm(at)
    }

    /// Whether an alarm that was set for that time is the lane's still. One that has been set anew meanwhile says nothing,
    /// and must not set another in its turn, or they would become more and more.
    #[must_use]
    pub fn rings(&self, at: Time) -> bool {
        let mut state = self.state.lock();
        let rings = state.alarm_at == Some(at);
        if rings {
            state.alarm_at = None;
        }
        rings
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

    /// What goes next, under the lane's limits and the shared budget. `limits` are looked up only when they matter.
    #[must_use]
    pub fn next(&self, limits: impl FnOnce() -> Limits, now: Time, budget: &Budget) -> Next {
        let mut state = self.state.lock();
        if (state.fresh.is_empty() && state.claimed.is_empty()) || state.halts > 0 || !state.has_place(budget) {
            return Next::Rest;
        }
        match state.circuit.gate(now) {
            Gate::Go => {}
            Gate::At(later) => return Next::At(later),
            Gate::Rest => return Next::Rest,
        }
        let Limits { rate, pace, concurrency } = limits();
        if std::mem::replace(&mut state.fixed, concurrency) != concurrency && !state.has_place(budget) {
            return Next::Rest;
        }
        let paced = state.wait_for_pace(pace, now);
        if let (Some(later), true) = (paced, state.fresh.is_empty()) {
            return Next::At(later);
        }
        if let Err(later) = state.has_token(rate, now) {
            return Next::At(later);
        }
        let Some((app, slow)) = state.take_slot(self.endpoint, budget) else { return Next::Rest };
        let _there_is_one = state.bucket.as_mut().map(|bucket| bucket.take(now));
        match state.pop(paced.is_none(), now) {
            Some(work) => {
                budget.unqueue(work.bytes);
                state.running.push((work.message.id, slow));
                state.circuit.starts();
                Next::Start(work)
            }
            None => {
                budget.give_back(app, slow);
                Next::Rest
            }
        }
    }

    /// An attempt has ended: its slot is free again.
    pub fn finish(&self, msg: MsgId, report: Report, now: Time, budget: &Budget) {
        let mut state = self.state.lock();
        let (busy, most) = (!state.has_place(budget), budget.most());
        let Some(at) = state.running.iter().position(|(m, _)| *m == msg) else { return };
        let (_, slow) = state.running.swap_remove(at);
        budget.give_back(state.app, slow);
        match report {
            Report::Good(us) => state.concurrency.learn(Some(us), busy, most),
            Report::Bad => state.concurrency.learn(None, busy, most),
            Report::InVain | Report::None => {}
        }
        state.recount(budget);
        let is_back = match report {
            Report::Good(_) => state.circuit.learn(Some(true), now),
            Report::Bad => state.circuit.learn(Some(false), now),
            Report::InVain => state.circuit.tried_in_vain(now),
            Report::None => state.circuit.learn(None, now),
        };
        if is_back {
            state.concurrency.start_slowly();
        }
    }

    /// Nothing starts any more, until as many have let go.
    pub fn halt(&self) {
        self.state.lock().halts += 1;
    }

    /// One who has halted the lane lets go; it is to be looked at.
    pub fn let_go(&self) {
        let mut state = self.state.lock();
        state.halts = state.halts.saturating_sub(1);
    }

    /// The lane's turn in the queue for slots has come.
    pub fn called(&self) {
        self.state.lock().waits_for_slot = None;
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

    /// Takes an attempt of this message, if it waits in memory.
    #[must_use]
    pub fn withdraw(&self, msg: MsgId, trigger: Trigger, budget: &Budget) -> Option<Work> {
        let mut state = self.state.lock();
        let State { fresh, claimed, .. } = &mut *state;
        let is_it = |work: &Work| work.message.id == msg && work.trigger == trigger;
        let work = [fresh, claimed].into_iter().find_map(|queue| queue.remove(queue.iter().position(is_it)?))?;
        budget.unqueue(work.bytes);
        Some(work)
    }

    /// As [`Lane::withdraw`]; what a claim or an acceptance under way may bring is not to start either.
    #[must_use]
    pub fn strike(&self, msg: MsgId, trigger: Trigger, budget: &Budget) -> Option<Work> {
        let withdrawn = self.withdraw(msg, trigger, budget);
        let mut state = self.state.lock();
        if withdrawn.is_none() && state.claiming {
            state.struck.push((msg, trigger));
        }
        if withdrawn.is_none() && state.reserved > 0 && trigger == Trigger::Scheduled {
            state.struck_fresh.push_back(msg);
            if state.struck_fresh.len() > STRUCK {
                state.struck_fresh.pop_front();
            }
        }
        withdrawn
    }

    /// Its endpoint is deleted: what the store has for it is of no interest.
    pub fn close(&self) {
        self.state.lock().gone = true;
    }

    /// Whether an attempt of this message runs.
    #[must_use]
    pub fn runs(&self, msg: MsgId) -> bool {
        self.state.lock().running.iter().any(|(m, _)| *m == msg)
    }

    /// How it is.
    #[must_use]
    pub fn view(&self, now: Time, budget: &Budget) -> LaneView {
        let state = self.state.lock();
        let waiting = state.fresh.iter().take(1).chain(&state.claimed).map(|work| work.message.id);
        LaneView {
            fresh: state.fresh.len(),
            claimed: state.claimed.len(),
            running: state.running.len(),
            limit: state.concurrency.limit(state.bounds(budget)),
            slow: state.concurrency.is_slow(),
            circuit: state.circuit.state(now),
            mean_us: state.concurrency.mean_us(),
            oldest: waiting.chain(state.running.iter().map(|(msg, _)| *msg)).min(),
            stored_due: state.stored_due,
        }
    }

    /// How many deliveries wait in memory.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let state = self.state.lock();
        state.fresh.len() + state.claimed.len()
    }

    /// How many attempts run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.state.lock().running.len()
    }

    /// Whether it may be forgotten: nothing goes on, and a lane made anew would not let more go.
    pub(super) fn is_idle(&self, now: Time) -> bool {
        let mut state = self.state.lock();
        let State { bucket, pace, .. } = &mut *state;
        if [bucket, pace].into_iter().flatten().any(|bucket| !bucket.is_full(now)) {
            return false;
        }
        let waits = !state.fresh.is_empty() || !state.claimed.is_empty() || state.reserved > 0;
        let has_more = !state.gone && (state.stored_due.is_some() || state.alarm_at.is_some());
        !waits && state.running.is_empty() && !state.claiming && !has_more
    }
}

#[cfg(test)]
mod tests;
