//! What profiles say of retries, of what is final and of 410.

use crate::fixture::Tenant;
use crate::support::Reply;
use serde_json::json;

async fn quick(t: &Tenant, base: &str) -> String {
    let name = format!("quick-{base}");
    let clone = json!({"name": name, "changes": {"retryPolicy": [1, 1]}});
    t.api.post(&format!("/api/v1/profile/{base}/clone"), &clone.to_string()).await.expect(201);
    name
}

#[tokio::test]
async fn a_final_status_ends_the_delivery() {
    let t = Tenant::start().await;
    let profile = quick(&t, "nudj").await;
    t.receiver.script("/final", [Reply::status(500), Reply::status(404)]);
    let endpoint = t.endpoint("/final", json!({"profile": profile})).await;
    let message = t.send("reward.claimed", &json!({})).await;
    t.settled(&message, &endpoint, "fail").await;
    assert_eq!(t.attempts(&message, &endpoint).await.len(), 2);
    let ids: Vec<_> = t.receiver.at("/final").iter().map(|a| a.header("x-nudj-delivery-id").to_owned()).collect();
    assert!(ids[0] == ids[1] && ids[0].starts_with("dlv_"), "{ids:?}");
}

#[tokio::test]
async fn a_profile_may_retry_what_others_take_for_final() {
    let t = Tenant::start().await;
    let profile = quick(&t, "ilara").await;
    t.receiver.script("/gone", [Reply::status(410), Reply::status(404), Reply::status(200)]);
    let endpoint = t.endpoint("/gone", json!({"profile": profile})).await;
    let message = t.send("event.x", &json!({"a": 1})).await;
    t.settled(&message, &endpoint, "success").await;
    assert_eq!(t.look(&endpoint).await["disabled"], json!(false));
    let attempts: Vec<serde_json::Value> = t
        .receiver
        .at("/gone")
        .iter()
        .map(|a| serde_json::from_slice::<serde_json::Value>(&a.body).unwrap()["metadata"]["delivery_attempt"].clone())
        .collect();
    assert_eq!(attempts, [json!(1), json!(2), json!(3)]);
}

#[tokio::test]
async fn the_application_s_and_the_organization_s_profile_hold_where_nobody_says_otherwise() {
    let t = Tenant::start().await;
    t.endpoint("/a", json!({})).await;
    t.endpoint("/own", json!({"profile": "svix"})).await;
    t.send("x.y", &json!({})).await;
    assert!(t.receiver.wait("/a", 1).await[0].headers.contains_key("webhook-id"));
    t.api.patch(&t.path(""), r#"{"profile":"github-like"}"#).await.expect(200);
    t.send("x.y", &json!({})).await;
    assert!(t.receiver.wait("/a", 2).await[1].headers.contains_key("x-hub-signature-256"));
    t.api.put("/api/v1/profile/default", r#"{"profile":"svix"}"#).await.expect(200);
    t.api.patch(&t.path(""), r#"{"profile":null}"#).await.expect(200);
    t.send("x.y", &json!({})).await;
    assert!(t.receiver.wait("/a", 3).await[2].headers.contains_key("svix-id"));
    t.api.put("/api/v1/profile/default", r#"{"profile":null}"#).await.expect(200);
    t.send("x.y", &json!({})).await;
    assert!(t.receiver.wait("/a", 4).await[3].headers.contains_key("webhook-id"));
    assert!(t.receiver.wait("/own", 4).await.iter().all(|a| a.headers.contains_key("svix-id")));
}

#[tokio::test]
async fn profiles_are_there_after_a_restart() {
    let mut t = Tenant::start().await;
    let profile = quick(&t, "github-like").await;
    t.endpoint("/a", json!({"profile": profile, "filter": {"n": {"gt": 1}}})).await;
    t.api.put("/api/v1/profile/default", r#"{"profile":"svix"}"#).await.expect(200);
    t.endpoint("/b", json!({})).await;
    t.restart().await;
    t.send("x.y", &json!({"n": 1})).await;
    t.send("x.y", &json!({"n": 2})).await;
    assert!(t.receiver.wait("/b", 2).await.iter().all(|a| a.headers.contains_key("svix-id")));
    assert!(t.receiver.wait("/a", 1).await[0].headers.contains_key("x-github-delivery"));
    assert_eq!(t.receiver.at("/a").len(), 1);
}
