//! When a failed delivery is tried again: a list of delays, or a rule that computes them.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The default schedule after the first attempt, in seconds: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h.
/// The schedule that Standard Webhooks' text recommends and most senders use.
const DEFAULT_DELAYS_S: [u32; 7] = [5, 300, 1800, 7200, 18_000, 36_000, 36_000];
/// The longest delay a policy may ask for: 30 days, in seconds.
const MAX_DELAY_S: u32 = 30 * 86_400;

/// How the delays of a computed policy grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// `initial × factor^n`
    Exponential,
    /// `initial × (n + 1)`
    Linear,
    /// `initial`
    Fixed,
}

/// A retry policy. Delays are in seconds, counted from the end of the failed attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RetryPolicy {
    /// One delay a retry.
    Delays(Vec<u32>),
    /// Delays by rule.
    Computed {
        /// Retries after the first attempt.
        max_retries: u32,
        /// How delays grow.
        backoff: Backoff,
        /// First delay, in seconds.
        initial: u32,
        /// Growth of an exponential policy.
        #[serde(default = "default_factor")]
        factor: f64,
        /// The longest delay, in seconds.
        #[serde(default = "default_max")]
        max: u32,
    },
}

fn default_factor() -> f64 {
    2.0
}

fn default_max() -> u32 {
    MAX_DELAY_S
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy::Delays(DEFAULT_DELAYS_S.to_vec())
    }
}

impl RetryPolicy {
    /// The most retries a policy may ask for.
    pub const MAX_RETRIES: usize = 50;

    /// The delay before the retry that follows `failed` failed attempts (1 = the first has failed); `None` when no
    /// retry is left.
    #[must_use]
    pub fn delay_after(&self, failed: u32) -> Option<Duration> {
        let nth = failed.checked_sub(1)?;
        let seconds = match self {
            RetryPolicy::Delays(delays) => {
                return delays.get(usize::try_from(nth).ok()?).map(|s| Duration::from_secs(u64::from(*s)));
            }
            RetryPolicy::Computed { max_retries, .. } if nth >= *max_retries => return None,
            RetryPolicy::Computed { backoff: Backoff::Fixed, initial, .. } => f64::from(*initial),
            RetryPolicy::Computed { backoff: Backoff::Linear, initial, .. } => f64::from(*initial) * (f64::from(nth) + 1.0),
            RetryPolicy::Computed { initial, factor, .. } => f64::from(*initial) * factor.powf(f64::from(nth)),
        };
        let cap = match self {
            RetryPolicy::Computed { max, .. } => f64::from(*max),
            RetryPolicy::Delays(_) => f64::from(MAX_DELAY_S),
        };
        Some(Duration::from_secs_f64(seconds.min(cap).max(0.0)))
    }

    /// What is wrong with the policy, as a sentence that names the rule.
    ///
    /// # Errors
    /// More than [`RetryPolicy::MAX_RETRIES`] retries, a delay over [`MAX_DELAY_S`], a factor that is not a number from 1 to 100.
    pub fn check(&self) -> Result<(), String> {
        let too_many = || format!("at most {} retries", Self::MAX_RETRIES);
        let too_long = || format!("a delay is at most {MAX_DELAY_S} seconds");
        match self {
            RetryPolicy::Delays(delays) if delays.len() > Self::MAX_RETRIES => Err(too_many()),
            RetryPolicy::Delays(delays) if delays.iter().any(|d| *d > MAX_DELAY_S) => Err(too_long()),
            RetryPolicy::Computed { max_retries, .. } if *max_retries as usize > Self::MAX_RETRIES => Err(too_many()),
            RetryPolicy::Computed { initial, max, .. } if *initial > MAX_DELAY_S || *max > MAX_DELAY_S => Err(too_long()),
            RetryPolicy::Computed { factor, .. } if !(1.0..=100.0).contains(factor) => {
                Err("factor is a number from 1 to 100".into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_end() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.delay_after(0), None);
        assert_eq!(policy.delay_after(1), Some(Duration::from_secs(5)));
        assert_eq!(policy.delay_after(7), Some(Duration::from_secs(36_000)));
        assert_eq!(policy.delay_after(8), None);
    }

    #[test]
    fn computed_delays_grow_and_stop_at_the_cap() {
        let policy = |backoff| RetryPolicy::Computed { max_retries: 4, backoff, initial: 10, factor: 3.0, max: 60 };
        let delays = |b| (1..6).map(|n| policy(b).delay_after(n).map(|d| d.as_secs())).collect::<Vec<_>>();
        assert_eq!(delays(Backoff::Exponential), [Some(10), Some(30), Some(60), Some(60), None]);
        assert_eq!(delays(Backoff::Linear), [Some(10), Some(20), Some(30), Some(40), None]);
        assert_eq!(delays(Backoff::Fixed), [Some(10), Some(10), Some(10), Some(10), None]);
    }

    #[test]
    fn absurd_policies_are_refused() {
        assert!(RetryPolicy::Delays(vec![1; 51]).check().is_err());
        assert!(RetryPolicy::Delays(vec![u32::MAX]).check().is_err());
        let nan = RetryPolicy::Computed { max_retries: 1, backoff: Backoff::Fixed, initial: 1, factor: f64::NAN, max: 1 };
        assert!(nan.check().is_err());
        assert!(RetryPolicy::default().check().is_ok());
    }
}
