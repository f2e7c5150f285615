//! How many attempts a lane runs at once: more while the endpoint answers well, fewer when it does not.

/// Attempts at once to an endpoint of which nothing is known, and the least that one gets.
const MIN: f32 = 10.0;
/// Attempts at once to an endpoint that answers well.
const MAX: f32 = 100.0;
/// What remains of the limit after a failure.
const BACK_OFF: f32 = 0.7;
/// Failures in a row after which a lane counts as slow.
const SLOW_AFTER: u32 = 3;

/// An adaptive limit: additive increase, multiplicative decrease.
#[derive(Debug)]
pub(super) struct Concurrency {
    limit: f32,
    failures: u32,
}

impl Default for Concurrency {
    fn default() -> Self {
        Concurrency { limit: MIN, failures: 0 }
    }
}

impl Concurrency {
    pub(super) fn allows(&self, in_flight: usize) -> bool {
        (in_flight as f32) < self.limit.floor()
    }

    /// Whether the endpoint has failed often enough to be kept from what others need.
    pub(super) fn is_slow(&self) -> bool {
        self.failures >= SLOW_AFTER
    }

    /// Learns from an attempt. `busy`: the limit was in use, so that more could have run.
    pub(super) fn learn(&mut self, answered_well: bool, busy: bool) {
        if !answered_well {
            self.failures = self.failures.saturating_add(1);
            self.limit = (self.limit * BACK_OFF).max(MIN);
            return;
        }
        self.failures = 0;
        if busy {
            self.limit = (self.limit + 1.0).min(MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_when_busy_and_shrinks_on_failure() {
        let mut limit = Concurrency::default();
        assert!(limit.allows(9) && !limit.allows(10));
        (0..200).for_each(|_| limit.learn(true, false));
        assert!(!limit.allows(10));
        (0..200).for_each(|_| limit.learn(true, true));
        assert!(limit.allows(99) && !limit.allows(100));
        (0..3).for_each(|_| limit.learn(false, true));
        assert!(limit.is_slow() && !limit.allows(40));
        limit.learn(true, true);
        assert!(!limit.is_slow());
    }
}
