//! Several servers on one PostgreSQL: take-over, fencing, limits and configuration that hold for all of them, a database
//! that goes away or fails over, poolers and TLS before it, and nodes that are hurt in every way at once.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected ends there"
)]
#![allow(clippy::disallowed_methods, reason = "the seed is chance; the run is not")]

mod away;
mod chaos;
mod failover;
mod leases;
mod load;
mod order;
mod own;
mod pooler;
mod proxy;
mod secure;
mod shared;
#[path = "../support/mod.rs"]
mod support;
mod unanswered;

use serde_json::Value;
use support::{Api, eventually};

/// An application with one endpoint; their ids.
async fn tenant(api: &Api, url: &str, more: Value) -> (String, String) {
    let app = api.post("/api/v1/app", r#"{"name": "nodes"}"#).await.expect(201);
    let app = app["id"].as_str().unwrap().to_owned();
    let mut body = serde_json::json!({ "url": url });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let endpoint = api.post(&format!("/api/v1/app/{app}/endpoint"), &body.to_string()).await.expect(201);
    (app, endpoint["id"].as_str().unwrap().to_owned())
}

/// Waits until a node knows an application and its endpoint. What it posts for that has the number 0.
async fn known(api: &Api, app: &str) {
    let path = format!("/api/v1/app/{app}/msg");
    eventually("the node knows the endpoint", || async {
        let answer = api.try_post(&path, r#"{"eventType": "node.test", "payload": {"client": 0, "number": 0}}"#).await.unwrap();
        let sent = if answer.status == 202 { answer.json() } else { return None };
        let listed = api.get(&format!("{path}/{}/endpoint", sent["id"].as_str().unwrap())).await.expect(200);
        (!listed["data"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
}

/// Posts a message; its id.
async fn send(api: &Api, app: &str, number: u64) -> String {
    let body = format!(r#"{{"eventType": "node.test", "payload": {{"number": {number}}}}}"#);
    let sent = api.post(&format!("/api/v1/app/{app}/msg"), &body).await.expect(202);
    sent["id"].as_str().unwrap().to_owned()
}

/// Attempts of a message at an endpoint.
async fn attempts(api: &Api, app: &str, (message, endpoint): (&str, &str)) -> Vec<Value> {
    let path = format!("/api/v1/app/{app}/attempt/msg/{message}?endpoint_id={endpoint}");
    api.get(&path).await.expect(200)["data"].as_array().unwrap().clone()
}
