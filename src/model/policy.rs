//! When a failed delivery is tried again: a list of delays, or a rule that computes them.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The default schedule after the first attempt, in seconds: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h.
/// The schedule that Standard Webhooks' text recommends and most senders use.
const DEFAULT_DELAYS_S: [u32; 7] = [5, 300, 1800, 7200, 18_000, 36_000, 36_000];
/// The longest delay a policy may ask for: 30 days, in seconds.
pub const MAX_DELAY_S: u32 = 30 * 86_400;

/// The first delay where a policy has none to go by, in seconds.
const STEP_S: u32 = 60;
/// The longest delay that a policy gets by itself when it is adapted, in seconds.
const DAY_S: u32 = 86_400;

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

    /// Retries after the first attempt.
    #[must_use]
    pub fn retries(&self) -> u32 {
        match self {
            RetryPolicy::Delays(delays) => u32::try_from(delays.len()).unwrap_or(u32::MAX),
            RetryPolicy::Computed { max_retries, .. } => *max_retries,
        }
    }

    /// How delays grow; a list counts as exponential.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        match self {
            RetryPolicy::Delays(_) => Backoff::Exponential,
            RetryPolicy::Computed { backoff, .. } => *backoff,
        }
    }

    /// The policy with another number of retries, or another growth. A list ends sooner, or goes on with delays that are
    /// twice as long each time, at most a day; a growth that is another one begins with this policy's first delay.
    #[must_use]
    pub fn adapted(&self, retries: Option<u32>, growth: Option<Backoff>) -> Self {
        let max_retries = retries.unwrap_or_else(|| self.retries());
        let growth = growth.unwrap_or_else(|| self.backoff());
        match self {
            RetryPolicy::Delays(delays) if growth == Backoff::Exponential => {
                let last = delays.last().copied().unwrap_or(STEP_S);
                let doubled = std::iter::successors(Some(last), |delay| Some(delay.saturating_mul(2).min(DAY_S))).skip(1);
                // One more than allowed is enough to be refused.
                let count = usize::try_from(max_retries).unwrap_or(usize::MAX).min(Self::MAX_RETRIES + 1);
                RetryPolicy::Delays(delays.iter().copied().chain(doubled).take(count).collect())
            }
            RetryPolicy::Computed { backoff, initial, factor, max, .. } if *backoff == growth => {
                RetryPolicy::Computed { max_retries, backoff: growth, initial: *initial, factor: *factor, max: *max }
            }
            _ => {
                let first = self.delay_after(1).and_then(|delay| u32::try_from(delay.as_secs()).ok());
                let initial = first.unwrap_or(STEP_S);
                RetryPolicy::Computed { max_retries, backoff: growth, initial, factor: default_factor(), max: DAY_S }
            }
        }
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
    fn a_policy_is_adapted_and_says_what_it_is() {
        let listed = RetryPolicy::Delays(vec![60, 300, 1800, 7200]);
        let delays = |policy: &RetryPolicy| (1..5).map(|n| policy.delay_after(n).map(|d| d.as_secs())).collect::<Vec<_>>();
        assert_eq!(listed.adapted(None, None), listed);
        assert_eq!(listed.adapted(Some(2), None), RetryPolicy::Delays(vec![60, 300]));
        assert_eq!(listed.adapted(Some(7), None), RetryPolicy::Delays(vec![60, 300, 1800, 7200, 14_400, 28_800, 57_600]));
        assert!(listed.adapted(Some(u32::MAX), None).check().is_err());
        assert_eq!(delays(&listed.adapted(Some(3), Some(Backoff::Linear))), [Some(60), Some(120), Some(180), None]);
        assert_eq!(delays(&listed.adapted(Some(3), Some(Backoff::Fixed))), [Some(60), Some(60), Some(60), None]);
        let computed = RetryPolicy::Computed { max_retries: 3, backoff: Backoff::Exponential, initial: 10, factor: 3.0, max: 60 };
        assert_eq!(delays(&computed.adapted(Some(2), None)), [Some(10), Some(30), None, None]);
        for (retries, growth) in [(0, Backoff::Exponential), (9, Backoff::Linear), (50, Backoff::Fixed)] {
            let adapted = listed.adapted(Some(retries), Some(growth));
            assert_eq!((adapted.retries(), adapted.backoff()), (retries, growth));
        }
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
