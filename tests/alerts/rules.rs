//! Rules: what each finds, what they refuse, and what is about whom.

use crate::{
    support::{Reply, eventually},
    tenant::{Tenant, text},
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_failure_rate_is_of_the_attempts_in_its_window() {
    let t = Tenant::start().await;
    let rule = t.rule(json!({"type": "failureRate", "percent": 50, "windowSeconds": 600, "minimumAttempts": 6}), json!({})).await;
    t.receiver.script("/half", [200, 503, 503, 200, 503, 200].map(Reply::status));
    let endpoint = t.endpoint("/half", json!({})).await;
    t.receiver.script("/few", [Reply::status(503)]);
    t.endpoint("/few", json!({"channels": ["few"]})).await;
    for _ in 0..6 {
        let before = t.receiver.at("/half").len();
        t.send().await;
        eventually("it came", || async { (t.receiver.at("/half").len() > before).then_some(()) }).await;
    }
    let found = t.holding(&rule, 1).await;
    assert_eq!(found["incidents"][0]["endpointId"], *endpoint);
    assert_eq!(found["incidents"][0]["finding"], "3 of its last 6 attempts failed.");
}

#[tokio::test]
async fn what_a_disabled_endpoint_holds_and_that_it_was_disabled_are_told() {
    let t = Tenant::start_with(&["--disable-after=1s"]).await;
    let held = t.rule(json!({"type": "held", "count": 2}), json!({"name": "Held"})).await;
    let disabled = t.rule(json!({"type": "disabled"}), json!({"name": "Disabled"})).await;
    t.receiver.script("/down", [Reply::status(500)]);
    let endpoint = t.endpoint("/down", json!({"retryPolicy": vec![1; 20]})).await;
    let own = t.endpoint("/own", json!({"disabled": true})).await;
    t.send().await;
    let found = t.holding(&disabled, 1).await;
    assert_eq!(found["incidents"][0]["endpointId"], *endpoint, "not the one that its owner has disabled");
    assert_eq!(t.look(&held).await["holding"], 0);
    t.send().await;
    let found = t.holding(&held, 2).await;
    let ids: Vec<_> = found["incidents"].as_array().unwrap().iter().map(|incident| text(incident, "endpointId")).collect();
    assert!(ids.contains(&endpoint) && ids.contains(&own), "{ids:?}");
    t.receiver.script("/down", [Reply::status(200)]);
    for endpoint in [&endpoint, &own] {
        let path = format!("/api/v1/app/{}/endpoint/{endpoint}", t.app);
        t.api.patch(&path, r#"{"disabled": false}"#).await.expect(200);
    }
    t.holding(&held, 0).await;
    t.holding(&disabled, 0).await;
    let subjects: Vec<String> = eventually("letters of the end", || async {
        let all: Vec<String> = t.mail.caught().iter().map(|letter| letter.header("subject")).collect();
        Some(all).filter(|all| all.iter().filter(|subject| subject.contains("over for")).count() >= 2)
    })
    .await;
    assert!(subjects.contains(&"[Postrider] Disabled: over for 1 endpoint".into()), "{subjects:?}");
}

#[tokio::test]
async fn an_endpoint_that_will_be_disabled_is_told_of_before() {
    let t = Tenant::start_with(&["--disable-after=1h"]).await;
    let soon = t.rule(json!({"type": "disableSoon"}), json!({})).await;
    let later = t.rule(json!({"type": "disableSoon", "seconds": 60}), json!({})).await;
    let lasting = t.rule(json!({"type": "failing", "seconds": 3600}), json!({})).await;
    t.broken("/down").await;
    t.send().await;
    let found = t.holding(&soon, 1).await;
    assert!(text(&found["incidents"][0], "finding").starts_with("It will be disabled at "), "{found}");
    for rule in [&later, &lasting] {
        assert_eq!(t.look(rule).await["holding"], 0);
    }
}

#[tokio::test]
async fn a_rule_is_about_its_application_or_endpoint_alone_and_silent_when_muted() {
    let t = Tenant::start().await;
    let other = text(&t.api.post("/api/v1/app", r#"{"name": "Other", "uid": "other"}"#).await.expect(201), "id");
    let (one, _two) = (t.broken("/one").await, t.broken("/two").await);
    let failing = json!({"type": "failing"});
    let all = t.rule(failing.clone(), json!({"emails": [], "operational": true})).await;
    let app = t.rule(failing.clone(), json!({"appId": t.app})).await;
    let elsewhere = t.rule(failing.clone(), json!({"appId": "other"})).await;
    let single = t.rule(failing.clone(), json!({"appId": t.app, "endpointId": one})).await;
    let muted = t.rule(failing.clone(), json!({"muted": true})).await;
    t.send().await;
    t.holding(&all, 2).await;
    t.holding(&app, 2).await;
    assert_eq!(t.holding(&single, 1).await["incidents"][0]["endpointId"], *one);
    for silent in [&elsewhere, &muted] {
        assert_eq!(t.look(silent).await["holding"], 0);
    }
    assert_eq!(t.look(&elsewhere).await["appId"], *other);
    let notice = eventually("a notice", || async {
        t.notices(&all).await.into_iter().next().filter(|n| n["operational"]["state"] == "failed")
    })
    .await;
    assert_eq!(notice["operational"]["error"], "There is no operational webhook endpoint.");

    let body = json!({"name": "Awake", "condition": failing, "emails": ["ann@example.com"], "muted": false}).to_string();
    let changed = t.api.put(&format!("/api/v1/alert/{muted}"), &body).await.expect(200);
    assert_eq!(
        (changed["name"].as_str(), &changed["muted"], &changed["cooldownSeconds"]),
        (Some("Awake"), &json!(false), &json!(300))
    );
    t.holding(&muted, 2).await;
    // Deleting an endpoint ends what was found of it.
    assert_eq!(t.api.delete(&format!("/api/v1/app/{}/endpoint/{one}", t.app)).await.status, 204);
    t.holding(&single, 0).await;
    let over = eventually("its end", || async { t.notices(&single).await.into_iter().find(|n| n["ended"] == 1) }).await;
    assert_eq!(over["endpoints"][0]["ended"], "gone");
}

#[tokio::test]
async fn rules_are_made_listed_changed_and_deleted_and_leave_a_trace() {
    let t = Tenant::start().await;
    let rule = t.rule(json!({"type": "held", "count": 10}), json!({})).await;
    let listed = t.api.get("/api/v1/alert").await.expect(200);
    assert_eq!((listed["data"].as_array().unwrap().len(), listed["data"][0]["id"].as_str()), (1, Some(&*rule)));
    assert_eq!(listed["data"][0]["condition"], json!({"type": "held", "count": 10}));
    let audit = t.api.get("/api/v1/audit").await.expect(200);
    assert!(
        audit["data"].as_array().unwrap().iter().any(|entry| entry["what"] == "alert" && entry["action"] == "created"),
        "{audit}"
    );
    let tested = t.api.post(&format!("/api/v1/alert/{rule}/test"), "").await.expect(200);
    assert_eq!(tested["emails"][0]["state"], "sent", "{tested}");
    assert_eq!(t.mail.wait(1).await[0].header("subject"), "[Postrider] Watch: a test");
    assert_eq!(t.api.delete(&format!("/api/v1/alert/{rule}")).await.status, 204);
    for path in [format!("/api/v1/alert/{rule}"), format!("/api/v1/alert/{rule}/notice")] {
        assert_eq!(t.api.get(&path).await.status, 404);
    }
}

#[tokio::test]
async fn what_is_no_rule_is_refused_by_its_place() {
    let t = Tenant::start().await;
    let good = json!({"name": "x", "condition": {"type": "failing"}, "emails": ["ann@example.com"]});
    let long = "x".repeat(101);
    let refusals: [(&str, Value, &str); 19] = [
        ("name", json!(""), "name"),
        ("name", json!(long), "name"),
        ("name", json!("a\u{0}b"), "name"),
        ("emails", json!(["ann@example.com\r\nBcc: evil@example.com"]), "emails.0"),
        ("emails", json!(["Ann <ann@example.com>"]), "emails.0"),
        ("emails", json!(["a@b.c", "a@b.c"]), "emails.1"),
        ("emails", json!((0..21).map(|n| format!("a{n}@b.c")).collect::<Vec<_>>()), "emails"),
        ("cooldownSeconds", json!(0), "cooldownSeconds"),
        ("endpointId", json!("x"), "appId"),
        ("condition", json!({"type": "nothing"}), "condition"),
        ("condition", json!({"type": "failureRate", "percent": 0, "windowSeconds": 60}), "condition.percent"),
        ("condition", json!({"type": "failureRate", "percent": 10, "windowSeconds": 59}), "condition.windowSeconds"),
        (
            "condition",
            json!({"type": "failureRate", "percent": 10, "windowSeconds": 60, "minimumAttempts": 0}),
            "condition.minimumAttempts",
        ),
        ("condition", json!({"type": "held", "count": 0}), "condition.count"),
        ("condition", json!({"type": "held", "count": 4_294_967_296_u64}), "condition.count"),
        ("name", json!("one\u{202e}owt"), "name"),
        ("name", json!("one\u{7}"), "name"),
        ("condition", json!({"type": "oldestAge", "seconds": 59}), "condition.seconds"),
        ("condition", json!({"type": "disableSoon", "seconds": 0}), "condition.seconds"),
    ];
    for (field, value, place) in refusals {
        let mut body = good.clone();
        body[field] = value;
        let refused = t.api.post("/api/v1/alert", &body.to_string()).await.expect(422);
        let places: Vec<String> = refused["detail"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| {
                let parts: Vec<&str> = fault["loc"].as_array().unwrap().iter().skip(1).map(|part| part.as_str().unwrap()).collect();
                parts.join(".")
            })
            .collect();
        assert!(places.iter().any(|found| found == place || found.starts_with(place)), "{field}: {refused}");
    }
    let nobody = json!({"name": "x", "condition": {"type": "failing"}, "operational": false}).to_string();
    assert_eq!(t.api.post("/api/v1/alert", &nobody).await.status, 422);
    let unknown = json!({"name": "x", "condition": {"type": "failing"}, "appId": "nowhere"}).to_string();
    assert_eq!(t.api.post("/api/v1/alert", &unknown).await.status, 404);
    assert!(t.api.get("/api/v1/alert").await.expect(200)["data"].as_array().unwrap().is_empty());
}
