//! Failed deliveries: tried again, given up, brought back.

use crate::fixture::Tenant;
use crate::support::Reply;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn failures_are_retried_until_one_succeeds() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [Reply::status(500).body("no"), Reply::status(302), Reply::status(200)]);
    let endpoint = t.endpoint("/a", json!({"retryPolicy": [1, 1, 1]})).await;
    let message = t.send("a.b", &json!({})).await;
    let delivery = t.settled(&message, &endpoint, "success").await;
    assert_eq!(delivery["nextAttempt"], json!(null));
    let attempts = t.attempts(&message, &endpoint).await;
    let statuses: Vec<_> = attempts.iter().map(|a| (a["responseStatusCode"].clone(), a["statusText"].clone())).collect();
    assert_eq!(statuses, [(json!(200), json!("success")), (json!(302), json!("fail")), (json!(500), json!("fail"))]);
    assert!(attempts.iter().all(|a| a["triggerType"] == 0));
    let arrivals = t.receiver.at("/a");
    assert_eq!(arrivals.len(), 3);
    assert!(arrivals.iter().all(|a| a.header("webhook-id") == message), "one id for all attempts");
    for pair in arrivals.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap >= Duration::from_millis(750) && gap < Duration::from_secs(6), "1 s, 20 % jitter: {gap:?}");
    }
}

#[tokio::test]
async fn what_is_exhausted_can_be_sent_again() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [Reply::status(500), Reply::status(500), Reply::status(204)]);
    let endpoint = t.endpoint("/a", json!({"retryPolicy": [1]})).await;
    let message = t.send("a.b", &json!({})).await;
    let delivery = t.settled(&message, &endpoint, "fail").await;
    assert_eq!(delivery["nextAttempt"], json!(null));
    assert_eq!(t.attempts(&message, &endpoint).await.len(), 2);
    t.api.post(&t.path(&format!("/msg/{message}/endpoint/{endpoint}/resend")), "").await.expect(202);
    t.settled(&message, &endpoint, "success").await;
    let attempts = t.attempts(&message, &endpoint).await;
    assert_eq!(attempts.iter().map(|a| a["triggerType"].clone()).collect::<Vec<_>>(), [json!(1), json!(0), json!(0)]);
}

#[tokio::test]
async fn a_failed_resend_leaves_the_schedule_alone() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [Reply::status(500), Reply::status(500), Reply::status(200)]);
    let endpoint = t.endpoint("/a", json!({"retryPolicy": [4]})).await;
    let message = t.send("a.b", &json!({})).await;
    t.attempted(&message, &endpoint, 1).await;
    let planned = t.delivery(&message, &endpoint).await["nextAttempt"].clone();
    assert!(planned.is_string(), "a retry is planned");
    t.api.post(&t.path(&format!("/msg/{message}/endpoint/{endpoint}/resend")), "").await.expect(202);
    t.attempted(&message, &endpoint, 2).await;
    assert_eq!(t.delivery(&message, &endpoint).await["nextAttempt"], planned, "the plan stands");
    t.settled(&message, &endpoint, "success").await;
    let attempts = t.attempts(&message, &endpoint).await;
    assert_eq!(attempts.iter().map(|a| a["triggerType"].clone()).collect::<Vec<_>>(), [json!(0), json!(1), json!(0)]);
    let arrivals = t.receiver.at("/a");
    assert!(arrivals[2].at - arrivals[0].at >= Duration::from_millis(3100), "the retry came when it was planned");
}

#[tokio::test]
async fn recover_brings_back_what_was_given_up() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [500, 500, 500, 200].map(Reply::status));
    let endpoint = t.endpoint("/a", json!({"retryPolicy": []})).await;
    let since = jiff::Timestamp::now() - Duration::from_secs(60);
    let mut messages = Vec::new();
    for n in 0..3 {
        messages.push(t.send("a.b", &json!(n)).await);
    }
    for message in &messages {
        t.settled(message, &endpoint, "fail").await;
    }
    let path = t.path(&format!("/endpoint/{endpoint}/recover"));
    let earlier = json!({"since": since.to_string(), "until": (since + Duration::from_secs(1)).to_string()});
    t.api.post(&path, &earlier.to_string()).await.expect(202);
    let task = t.api.post(&path, &json!({"since": since.to_string()}).to_string()).await.expect(202);
    assert_eq!(task["task"], "endpoint.recover");
    for message in &messages {
        t.settled(message, &endpoint, "success").await;
    }
    assert_eq!(t.receiver.at("/a").len(), 6, "each came twice: the window in the past brought nothing back");
}

#[tokio::test]
async fn a_receiver_that_asks_to_wait_is_obeyed() {
    let t = Tenant::start().await;
    let busy = |status| Reply::status(status).header("Retry-After", "3");
    t.receiver.script("/obeyed", [busy(429), Reply::status(200)]);
    t.receiver.script("/ignored", [busy(500), Reply::status(200)]);
    for path in ["/obeyed", "/ignored"] {
        t.endpoint(path, json!({"retryPolicy": [1]})).await;
    }
    t.send("a.b", &json!({})).await;
    let obeyed = t.receiver.wait("/obeyed", 2).await;
    let ignored = t.receiver.wait("/ignored", 2).await;
    let gap = obeyed[1].at - obeyed[0].at;
    assert!(gap >= Duration::from_millis(2900), "{gap:?}");
    let gap = ignored[1].at - ignored[0].at;
    assert!(gap < Duration::from_millis(2900), "it is for 429 and 503 only: {gap:?}");
}
