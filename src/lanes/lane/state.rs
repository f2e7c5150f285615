//! What a lane knows, and the questions that decide whether something may start.

use super::{
    super::{
        Budget,
        bucket::Bucket,
        circuit::Circuit,
        concurrency::{Bounds, Concurrency},
        slots::{Asks, Slot},
    },
    Ring, TURNS, Work,
};
use crate::model::{AppId, EndpointId, MsgId, Time, Trigger};
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) fresh: VecDeque<Work>,
    pub(super) claimed: VecDeque<Work>,
    pub(super) reserved: usize,
    pub(super) running: Vec<(MsgId, bool)>,
    /// Whose endpoint it is; known once anything was to start.
    pub(super) app: AppId,
    pub(super) turn: u32,
    pub(super) concurrency: Concurrency,
    /// The endpoint's own number of attempts at once, as it was when it was last asked.
    pub(super) fixed: Option<u16>,
    pub(super) circuit: Circuit,
    pub(super) bucket: Option<Bucket>,
    pub(super) pace: Option<Bucket>,
    pub(super) waits_for_slot: Option<bool>,
    pub(super) claiming: bool,
    pub(super) stored_due: Option<Time>,
    pub(super) alarm_at: Option<Time>,
    /// So many want nothing to start.
    pub(super) halts: u32,
    /// What is not to start, although the claim under way may bring it.
    pub(super) struck: Vec<(MsgId, Trigger)>,
    /// Messages that are not to start, although they may be on their way from their acceptance.
    pub(super) struck_fresh: VecDeque<MsgId>,
    /// Its endpoint is deleted.
    pub(super) gone: bool,
}

impl State {
    pub(super) fn bounds(&self, budget: &Budget) -> Bounds {
        Bounds { fixed: self.fixed, most: budget.most() }
    }

    /// Whether one more attempt may run.
    pub(super) fn has_place(&self, budget: &Budget) -> bool {
        self.concurrency.allows(self.running.len(), self.bounds(budget))
    }

    /// Takes a slot for the application whose work waits; whether as a slow lane.
    pub(super) fn take_slot(&mut self, endpoint: EndpointId, budget: &Budget) -> Option<(AppId, bool)> {
        self.app = self.fresh.front().or(self.claimed.front())?.app;
        let slow = self.concurrency.is_slow();
        // A lane that has become slow, or no longer is, stands in the other line.
        let in_line = self.waits_for_slot == Some(slow);
        match budget.ask(Asks { app: self.app, endpoint, slow, running: self.running.len(), in_line }) {
            Slot::Taken => Some((self.app, slow)),
            Slot::Enough => None,
            Slot::Waits => {
                self.waits_for_slot = Some(slow);
                None
            }
        }
    }

    /// What runs counts as what the lane has become: else one that turns out slow would keep the slots that it took as one like
    /// any other, and take the share of slow ones on top.
    pub(super) fn recount(&mut self, budget: &Budget) {
        let slow = self.concurrency.is_slow();
        if self.running.first().is_some_and(|(_, counted)| *counted != slow) {
            self.running.iter_mut().for_each(|(_, counted)| *counted = slow);
            budget.recount(self.app, self.running.len(), slow);
        }
    }

    pub(super) fn set_alarm(&mut self, at: Time) -> Option<Ring> {
        if self.alarm_at.is_some_and(|set| set <= at) {
            return None;
        }
        let instead_of = self.alarm_at.replace(at);
        Some(Ring { at, instead_of })
    }

    /// Whether the rate lets one more go. It is asked before a slot is taken: one that was taken and given back, with no attempt
    /// in between after which the lanes that wait are called, could be missing to another lane for good.
    pub(super) fn has_token(&mut self, rate: Option<u16>, now: Time) -> Result<(), Time> {
        let Some(rate) = rate.filter(|r| *r > 0) else {
            self.bucket = None;
            return Ok(());
        };
        if self.bucket.as_ref().is_none_or(|b| b.rate() != rate) {
            self.bucket = Some(Bucket::new(rate, now));
        }
        self.bucket.as_mut().map_or(Ok(()), |b| b.ready(now))
    }

    /// Until when what was claimed has to wait, if it has to.
    pub(super) fn wait_for_pace(&mut self, pace: Option<u16>, now: Time) -> Option<Time> {
        let Some(pace) = pace.filter(|pace| *pace > 0) else {
            self.pace = None;
            return None;
        };
        if self.pace.as_ref().is_none_or(|bucket| bucket.rate() != pace) {
            self.pace = Some(Bucket::new(pace, now));
        }
        self.pace.as_mut().and_then(|bucket| bucket.ready(now).err())
    }

    /// The next, of what was claimed only if that may go.
    pub(super) fn pop(&mut self, claimed_may_go: bool, now: Time) -> Option<Work> {
        self.turn = (self.turn + 1) % TURNS;
        if !claimed_may_go {
            return self.fresh.pop_front();
        }
        if self.turn != 0
            && let Some(fresh) = self.fresh.pop_front()
        {
            return Some(fresh);
        }
        let Some(claimed) = self.claimed.pop_front() else { return self.fresh.pop_front() };
        let _there_is_one = self.pace.as_mut().map(|bucket| bucket.take(now));
        Some(claimed)
    }
}
