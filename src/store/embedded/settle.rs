//! Settling: the result of a leased delivery's turn, and queueing deliveries again.

use super::keys::{self, Place};
use super::lanes::Held;
use super::spaces::Space;
use super::writes::{Effect, Writes};
use super::{codec, order, read, records};
use crate::model::{AppId, Delivery, DeliveryState, EndpointId, MsgId, Time, Trigger};
use crate::store::{Settled, Settlement, StoreError};
use fjall::Slice;

/// Records the result, unless the lease is lost. `encoded`: its attempt, by [`encode`]. `now`: decides which records have expired.
pub(super) fn settle(
    writes: &mut Writes<'_>,
    settlement: &Settlement,
    encoded: Option<Slice>,
    now: Time,
) -> Result<Settled, StoreError> {
    let Settlement { msg, endpoint, app, trigger, lease, verdict, ref attempt, order, ref changes } = *settlement;
    let Some(held) = writes.lanes.held(endpoint, msg, trigger, lease).copied() else { return Ok(Settled::LeaseLost) };
    let row = if held.fresh { None } else { writes.delivery(endpoint, msg)? };
    let mut delivery = match (row, trigger) {
        (Some(row), _) => row,
        (None, Trigger::Scheduled) => Delivery::fresh(app, msg, endpoint, held.due),
        (None, Trigger::Manual) => Delivery::fresh(app, msg, endpoint, first_due(writes, app, msg)?),
    };
    let before = delivery.state;
    delivery.conclude(trigger, verdict, attempt.as_ref().map(|attempt| attempt.id));

    if let Some((attempt, encoded)) = attempt.as_ref().zip(encoded) {
        writes.put(Space::Attempts, keys::attempt(endpoint, attempt.id), encoded);
    }
    for change in changes {
        records::apply(writes, change.clone(), now)?;
    }
    writes.count_move(before, &delivery)?;
    if let Some(key) = order.filter(|_| !matches!(delivery.state, DeliveryState::Pending(_))) {
        order::pass_on(writes, (endpoint, key), msg, now)?;
    }
    writes.put_delivery(&delivery)?;
    requeue_after(writes, (trigger, held), before, &delivery);
    writes.then(Effect::Ended(endpoint, trigger, msg));
    if let Some(held) = writes.lanes.held(endpoint, msg, trigger, lease) {
        held.settling = true;
    }
    Ok(Settled::Recorded(delivery))
}

/// What the committing thread need not do itself: the attempt, encoded.
pub(super) fn encode(settlement: &Settlement) -> Result<Option<Slice>, StoreError> {
    settlement.attempt.as_ref().map(codec::write_attempt).transpose()
}

fn first_due(writes: &Writes<'_>, app: AppId, msg: MsgId) -> Result<Time, StoreError> {
    let message = writes.get(Space::Messages, &keys::message(app, msg))?;
    Ok(message.map(|value| codec::read_message(app, msg, value)).transpose()?.map_or(msg.time(), |message| message.first_due()))
}

/// Keeps the rule that a scheduled entry exists exactly while the delivery is pending, at the place of its due time.
fn requeue_after(writes: &mut Writes<'_>, (trigger, held): (Trigger, Held), before: DeliveryState, after: &Delivery) {
    let place = |due| Place { due, msg: after.msg };
    if !held.unqueued {
        writes.remove(Space::Queue, keys::queue(after.endpoint, trigger, place(held.due)));
    }
    if trigger == Trigger::Manual && before == after.state {
        return;
    }
    // A manual attempt that delivers ends what is scheduled, wherever it is written.
    writes.close(after.endpoint, after.msg);
    if let DeliveryState::Pending(due) = before
        && !held.unqueued
    {
        writes.remove(Space::Queue, keys::queue(after.endpoint, Trigger::Scheduled, place(due)));
    }
    if let DeliveryState::Pending(due) = after.state {
        writes.enqueue(after, Trigger::Scheduled, place(due));
    }
}

/// Queues one manual attempt; `false` when there is no such message.
pub(super) fn once(writes: &mut Writes<'_>, app: AppId, endpoint: EndpointId, msg: MsgId) -> Result<bool, StoreError> {
    let key = keys::message(app, msg);
    let Some(value) = writes.get(Space::Messages, &key)? else { return Ok(false) };
    let mut message = codec::read_message(app, msg, value)?;
    let place = Place::manual(msg);
    if writes.get(Space::Queue, &keys::queue(endpoint, Trigger::Manual, place))?.is_some() {
        return Ok(true);
    }
    let mut delivery = Delivery::fresh(app, msg, endpoint, message.first_due());
    if !message.endpoints.contains(&endpoint) {
        // It never had a schedule, so nothing automatic is left to wait for: exhausted, until the attempt succeeds.
        delivery.state = DeliveryState::Exhausted;
        message.endpoints.push(endpoint);
        writes.put(Space::Messages, key, codec::write_message(&message)?);
        writes.count(endpoint, msg.time(), |counters| counters.accepted += 1)?;
        writes.count_move(DeliveryState::Pending(Time(0)), &delivery)?;
        writes.put_delivery(&delivery)?;
    }
    writes.enqueue(&delivery, Trigger::Manual, place);
    Ok(true)
}

/// Starts the schedules of these deliveries anew, as far as they are exhausted still; how many were.
pub(super) fn restart(writes: &mut Writes<'_>, endpoint: EndpointId, msgs: &[MsgId], now: Time) -> Result<u64, StoreError> {
    let mut restarted = 0;
    for msg in msgs {
        let Some(mut delivery) = writes.delivery(endpoint, *msg)?.filter(read::is_restartable) else { continue };
        delivery.state = DeliveryState::Pending(now);
        delivery.failed = 0;
        writes.count_move(DeliveryState::Exhausted, &delivery)?;
        writes.put_delivery(&delivery)?;
        writes.enqueue(&delivery, Trigger::Scheduled, Place { due: now, msg: *msg });
        restarted += 1;
    }
    Ok(restarted)
}
