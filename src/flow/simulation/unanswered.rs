//! Answers of the store that are lost: what took place all the same goes on.

use super::{
    dice::Dice,
    driver::{Driver, START},
    plan::{AppPlan, EndpointPlan, Plan},
    receiver::Manner,
};
use crate::{
    flow::Draft,
    model::{DeliveryState, RetryPolicy, Time},
};
use std::time::Duration;
use tokio::time::sleep;

/// Of a thousand answers.
const ALL: u64 = 1000;

async fn one_endpoint(manner: Manner) -> Driver {
    let endpoint = EndpointPlan {
        manner,
        policy: Some(RetryPolicy::Delays(vec![5])),
        rate: None,
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

async fn accepted(driver: &Driver) -> bool {
    let engine = driver.engines().next().unwrap().engine.clone();
    let routes = engine.routing.by_id(driver.endpoints[0].0).unwrap();
    engine.accept(&routes, Draft { event_type: "a.b".into(), ..Draft::default() }, None).await.is_ok()
}

fn ended(driver: &Driver) -> (DeliveryState, usize) {
    let state = driver.shared.state.lock();
    let delivery = state.deliveries.values().next().unwrap();
    (delivery.state, driver.referee.seen.lock().sent.len())
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_acceptance_was_not_answered_is_delivered() {
    let mut driver = one_endpoint(Manner::Good(5)).await;
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
    let driver = one_endpoint(Manner::Resets).await;
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
