//! Transfers: what a store takes in it gives back, and delivers.

use super::{NOW, World, after, all, lease, msgs, settle_one};
use crate::{
    model::{AttemptId, Delivery, DeliveryState, EndpointId, Message, OrderKey, Time, Trigger, Verdict},
    store::{
        PARKED, Stats,
        transfer::{Bundle, Owed, Transfer},
    },
};
use std::sync::Arc;

const FAILED: EndpointId = EndpointId(0xe1);
const UNTRIED: EndpointId = EndpointId(0xe2);

/// A message that was delivered once, failed once, and was not tried once.
fn bundle(world: &mut World) -> Bundle {
    let endpoints = vec![world.endpoint, FAILED, UNTRIED];
    let message = Message { event_id: Some("e".into()), endpoints, ..world.message(NOW) };
    let attempt = world.attempt(message.id, Trigger::Scheduled);
    let mut failed = world.attempt(message.id, Trigger::Scheduled);
    failed.endpoint = FAILED;
    let delivery = |endpoint, state, attempt: AttemptId| Delivery {
        state,
        attempts: vec![attempt],
        failed: u32::from(endpoint == FAILED),
        ..Delivery::fresh(message.app, message.id, endpoint, NOW)
    };
    let due = after(NOW, 5);
    let deliveries = vec![
        delivery(world.endpoint, DeliveryState::Delivered, attempt.id),
        delivery(FAILED, DeliveryState::Pending(due), failed.id),
    ];
    let owed = |endpoint, trigger, due| Owed { endpoint, trigger, due };
    let mut owed =
        vec![owed(FAILED, Trigger::Manual, Time(0)), owed(FAILED, Trigger::Scheduled, due), owed(UNTRIED, Trigger::Scheduled, NOW)];
    owed.sort_unstable();
    Bundle { message, deliveries, attempts: vec![attempt, failed], owed }
}

/// Twice the same is taken in once; what comes out is what went in; what is owed is claimed.
pub(crate) async fn what_is_taken_in_is_given_back<T: Transfer>(store: Arc<T>) {
    let mut world = World { store: store.clone(), app: crate::model::AppId(0xa0), endpoint: EndpointId(0xe0), made: 0 };
    let first = bundle(&mut world);
    let bare = Message { payload_expires_at: Some(NOW), expunged: true, ..world.message(after(NOW, 1)) };
    let bare = Message { payload: bytes::Bytes::new(), endpoints: vec![], ..bare };
    let second = Bundle { message: bare, deliveries: vec![], attempts: vec![], owed: vec![] };
    for _ in 0..2 {
        store.take_in(vec![first.clone(), second.clone()]).await.unwrap();
    }

    let places = [first.place(), second.place()];
    assert_eq!(store.places(None, 9).await.unwrap(), places);
    assert_eq!(store.places(None, 1).await.unwrap(), places[..1]);
    assert_eq!(store.places(Some(places[0]), 9).await.unwrap(), places[1..]);
    let owed = store.owed().await.unwrap();
    assert!(owed.iter().all(|(place, _)| *place == places[0]));
    assert_eq!(owed.iter().map(|(_, owed)| *owed).collect::<Vec<_>>(), first.owed);
    let mut given = store.bundles(&places).await.unwrap();
    assert!(given.iter().all(|bundle| bundle.owed.is_empty()));
    given[0].owed.clone_from(&first.owed);
    assert_eq!(given, [first.clone(), second]);

    let known = store.message_by_event_id(world.app, "e").await.unwrap();
    assert_eq!(known.unwrap().id, first.message.id);
    let stats = async |endpoint| store.stats(endpoint, NOW, after(NOW, 60_000)).await.unwrap();
    assert_eq!(stats(world.endpoint).await, Stats { delivered: 1, ..Stats::default() });
    assert_eq!((stats(FAILED).await.pending, stats(UNTRIED).await.pending), (1, 1));
    assert_eq!(store.attempts(FAILED, all()).await.unwrap(), first.attempts[1..]);
    world.endpoint = FAILED;
    let claims = world.claim(1, after(NOW, 5), 9).await;
    assert_eq!(msgs(&claims), [first.message.id; 2]);
    assert!(claims.taken.iter().all(|claimed| claimed.delivery == first.deliveries[1]));
    world.endpoint = UNTRIED;
    assert_eq!(msgs(&world.claim(2, NOW, 9).await), [first.message.id]);

    order_is_taken_in(&store).await;
    assert_eq!(store.note().await.unwrap(), None);
    store.set_note(Some("one")).await.unwrap();
    store.set_note(Some("two")).await.unwrap();
    assert_eq!(store.note().await.unwrap().as_deref(), Some("two"));
    store.set_note(None).await.unwrap();
    assert_eq!(store.note().await.unwrap(), None);
}

/// Of what is in order one is owed at a time, here as there.
async fn order_is_taken_in<T: Transfer>(store: &Arc<T>) {
    let endpoint = EndpointId(0xe7);
    let mut world = World { store: store.clone(), app: crate::model::AppId(0xa0), endpoint, made: 50 };
    let mut bundle = |due| {
        let message = Message { ordered: vec![(endpoint, OrderKey(7))], ..world.message(NOW) };
        let owed = vec![Owed { endpoint, trigger: Trigger::Scheduled, due }];
        Bundle { message, deliveries: vec![], attempts: vec![], owed }
    };
    let brought_back = bundle(after(NOW, 4_000_000));
    let bundles = [bundle(NOW), bundle(PARKED), bundle(PARKED)];
    store.take_in(vec![brought_back.clone()]).await.unwrap();
    for _ in 0..2 {
        store.take_in(bundles.to_vec()).await.unwrap();
    }
    let owed: Vec<_> = store.owed().await.unwrap().into_iter().filter(|(_, owed)| owed.endpoint == endpoint).skip(1).collect();
    assert_eq!(owed, bundles.clone().map(|bundle| (bundle.place(), bundle.owed[0])));
    for (token, bundle) in (1..).zip(&bundles) {
        let later = after(NOW, 3_600_000);
        assert_eq!(msgs(&world.claim(token, later, 9).await), [bundle.message.id]);
        let mut settlement = world.settlement(bundle.message.id, Trigger::Scheduled, lease(token, later), Verdict::Delivered);
        settlement.order = Some(OrderKey(7));
        settle_one(&**store, settlement).await.unwrap();
    }
    assert_eq!(msgs(&world.claim(9, after(NOW, 7_200_000), 9).await), [brought_back.message.id]);
}
