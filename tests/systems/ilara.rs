//! `ilara.md`, from top to bottom.

use crate::{
    example::Example,
    fixture::{SPEED, Site},
    support::{Api, Receiver, Reply, eventually},
};
use serde_json::{Value, json};
use std::{collections::HashSet, time::Duration};

const WEBHOOKS: &str = "/v1/integrations/webhooks";
/// The secret of the document's example.
const SECRET: &str = "whsec_your_signing_secret";

/// A server with the catalogue of the document.
async fn site() -> Site {
    let site = Site::start().await;
    site.seed("ilara");
    site
}

impl Site {
    /// Makes a webhook.
    async fn webhook(&self, url: &str, more: &Value) -> Value {
        let mut body = json!({"name": "Test", "url": url, "events": ["*"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.api.post(WEBHOOKS, &body.to_string()).await.expect(201)
    }

    /// A webhook that sends to an example, under the document's secret.
    async fn webhook_for(&self, example: &Example, more: &Value) -> Value {
        example.trust(SECRET);
        let mut body = json!({"secret": SECRET});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.webhook(&example.url("/webhooks/ilara"), &body).await
    }

    /// Waits until a webhook's log has that many entries.
    async fn tries(&self, webhook: &Value, query: &str, count: usize) -> Vec<Value> {
        let path = format!("{}/logs?{query}", path_of(webhook));
        eventually(&format!("{count} entries of {path}"), || async {
            let page = self.api.get(&path).await.expect(200);
            Some(page["data"].as_array().unwrap().clone()).filter(|log| log.len() >= count)
        })
        .await
    }
}

fn path_of(webhook: &Value) -> String {
    format!("{WEBHOOKS}/{}", webhook["id"].as_str().unwrap())
}

fn without(mut value: Value, field: &str) -> Value {
    value.as_object_mut().unwrap().remove(field);
    value
}

fn purchase(amount: f64, currency: &str) -> Value {
    json!({
        "player_id": "550e8400-e29b-41d4-a716-446655440000", "external_id": "player_123", "event_name": "purchase_complete",
        "properties": {"product_id": "gem_pack_100", "amount": amount, "currency": currency},
    })
}

#[tokio::test]
async fn a_webhook_is_made_as_the_document_says() {
    let site = site().await;
    let made = site
        .api
        .post(
            WEBHOOKS,
            r#"{
        "name": "Purchase Notification",
        "url": "https://your-server.com/webhooks/ilara",
        "events": ["purchase_complete", "subscription_start"],
        "secret": "whsec_your_signing_secret",
        "enabled": true,
        "headers": {"X-Custom-Header": "value"},
        "retry_policy": {"max_retries": 3, "backoff": "exponential"}
    }"#,
        )
        .await
        .expect(201);
    assert!(made["id"].as_str().unwrap().starts_with("whk_"), "{made}");
    let expected = json!({
        "name": "Purchase Notification", "url": "https://your-server.com/webhooks/ilara",
        "events": ["event.purchase_complete", "event.subscription_start"], "enabled": true,
        "headers": {"x-custom-header": "value"}, "retry_policy": {"max_retries": 3, "backoff": "exponential"}, "filters": null,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    assert!(!made.to_string().contains(SECRET), "a secret that is given is not echoed");
    let other = site.webhook("https://your-server.com/other", &json!({})).await;
    assert!(other["secret"].as_str().unwrap().len() >= 16, "one that is made is shown");
    assert_eq!((&other["enabled"], &other["retry_policy"]), (&json!(true), &json!({"max_retries": 4, "backoff": "exponential"})));
    let shown = without(other.clone(), "secret");
    assert_eq!(site.api.get(&path_of(&other)).await.expect(200), shown, "once");
    assert_eq!(site.api.get(WEBHOOKS).await.expect(200), json!({"data": [made, shown]}));
}

#[tokio::test]
async fn a_webhook_is_changed_field_by_field_and_deleted() {
    let site = site().await;
    let filters = json!({"properties.amount": {"gte": 50}});
    let made = site.webhook("https://your-server.com/a", &json!({"filters": filters, "headers": {"X-A": "1"}})).await;
    let (path, made) = (path_of(&made), without(made, "secret"));
    assert_eq!(site.api.patch(&path, "{}").await.expect(200), made, "nothing named, nothing changed");
    for (field, value) in [
        ("name", json!("Another")),
        ("url", json!("https://your-server.com/b")),
        ("events", json!(["player.created", "event.*"])),
        ("enabled", json!(false)),
        ("headers", json!({"x-b": "2"})),
        ("retry_policy", json!({"max_retries": 2, "backoff": "linear"})),
        ("filters", json!({"any": [{"a": {"eq": 1}}, {"b": {"exists": false}}]})),
    ] {
        let before = site.api.get(&path).await.expect(200);
        let after = site.api.patch(&path, &json!({field: value}).to_string()).await.expect(200);
        assert_eq!(after[field], value);
        for (name, kept) in before.as_object().unwrap().iter().filter(|(name, _)| *name != field && *name != "updated_at") {
            assert_eq!(&after[name], kept, "{name} after a change of {field}");
        }
    }
    let cleared = site.api.patch(&path, r#"{"filters": null, "retry_policy": null, "secret": "another secret"}"#).await.expect(200);
    assert_eq!((&cleared["filters"], &cleared["retry_policy"]["max_retries"]), (&Value::Null, &json!(4)));
    assert!(!cleared.to_string().contains("another secret"));
    site.api.delete(&path).await.expect(204);
    for answer in [site.api.get(&path).await, site.api.delete(&path).await, site.api.patch(&path, "{}").await] {
        assert_eq!(answer.expect(404)["error"]["code"], "not_found");
    }
    assert_eq!(site.api.get(WEBHOOKS).await.expect(200), json!({"data": []}));
}

#[tokio::test]
async fn a_key_is_needed() {
    let site = site().await;
    let anonymous = site.api.anonymous();
    for path in [WEBHOOKS, "/v1/integrations/webhooks/ip-ranges", "/v1/integrations/webhooks/whk_x"] {
        assert_eq!(anonymous.get(path).await.expect(401)["error"]["code"], "authentication_failed");
    }
    anonymous.post(WEBHOOKS, "{}").await.expect(401);
}

#[tokio::test]
async fn bad_input_is_refused_by_the_field_s_name() {
    let site = site().await;
    let good = json!({"name": "Test", "url": "https://your-server.com/a", "events": ["*"]});
    for (field, value) in [
        ("name", json!("")),
        ("name", json!(7)),
        ("url", json!("not a url")),
        ("events", json!([])),
        ("events", json!(["player.no_such"])),
        ("events", json!(["a b"])),
        ("secret", json!("short")),
        ("enabled", json!("yes")),
        ("headers", json!({"Host": "example.com"})),
        ("headers", json!({"X-Ilara-Signature": "forged"})),
        ("retry_policy", json!({"max_retries": 51})),
        ("retry_policy", json!({"backoff": "sometimes"})),
        ("filters", json!([])),
        ("filters", json!({"properties.amount": {"in": 5}})),
        ("http_method", json!("GET")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let made = site.api.post(WEBHOOKS, &body.to_string()).await;
        let error = made.expect(400)["error"].clone();
        assert!(error["code"].is_string() && error["message"].as_str().unwrap().contains(field), "{field}: {error}");
    }
    for field in ["name", "url", "events"] {
        let refusal = site.api.post(WEBHOOKS, &without(good.clone(), field).to_string()).await.expect(400);
        assert_eq!(refusal["error"]["field"], field, "{refusal}");
    }
    for body in ["", "{", "[]", "7"] {
        assert!(site.api.post(WEBHOOKS, body).await.expect(400)["error"]["code"].is_string(), "{body}");
    }
    let webhook = site.webhook("https://your-server.com/a", &json!({})).await;
    for (rest, field) in [
        ("/logs?limit=0", "limit"),
        ("/logs?cursor=x", "cursor"),
        ("/logs?status=lost", "status"),
        ("/stats?since=soon", "since"),
        ("/stats?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "until"),
    ] {
        let refusal = site.api.get(&format!("{}{rest}", path_of(&webhook))).await.expect(400);
        assert_eq!(refusal["error"]["field"], field, "{refusal}");
    }
    assert_eq!(site.api.put(WEBHOOKS, "{}").await.expect(405)["error"]["code"], "method_not_allowed");
}

#[tokio::test]
async fn the_documented_events_are_in_the_catalogue() {
    let site = site().await;
    let documented = [
        "player.created",
        "player.updated",
        "player.lifecycle_changed",
        "player.segment_entered",
        "player.segment_exited",
        "event.purchase_complete",
        "event.session_end",
        "flag.evaluated",
        "campaign.triggered",
        "churn.risk_high",
    ];
    let receiver = Receiver::start().await;
    let webhook = site.webhook(&receiver.url("/a"), &json!({"events": documented})).await;
    assert_eq!(webhook["events"], json!(documented));
    for name in documented {
        site.send("default", name, &json!({})).await;
    }
    let took = receiver.wait("/a", documented.len()).await;
    let types: HashSet<_> = took.iter().map(|a| serde_json::from_slice::<Value>(&a.body).unwrap()["type"].to_string()).collect();
    assert_eq!(types.len(), documented.len());
}

#[tokio::test]
async fn event_star_is_every_tracked_event_and_a_bare_name_one_of_them() {
    let site = site().await;
    let receiver = Receiver::start().await;
    for (path, events) in [("/all", json!(["event.*"])), ("/bare", json!(["purchase_complete"])), ("/own", json!(["level_up"]))] {
        site.webhook(&receiver.url(path), &json!({"events": events})).await;
    }
    for name in ["event.purchase_complete", "event.session_end", "event.level_up", "player.created"] {
        site.send("default", name, &json!({})).await;
    }
    receiver.wait("/all", 3).await;
    let types = |path: &str| {
        let types = receiver.at(path).into_iter().map(|a| serde_json::from_slice::<Value>(&a.body).unwrap()["type"].clone());
        let mut types: Vec<_> = types.map(|name| name.as_str().unwrap().to_owned()).collect();
        types.sort();
        types
    };
    receiver.wait("/bare", 1).await;
    receiver.wait("/own", 1).await;
    assert_eq!(types("/all"), ["event.level_up", "event.purchase_complete", "event.session_end"]);
    assert_eq!(types("/bare"), ["event.purchase_complete"]);
    assert_eq!(types("/own"), ["event.level_up"]);
}

#[tokio::test]
async fn deliveries_verify_as_the_document_s_own_code_says() {
    let site = site().await;
    for name in ["ilara/receiver.mjs", "ilara/receiver.py"] {
        let example = site.plain_example(name, &[]);
        let webhook = site.webhook_for(&example, &json!({"headers": {"X-Custom-Header": "value"}})).await;
        let data = purchase(9.99, "USD");
        let before = jiff::Timestamp::now();
        site.send("default", "event.purchase_complete", &data).await;
        let arrival = example.wait(1).await.remove(0);
        assert_eq!((&arrival["status"], &arrival["verdict"]), (&json!(200), &json!("accepted")), "{name}");
        let body: Value = serde_json::from_str(arrival["body"].as_str().unwrap()).unwrap();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["data", "id", "metadata", "timestamp", "type"]);
        assert!(body["id"].as_str().unwrap().starts_with("evt_"));
        assert_eq!((&body["type"], &body["data"]), (&json!("event.purchase_complete"), &data));
        assert_eq!(body["metadata"], json!({"webhook_id": webhook["id"], "delivery_attempt": 1}));
        let happened: jiff::Timestamp = body["timestamp"].as_str().unwrap().parse().unwrap();
        assert!(happened.duration_since(before).as_secs().abs() < 60, "ISO 8601: {happened}");
        assert_eq!(arrival["headers"]["x-custom-header"], "value");
        example.trust("whsec_another_secret");
        site.send("default", "event.purchase_complete", &data).await;
        assert_eq!(example.wait(2).await[1]["status"], 401, "it does verify");
        site.api.delete(&path_of(&webhook)).await.expect(204);
    }
}

#[tokio::test]
async fn the_document_s_check_holds_however_the_producer_writes_its_json() {
    let site = site().await;
    let example = site.plain_example("ilara/receiver.mjs", &[]);
    site.webhook_for(&example, &json!({})).await;
    // The document's receiver signs `JSON.stringify` of what it has parsed: other spaces, numbers, escapes or an order of
    // keys that JavaScript does not keep would break its check.
    let written = [
        "{ \"a\" : 1,\n  \"b\": [ 1, 2 ]\t}",
        r#"{"price": 10.0, "big": 1e3, "tiny": 1.5E-7, "huge": 1e21, "zero": -0, "long": 12345678901234567890}"#,
        r#"{"text": "\u00fcn\u0069code \/ \u2028 \ud83d\ude00 \u0007 \"q\" \\"}"#,
        r#"{"b": 1, "10": 2, "9": 3, "a": 4, "010": 5, "b": 6}"#,
        r#"[]"#,
        r#""text""#,
        "null",
    ];
    for payload in written {
        let body = format!(r#"{{"eventType": "event.session_end", "payload": {payload}}}"#);
        site.api.post("/api/v1/app/default/msg", &body).await.expect(202);
    }
    let arrivals = example.wait(written.len()).await;
    for arrival in &arrivals {
        assert_eq!(arrival["verdict"], "accepted", "{}", arrival["body"]);
    }
}

#[tokio::test]
async fn failed_deliveries_are_retried_by_the_table_and_count_their_attempts() {
    let site = site().await;
    let example = site.plain_example("ilara/receiver.mjs", &["--answer", "500,404,503,302,200"]);
    let webhook = site.webhook_for(&example, &json!({})).await;
    site.send("default", "event.session_end", &json!({"n": 1})).await;
    let arrivals = example.wait(5).await;
    let attempts: Vec<_> = arrivals.iter().map(|a| a["metadata"]["delivery_attempt"].as_u64().unwrap()).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 5]);
    assert!(arrivals.iter().all(|a| a["verdict"] != "Invalid signature"), "each is signed anew");
    let signatures: HashSet<_> = arrivals.iter().map(|a| a["headers"]["x-ilara-signature"].to_string()).collect();
    let ids: HashSet<_> = arrivals.iter().map(|a| a["id"].to_string()).collect();
    assert_eq!((signatures.len(), ids.len()), (5, 1));
    let log = site.tries(&webhook, "", 5).await;
    let times: Vec<jiff::Timestamp> = log.iter().rev().map(|e| e["attempted_at"].as_str().unwrap().parse().unwrap()).collect();
    for (pair, minutes) in times.windows(2).zip([1.0, 5.0, 30.0, 120.0]) {
        let waited = pair[1].duration_since(pair[0]).as_millis_f64() * f64::from(SPEED) / 60_000.0;
        // 20 % of jitter, and at most 3 s that the machine was busy: at this speed, 50 minutes.
        assert!(waited >= minutes * 0.8 - 0.1 && waited < minutes * 1.2 + 50.0, "{minutes} min: {waited}");
    }
}

#[tokio::test]
async fn a_retry_policy_of_its_own_overrides_the_table() {
    let site = site().await;
    let receiver = Receiver::start().await;
    for (path, policy) in [
        ("/none", json!({"max_retries": 0})),
        ("/two", json!({"max_retries": 2, "backoff": "exponential"})),
        ("/fixed", json!({"max_retries": 3, "backoff": "fixed"})),
        ("/linear", json!({"max_retries": 3, "backoff": "linear"})),
    ] {
        receiver.script(path, [Reply::status(500)]);
        site.webhook(&receiver.url(path), &json!({"name": path, "retry_policy": policy})).await;
    }
    site.send("default", "event.session_end", &json!({})).await;
    for webhook in site.api.get(WEBHOOKS).await.expect(200)["data"].as_array().unwrap() {
        let last = site.tries(webhook, "status=failed", 1).await;
        let count = webhook["retry_policy"]["max_retries"].as_u64().unwrap() + 1;
        assert_eq!(last[0]["delivery_attempt"], count, "{webhook}");
        assert_eq!(receiver.at(webhook["name"].as_str().unwrap()).len() as u64, count);
    }
}

#[tokio::test]
async fn status_codes_connections_and_time_make_a_failure() {
    let site = site().await;
    let receiver = Receiver::start().await;
    let once = json!({"retry_policy": {"max_retries": 1, "backoff": "fixed"}});
    for status in [400, 404, 410, 500, 301] {
        let path = format!("/{status}");
        receiver.script(&path, [Reply::status(status)]);
        let webhook = site.webhook(&receiver.url(&path), &once).await;
        site.api.post(&format!("{}/test", path_of(&webhook)), "").await.expect(202);
        let log = site.tries(&webhook, "", 2).await;
        assert!(log.iter().all(|e| e["response"]["status_code"] == status && e["error"].is_string()), "{log:?}");
        assert_eq!((&log[0]["status"], &log[1]["status"]), (&json!("failed"), &json!("retrying")), "{status}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let webhook = site.webhook(&format!("http://{closed}/a"), &once).await;
    site.api.post(&format!("{}/test", path_of(&webhook)), "").await.expect(202);
    let log = site.tries(&webhook, "status=failed", 1).await;
    assert_eq!((&log[0]["response"], log[0]["error"].is_string()), (&Value::Null, true));
}

#[tokio::test]
async fn thirty_seconds_without_an_answer_are_a_failure() {
    let site = site().await;
    let receiver = Receiver::start().await;
    receiver.script("/a", [Reply::Hang, Reply::status(200)]);
    let webhook = site.webhook(&receiver.url("/a"), &json!({})).await;
    site.api.post(&format!("{}/test", path_of(&webhook)), "").await.expect(202);
    receiver.wait("/a", 1).await;
    assert_eq!(site.tries(&webhook, "status=pending", 1).await[0]["delivery_attempt"], 0, "the first attempt is running");
    // It takes half a minute, which is as long as a condition may take elsewhere.
    let given_up = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let log = site.tries(&webhook, "", 1).await;
            match log.into_iter().find(|entry| entry["delivery_attempt"] == 1) {
                Some(entry) => return entry,
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    let timed_out = given_up.await.expect("the first attempt is given up");
    let duration = timed_out["duration_ms"].as_f64().unwrap();
    assert!((29_900.0..33_000.0).contains(&duration), "{timed_out}");
    assert!(timed_out["error"].as_str().unwrap().contains("within the time allowed"), "{timed_out}");
    receiver.wait("/a", 2).await;
}

#[tokio::test]
async fn filters_decide_which_events_trigger() {
    let site = site().await;
    let receiver = Receiver::start().await;
    let cases = [
        ("/eq", json!({"properties.currency": {"eq": "USD"}}), vec![1, 2]),
        ("/ne", json!({"properties.currency": {"ne": "USD"}}), vec![3]),
        ("/gt", json!({"properties.amount": {"gt": 50}}), vec![2, 3]),
        ("/gte", json!({"properties.amount": {"gte": 50}}), vec![1, 2, 3]),
        ("/lt", json!({"properties.amount": {"lt": 50.5}}), vec![1]),
        ("/lte", json!({"properties.amount": {"lte": 50}}), vec![1]),
        ("/in", json!({"properties.currency": {"in": ["EUR", "GBP"]}}), vec![3]),
        ("/nin", json!({"properties.currency": {"nin": ["EUR", "GBP"]}}), vec![1, 2]),
        ("/exists", json!({"properties.coupon": {"exists": true}}), vec![2]),
        ("/absent", json!({"properties.coupon": {"exists": false}}), vec![1, 3, 4]),
        ("/contains", json!({"properties.product_id": {"contains": "pack"}}), vec![1, 2]),
        ("/starts", json!({"properties.product_id": {"starts_with": "gem_"}}), vec![1, 2]),
        ("/ends", json!({"properties.product_id": {"ends_with": "_100"}}), vec![1]),
        ("/range", json!({"properties.amount": {"gte": 50, "lt": 60}}), vec![1]),
        ("/document", json!({"properties.amount": {"gte": 50}, "properties.currency": {"eq": "USD"}}), vec![1, 2]),
        ("/any", json!({"any": [{"properties.amount": {"gt": 90}}, {"properties.currency": {"eq": "EUR"}}]}), vec![2, 3]),
        ("/all", json!({"all": [{"properties.amount": {"gt": 50}}, {"properties.currency": {"eq": "USD"}}]}), vec![2]),
        ("/not", json!({"not": {"properties.currency": {"eq": "USD"}}}), vec![3, 4]),
        ("/everything", json!({}), vec![1, 2, 3, 4]),
    ];
    for (path, filters, _) in &cases {
        let made = site.webhook(&receiver.url(path), &json!({"events": ["event.purchase_complete"], "filters": filters})).await;
        assert_eq!(&made["filters"], filters, "shown as it was written");
    }
    for (n, properties) in [
        (1, json!({"amount": 50, "currency": "USD", "product_id": "gem_pack_100"})),
        (2, json!({"amount": 99.5, "currency": "USD", "product_id": "gem_pack_200", "coupon": null})),
        (3, json!({"amount": 70, "currency": "EUR", "product_id": "sword"})),
        (4, json!({})),
    ] {
        site.send("default", "event.purchase_complete", &json!({"n": n, "properties": properties})).await;
    }
    let wanted: usize = cases.iter().map(|(.., numbers)| numbers.len()).sum();
    eventually("everything has come", || async { (receiver.requests().len() >= wanted).then_some(()) }).await;
    for (path, filters, expected) in &cases {
        let mut numbers: Vec<u64> = receiver
            .at(path)
            .iter()
            .map(|arrival| serde_json::from_slice::<Value>(&arrival.body).unwrap()["data"]["n"].as_u64().unwrap())
            .collect();
        numbers.sort_unstable();
        assert_eq!(&numbers, expected, "{filters}");
    }
}

#[tokio::test]
async fn an_unknown_operator_is_refused_by_name() {
    let site = site().await;
    for (filters, word) in [
        (json!({"properties.amount": {"gte": 50, "greater": 3}}), "greater"),
        (json!({"any": [{"properties.amount": {"matches": "x"}}]}), "matches"),
        (json!({"properties.amount": 50}), "properties.amount"),
    ] {
        let body = json!({"name": "Test", "url": "https://your-server.com/a", "events": ["*"], "filters": filters}).to_string();
        let refusal = site.api.post(WEBHOOKS, &body).await.expect(400);
        assert!(refusal["error"]["field"].as_str().unwrap().starts_with("filters"), "{refusal}");
        assert!(refusal["error"].to_string().contains(word), "{refusal}");
    }
    assert_eq!(site.api.get(WEBHOOKS).await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn the_log_has_the_full_request_and_response_of_every_attempt() {
    let site = site().await;
    let receiver = Receiver::start().await;
    receiver.script("/a", [Reply::status(500).body("down").header("X-Served-By", "b7"), Reply::status(201).body("thanks")]);
    let webhook = site.webhook(&receiver.url("/a"), &json!({"headers": {"Authorization": "Bearer very-secret"}})).await;
    site.send("default", "event.session_end", &json!({"n": 1})).await;
    let log = site.tries(&webhook, "", 2).await;
    let (first, second) = (&log[1], &log[0]);
    assert_eq!((&first["status"], &second["status"]), (&json!("retrying"), &json!("delivered")));
    assert_eq!((&first["delivery_attempt"], &second["delivery_attempt"]), (&json!(1), &json!(2)));
    assert_eq!((&first["response"]["status_code"], &first["response"]["body"]), (&json!(500), &json!("down")));
    assert_eq!(first["response"]["headers"]["x-served-by"], "b7");
    assert_eq!((&second["response"]["body"], &second["error"]), (&json!("thanks"), &Value::Null));
    let arrivals = receiver.at("/a");
    for (entry, arrival) in [(first, &arrivals[0]), (second, &arrivals[1])] {
        let request = &entry["request"];
        assert_eq!((&request["method"], &request["url"]), (&json!("POST"), &json!(receiver.url("/a"))));
        assert_eq!(request["body"], serde_json::from_slice::<Value>(&arrival.body).unwrap(), "of that attempt");
        assert_eq!(request["headers"]["x-ilara-signature"], arrival.header("x-ilara-signature"));
        assert!(!request.to_string().contains("very-secret"), "credentials are not shown: {request}");
        assert_eq!(entry["event_id"], request["body"]["id"]);
        assert!(entry["duration_ms"].as_f64().unwrap() > 0.0 && entry["attempted_at"].is_string());
    }
    let page = site.api.get(&format!("{}/logs?limit=1", path_of(&webhook))).await.expect(200);
    assert_eq!((&page["has_more"], page["data"].as_array().unwrap().len()), (&json!(true), 1));
    let next = page["next_cursor"].as_str().unwrap();
    let rest = site.api.get(&format!("{}/logs?limit=1&cursor={next}", path_of(&webhook))).await.expect(200);
    assert_eq!((&rest["data"][0], &rest["has_more"], &rest["next_cursor"]), (first, &json!(false), &Value::Null));
    for (query, count) in [("status=delivered", 1), ("type=event.session_end", 2), ("type=player.created", 0), ("status=failed", 0)]
    {
        let found = site.api.get(&format!("{}/logs?{query}", path_of(&webhook))).await.expect(200);
        assert_eq!(found["data"].as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test]
async fn success_rate_and_average_latency_are_counted() {
    let site = site().await;
    let receiver = Receiver::start().await;
    let replies = [200, 500, 200, 200].map(Reply::status);
    receiver.script("/a", replies);
    let webhook = site.webhook(&receiver.url("/a"), &json!({"retry_policy": {"max_retries": 0}})).await;
    let path = format!("{}/stats", path_of(&webhook));
    let fresh = site.api.get(&path).await.expect(200);
    assert_eq!((&fresh["success_rate"], &fresh["average_latency_ms"], &fresh["total"]), (&Value::Null, &Value::Null, &json!(0)));
    for n in 1..=4 {
        site.send("default", "event.session_end", &json!({"n": n})).await;
        site.tries(&webhook, "", n).await;
    }
    let stats = eventually("all four are counted", || async {
        let stats = site.api.get(&path).await.expect(200);
        (stats["delivered"] == 3 && stats["failed"] == 1).then_some(stats)
    })
    .await;
    assert_eq!((&stats["success_rate"], &stats["total"], &stats["pending"]), (&json!(75.0), &json!(4), &json!(0)));
    let log = site.tries(&webhook, "", 4).await;
    let mean = log.iter().map(|entry| entry["duration_ms"].as_f64().unwrap()).sum::<f64>() / 4.0;
    assert!((stats["average_latency_ms"].as_f64().unwrap() - mean).abs() < 0.01, "{stats} {mean}");
    assert_eq!(stats["webhook_id"], webhook["id"]);
    let past = site.api.get(&format!("{path}?since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z")).await.expect(200);
    assert_eq!((&past["total"], &past["success_rate"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn a_webhook_can_be_tested_before_it_is_used() {
    let site = site().await;
    let receiver = Receiver::start().await;
    let filters = json!({"never": {"eq": true}});
    let webhook = site.webhook(&receiver.url("/a"), &json!({"events": ["purchase_complete"], "filters": filters})).await;
    let other = site.webhook(&receiver.url("/other"), &json!({})).await;
    let sent = site.api.post(&format!("{}/test", path_of(&webhook)), "").await.expect(202);
    assert_eq!(sent["type"], "event.purchase_complete");
    let body: Value = serde_json::from_slice(&receiver.wait("/a", 1).await[0].body).unwrap();
    assert_eq!((&body["id"], &body["data"]["properties"]["amount"]), (&sent["event_id"], &json!(9.99)), "the document's example");
    let given = json!({"type": "player.created", "data": {"player_id": "p_1"}});
    site.api.post(&format!("{}/test", path_of(&webhook)), &given.to_string()).await.expect(202);
    let body: Value = serde_json::from_slice(&receiver.wait("/a", 2).await[1].body).unwrap();
    assert_eq!((&body["type"], &body["data"]), (&given["type"], &given["data"]));
    site.tries(&webhook, "status=delivered", 2).await;
    assert_eq!(site.api.get(&format!("{}/logs", path_of(&other))).await.expect(200)["data"], json!([]), "nobody else gets it");
    for bad in [r#"{"type": "a b"}"#, r#"{"kind": "x"}"#, "{"] {
        site.api.post(&format!("{}/test", path_of(&webhook)), bad).await.expect(400);
    }
}

#[tokio::test]
async fn source_addresses_are_told() {
    let site = Site::start_with(&[("IP_RANGES", "203.0.113.0/28, 2001:db8::/48")]).await;
    let listed = site.api.get("/v1/integrations/webhooks/ip-ranges").await.expect(200);
    assert_eq!(listed, json!({"ip_ranges": ["203.0.113.0/28", "2001:db8::/48"]}));
    let page = site.api.anonymous().get("/docs/ilara/ip-ranges").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("203.0.113.0/28") && page.header("content-type").starts_with("text/html"));
    let site = Site::start().await;
    assert_eq!(site.api.get("/v1/integrations/webhooks/ip-ranges").await.expect(200), json!({"ip_ranges": []}));
}

#[tokio::test]
async fn another_organization_finds_nothing_on_any_route() {
    let site = site().await;
    let webhook = site.webhook("https://your-server.com/a", &json!({})).await;
    let stranger: Api = site.stranger();
    let path = path_of(&webhook);
    for (method, rest, body) in [
        ("GET", "", ""),
        ("PATCH", "", r#"{"enabled": false}"#),
        ("DELETE", "", ""),
        ("POST", "/test", ""),
        ("GET", "/logs", ""),
        ("GET", "/stats", ""),
    ] {
        let refusal = stranger.send(method, &format!("{path}{rest}"), &[], body).await.expect(404);
        assert_eq!(refusal["error"]["code"], "not_found", "{method} {rest}");
    }
    assert_eq!(stranger.get(WEBHOOKS).await.expect(200), json!({"data": []}));
    assert_eq!(site.api.get(&path).await.expect(200), without(webhook.clone(), "secret"));
    // Nor does a webhook of one system exist on another's surface.
    let id = webhook["id"].as_str().unwrap().replacen("whk_", "ep_", 1);
    site.api.put("/webhooks/configs", &json!({"id": id, "isEnabled": false}).to_string()).await.expect(404);
}

#[tokio::test]
async fn the_document_of_its_api_is_served() {
    let site = site().await;
    let document = site.api.anonymous().get("/docs/ilara").await.expect(200);
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let below = |rest: &str| format!("{WEBHOOKS}{rest}");
    assert_eq!(paths, ["", "/ip-ranges", "/{id}", "/{id}/logs", "/{id}/stats", "/{id}/test"].map(below));
    let page = site.api.anonymous().send("GET", "/docs/ilara", &[("accept", "text/html")], "").await;
    assert!(page.text().contains("/v1/integrations/webhooks/{id}/stats"));
}
