//! Cancelling: what a pending delivery is owed goes, and nothing else.

use super::{Harness, LEASE_MS, NOW, World, after, all, lease, msgs};
use crate::model::{DeliveryState, EndpointId, Message, MsgId, OrderKey, Time, Trigger, Verdict};
use crate::store::{Expunge, Requeue, Stats};

const KEY: OrderKey = OrderKey(0xa);
/// When every lease has run out, and every retry is due.
const LATER: Time = Time(NOW.0 + 10 * LEASE_MS);

impl World {
    async fn cancel(&self, msg: MsgId) -> bool {
        self.store.expunge(Expunge::Owed(self.app, self.endpoint, msg)).await.unwrap()
    }

    async fn counted(&self) -> Stats {
        self.store.stats(self.endpoint, NOW, after(NOW, 1)).await.unwrap()
    }

    async fn nothing_is_owed(&self) {
        let claims = self.claim(99, LATER, 100).await;
        assert_eq!((msgs(&claims), claims.next_due), (vec![], None));
        assert!(self.store.queued_endpoints().await.unwrap().is_empty());
    }

    async fn state(&self, message: &Message) -> DeliveryState {
        self.delivery(message).await.state
    }
}

/// Waiting, waiting for a retry, and asked for by hand besides: none is claimed again. What is settled stays as it is.
pub(crate) async fn what_is_cancelled_is_owed_no_longer(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let (waits, retries, asked) = (world.accepted(NOW).await, world.accepted(NOW).await, world.accepted(NOW).await);
    let (delivered, exhausted) = (world.accepted(NOW).await, world.accepted(NOW).await);
    world.claim(1, NOW, 100).await;
    for (message, verdict) in
        [(&retries, Verdict::Retry(LATER)), (&delivered, Verdict::Delivered), (&exhausted, Verdict::Exhausted)]
    {
        world.recorded(message.id, Trigger::Scheduled, lease(1, NOW), verdict).await;
    }
    for message in [&waits, &asked] {
        world.store.release(world.endpoint, message.id, Trigger::Scheduled, lease(1, NOW)).await.unwrap();
    }
    world.store.requeue(world.app, world.endpoint, Requeue::Once(asked.id), NOW).await.unwrap();
    for message in [&waits, &retries, &asked] {
        assert!(world.cancel(message.id).await);
        assert!(!world.cancel(message.id).await, "once");
        assert_eq!(world.state(message).await, DeliveryState::Cancelled);
    }
    for message in [&delivered, &exhausted] {
        let before = world.delivery(message).await;
        assert!(!world.cancel(message.id).await);
        assert_eq!(world.delivery(message).await, before);
    }
    assert_eq!(world.delivery(&retries).await.attempts.len(), 1, "what was tried stays");
    assert!(!world.cancel(MsgId(77)).await, "there is no such message");
    let other = Expunge::Owed(world.app, EndpointId(77), waits.id);
    assert!(!world.store.expunge(other).await.unwrap(), "nor was it this endpoint's");
    assert_eq!(world.counted().await, Stats { delivered: 1, exhausted: 1, cancelled: 3, pending: 0 });
    world.nothing_is_owed().await;
    // By hand it can be sent still, and then it is delivered.
    world.store.requeue(world.app, world.endpoint, Requeue::Once(waits.id), NOW).await.unwrap();
    assert_eq!(msgs(&world.claim(3, NOW, 9).await), [waits.id]);
    world.recorded(waits.id, Trigger::Manual, lease(3, NOW), Verdict::Exhausted).await;
    assert_eq!(world.state(&waits).await, DeliveryState::Cancelled);
    world.nothing_is_owed().await;
}

/// Its success wins; its failure revives nothing. Given back, it is claimed by nobody.
pub(crate) async fn a_cancelled_attempt_that_flies_is_recorded(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let claimed = [world.accepted(NOW).await, world.accepted(NOW).await, world.accepted(NOW).await];
    assert_eq!(world.claim(1, NOW, 9).await.taken.len(), 3);
    let mut held = Vec::new();
    for _ in 0..3 {
        let message = world.message(NOW);
        world.accept(&message, Some(lease(1, NOW))).await.unwrap();
        held.push(message);
    }
    for message in claimed.iter().chain(&held) {
        assert!(world.cancel(message.id).await);
    }
    for [success, failure, given_back] in [&claimed[..], &held[..]].map(|three| [&three[0], &three[1], &three[2]]) {
        let delivery = world.recorded(success.id, Trigger::Scheduled, lease(1, NOW), Verdict::Delivered).await;
        assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Delivered, 1));
        let delivery = world.recorded(failure.id, Trigger::Scheduled, lease(1, NOW), Verdict::Retry(LATER)).await;
        assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Cancelled, 1));
        world.store.release(world.endpoint, given_back.id, Trigger::Scheduled, lease(1, NOW)).await.unwrap();
        assert_eq!(world.delivery(given_back).await.state, DeliveryState::Cancelled);
    }
    assert_eq!(world.counted().await, Stats { delivered: 2, cancelled: 4, ..Stats::default() });
    assert_eq!(world.store.attempts(world.endpoint, all()).await.unwrap().len(), 4);
    world.nothing_is_owed().await;
}

/// Also of what somebody held who died with it.
pub(crate) async fn cancelling_survives_a_crash(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let queued = world.accepted(NOW).await;
    let held = world.message(NOW);
    world.accept(&held, Some(lease(1, NOW))).await.unwrap();
    let kept = world.accepted(after(NOW, 1)).await;
    assert!(world.cancel(queued.id).await && world.cancel(held.id).await);
    world.store = harness.restart(world.store).await;
    for message in [&queued, &held] {
        assert_eq!(world.state(message).await, DeliveryState::Cancelled);
    }
    assert_eq!(msgs(&world.claim(2, LATER, 9).await), [kept.id]);
    assert_eq!(world.counted().await, Stats { cancelled: 2, pending: 1, ..Stats::default() });
}

/// In strict order the next of the key is due at once; one that waits is passed over when its turn comes.
pub(crate) async fn a_cancelled_head_lets_the_next_go(harness: &impl Harness) {
    let mut world = World::new(harness).await;
    let mut of_key = Vec::new();
    for _ in 0..5 {
        of_key.push(world.accept_in_order(KEY).await);
    }
    assert!(world.cancel(of_key[0].id).await && world.cancel(of_key[2].id).await);
    assert_eq!(world.turn(1, Verdict::Retry(LATER)).await, [of_key[1].id]);
    assert!(world.cancel(of_key[1].id).await, "while it waits for its retry");
    assert_eq!(world.turn(2, Verdict::Delivered).await, [of_key[3].id]);
    assert!(world.cancel(of_key[4].id).await);
    world.nothing_is_owed().await;
    let next = world.accept_in_order(KEY).await;
    assert_eq!(world.turn(3, Verdict::Delivered).await, [next.id], "the key is free");
}
