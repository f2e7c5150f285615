//! Applications, event types and endpoints: made, changed, deleted.

use crate::fixture::{Tenant, id_of, texts};
use crate::support::eventually;
use serde_json::{Value, json};

#[tokio::test]
async fn names_of_ones_own_find_and_upsert() {
    let t = Tenant::start().await;
    let first = t.api.put("/api/v1/app/mine", r#"{"name":"One","uid":"mine"}"#).await.expect(201);
    let second = t.api.put("/api/v1/app/mine", r#"{"name":"Two","uid":"mine","metadata":{"a":"b"}}"#).await.expect(200);
    assert_eq!((&second["id"], &second["name"], &second["createdAt"]), (&first["id"], &json!("Two"), &first["createdAt"]));
    let third = t.api.put("/api/v1/app/mine", r#"{"name":"Three"}"#).await.expect(200);
    assert_eq!((&third["id"], &third["metadata"]), (&first["id"], &json!({})), "a put replaces");
    let existing = t.api.post("/api/v1/app?get_if_exists=true", r#"{"name":"Four","uid":"four"}"#).await.expect(201);
    let again = t.api.post("/api/v1/app?get_if_exists=true", r#"{"name":"Five","uid":"four"}"#).await.expect(200);
    assert_eq!((&again["id"], &again["name"]), (&existing["id"], &json!("Four")));
    t.api.post("/api/v1/app", r#"{"name":"Five","uid":"four"}"#).await.refused(409, "uid");
    t.api.patch(&t.path(""), r#"{"uid":"four"}"#).await.refused(409, "uid");
    t.api.delete("/api/v1/app/four").await.expect(204);
    t.api.get("/api/v1/app/four").await.expect(404);
    t.api.post("/api/v1/app", r#"{"name":"Six","uid":"four"}"#).await.expect(201);

    let url = t.receiver.url("/a");
    let made = t.api.put(&t.path("/endpoint/ep"), &json!({"url": url, "uid": "ep"}).to_string()).await.expect(201);
    let body = json!({"url": url, "uid": "renamed", "description": "d"}).to_string();
    let changed = t.api.put(&t.path("/endpoint/ep"), &body).await.expect(200);
    assert_eq!((&changed["id"], &changed["uid"]), (&made["id"], &json!("renamed")));
    t.api.get(&t.path("/endpoint/ep")).await.expect(404);
    t.api.post(&t.path("/endpoint"), &body).await.refused(409, "uid");
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_clears() {
    let t = Tenant::start().await;
    t.api.post("/api/v1/event-type", r#"{"name":"a.b","description":""}"#).await.expect(201);
    let full = json!({"uid": "ep", "description": "d", "throttleRate": 5, "channels": ["c"], "eventTypes": ["a.b"], "metadata": {"k": "v"}});
    let endpoint = t.endpoint("/a", full.clone()).await;
    let before = t.look(&endpoint).await;
    let after = t.change(&endpoint, json!({})).await;
    for field in ["uid", "description", "throttleRate", "channels", "eventTypes", "metadata", "url", "disabled"] {
        assert_eq!(after[field], before[field], "{field} stays");
    }
    let after = t.change(&endpoint, json!({"uid": null, "throttleRate": null, "channels": null, "eventTypes": null})).await;
    for field in ["uid", "throttleRate", "channels", "eventTypes"] {
        assert_eq!(after[field], Value::Null, "{field} goes");
    }
    assert_eq!((&after["description"], &after["metadata"]), (&json!("d"), &json!({"k": "v"})));
    t.post(&json!({"eventType": "x.y", "payload": 1})).await;
    t.receiver.wait("/a", 1).await; // it takes every type now

    let app = t.api.patch(&t.path(""), r#"{"uid":"u","throttleRate":9,"metadata":{"m":"n"}}"#).await.expect(200);
    assert_eq!((&app["uid"], &app["throttleRate"]), (&json!("u"), &json!(9)));
    let app = t.api.patch(&t.path(""), r#"{"uid":null,"throttleRate":null,"name":"New"}"#).await.expect(200);
    assert_eq!((&app["uid"], &app["throttleRate"], &app["name"]), (&Value::Null, &Value::Null, &json!("New")));
    assert_eq!(app["metadata"], json!({"m": "n"}));
}

#[tokio::test]
async fn headers_are_set_patched_and_sent() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"headers": {"X-First": "1"}})).await;
    let path = t.path(&format!("/endpoint/{endpoint}/headers"));
    let headers = async || t.api.get(&path).await.expect(200)["headers"].clone();
    assert_eq!(headers().await, json!({"x-first": "1"}));
    t.api.put(&path, r#"{"headers":{"X-A":"a","X-B":"b","X-C":"c"}}"#).await.expect(204);
    t.api.patch(&path, r#"{"headers":{"X-B":"bb","X-C":null}}"#).await.expect(204);
    assert_eq!(headers().await, json!({"x-a": "a", "x-b": "bb"}));
    t.api.patch(&path, r#"{"headers":{"X-D":"d"},"deleteHeaders":["X-A"]}"#).await.expect(204);
    assert_eq!(headers().await, json!({"x-b": "bb", "x-d": "d"}));
    t.send("a.b", &json!(1)).await;
    let arrival = t.receiver.wait("/a", 1).await.remove(0);
    assert_eq!((arrival.header("x-b"), arrival.header("x-d"), arrival.header("x-a")), ("bb", "d", ""));
    t.api.put(&path, r#"{"headers":{"Authorization":"Bearer secret"}}"#).await.expect(204);
    let shown = t.api.get(&path).await.expect(200);
    assert_eq!(shown["sensitive"], json!(["authorization"]));
    assert!(!shown.to_string().contains("Bearer secret"));
}

#[tokio::test]
async fn event_types_are_archived_and_brought_back() {
    let t = Tenant::start().await;
    let path = "/api/v1/event-type";
    let schemas = json!({"1": {"type": "object"}});
    let body = json!({"name": "a.b", "description": "d", "schemas": schemas, "groupName": "g", "featureFlags": ["f"]});
    let made = t.api.post(path, &body.to_string()).await.expect(201);
    assert_eq!((&made["groupName"], &made["featureFlags"], &made["archived"]), (&json!("g"), &json!(["f"]), &json!(false)));
    t.api.post(path, &body.to_string()).await.refused(409, "exists");
    let names = async |query: &str| texts(&t.api.get(&format!("{path}{query}")).await.expect(200)["data"], "name");
    let with_content = t.api.get(&format!("{path}?with_content=true")).await.expect(200);
    assert_eq!(with_content["data"][0]["schemas"], schemas);
    assert_eq!(t.api.get(path).await.expect(200)["data"][0]["schemas"], Value::Null);
    t.api.delete(&format!("{path}/a.b")).await.expect(204);
    assert_eq!((names("").await, names("?include_archived=true").await), (vec![], vec!["a.b".to_owned()]));
    let again = t.api.post(path, &body.to_string()).await.expect(201);
    assert_eq!(again["archived"], false, "making it again brings it back");
    let patched = t.api.patch(&format!("{path}/a.b"), r#"{"description":"e","groupName":null}"#).await.expect(200);
    assert_eq!((&patched["description"], &patched["groupName"], &patched["schemas"]), (&json!("e"), &Value::Null, &schemas));
    t.api.delete(&format!("{path}/a.b?expunge=true")).await.expect(204);
    t.api.get(&format!("{path}/a.b")).await.expect(404);
    t.api.put(&format!("{path}/new.one"), r#"{"description":"n"}"#).await.expect(201);
    t.api.put(&format!("{path}/new.one"), r#"{"description":"m"}"#).await.expect(200);
}

#[tokio::test]
async fn content_is_expunged() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [crate::support::Reply::status(200).body("private answer")]);
    let endpoint = t.endpoint("/a", json!({})).await;
    let message = t.send("a.b", &json!({"private": "payload"})).await;
    let attempt = id_of(&t.attempted(&message, &endpoint, 1).await[0]);
    let attempt_path = t.path(&format!("/msg/{message}/attempt/{attempt}"));
    assert_eq!(t.api.get(&attempt_path).await.expect(200)["response"], "private answer");
    assert_eq!(t.api.delete(&format!("{attempt_path}/content")).await.status, 204);
    assert_ne!(t.api.get(&attempt_path).await.expect(200)["response"], "private answer");
    let path = t.path(&format!("/msg/{message}"));
    assert_eq!(t.api.get(&format!("{path}?with_content=false")).await.expect(200)["payload"], json!({}));
    assert_eq!(t.api.get(&path).await.expect(200)["payload"], json!({"private": "payload"}));
    assert_eq!(t.api.delete(&format!("{path}/content")).await.status, 204);
    let read = t.api.get(&path).await.expect(200);
    assert!(!read.to_string().contains("private") && read["id"] == message, "{read}");
    t.api.delete(&t.path("/msg/absent/content")).await.expect(404);
}

#[tokio::test]
async fn statistics_count_deliveries() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [200, 200, 500, 500, 200].map(crate::support::Reply::status));
    let endpoint = t.endpoint("/a", json!({"retryPolicy": []})).await;
    for n in 1..=5 {
        let message = t.send("a.b", &json!(n)).await;
        t.attempted(&message, &endpoint, 1).await;
    }
    let path = t.path(&format!("/endpoint/{endpoint}/stats"));
    let stats = || async {
        let stats = t.api.get(&path).await.expect(200);
        (stats["success"] == 3 && stats["fail"] == 2).then_some(stats)
    };
    let stats = eventually("3 delivered, 2 exhausted", stats).await;
    assert_eq!((&stats["pending"], &stats["sending"], &stats["canceled"]), (&json!(0), &json!(0), &json!(0)));
    let past = t.api.get(&format!("{path}?since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z")).await.expect(200);
    assert_eq!((&past["success"], &past["fail"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_deleted_endpoint_or_application_is_gone_with_all_it_had() {
    let mut t = Tenant::start().await;
    t.receiver.script("/a", [crate::support::Reply::status(500)]);
    let endpoint = t.endpoint("/a", json!({"retryPolicy": [1, 1, 1]})).await;
    let message = t.send("a.b", &json!(1)).await;
    t.attempted(&message, &endpoint, 1).await;
    t.api.delete(&t.path(&format!("/endpoint/{endpoint}"))).await.expect(204);
    let before = t.receiver.at("/a").len();
    t.api.get(&t.path(&format!("/endpoint/{endpoint}"))).await.expect(404);
    t.api.get(&t.path(&format!("/attempt/endpoint/{endpoint}"))).await.expect(404);
    t.restart().await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await; // the retry's time passes
    assert!(t.receiver.at("/a").len() <= before + 1, "no retries for what is gone");
    t.api.delete(&t.path("")).await.expect(204);
    t.api.get(&t.path("/msg")).await.expect(404);
    t.restart().await;
    t.api.get(&t.path("")).await.expect(404);
}
