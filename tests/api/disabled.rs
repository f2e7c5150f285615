//! Disabled endpoints: what is for them waits, and comes when they are enabled.

use crate::fixture::{Tenant, texts};
use crate::support::{Reply, eventually};
use serde_json::json;

#[tokio::test]
async fn a_disabled_endpoint_catches_up_when_it_is_enabled() {
    let mut t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"disabled": true})).await;
    t.endpoint("/b", json!({})).await;
    let mut held = Vec::new();
    for n in 0..5 {
        held.push(t.send("a.b", &json!(n)).await);
    }
    t.receiver.wait("/b", 5).await;
    t.restart().await;
    assert_eq!(t.receiver.at("/a").len(), 0, "nothing goes to a disabled endpoint");
    t.change(&endpoint, json!({"disabled": false})).await;
    let mut came: Vec<_> = t.receiver.wait("/a", 5).await.iter().map(|a| a.header("webhook-id").to_owned()).collect();
    came.sort();
    assert_eq!(came, held);
    for message in &held {
        t.settled(message, &endpoint, "success").await;
    }
}

#[tokio::test]
async fn disabling_holds_the_retries_that_are_due() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [500, 200].map(Reply::status));
    let endpoint = t.endpoint("/a", json!({"retryPolicy": [1]})).await;
    let message = t.send("a.b", &json!({})).await;
    t.attempted(&message, &endpoint, 1).await;
    t.change(&endpoint, json!({"disabled": true})).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await; // the retry's time passes
    assert_eq!(t.attempts(&message, &endpoint).await.len(), 1);
    assert_eq!(t.delivery(&message, &endpoint).await["statusText"], "pending");
    t.change(&endpoint, json!({"disabled": false})).await;
    t.settled(&message, &endpoint, "success").await;
}

#[tokio::test]
async fn gone_disables_the_endpoint_and_holds_what_comes() {
    let t = Tenant::start().await;
    let operations = json!({"url": t.receiver.url("/operator")}).to_string();
    t.api.post("/api/v1/operational-webhook/endpoint", &operations).await.expect(201);
    t.receiver.script("/a", [410, 200].map(Reply::status));
    let endpoint = t.endpoint("/a", json!({"retryPolicy": [1, 1, 1]})).await;
    let first = t.send("a.b", &json!(1)).await;
    eventually("the endpoint is disabled", || async { Some(t.look(&endpoint).await).filter(|e| e["disabled"] == true) }).await;
    let told = |kind: &'static str| {
        let receiver = &t.receiver;
        async move { receiver.at("/operator").into_iter().find(|a| String::from_utf8_lossy(&a.body).contains(kind)) }
    };
    eventually("the operator is told", || told("endpoint.disabled")).await;
    let second = t.send("a.b", &json!(2)).await;
    assert_eq!(t.attempts(&second, &endpoint).await.len(), 0);
    t.change(&endpoint, json!({"disabled": false})).await;
    t.settled(&second, &endpoint, "success").await;
    assert_eq!(t.attempts(&first, &endpoint).await.len(), 1, "no attempt follows 410");
    let listed = t.api.get(&t.path(&format!("/endpoint/{endpoint}/msg?status=0"))).await.expect(200);
    assert_eq!(texts(&listed["data"], "id"), [second]);
}
