//! A delivery: one message × one endpoint, and its named transitions.

use super::{AppId, AttemptId, EndpointId, MsgId, Time};
use serde::{Deserialize, Serialize};

/// Where a delivery stands. `held` is `Pending` at a disabled endpoint, `in flight` is `Pending` under a lease:
/// neither is written, so neither can fall out of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// The next automatic attempt is due at that time.
    Pending(Time),
    /// An attempt succeeded.
    Delivered,
    /// Every automatic attempt failed, or one failed for good.
    Exhausted,
    /// Withdrawn: by its owner, or because its endpoint was deleted.
    Cancelled,
}

/// What starts an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Trigger {
    /// The retry schedule.
    Scheduled,
    /// Somebody asked for it.
    Manual,
}

/// One message × one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The message.
    pub msg: MsgId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The application of both.
    pub app: AppId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Scheduled attempts that failed so far.
    pub failed: u32,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptId>,
}

/// What an attempt means for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeded.
    Delivered,
    /// It failed; the next scheduled attempt is due at that time.
    Retry(Time),
    /// It failed and was the last.
    Exhausted,
    /// The endpoint is gone; there was no attempt.
    Cancelled,
}

impl Delivery {
    /// A delivery before its first attempt.
    #[must_use]
    pub fn fresh(app: AppId, msg: MsgId, endpoint: EndpointId, due: Time) -> Self {
        Delivery { msg, endpoint, app, state: DeliveryState::Pending(due), failed: 0, attempts: Vec::new() }
    }

    /// The delivery after an attempt. The only way in which an attempt moves a state:
    /// success always wins; a failed manual attempt leaves a pending delivery's schedule as it was; a late failure never
    /// takes back a success.
    pub fn conclude(&mut self, trigger: Trigger, verdict: Verdict, attempt: Option<AttemptId>) {
        self.attempts.extend(attempt);
        let settled = matches!(self.state, DeliveryState::Delivered | DeliveryState::Cancelled);
        match (verdict, trigger) {
            (Verdict::Delivered, _) => self.state = DeliveryState::Delivered,
            (Verdict::Cancelled, _) if self.state != DeliveryState::Delivered => self.state = DeliveryState::Cancelled,
            (Verdict::Retry(due), Trigger::Scheduled) if !settled => {
                self.failed += 1;
                self.state = DeliveryState::Pending(due);
            }
            (Verdict::Exhausted, Trigger::Scheduled) if !settled => {
                self.failed += 1;
                self.state = DeliveryState::Exhausted;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> Delivery {
        Delivery::fresh(AppId(1), MsgId(2), EndpointId(3), Time(5))
    }

    #[test]
    fn a_failed_manual_attempt_keeps_the_schedule() {
        let mut delivery = pending();
        delivery.conclude(Trigger::Manual, Verdict::Exhausted, Some(AttemptId(1)));
        assert_eq!((delivery.state, delivery.failed, delivery.attempts.len()), (DeliveryState::Pending(Time(5)), 0, 1));
    }

    #[test]
    fn a_success_is_never_taken_back() {
        let mut delivery = pending();
        delivery.conclude(Trigger::Manual, Verdict::Delivered, Some(AttemptId(1)));
        delivery.conclude(Trigger::Scheduled, Verdict::Retry(Time(9)), Some(AttemptId(2)));
        delivery.conclude(Trigger::Scheduled, Verdict::Cancelled, None);
        assert_eq!(delivery.state, DeliveryState::Delivered);
        assert_eq!(delivery.attempts, [AttemptId(1), AttemptId(2)]);
    }

    #[test]
    fn scheduled_failures_count() {
        let mut delivery = pending();
        delivery.conclude(Trigger::Scheduled, Verdict::Retry(Time(9)), Some(AttemptId(1)));
        assert_eq!((delivery.state, delivery.failed), (DeliveryState::Pending(Time(9)), 1));
        delivery.conclude(Trigger::Scheduled, Verdict::Exhausted, Some(AttemptId(2)));
        assert_eq!((delivery.state, delivery.failed), (DeliveryState::Exhausted, 2));
    }
}
