//! The audit log: every change, by whom, from where; names of fields, never values.

use crate::{
    support::eventually,
    tenant::{Tenant, id_of},
};
use serde_json::{Value, json};

async fn entries(t: &Tenant, query: &str) -> Vec<Value> {
    t.api.get(&format!("/api/v1/audit{query}")).await.expect(200)["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_change_leaves_an_entry_without_values() {
    let mut t = Tenant::start_with(&["--trusted-proxy", "127.0.0.0/8"]).await;
    let endpoint = t.endpoint(&t.receiver.url("/url-canary")).await;
    let path = t.path(&format!("/endpoint/{endpoint}"));
    let forwarded = [("x-forwarded-for", "203.0.113.9")];
    t.api.send("PATCH", &path, &forwarded, r#"{"description": "text-canary", "throttleRate": 7}"#).await.expect(200);
    let basic = json!({"authentication": {"type": "basic", "username": "n", "password": "pass-canary"}});
    t.give(&endpoint, &basic).await.expect(204);
    let link = t.api.post(&format!("/api/v1/auth/app-portal-access/{}", t.app), "{}").await.expect(200);
    let portal = t.api.with_token(link["token"].as_str().unwrap());
    portal.patch(&path, r#"{"description": "by the portal"}"#).await.expect(200);
    t.send().await;
    t.receiver.wait("/url-canary", 1).await;
    t.api.delete(&path).await.expect(204);

    let all = entries(&t, &format!("?id={endpoint}")).await;
    let told: Vec<_> = all
        .iter()
        .map(|entry| (entry["actor"].as_str().unwrap(), entry["action"].as_str().unwrap(), entry["fields"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            ("key", "deleted", json!([])),
            ("portal", "updated", json!(["description"])),
            ("key", "updated", json!(["credentials"])),
            ("key", "updated", json!(["description", "throttle_rate"])),
            ("key", "created", json!([])),
        ]
    );
    assert_eq!(all[3]["from"], "203.0.113.9");
    assert_eq!(all[2]["from"], "127.0.0.1");
    assert!(all.iter().all(|entry| entry["appId"] == json!(t.app) && entry["what"] == "endpoint"));
    let whole = entries(&t, "?limit=250").await;
    let text = Value::Array(whole.clone()).to_string();
    assert!(!text.contains("canary"), "{text}");
    assert!(whole.iter().any(|entry| entry["what"] == "key" && entry["action"] == "created"), "the portal link: {text}");
    assert_eq!(entries(&t, "?action=deleted&what=endpoint").await.len(), 1);
    let key = whole[0]["key"].as_str().unwrap();
    assert_eq!(entries(&t, &format!("?key={key}&limit=250")).await.len(), whole.len() - 1, "all but the portal's");
    assert!(entries(&t, "?before=2020-01-01T00:00:00Z").await.is_empty());
    portal.get("/api/v1/audit").await.expect(403);

    // Pages hold all of it, once each.
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = t.api.get(&format!("/api/v1/audit{query}")).await.expect(200);
        seen.extend(page["data"].as_array().unwrap().iter().map(id_of));
        if page["done"] == true {
            break;
        }
        query = format!("?limit=2&iterator={}", page["iterator"].as_str().unwrap());
    }
    assert_eq!(seen, whole.iter().map(id_of).collect::<Vec<_>>());

    // It is durable.
    t.server.kill();
    t.server.restart().await;
    t.api = t.server.api();
    let again = eventually("the log is there", || async { Some(entries(&t, "?limit=250").await) }).await;
    assert_eq!(again, whole);
}

#[tokio::test]
async fn orders_leave_an_entry_too() {
    let t = Tenant::start_with(&[]).await;
    let endpoint = t.endpoint(&t.receiver.url("/orders")).await;
    t.send().await;
    t.receiver.wait("/orders", 1).await;
    let since = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(60);
    let window = json!({ "appId": t.app, "since": since.to_string(), "statuses": ["delivered"], "rate": 1 });
    t.api.post("/api/v1/replay", &window.to_string()).await.expect(202);
    let erase = json!({ "tag": "orders" });
    t.api.post("/api/v1/erase", &erase.to_string()).await.expect(202);
    t.api.put("/api/v1/retention", r#"{"messageHours": 5}"#).await.expect(200);
    t.api.put(&t.path("/retention"), r#"{"messageHours": 5}"#).await.expect(200);
    t.api.put(&t.path("/retention"), r#"{}"#).await.expect(200);
    // One that has nothing to catch up with would be over before it is ended.
    t.api.patch(&t.path(&format!("/endpoint/{endpoint}")), r#"{"disabled": true}"#).await.expect(200);
    for _ in 0..30 {
        t.send().await;
    }
    t.api.put(&t.path(&format!("/endpoint/{endpoint}/catch-up")), r#"{"rate": 1}"#).await.expect(200);
    t.api.delete(&t.path(&format!("/endpoint/{endpoint}/catch-up"))).await.expect(204);
    t.api.post("/api/v1/master-key/rotate", "").await.expect(202);

    let all = entries(&t, "?limit=250").await;
    let told = |what: &str| -> Vec<_> {
        let of = all.iter().filter(|entry| entry["what"] == what);
        of.map(|entry| (entry["action"].as_str().unwrap(), entry["appId"].clone())).collect()
    };
    assert_eq!(told("replay"), [("created", json!(t.app))]);
    assert_eq!(told("erasure"), [("created", Value::Null)]);
    assert_eq!(told("retention"), [("deleted", json!(t.app)), ("created", json!(t.app)), ("created", Value::Null)],);
    assert_eq!(told("catch_up"), [("deleted", json!(t.app)), ("created", json!(t.app))]);
    assert_eq!(told("master_key"), [("updated", Value::Null)]);
    let fields = |what: &str| -> Vec<Value> {
        let made = all.iter().filter(|entry| entry["what"] == what && entry["action"] == "created");
        made.map(|entry| entry["fields"].clone()).collect()
    };
    assert_eq!(fields("retention"), [json!(["message_hours"]), json!(["message_hours"])]);
    assert_eq!(fields("catch_up"), [json!(["rate"])]);
}

#[tokio::test]
async fn cancelling_one_leaves_an_entry_and_cancelling_nothing_none() {
    let t = Tenant::start_with(&[]).await;
    let endpoint = t.endpoint(&t.receiver.url("/held")).await;
    t.api.patch(&t.path(&format!("/endpoint/{endpoint}")), r#"{"disabled": true}"#).await.expect(200);
    let (one, two) = (t.send().await, t.send().await);
    for _ in 0..2 {
        t.api.post(&t.path(&format!("/msg/{one}/cancel")), "").await.expect(200);
        t.api.post(&t.path(&format!("/msg/{two}/endpoint/{endpoint}/cancel")), "").await.expect(200);
    }
    let told = entries(&t, "?what=cancel").await;
    assert_eq!(told.len(), 2, "{told:?}");
    for (entry, of) in told.iter().zip([format!("{two}/{endpoint}"), one]) {
        assert_eq!((&entry["action"], &entry["actor"], &entry["appId"]), (&json!("created"), &json!("key"), &json!(t.app)));
        assert_eq!(entry["objectId"], json!(of));
    }
}

#[tokio::test]
async fn what_deletes_content_or_sends_again_leaves_an_entry() {
    let t = Tenant::start_with(&[]).await;
    let endpoint = t.endpoint(&t.receiver.url("/hook")).await;
    let msg = t.send().await;
    let attempts = t.path(&format!("/attempt/msg/{msg}"));
    let attempt = eventually("it was tried", || async {
        let tried = t.api.get(&attempts).await.json();
        Some(tried["data"].as_array()?.first()?["id"].as_str()?.to_owned())
    })
    .await;
    t.api.post(&t.path(&format!("/msg/{msg}/endpoint/{endpoint}/resend")), "").await.expect(202);
    t.api.delete(&t.path(&format!("/msg/{msg}/attempt/{attempt}/content"))).await.expect(204);
    t.api.delete(&t.path(&format!("/msg/{msg}/content"))).await.expect(204);
    for (what, action, of) in [
        ("resend", "created", format!("{msg}/{endpoint}")),
        ("attempt_content", "deleted", attempt),
        ("message_content", "deleted", msg),
    ] {
        let told = entries(&t, &format!("?what={what}")).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((&told[0]["action"], &told[0]["objectId"]), (&json!(action), &json!(of)));
    }
}

#[tokio::test]
async fn words_that_no_filter_knows_are_refused() {
    let t = Tenant::start_with(&[]).await;
    for (query, field, words) in [
        ("action=made", "action", "created"),
        ("what=endpoints", "what", "endpoint, erasure"),
        ("kind=endpoint", "kind", "what"),
        ("after=yesterday", "after", "RFC 3339"),
    ] {
        let refused = t.api.get(&format!("/api/v1/audit?{query}")).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["query", field]), "{refused}");
        assert!(refused["detail"][0]["msg"].as_str().unwrap().contains(words), "{refused}");
    }
    for known in ["alert", "cancel", "catch_up", "erasure", "master_key", "replay", "retention"] {
        assert!(entries(&t, &format!("?what={known}")).await.is_empty(), "{known}");
    }
}
