//! What a source remembers between requests, in memory only. It outlives changes of the source's settings.

use super::{Allowance, Memory, Throttle};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Handshakes that are answered to anybody: twenty at once, then one a second. What is signed in such an answer (X, Zoom) is
/// of the caller's choice.
const SHAKES: (u64, Duration) = (20, Duration::from_secs(1));

/// Counts since the process started.
#[derive(Debug)]
pub struct State {
    /// Requests whose events were recorded.
    pub received: AtomicU64,
    /// Requests that were refused.
    pub rejected: AtomicU64,
    /// Refusals of which no record was kept.
    pub unrecorded: AtomicU64,
    /// What of its refusals may be recorded.
    pub(super) allowance: Allowance,
    /// How often a handshake is answered to anybody.
    pub(super) shakes: Throttle,
    /// What its bodies may hold at once.
    pub(super) memory: Memory,
    /// What the bodies of all sources of its application hold.
    pub(super) of_application: Arc<Memory>,
}

impl Default for State {
    fn default() -> Self {
        State::of(Arc::new(Memory::of_application()))
    }
}

impl State {
    /// Of a source whose bodies share this memory with those of its application's other sources.
    pub(super) fn of(of_application: Arc<Memory>) -> Self {
        State {
            received: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            unrecorded: AtomicU64::new(0),
            allowance: Allowance::default(),
            shakes: Throttle::new(SHAKES),
            memory: Memory::of_source(),
            of_application,
        }
    }

    /// Counts one.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }
}
