//! Alumia, from the top of its document to the bottom.

use crate::{
    fixture::{Site, is_uuid, seconds},
    support::{Answer, Api, eventually},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

const HOOKS: &str = "/api/v1/webhooks";

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_else(|| panic!("no {field} in {object}"))
}

/// Creates a webhook; what that answered.
async fn create(site: &Site, body: Value) -> Value {
    site.api.post(HOOKS, &body.to_string()).await.expect(201)
}

fn path(webhook: &Value, rest: &str) -> String {
    format!("{HOOKS}/{}{rest}", text(webhook, "id"))
}

/// The signature of a body, as the document has third parties make it.
fn sign(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// A third party posts a body with a signature, to the URL that the webhook shows.
async fn post(site: &Site, webhook: &Value, body: &str, signature: &str) -> Answer {
    let url = text(webhook, "receiveUrl");
    let path = url.strip_prefix(&site.server.url()).unwrap_or_else(|| panic!("{url} is not of the origin of the request"));
    site.api.anonymous().send("POST", path, &[("x-webhook-signature", signature)], body).await
}

/// A third party posts a signed event.
async fn event(site: &Site, webhook: &Value, body: &Value) -> Answer {
    let body = body.to_string();
    post(site, webhook, &body, &sign(text(webhook, "secret"), &body)).await
}

async fn list(api: &Api, path: &str) -> Vec<Value> {
    api.get(path).await.expect(200).as_array().unwrap().clone()
}

#[tokio::test]
async fn webhooks_are_listed_the_newest_first() {
    let site = Site::start().await;
    assert_eq!(site.api.get(HOOKS).await.expect(200), json!([]));
    let first = create(&site, json!({"name": "First"})).await;
    let second = create(&site, json!({"name": "Second", "source": "stripe", "description": "Payments", "events": ["a.b"]})).await;
    let listed = list(&site.api, HOOKS).await;
    assert_eq!(listed.iter().map(|hook| text(hook, "name")).collect::<Vec<_>>(), ["Second", "First"]);
    let mut fields: Vec<_> = listed[1].as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut expected = vec![
        "id",
        "name",
        "url",
        "source",
        "description",
        "events",
        "status",
        "enabled",
        "deliveryCount",
        "lastDeliveryAt",
        "createdAt",
        "updatedAt",
        "receiveUrl",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected, "the item is as documented; the secret is never shown again");
    let hook = &listed[1];
    assert!(is_uuid(text(hook, "id")) && hook["id"] == first["id"]);
    let url = format!("{}/api/v1/webhooks/receive/{}", site.server.url(), text(hook, "id"));
    assert_eq!((text(hook, "receiveUrl"), text(hook, "url")), (url.as_str(), url.as_str()));
    assert_eq!((&hook["source"], &hook["description"], &hook["events"]), (&json!("custom"), &json!(null), &json!([])));
    assert_eq!((&hook["status"], &hook["enabled"]), (&json!("active"), &json!(true)));
    assert_eq!((&hook["deliveryCount"], &hook["lastDeliveryAt"]), (&json!(0), &json!(null)));
    assert!(seconds(&hook["createdAt"]).is_some() && seconds(&hook["updatedAt"]).is_some());
    assert_eq!(site.api.get(&path(&second, "")).await.expect(200), listed[0], "one is shown as the list shows it");
    assert_eq!((&listed[0]["source"], &listed[0]["description"]), (&json!("stripe"), &json!("Payments")));
}

#[tokio::test]
async fn the_receive_url_is_of_the_request_s_origin() {
    let site = Site::start().await;
    let forged = [("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https"), ("forwarded", "host=evil.example")];
    let made = site.api.send("POST", HOOKS, &forged, r#"{"name": "x"}"#).await.expect(201);
    assert!(text(&made, "receiveUrl").starts_with(&site.server.url()), "nobody here is a trusted proxy: {made}");
    let site = Site::start_with(&[("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let told = [("x-forwarded-host", "hooks.example"), ("x-forwarded-proto", "https")];
    let made = site.api.send("POST", HOOKS, &told, r#"{"name": "x"}"#).await.expect(201);
    assert!(text(&made, "receiveUrl").starts_with("https://hooks.example/api/v1/webhooks/receive/"), "{made}");
}

#[tokio::test]
async fn a_webhook_is_created_with_its_secret_once() {
    let site = Site::start().await;
    let made =
        create(&site, json!({"name": "Stripe events", "events": [" Payment_Intent.Succeeded", "payment_intent.succeeded ", "a"]}))
            .await;
    assert!(text(&made, "secret").starts_with("whsec_"));
    assert_eq!(made["events"], json!(["payment_intent.succeeded", "a"]), "normalised: trimmed, lower case, each once");
    let shown = format!("{}{}", site.api.get(&path(&made, "")).await.text(), site.api.get(HOOKS).await.text());
    assert!(!shown.contains(text(&made, "secret")));
    let name = |length: usize| json!({"name": "é".repeat(length)});
    for good in [name(1), name(120), json!({"name": "x", "url": null}), json!({"name": "x", "url": ""})] {
        let made = create(&site, good).await;
        assert_eq!(made["url"], made["receiveUrl"]);
    }
    for (bad, field) in [
        (json!({}), "name"),
        (name(0), "name"),
        (name(121), "name"),
        (json!({"name": 1}), "name"),
        (json!({"name": "x", "source": "s".repeat(101)}), "source"),
        (json!({"name": "x", "description": "d".repeat(2001)}), "description"),
        (json!({"name": "x", "url": "ftp://example.com"}), "url"),
        (json!({"name": "x", "url": "nonsense"}), "url"),
        (json!({"name": "x", "url": "http://10.0.0.1/hook"}), "url"),
        (json!({"name": "x", "url": "http://169.254.169.254/latest/meta-data"}), "url"),
        (json!({"name": "x", "url": "https://[::1]/hook"}), "url"),
        (json!({"name": "x", "url": "http://0x0a000001/"}), "url"),
        (json!({"name": "x", "events": "all"}), "events"),
        (json!({"name": "x", "secret": "mine"}), "secret"),
    ] {
        let refused = site.api.post(HOOKS, &bad.to_string()).await.expect(400);
        assert_eq!(text(&refused["error"], "code"), "BAD_REQUEST", "{refused}");
        assert!(text(&refused["error"], "message").contains(field), "{bad}: {refused}");
        assert_eq!(refused["error"].as_object().unwrap().len(), 2, "the form is {{code, message}}: {refused}");
    }
}

#[tokio::test]
async fn errors_have_the_documented_codes() {
    let site = Site::start().await;
    let made = create(&site, json!({"name": "x"})).await;
    let id = text(&made, "id");
    let nobody = site.api.anonymous();
    for (method, path) in management(id) {
        let body = if method == "GET" || method == "DELETE" { "" } else { "{}" };
        let refused = nobody.send(method, &path, &[], body).await.expect(401);
        assert_eq!(text(&refused["error"], "code"), "UNAUTHORIZED", "{method} {path}");
    }
    for id in ["00000000-0000-7000-8000-000000000000", "nonsense"] {
        let refused = site.api.get(&format!("{HOOKS}/{id}")).await.expect(404);
        assert_eq!(text(&refused["error"], "code"), "NOT_FOUND");
    }
    let refused = site.api.patch(&path(&made, ""), r#"{"status": "asleep"}"#).await.expect(400);
    assert_eq!(text(&refused["error"], "code"), "BAD_REQUEST");
    assert!(text(&refused["error"], "message").contains("status"));
}

/// Every management route of the document's table.
pub(crate) fn management(id: &str) -> Vec<(&'static str, String)> {
    vec![
        ("GET", HOOKS.to_owned()),
        ("POST", HOOKS.to_owned()),
        ("GET", format!("{HOOKS}/{id}")),
        ("PATCH", format!("{HOOKS}/{id}")),
        ("DELETE", format!("{HOOKS}/{id}")),
        ("POST", format!("{HOOKS}/{id}/rotate")),
        ("GET", format!("{HOOKS}/{id}/events")),
        ("GET", format!("{HOOKS}/{id}/deliveries")),
        ("GET", format!("{HOOKS}/events")),
        ("POST", format!("{HOOKS}/test")),
        ("POST", format!("{HOOKS}/verify")),
    ]
}

#[tokio::test]
async fn any_subset_of_the_fields_is_changed() {
    let site = Site::start().await;
    let made = create(&site, json!({"name": "Old", "description": "d", "events": ["a"], "source": "s"})).await;
    let hook = path(&made, "");
    let changed = site.api.patch(&hook, r#"{"name": "New"}"#).await.expect(200);
    for field in ["id", "url", "source", "description", "events", "status", "enabled", "createdAt", "receiveUrl"] {
        assert_eq!(changed[field], made[field], "{field}");
    }
    assert_eq!(changed["name"], "New");
    let patch = json!({"url": "https://example.com/out", "source": "github", "description": null, "events": ["B", "b"]});
    let changed = site.api.patch(&hook, &patch.to_string()).await.expect(200);
    assert_eq!((&changed["url"], &changed["source"]), (&json!("https://example.com/out"), &json!("github")));
    assert_eq!((&changed["description"], &changed["events"]), (&json!(null), &json!(["b"])));
    for reset in [json!({"url": null}), json!({"url": ""})] {
        site.api.patch(&hook, r#"{"url": "https://example.com/again"}"#).await.expect(200);
        let changed = site.api.patch(&hook, &reset.to_string()).await.expect(200);
        assert_eq!(changed["url"], changed["receiveUrl"], "{reset} resets it to the receive URL");
    }
    for (patch, status, enabled) in [
        (json!({"status": "paused"}), "paused", false),
        (json!({"enabled": false}), "paused", false),
        (json!({"status": "disabled"}), "disabled", false),
        (json!({"status": "active"}), "active", true),
        (json!({"enabled": false}), "disabled", false),
        (json!({"enabled": true}), "active", true),
    ] {
        let changed = site.api.patch(&hook, &patch.to_string()).await.expect(200);
        assert_eq!((text(&changed, "status"), &changed["enabled"]), (status, &json!(enabled)), "{patch}");
    }
    for (patch, field) in [
        (json!({"name": ""}), "name"),
        (json!({"url": "http://192.168.1.1/"}), "url"),
        (json!({"status": "active", "enabled": false}), "enabled"),
        (json!({"deliveryCount": 7}), "deliveryCount"),
    ] {
        let refused = site.api.patch(&hook, &patch.to_string()).await.expect(400);
        assert!(text(&refused["error"], "message").contains(field), "{refused}");
    }
}

#[tokio::test]
async fn a_deleted_webhook_is_gone_for_good() {
    let site = Site::start_with(&[("RETRY_SPEED", "1")]).await;
    let receiver = site.plain_example("alumia/receiver.py", &["--answer", "500"]);
    let made = create(&site, json!({"name": "x", "url": receiver.url("/in")})).await;
    receiver.trust(text(&made, "secret"));
    event(&site, &made, &json!({"type": "a"})).await.expect(200);
    receiver.wait(1).await;
    assert_eq!(site.api.delete(&path(&made, "")).await.expect(200), json!({"deleted": true}));
    site.api.get(&path(&made, "")).await.expect(404);
    site.api.delete(&path(&made, "")).await.expect(404);
    assert_eq!(text(&event(&site, &made, &json!({"type": "a"})).await.expect(404)["error"], "code"), "NOT_FOUND");
    // A witness fails too and is tried again: by then a retry of the first would have come.
    let witness = site.plain_example("alumia/receiver.mjs", &["--answer", "500,200"]);
    let seen = create(&site, json!({"name": "y", "url": witness.url("/in")})).await;
    witness.trust(text(&seen, "secret"));
    event(&site, &seen, &json!({"type": "a"})).await.expect(200);
    witness.wait(2).await;
    assert_eq!(receiver.heard().len(), 1, "nothing is forwarded, not even a retry that was due");
}

#[tokio::test]
async fn a_rotated_secret_stops_verifying_at_once() {
    let site = Site::start().await;
    let receiver = site.plain_example("alumia/receiver.py", &[]);
    let made = create(&site, json!({"name": "x", "url": receiver.url("/in")})).await;
    let rotated = site.api.post(&path(&made, "/rotate"), "").await.expect(200);
    let (old, new) = (text(&made, "secret"), text(&rotated, "secret"));
    assert!(old != new && new.starts_with("whsec_"));
    let body = r#"{"type": "a", "id": "1"}"#;
    assert_eq!(post(&site, &made, body, &sign(old, body)).await.status, 401);
    post(&site, &made, body, &sign(new, body)).await.expect(200);
    receiver.trust(new);
    let shown = site.api.get(&path(&made, "")).await.text();
    assert!(!shown.contains(new), "the new one is shown once");
    let verdict = |signature: String| {
        let asked = json!({"webhookId": text(&made, "id"), "payload": body, "signature": signature});
        let api = site.api.clone();
        async move { api.post(&format!("{HOOKS}/verify"), &asked.to_string()).await.expect(200) }
    };
    assert_eq!(verdict(sign(new, body)).await, json!({"valid": true, "reason": null}));
    assert_eq!(verdict(sign(old, body)).await, json!({"valid": false, "reason": "mismatch"}));
}

#[tokio::test]
async fn what_is_received_is_recorded_routed_and_forwarded() {
    let site = Site::start().await;
    let handler = site.example("connect/receiver.py", &[]);
    site.api.post("/api/v1/event-type", r#"{"name": "invoice.paid", "description": "Paid"}"#).await.expect(201);
    let hook = json!({"url": handler.url("/hook"), "event_subscriptions": ["invoice.paid"], "enabled": true});
    let subscribed = site.api.post("/api/connect/v1/webhooks", &hook.to_string()).await.expect(201);
    let secret = site.api.get(&format!("/api/connect/v1/webhooks/{}/secret", text(&subscribed, "id"))).await.expect(200);
    handler.trust(text(&secret, "key"));
    for (n, example) in ["alumia/receiver.py", "alumia/receiver.mjs"].into_iter().enumerate() {
        let receiver = site.plain_example(example, &[]);
        let made = create(&site, json!({"name": example, "url": receiver.url("/in")})).await;
        receiver.trust(text(&made, "secret"));
        let body = format!(r#"{{"id":"evt_{n}",  "type": "invoice.paid","amount":1.50}}"#);
        let answer = post(&site, &made, &body, &sign(text(&made, "secret"), &body)).await.expect(200);
        assert_eq!((&answer["received"], &answer["status"]), (&json!(true), &json!("accepted")));
        let events = list(&site.api, &path(&made, "/events")).await;
        assert_eq!(events.len(), 1, "durable before the 2xx");
        assert_eq!((&events[0]["id"], &events[0]["type"]), (&answer["eventId"], &json!("invoice.paid")));
        assert_eq!((&events[0]["eventId"], &events[0]["status"]), (&json!(format!("evt_{n}")), &json!("received")));
        assert_eq!((text(&events[0], "webhookId"), text(&events[0], "webhookName")), (text(&made, "id"), example));

        let heard = receiver.wait(1).await;
        assert_eq!((&heard[0]["status"], &heard[0]["verdict"]), (&json!(200), &json!("accepted")), "{heard:?}");
        assert_eq!(heard[0]["body"], body, "the exact bytes that came");
        assert_eq!(handler.wait(n + 1).await[n]["verdict"], "accepted", "the organization's handlers get it too");
        let shown = eventually("the delivery is counted", || async {
            let hook = site.api.get(&path(&made, "")).await.expect(200);
            (hook["deliveryCount"] == 1 && hook["lastDeliveryAt"].is_string()).then_some(hook)
        })
        .await;
        assert!(seconds(&shown["lastDeliveryAt"]).is_some());

        let again = post(&site, &made, &body, &sign(text(&made, "secret"), &body)).await.expect(200);
        assert_eq!(again, json!({"received": true, "status": "duplicate", "eventId": null}), "acknowledged");
        let other = event(&site, &made, &json!({"id": "other", "type": "invoice.sent"})).await.expect(200);
        assert_eq!(other["status"], "accepted");
        let heard = receiver.wait(2).await;
        assert!(heard[1]["body"].as_str().unwrap().contains("invoice.sent"), "the repetition was not forwarded: {heard:?}");
        assert_eq!(list(&site.api, &path(&made, "/events")).await.len(), 2);
    }
    assert_eq!(handler.heard().len(), 2, "handlers get what they subscribe to");
}

#[tokio::test]
async fn without_an_outbound_url_nothing_is_forwarded() {
    let site = Site::start().await;
    let made = create(&site, json!({"name": "x"})).await;
    event(&site, &made, &json!({"type": "a"})).await.expect(200);
    assert_eq!(list(&site.api, &path(&made, "/deliveries")).await, Vec::<Value>::new());
    assert_eq!(list(&site.api, &path(&made, "/events")).await.len(), 1);
    let own = json!({"url": text(&made, "receiveUrl")}).to_string();
    let changed = site.api.patch(&path(&made, ""), &own).await.expect(200);
    assert_eq!(changed["url"], changed["receiveUrl"]);
    event(&site, &made, &json!({"type": "b"})).await.expect(200);
    assert_eq!(list(&site.api, &path(&made, "/events")).await.len(), 2, "and it does not run in a circle");
}

#[tokio::test]
async fn a_webhook_whose_endpoint_was_deleted_forwards_to_nowhere() {
    let site = Site::start().await;
    let made = create(&site, json!({"name": "x", "url": "https://example.com/out"})).await;
    let endpoints = site.api.get("/api/v1/app/default/endpoint").await.expect(200);
    let endpoint = text(&endpoints["data"][0], "id");
    site.api.delete(&format!("/api/v1/app/default/endpoint/{endpoint}")).await.expect(204);
    let shown = list(&site.api, HOOKS).await;
    assert_eq!(shown[0]["url"], shown[0]["receiveUrl"]);
    site.api.post(&path(&made, "/rotate"), "").await.expect(200);
    let changed = site.api.patch(&path(&made, ""), r#"{"url": "https://example.com/again"}"#).await.expect(200);
    assert_eq!(changed["url"], "https://example.com/again");
    assert_eq!(site.api.delete(&path(&made, "")).await.expect(200), json!({"deleted": true}));
}

#[tokio::test]
async fn a_bad_signature_is_a_401_and_recorded_with_its_reason() {
    let site = Site::start().await;
    let made = create(&site, json!({"name": "x"})).await;
    let secret = text(&made, "secret");
    let body = r#"{"type": "a"}"#;
    let good = sign(secret, body);
    let none = site.api.anonymous().post(&format!("{HOOKS}/receive/{}", text(&made, "id")), body).await;
    assert_eq!(text(&none.expect(401)["error"], "code"), "UNAUTHORIZED");
    for bad in
        [sign("whsec_other", body), sign(secret, "{}"), good.replace("sha256=", ""), "sha256=zz".to_owned(), format!("{good}00")]
    {
        let refused = post(&site, &made, body, &bad).await.expect(401);
        assert_eq!(text(&refused["error"], "code"), "UNAUTHORIZED", "{bad}");
        assert!(!refused.to_string().contains(secret));
    }
    let events = list(&site.api, &path(&made, "/events")).await;
    assert_eq!(events.len(), 6);
    assert!(events.iter().all(|event| event["status"] == "rejected"), "{events:?}");
    let reasons: Vec<_> = events.iter().map(|event| text(event, "reason")).collect();
    assert!(reasons.contains(&"mismatch") && reasons.contains(&"missing_header"), "{reasons:?}");
    post(&site, &made, body, &good).await.expect(200);
}

#[tokio::test]
async fn standard_webhooks_and_the_provider_s_own_signature_are_taken_too() {
    let site = Site::start().await;
    let made = create(&site, json!({"name": "GitHub", "source": "github"})).await;
    let secret = text(&made, "secret");
    let receive = format!("{HOOKS}/receive/{}", text(&made, "id"));
    let api = site.api.anonymous();
    let body = r#"{"ref": "main"}"#;
    let github = sign(secret, body);
    let headers = [("x-hub-signature-256", github.as_str()), ("x-github-event", "push"), ("x-github-delivery", "d-1")];
    api.send("POST", &receive, &headers, body).await.expect(200);
    let body = r#"{"type": "made", "id": "m-1"}"#;
    post(&site, &made, body, &sign(secret, body)).await.expect(200);
    let now = jiff::Timestamp::now().as_second();
    let standard = |secret: &str, timestamp: i64| {
        let key = postrider_signature::Key::parse(secret).unwrap();
        postrider_signature::sign(std::iter::once(&key), "msg_1", u64::try_from(timestamp).unwrap(), body.as_bytes())
    };
    let send = |signature: String, timestamp: i64| {
        let (api, receive) = (api.clone(), receive.clone());
        async move {
            let timestamp = timestamp.to_string();
            let headers =
                [("webhook-id", "msg_1"), ("webhook-timestamp", timestamp.as_str()), ("webhook-signature", signature.as_str())];
            api.send("POST", &receive, &headers, body).await
        }
    };
    send(standard(secret, now), now).await.expect(200);
    send(standard(secret, now - 3600), now - 3600).await.expect(401);
    send(standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", now), now).await.expect(401);
    let events = list(&site.api, &path(&made, "/events")).await;
    let types: Vec<_> = events.iter().filter(|event| event["status"] == "received").map(|event| text(event, "type")).collect();
    assert_eq!(types, ["made", "made", "push"]);
    // An unknown source, and one that takes anything unsigned, are no presets.
    for source in ["my-own-system", "custom"] {
        let made = create(&site, json!({"name": source, "source": source})).await;
        let refused = api.post(&format!("{HOOKS}/receive/{}", text(&made, "id")), body).await;
        assert_eq!(refused.status, 401, "{source}");
    }
}

#[tokio::test]
async fn a_paused_webhook_an_unknown_one_and_a_long_body_are_refused() {
    let site = Site::start().await;
    let made = create(&site, json!({"name": "x"})).await;
    for status in ["paused", "disabled"] {
        site.api.patch(&path(&made, ""), &json!({"status": status}).to_string()).await.expect(200);
        let refused = event(&site, &made, &json!({"type": "a"})).await.expect(403);
        assert_eq!(text(&refused["error"], "code"), "FORBIDDEN", "{status}");
    }
    site.api.patch(&path(&made, ""), r#"{"status": "active"}"#).await.expect(200);
    event(&site, &made, &json!({"type": "a"})).await.expect(200);
    let unknown = format!("{HOOKS}/receive/00000000-0000-7000-8000-000000000000");
    assert_eq!(text(&site.api.anonymous().post(&unknown, "{}").await.expect(404)["error"], "code"), "NOT_FOUND");
    let fits = json!({"type": "a", "pad": "x".repeat(256 * 1024 - 21)}).to_string();
    assert_eq!(fits.len(), 256 * 1024);
    post(&site, &made, &fits, &sign(text(&made, "secret"), &fits)).await.expect(200);
    let long = format!("{fits} ");
    let refused = post(&site, &made, &long, &sign(text(&made, "secret"), &long)).await.expect(413);
    assert_eq!(text(&refused["error"], "code"), "PAYLOAD_TOO_LARGE");
    let events = list(&site.api, &path(&made, "/events")).await;
    let reasons: Vec<_> = events.iter().filter_map(|event| event["reason"].as_str()).collect();
    assert_eq!(reasons, ["too_large", "closed", "closed"], "every refusal is recorded");
}

#[tokio::test]
async fn events_off_the_allow_list_are_recorded_and_go_nowhere() {
    let site = Site::start().await;
    let receiver = site.plain_example("alumia/receiver.mjs", &[]);
    let made = create(&site, json!({"name": "x", "url": receiver.url("/in"), "events": ["Order.Paid"]})).await;
    receiver.trust(text(&made, "secret"));
    let ignored = event(&site, &made, &json!({"type": "order.sent", "id": "1"})).await.expect(200);
    assert_eq!(ignored["status"], "ignored");
    event(&site, &made, &json!({"no": "type", "id": "2"})).await.expect(200);
    let taken = event(&site, &made, &json!({"type": "ORDER.PAID", "id": "3"})).await.expect(200);
    assert_eq!(taken["status"], "accepted");
    receiver.wait(1).await;
    let statuses: Vec<_> =
        list(&site.api, &path(&made, "/events")).await.iter().map(|event| text(event, "status").to_owned()).collect();
    assert_eq!(statuses, ["received", "ignored", "ignored"]);
    assert_eq!(receiver.heard().len(), 1);
    eventually("the one delivery is recorded", || async {
        Some(list(&site.api, &path(&made, "/deliveries")).await).filter(|rows| rows.len() == 1)
    })
    .await;
}

#[tokio::test]
async fn deliveries_show_status_retries_and_responses() {
    let site = Site::start().await;
    let receiver = site.plain_example("alumia/receiver.py", &["--answer", "500,200"]);
    let made = create(&site, json!({"name": "x", "url": receiver.url("/in")})).await;
    receiver.trust(text(&made, "secret"));
    let received = event(&site, &made, &json!({"type": "a"})).await.expect(200);
    receiver.wait(2).await;
    let rows = eventually("both attempts are listed", || async {
        Some(list(&site.api, &path(&made, "/deliveries")).await).filter(|rows| rows.len() == 2)
    })
    .await;
    let told: Vec<_> =
        rows.iter().map(|row| (text(row, "status"), row["retryCount"].clone(), row["response"]["status"].clone())).collect();
    assert_eq!(told, [("delivered", json!(1), json!(200)), ("retrying", json!(0), json!(500))]);
    for row in &rows {
        assert_eq!((&row["eventId"], &row["webhookId"]), (&received["eventId"], &made["id"]));
        assert_eq!(text(row, "url"), receiver.url("/in"));
        assert!(seconds(&row["attemptedAt"]).is_some());
    }
    assert!(rows[1]["error"].is_string() && rows[0]["error"].is_null());
    assert_eq!(list(&site.api, &format!("{}?limit=1", path(&made, "/deliveries"))).await.len(), 1);
    site.api.get(&format!("{}?limit=101", path(&made, "/deliveries"))).await.expect(400);
}

#[tokio::test]
async fn recent_events_of_all_webhooks_carry_their_names() {
    let site = Site::start().await;
    assert_eq!(list(&site.api, &format!("{HOOKS}/events")).await, Vec::<Value>::new());
    for name in ["One", "Two"] {
        let made = create(&site, json!({"name": name})).await;
        for n in 0..60 {
            event(&site, &made, &json!({"type": "a", "id": format!("{name}{n}")})).await.expect(200);
        }
    }
    let events = list(&site.api, &format!("{HOOKS}/events")).await;
    assert_eq!(events.len(), 100, "up to 100");
    assert!(events[..60].iter().all(|event| event["webhookName"] == "Two") && events[99]["webhookName"] == "One");
}

#[tokio::test]
async fn a_signed_payload_is_judged_on_its_own() {
    let site = Site::start().await;
    let made = create(&site, json!({"name": "x"})).await;
    let (id, secret) = (text(&made, "id"), text(&made, "secret"));
    let verify = |asked: Value| {
        let api = site.api.clone();
        async move { api.post(&format!("{HOOKS}/verify"), &asked.to_string()).await }
    };
    let body = r#"{"a":  1}"#;
    let good = sign(secret, body);
    let asked = json!({"webhookId": id, "payload": body, "signature": good});
    assert_eq!(verify(asked).await.expect(200), json!({"valid": true, "reason": null}));
    let asked = json!({"webhookId": id, "payload": {"a": 1}, "signature": sign(secret, r#"{"a":1}"#)});
    assert_eq!(verify(asked).await.expect(200)["valid"], true, "JSON counts as it is written");
    for (payload, signature, reason) in
        [("{}", good.as_str(), "mismatch"), (body, "sha256=zz", "malformed"), (body, "sha1=00", "malformed")]
    {
        let told = verify(json!({"webhookId": id, "payload": payload, "signature": signature})).await.expect(200);
        assert_eq!((&told["valid"], text(&told, "reason")), (&json!(false), reason), "{signature}");
    }
    let now = jiff::Timestamp::now().as_second();
    let key = postrider_signature::Key::parse(secret).unwrap();
    let signed = |at: i64| postrider_signature::sign(std::iter::once(&key), "msg_1", u64::try_from(at).unwrap(), body.as_bytes());
    let asked = |at: i64| json!({"webhookId": id, "payload": body, "signature": signed(at), "timestamp": at, "id": "msg_1"});
    assert_eq!(verify(asked(now)).await.expect(200)["valid"], true);
    assert_eq!(verify(asked(now - 3600)).await.expect(200)["valid"], false);
    assert_eq!(list(&site.api, &path(&made, "/events")).await, Vec::<Value>::new(), "nothing is received by it");
    for (bad, field) in
        [(json!({"webhookId": id, "payload": "x"}), "signature"), (json!({"payload": "x", "signature": "y"}), "webhookId")]
    {
        let refused = verify(bad).await.expect(400);
        assert!(text(&refused["error"], "message").contains(field), "{refused}");
    }
    let foreign = json!({"webhookId": "00000000-0000-7000-8000-000000000000", "payload": "x", "signature": "y"});
    verify(foreign).await.expect(404);
}

#[tokio::test]
async fn a_synthetic_event_takes_the_path_of_any_other() {
    let site = Site::start().await;
    let test = format!("{HOOKS}/test");
    site.api.post(&test, "").await.expect(404);
    let receiver = site.plain_example("alumia/receiver.mjs", &[]);
    let made = create(&site, json!({"name": "x", "url": receiver.url("/in")})).await;
    receiver.trust(text(&made, "secret"));
    let told = site.api.post(&test, &json!({"webhookId": made["id"], "type": "order.paid"}).to_string()).await.expect(200);
    assert_eq!((&told["received"], &told["status"], &told["webhookId"]), (&json!(true), &json!("accepted"), &made["id"]));
    assert_eq!(receiver.wait(1).await[0]["verdict"], "accepted", "it is forwarded, signed");
    let events = list(&site.api, &path(&made, "/events")).await;
    assert_eq!((&events[0]["id"], text(&events[0], "type")), (&told["eventId"], "order.paid"));
    assert_eq!(site.api.post(&test, "{}").await.expect(200)["webhookId"], made["id"], "the newest that is active");
    let preset = create(&site, json!({"name": "y", "source": "github", "events": ["push"]})).await;
    let told = site.api.post(&test, &json!({"webhookId": preset["id"]}).to_string()).await.expect(200);
    assert_eq!(told["status"], "accepted", "signed as the provider signs: {told}");
    site.api.patch(&path(&preset, ""), r#"{"enabled": false}"#).await.expect(200);
    let told = site.api.post(&test, &json!({"webhookId": preset["id"]}).to_string()).await.expect(200);
    assert_eq!((&told["received"], &told["status"]), (&json!(false), &json!("rejected")), "{told}");
}

#[tokio::test]
async fn linear_s_receiver_is_built_in() {
    let site = Site::start().await;
    let linear = format!("{HOOKS}/linear");
    site.api.anonymous().post(&linear, "{}").await.expect(404);

    let secret = "lin_wh_a_secret_that_linear_shows";
    let site = Site::start_with(&[("LINEAR_SECRET", secret)]).await;
    let api = site.api.anonymous();
    let send = |body: Value, secret: &str| {
        let body = body.to_string();
        let signature = sign(secret, &body).replace("sha256=", "");
        let (api, linear) = (api.clone(), linear.clone());
        async move { api.send("POST", &linear, &[("linear-signature", signature.as_str())], &body).await }
    };
    let issue = |ago_s: i64| {
        let at = jiff::Timestamp::now().as_millisecond() - ago_s * 1000;
        json!({"action": "create", "type": "Issue", "data": {"id": "i"}, "webhookTimestamp": at})
    };
    assert_eq!(send(issue(0), secret).await.expect(200)["status"], "accepted");
    assert_eq!(send(issue(30), secret).await.expect(200)["status"], "accepted", "within 60 s");
    for refused in [send(issue(90), secret).await, send(issue(0), "another secret of the same kind").await] {
        assert_eq!(text(&refused.expect(401)["error"], "code"), "UNAUTHORIZED");
    }
    api.post(&linear, &issue(0).to_string()).await.expect(401);
    let events = list(&site.api, &format!("{HOOKS}/events")).await;
    let received: Vec<_> = events.iter().filter(|event| event["status"] == "received").collect();
    assert_eq!(received.len(), 2);
    assert_eq!((text(received[0], "webhookName"), text(received[0], "type")), ("Linear", "Issue.create"));
}
