//! Payloads that are deleted before their messages are delivered.

use super::{
    receiver::Manner,
    unanswered::{accepted, one_endpoint},
};
use crate::{
    flow::Draft,
    lanes::CircuitState,
    model::{Address, Cause, DeliveryState, DisabledBy, Record},
    store::Change,
};
use std::time::Duration;
use tokio::time::sleep;

/// More than it takes to leave an endpoint alone that fails so often.
const MESSAGES: usize = 60;

#[tokio::test(start_paused = true)]
async fn what_has_lost_its_payload_ends_and_says_nothing_of_its_endpoint() {
    let mut driver = one_endpoint(Manner::Good(5), None).await;
    let (app, endpoint) = driver.endpoints[0];
    let engine = driver.engines().next().unwrap().engine.clone();
    let set = async |disabled: Option<DisabledBy>| {
        let found = engine.store.find(&Address::endpoint(app, endpoint), engine.clock.now()).await.unwrap().unwrap();
        let Record::Endpoint(mut record) = found.record else { panic!("no endpoint") };
        record.disabled = disabled;
        engine.change(vec![Change::Replace(Record::Endpoint(record), found.revision)]).await.unwrap();
    };
    set(Some(DisabledBy::Owner)).await;
    let end = engine.clock.now().plus(Duration::from_secs(60));
    for number in 0..MESSAGES as u64 {
        let draft = Draft {
            event_type: "a.b".into(),
            payload: "{}".into(),
            payload_expires_at: Some(end),
            tags: vec![number.to_string()],
            ..Draft::default()
        };
        driver.referee.posts(number, Some(end));
        engine.accept(&engine.routing.by_id(app).unwrap(), draft, None).await.unwrap();
    }
    sleep(Duration::from_secs(100)).await;
    set(None).await;
    sleep(Duration::from_secs(2)).await;
    assert!(accepted(&driver).await);
    sleep(Duration::from_secs(1)).await;
    {
        let state = driver.shared.state.lock();
        assert!(state.messages.values().take(MESSAGES).all(|message| message.expunged && message.payload.is_empty()));
        assert_eq!(state.attempts.values().filter(|attempt| attempt.outcome.cause == Cause::Expunged).count(), MESSAGES);
        let of = |delivered| state.deliveries.values().filter(|row| (row.state == DeliveryState::Delivered) == delivered).count();
        assert_eq!((of(true), of(false)), (1, MESSAGES), "what comes after them is delivered at once");
        assert_eq!(driver.referee.seen.lock().sent.len(), 1);
    }
    assert!(engine.failing(9).is_empty());
    assert!(engine.lane(endpoint).is_none_or(|lane| lane.circuit == CircuitState::Closed));
    driver.calm_down().await;
    assert_eq!(driver.faults(), [""; 0]);
}
