//! What lanes share: slots for running attempts, and memory for waiting ones.

use super::concurrency::MOST;
use crate::model::EndpointId;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes of messages that all lanes together keep waiting in memory; more stays in the store.
const QUEUED_BYTES: usize = 128 << 20;

/// Slots and memory, shared by all lanes.
#[derive(Debug)]
pub struct Budget {
    slots: usize,
    used: AtomicUsize,
    used_by_slow: AtomicUsize,
    queued_bytes: AtomicUsize,
    /// Attempts at once to one endpoint, at most.
    most: AtomicUsize,
    waiting: Mutex<Waiting>,
}

/// Lanes that wait for a slot, slow ones apart: while these have all that is theirs, calling them would only keep a healthy
/// one behind them waiting. Each with its place in the order in which they came.
#[derive(Debug, Default)]
struct Waiting {
    came: u64,
    healthy: VecDeque<(u64, EndpointId)>,
    slow: VecDeque<(u64, EndpointId)>,
}

impl Budget {
    /// A budget of so many slots.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Budget {
            slots: slots.max(2),
            used: AtomicUsize::new(0),
            used_by_slow: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            most: AtomicUsize::new(MOST),
            waiting: Mutex::default(),
        }
    }

    /// Attempts at once that this process makes to one endpoint, unless the endpoint says how many.
    pub(super) fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    pub(super) fn share_with(&self, processes: usize) {
        self.most.store(MOST.div_ceil(processes.max(1)), Relaxed);
    }

    /// Takes a slot. A slow lane gets one only while slow lanes hold less than half of all: what healthy lanes need is
    /// never taken by those that do not answer.
    pub(super) fn take(&self, slow: bool) -> bool {
        if slow && !take_one(&self.used_by_slow, self.slow_share()) {
            return false;
        }
        let taken = take_one(&self.used, self.slots);
        if slow && !taken {
            self.used_by_slow.fetch_sub(1, Relaxed);
        }
        taken
    }

    /// Slots that slow lanes may hold.
    fn slow_share(&self) -> usize {
        self.slots / 2
    }

    /// Gives a slot back, as it was taken.
    pub(super) fn give_back(&self, slow: bool) {
        self.used.fetch_sub(1, Relaxed);
        if slow {
            self.used_by_slow.fetch_sub(1, Relaxed);
        }
    }

    /// A lane that holds so many slots is slow from now on, or no longer: they count as what it is.
    pub(super) fn recount(&self, slots: usize, slow: bool) {
        match slow {
            true => self.used_by_slow.fetch_add(slots, Relaxed),
            false => self.used_by_slow.fetch_sub(slots, Relaxed),
        };
    }

    /// A lane that got no slot queues for one.
    pub(super) fn wait(&self, endpoint: EndpointId, slow: bool) {
        let mut waiting = self.waiting.lock();
        let place = (waiting.came, endpoint);
        waiting.came += 1;
        if slow { waiting.slow.push_back(place) } else { waiting.healthy.push_back(place) }
    }

    /// Of the lanes that may have a slot the one that has waited longest; `None` also when there is no slot. Ask after each
    /// attempt until one takes the slot that was given back.
    pub fn next_waiting(&self) -> Option<EndpointId> {
        if self.used.load(Relaxed) >= self.slots {
            return None;
        }
        let open = self.used_by_slow.load(Relaxed) < self.slow_share();
        let mut waiting = self.waiting.lock();
        let slow = waiting.slow.front().filter(|_| open).map(|(came, _)| *came);
        let healthy = waiting.healthy.front().map(|(came, _)| *came);
        let next = match (slow, healthy) {
            (Some(slow), Some(healthy)) if slow < healthy => waiting.slow.pop_front(),
            (Some(_), None) => waiting.slow.pop_front(),
            _ => waiting.healthy.pop_front(),
        };
        next.map(|(_, endpoint)| endpoint)
    }

    /// Attempts that run now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Whether lanes may keep more work in memory.
    #[must_use]
    pub fn has_memory(&self) -> bool {
        self.queued_bytes.load(Relaxed) < QUEUED_BYTES
    }

    pub(super) fn queue(&self, bytes: usize) {
        self.queued_bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn unqueue(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Relaxed);
    }
}

/// Counts one more, never above `most`: who looks meanwhile is not to take a try for what is taken.
fn take_one(taken: &AtomicUsize, most: usize) -> bool {
    taken.fetch_update(Relaxed, Relaxed, |taken| (taken < most).then_some(taken + 1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_lanes_leave_half_of_the_slots() {
        let budget = Budget::new(4);
        assert!(budget.take(true) && budget.take(true));
        assert!(!budget.take(true));
        assert!(budget.take(false) && budget.take(false));
        assert!(!budget.take(false));
        budget.give_back(true);
        assert!(budget.take(true));
        assert_eq!(budget.in_flight(), 4);
    }
    #[test]
    fn a_healthy_lane_waits_behind_no_slow_one_that_may_have_no_slot() {
        let budget = Budget::new(4);
        assert!(budget.take(true) && budget.take(true));
        (1..=20).for_each(|slow| budget.wait(EndpointId(slow), true));
        budget.wait(EndpointId(21), false);
        assert_eq!(budget.next_waiting(), Some(EndpointId(21)));
        assert_eq!(budget.next_waiting(), None);
        budget.wait(EndpointId(22), false);
        budget.give_back(true);
        assert_eq!(budget.next_waiting(), Some(EndpointId(1)), "it has waited longer, and may");
        assert!(budget.take(true));
        assert_eq!(budget.next_waiting(), Some(EndpointId(22)));
    }
}
