//! How many attempts a lane runs at once: more while the endpoint answers well, fewer when it does not.

/// Attempts at once to an endpoint of which nothing is known, and the least that one gets.
const MIN: f32 = 10.0;
/// Attempts at once to an endpoint that answers well.
const MAX: f32 = 100.0;
/// What remains of the limit after a failure.
const BACK_OFF: f32 = 0.7;
/// An answer that takes so many times the best one, and [`SLACK_US`] more, says that more at once would only wait.
const CROWDED: f32 = 3.0;
/// Microseconds by which answers may differ without meaning anything.
const SLACK_US: f32 = 1000.0;
/// Microseconds of work in which the best time is forgotten (it grows by a factor of e): an endpoint may become slower for
/// good.
const FORGET_US: f32 = 30e6;
/// What one answer counts in the mean time of answers.
const MEAN_PART: f32 = 0.05;
/// Failures in a row after which a lane counts as slow.
const SLOW_AFTER: u32 = 3;

/// An adaptive limit: additive increase, multiplicative decrease.
#[derive(Debug)]
pub(super) struct Concurrency {
    limit: f32,
    failures: u32,
    best_us: f32,
    mean_us: f32,
}

impl Default for Concurrency {
    fn default() -> Self {
        Concurrency { limit: MIN, failures: 0, best_us: f32::MAX, mean_us: 0.0 }
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

    /// Attempts at once that it allows now.
    pub(super) fn limit(&self) -> usize {
        (1..=MAX as usize).rev().find(|limit| *limit as f32 <= self.limit).unwrap_or(1)
    }

    /// The mean time of answers, in microseconds; `None` before the first.
    pub(super) fn mean_us(&self) -> Option<f32> {
        (self.mean_us > 0.0).then_some(self.mean_us)
    }

    /// An endpoint that was left alone is back: it begins with one attempt at a time.
    pub(super) fn start_slowly(&mut self) {
        self.limit = 1.0;
    }

    /// Learns from an attempt: the time in which it was answered well, or `None` for a failure. `busy`: the limit was in
    /// use, so that more could have run.
    pub(super) fn learn(&mut self, answered_us: Option<u32>, busy: bool) {
        let Some(took_us) = answered_us.map(|us| us as f32) else {
            self.failures = self.failures.saturating_add(1);
            self.limit = (self.limit * BACK_OFF).max(self.limit.min(MIN));
            return;
        };
        self.failures = 0;
        self.mean_us = if self.mean_us == 0.0 { took_us } else { self.mean_us + (took_us - self.mean_us) * MEAN_PART };
        // Of `limit` attempts at once, each one's time is that part of the time that passes.
        self.best_us = (self.best_us * (1.0 + took_us / (FORGET_US * self.limit))).min(took_us);
        if took_us > self.best_us * CROWDED + SLACK_US {
            self.limit = (self.limit - 1.0 / self.limit).max(self.limit.min(MIN));
        } else if self.limit < MIN {
            // Slow start: twice as many with each answer.
            self.limit = (self.limit * 2.0).min(MIN);
        } else if busy {
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
        (0..200).for_each(|_| limit.learn(Some(500), false));
        assert!(!limit.allows(10));
        (0..200).for_each(|_| limit.learn(Some(500), true));
        assert!(limit.allows(99) && !limit.allows(100));
        (0..3).for_each(|_| limit.learn(None, true));
        assert!(limit.is_slow() && !limit.allows(40));
        limit.learn(Some(500), true);
        assert!(!limit.is_slow());
    }

    #[test]
    fn a_slow_start_doubles_with_each_answer() {
        let mut limit = Concurrency::default();
        limit.start_slowly();
        let grown = [1, 2, 4, 8, 10, 10].map(|_| {
            let now = limit.limit();
            limit.learn(Some(500), false);
            now
        });
        assert_eq!(grown, [1, 2, 4, 8, 10, 10]);
        limit.start_slowly();
        limit.learn(None, true);
        assert!(!limit.allows(1) && limit.allows(0), "a failure does not make more of it");
    }

    #[test]
    fn it_does_not_grow_into_a_crowd_but_learns_a_new_pace() {
        let mut limit = Concurrency::default();
        limit.learn(Some(1000), true);
        (0..200).for_each(|_| limit.learn(Some(20_000), true));
        assert!(!limit.allows(12));
        (0..100_000).for_each(|_| limit.learn(Some(20_000), true));
        assert!(limit.allows(99));
    }
}
