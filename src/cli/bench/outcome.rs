//! What a load came to: the client's log and the receiver's board, put together.

use super::{
    board::{Board, Stamp},
    load::Log,
    sample::Summary,
};
use std::time::Duration;

/// Longest wait for the deliveries that are still to come when a load has ended.
const DRAIN: Duration = Duration::from_secs(30);

/// How long duplicates are looked for after the last arrival.
const GRACE: Duration = Duration::from_millis(300);

/// A load, accounted for.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Deliveries of accepted messages that arrived.
    pub(super) delivered: u64,
    /// From the first request to the last arrival.
    pub(super) elapsed: Duration,
    /// Start of sending to arrival.
    pub(super) from_start: Option<Summary>,
    /// The 2xx to arrival; zero where the delivery was quicker than the answer.
    pub(super) from_accepted: Option<Summary>,
    /// Planned time of sending to arrival.
    pub(super) from_due: Option<Summary>,
    /// What went wrong.
    pub(super) faults: Faults,
}

/// What went wrong in a load.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(super) struct Faults {
    /// Arrivals of deliveries that had arrived before.
    pub(super) duplicates: u64,
    /// Deliveries of accepted messages that never arrived.
    pub(super) missing: u64,
    /// Requests without a 2xx.
    pub(super) errors: u64,
    /// The first of these in words.
    pub(super) first_error: Option<String>,
}

impl Outcome {
    /// Waits until everything accepted has arrived (with a bound) and accounts for it. `endpoints` is the number of
    /// deliveries of each message.
    pub(super) async fn gather(board: &Board, log: Log, endpoints: u32) -> Self {
        board.wait(log.accepted() * u64::from(endpoints), DRAIN).await;
        tokio::time::sleep(GRACE).await;
        let mut outcome = Self::account(&log, &board.arrivals(), endpoints);
        outcome.faults.duplicates = board.tally().duplicates;
        outcome
    }

    fn account(log: &Log, arrivals: &[Stamp], endpoints: u32) -> Self {
        let fan = usize::try_from(endpoints).unwrap_or(1).max(1);
        let (mut start, mut accepted, mut due) = (Vec::new(), Vec::new(), Vec::new());
        let (mut missing, mut last) = (0, 0);
        for (number, sent) in log.sent.iter().enumerate().filter(|(_, sent)| sent.accepted > 0) {
            for endpoint in 0..fan {
                let Some(arrival) = arrivals.get(number * fan + endpoint).copied().filter(|stamp| *stamp > 0) else {
                    missing += 1;
                    continue;
                };
                last = last.max(arrival);
                start.push(arrival.saturating_sub(sent.start));
                accepted.push(arrival.saturating_sub(sent.accepted));
                due.push(arrival.saturating_sub(sent.due));
            }
        }
        let first = log.sent.iter().map(|sent| sent.start).min().unwrap_or(0);
        Outcome {
            delivered: start.len() as u64,
            elapsed: Duration::from_nanos(last.saturating_sub(first)),
            from_start: Summary::of(start),
            from_accepted: Summary::of(accepted),
            from_due: Summary::of(due),
            faults: Faults { missing, errors: log.errors, first_error: log.first_error.clone(), duplicates: 0 },
        }
    }

    /// Deliveries a second, until the last has arrived.
    pub(super) fn rate(&self) -> f64 {
        if self.elapsed.is_zero() { 0.0 } else { self.delivered as f64 / self.elapsed.as_secs_f64() }
    }
}

impl Faults {
    /// Adds those of another load.
    pub(super) fn add(&mut self, other: Faults) {
        self.duplicates += other.duplicates;
        self.missing += other.missing;
        self.errors += other.errors;
        if self.first_error.is_none() {
            self.first_error = other.first_error;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Sent;
    use super::*;

    #[test]
    fn every_accepted_delivery_is_counted_once_or_missing() {
        let sent = |start, accepted| Sent { due: start - 1, start, accepted };
        let log = Log { sent: vec![sent(10, 20), sent(11, 0), sent(12, 40)], errors: 1, first_error: Some("503".into()) };
        let outcome = Outcome::account(&log, &[15, 30, 16, 0, 1_000_000_012, 0], 2);
        assert_eq!(outcome.delivered, 3);
        assert_eq!((outcome.faults.missing, outcome.faults.errors), (1, 1));
        assert_eq!(outcome.elapsed, Duration::from_nanos(1_000_000_002));
        assert_eq!(outcome.from_start.unwrap(), Summary { count: 3, p50: 20, p99: 1_000_000_000, max: 1_000_000_000 });
        assert_eq!(outcome.from_accepted.unwrap().p50, 10);
        assert_eq!(outcome.from_due.unwrap().p50, 21);
        assert!((outcome.rate() - 3.0).abs() < 0.001);
    }

    #[test]
    fn nothing_delivered_is_no_rate() {
        let outcome = Outcome::account(&Log::default(), &[], 1);
        assert_eq!((outcome.delivered, outcome.rate()), (0, 0.0));
        assert!(outcome.from_start.is_none());
    }
}
