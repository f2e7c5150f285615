//! Deleting, in bounded steps: candidates are found outside the committing thread, which only checks and deletes them.

use super::keys;
use super::spaces::{Space, Spaces, failure};
use super::writes::{Effect, Writes};
use super::{codec, order, records, seen};
use crate::model::{AppId, Delivery, DeliveryState, EndpointId, Message, MsgId, Time, Trigger, Verdict};
use crate::store::{Expunge, StoreError};
use bytes::Bytes;
use fjall::{Iter, Slice};
use std::ops::Bound;

/// Deletes content; `false` when there is no such thing.
pub(super) fn expunge(writes: &mut Writes<'_>, what: &Expunge, now: Time) -> Result<bool, StoreError> {
    match what {
        Expunge::Payload(app, msg) => expunge_payload(writes, &keys::message(*app, *msg)),
        Expunge::Message(app, msg) => erase(writes, *app, *msg, now),
        Expunge::Owed(app, endpoint, msg) => cancel(writes, (*app, *endpoint, *msg), now),
        Expunge::AnswerBody(endpoint, attempt) => {
            let key = keys::attempt(*endpoint, *attempt);
            let Some(value) = writes.get(Space::Attempts, &key)? else { return Ok(false) };
            let mut attempt = codec::read_attempt(&value)?;
            attempt.outcome.body = Bytes::new();
            writes.put(Space::Attempts, key, codec::write_attempt(&attempt)?);
            Ok(true)
        }
    }
}

/// Deletes a message with all that came of it, and the leases on it.
fn erase(writes: &mut Writes<'_>, app: AppId, msg: MsgId, now: Time) -> Result<bool, StoreError> {
    let key = Slice::from(keys::message(app, msg));
    let Some(message) = get_message(writes, &key)? else { return Ok(false) };
    for endpoint in message.endpoints.iter().copied() {
        let row = writes.delivery(endpoint, msg)?;
        let due = match row.as_ref().map(|row| row.state) {
            Some(DeliveryState::Pending(due)) => Some(due),
            Some(_) => None,
            None => Some(message.first_due()),
        };
        let places =
            [(Trigger::Manual, Some(keys::Place::manual(msg))), (Trigger::Scheduled, due.map(|due| keys::Place { due, msg }))];
        for (trigger, place) in places {
            let key = place.map(|place| keys::queue(endpoint, trigger, place));
            if let Some(key) = key
                && writes.get(Space::Queue, &key)?.is_some()
            {
                writes.remove(Space::Queue, key);
            }
        }
        for attempt in row.iter().flat_map(|row| &row.attempts) {
            writes.remove(Space::Attempts, keys::attempt(endpoint, *attempt));
        }
        if let Some(row) = &row {
            writes.count_gone(row)?;
            writes.remove(Space::Deliveries, keys::delivery(endpoint, msg));
        } else {
            writes.count(endpoint, msg.time(), |counters| counters.accepted = counters.accepted.saturating_sub(1))?;
        }
    }
    remove_message(writes, &key, &message);
    for (endpoint, order) in message.ordered.iter().copied() {
        order::pass_on(writes, (endpoint, order), msg, now)?;
    }
    for endpoint in message.endpoints.iter().copied() {
        writes.close(endpoint, msg);
        for trigger in [Trigger::Manual, Trigger::Scheduled] {
            if writes.lanes.lane_knows(endpoint, msg, trigger) {
                writes.then(Effect::Ended(endpoint, trigger, msg));
            }
        }
    }
    Ok(true)
}

/// Cancels a delivery that is pending. Leases stay, so that an attempt that runs can be recorded; without an entry in the
/// queue, what is given back or runs out is claimed by nobody.
fn cancel(writes: &mut Writes<'_>, (app, endpoint, msg): (AppId, EndpointId, MsgId), now: Time) -> Result<bool, StoreError> {
    let Some(message) = get_message(writes, &keys::message(app, msg))? else { return Ok(false) };
    if !message.endpoints.contains(&endpoint) {
        return Ok(false);
    }
    let row = writes.delivery(endpoint, msg)?;
    let mut delivery = row.unwrap_or_else(|| Delivery::fresh(app, msg, endpoint, message.first_due()));
    let before = delivery.state;
    let DeliveryState::Pending(due) = before else { return Ok(false) };
    delivery.conclude(Trigger::Scheduled, Verdict::Cancelled, None);
    writes.count_move(before, &delivery)?;
    if let Some(key) = message.order(endpoint) {
        order::pass_on(writes, (endpoint, key), msg, now)?;
    }
    for (trigger, place) in [(Trigger::Manual, keys::Place::manual(msg)), (Trigger::Scheduled, keys::Place { due, msg })] {
        let key = keys::queue(endpoint, trigger, place);
        if writes.get(Space::Queue, &key)?.is_some() {
            writes.remove(Space::Queue, key);
        }
    }
    writes.put_delivery(&delivery)?;
    writes.close(endpoint, msg);
    Ok(true)
}

fn expunge_payload(writes: &mut Writes<'_>, key: &[u8]) -> Result<bool, StoreError> {
    let Some(mut message) = get_message(writes, key)? else { return Ok(false) };
    if let Some(at) = message.payload_expires_at {
        writes.remove(Space::Expiry, keys::expiry(at, keys::EXPIRING_PAYLOAD, key));
    }
    message.payload = Bytes::new();
    message.expunged = true;
    writes.put(Space::Messages, key, codec::write_message(&message)?);
    Ok(true)
}

fn get_message(writes: &Writes<'_>, key: &[u8]) -> Result<Option<Message>, StoreError> {
    let Some(value) = writes.get(Space::Messages, key)? else { return Ok(None) };
    read_message(key, value).map(Some)
}

fn read_message(key: &[u8], value: Slice) -> Result<Message, StoreError> {
    match (AppId::from_bytes(key), keys::second(key)) {
        (Some(app), Some(msg)) => codec::read_message(app, MsgId(msg), value),
        _ => Err(StoreError::Damaged("a message's key".into())),
    }
}

/// Keys of `expiry` up to `now`.
pub(super) fn expired(spaces: &Spaces, now: Time, limit: usize) -> Result<Vec<Slice>, StoreError> {
    let end = now.0.saturating_add(1).to_be_bytes();
    take_keys(spaces.of(Space::Expiry).range(..end), limit)
}

/// Deletes what these keys of `expiry` name; how much of it was there.
pub(super) fn expire(writes: &mut Writes<'_>, expired: Vec<Slice>, now: Time) -> Result<usize, StoreError> {
    let mut deleted = 0;
    for key in expired {
        let gone = match keys::read_expiry(&key) {
            Some((keys::EXPIRING_RECORD, record)) => records::expire(writes, record, now)?,
            Some((keys::EXPIRING_PAYLOAD, message)) => expunge_payload(writes, message)?,
            Some((keys::EXPIRING_MARK, mark)) => seen::expire(writes, mark, now)?,
            _ => false,
        };
        deleted += usize::from(gone);
        writes.remove(Space::Expiry, key);
    }
    Ok(deleted)
}

/// Keys of an application's messages made before `cutoff`, behind `after`.
pub(super) fn old_messages(
    spaces: &Spaces,
    app: AppId,
    cutoff: Time,
    after: Option<Slice>,
    limit: usize,
) -> Result<Vec<Slice>, StoreError> {
    let first = keys::message(app, MsgId(0));
    let end = keys::message(app, MsgId::lowest_at(cutoff));
    if first >= end {
        return Ok(Vec::new());
    }
    let low = after.map_or_else(|| Bound::Included(Slice::from(first)), Bound::Excluded);
    let high = Bound::Excluded(Slice::from(end));
    take_keys(spaces.of(Space::Messages).range::<Slice, _>((low, high)), limit)
}

/// Deletes these messages with all that came of them, except those with an attempt still owed; how many went.
pub(super) fn prune(writes: &mut Writes<'_>, messages: Vec<Slice>, cutoff: Time, limit: usize) -> Result<usize, StoreError> {
    let mut pruned = 0;
    for key in messages {
        if pruned == limit {
            break;
        }
        let Some(message) = get_message(writes, &key)? else { continue };
        let Some(deliveries) = settled(writes, &message)? else { continue };
        for delivery in deliveries {
            for attempt in &delivery.attempts {
                writes.remove(Space::Attempts, keys::attempt(delivery.endpoint, *attempt));
            }
            writes.remove(Space::Deliveries, keys::delivery(delivery.endpoint, delivery.msg));
        }
        remove_message(writes, &key, &message);
        // The counters of a minute that is over for good go with its messages.
        let minute = keys::minute(message.id.time());
        if (minute + 1) * keys::MINUTE_MS <= cutoff.0 {
            for endpoint in message.endpoints.iter().copied() {
                writes.remove(Space::Stats, keys::stats(endpoint, minute));
            }
        }
        pruned += 1;
    }
    Ok(pruned)
}

/// The message's deliveries, when no attempt is owed to any.
fn settled(writes: &mut Writes<'_>, message: &Message) -> Result<Option<Vec<Delivery>>, StoreError> {
    let mut deliveries = Vec::with_capacity(message.endpoints.len());
    for endpoint in message.endpoints.iter().copied() {
        let manual = keys::queue(endpoint, Trigger::Manual, keys::Place::manual(message.id));
        let held = [Trigger::Manual, Trigger::Scheduled].iter().any(|t| writes.lanes.lane_knows(endpoint, message.id, *t));
        if held || writes.get(Space::Queue, &manual)?.is_some() {
            return Ok(None);
        }
        match writes.delivery(endpoint, message.id)? {
            Some(delivery) if !matches!(delivery.state, DeliveryState::Pending(_)) => deliveries.push(delivery),
            Some(_) => return Ok(None),
            None if owed(writes, message, endpoint)? => return Ok(None),
            None => {}
        }
    }
    Ok(Some(deliveries))
}

/// Whether a delivery without a row is queued, or waits in order. It is not when its endpoint was purged.
fn owed(writes: &Writes<'_>, message: &Message, endpoint: EndpointId) -> Result<bool, StoreError> {
    if let Some(key) = message.order(endpoint)
        && order::is_busy(writes, endpoint, key)?
    {
        return Ok(true);
    }
    let place = keys::Place { due: message.first_due(), msg: message.id };
    Ok(writes.get(Space::Queue, &keys::queue(endpoint, Trigger::Scheduled, place))?.is_some())
}

fn remove_message(writes: &mut Writes<'_>, key: &Slice, message: &Message) {
    if let Some(event_id) = &message.event_id {
        writes.remove(Space::EventIds, keys::event_id(message.app, event_id));
    }
    if let Some(at) = message.payload_expires_at {
        writes.remove(Space::Expiry, keys::expiry(at, keys::EXPIRING_PAYLOAD, key));
    }
    writes.remove(Space::Messages, key.clone());
}

/// Rows of an endpoint.
pub(super) fn endpoint_rows(spaces: &Spaces, endpoint: EndpointId, limit: usize) -> Result<Vec<(Space, Slice)>, StoreError> {
    let mut rows = Vec::new();
    for space in [Space::Queue, Space::Order, Space::Deliveries, Space::Attempts, Space::Stats] {
        let keys = take_keys(spaces.of(space).prefix(endpoint.bytes()), limit - rows.len())?;
        rows.extend(keys.into_iter().map(|key| (space, key)));
    }
    Ok(rows)
}

/// Deletes these rows of an endpoint, and every lease on it.
pub(super) fn purge_endpoint(writes: &mut Writes<'_>, endpoint: EndpointId, rows: Vec<(Space, Slice)>) {
    for (space, key) in rows {
        writes.remove(space, key);
    }
    for msg in writes.lanes.unqueued(endpoint) {
        writes.close(endpoint, msg);
    }
    writes.then(Effect::Forgotten(endpoint));
}

/// Keys of an application's messages.
pub(super) fn app_messages(spaces: &Spaces, app: AppId, limit: usize) -> Result<Vec<Slice>, StoreError> {
    take_keys(spaces.of(Space::Messages).prefix(app.bytes()), limit)
}

/// Deletes these messages; how many there were.
pub(super) fn purge_messages(writes: &mut Writes<'_>, messages: Vec<Slice>) -> Result<usize, StoreError> {
    let mut deleted = 0;
    for key in messages {
        let Some(message) = get_message(writes, &key)? else { continue };
        remove_message(writes, &key, &message);
        deleted += 1;
    }
    Ok(deleted)
}

fn take_keys(range: Iter, limit: usize) -> Result<Vec<Slice>, StoreError> {
    range.take(limit).map(|guard| guard.key().map_err(failure)).collect()
}
