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
    waiting: Mutex<VecDeque<EndpointId>>,
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
        if slow && self.used_by_slow.fetch_add(1, Relaxed) >= self.slots / 2 {
            self.used_by_slow.fetch_sub(1, Relaxed);
            return false;
        }
        if self.used.fetch_add(1, Relaxed) >= self.slots {
            self.used.fetch_sub(1, Relaxed);
            if slow {
                self.used_by_slow.fetch_sub(1, Relaxed);
            }
            return false;
        }
        true
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
    pub(super) fn wait(&self, endpoint: EndpointId) {
        self.waiting.lock().push_back(endpoint);
    }

    /// The lane that has waited longest for a slot. Ask after each attempt: each slot given back serves one.
    pub fn next_waiting(&self) -> Option<EndpointId> {
        self.waiting.lock().pop_front()
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
}
