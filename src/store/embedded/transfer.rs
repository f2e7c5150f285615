//! Carrying a folder elsewhere, or making it of another store: see [`crate::store::transfer`].

use super::{
    EmbeddedStore, codec,
    committer::Durability,
    keys::{self, Place},
    order::{self, Waiting},
    read,
    spaces::{Space, Spaces, failure},
    writes::Writes,
};
use crate::{
    model::{AppId, DeliveryState, MsgId, Time, Trigger},
    store::{
        PARKED, StoreError,
        transfer::{Bundle, MessagePlace, Owed, Transfer},
    },
};
use std::ops::Bound;

/// Under which key `meta` keeps the note.
const NOTE_KEY: &[u8] = b"transfer";

#[async_trait::async_trait]
impl Transfer for EmbeddedStore {
    async fn note(&self) -> Result<Option<String>, StoreError> {
        let note = self.spaces()?.get(Space::Meta, NOTE_KEY)?;
        let read = |note: fjall::Slice| String::from_utf8(note.to_vec()).map_err(|_| StoreError::Damaged("a note".into()));
        note.map(read).transpose()
    }

    async fn set_note(&self, note: Option<&str>) -> Result<(), StoreError> {
        let note = note.map(str::to_owned);
        let set = move |writes: &mut Writes<'_>| {
            match note {
                Some(note) => writes.put(Space::Meta, NOTE_KEY, note.into_bytes()),
                None => writes.remove(Space::Meta, NOTE_KEY),
            }
            Ok(())
        };
        self.committer.run(Durability::Now, set).await
    }

    async fn servers(&self) -> Result<u64, StoreError> {
        // Whoever has the folder open is the only one.
        Ok(0)
    }

    async fn owed(&self) -> Result<Vec<(MessagePlace, Owed)>, StoreError> {
        self.read(false, owed).await
    }

    async fn places(&self, after: Option<MessagePlace>, limit: usize) -> Result<Vec<MessagePlace>, StoreError> {
        self.read(false, move |spaces| places(spaces, after, limit)).await
    }

    async fn bundles(&self, places: &[MessagePlace]) -> Result<Vec<Bundle>, StoreError> {
        let places = places.to_vec();
        let all = move |spaces: &Spaces| places.iter().filter_map(|place| bundle(spaces, *place).transpose()).collect();
        self.read(false, all).await
    }

    async fn take_in(&self, bundles: Vec<Bundle>) -> Result<(), StoreError> {
        let all = move |writes: &mut Writes<'_>| bundles.iter().try_for_each(|bundle| take_in(writes, bundle));
        self.committer.run(Durability::Now, all).await
    }
}

/// Nothing is leased in a store that was just opened, so all that is owed is in the queue, or waits in order.
fn owed(spaces: &Spaces) -> Result<Vec<(MessagePlace, Owed)>, StoreError> {
    let damaged = || StoreError::Damaged("a queue entry".into());
    let mut all = Vec::new();
    for guard in spaces.of(Space::Queue).iter() {
        let (key, app) = guard.into_inner().map_err(failure)?;
        let (endpoint, trigger, Place { due, msg }) = keys::read_queue(&key).ok_or_else(damaged)?;
        let app = AppId::from_bytes(&app).ok_or_else(damaged)?;
        all.push((MessagePlace { app, msg }, Owed { endpoint, trigger, due }));
    }
    for guard in spaces.of(Space::Order).iter() {
        let (key, value) = guard.into_inner().map_err(failure)?;
        if let Some(Waiting { endpoint, msg, app, .. }) = order::read(&key, &value)? {
            all.push((MessagePlace { app, msg }, Owed { endpoint, trigger: Trigger::Scheduled, due: PARKED }));
        }
    }
    all.sort_unstable();
    Ok(all)
}

fn places(spaces: &Spaces, after: Option<MessagePlace>, limit: usize) -> Result<Vec<MessagePlace>, StoreError> {
    let from = after.map_or(Bound::Unbounded, |place| Bound::Excluded(keys::message(place.app, place.msg)));
    let place = |guard: fjall::Guard| {
        let key = guard.key().map_err(failure)?;
        let place = AppId::from_bytes(&key).zip(keys::second(&key)).map(|(app, msg)| MessagePlace { app, msg: MsgId(msg) });
        place.ok_or_else(|| StoreError::Damaged("a key".into()))
    };
    spaces.of(Space::Messages).range((from, Bound::Unbounded)).take(limit).map(place).collect()
}

fn bundle(spaces: &Spaces, place: MessagePlace) -> Result<Option<Bundle>, StoreError> {
    let Some(message) = read::message(spaces, place.app, place.msg)? else { return Ok(None) };
    let (mut deliveries, mut attempts) = (Vec::new(), Vec::new());
    let mut endpoints = message.endpoints.clone();
    endpoints.sort_unstable();
    for endpoint in endpoints {
        let Some(delivery) = read::delivery_row(spaces, endpoint, place.msg)? else { continue };
        for attempt in &delivery.attempts {
            attempts.extend(read::attempt(spaces, endpoint, *attempt)?);
        }
        deliveries.push(delivery);
    }
    Ok(Some(Bundle { message, deliveries, attempts, owed: Vec::new() }))
}

fn take_in(writes: &mut Writes<'_>, bundle: &Bundle) -> Result<(), StoreError> {
    let message = &bundle.message;
    let key = keys::message(message.app, message.id);
    if writes.get(Space::Messages, &key)?.is_some() {
        return Ok(());
    }
    writes.put(Space::Messages, key, codec::write_message(message)?);
    if let Some(event_id) = &message.event_id {
        writes.put(Space::EventIds, keys::event_id(message.app, event_id), message.id.bytes());
    }
    if let Some(at) = message.payload_expires_at.filter(|_| !message.expunged) {
        writes.put(Space::Expiry, keys::expiry(at, keys::EXPIRING_PAYLOAD, &key), []);
    }
    for endpoint in &message.endpoints {
        writes.count(*endpoint, message.id.time(), |counters| counters.accepted += 1)?;
    }
    for delivery in &bundle.deliveries {
        writes.count_move(DeliveryState::Pending(Time(0)), delivery)?;
        writes.put_delivery(delivery)?;
    }
    for attempt in &bundle.attempts {
        writes.put(Space::Attempts, keys::attempt(attempt.endpoint, attempt.id), codec::write_attempt(attempt)?);
    }
    for Owed { endpoint, trigger, due } in bundle.owed.iter().copied() {
        if let Some(key) = message.order(endpoint).filter(|_| trigger == Trigger::Scheduled) {
            match due {
                PARKED => {
                    order::park(writes, message, endpoint, key)?;
                    continue;
                }
                _ => order::lead(writes, endpoint, key, message.id),
            }
        }
        let place = match trigger {
            Trigger::Manual => Place::manual(message.id),
            Trigger::Scheduled => Place { due, msg: message.id },
        };
        let delivery = crate::model::Delivery::fresh(message.app, message.id, endpoint, due);
        writes.enqueue(&delivery, trigger, place);
    }
    Ok(())
}
