//! How an endpoint does: what became of its deliveries, and how fast it answers.

use super::Engine;
use crate::{
    model::{AttemptId, EndpointId, Time},
    store::{Stats, StoreError, Window},
};
use std::time::Duration;

/// The newest tries that a latency is made of, at most.
pub const MEASURED: usize = 1_000;
/// Tries fetched at once.
const CHUNK: usize = 100;

/// How an endpoint does in a time window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Performance {
    /// Deliveries of messages made in that window, by state.
    pub deliveries: Stats,
    /// Tries begun in that window that were measured: the newest, at most [`MEASURED`].
    pub measured: usize,
    /// Those of them that got an answer.
    pub answered: usize,
    /// How long an answered try took on average, from its start to the end of the answer.
    pub latency: Option<Duration>,
}

impl Performance {
    /// The share of deliveries that have ended which ended well, from 0 to 1. `None`: none has ended.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let Stats { delivered, exhausted, .. } = self.deliveries;
        let ended = delivered + exhausted;
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
        (ended > 0).then(|| delivered as f64 / ended as f64)
    }
}

impl Engine {
    /// How an endpoint did from `since` on and before `until`; for deliveries whole minutes count.
    ///
    /// # Errors
    /// The store is away or damaged.
    pub async fn performance(&self, endpoint: EndpointId, since: Time, until: Time) -> Result<Performance, StoreError> {
        let deliveries = self.store.stats(endpoint, since, until).await?;
        let lowest = |time: Time| AttemptId::lowest_at(time).0;
        let mut window = Window { above: lowest(since).saturating_sub(1), below: lowest(until), newest_first: true, limit: CHUNK };
        let (mut measured, mut answered, mut total_us) = (0, 0u32, 0u64);
        while measured < MEASURED {
            let attempts = self.store.attempts(endpoint, window).await?;
            measured += attempts.len();
            for attempt in attempts.iter().filter(|attempt| attempt.outcome.status.is_some()) {
                answered += 1;
                total_us += u64::from(attempt.outcome.phases.total_us);
            }
            match attempts.last() {
                Some(last) if attempts.len() == CHUNK => window.below = last.id.0,
                _ => break,
            }
        }
        let latency = total_us.checked_div(u64::from(answered)).map(Duration::from_micros);
        Ok(Performance { deliveries, measured, answered: usize::try_from(answered).unwrap_or(usize::MAX), latency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_ended_does_not_count() {
        let of = |delivered, exhausted, pending| Performance {
            deliveries: Stats { delivered, exhausted, pending, cancelled: 1 },
            ..Performance::default()
        };
        assert_eq!(of(0, 0, 5).success_rate(), None);
        assert_eq!(of(3, 1, 5).success_rate(), Some(0.75));
    }
}
