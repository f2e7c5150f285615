//! Accepting: a message and what is owed of it, in one commit. What is leased from the start is mostly settled within
//! milliseconds: the message is *open* meanwhile, one entry for all of its deliveries. What waits gets queue entries.

use super::lanes::Held;
use super::spaces::Space;
use super::writes::Writes;
use super::{codec, keys, keys::Place, order, records};
use crate::model::{Delivery, Trigger};
use crate::store::{Change, Conflict, NewMessage, StoreError};
use fjall::Slice;

/// Stages the message, already encoded, with its deliveries.
pub(super) fn accept(writes: &mut Writes<'_>, new: NewMessage, encoded: Slice) -> Result<(), StoreError> {
    let NewMessage { message, leases, mark } = new;
    if let Some(event_id) = &message.event_id {
        let key = keys::event_id(message.app, event_id);
        if writes.get(Space::EventIds, &key)?.is_some() {
            return Err(StoreError::Conflict(Conflict::EventId));
        }
        writes.put(Space::EventIds, key, message.id.bytes());
    }
    if let Some(mark) = mark {
        records::apply(writes, Change::Insert(mark), message.id.time())?;
    }
    let key = keys::message(message.app, message.id);
    if let Some(at) = message.payload_expires_at {
        writes.put(Space::Expiry, keys::expiry(at, keys::EXPIRING_PAYLOAD, &key), []);
    }
    writes.put(Space::Messages, key, encoded);

    let due = message.first_due();
    let place = Place { due, msg: message.id };
    let mut leases = leases.into_iter();
    let mut held = Vec::with_capacity(message.endpoints.len());
    for endpoint in message.endpoints.iter().copied() {
        match (message.order(endpoint), leases.next().flatten()) {
            (Some(key), _) => order::join(writes, &message, endpoint, key)?,
            (None, Some(lease)) => held.push((endpoint, lease)),
            (None, None) => writes.enqueue(&Delivery::fresh(message.app, message.id, endpoint, due), Trigger::Scheduled, place),
        }
        writes.count(endpoint, message.id.time(), |counters| counters.accepted += 1)?;
    }
    if !held.is_empty() {
        writes.put(Space::Open, message.id.bytes(), message.app.bytes());
        writes.lanes.open(message.id, message.app, held.len());
    }
    for (endpoint, lease) in held {
        let held = Held { lease, due, fresh: true, unqueued: true, settling: false };
        writes.lanes.lane(endpoint).hold(message.id, Trigger::Scheduled, held);
    }
    Ok(())
}

/// What the committing thread need not do itself.
pub(super) fn encode(new: &NewMessage) -> Result<Slice, StoreError> {
    codec::write_message(&new.message)
}
