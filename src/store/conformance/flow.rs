//! Accepting, and reading what flows.

use super::records::answer;
use super::{Harness, NOW, World, after, all, lease, settle_one};
use crate::model::{AppId, Delivery, EndpointId, Kind, MsgId, Record, Seen, SourceId, Trigger, Verdict};
use crate::store::{Conflict, Expunge, NewMessage, Stats, StoreError, Window};
use bytes::Bytes;
use std::sync::Arc;

/// What was accepted reads back byte by byte, its deliveries pending.
pub(crate) async fn accepted_is_readable(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut message = world.message(NOW);
    message.event_id = Some("evt".into());
    message.tags = vec!["t".into()];
    message.deliver_at = Some(after(NOW, 5000));
    message.payload_expires_at = Some(after(NOW, 9000));
    message.endpoints.push(EndpointId(0xe1));
    let mut large = world.message(NOW);
    large.payload = Bytes::from(vec![7; 300_000]);
    for new in [&message, &large] {
        world.accept(new, None).await.unwrap();
        assert_eq!(world.store.message(world.app, new.id).await.unwrap().as_ref(), Some(new));
    }
    assert_eq!(world.store.message_by_event_id(world.app, "evt").await.unwrap().as_ref(), Some(&message));
    assert_eq!(world.store.message_by_event_id(AppId(3), "evt").await.unwrap(), None);
    assert_eq!(world.store.message(AppId(3), message.id).await.unwrap(), None);
    let fresh = Delivery::fresh(world.app, message.id, EndpointId(0xe1), after(NOW, 5000));
    assert_eq!(world.store.delivery(&message, EndpointId(0xe1)).await.unwrap(), Some(fresh));
    assert_eq!(world.store.delivery(&message, EndpointId(0xee)).await.unwrap(), None);
    assert!(world.store.attempted(world.endpoint, all()).await.unwrap().is_empty());
}

/// A second message with an event id of its application is refused whole.
pub(crate) async fn event_ids_are_unique(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut first = world.message(NOW);
    first.event_id = Some("evt".into());
    world.accept(&first, None).await.unwrap();
    let mut second = world.message(NOW);
    second.event_id = Some("evt".into());
    assert_eq!(world.accept(&second, None).await, Err(StoreError::Conflict(Conflict::EventId)));
    assert_eq!(world.store.message(world.app, second.id).await.unwrap(), None);
    assert_eq!(world.claim(1, NOW, 9).await.taken.len(), 1);
    second.app = AppId(0xa1);
    world.accept(&second, None).await.unwrap();
}

/// Of many at the same time, one is accepted.
pub(crate) async fn one_event_id_wins_within_one_commit(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let twins: Vec<_> = (0..16).map(|_| crate::model::Message { event_id: Some("evt".into()), ..world.message(NOW) }).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for message in twins {
        let store = Arc::clone(&world.store);
        tasks.spawn(async move { store.accept(NewMessage { message: Arc::new(message), leases: vec![None], mark: None }).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    assert!(results.iter().all(|r| matches!(r, Ok(()) | Err(StoreError::Conflict(Conflict::EventId)))));
    assert_eq!(world.store.messages(world.app, all()).await.unwrap().len(), 1);
    assert_eq!(world.claim(1, NOW, 99).await.taken.len(), 1);
}

/// Message and answer come together or not at all.
pub(crate) async fn an_answer_is_inserted_or_nothing_is(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut accept = async |event_id: &str, expires_at| {
        let message = Arc::new(crate::model::Message { event_id: Some(event_id.into()), ..world.message(NOW) });
        let new = NewMessage { message: Arc::clone(&message), leases: vec![None], mark: Some(answer("k", expires_at)) };
        let result = world.store.accept(new).await;
        (result, world.store.message(world.app, message.id).await.unwrap().is_some())
    };
    assert_eq!(accept("e1", after(NOW, 100)).await, (Ok(()), true));
    let taken = Err(StoreError::Conflict(Conflict::Record(crate::model::Kind::Answered)));
    assert_eq!(accept("e2", after(NOW, 100)).await, (taken, false));
    let event_id = Err(StoreError::Conflict(Conflict::EventId));
    assert_eq!(accept("e1", after(NOW, 100)).await, (event_id, false));
    let address = answer("k", NOW).address();
    assert_eq!(world.store.find(&address, NOW).await.unwrap().unwrap().record, answer("k", after(NOW, 100)));
    assert_eq!(world.store.message_by_event_id(world.app, "e2").await.unwrap(), None, "its event id is free");
}

/// Of messages with one mark that come at the same time one is accepted; others are, once the mark has expired.
pub(crate) async fn one_mark_wins_until_it_expires(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let seen = |expires_at| Record::Seen(Seen { source: SourceId(7), key: "ab".into(), expires_at });
    let mut accept = |at, expires_at| {
        let (message, store) = (Arc::new(world.message(at)), Arc::clone(&world.store));
        let new = NewMessage { message, leases: vec![None], mark: Some(seen(expires_at)) };
        async move { store.accept(new).await }
    };
    let twins: Vec<_> = (0..20).map(|_| tokio::spawn(accept(NOW, after(NOW, 100)))).collect();
    let mut accepted = 0;
    for twin in twins {
        match twin.await.unwrap() {
            Ok(()) => accepted += 1,
            other => assert_eq!(other, Err(StoreError::Conflict(Conflict::Record(Kind::Seen)))),
        }
    }
    assert_eq!(accepted, 1);
    assert!(accept(after(NOW, 99), after(NOW, 200)).await.is_err());
    assert_eq!(accept(after(NOW, 100), after(NOW, 200)).await, Ok(()));
    assert_eq!(world.store.messages(world.app, all()).await.unwrap().len(), 2);
}

/// Both directions, both bounds exclusive, within the application.
pub(crate) async fn messages_by_window(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(world.accepted(after(NOW, n * 1000)).await.id);
    }
    let mut foreign = world.message(NOW);
    foreign.app = AppId(world.app.0 + 1);
    world.accept(&foreign, None).await.unwrap();
    let window = async |above: u128, below: u128, newest_first, limit| {
        let found = world.store.messages(world.app, Window { above, below, newest_first, limit }).await.unwrap();
        found.into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(window(0, u128::MAX, false, 9).await, ids);
    assert_eq!(window(0, u128::MAX, true, 2).await, [ids[5], ids[4]]);
    assert_eq!(window(ids[1].0, ids[4].0, false, 9).await, ids[2..4]);
    assert_eq!(window(ids[1].0, ids[4].0, true, 1).await, [ids[3]]);
    let at = MsgId::lowest_at(after(NOW, 2000)).0;
    assert_eq!(window(at, u128::MAX, false, 1).await, [ids[2]]);
    for (above, below) in [(ids[2].0, ids[2].0), (ids[2].0, ids[3].0), (ids[3].0, ids[2].0)] {
        assert_eq!(window(above, below, false, 9).await, []);
    }
}

/// Attempts, and deliveries that were attempted, by endpoint.
pub(crate) async fn attempts_by_window(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut made = Vec::new();
    for n in 0..4 {
        let message = world.message(after(NOW, n));
        world.accept(&message, Some(lease(n, NOW))).await.unwrap();
        let settlement = world.settlement(message.id, Trigger::Scheduled, lease(n, NOW), Verdict::Retry(after(NOW, 9000)));
        made.push(settlement.attempt.clone().unwrap());
        settle_one(&*world.store, settlement).await.unwrap();
    }
    world.accepted(NOW).await;
    let read = world.store.attempts(world.endpoint, Window { newest_first: true, limit: 3, ..all() }).await.unwrap();
    assert_eq!(read, made.iter().rev().take(3).cloned().collect::<Vec<_>>());
    assert_eq!(world.store.attempt(world.endpoint, made[1].id).await.unwrap().as_ref(), Some(&made[1]));
    assert_eq!(world.store.attempt(EndpointId(1), made[1].id).await.unwrap(), None);
    let window = Window { above: made[0].msg.0, ..all() };
    let attempted = world.store.attempted(world.endpoint, window).await.unwrap();
    assert_eq!(attempted.iter().map(|d| d.msg).collect::<Vec<_>>(), made[1..].iter().map(|a| a.msg).collect::<Vec<_>>());
    assert_eq!(attempted[0].attempts, [made[1].id]);
}

/// By the minute in which the message was made.
pub(crate) async fn stats_follow_the_states(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let minute = |n: u64| after(NOW, n * 60_000);
    let verdicts = [Verdict::Delivered, Verdict::Exhausted, Verdict::Cancelled, Verdict::Retry(minute(50))];
    for (n, verdict) in (0u64..).zip(verdicts) {
        for token in [n * 2, n * 2 + 1] {
            let message = world.message(after(minute(n), token));
            world.accept(&message, Some(lease(token, NOW))).await.unwrap();
            world.recorded(message.id, Trigger::Scheduled, lease(token, NOW), verdict).await;
        }
    }
    world.accepted(minute(9)).await;
    let stats = async |since, until| world.store.stats(world.endpoint, since, until).await.unwrap();
    assert_eq!(stats(minute(0), minute(10)).await, Stats { delivered: 2, exhausted: 2, cancelled: 2, pending: 3 });
    assert_eq!(stats(minute(1), minute(2)).await, Stats { exhausted: 2, ..Stats::default() });
    assert_eq!(stats(minute(3), minute(3)).await, Stats::default());
    assert_eq!(stats(after(minute(2), 1), after(minute(2), 2)).await, Stats { cancelled: 2, ..Stats::default() }, "whole minutes");
    assert_eq!(world.store.stats(EndpointId(1), minute(0), minute(10)).await.unwrap(), Stats::default());
}

/// The content goes, the rest stays.
pub(crate) async fn expunging_leaves_the_rest(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let message = world.message(NOW);
    world.accept(&message, Some(lease(1, NOW))).await.unwrap();
    let settlement = world.settlement(message.id, Trigger::Scheduled, lease(1, NOW), Verdict::Delivered);
    let attempt = settlement.attempt.clone().unwrap();
    settle_one(&*world.store, settlement).await.unwrap();
    let expunge = async |what| world.store.expunge(what).await.unwrap();
    assert!(!expunge(Expunge::Payload(AppId(1), message.id)).await);
    assert!(!expunge(Expunge::AnswerBody(EndpointId(1), attempt.id)).await);
    assert!(expunge(Expunge::Payload(world.app, message.id)).await);
    assert!(expunge(Expunge::AnswerBody(world.endpoint, attempt.id)).await);
    let mut bare = message.clone();
    (bare.payload, bare.expunged) = (Bytes::new(), true);
    assert_eq!(world.store.message(world.app, message.id).await.unwrap(), Some(bare));
    let mut silent = attempt.clone();
    silent.outcome.body = Bytes::new();
    assert_eq!(world.store.attempt(world.endpoint, attempt.id).await.unwrap(), Some(silent));
}
