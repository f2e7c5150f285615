//! CloudEvents: one object or headers, a bearer token, and the question before the first delivery.

use crate::fixture::Tenant;
use crate::support::Reply;
use serde_json::{Value, json};

#[tokio::test]
async fn the_receiver_is_asked_once_and_then_delivered_to() {
    let t = Tenant::start().await;
    for (profile, path) in [("cloudevents", "/structured"), ("cloudevents-binary", "/binary")] {
        t.receiver.script(path, [Reply::status(200).header("WebHook-Allowed-Origin", "postrider"), Reply::status(202)]);
        t.endpoint(path, json!({"profile": profile, "secret": "a-token"})).await;
    }
    let first = t.send("order.paid", &json!({"n": 1})).await;
    for path in ["/structured", "/binary"] {
        let asked = &t.receiver.wait(path, 2).await[0];
        assert_eq!((asked.header("webhook-request-origin"), asked.body.len(), asked.header("authorization")), ("postrider", 0, ""));
    }
    t.send("order.paid", &json!({"n": 2})).await;
    let structured = &t.receiver.wait("/structured", 3).await[1..];
    let event: Value = serde_json::from_slice(&structured[0].body).unwrap();
    assert_eq!((&event["specversion"], &event["type"], &event["id"]), (&json!("1.0"), &json!("order.paid"), &json!(first)));
    assert_eq!((&event["data"], structured[0].header("content-type")), (&json!({"n": 1}), "application/cloudevents+json"));
    assert!(structured.iter().all(|a| a.header("authorization") == "Bearer a-token"));
    let binary = &t.receiver.wait("/binary", 3).await[1];
    assert_eq!(
        (binary.header("ce-type"), binary.header("ce-id"), &*binary.body),
        ("order.paid", &*first, br#"{"n":1}"#.as_slice())
    );
}

#[tokio::test]
async fn a_receiver_that_does_not_agree_gets_nothing_and_the_attempt_says_so() {
    let t = Tenant::start().await;
    t.receiver.script("/no", [Reply::status(405)]);
    t.receiver.script("/silent", [Reply::status(200)]);
    t.receiver.script("/other", [Reply::status(200).header("WebHook-Allowed-Origin", "somebody.example")]);
    let mut endpoints = Vec::new();
    for path in ["/no", "/silent", "/other"] {
        endpoints.push((path, t.endpoint(path, json!({"profile": "cloudevents", "secret": "a-token", "retryPolicy": []})).await));
    }
    let message = t.send("order.paid", &json!({})).await;
    for ((path, endpoint), words) in endpoints.iter().zip(["405", "no WebHook-Allowed-Origin", "names another"]) {
        t.settled(&message, endpoint, "fail").await;
        let attempts = t.attempts(&message, endpoint).await;
        assert!(attempts[0].to_string().contains(words), "{}", attempts[0]);
        assert!(t.receiver.at(path).iter().all(|a| a.body.is_empty()));
    }
}

#[tokio::test]
async fn the_token_is_not_shown_in_attempts() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [Reply::status(200).header("WebHook-Allowed-Origin", "*"), Reply::status(200)]);
    let endpoint = t.endpoint("/a", json!({"profile": "cloudevents", "secret": "hush-hush"})).await;
    let message = t.send("order.paid", &json!({})).await;
    t.settled(&message, &endpoint, "success").await;
    let attempts = t.attempts(&message, &endpoint).await;
    assert!(!Value::from(attempts).to_string().contains("hush-hush"));
}
