//! Reading the flow.

use super::codec::{self, Counters};
use super::keys;
use super::spaces::{Space, Spaces, failure};
use crate::model::{AppId, Attempt, AttemptId, Delivery, DeliveryState, EndpointId, Message, MsgId, Time};
use crate::store::{Stats, StoreError, Window};
use fjall::{Guard, Slice};

/// A message.
pub(super) fn message(spaces: &Spaces, app: AppId, msg: MsgId) -> Result<Option<Message>, StoreError> {
    let value = spaces.get(Space::Messages, &keys::message(app, msg))?;
    value.map(|value| codec::read_message(app, msg, value)).transpose()
}

/// The message with that event id.
pub(super) fn message_by_event_id(spaces: &Spaces, app: AppId, event_id: &str) -> Result<Option<Message>, StoreError> {
    match spaces.get(Space::EventIds, &keys::event_id(app, event_id))?.and_then(|value| MsgId::from_bytes(&value)) {
        Some(msg) => message(spaces, app, msg),
        None => Ok(None),
    }
}

/// A delivery's row, written when it was first attempted.
pub(super) fn delivery_row(spaces: &Spaces, endpoint: EndpointId, msg: MsgId) -> Result<Option<Delivery>, StoreError> {
    spaces.get(Space::Deliveries, &keys::delivery(endpoint, msg))?.map(|value| codec::read_delivery(&value)).transpose()
}

/// A delivery, attempted or not.
pub(super) fn delivery(spaces: &Spaces, message: &Message, endpoint: EndpointId) -> Result<Option<Delivery>, StoreError> {
    let fresh = || Delivery::fresh(message.app, message.id, endpoint, message.first_due());
    let row = delivery_row(spaces, endpoint, message.id)?;
    Ok(row.or_else(|| message.endpoints.contains(&endpoint).then(fresh)))
}

/// An attempt.
pub(super) fn attempt(spaces: &Spaces, endpoint: EndpointId, attempt: AttemptId) -> Result<Option<Attempt>, StoreError> {
    spaces.get(Space::Attempts, &keys::attempt(endpoint, attempt))?.map(|value| codec::read_attempt(&value)).transpose()
}

/// Messages of an application.
pub(super) fn messages(spaces: &Spaces, app: AppId, window: Window) -> Result<Vec<Message>, StoreError> {
    pairs(spaces, Space::Messages, app.0, window, |msg, value| codec::read_message(app, MsgId(msg), value).map(Some))
}

/// Attempted deliveries of an endpoint. One that only waits for its first manual attempt is none yet.
pub(super) fn attempted(spaces: &Spaces, endpoint: EndpointId, window: Window) -> Result<Vec<Delivery>, StoreError> {
    pairs(spaces, Space::Deliveries, endpoint.0, window, |_, value| {
        Ok(Some(codec::read_delivery(&value)?).filter(|delivery| !delivery.attempts.is_empty()))
    })
}

/// Attempts of an endpoint.
pub(super) fn attempts(spaces: &Spaces, endpoint: EndpointId, window: Window) -> Result<Vec<Attempt>, StoreError> {
    pairs(spaces, Space::Attempts, endpoint.0, window, |_, value| codec::read_attempt(&value).map(Some))
}

/// Whether a delivery's schedule can start anew: exhausted by attempts, not merely waiting for a manual one.
pub(super) fn is_restartable(delivery: &Delivery) -> bool {
    delivery.state == DeliveryState::Exhausted && !delivery.attempts.is_empty()
}

/// Messages whose exhausted deliveries to the endpoint can start anew.
pub(super) fn exhausted(spaces: &Spaces, endpoint: EndpointId, window: Window) -> Result<Vec<MsgId>, StoreError> {
    pairs(spaces, Space::Deliveries, endpoint.0, window, |_, value| {
        Ok(Some(codec::read_delivery(&value)?).filter(is_restartable).map(|delivery| delivery.msg))
    })
}

fn pairs<T>(
    spaces: &Spaces,
    space: Space,
    first: u128,
    window: Window,
    mut read: impl FnMut(u128, Slice) -> Result<Option<T>, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    if window.above >= window.below {
        return Ok(found);
    }
    let mut range = spaces.of(space).range(keys::between(first, window.above, window.below));
    while found.len() < window.limit {
        let Some(guard) = (if window.newest_first { range.next_back() } else { range.next() }) else { break };
        let (key, value) = guard.into_inner().map_err(failure)?;
        let second = keys::second(&key).ok_or_else(|| StoreError::Damaged("a key".into()))?;
        found.extend(read(second, value)?);
    }
    Ok(found)
}

/// Deliveries by state.
pub(super) fn stats(spaces: &Spaces, endpoint: EndpointId, since: Time, until: Time) -> Result<Stats, StoreError> {
    let (first, end) = (keys::minute(since), until.0.div_ceil(keys::MINUTE_MS));
    let mut sum = Stats::default();
    if first >= end {
        return Ok(sum);
    }
    for guard in spaces.of(Space::Stats).range(keys::stats(endpoint, first)..keys::stats(endpoint, end)) {
        let Counters { accepted, delivered, exhausted, cancelled } = counters(guard)?;
        sum.delivered += delivered;
        sum.exhausted += exhausted;
        sum.cancelled += cancelled;
        sum.pending += accepted.saturating_sub(delivered + exhausted + cancelled);
    }
    Ok(sum)
}

fn counters(guard: Guard) -> Result<Counters, StoreError> {
    codec::read_counters(&guard.value().map_err(failure)?)
}
