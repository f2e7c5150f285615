//! Strict order: of the owed deliveries of an endpoint with one key only the first, its *head*, has an entry in the queue.
//! The others wait in `order`, in the sequence in which they were accepted; whoever settles the head for good puts the next
//! one in its place, with the same commit. So a key whose head waits for its retry costs nothing but its place on the disk,
//! whatever waits behind it, and no claim ever sees two of a key.
//!
//! An entry that waits is not taken away when its message is erased or delivered by hand: it is passed over when its turn
//! comes.

use super::keys::{self, OrderPlace, Place};
use super::spaces::Space;
use super::writes::Writes;
use crate::model::{AppId, Delivery, DeliveryState, EndpointId, Message, MsgId, OrderKey, Time, Trigger};
use crate::store::StoreError;

/// The head of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    /// Its place in the sequence; what waits comes behind it.
    seq: u64,
    msg: MsgId,
}

/// Something that waits, in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) endpoint: EndpointId,
    pub(super) seq: u64,
    pub(super) msg: MsgId,
    pub(super) app: AppId,
    /// When its first attempt is due at the earliest.
    due: Time,
}

/// Takes a delivery in at the end of its key: it is queued when nothing is before it, and waits otherwise.
pub(super) fn join(writes: &mut Writes<'_>, message: &Message, endpoint: EndpointId, key: OrderKey) -> Result<(), StoreError> {
    let due = message.first_due();
    if is_busy(writes, endpoint, key)? {
        return park(writes, message, endpoint, key);
    }
    let seq = writes.revision()?;
    put_head(writes, (endpoint, key), Head { seq, msg: message.id });
    let delivery = Delivery::fresh(message.app, message.id, endpoint, due);
    writes.enqueue(&delivery, Trigger::Scheduled, Place { due, msg: message.id });
    Ok(())
}

/// Lets a delivery wait at the end of its key.
pub(super) fn park(writes: &mut Writes<'_>, message: &Message, endpoint: EndpointId, key: OrderKey) -> Result<(), StoreError> {
    let seq = writes.revision()?;
    let value = [&message.id.bytes()[..], &message.app.bytes(), &message.first_due().0.to_be_bytes()].concat();
    writes.put_waiting(keys::order(endpoint, key, OrderPlace::Waiting(seq)), value);
    Ok(())
}

/// Makes a delivery that is queued the head of its key, in the place of an older one: that one was brought back, and stands
/// outside of the order.
pub(super) fn lead(writes: &mut Writes<'_>, endpoint: EndpointId, key: OrderKey, msg: MsgId) {
    put_head(writes, (endpoint, key), Head { seq: 0, msg });
}

/// Whether something with the key is owed, and not by hand only.
pub(super) fn is_busy(writes: &Writes<'_>, endpoint: EndpointId, key: OrderKey) -> Result<bool, StoreError> {
    Ok(head(writes, endpoint, key)?.is_some())
}

/// If this delivery was the head of its key, the next one is from now on.
pub(super) fn pass_on(
    writes: &mut Writes<'_>,
    (endpoint, key): (EndpointId, OrderKey),
    msg: MsgId,
    now: Time,
) -> Result<(), StoreError> {
    let Some(Head { mut seq, .. }) = head(writes, endpoint, key)?.filter(|head| head.msg == msg) else { return Ok(()) };
    while let Some(next) = writes.waiting_behind(endpoint, key, seq)? {
        seq = next.seq;
        writes.remove(Space::Order, keys::order(endpoint, key, OrderPlace::Waiting(seq)));
        if is_owed(writes, &next)? {
            put_head(writes, (endpoint, key), Head { seq, msg: next.msg });
            return queue(writes, &next, now);
        }
    }
    writes.remove(Space::Order, keys::order(endpoint, key, OrderPlace::Head));
    Ok(())
}

/// Whether the delivery is pending still: its message may be erased, or it may have been delivered by hand.
fn is_owed(writes: &Writes<'_>, next: &Waiting) -> Result<bool, StoreError> {
    match writes.delivery(next.endpoint, next.msg)?.map(|row| row.state) {
        Some(state) => Ok(matches!(state, DeliveryState::Pending(_))),
        None => Ok(writes.get(Space::Messages, &keys::message(next.app, next.msg))?.is_some()),
    }
}

/// With a row, so that whoever looks for its entry finds the due time: the queue is not to be searched from its beginning.
fn queue(writes: &mut Writes<'_>, next: &Waiting, now: Time) -> Result<(), StoreError> {
    let due = next.due.max(now);
    let row = writes.delivery(next.endpoint, next.msg)?;
    let mut delivery = row.unwrap_or_else(|| Delivery::fresh(next.app, next.msg, next.endpoint, due));
    delivery.state = DeliveryState::Pending(due);
    writes.put_delivery(&delivery)?;
    writes.enqueue(&delivery, Trigger::Scheduled, Place { due, msg: next.msg });
    Ok(())
}

fn head(writes: &Writes<'_>, endpoint: EndpointId, key: OrderKey) -> Result<Option<Head>, StoreError> {
    let Some(value) = writes.get(Space::Order, &keys::order(endpoint, key, OrderPlace::Head))? else { return Ok(None) };
    let read = || {
        let (seq, msg) = value.split_first_chunk::<8>()?;
        Some(Head { seq: u64::from_be_bytes(*seq), msg: MsgId::from_bytes(msg)? })
    };
    read().map(Some).ok_or_else(damaged)
}

fn put_head(writes: &mut Writes<'_>, (endpoint, key): (EndpointId, OrderKey), head: Head) {
    let value = [&head.seq.to_be_bytes()[..], &head.msg.bytes()].concat();
    writes.put(Space::Order, keys::order(endpoint, key, OrderPlace::Head), value);
}

/// What waits under this key of `order`; `None`: it is a head's.
pub(super) fn read(key: &[u8], value: &[u8]) -> Result<Option<Waiting>, StoreError> {
    let (endpoint, place) = keys::read_order(key).ok_or_else(damaged)?;
    let OrderPlace::Waiting(seq) = place else { return Ok(None) };
    let read = || {
        let (msg, rest) = value.split_first_chunk::<16>()?;
        let (app, due) = rest.split_first_chunk::<16>()?;
        let due = Time(u64::from_be_bytes(*due.first_chunk()?));
        Some(Waiting { endpoint, seq, msg: MsgId::from_bytes(msg)?, app: AppId::from_bytes(app)?, due })
    };
    read().map(Some).ok_or_else(damaged)
}

fn damaged() -> StoreError {
    StoreError::Damaged("an entry of the order".into())
}
