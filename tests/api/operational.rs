//! What operators are told: failing, exhausted, recovered, disabled; and endpoints that are disabled for failing.

use crate::{
    fixture::{Tenant, id_of},
    support::{Api, Options, Receiver, Reply, Server, eventually},
};
use serde_json::{Value, json};

impl Tenant {
    /// A server that disables endpoints which have failed for so long.
    async fn disabling_after(period: &str) -> Self {
        let options = Options { args: vec!["--disable-after".into(), period.into()], ..Options::default() };
        let (server, receiver) = (Server::start_with(options).await, Receiver::start().await);
        let api = server.api();
        let app = id_of(&api.post("/api/v1/app", r#"{"name": "Tests", "uid": "tests"}"#).await.expect(201));
        Tenant { server, receiver, api, app }
    }

    /// An endpoint for operational messages at `/operator`.
    async fn operator(&self) -> String {
        let body = json!({"url": self.receiver.url("/operator")}).to_string();
        id_of(&self.api.post("/api/v1/operational-webhook/endpoint", &body).await.expect(201))
    }

    /// Waits for an operational message of that type; its data.
    async fn told(&self, kind: &str) -> Value {
        eventually(kind, || async {
            let told = self.receiver.at("/operator").into_iter().map(|a| serde_json::from_slice::<Value>(&a.body).unwrap());
            told.filter(|message| message["type"] == kind).map(|message| message["data"].clone()).last()
        })
        .await
    }
}

#[tokio::test]
async fn the_operator_is_told_of_endpoints_and_exhausted_messages() {
    let tenant = Tenant::disabling_after("5d").await;
    tenant.operator().await;
    tenant.receiver.script("/broken", [Reply::status(500), Reply::status(502)]);
    let endpoint = tenant.endpoint("/broken", json!({"retryPolicy": [0], "uid": "broken"})).await;
    let created = tenant.told("endpoint.created").await;
    assert_eq!((created["endpointId"].as_str(), created["endpointUid"].as_str()), (Some(&*endpoint), Some("broken")));
    assert_eq!(created["appUid"], "tests");

    let message = tenant.post(&json!({"eventType": "a.b", "eventId": "mine-1", "payload": {}})).await;
    let exhausted = tenant.told("message.attempt.exhausted").await;
    assert_eq!((exhausted["msgId"].as_str(), exhausted["msgEventId"].as_str()), (Some(&*message), Some("mine-1")));
    assert_eq!(exhausted["lastAttempt"]["responseStatusCode"], 502);

    tenant.change(&endpoint, json!({"description": "mended"})).await;
    assert_eq!(tenant.told("endpoint.updated").await["endpointId"], *endpoint);
    let gone = tenant.api.delete(&tenant.path(&format!("/endpoint/{endpoint}"))).await;
    assert_eq!(gone.status, 204);
    assert_eq!(tenant.told("endpoint.deleted").await["endpointId"], *endpoint);
}

#[tokio::test]
async fn the_operator_is_told_of_failing_and_recovered_messages() {
    let tenant = Tenant::disabling_after("5d").await;
    tenant.operator().await;
    tenant.receiver.script("/flaky", [500, 500, 500, 500, 200].map(Reply::status));
    let endpoint = tenant.endpoint("/flaky", json!({"retryPolicy": [0, 0, 0, 0, 0]})).await;
    let message = tenant.send("a.b", &json!({})).await;
    tenant.settled(&message, &endpoint, "success").await;
    assert_eq!(tenant.told("message.attempt.failing").await["msgId"], *message);
    assert_eq!(tenant.told("message.attempt.recovered").await["msgId"], *message);
    // Operational messages are messages: a refused one is not told about in turn.
    assert!(tenant.receiver.at("/operator").len() <= 3);
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_disabled_and_its_messages_are_held() {
    let tenant = Tenant::disabling_after("1s").await;
    tenant.operator().await;
    let endpoint = tenant.endpoint("/down", json!({"retryPolicy": vec![1; 20]})).await;
    tenant.receiver.script("/down", [Reply::status(500)]);
    let message = tenant.send("a.b", &json!({"n": 1})).await;
    let disabled = eventually("disabled", || async { Some(tenant.look(&endpoint).await).filter(|e| e["disabled"] == true) }).await;
    assert_eq!(disabled["disabledReason"], "failing");
    let told = tenant.told("endpoint.disabled").await;
    assert_eq!((told["endpointId"].as_str(), told["reason"].as_str()), (Some(&*endpoint), Some("failing")));

    let tried = tenant.receiver.at("/down").len();
    let held = tenant.send("a.b", &json!({"n": 2})).await;
    assert_eq!(tenant.delivery(&message, &endpoint).await["statusText"], "pending");
    tenant.receiver.script("/down", [Reply::status(200)]);
    assert_eq!(tenant.receiver.at("/down").len(), tried);
    tenant.change(&endpoint, json!({"disabled": false})).await;
    tenant.settled(&message, &endpoint, "success").await;
    tenant.settled(&held, &endpoint, "success").await;
    assert_eq!(tenant.look(&endpoint).await["disabled"], false);
}

#[tokio::test]
async fn operational_endpoints_are_the_organizations_own() {
    let tenant = Tenant::disabling_after("5d").await;
    let endpoint = tenant.operator().await;
    let listed = tenant.api.get("/api/v1/operational-webhook/endpoint").await.expect(200);
    assert_eq!(listed["data"][0]["id"], *endpoint);
    let stranger: Api = tenant.api.anonymous();
    assert_eq!(stranger.get("/api/v1/operational-webhook/endpoint").await.status, 401);
}
