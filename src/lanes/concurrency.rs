//! How many attempts a lane runs at once: more while the endpoint answers well, fewer when it does not.

/// Attempts at once to an endpoint of which nothing is known, and the least that one gets.
const MIN: f32 = 10.0;
/// Attempts at once to an endpoint that answers well, over all processes.
pub(super) const MOST: usize = 100;
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

/// Microseconds: an endpoint whose answers take longer in the mean counts as slow, for it holds what it gets as long as one that
/// hangs.
const SLOW_US: f32 = 2e6;

/// What bounds a limit from outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The endpoint's own number.
    pub(super) fixed: Option<u16>,
    /// The most for an endpoint without one: this process's share of [`MOST`].
    pub(super) most: usize,
}

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
    pub(super) fn allows(&self, in_flight: usize, bounds: Bounds) -> bool {
        in_flight < self.limit(bounds)
    }

    /// Whether the endpoint has failed so often, or takes so long to answer, that it is to be kept from what others need.
    pub(super) fn is_slow(&self) -> bool {
        self.failures >= SLOW_AFTER || self.mean_us > SLOW_US
    }

    /// Attempts at once that it allows now. A number that the endpoint has fixed holds as it is, but for a slow start.
    pub(super) fn limit(&self, Bounds { fixed, most }: Bounds) -> usize {
        match fixed {
            Some(fixed) if self.limit >= MIN => usize::from(fixed),
            Some(fixed) => self.whole().min(usize::from(fixed)),
            None => self.whole().min(most),
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to a hundred")]
    fn whole(&self) -> usize {
        self.limit as usize
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
    pub(super) fn learn(&mut self, answered_us: Option<u32>, busy: bool, most: usize) {
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
            self.limit = (self.limit + 1.0).min((most as f32).max(MIN));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Bounds = Bounds { fixed: None, most: MOST };

    #[test]
    fn it_grows_when_busy_and_shrinks_on_failure() {
        let mut limit = Concurrency::default();
        assert!(limit.allows(9, FREE) && !limit.allows(10, FREE));
        (0..200).for_each(|_| limit.learn(Some(500), false, MOST));
        assert!(!limit.allows(10, FREE));
        (0..200).for_each(|_| limit.learn(Some(500), true, MOST));
        assert!(limit.allows(99, FREE) && !limit.allows(100, FREE));
        (0..3).for_each(|_| limit.learn(None, true, MOST));
        assert!(limit.is_slow() && !limit.allows(40, FREE));
        limit.learn(Some(500), true, MOST);
        assert!(!limit.is_slow());
    }

    #[test]
    fn who_takes_seconds_to_answer_is_slow_until_it_answers_in_less() {
        let mut limit = Concurrency::default();
        limit.learn(Some(1_900_000), true, MOST);
        assert!(!limit.is_slow());
        limit.learn(Some(13_000_000), true, MOST);
        assert!(limit.is_slow());
        (0..50).for_each(|_| limit.learn(Some(500), true, MOST));
        assert!(!limit.is_slow());
    }

    #[test]
    fn a_slow_start_doubles_with_each_answer() {
        let mut limit = Concurrency::default();
        limit.start_slowly();
        let grown = [1, 2, 4, 8, 10, 10].map(|_| {
            let now = limit.limit(FREE);
            limit.learn(Some(500), false, MOST);
            now
        });
        assert_eq!(grown, [1, 2, 4, 8, 10, 10]);
        limit.start_slowly();
        limit.learn(None, true, MOST);
        assert!(!limit.allows(1, FREE) && limit.allows(0, FREE), "a failure does not make more of it");
    }

    #[test]
    fn it_does_not_grow_into_a_crowd_but_learns_a_new_pace() {
        let mut limit = Concurrency::default();
        limit.learn(Some(1000), true, MOST);
        (0..200).for_each(|_| limit.learn(Some(20_000), true, MOST));
        assert!(!limit.allows(12, FREE));
        (0..100_000).for_each(|_| limit.learn(Some(20_000), true, MOST));
        assert!(limit.allows(99, FREE));
    }

    #[test]
    fn a_fixed_number_holds_but_for_a_slow_start() {
        let mut limit = Concurrency::default();
        let fixed = |limit: &Concurrency, fixed| limit.limit(Bounds { fixed: Some(fixed), most: 1 });
        assert_eq!([1, 3, 500].map(|number| fixed(&limit, number)), [1, 3, 500]);
        (0..50).for_each(|_| limit.learn(None, true, MOST));
        assert_eq!([1, 3, 500].map(|number| fixed(&limit, number)), [1, 3, 500], "failures are the circuit's to judge");
        limit.start_slowly();
        assert_eq!([1, 3, 500].map(|number| fixed(&limit, number)), [1, 1, 1]);
        (0..4).for_each(|_| limit.learn(Some(500), false, MOST));
        assert_eq!([1, 3, 500].map(|number| fixed(&limit, number)), [1, 3, 500]);
    }

    #[test]
    fn processes_share_the_most() {
        let mut limit = Concurrency::default();
        (0..200).for_each(|_| limit.learn(Some(500), true, 34));
        let of = |limit: &Concurrency, most| limit.limit(Bounds { fixed: None, most });
        assert_eq!([100, 34, 5, 1].map(|most| of(&limit, most)), [34, 34, 5, 1]);
    }
}
