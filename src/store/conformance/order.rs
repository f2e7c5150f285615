//! Strict order: of the deliveries of an endpoint with one key, one at a time, in the sequence of their acceptance.

use super::{Harness, LEASE_MS, NOW, World, after, all, lease, msgs};
use crate::model::{DeliveryState, EndpointId, Message, MsgId, OrderKey, Time, Trigger, Verdict};
use crate::store::{Expunge, NewMessage, Requeue, Settled, Stats};
use std::sync::Arc;

const A: OrderKey = OrderKey(0xa);
const B: OrderKey = OrderKey(0xb);
/// When everything that waits is due.
const LATER: Time = Time(NOW.0 + 10 * LEASE_MS);

impl World {
    /// A message to the one endpoint, in order with those of the same key.
    fn in_order(&mut self, key: OrderKey) -> Message {
        let ordered = vec![(self.endpoint, key)];
        Message { ordering_key: Some("k".into()), ordered, ..self.message(NOW) }
    }

    pub(super) async fn accept_in_order(&mut self, key: OrderKey) -> Message {
        let message = self.in_order(key);
        // Whoever accepts it cannot hold it: only the store knows whether it is the first.
        self.accept(&message, Some(lease(77, NOW))).await.unwrap();
        message
    }

    /// Claims all that can be claimed, and says how each ends.
    pub(super) async fn turn(&mut self, token: u64, verdict: Verdict) -> Vec<MsgId> {
        let claims = self.claim(token, LATER, 100).await;
        for claimed in &claims.taken {
            let order = claimed.message.order(self.endpoint);
            self.end((claimed.delivery.msg, claimed.trigger, order), token, verdict).await;
        }
        msgs(&claims)
    }

    async fn end(&mut self, (msg, trigger, order): (MsgId, Trigger, Option<OrderKey>), token: u64, verdict: Verdict) {
        let mut settlement = self.settlement(msg, trigger, lease(token, LATER), verdict);
        settlement.order = order;
        let settled = super::settle_one(&*self.store, settlement).await.unwrap();
        assert!(matches!(settled, Settled::Recorded(_)), "{settled:?}");
    }
}

/// A key whose first fails waits for it; other keys, and what has none, go on.
pub(crate) async fn a_key_goes_one_at_a_time(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        a.push(world.accept_in_order(A).await);
        b.push(world.accept_in_order(B).await);
    }
    let free = world.accepted(NOW).await;
    assert_eq!(*world.store.message(world.app, a[1].id).await.unwrap().unwrap().ordered, [(world.endpoint, A)]);
    let claims = world.claim(1, NOW, 100).await;
    assert_eq!(msgs(&claims), [a[0].id, b[0].id, free.id]);
    assert_eq!(claims.next_due, None, "what waits is not due");
    assert!(world.claim(2, after(NOW, LEASE_MS - 1), 100).await.taken.is_empty());

    let later = after(NOW, LEASE_MS - 1);
    world.recorded(free.id, Trigger::Scheduled, lease(1, NOW), Verdict::Delivered).await;
    let settle = async |world: &mut World, msg: MsgId, key, token, verdict| {
        let mut settlement = world.settlement(msg, Trigger::Scheduled, lease(token, NOW), verdict);
        settlement.order = Some(key);
        super::settle_one(&*world.store, settlement).await.unwrap();
    };
    settle(&mut world, a[0].id, A, 1, Verdict::Retry(LATER)).await;
    settle(&mut world, b[0].id, B, 1, Verdict::Delivered).await;
    assert_eq!(msgs(&world.claim(3, later, 100).await), [b[1].id], "the other key goes on");
    settle(&mut world, b[1].id, B, 3, Verdict::Exhausted).await;
    let claims = world.claim(4, later, 100).await;
    assert_eq!((msgs(&claims), claims.next_due), (vec![b[2].id], Some(LATER)));
    settle(&mut world, b[2].id, B, 4, Verdict::Delivered).await;
    assert_eq!(world.turn(5, Verdict::Retry(LATER)).await, [b[3].id, a[0].id]);
    assert_eq!(world.turn(6, Verdict::Exhausted).await, [a[0].id, b[3].id]);
    assert_eq!(world.turn(7, Verdict::Cancelled).await, [a[1].id]);
    assert_eq!(world.turn(8, Verdict::Delivered).await, [a[2].id]);
    assert_eq!(world.turn(9, Verdict::Delivered).await, [a[3].id]);
    assert!(world.turn(10, Verdict::Delivered).await.is_empty());
    // The key is free: the next one goes at once.
    let next = world.accept_in_order(A).await;
    assert_eq!(world.turn(11, Verdict::Delivered).await, [next.id]);
    let stats = world.store.stats(world.endpoint, NOW, after(NOW, 1)).await.unwrap();
    assert_eq!(stats, Stats { delivered: 6, exhausted: 3, pending: 0, cancelled: 1 });
}

/// Not the identifiers say which is first, but the sequence of acceptance: clocks differ.
pub(crate) async fn the_order_is_that_of_acceptance(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut made: Vec<Message> = (0..6).map(|_| world.in_order(A)).collect();
    made.reverse();
    for message in &made {
        world.accept(message, None).await.unwrap();
    }
    let mut arrived = Vec::new();
    for token in 1..=6 {
        arrived.extend(world.turn(token, Verdict::Delivered).await);
    }
    assert_eq!(arrived, made.iter().map(|message| message.id).collect::<Vec<_>>());
}

/// Accepted at once by many, all come, one at a time; those of one task in its order.
pub(crate) async fn racing_accepts_have_one_head(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4u8 {
        let mine: Vec<Message> = (0..10).map(|_| Message { tags: vec![task.to_string()], ..world.in_order(A) }).collect();
        let store = Arc::clone(&world.store);
        tasks.spawn(async move {
            for message in mine {
                let new = NewMessage { message: Arc::new(message), leases: vec![None], mark: None };
                store.accept(new).await.unwrap();
            }
        });
    }
    let mut arrived: Vec<Message> = Vec::new();
    for token in 1.. {
        let claims = world.claim(token, LATER, 100).await;
        assert!(claims.taken.len() <= 1, "one at a time");
        let Some(claimed) = claims.taken.first() else {
            if arrived.len() == 40 {
                break;
            }
            tokio::task::yield_now().await;
            continue;
        };
        arrived.push((*claimed.message).clone());
        world.end((claimed.delivery.msg, Trigger::Scheduled, Some(A)), token, Verdict::Delivered).await;
    }
    tasks.join_all().await;
    for task in 0..4u8 {
        let ids: Vec<_> = arrived.iter().filter(|message| message.tags == [task.to_string()]).map(|message| message.id).collect();
        assert!(ids.len() == 10 && ids.is_sorted(), "{ids:?}");
    }
}

/// After a crash the first of a key is still the first, also of a message that went to others too.
pub(crate) async fn order_survives_a_crash(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let first = world.accept_in_order(A).await;
    let mut both = world.in_order(A);
    let other = EndpointId(world.endpoint.0 + 1);
    both.endpoints.push(other);
    world.accept(&both, Some(lease(1, NOW))).await.unwrap();
    let last = world.accept_in_order(A).await;
    assert_eq!(msgs(&world.claim(2, NOW, 9).await), [first.id]);
    world.store = harness.restart(world.store).await;
    assert_eq!(world.turn(3, Verdict::Retry(LATER)).await, [first.id]);
    world.store = harness.restart(world.store).await;
    assert_eq!(world.turn(4, Verdict::Exhausted).await, [first.id]);
    world.store = harness.restart(world.store).await;
    assert_eq!(world.turn(5, Verdict::Delivered).await, [both.id]);
    assert_eq!(world.turn(6, Verdict::Delivered).await, [last.id]);
    assert!(world.turn(7, Verdict::Delivered).await.is_empty());
    world.endpoint = other;
    assert_eq!(world.turn(8, Verdict::Delivered).await, [both.id], "it was owed to the other one, too");
}

/// A result under a lease that is lost lets nothing go on: whoever holds the first of the key has not done with it.
pub(crate) async fn a_lost_lease_passes_nothing_on(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let (first, second) = (world.accept_in_order(A).await, world.accept_in_order(A).await);
    let old = world.claim(1, NOW, 9).await.taken[0].lease;
    let later = after(NOW, LEASE_MS);
    assert_eq!(msgs(&world.claim(2, later, 9).await), [first.id]);
    let mut stale = world.settlement(first.id, Trigger::Scheduled, old, Verdict::Delivered);
    stale.order = Some(A);
    assert_eq!(super::settle_one(&*world.store, stale).await, Ok(Settled::LeaseLost));
    assert!(world.claim(3, later, 9).await.taken.is_empty());
    world.end((first.id, Trigger::Scheduled, Some(A)), 2, Verdict::Delivered).await;
    assert_eq!(msgs(&world.claim(4, later, 9).await), [second.id]);
}

/// What is erased, or delivered by hand, is waited for no longer, wherever it stands.
pub(crate) async fn what_is_gone_is_not_waited_for(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut a = Vec::new();
    for _ in 0..7 {
        a.push(world.accept_in_order(A).await.id);
    }
    let by_hand = async |world: &mut World, msg, token| {
        assert_eq!(world.store.requeue(world.app, world.endpoint, Requeue::Once(msg), NOW).await.unwrap(), 1);
        let claims = world.claim(token, LATER, 9).await;
        assert!(claims.taken.iter().any(|claimed| (claimed.delivery.msg, claimed.trigger) == (msg, Trigger::Manual)));
        world.end((msg, Trigger::Manual, Some(A)), token, Verdict::Delivered).await;
        for claimed in claims.taken.iter().filter(|claimed| claimed.trigger == Trigger::Scheduled) {
            let (endpoint, msg) = (world.endpoint, claimed.delivery.msg);
            world.store.release(endpoint, msg, Trigger::Scheduled, lease(token, LATER)).await.unwrap();
        }
    };
    // Those that wait: the third erased, the fourth by hand.
    assert_eq!(world.store.expunge(Expunge::Message(world.app, a[2])).await, Ok(true));
    by_hand(&mut world, a[3], 1).await;
    // A waiting one that fails by hand waits on.
    assert_eq!(world.store.requeue(world.app, world.endpoint, Requeue::Once(a[4]), NOW).await.unwrap(), 1);
    let claims = world.claim(2, NOW, 9).await;
    assert_eq!(msgs(&claims), [a[4], a[0]], "by hand it does not wait");
    world.end((a[4], Trigger::Manual, Some(A)), 2, Verdict::Exhausted).await;
    let waits = world.store.message(world.app, a[4]).await.unwrap().unwrap();
    assert!(matches!(world.delivery(&waits).await.state, DeliveryState::Pending(_)));
    // The first is erased while its attempt runs.
    assert_eq!(world.store.expunge(Expunge::Message(world.app, a[0])).await, Ok(true));
    // The second, now first, goes by hand.
    by_hand(&mut world, a[1], 3).await;
    assert_eq!(world.turn(4, Verdict::Exhausted).await, [a[4]]);
    // What is brought back is outside of the order.
    let which = Requeue::Exhausted { low: MsgId(0), high: MsgId(u128::MAX) };
    assert_eq!(world.store.requeue(world.app, world.endpoint, which, NOW).await.unwrap(), 1);
    let mut both = world.turn(5, Verdict::Delivered).await;
    both.sort_unstable();
    assert_eq!(both, [a[4], a[5]]);
    assert_eq!(world.turn(6, Verdict::Delivered).await, [a[6]]);
    assert!(world.turn(7, Verdict::Delivered).await.is_empty());
}

/// What waits is owed: it is not pruned, and is counted; a purge takes it, and the key begins anew.
pub(crate) async fn what_waits_is_owed(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    for _ in 0..300 {
        world.accept_in_order(A).await;
    }
    let minute = after(NOW, 60_000);
    assert_eq!(world.store.prune(world.app, minute, 1000).await.unwrap(), 0);
    while world.store.retire(after(NOW, 9 * 86_400_000)).await.unwrap() {}
    assert_eq!(world.store.stats(world.endpoint, NOW, minute).await.unwrap().pending, 300);
    assert_eq!(world.turn(1, Verdict::Delivered).await.len(), 1);
    assert_eq!(world.store.prune(world.app, minute, 1000).await.unwrap(), 1);
    while world.store.purge(world.app, Some(world.endpoint), 64).await.unwrap() > 0 {}
    assert!(world.turn(2, Verdict::Delivered).await.is_empty());
    assert!(world.store.queued_endpoints().await.unwrap().is_empty());
    let next = world.accept_in_order(A).await;
    assert_eq!(world.turn(3, Verdict::Delivered).await, [next.id]);
    assert!(world.turn(4, Verdict::Delivered).await.is_empty());
    assert_eq!(world.store.attempted(world.endpoint, all()).await.unwrap().len(), 1);
}
