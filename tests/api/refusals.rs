//! What is refused, and how: the field is named, nothing is stored, the server goes on.

use crate::fixture::{Tenant, texts};
use crate::support::Answer;
use serde_json::{Value, json};

/// Refused with 400 or 422; when `field` is not empty, the answer says where.
#[track_caller]
fn refused(answer: &Answer, field: &str) {
    let body = answer.json();
    assert!(matches!(answer.status, 400 | 422), "{} {body}", answer.status);
    if field.is_empty() {
        assert!(body["code"].is_string() && body["detail"].is_string() || body["detail"].is_array(), "{body}");
        return;
    }
    assert_eq!(answer.status, 422, "{body}");
    let places = body["detail"].as_array().unwrap_or_else(|| panic!("no places: {body}"));
    let named = places.iter().any(|p| p["loc"].as_array().unwrap().iter().any(|part| part == field));
    assert!(named, "{body} does not name {field}");
    assert!(places.iter().all(|p| !p["msg"].as_str().unwrap().is_empty() && p["type"].is_string()), "{body}");
}

#[tokio::test]
async fn bodies_that_are_not_understood() {
    let t = Tenant::start().await;
    for body in ["", "{", "{\"name\":}", "nonsense", "[]", "null", "42", "{\"name\":\"x\"} trailing", "\u{0}"] {
        for path in ["/api/v1/app", &t.path("/msg"), &t.path("/endpoint"), "/api/v1/event-type"] {
            refused(&t.api.post(path, body).await, "");
        }
        refused(&t.api.patch(&t.path(""), body).await, "");
    }
    let deep = format!(r#"{{"eventType":"a.b","payload":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    refused(&t.api.post(&t.path("/msg"), &deep).await, "");
    let utf16 = t.api.try_send("POST", &t.path("/msg"), &[], bytes::Bytes::from_static(b"\xff\xfe{\x00}\x00")).await.unwrap();
    refused(&utf16, "");
    let text = t.api.send("POST", "/api/v1/app", &[("content-type", "text/plain")], r#"{"name":"x"}"#).await;
    assert_eq!(text.status, 415, "{}", text.text());
    nothing_stored(&t).await;
}

async fn nothing_stored(t: &Tenant) {
    assert_eq!(texts(&t.api.get("/api/v1/app").await.expect(200)["data"], "id").join(","), t.app);
    for path in [t.path("/msg"), t.path("/endpoint"), "/api/v1/event-type".to_owned()] {
        assert_eq!(t.api.get(&path).await.expect(200)["data"], json!([]), "{path}");
    }
}

#[tokio::test]
async fn applications_that_break_a_rule() {
    let t = Tenant::start().await;
    let long = "x".repeat(100_000);
    let cases = [
        (json!({}), "name"),
        (json!({"name": 7}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": long}), "name"),
        (json!({"name": "safe\u{202e}gpj.exe"}), "name"),
        (json!({"name": "two\nlines"}), "name"),
        (json!({"name": "a\u{85}b"}), "name"),
        (json!({"name": "x", "uid": "has space"}), "uid"),
        (json!({"name": "x", "uid": ""}), "uid"),
        (json!({"name": "x", "uid": "x".repeat(257)}), "uid"),
        (json!({"name": "x", "throttleRate": 0}), "throttleRate"),
        (json!({"name": "x", "throttleRate": 65_536}), "throttleRate"),
        (json!({"name": "x", "throttleRate": "5"}), "throttleRate"),
        (json!({"name": "x", "metadata": {"a": 1}}), "metadata"),
        (json!({"name": "x", "metadata": {"a": long}}), "metadata"),
    ];
    for (body, field) in cases {
        refused(&t.api.post("/api/v1/app", &body.to_string()).await, field);
    }
    nothing_stored(&t).await;
}

#[tokio::test]
async fn endpoints_that_break_a_rule() {
    let t = Tenant::start().await;
    let long = "x".repeat(100_000);
    let url = t.receiver.url("/a");
    let cases = [
        (json!({}), "url"),
        (json!({"url": 1}), "url"),
        (json!({"url": "not a url"}), "url"),
        (json!({"url": "ftp://example.com/"}), "url"),
        (json!({"url": "/relative"}), "url"),
        (json!({"url": "http://"}), "url"),
        (json!({"url": "javascript:alert(1)"}), "url"),
        (json!({"url": format!("https://example.com/{long}")}), "url"),
        (json!({"url": url, "uid": "ü"}), "uid"),
        (json!({"url": url, "channels": []}), "channels"),
        (json!({"url": url, "channels": ["has space"]}), "channels"),
        (json!({"url": url, "channels": vec!["c"; 11]}), "channels"),
        (json!({"url": url, "eventTypes": "a.b"}), "eventTypes"),
        (json!({"url": url, "eventTypes": ["unknown.type"]}), "eventTypes"),
        (json!({"url": url, "disabled": "yes"}), "disabled"),
        (json!({"url": url, "secret": "short"}), "secret"),
        (json!({"url": url, "secret": "whsec_!!!!"}), "secret"),
        (json!({"url": url, "headers": {"Host": "x"}}), "headers"),
        (json!({"url": url, "headers": {"Content-Length": "1"}}), "headers"),
        (json!({"url": url, "headers": {"webhook-id": "1"}}), "headers"),
        (json!({"url": url, "headers": {"bad name": "1"}}), "headers"),
        (json!({"url": url, "headers": {"x": "line\r\nbreak"}}), "headers"),
        (json!({"url": url, "headers": {"x": long}}), "headers"),
        (json!({"url": url, "headers": {"x": "caf\u{e9}"}}), "headers"),
        (json!({"url": url, "retryPolicy": vec![1; 51]}), "retryPolicy"),
        (json!({"url": url, "retryPolicy": "often"}), "retryPolicy"),
        (json!({"url": url, "ordering": {"by": "key", "path": "x"}}), "ordering"),
        (json!({"url": url, "ordering": {"by": "all", "more": 1}}), "ordering"),
        (json!({"url": url, "ordering": {"by": "payload", "path": "x", "more": 1}}), "ordering"),
        (json!({"url": url, "retryPolicy": [-1]}), "retryPolicy"),
    ];
    for (body, field) in cases {
        refused(&t.api.post(&t.path("/endpoint"), &body.to_string()).await, field);
    }
    nothing_stored(&t).await;
}

#[tokio::test]
async fn messages_that_break_a_rule() {
    let t = Tenant::start().await;
    let cases = [
        (json!({"payload": {}}), "eventType"),
        (json!({"eventType": "a.b"}), "payload"),
        (json!({"eventType": 5, "payload": {}}), "eventType"),
        (json!({"eventType": "has space", "payload": {}}), "eventType"),
        (json!({"eventType": "x".repeat(257), "payload": {}}), "eventType"),
        (json!({"eventType": "a.b", "payload": {}, "eventId": ""}), "eventId"),
        (json!({"eventType": "a.b", "payload": {}, "eventId": "x".repeat(257)}), "eventId"),
        (json!({"eventType": "a.b", "payload": {}, "channels": "red"}), "channels"),
        (json!({"eventType": "a.b", "payload": {}, "channels": ["x".repeat(129)]}), "channels"),
        (json!({"eventType": "a.b", "payload": {}, "tags": vec!["t"; 100]}), "tags"),
        (json!({"eventType": "a.b", "payload": {}, "payloadRetentionPeriod": 0}), "payloadRetentionPeriod"),
        (json!({"eventType": "a.b", "payload": {}, "payloadRetentionPeriod": 91}), "payloadRetentionPeriod"),
        (json!({"eventType": "a.b", "payload": {}, "deliverAt": "soon"}), "deliverAt"),
        // Also where the application is there already.
        (json!({"eventType": "a.b", "payload": {}, "application": {"name": null}}), "application"),
        (json!({"eventType": "a.b", "payload": {}, "application": {"name": ""}}), "application"),
        (json!({"eventType": "a.b", "payload": {}, "application": {"name": "x", "uid": "a b"}}), "uid"),
        (json!({"eventType": "a.b", "payload": {}, "application": "x"}), "application"),
        (json!({"eventType": "a.b", "payload": {}, "deliverAt": "2999-01-01T00:00:00Z"}), "deliverAt"),
    ];
    for (body, field) in cases {
        refused(&t.api.post(&t.path("/msg"), &body.to_string()).await, field);
    }
    nothing_stored(&t).await;
}

#[tokio::test]
async fn an_instant_is_refused_by_the_rule_that_it_breaks() {
    let t = Tenant::start().await;
    for (instant, rule) in [
        ("9999-12-31T00:00:00Z", "to 9999-12-30T22:00:00.999Z"),
        ("1969-12-31T00:00:00Z", "from 1970-01-01T00:00:00.000Z"),
        // The latest instant that there is, is one.
        ("9999-12-30T22:00:00.999Z", "At most 90 days ahead"),
    ] {
        let body = json!({"eventType": "a.b", "payload": {}, "deliverAt": instant});
        t.api.post(&t.path("/msg"), &body.to_string()).await.refused(422, rule);
    }
    nothing_stored(&t).await;
}

#[tokio::test]
async fn what_is_refused_makes_no_application_on_the_way() {
    let t = Tenant::start().await;
    let application = json!({"name": "new"});
    let message = |more: serde_json::Value| {
        let mut body = json!({"eventType": "a.b", "payload": {}, "application": application});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let operational = "/api/v1/operational-webhook/endpoint";
    for (method, path, body) in [
        ("POST", "/api/v1/app/new/msg".to_owned(), message(json!({"deliverAt": "2999-01-01T00:00:00Z"}))),
        ("POST", "/api/v1/app/new/msg".to_owned(), message(json!({"eventType": "a b"}))),
        ("POST", "/api/v1/auth/app-portal-access/new".to_owned(), json!({"application": application, "expiry": 1})),
        ("POST", operational.to_owned(), json!({"url": "ftp://x"})),
        ("PUT", format!("{operational}/new"), json!({"url": "ftp://x"})),
        ("POST", "/api/v1/source".to_owned(), json!({"provider": "nobody"})),
        ("POST", "/api/v1/source".to_owned(), json!({"scheme": {"algorithm": "none such"}})),
    ] {
        let answer = t.api.send(method, &path, &[], &body.to_string()).await;
        assert_eq!(answer.status, 422, "{method} {path} {body}: {}", answer.text());
        nothing_stored(&t).await;
    }
    let missing = format!("{operational}/{}", t.endpoint("/a", json!({})).await);
    t.api.put(&missing, &json!({"url": t.receiver.url("/a")}).to_string()).await.expect(404);
    assert_eq!(texts(&t.api.get("/api/v1/app").await.expect(200)["data"], "id").len(), 1);
}

#[tokio::test]
async fn event_types_that_break_a_rule() {
    let t = Tenant::start().await;
    let cases = [
        (json!({"name": "a b", "description": ""}), "name"),
        (json!({"name": "a.b"}), "description"),
        (json!({"name": "a.b", "description": 1}), "description"),
        (json!({"name": "a.b", "description": "", "schemas": "x"}), "schemas"),
    ];
    for (body, field) in cases {
        refused(&t.api.post("/api/v1/event-type", &body.to_string()).await, field);
    }
    nothing_stored(&t).await;
}

#[tokio::test]
async fn a_million_event_types_in_a_filter() {
    let t = Tenant::start().await;
    let names: Vec<String> = (0..1_000_000).map(|n| format!("t{n}")).collect();
    let body = json!({"url": t.receiver.url("/a"), "eventTypes": names}).to_string();
    assert_eq!(t.api.post(&t.path("/endpoint"), &body).await.status, 413);
    let query = format!("/msg?event_types={}", names[..20_000].join(","));
    let answer = t.api.try_send("GET", &t.path(&query), &[], bytes::Bytes::new()).await;
    assert!(answer.map_or(true, |a| matches!(a.status, 414 | 422 | 431)));
    nothing_stored(&t).await;
}

#[tokio::test]
async fn absurd_requests() {
    let t = Tenant::start().await;
    let value = "v".repeat(1 << 20);
    let headers: Vec<(String, &str)> = (0..1000).map(|n| (format!("x-{n}"), "v")).collect();
    let many: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    for headers in [&[("x-long", value.as_str())][..], &many[..]] {
        let answer = t.api.try_send("GET", "/api/v1/app", headers, bytes::Bytes::new()).await;
        assert!(answer.map_or(true, |a| matches!(a.status, 400 | 431)), "refused or cut off");
    }
    let key = "k".repeat(1000);
    let answer = t.api.send("POST", "/api/v1/app", &[("idempotency-key", &key)], r#"{"name":"x"}"#).await;
    refused(&answer, "idempotency-key");
    t.api.get("/api/v1/nothing").await.expect(404);
    t.api.send("PUT", "/api/v1/app", &[], "{}").await.expect(405);
    for id in ["app_123", "..", "%2e%2e%2f", "%ff", "a%20b", &"x".repeat(5000)] {
        let answer = t.api.get(&format!("/api/v1/app/{id}/msg")).await;
        assert!(matches!(answer.status, 404 | 414 | 422), "{id}: {}", answer.status);
        assert!(answer.json()["detail"] != Value::Null);
    }
    t.api.get("/api/v1/app/unknown").await.refused(404, "application");
    t.api.get(&t.path("/endpoint/unknown")).await.refused(404, "endpoint");
    t.api.get(&t.path("/msg/unknown")).await.refused(404, "message");
    t.api.get(&t.path("/msg/unknown/attempt/unknown")).await.expect(404);
    t.api.get("/api/v1/event-type/unknown").await.refused(404, "event type");
    nothing_stored(&t).await;
}

#[tokio::test]
async fn a_refused_patch_changes_nothing() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"description": "before"})).await;
    let before = t.look(&endpoint).await;
    let path = t.path(&format!("/endpoint/{endpoint}"));
    for (body, field) in [
        (json!({"description": "after", "url": "nonsense"}), "url"),
        (json!({"description": "after", "url": null}), "url"),
        (json!({"description": "after", "disabled": null}), "disabled"),
        (json!({"description": "after", "throttleRate": 70_000}), "throttleRate"),
        (json!({"description": "after", "channels": ["a b"]}), "channels"),
    ] {
        refused(&t.api.patch(&path, &body.to_string()).await, field);
    }
    assert_eq!(t.look(&endpoint).await, before);
}

#[tokio::test]
async fn names_of_everything_hide_no_characters() {
    let t = Tenant::start().await;
    let hidden = "pay\u{202e}lap";
    for (path, body) in [
        ("/api/v1/app".to_owned(), json!({"name": hidden})),
        ("/api/v1/key".into(), json!({"name": hidden})),
        ("/api/v1/session".into(), json!({"name": hidden})),
        ("/api/v1/source".into(), json!({"name": hidden, "provider": "hmac", "secret": "a secret"})),
        ("/api/v1/user".into(), json!({"login": "somebody", "name": hidden, "role": "viewer"})),
        ("/api/v1/alert".into(), json!({"name": hidden, "condition": {"type": "disabled"}})),
        ("/api/v1/auth/app-portal-access/made".into(), json!({"application": {"name": hidden}})),
        (t.path("/msg"), json!({"eventType": "a.b", "payload": 1, "application": {"name": hidden}})),
    ] {
        refused(&t.api.post(&path, &body.to_string()).await, "name");
    }
    refused(&t.api.post("/api/v1/user", &json!({"login": hidden, "role": "viewer"}).to_string()).await, "login");
    refused(&t.api.patch(&t.path(""), &json!({"name": hidden}).to_string()).await, "name");
    t.api.patch(&t.path(""), &json!({"name": "דוגמה مثال 例え"}).to_string()).await.expect(200);
}

#[tokio::test]
async fn bodies_of_which_all_may_be_left_out_may_be_left_out() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({})).await;
    let kind = [("content-type", "application/json")];
    for (path, status) in [
        (format!("/api/v1/auth/app-portal-access/{}", t.app), 200),
        (format!("/api/v1/auth/app/{}/expire-all", t.app), 204),
        (t.path(&format!("/endpoint/{endpoint}/secret/rotate")), 200),
        (t.path(&format!("/endpoint/{endpoint}/preview")), 200),
        ("/api/v1/key".into(), 201),
        ("/api/v1/session".into(), 201),
    ] {
        for headers in [&kind[..], &[]] {
            let answer = t.api.send("POST", &path, headers, "").await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
    }
}
