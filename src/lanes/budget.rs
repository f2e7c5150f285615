//! What lanes share: slots for running attempts, and memory for waiting ones.

use super::{
    concurrency::MOST,
    slots::{Asks, Slot, Slots},
};
use crate::model::{AppId, EndpointId};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes of messages that all lanes together keep waiting in memory; more stays in the store.
const QUEUED_BYTES: usize = 128 << 20;

/// Slots and memory, shared by all lanes.
#[derive(Debug)]
pub struct Budget {
    slots: Mutex<Slots>,
    queued_bytes: AtomicUsize,
    /// Attempts at once to one endpoint, at most.
    most: AtomicUsize,
}

impl Budget {
    /// A budget of so many slots.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Budget { slots: Mutex::new(Slots::new(slots.max(2))), queued_bytes: AtomicUsize::new(0), most: AtomicUsize::new(MOST) }
    }

    /// Attempts at once that this process makes to one endpoint, unless the endpoint says how many.
    pub(super) fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    pub(super) fn share_with(&self, processes: usize) {
        self.most.store(MOST.div_ceil(processes.max(1)), Relaxed);
    }

    /// Takes a slot, or stands in line for one.
    pub(super) fn ask(&self, asks: Asks) -> Slot {
        self.slots.lock().ask(asks)
    }

    /// Gives a slot back, as it was taken.
    pub(super) fn give_back(&self, app: AppId, slow: bool) {
        self.slots.lock().give_back(app, slow);
    }

    /// A lane that holds so many slots is slow from now on, or no longer: they count as what it is.
    pub(super) fn recount(&self, app: AppId, slots: usize, slow: bool) {
        self.slots.lock().recount(app, slots, slow);
    }

    /// Of the lanes that wait for a slot and may have one, the one whose turn it is. Ask after each attempt, until there is none.
    pub fn next_waiting(&self) -> Option<EndpointId> {
        self.slots.lock().call()
    }

    /// Attempts that run now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.slots.lock().used()
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
