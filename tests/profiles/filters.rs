//! Filters and type patterns decide who gets a message.

use crate::fixture::Tenant;
use serde_json::json;

#[tokio::test]
async fn a_message_goes_where_its_payload_meets_the_filter() {
    let t = Tenant::start().await;
    let filter = json!({"properties.amount": {"gte": 50}, "properties.currency": {"eq": "USD"}});
    let rich = t.endpoint("/rich", json!({"filter": filter})).await;
    t.endpoint("/all", json!({})).await;
    let message = |amount: f64, currency: &str| json!({"properties": {"amount": amount, "currency": currency}});
    t.send("event.purchase_complete", &message(49.99, "USD")).await;
    t.send("event.purchase_complete", &message(50.0, "EUR")).await;
    let third = t.send("event.purchase_complete", &message(50.0, "USD")).await;
    t.receiver.wait("/all", 3).await;
    t.settled(&third, &rich, "success").await;
    let got = t.receiver.at("/rich");
    assert_eq!(got.iter().map(|a| a.header("webhook-id")).collect::<Vec<_>>(), [third.as_str()]);

    assert_eq!(t.look(&rich).await["filter"], filter);
    let changed = t.change(&rich, json!({"filter": {"properties.currency": {"in": ["EUR"]}}})).await;
    assert_eq!(changed["filter"]["properties.currency"]["in"], json!(["EUR"]));
    let fourth = t.send("event.purchase_complete", &message(1.0, "EUR")).await;
    t.settled(&fourth, &rich, "success").await;
    assert_eq!(t.change(&rich, json!({"filter": null})).await["filter"], json!(null));
    let fifth = t.send("event.purchase_complete", &message(1.0, "USD")).await;
    t.settled(&fifth, &rich, "success").await;
    assert_eq!(t.receiver.at("/rich").len(), 3);
}

#[tokio::test]
async fn what_is_no_filter_is_refused_by_name_and_place() {
    let t = Tenant::start().await;
    let body = json!({"url": t.receiver.url("/x"), "filter": {"any": [{"a": {"eq": 1}}, {"b": {"like": 1}}]}});
    let refused = t.api.post(&t.path("/endpoint"), &body.to_string()).await.expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "filter", "any[1].b.like"]));
    assert!(refused["detail"][0]["msg"].as_str().unwrap().starts_with("There is no operator like"), "{refused}");
}

#[tokio::test]
async fn a_filter_can_be_tried() {
    let t = Tenant::start().await;
    let asked = json!({"filter": {"any": [{"a": {"gt": 5}}, {"b": {"contains": "x"}}]}, "payload": {"a": 3, "b": "axb"}});
    let told = t.api.post("/api/v1/filter/test", &asked.to_string()).await.expect(200);
    assert_eq!((&told["matches"], &told["explanation"]["clause"]), (&json!(true), &json!("any")));
    let parts = &told["explanation"]["parts"];
    assert_eq!((&parts[0]["holds"], &parts[0]["found"], &parts[1]["holds"]), (&json!(false), &json!([3]), &json!(true)));
    t.api.post("/api/v1/filter/test", r#"{"filter":{"a":{"near":1}}}"#).await.expect(422);
    t.api.anonymous().post("/api/v1/filter/test", &asked.to_string()).await.expect(401);
}

#[tokio::test]
async fn a_star_subscribes_to_a_category() {
    let t = Tenant::start().await;
    let rewards = t.endpoint("/rewards", json!({"eventTypes": ["reward.*"]})).await;
    t.endpoint("/all", json!({"eventTypes": ["*"]})).await;
    t.send("user.created", &json!({})).await;
    t.send("rewards", &json!({})).await;
    let claimed = t.send("reward.claimed", &json!({})).await;
    t.receiver.wait("/all", 3).await;
    t.settled(&claimed, &rewards, "success").await;
    assert_eq!(t.receiver.at("/rewards").len(), 1);
    let refused = json!({"url": t.receiver.url("/x"), "eventTypes": ["re*"]});
    t.api.post(&t.path("/endpoint"), &refused.to_string()).await.expect(422);
}
