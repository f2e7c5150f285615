//! The statuses of the contract, and how deliveries and attempts map to them.

use crate::{
    flow::Engine,
    model::{Delivery, DeliveryState, Outcome, Time},
};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

/// The sending status of a message or an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum MessageStatus {
    /// 0
    Success,
    /// 1: an attempt is due later, or held because the endpoint is disabled.
    Pending,
    /// 2
    Fail,
    /// 3: an attempt is running.
    Sending,
    /// 4: withdrawn.
    Canceled,
}

impl MessageStatus {
    const ALL: [(MessageStatus, u8, &str); 5] = [
        (MessageStatus::Success, 0, "success"),
        (MessageStatus::Pending, 1, "pending"),
        (MessageStatus::Fail, 2, "fail"),
        (MessageStatus::Sending, 3, "sending"),
        (MessageStatus::Canceled, 4, "canceled"),
    ];

    /// The status with this number.
    pub(in crate::api) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, n, _)| *n == number).map(|(status, ..)| *status)
    }

    fn row(self) -> (u8, &'static str) {
        Self::ALL.iter().find(|(status, ..)| *status == self).map_or((2, "fail"), |(_, number, text)| (*number, text))
    }

    /// Its name.
    pub(in crate::api) fn text(self) -> MessageStatusText {
        MessageStatusText(self.row().1)
    }

    /// The status as shown to a client that may not know `canceled`. Clients that ask for nothing get `fail`, not the
    /// `success` that the contract's own server gives: nobody should take a withdrawn delivery for a delivered one.
    pub(in crate::api) fn shown(self, expanded: bool) -> Self {
        if self == MessageStatus::Canceled && !expanded { MessageStatus::Fail } else { self }
    }

    /// Of an attempt. An attempt is recorded when it has ended, so it has succeeded or failed.
    pub(in crate::api) fn of_attempt(outcome: &Outcome) -> Self {
        if outcome.succeeded() { MessageStatus::Success } else { MessageStatus::Fail }
    }
}

impl Serialize for MessageStatus {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(self.row().0)
    }
}

impl PartialSchema for MessageStatus {
    fn schema() -> RefOr<Schema> {
        let numbers = Self::ALL.iter().map(|(_, number, _)| *number);
        let text = "The sending status: success 0, pending 1, fail 2, sending 3, canceled 4 (only with expanded_statuses)";
        ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some(numbers)).description(Some(text)).into()
    }
}

impl ToSchema for MessageStatus {
    fn name() -> Cow<'static, str> {
        "MessageStatus".into()
    }
}

/// A status as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(in crate::api) struct MessageStatusText(&'static str);

impl PartialSchema for MessageStatusText {
    fn schema() -> RefOr<Schema> {
        let words = MessageStatus::ALL.iter().map(|(_, _, text)| *text);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
    }
}

impl ToSchema for MessageStatusText {
    fn name() -> Cow<'static, str> {
        "MessageStatusText".into()
    }
}

/// Where a delivery stands, in the contract's terms and in ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) struct Standing {
    /// The contract's status.
    pub(in crate::api) status: MessageStatus,
    /// When the next automatic attempt is due; none while the delivery is held.
    pub(in crate::api) next_attempt: Option<Time>,
    /// The state: `pending`, `in_flight`, `held`, `delivered`, `exhausted`, `cancelled`.
    pub(in crate::api) state: &'static str,
}

impl Standing {
    /// Of a delivery to an endpoint that is disabled or not.
    pub(in crate::api) fn of(engine: &Engine, delivery: &Delivery, disabled: bool) -> Self {
        let standing = Self::from(delivery.state, engine.in_flight(delivery.endpoint, delivery.msg), disabled);
        // Nothing was to be sent until somebody asked for it: it waits for that attempt.
        let asked_for = delivery.state == DeliveryState::Exhausted && delivery.attempts.is_empty();
        match (asked_for && standing.state == "exhausted", disabled) {
            (true, true) => Standing { status: MessageStatus::Pending, next_attempt: None, state: "held" },
            (true, false) => Standing { status: MessageStatus::Pending, next_attempt: None, state: "pending" },
            _ => standing,
        }
    }

    fn from(state: DeliveryState, in_flight: bool, disabled: bool) -> Self {
        let (status, next_attempt, state) = match state {
            DeliveryState::Delivered => (MessageStatus::Success, None, "delivered"),
            DeliveryState::Cancelled => (MessageStatus::Canceled, None, "cancelled"),
            _ if in_flight => (MessageStatus::Sending, None, "in_flight"),
            DeliveryState::Exhausted => (MessageStatus::Fail, None, "exhausted"),
            DeliveryState::Pending(_) if disabled => (MessageStatus::Pending, None, "held"),
            DeliveryState::Pending(due) => (MessageStatus::Pending, Some(due), "pending"),
        };
        Standing { status, next_attempt, state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_round() {
        for (status, number, word) in MessageStatus::ALL {
            assert_eq!(MessageStatus::from_number(number), Some(status));
            assert_eq!(serde_json::to_value((status, status.text())).unwrap(), serde_json::json!([number, word]));
        }
        assert_eq!(MessageStatus::from_number(5), None);
    }

    #[test]
    fn old_clients_never_see_canceled() {
        assert_eq!(MessageStatus::Canceled.shown(false), MessageStatus::Fail);
        assert_eq!(MessageStatus::Canceled.shown(true), MessageStatus::Canceled);
        assert_eq!(MessageStatus::Pending.shown(false), MessageStatus::Pending);
    }

    #[test]
    fn a_standing_says_what_comes_next() {
        let due = DeliveryState::Pending(Time(9));
        let standing = |state, in_flight, disabled| {
            let standing = Standing::from(state, in_flight, disabled);
            (standing.status, standing.next_attempt, standing.state)
        };
        assert_eq!(standing(due, false, false), (MessageStatus::Pending, Some(Time(9)), "pending"));
        assert_eq!(standing(due, false, true), (MessageStatus::Pending, None, "held"));
        assert_eq!(standing(due, true, false), (MessageStatus::Sending, None, "in_flight"));
        assert_eq!(standing(DeliveryState::Exhausted, true, false).0, MessageStatus::Sending);
        assert_eq!(standing(DeliveryState::Exhausted, false, false).0, MessageStatus::Fail);
        assert_eq!(standing(DeliveryState::Delivered, false, true).0, MessageStatus::Success);
    }
}
