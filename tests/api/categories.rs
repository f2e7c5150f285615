//! Subscriptions to a category of the catalogue.

use crate::fixture::Tenant;
use serde_json::json;

#[tokio::test]
async fn an_endpoint_subscribes_to_what_the_catalogue_puts_in_a_category() {
    let t = Tenant::start().await;
    for (name, group) in [("invoice.paid", json!("billing")), ("refund", json!("billing")), ("user.made", json!(null))] {
        let body = json!({"name": name, "description": "x", "groupName": group});
        t.api.post("/api/v1/event-type", &body.to_string()).await.expect(201);
    }
    let endpoint = t.endpoint("/a", json!({"eventTypes": ["category:billing"]})).await;
    let all = t.endpoint("/all", json!({})).await;
    for name in ["user.made", "invoice.paid", "refund"] {
        let message = t.send(name, &json!({})).await;
        t.settled(&message, &all, "success").await;
    }
    assert_eq!(t.receiver.wait("/a", 2).await.len(), 2, "two of the three are in it");
    t.api.patch("/api/v1/event-type/user.made", r#"{"groupName": "billing"}"#).await.expect(200);
    let moved = t.send("user.made", &json!({})).await;
    t.settled(&moved, &endpoint, "success").await;
    t.api.patch("/api/v1/event-type/user.made", r#"{"groupName": null}"#).await.expect(200);
    let left = t.send("user.made", &json!({})).await;
    t.settled(&left, &all, "success").await;
    assert_eq!(t.receiver.at("/a").len(), 3, "it is in no category by now");

    let refused = t.api.post(&t.path("/endpoint"), r#"{"url": "https://example.com", "eventTypes": ["category:biling"]}"#).await;
    let refused = refused.expect(422);
    assert_eq!((&refused["detail"][0]["loc"], &refused["detail"][0]["type"]), (&json!(["body", "eventTypes"]), &json!("unknown")));
}
