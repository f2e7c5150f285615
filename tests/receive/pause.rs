//! A paused source: what it receives is recorded and answered, and goes nowhere until it is replayed.

use crate::{
    fixture::{Hub, text},
    signed::{SECRET, Signed, github},
};
use serde_json::json;

#[tokio::test]
async fn what_a_paused_source_receives_waits_for_a_replay() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    hub.endpoint("/hook", json!({})).await;
    let request = |id: &str| github("push", id, Signed::json(&json!({"n": id}).to_string()));
    hub.api.post(&format!("/api/v1/source/{}/pause", source.id), "").await.expect(200);
    assert_eq!(hub.deliver(&source.path, &request("1")).await.status, 200);
    let held = text(&hub.events(&source).await[0], "id");
    hub.api.post(&format!("/api/v1/source/{}/resume", source.id), "").await.expect(200);
    assert_eq!(hub.deliver(&source.path, &request("1")).await.status, 200, "a duplicate still");
    assert_eq!(hub.deliver(&source.path, &request("2")).await.status, 200);
    let arrivals = hub.receiver.wait("/hook", 1).await;
    assert_eq!((arrivals.len(), &arrivals[0].body), (1, &request("2").body));
    hub.api.post(&format!("/api/v1/source/{}/event/{held}/replay", source.id), "").await.expect(202);
    assert_eq!(hub.receiver.wait("/hook", 2).await[1].body, request("1").body);
}
