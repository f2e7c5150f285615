//! Deleting, and the end.

use super::records::answer;
use super::{Harness, NOW, World, after, all, lease};
use crate::model::{AppId, EndpointId, Trigger, Verdict};
use crate::store::{Expunge, Requeue, Stats, StoreError};
use bytes::Bytes;

/// Payloads and records that have expired, at most so many.
pub(crate) async fn expiry_deletes(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut message = world.message(NOW);
    message.payload_expires_at = Some(after(NOW, 10));
    world.accept(&message, None).await.unwrap();
    for n in 0..5 {
        world.insert(answer(&format!("k{n}"), after(NOW, 20))).await.unwrap();
    }
    world.insert(answer("later", after(NOW, 21))).await.unwrap();
    assert_eq!(world.store.expire(after(NOW, 9), 99).await.unwrap(), 0);
    assert_eq!(world.store.expire(after(NOW, 10), 99).await.unwrap(), 1);
    let read = world.store.message(world.app, message.id).await.unwrap().unwrap();
    assert_eq!((read.payload, read.expunged), (Bytes::new(), true));
    assert_eq!(world.store.expire(after(NOW, 20), 3).await.unwrap(), 3);
    assert_eq!(world.store.expire(after(NOW, 20), 3).await.unwrap(), 2);
    assert_eq!(world.store.expire(after(NOW, 20), 3).await.unwrap(), 0);
    assert!(world.store.find(&answer("later", NOW).address(), NOW).await.unwrap().is_some());
    assert_eq!(world.store.find(&answer("k1", NOW).address(), NOW).await.unwrap(), None, "gone even for an earlier time");
}

/// Old and settled: gone with its traces. Owed an attempt, or young: stays.
pub(crate) async fn prune_spares_the_pending(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut ids = Vec::new();
    for n in 0..6u64 {
        let mut message = world.message(after(NOW, n));
        message.event_id = Some(format!("evt{n}"));
        world.accept(&message, Some(lease(n, NOW))).await.unwrap();
        let verdict = if n == 2 { Verdict::Retry(after(NOW, 900)) } else { Verdict::Delivered };
        world.recorded(message.id, Trigger::Scheduled, lease(n, NOW), verdict).await;
        ids.push(message.id);
    }
    let waiting = world.accepted(after(NOW, 3)).await;
    world.store.requeue(world.app, world.endpoint, Requeue::Once(ids[1]), NOW).await.unwrap();
    let mut unwanted = world.message(NOW);
    unwanted.endpoints = vec![];
    world.accept(&unwanted, None).await.unwrap();
    let cutoff = after(NOW, 5);
    assert_eq!(world.store.prune(world.app, cutoff, 2).await.unwrap(), 2);
    assert_eq!(world.store.prune(world.app, cutoff, 99).await.unwrap(), 2);
    assert_eq!(world.store.prune(world.app, cutoff, 99).await.unwrap(), 0);
    let left: Vec<_> = world.store.messages(world.app, all()).await.unwrap().into_iter().map(|m| m.id).collect();
    let mut expected = vec![ids[1], ids[2], waiting.id, ids[5]];
    expected.sort_unstable();
    assert_eq!(left, expected);
    assert_eq!(world.store.attempts(world.endpoint, all()).await.unwrap().len(), 3);
    assert_eq!(world.store.attempted(world.endpoint, all()).await.unwrap().len(), 3);
    assert_eq!(world.store.message_by_event_id(world.app, "evt0").await.unwrap(), None);
    let mut again = world.message(NOW);
    again.event_id = Some("evt0".into());
    world.accept(&again, None).await.unwrap();
}

/// Erased: gone whatever its state, also while an attempt runs; others stay.
pub(crate) async fn an_erased_message_leaves_nothing(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut ids = Vec::new();
    for n in 0..4u64 {
        let mut message = world.message(after(NOW, n));
        message.event_id = Some(format!("evt{n}"));
        world.accept(&message, Some(lease(n, NOW))).await.unwrap();
        ids.push(message.id);
    }
    world.recorded(ids[0], Trigger::Scheduled, lease(0, NOW), Verdict::Delivered).await;
    world.recorded(ids[1], Trigger::Scheduled, lease(1, NOW), Verdict::Retry(after(NOW, 9))).await;
    world.store.requeue(world.app, world.endpoint, Requeue::Once(ids[1]), NOW).await.unwrap();
    let queued = world.accepted(after(NOW, 4)).await;
    for id in [ids[0], ids[1], ids[2], queued.id] {
        assert_eq!(world.store.expunge(Expunge::Message(world.app, id)).await, Ok(true));
        assert_eq!(world.store.expunge(Expunge::Message(world.app, id)).await, Ok(false));
        assert_eq!(world.store.message(world.app, id).await.unwrap(), None);
    }
    let lost = world.settle(ids[2], Trigger::Scheduled, lease(2, NOW), Verdict::Delivered).await;
    assert_eq!(lost, crate::store::Settled::LeaseLost);
    assert!(world.store.attempts(world.endpoint, all()).await.unwrap().is_empty());
    assert!(world.store.attempted(world.endpoint, all()).await.unwrap().is_empty());
    assert_eq!(world.store.message_by_event_id(world.app, "evt1").await.unwrap(), None);
    let stats = world.store.stats(world.endpoint, NOW, after(NOW, 10)).await.unwrap();
    assert_eq!(stats, Stats { pending: 1, ..Stats::default() });
    world.recorded(ids[3], Trigger::Scheduled, lease(3, NOW), Verdict::Delivered).await;
    let claims = world.claim(999, after(NOW, 1_000_000), 9).await;
    assert_eq!((claims.taken.len(), claims.next_due), (0, None));
    world.store = harness.restart(world.store).await;
    assert!(world.store.queued_endpoints().await.unwrap().is_empty());
}

/// First the endpoints, then the application; others stay.
pub(crate) async fn purge_leaves_nothing(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut foreign = world.message(NOW);
    (foreign.app, foreign.endpoints) = (AppId(world.app.0 + 1), vec![EndpointId(world.endpoint.0 + 1)]);
    world.accept(&foreign, None).await.unwrap();
    for n in 0..200u64 {
        let mut message = world.message(after(NOW, n));
        message.event_id = Some(format!("evt{n}"));
        world.accept(&message, Some(lease(n, NOW))).await.unwrap();
        if n % 2 == 0 {
            world.recorded(message.id, Trigger::Scheduled, lease(n, NOW), Verdict::Exhausted).await;
        }
    }
    let held = world.store.messages(world.app, all()).await.unwrap()[1].id;
    let mut rounds = 0;
    while world.store.purge(world.app, Some(world.endpoint), 150).await.unwrap() > 0 {
        rounds += 1;
    }
    assert!(rounds >= 2, "a limit is a limit");
    let lost = world.settle(held, Trigger::Scheduled, lease(1, NOW), Verdict::Delivered).await;
    assert_eq!(lost, crate::store::Settled::LeaseLost);
    let claims = world.claim(999, after(NOW, 1_000_000), 9).await;
    assert_eq!((claims.taken.len(), claims.next_due), (0, None));
    assert!(world.store.attempts(world.endpoint, all()).await.unwrap().is_empty());
    assert!(world.store.attempted(world.endpoint, all()).await.unwrap().is_empty());
    assert_eq!(world.store.stats(world.endpoint, NOW, after(NOW, 1)).await.unwrap(), Stats::default());
    assert_eq!(world.store.messages(world.app, all()).await.unwrap().len(), 200);
    while world.store.purge(world.app, None, 150).await.unwrap() > 0 {}
    assert!(world.store.messages(world.app, all()).await.unwrap().is_empty());
    assert_eq!(world.store.message_by_event_id(world.app, "evt0").await.unwrap(), None);
    assert_eq!(world.store.message(foreign.app, foreign.id).await.unwrap(), Some(foreign));
    assert_eq!(world.store.queued_endpoints().await.unwrap().len(), 1);
}

/// Closed, everything refuses; what was done stays.
pub(crate) async fn a_closed_store_refuses(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let message = world.accepted(NOW).await;
    world.store.ping().await.unwrap();
    world.store.close().await.unwrap();
    let next = world.message(NOW);
    assert!(matches!(world.accept(&next, None).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(world.store.message(world.app, message.id).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(world.store.ping().await, Err(StoreError::Unavailable(_))));
    world.store.close().await.unwrap();
    world.store = harness.restart(world.store).await;
    assert_eq!(world.claim(1, NOW, 9).await.taken.len(), 1);
}
