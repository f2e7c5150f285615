//! Strict order, judged at the receivers: a message that comes by its schedule before one of its key that was accepted
//! before it has come to an end. What goes together is worked out anew, and what was accepted before, by those who post.

use super::{plan::PAYLOAD_KEY, referee::Seen, store::State};
use crate::model::{DeliveryState, EndpointId, Message, MsgId, Order, OrderKey, Time, Trigger};
use std::collections::BTreeMap;

/// When messages were posted and when that was answered, in moments that are counted.
#[derive(Debug, Default)]
pub(super) struct Posts {
    moment: u64,
    posted: BTreeMap<u64, u64>,
    accepted: BTreeMap<MsgId, u64>,
    payload_ends: BTreeMap<u64, Time>,
}

impl Posts {
    pub(super) fn post(&mut self, number: u64, payload_ends: Option<Time>) {
        self.moment += 1;
        self.posted.insert(number, self.moment);
        self.payload_ends.extend(payload_ends.map(|end| (number, end)));
    }

    pub(super) fn accepted(&mut self, msg: MsgId) {
        self.moment += 1;
        self.accepted.insert(msg, self.moment);
    }

    fn began(&self, message: &Message) -> Option<u64> {
        self.posted.get(&number(message)?).copied()
    }

    /// When the payload is to be deleted, as who posted it said.
    pub(super) fn payload_ends(&self, message: &Message) -> Option<Time> {
        self.payload_ends.get(&number(message)?).copied()
    }
}

/// The number under which a message was posted.
fn number(message: &Message) -> Option<u64> {
    message.tags.first()?.parse().ok()
}

/// What says that two messages go in order, by an order that was the endpoint's all the time.
fn group(order: &Order, message: &Message) -> Option<String> {
    match order {
        Order::Key => message.ordering_key.clone(),
        Order::Payload { .. } => {
            let payload: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
            payload.get(PAYLOAD_KEY).map(ToString::to_string)
        }
        Order::All => Some(String::new()),
    }
}

/// What is wrong with a scheduled attempt that a receiver sees, if it comes before its turn.
pub(super) fn before_its_turn(state: &State, seen: &Seen, endpoint: EndpointId, msg: MsgId) -> Option<String> {
    let facts = seen.facts.get(&endpoint).filter(|facts| facts.deleted.is_none())?;
    if facts.orderings.iter().all(Option::is_none) || state.ended.contains(&(endpoint, msg)) {
        return None;
    }
    let message = state.messages.get(&(facts.app, msg))?;
    let posted = seen.posts.began(message)?;
    let go_together = |other: &Message| match &facts.orderings[..] {
        // What it was worked out from may be deleted.
        [Some(order)] if !message.expunged && !other.expunged => {
            let own = group(order, message);
            own.is_some() && own == group(order, other)
        }
        // What an endpoint says later is for later messages: as was decided then.
        _ => message.order(endpoint).is_some() && message.order(endpoint) == other.order(endpoint),
    };
    let is_open = |other: MsgId| {
        let row = state.deliveries.get(&(endpoint, other)).map(|row| row.state);
        matches!(row, Some(DeliveryState::Pending(_))) && !state.ended.contains(&(endpoint, other))
    };
    let mut earlier =
        seen.posts.accepted.iter().filter(|(_, at)| **at < posted).map(|(other, _)| *other).filter(|other| is_open(*other));
    let before = earlier.find(|other| state.messages.get(&(facts.app, *other)).is_some_and(|other| go_together(other)))?;
    Some(format!("order: {msg} came to {endpoint} before the end of {before}"))
}

/// The key within which a scheduled attempt takes its turn.
pub(super) fn key_of(state: &State, (endpoint, msg): (EndpointId, MsgId)) -> Option<OrderKey> {
    Some(state.queue.get(&(endpoint, msg, Trigger::Scheduled))?.turn?.key)
}

/// What is wrong with a scheduled attempt that a receiver sees, if it has answered another one of the key that it is gone, and
/// nobody has enabled it since. Attempted again, that other one has another answer.
pub(super) fn after_its_end(state: &State, seen: &mut Seen, (endpoint, msg): (EndpointId, MsgId)) -> Option<String> {
    if seen.gone.is_empty() {
        return None;
    }
    let of_key = (endpoint, key_of(state, (endpoint, msg))?);
    let last = seen.gone.get(&of_key).copied()?;
    if last == msg {
        seen.gone.remove(&of_key);
        return None;
    }
    // Who cancels in one process does not wait for another's attempt.
    let is_cancelled = seen.cancelled.contains(&(endpoint, last));
    (!is_cancelled).then(|| format!("order: {msg} came to {endpoint}, which said to {last} that it is gone"))
}
