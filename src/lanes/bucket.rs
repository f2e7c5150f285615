//! A token bucket: how many deliveries a second an endpoint gets.

use crate::model::Time;
use std::time::Duration;

/// The part of a second's tokens that may go at once after a pause: small, so that no second sees many more than its rate.
const BURST_PART: f64 = 0.1;

/// Tokens that refill with time.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: u16,
    tokens: f64,
    filled_at: Time,
}

impl Bucket {
    pub(super) fn new(rate: u16, now: Time) -> Self {
        Bucket { rate, tokens: Self::capacity(rate), filled_at: now }
    }

    fn capacity(rate: u16) -> f64 {
        (f64::from(rate) * BURST_PART).max(1.0)
    }

    /// The rate it was made with, per second.
    pub(super) fn rate(&self) -> u16 {
        self.rate
    }

    /// Whether there is a token.
    ///
    /// # Errors
    /// There is none: the time at which there will be one.
    pub(super) fn ready(&mut self, now: Time) -> Result<(), Time> {
        let elapsed = now.since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * f64::from(self.rate)).min(Self::capacity(self.rate));
        self.filled_at = now;
        if self.tokens >= 1.0 {
            return Ok(());
        }
        let wait_ms = ((1.0 - self.tokens) / f64::from(self.rate) * 1000.0).ceil();
        Err(now.plus(Duration::from_secs_f64(wait_ms / 1000.0).max(Duration::from_millis(1))))
    }

    /// Whether nothing was taken that has not come in again.
    pub(super) fn is_full(&mut self, now: Time) -> bool {
        let _at_least_one = self.ready(now);
        self.tokens >= Self::capacity(self.rate)
    }

    /// Takes a token.
    ///
    /// # Errors
    /// As [`Bucket::ready`].
    pub(super) fn take(&mut self, now: Time) -> Result<(), Time> {
        self.ready(now)?;
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept() {
        let mut bucket = Bucket::new(5, Time(0));
        let mut now = Time(0);
        let mut sent = 0;
        while now < Time(10_000) {
            match bucket.take(now) {
                Ok(()) => sent += 1,
                Err(later) => {
                    assert!(later > now);
                    now = later;
                }
            }
        }
        assert!((50..=51).contains(&sent), "{sent}");
    }
}
