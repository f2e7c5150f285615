//! A throttle: so many at once, then one for each period. One number says all (the generic cell rate algorithm), so that
//! asking costs no lock.

use crate::model::Time;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Lets some pass at once, and then one for each period.
#[derive(Debug)]
pub(super) struct Throttle {
    /// When a burst can be had again, in milliseconds since the epoch.
    full_at: AtomicU64,
    burst: u64,
    period_ms: u64,
}

impl Throttle {
    /// Lets `burst` pass at once, then one a `period`.
    #[must_use]
    pub(super) fn new((burst, period): (u64, Duration)) -> Self {
        let period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        Throttle { full_at: AtomicU64::new(0), burst, period_ms }
    }

    /// Whether one may pass now; it then has.
    pub(super) fn pass(&self, now: Time) -> bool {
        let allowed = self.burst.saturating_mul(self.period_ms);
        let next = |full_at: u64| {
            let next = full_at.max(now.0).saturating_add(self.period_ms);
            (next - now.0 <= allowed).then_some(next)
        };
        self.full_at.fetch_update(Relaxed, Relaxed, next).is_ok()
    }

    /// Takes back what has passed for nothing.
    pub(super) fn give_back(&self) {
        let back = |full_at: u64| Some(full_at.saturating_sub(self.period_ms));
        let _always_possible = self.full_at.fetch_update(Relaxed, Relaxed, back);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_for_each_period() {
        let throttle = Throttle::new((20, Duration::from_secs(1)));
        let start = 1_700_000_000_000;
        let passed = |from: u64, until: u64| (from..until).filter(|ms| throttle.pass(Time(start + ms))).count();
        assert_eq!(passed(0, 1000), 20);
        assert_eq!(passed(1000, 11_000), 10);
        assert_eq!(passed(3_600_000, 3_600_500), 20, "after a pause");
        throttle.give_back();
        assert_eq!(passed(3_600_500, 3_600_501), 1);
    }
}
