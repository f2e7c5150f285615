//! AllFly Connect, from the top of its document to the bottom.

use crate::{
    fixture::{Site, seconds},
    support::eventually,
};
use serde_json::{Value, json};

const HOOKS: &str = "/api/connect/v1/webhooks";
const JOINED: &str = "event_attendee.joined_event";
const TICKET: &str = "event_attendee.ticket_success";

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_else(|| panic!("no {field} in {object}"))
}

/// Creates a webhook; its id and its secret.
async fn create(site: &Site, body: Value) -> (String, String) {
    let made = site.api.post(HOOKS, &body.to_string()).await.expect(201);
    let id = text(&made, "id").to_owned();
    let secret = site.api.get(&format!("{HOOKS}/{id}/secret")).await.expect(200);
    (id, text(&secret, "key").to_owned())
}

#[tokio::test]
async fn a_webhook_is_created_read_changed_and_deleted() {
    let site = Site::start().await;
    let body = json!({
        "url": "https://example.com/webhooks/allfly", "description": "Production event hook", "enabled": true,
        "event_subscriptions": [JOINED, TICKET], "headers": {"X-Environment": "production"},
    });
    let made = site.api.post(HOOKS, &body.to_string()).await.expect(201);
    let path = format!("{HOOKS}/{}", text(&made, "id"));
    for (field, value) in body.as_object().unwrap() {
        match field.as_str() {
            "headers" => assert_eq!(made["headers"], json!({"x-environment": "production"})),
            _ => assert_eq!(&made[field], value, "{field}"),
        }
    }
    assert!(seconds(&made["created_at"]).is_some() && !made.to_string().contains("whsec_"));
    assert_eq!(site.api.get(&path).await.expect(200), made);
    assert_eq!(site.api.get(HOOKS).await.expect(200), json!([made]));

    let changed = site.api.put(&path, r#"{"description": "Staging"}"#).await.expect(200);
    for field in ["url", "enabled", "event_subscriptions", "headers", "id", "created_at"] {
        assert_eq!(changed[field], made[field], "an omitted field is unchanged: {field}");
    }
    assert_eq!(changed["description"], "Staging");
    let all = json!({"url": "https://example.com/new", "enabled": false, "event_subscriptions": [TICKET], "headers": {"X-A": "b"}});
    let changed = site.api.put(&path, &all.to_string()).await.expect(200);
    assert_eq!((&changed["url"], &changed["enabled"]), (&json!("https://example.com/new"), &json!(false)));
    assert_eq!((&changed["event_subscriptions"], &changed["headers"]), (&json!([TICKET]), &json!({"x-a": "b"})));
    assert_eq!(site.api.get(&path).await.expect(200), changed);

    assert_eq!(site.api.delete(&path).await.status, 204);
    for (method, path) in
        [("GET", path.clone()), ("PUT", path.clone()), ("DELETE", path.clone()), ("GET", format!("{path}/secret"))]
    {
        let refused = site.api.send(method, &path, &[], if method == "PUT" { "{}" } else { "" }).await.expect(404);
        assert_eq!(refused["error"]["code"], "not_found");
    }
    assert_eq!(site.api.get(HOOKS).await.expect(200), json!([]));
}

#[tokio::test]
async fn a_webhook_is_disabled_until_somebody_enables_it() {
    let site = Site::start().await;
    let receiver = site.example("connect/receiver.py", &[]);
    let (id, secret) = create(&site, json!({"url": receiver.url("/hook"), "event_subscriptions": [JOINED]})).await;
    receiver.trust(&secret);
    let path = format!("{HOOKS}/{id}");
    assert_eq!(site.api.get(&path).await.expect(200)["enabled"], false);
    let message = site.send("default", JOINED, &json!({"attendee_id": "early"})).await;
    let listed = site.api.get(&format!("/api/v1/app/default/msg/{message}/endpoint")).await.expect(200);
    assert!(!listed.to_string().contains("\"success\""), "{listed}");
    assert!(receiver.heard().is_empty(), "it is not enabled");
    site.api.put(&path, r#"{"enabled": true}"#).await.expect(200);
    site.send("default", JOINED, &json!({"attendee_id": "late"})).await;
    let heard = receiver.wait(1).await;
    assert!(heard.iter().all(|event| event["verdict"] == "accepted"));
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_by_name() {
    let site = Site::start().await;
    let with = |more: Value| {
        let mut body = json!({"url": "https://example.com/hook", "event_subscriptions": [JOINED]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let bad = [
        (with(json!({"url": "http://example.com/hook"})), "url", "https"),
        (json!({"event_subscriptions": [JOINED]}), "url", "missing"),
        (json!({"url": "https://example.com/hook"}), "event_subscriptions", "missing"),
        (with(json!({"event_subscriptions": []})), "event_subscriptions", "At least one"),
        (with(json!({"event_subscriptions": ["event_attendee.left"]})), "event_subscriptions", "event_attendee.left"),
        (with(json!({"enabled": "yes"})), "enabled", "boolean"),
        (with(json!({"headers": {"Svix-Id": "forged"}})), "headers.Svix-Id", "cannot be custom"),
        (with(json!({"headers": {"svix-signature": "forged"}})), "headers", "svix-signature"),
        (with(json!({"headers": {"Connection": "close"}})), "headers", "connection"),
        (with(json!({"headers": {"Transfer-Encoding": "chunked"}})), "headers", "connection"),
        (with(json!({"headers": {"X-A": "b\nc"}})), "headers.X-A", "visible ASCII"),
        (with(json!({"colour": "red"})), "colour", "unknown"),
    ];
    for (body, field, word) in bad {
        let refused = site.api.post(HOOKS, &body.to_string()).await.expect(400);
        let message = text(&refused["error"], "message");
        assert!(message.contains(field) && refused["error"].to_string().contains(word), "{body}: {refused}");
    }
    assert_eq!(site.api.get(HOOKS).await.expect(200), json!([]));
    let (id, _) = create(&site, with(json!({}))).await;
    for (body, field) in [
        (json!({"url": "http://example.com"}), "url"),
        (json!({"event_subscriptions": []}), "event_subscriptions"),
        (json!({"event_subscriptions": null}), "event_subscriptions"),
        (json!({"enabled": null}), "enabled"),
    ] {
        let refused = site.api.put(&format!("{HOOKS}/{id}"), &body.to_string()).await.expect(400);
        assert!(text(&refused["error"], "message").contains(field), "{refused}");
    }
    let refused = site.api.anonymous().get(HOOKS).await.expect(401);
    assert_eq!(refused["error"]["code"], "authentication_failed");
}

#[tokio::test]
async fn an_event_is_delivered_as_documented() {
    let site = Site::start().await;
    for example in ["connect/receiver.py", "connect/receiver.mjs"] {
        let receiver = site.example(example, &[]);
        let body = json!({
            "url": receiver.url("/hook"), "event_subscriptions": [JOINED], "enabled": true,
            "headers": {"X-Environment": "production"},
        });
        let (id, secret) = create(&site, body).await;
        receiver.trust(&secret);
        let payload = json!({"event_id": "evt_77", "attendee_id": example});
        let message = site.send("default", JOINED, &payload).await;
        site.send("default", TICKET, &json!({"attendee_id": "not subscribed"})).await;
        let heard = receiver.wait(1).await;
        let event = &heard[0];
        assert_eq!((&event["status"], &event["verdict"]), (&json!(200), &json!("accepted")), "{event}");
        assert_eq!(event["event"], payload, "the body is the payload");
        assert_eq!(event["headers"]["svix-id"], message);
        assert_eq!(event["headers"]["x-environment"], "production");
        assert!(text(&event["headers"], "svix-signature").starts_with("v1,"));
        assert!(event["headers"].get("webhook-id").is_none());
        site.api.delete(&format!("{HOOKS}/{id}")).await.expect(204);
    }
}

#[tokio::test]
async fn anything_but_2xx_is_retried_with_the_same_id() {
    let site = Site::start().await;
    let receiver = site.example("connect/receiver.mjs", &["--answer", "500,404,302,200"]);
    let body = json!({"url": receiver.url("/hook"), "event_subscriptions": [JOINED], "enabled": true});
    let (_, secret) = create(&site, body).await;
    receiver.trust(&secret);
    let message = site.send("default", JOINED, &json!({"attendee_id": "a"})).await;
    let heard = receiver.wait(4).await;
    assert_eq!(heard.iter().map(|event| event["status"].clone()).collect::<Vec<_>>(), [500, 404, 302, 200].map(|s| json!(s)));
    assert!(heard.iter().all(|event| event["headers"]["svix-id"] == message), "one id for all attempts");
}

#[tokio::test]
async fn the_secret_can_be_read_again_and_rotates_with_a_day_of_overlap() {
    let site = Site::start().await;
    let (old, new) = (site.example("connect/receiver.py", &[]), site.example("connect/receiver.mjs", &[]));
    let mut first = Vec::new();
    for receiver in [&old, &new] {
        let body = json!({"url": receiver.url("/hook"), "event_subscriptions": [JOINED], "enabled": true});
        let (id, secret) = create(&site, body).await;
        assert!(secret.starts_with("whsec_"));
        let path = format!("{HOOKS}/{id}/secret");
        assert_eq!(site.api.get(&path).await.expect(200), json!({"key": secret}), "it can be read again");
        receiver.trust(&secret);
        first.push((path, secret));
    }
    for (path, secret) in &first {
        let rotated = site.api.post(&format!("{path}/rotate"), "").await.expect(200);
        assert_ne!(text(&rotated, "key"), secret);
        assert_eq!(site.api.get(path).await.expect(200), rotated);
    }
    let current = site.api.get(&first[1].0).await.expect(200);
    new.trust(text(&current, "key"));
    site.send("default", JOINED, &json!({"attendee_id": "a"})).await;
    for receiver in [&old, &new] {
        let heard = receiver.wait(1).await;
        assert_eq!(heard[0]["verdict"], "accepted", "the old secret and the new one both verify");
        let signatures = text(&heard[0]["headers"], "svix-signature");
        assert_eq!(signatures.split(' ').count(), 2, "deliveries carry both signatures: {signatures}");
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_within_15_seconds_has_failed() {
    let site = Site::start().await;
    let receiver = site.example("connect/receiver.mjs", &["--answer", "0,200"]);
    let (id, secret) = create(&site, json!({"url": receiver.url("/hook"), "event_subscriptions": [JOINED], "enabled": true})).await;
    receiver.trust(&secret);
    let message = site.send("default", JOINED, &json!({"attendee_id": "a"})).await;
    let path = format!("/api/v1/app/default/attempt/endpoint/{id}?msg_id={message}");
    let attempts = eventually("it is tried again", || async {
        let listed = site.api.get(&path).await.expect(200)["data"].as_array().unwrap().clone();
        Some(listed).filter(|all| all.len() == 2)
    })
    .await;
    let first = &attempts[1];
    assert_eq!((&first["statusText"], &attempts[0]["statusText"]), (&json!("fail"), &json!("success")));
    let took = first["responseDurationMs"].as_u64().unwrap();
    assert!((14_900..17_000).contains(&took), "{took} ms");
}

#[tokio::test]
async fn retries_back_off_over_about_a_day() {
    // So much faster that the day takes some seconds.
    const FASTER: i64 = 10_000;
    let site = Site::start_with(&[("RETRY_SPEED", &FASTER.to_string())]).await;
    let receiver = site.example("connect/receiver.py", &["--answer", "503"]);
    let (id, secret) = create(&site, json!({"url": receiver.url("/hook"), "event_subscriptions": [JOINED], "enabled": true})).await;
    receiver.trust(&secret);
    let message = site.send("default", JOINED, &json!({"attendee_id": "a"})).await;
    eventually("every attempt is made", || async {
        let listed = site.api.get(&format!("/api/v1/app/default/msg/{message}/endpoint")).await.expect(200);
        listed["data"].as_array().unwrap().iter().find(|row| row["statusText"] == "fail").cloned()
    })
    .await;
    let path = format!("/api/v1/app/default/attempt/endpoint/{id}?limit=100");
    let listed = site.api.get(&path).await.expect(200);
    let at = |row: &Value| text(row, "timestamp").parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let times: Vec<i64> = listed["data"].as_array().unwrap().iter().rev().map(at).collect();
    let hours = (times[times.len() - 1] - times[0]) * FASTER / 3_600_000;
    assert!((18..=30).contains(&hours), "{hours} h in {} attempts", times.len());
    let gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let last = gaps.len() - 1;
    assert!(gaps[last] > 2 * gaps[last - 2] && gaps[last - 1] > 2 * gaps[last - 3], "exponential: {gaps:?}");
}

#[tokio::test]
async fn only_its_own_webhooks_are_shown() {
    let site = Site::start().await;
    create(&site, json!({"url": "https://example.com/hook", "event_subscriptions": [JOINED]})).await;
    let other = site.api.post("/api/v1/app/default/endpoint", r#"{"url": "https://example.com/own"}"#).await.expect(201);
    assert_eq!(site.api.get(HOOKS).await.expect(200).as_array().unwrap().len(), 1);
    site.api.get(&format!("{HOOKS}/{}", text(&other, "id"))).await.expect(404);
    site.api.delete(&format!("{HOOKS}/{}", text(&other, "id"))).await.expect(404);
}
