//! Claims, leases, results, and queueing again.

use super::{Harness, LEASE_MS, NOW, World, after, all, lease, msgs, settle_one};
use crate::model::{Address, DeliveryState, EndpointId, Failing, MsgId, Record, Trigger, Verdict};
use crate::store::{Change, Requeue, Settled, Stats, Store, StoreError};
use std::sync::Arc;

/// Oldest due time first, whatever the order of the messages.
pub(crate) async fn a_claim_takes_what_is_due_in_order(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let late = world.accepted(after(NOW, 50)).await;
    let early = world.accepted(after(NOW, 10)).await;
    let mut postponed = world.message(NOW);
    postponed.deliver_at = Some(after(NOW, 30));
    world.accept(&postponed, None).await.unwrap();
    let claims = world.claim(1, after(NOW, 50), 9).await;
    assert_eq!(msgs(&claims), [early.id, postponed.id, late.id]);
    assert_eq!(*claims.taken[0].message, early);
    assert_eq!(claims.taken[0].delivery.state, DeliveryState::Pending(after(NOW, 10)));
    assert_eq!((claims.taken[0].trigger, claims.taken[0].lease), (Trigger::Scheduled, lease(1, after(NOW, 50))));
    assert_eq!(claims.next_due, None);
}

/// `next_due`: what nobody holds and was not taken.
pub(crate) async fn a_claim_says_what_comes_next(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    assert_eq!(world.claim(1, NOW, 9).await.next_due, None);
    let first = world.accepted(NOW).await;
    world.accepted(after(NOW, 1)).await;
    let held = world.message(after(NOW, 2));
    world.accept(&held, Some(lease(7, NOW))).await.unwrap();
    world.accepted(after(NOW, 500)).await;
    let claims = world.claim(1, after(NOW, 3), 1).await;
    assert_eq!((msgs(&claims), claims.next_due), (vec![first.id], Some(after(NOW, 1))));
    let claims = world.claim(2, after(NOW, 3), 9).await;
    assert_eq!((claims.taken.len(), claims.next_due), (1, Some(after(NOW, 500))));
    let claims = world.claim(3, after(NOW, 3), 9).await;
    assert_eq!((claims.taken.len(), claims.next_due), (0, Some(after(NOW, 500))));
    let claims = world.claim(4, after(NOW, 500), 0).await;
    assert_eq!((claims.taken.len(), claims.next_due), (0, Some(after(NOW, 500))));
}

/// Two that claim at once never get the same delivery, and together all.
pub(crate) async fn racing_claims_share(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut expected = Vec::new();
    for n in 0..100 {
        expected.push(world.accepted(after(NOW, n)).await.id);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for claimer in 0..4u64 {
        let (store, endpoint) = (Arc::clone(&world.store), world.endpoint);
        tasks.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claims = store.claim(endpoint, lease(claimer, NOW), after(NOW, 1000), 7).await.unwrap();
                if claims.taken.is_empty() {
                    return mine;
                }
                mine.extend(msgs(&claims));
            }
        });
    }
    let mut taken: Vec<MsgId> = tasks.join_all().await.into_iter().flatten().collect();
    taken.sort_unstable();
    assert_eq!(taken, expected);
}

/// The accepting node's lease keeps others away until it runs out.
pub(crate) async fn a_held_delivery_is_not_claimed(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let message = world.message(NOW);
    world.accept(&message, Some(lease(1, NOW))).await.unwrap();
    assert!(world.claim(2, NOW, 9).await.taken.is_empty());
    assert!(world.claim(2, after(NOW, LEASE_MS - 1), 9).await.taken.is_empty());
    assert_eq!(msgs(&world.claim(2, after(NOW, LEASE_MS), 9).await), [message.id]);
}

/// A delivery given back is there for the next, with its due time; a foreign lease gives nothing back.
pub(crate) async fn a_released_delivery_is_claimed_again(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let message = world.accepted(NOW).await;
    let other = world.accepted(after(NOW, 5)).await;
    assert_eq!(world.claim(1, after(NOW, 5), 9).await.taken.len(), 2);
    let release = async |msg, token| {
        world.store.release(world.endpoint, msg, Trigger::Scheduled, lease(token, after(NOW, 5))).await.unwrap();
    };
    release(message.id, 9).await;
    assert!(world.claim(2, after(NOW, 6), 9).await.taken.is_empty());
    release(message.id, 1).await;
    assert_eq!(world.claim(2, after(NOW, 6), 0).await.next_due, Some(NOW));
    let claims = world.claim(2, after(NOW, 6), 9).await;
    assert_eq!(msgs(&claims), [message.id]);
    assert_eq!(claims.taken[0].delivery.state, DeliveryState::Pending(NOW));
    release(other.id, 1).await;
    let stale = world.settle(other.id, Trigger::Scheduled, lease(1, after(NOW, 5)), Verdict::Delivered).await;
    assert_eq!(stale, Settled::LeaseLost, "who gave it back has no say any more");
}

/// After another has claimed it, the first one's result is nothing.
pub(crate) async fn a_lease_that_ran_out_is_lost(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let message = world.accepted(NOW).await;
    let old = world.claim(1, NOW, 9).await.taken[0].lease;
    let later = after(NOW, LEASE_MS);
    let new = world.claim(2, later, 9).await.taken[0].lease;
    assert_eq!(world.settle(message.id, Trigger::Scheduled, old, Verdict::Delivered).await, Settled::LeaseLost);
    assert!(world.store.attempts(world.endpoint, all()).await.unwrap().is_empty());
    assert_eq!(world.delivery(&message).await.state, DeliveryState::Pending(NOW));
    let delivery = world.recorded(message.id, Trigger::Scheduled, new, Verdict::Delivered).await;
    assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Delivered, 1));
}

/// The same result twice, also at once, is one result; one that nobody claimed is none.
pub(crate) async fn a_result_counts_once(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let message = world.message(NOW);
    world.accept(&message, Some(lease(1, NOW))).await.unwrap();
    let (first, second) = (
        world.settlement(message.id, Trigger::Scheduled, lease(1, NOW), Verdict::Delivered),
        world.settlement(message.id, Trigger::Scheduled, lease(1, NOW), Verdict::Delivered),
    );
    let (first, second) = tokio::join!(settle_one(&*world.store, first), settle_one(&*world.store, second));
    assert_eq!([first.unwrap(), second.unwrap()].iter().filter(|s| **s == Settled::LeaseLost).count(), 1);
    assert_eq!(world.store.attempts(world.endpoint, all()).await.unwrap().len(), 1);
    let unclaimed = world.accepted(NOW).await;
    assert_eq!(world.settle(unclaimed.id, Trigger::Scheduled, lease(1, NOW), Verdict::Delivered).await, Settled::LeaseLost);
}

/// A failed attempt comes back at its new due time, and not before.
pub(crate) async fn a_retry_moves_the_delivery(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let message = world.message(NOW);
    world.accept(&message, Some(lease(1, NOW))).await.unwrap();
    let mut held = lease(1, NOW);
    for n in 1..4u64 {
        let due = after(NOW, n * 1000);
        let delivery = world.recorded(message.id, Trigger::Scheduled, held, Verdict::Retry(due)).await;
        assert_eq!((delivery.state, u64::from(delivery.failed)), (DeliveryState::Pending(due), n));
        assert_eq!(world.delivery(&message).await, delivery);
        let early = world.claim(9, after(due, 0).minus(std::time::Duration::from_millis(1)), 9).await;
        assert_eq!((early.taken.len(), early.next_due), (0, Some(due)));
        let claims = world.claim(n + 1, due, 9).await;
        assert_eq!(claims.taken[0].delivery, delivery);
        held = claims.taken[0].lease;
    }
    let delivery = world.recorded(message.id, Trigger::Scheduled, held, Verdict::Exhausted).await;
    assert_eq!((delivery.state, delivery.failed, delivery.attempts.len()), (DeliveryState::Exhausted, 4, 4));
    let nothing = world.claim(9, after(NOW, 1_000_000), 9).await;
    assert_eq!((nothing.taken.len(), nothing.next_due), (0, None));
}

/// Claimed or accepted under a lease, then the process dies: once the lease has run out, others get it.
pub(crate) async fn a_crash_frees_the_claimed(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let claimed = world.accepted(NOW).await;
    let accepted = world.message(after(NOW, 1));
    assert_eq!(world.claim(1, NOW, 9).await.taken.len(), 1);
    world.accept(&accepted, Some(lease(2, NOW))).await.unwrap();
    world.store = harness.restart(world.store).await;
    let later = after(NOW, LEASE_MS + 1);
    let claims = world.claim(3, later, 9).await;
    assert_eq!(msgs(&claims), [claimed.id, accepted.id]);
    assert_eq!(*claims.taken[1].message, accepted);
    assert_eq!(world.settle(claimed.id, Trigger::Scheduled, lease(1, NOW), Verdict::Delivered).await, Settled::LeaseLost);
    world.recorded(claimed.id, Trigger::Scheduled, lease(3, later), Verdict::Delivered).await;
}

/// Messages, states, attempts, counters and records survive.
pub(crate) async fn a_crash_keeps_everything(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut message = world.message(NOW);
    message.event_id = Some("evt".into());
    world.accept(&message, Some(lease(1, NOW))).await.unwrap();
    let delivery = world.recorded(message.id, Trigger::Scheduled, lease(1, NOW), Verdict::Retry(after(NOW, 10))).await;
    world.insert(failing()).await.unwrap();
    let attempts = world.store.attempts(world.endpoint, all()).await.unwrap();
    world.store = harness.restart(world.store).await;
    assert_eq!(world.store.message_by_event_id(world.app, "evt").await.unwrap().as_ref(), Some(&message));
    assert_eq!(world.delivery(&message).await, delivery);
    assert_eq!(world.store.attempts(world.endpoint, all()).await.unwrap(), attempts);
    assert!(world.store.find(&failing().address(), NOW).await.unwrap().is_some());
    let claims = world.claim(2, after(NOW, 10), 9).await;
    world.recorded(claims.taken[0].delivery.msg, Trigger::Scheduled, claims.taken[0].lease, Verdict::Delivered).await;
    let stats = world.store.stats(world.endpoint, NOW, after(NOW, 1)).await.unwrap();
    assert_eq!(stats, Stats { delivered: 1, ..Stats::default() });
}

fn failing() -> Record {
    Record::Failing(Failing { app: crate::model::AppId(0xa0), endpoint: EndpointId(0xe0), since: NOW, warned: false })
}

async fn once(world: &World, msg: MsgId) -> u64 {
    world.store.requeue(world.app, world.endpoint, Requeue::Once(msg), NOW).await.unwrap()
}

/// A manual attempt that fails leaves the schedule alone; the two are claimed and settled apart.
pub(crate) async fn manual_and_scheduled_merge(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let message = world.accepted(NOW).await;
    assert_eq!(once(&world, message.id).await, 1);
    let claims = world.claim(1, NOW, 9).await;
    let triggers: Vec<_> = claims.taken.iter().map(|claimed| claimed.trigger).collect();
    assert_eq!(triggers, [Trigger::Manual, Trigger::Scheduled]);
    let held = lease(1, NOW);
    let delivery = world.recorded(message.id, Trigger::Manual, held, Verdict::Exhausted).await;
    assert_eq!((delivery.state, delivery.failed, delivery.attempts.len()), (DeliveryState::Pending(NOW), 0, 1));
    let delivery = world.recorded(message.id, Trigger::Scheduled, held, Verdict::Retry(after(NOW, 10))).await;
    assert_eq!((delivery.state, delivery.failed, delivery.attempts.len()), (DeliveryState::Pending(after(NOW, 10)), 1, 2));
    assert_eq!(once(&world, message.id).await, 1);
    assert_eq!(world.claim(2, NOW, 9).await.taken[0].trigger, Trigger::Manual);
}

/// It removes the scheduled attempt that waits; one in flight is recorded and changes nothing.
pub(crate) async fn a_manual_success_ends_the_schedule(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let waiting = world.accepted(after(NOW, 100)).await;
    let flying = world.message(NOW);
    world.accept(&flying, Some(lease(1, NOW))).await.unwrap();
    assert_eq!((once(&world, waiting.id).await, once(&world, flying.id).await), (1, 1));
    assert_eq!(world.claim(2, NOW, 9).await.taken.len(), 2);
    for msg in [waiting.id, flying.id] {
        let delivery = world.recorded(msg, Trigger::Manual, lease(2, NOW), Verdict::Delivered).await;
        assert_eq!(delivery.state, DeliveryState::Delivered);
    }
    let delivery = world.recorded(flying.id, Trigger::Scheduled, lease(1, NOW), Verdict::Retry(after(NOW, 50))).await;
    assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Delivered, 2));
    let nothing = world.claim(3, after(NOW, LEASE_MS * 2), 9).await;
    assert_eq!((nothing.taken.len(), nothing.next_due), (0, None));
    let stats = world.store.stats(world.endpoint, NOW, after(NOW, 1000)).await.unwrap();
    assert_eq!(stats, Stats { delivered: 2, ..Stats::default() });
}

/// A message that was not for the endpoint gets a delivery without a schedule.
pub(crate) async fn a_manual_attempt_adds_the_endpoint(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut message = world.message(NOW);
    message.endpoints = vec![EndpointId(0x77)];
    world.accept(&message, None).await.unwrap();
    assert_eq!(world.store.delivery(&message, world.endpoint).await.unwrap(), None);
    assert_eq!(once(&world, message.id).await, 1);
    assert!(world.store.attempted(world.endpoint, all()).await.unwrap().is_empty());
    let read = world.store.message(world.app, message.id).await.unwrap().unwrap();
    assert_eq!(read.endpoints, [EndpointId(0x77), world.endpoint]);
    assert_eq!(world.claim(1, NOW, 9).await.taken[0].trigger, Trigger::Manual);
    let delivery = world.recorded(message.id, Trigger::Manual, lease(1, NOW), Verdict::Retry(after(NOW, 5))).await;
    assert_eq!(delivery.state, DeliveryState::Exhausted);
    assert_eq!(world.claim(2, after(NOW, 5), 9).await.taken.len(), 0);
    assert_eq!(once(&world, message.id).await, 1);
    world.claim(3, NOW, 9).await;
    let delivery = world.recorded(message.id, Trigger::Manual, lease(3, NOW), Verdict::Delivered).await;
    assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Delivered, 2));
    let stats = world.store.stats(world.endpoint, NOW, after(NOW, 1)).await.unwrap();
    assert_eq!(stats, Stats { delivered: 1, ..Stats::default() });
}

/// Asking again while it waits or flies queues no second; of no message, none.
pub(crate) async fn once_queues_once(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let message = world.message(NOW);
    world.accept(&message, Some(lease(1, NOW))).await.unwrap();
    world.recorded(message.id, Trigger::Scheduled, lease(1, NOW), Verdict::Delivered).await;
    assert_eq!(once(&world, MsgId(5)).await, 0);
    let (first, second) = tokio::join!(once(&world, message.id), once(&world, message.id));
    assert_eq!((first, second), (1, 1));
    let claims = world.claim(2, NOW, 9).await;
    assert_eq!(claims.taken.len(), 1);
    assert_eq!(once(&world, message.id).await, 1);
    assert!(world.claim(3, NOW, 9).await.taken.is_empty());
    world.recorded(message.id, Trigger::Manual, lease(2, NOW), Verdict::Exhausted).await;
    assert_eq!(world.delivery(&message).await.state, DeliveryState::Delivered);
    assert_eq!(once(&world, message.id).await, 1, "settled, so it can be asked for again");
    assert_eq!(world.claim(4, NOW, 9).await.taken.len(), 1);
}

/// Exhausted deliveries of messages made in the span, and no others; more than one step of any engine.
pub(crate) async fn exhausted_start_anew(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut messages = Vec::new();
    for n in 0..300u64 {
        let message = world.message(after(NOW, n));
        world.accept(&message, Some(lease(n, NOW))).await.unwrap();
        messages.push(message);
    }
    let verdict = |n| if n == 150 { Verdict::Delivered } else { Verdict::Exhausted };
    for (n, message) in (0u64..).zip(&messages) {
        world.recorded(message.id, Trigger::Scheduled, lease(n, NOW), verdict(n)).await;
    }
    let which = Requeue::Exhausted { low: MsgId::lowest_at(after(NOW, 10)), high: MsgId::lowest_at(after(NOW, 290)) };
    let now = after(NOW, 5000);
    assert_eq!(world.store.requeue(world.app, world.endpoint, which, now).await.unwrap(), 279);
    assert_eq!(world.store.requeue(world.app, world.endpoint, which, now).await.unwrap(), 0);
    let delivery = world.delivery(&messages[10]).await;
    assert_eq!((delivery.state, delivery.failed, delivery.attempts.len()), (DeliveryState::Pending(now), 0, 1));
    let stats = world.store.stats(world.endpoint, NOW, now).await.unwrap();
    assert_eq!(stats, Stats { delivered: 1, exhausted: 20, pending: 279, cancelled: 0 });
    let claims = world.claim(1000, now, 1000).await;
    let expected: Vec<_> = (10..290).filter(|n| *n != 150).map(|n: usize| messages[n].id).collect();
    assert_eq!(msgs(&claims), expected);
}

/// Written with the result, or the result is not.
pub(crate) async fn changes_ride_with_a_result(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let message = world.message(NOW);
    world.accept(&message, Some(lease(1, NOW))).await.unwrap();
    let mut refused = world.settlement(message.id, Trigger::Scheduled, lease(1, NOW), Verdict::Delivered);
    refused.changes = vec![Change::Write(failing()), Change::Replace(failing(), 0)];
    assert_eq!(settle_one(&*world.store, refused).await, Err(StoreError::Stale));
    assert_eq!(world.store.find(&failing().address(), NOW).await.unwrap(), None);
    assert!(world.store.attempts(world.endpoint, all()).await.unwrap().is_empty());
    let mut written = world.settlement(message.id, Trigger::Scheduled, lease(1, NOW), Verdict::Retry(after(NOW, 5)));
    written.changes = vec![Change::Write(failing())];
    assert!(matches!(settle_one(&*world.store, written).await, Ok(Settled::Recorded(_))));
    assert_eq!(world.store.find(&failing().address(), NOW).await.unwrap().unwrap().record, failing());
    let claims = world.claim(2, after(NOW, 5), 9).await;
    let mut lost = world.settlement(message.id, Trigger::Scheduled, lease(1, NOW), Verdict::Delivered);
    lost.changes = vec![Change::Delete(failing().address())];
    assert_eq!(settle_one(&*world.store, lost).await, Ok(Settled::LeaseLost));
    assert!(world.store.find(&failing().address(), NOW).await.unwrap().is_some());
    assert_eq!(claims.taken.len(), 1);
}

/// Results that share a commit are judged one by one: what is refused takes nothing else with it.
pub(crate) async fn results_together_are_judged_apart(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut settlements = Vec::new();
    for verdict in [Verdict::Delivered, Verdict::Delivered, Verdict::Exhausted] {
        let message = world.message(NOW);
        world.accept(&message, Some(lease(1, NOW))).await.unwrap();
        settlements.push(world.settlement(message.id, Trigger::Scheduled, lease(1, NOW), verdict));
    }
    settlements[1].changes = vec![Change::Write(failing()), Change::Replace(failing(), 0)];
    settlements.push(settlements[0].clone());
    let settled = world.store.settle(settlements.into()).await;
    let states = settled.iter().map(|one| match one {
        Ok(Settled::Recorded(delivery)) => Ok(Some(delivery.state)),
        Ok(Settled::LeaseLost) => Ok(None),
        Err(error) => Err(error.clone()),
    });
    let expected = [Ok(Some(DeliveryState::Delivered)), Err(StoreError::Stale), Ok(Some(DeliveryState::Exhausted)), Ok(None)];
    assert!(states.eq(expected));
    assert_eq!(world.store.attempts(world.endpoint, all()).await.unwrap().len(), 2);
    assert_eq!(world.store.settle(Vec::new().into()).await, []);
}

/// Each endpoint with anything queued, held or not, and its earliest due time.
pub(crate) async fn queued_endpoints_are_found(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut to = async |endpoints: &[u128], at| {
        let mut message = world.message(at);
        message.endpoints = endpoints.iter().copied().map(EndpointId).collect();
        world.accept(&message, None).await.unwrap();
        message
    };
    to(&[1, 7], after(NOW, 9)).await;
    to(&[1, u128::MAX], after(NOW, 3)).await;
    let done = to(&[4], NOW).await;
    let settle = async |store: &dyn Store| {
        let held = store.claim(EndpointId(4), lease(1, NOW), NOW, 1).await.unwrap();
        assert_eq!(msgs(&held), [done.id]);
        let settlement = crate::store::Settlement {
            msg: done.id,
            endpoint: EndpointId(4),
            app: done.app,
            trigger: Trigger::Scheduled,
            lease: lease(1, NOW),
            verdict: Verdict::Cancelled,
            attempt: None,
            order: None,
            changes: vec![],
        };
        settle_one(store, settlement).await.unwrap();
    };
    settle(&*world.store).await;
    let mut found = world.store.queued_endpoints().await.unwrap();
    found.sort();
    let expected = [(EndpointId(1), after(NOW, 3)), (EndpointId(7), after(NOW, 9)), (EndpointId(u128::MAX), after(NOW, 3))];
    assert_eq!(found, expected);
    assert!(world.store.find(&Address::endpoint(world.app, EndpointId(1)), NOW).await.unwrap().is_none());
}
