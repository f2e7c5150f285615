//! What is sent, to whom, and when.

use crate::fixture::Tenant;
use crate::support::{Reply, eventually};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_message_arrives_and_its_attempt_is_listed() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [Reply::status(201).body("thanks")]);
    let endpoint = t.endpoint("/a", json!({"headers": {"X-Own": "value"}})).await;
    let message = t.send("invoice.paid", &json!({"id": 7})).await;
    let arrival = t.receiver.wait("/a", 1).await.remove(0);
    assert_eq!(arrival.body, r#"{"id":7}"#);
    assert_eq!((arrival.header("webhook-id"), arrival.header("x-own")), (message.as_str(), "value"));
    assert_eq!(arrival.header("content-type"), "application/json");
    let attempts = t.attempted(&message, &endpoint, 1).await;
    let attempt = &attempts[0];
    assert_eq!((&attempt["responseStatusCode"], &attempt["response"]), (&json!(201), &json!("thanks")));
    assert_eq!((&attempt["status"], &attempt["statusText"], &attempt["triggerType"]), (&json!(0), &json!("success"), &json!(0)));
    assert_eq!((&attempt["msgId"], &attempt["endpointId"]), (&json!(message), &json!(endpoint)));
    assert!(attempt["responseDurationMs"].as_i64().unwrap() >= 0);
    assert_eq!(attempt["url"], t.receiver.url("/a"));
    let listed = t.api.get(&t.path(&format!("/attempt/endpoint/{endpoint}?status=0&status_code_class=200"))).await.expect(200);
    assert_eq!(listed["data"][0]["id"], attempt["id"]);
    let none = t.api.get(&t.path(&format!("/attempt/endpoint/{endpoint}?status=2"))).await.expect(200);
    assert_eq!(none["data"], json!([]));
    let same = t.api.get(&t.path(&format!("/msg/{message}/attempt/{}", attempt["id"].as_str().unwrap()))).await.expect(200);
    assert_eq!(same["id"], attempt["id"]);
}

#[tokio::test]
async fn each_endpoint_gets_what_it_asks_for() {
    let t = Tenant::start().await;
    for name in ["a.b", "c.d"] {
        t.api.post("/api/v1/event-type", &json!({"name": name, "description": ""}).to_string()).await.expect(201);
    }
    for (path, wants) in [
        ("/all", json!({})),
        ("/typed", json!({"eventTypes": ["a.b", "c.d"]})),
        ("/red", json!({"channels": ["red"]})),
        ("/both", json!({"eventTypes": ["a.b"], "channels": ["red", "blue"]})),
    ] {
        t.endpoint(path, wants).await;
    }
    for (kind, channels) in
        [("a.b", json!(["red"])), ("a.b", json!(null)), ("c.d", json!(["blue", "green"])), ("x.y", json!(["red"]))]
    {
        t.post(&json!({"eventType": kind, "channels": channels, "payload": [kind, channels]})).await;
    }
    // The last message for everybody: what has arrived by then is all there is.
    t.receiver.wait("/all", 4).await;
    let bodies = async |path: &str, count: usize| {
        let mut bodies: Vec<_> =
            t.receiver.wait(path, count).await.iter().map(|a| String::from_utf8_lossy(&a.body).into_owned()).collect();
        bodies.sort();
        bodies
    };
    assert_eq!(bodies("/typed", 3).await, [r#"["a.b",["red"]]"#, r#"["a.b",null]"#, r#"["c.d",["blue","green"]]"#]);
    assert_eq!(bodies("/red", 2).await, [r#"["a.b",["red"]]"#, r#"["x.y",["red"]]"#]);
    assert_eq!(bodies("/both", 1).await, [r#"["a.b",["red"]]"#]);
    assert_eq!(bodies("/all", 4).await.len(), 4);
}

#[tokio::test]
async fn a_message_for_later_comes_later() {
    let mut t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({})).await;
    let due = jiff::Timestamp::now() + Duration::from_secs(2);
    let sent = Instant::now();
    let body = json!({"eventType": "a.b", "payload": {}, "deliverAt": due.to_string()});
    let message = t.post(&body).await;
    assert_eq!(t.attempts(&message, &endpoint).await.len(), 0);
    // It waits in the store, so a restart changes nothing.
    t.restart().await;
    let arrival = t.receiver.wait("/a", 1).await.remove(0);
    let waited = arrival.at - sent;
    assert!(waited >= Duration::from_millis(1900) && waited < Duration::from_secs(15), "{waited:?}");
    assert_eq!(t.attempted(&message, &endpoint, 1).await.len(), 1);
}

#[tokio::test]
async fn a_throttled_endpoint_is_not_hurried() {
    let t = Tenant::start().await;
    t.endpoint("/slow", json!({"throttleRate": 5})).await;
    t.endpoint("/fast", json!({})).await;
    for n in 0..15 {
        t.send("a.b", &json!(n)).await;
    }
    let arrivals = t.receiver.wait("/slow", 15).await;
    let took = arrivals[14].at - arrivals[0].at;
    assert!(took >= Duration::from_millis(2200), "15 at 5 a second took {took:?}");
    assert!(took < Duration::from_secs(10), "15 at 5 a second took {took:?}");
    let fast = t.receiver.wait("/fast", 15).await;
    assert!(fast[14].at < arrivals[14].at, "the other endpoint is not throttled");
}

#[tokio::test]
async fn a_receiver_that_never_ends_is_given_up_at_the_deadline() {
    let options = crate::support::Options { args: vec!["--attempt-timeout".into(), "1s".into()], env: Vec::new() };
    let mut t = Tenant::start().await;
    t.server = crate::support::Server::start_with(options).await;
    t.api = t.server.api();
    t.app = crate::fixture::id_of(&t.api.post("/api/v1/app", r#"{"name": "t"}"#).await.expect(201));
    for (path, reply) in [("/hang", Reply::Hang), ("/drip", Reply::Drip)] {
        t.receiver.script(path, [reply]);
        let endpoint = t.endpoint(path, json!({"retryPolicy": []})).await;
        let sent = Instant::now();
        let message = t.send("a.b", &json!(path)).await;
        let attempt = t.attempted(&message, &endpoint, 1).await.remove(0);
        assert!(sent.elapsed() < Duration::from_secs(10));
        assert_eq!(attempt["statusText"], "fail", "{attempt}");
        t.change(&endpoint, json!({"disabled": true})).await;
    }
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_never_called() {
    let t = Tenant::start().await;
    let url = "http://10.255.255.1:9/";
    let endpoint = t.api.post(&t.path("/endpoint"), &json!({"url": url, "retryPolicy": []}).to_string()).await.expect(201);
    let endpoint = endpoint["id"].as_str().unwrap();
    let message = t.send("a.b", &json!({})).await;
    let attempt = t.attempted(&message, endpoint, 1).await.remove(0);
    assert_eq!(attempt["statusText"], "fail");
    let said = attempt.to_string();
    assert!(said.contains("10.255.255.1") && said.contains("private"), "the cause is told: {said}");
}

#[tokio::test]
async fn an_example_goes_to_one_endpoint() {
    let t = Tenant::start().await;
    let schema = json!({"1": {"type": "object", "examples": [{"n": 1}, {"n": 2}]}});
    let event_type = json!({"name": "ex.ample", "description": "d", "schemas": schema});
    t.api.post("/api/v1/event-type", &event_type.to_string()).await.expect(201);
    let endpoint = t.endpoint("/one", json!({})).await;
    t.endpoint("/other", json!({})).await;
    let path = t.path(&format!("/endpoint/{endpoint}/send-example"));
    t.api.post(&path, r#"{"eventType": "ex.ample"}"#).await.expect(200);
    t.api.post(&path, r#"{"eventType": "ex.ample", "exampleIndex": 1}"#).await.expect(200);
    let mut bodies: Vec<_> = t.receiver.wait("/one", 2).await.into_iter().map(|a| a.body).collect();
    bodies.sort();
    assert_eq!(bodies, [r#"{"n":1}"#, r#"{"n":2}"#]);
    let marker = t.send("ma.rker", &json!(0)).await;
    eventually("the marker", || async { t.receiver.at("/other").into_iter().find(|a| a.header("webhook-id") == marker) }).await;
    assert_eq!(t.receiver.at("/other").len(), 1, "the other endpoint got the marker only");
}

#[tokio::test]
async fn a_message_whose_payload_was_deleted_is_not_sent() {
    let tenant = Tenant::start().await;
    let endpoint = tenant.endpoint("/later", json!({})).await;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
    let message = tenant.post(&json!({"eventType": "a.b", "payload": {"secret": 1}, "deliverAt": soon.to_string()})).await;
    assert_eq!(tenant.api.delete(&tenant.path(&format!("/msg/{message}/content"))).await.status, 204);
    let attempts = tenant.attempted(&message, &endpoint, 1).await;
    assert_eq!(tenant.settled(&message, &endpoint, "fail").await["id"], *endpoint);
    let attempt = &attempts[0]["id"].as_str().unwrap();
    let attempt = tenant.api.get(&tenant.path(&format!("/msg/{message}/attempt/{attempt}"))).await.expect(200);
    assert!(attempt["error"].as_str().unwrap().contains("payload was deleted"), "{attempt}");
    assert!(tenant.receiver.requests().is_empty());
}
