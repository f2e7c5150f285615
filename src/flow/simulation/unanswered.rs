//! Answers of the store that are lost: what took place all the same goes on.

use super::{
    dice::Dice,
    driver::{Driver, START},
    plan::{AppPlan, EndpointPlan, Plan},
    receiver::Manner,
};
use crate::{
    flow::Draft,
    model::{DeliveryState, RetryPolicy, Time, Trigger},
    store::Requeue,
};
use std::time::Duration;
use tokio::time::sleep;

/// Of a thousand answers.
const ALL: u64 = 1000;

pub(super) async fn one_endpoint(manner: Manner, rate: Option<u16>) -> Driver {
    let endpoint = EndpointPlan {
        manner,
        policy: Some(RetryPolicy::Delays(vec![5])),
        rate,
        has_secret: false,
        ordering: None,
        concurrency: None,
    };
    let plan = Plan {
        nodes: 1,
        slots: 10,
        timeout_s: 5,
        disable_after_s: 86_400,
        policy: RetryPolicy::default(),
        has_operator: false,
        refused: 0,
        unanswered: 0,
        apps: vec![AppPlan { rate: None, endpoints: vec![endpoint] }],
        steps: vec![],
    };
    let mut driver = Driver::of(plan, Dice::new(1), 1);
    driver.begin().await;
    driver
}

/// Of a thousand answers, so many are lost from now on.
fn lose(driver: &Driver, part: u64) {
    driver.engines().for_each(|running| running.node.faults.lock().unanswered = part);
}

pub(super) async fn accepted(driver: &Driver) -> bool {
    let engine = driver.engines().next().unwrap().engine.clone();
    let routes = engine.routing.by_id(driver.endpoints[0].0).unwrap();
    engine.accept(&routes, Draft { event_type: "a.b".into(), payload: "{}".into(), ..Draft::default() }, None).await.is_ok()
}

fn ended(driver: &Driver) -> (DeliveryState, usize) {
    let state = driver.shared.state.lock();
    let delivery = state.deliveries.values().next().unwrap();
    (delivery.state, driver.referee.seen.lock().sent.len())
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_acceptance_was_not_answered_is_delivered() {
    let mut driver = one_endpoint(Manner::Good(5), None).await;
    lose(&driver, ALL);
    assert!(!accepted(&driver).await);
    lose(&driver, 0);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(ended(&driver), (DeliveryState::Delivered, 1));
    driver.calm_down().await;
    assert_eq!(driver.faults(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_making_was_not_answered_comes_in_its_time() {
    let driver = one_endpoint(Manner::Resets, None).await;
    assert!(accepted(&driver).await);
    lose(&driver, ALL);
    while !driver.shared.counts.lock().contains_key("answers lost") {
        sleep(Duration::from_millis(5)).await;
    }
    lose(&driver, 0);
    sleep(Duration::from_secs(9)).await;
    assert_eq!(ended(&driver), (DeliveryState::Exhausted, 2));
    assert!(driver.clock.now() < Time(START.0 + 20_000), "long before upkeep looks for what was forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_success_whose_recording_was_not_answered_is_followed_by_no_other_attempt() {
    let mut driver = one_endpoint(Manner::SlowBody(50), Some(1)).await;
    for _ in 0..8 {
        assert!(accepted(&driver).await);
    }
    let (app, endpoint) = driver.endpoints[0];
    let last = driver.shared.state.lock().messages.keys().map(|(_, msg)| *msg).max().unwrap();
    let engine = driver.engines().next().unwrap().engine.clone();
    assert_eq!(engine.requeue(app, endpoint, Requeue::Once(last)).await, Ok(1));
    let of_last = |driver: &Driver| driver.referee.seen.lock().sent.iter().filter(|sent| sent.msg == last).count();
    while of_last(&driver) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(driver.referee.seen.lock().sent.last().unwrap().trigger, Trigger::Manual, "its scheduled one waits for the rate");
    lose(&driver, ALL);
    let is_recorded = |driver: &Driver| driver.shared.state.lock().deliveries[&(endpoint, last)].state == DeliveryState::Delivered;
    while !is_recorded(&driver) {
        sleep(Duration::from_millis(1)).await;
    }
    let lost = |driver: &Driver| driver.shared.counts.lock().get("answers lost").copied().unwrap_or(0);
    let before = lost(&driver);
    while lost(&driver) == before {
        sleep(Duration::from_millis(1)).await;
    }
    lose(&driver, 0);
    // Its scheduled attempt is the last in line.
    while engine.lanes.get(endpoint).is_some_and(|lane| lane.waiting() > 0) {
        sleep(Duration::from_millis(100)).await;
    }
    driver.calm_down().await;
    assert_eq!(of_last(&driver), 1);
    assert_eq!(driver.faults(), [""; 0]);
}
