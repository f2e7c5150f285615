//! `nudj-admin-api.md`, from top to bottom.

use crate::{
    example::Example,
    fixture::{SPEED, Site},
    support::{ADMIN_KEY, Api, Receiver, Reply, eventually},
};
use serde_json::{Value, json};
use std::collections::HashSet;

const CONFIGS: &str = "/webhooks/configs";
const LOGS: &str = "/webhooks/logs";

/// A server with the catalogue of the document.
async fn site() -> Site {
    let site = Site::start().await;
    site.seed("nudj");
    site
}

impl Site {
    /// Puts one configuration; what is answered.
    async fn config(&self, body: &Value) -> Value {
        self.api.put(CONFIGS, &body.to_string()).await.expect(200)
    }

    /// The log as far as one page shows it.
    async fn log(&self, query: &str) -> Vec<Value> {
        let page = self.api.get(&format!("{LOGS}?{query}")).await.expect(200);
        page["data"].as_array().unwrap().clone()
    }

    /// Waits until the log shows that many entries.
    async fn logged(&self, query: &str, count: usize) -> Vec<Value> {
        let what = format!("{count} entries of {query}");
        eventually(&what, || async { Some(self.log(query).await).filter(|log| log.len() >= count) }).await
    }

    /// A configuration that sends to an example, which trusts its secret.
    async fn config_for(&self, example: &Example, more: &Value) -> Value {
        let mut body = json!({"url": example.url("/nudj"), "events": ["*"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.config(&body).await;
        example.trust(made["secret"].as_str().or(more["secret"].as_str()).unwrap());
        made
    }
}

fn without(mut value: Value, field: &str) -> Value {
    value.as_object_mut().unwrap().remove(field);
    value
}

#[tokio::test]
async fn a_key_opens_the_routes_in_either_header_and_at_either_path() {
    let site = site().await;
    let anonymous = site.api.anonymous();
    for path in [CONFIGS, LOGS, "/api/v2/admin/webhooks/configs", "/api/v2/admin/webhooks/logs"] {
        let refusal = anonymous.get(path).await.expect(401);
        assert_eq!(refusal["error"]["code"], "authentication_failed", "{path}");
        site.api.get(path).await.expect(200);
        anonymous.send("GET", path, &[("X-Api-Token", ADMIN_KEY)], "").await.expect(200);
        anonymous.send("GET", path, &[("X-Api-Token", "pr_wrong")], "").await.expect(401);
    }
    anonymous.put(CONFIGS, "{}").await.expect(401);
    let made =
        site.api.put("/api/v2/admin/webhooks/configs", r#"{"url": "https://example.com/a", "events": ["*"]}"#).await.expect(200);
    assert_eq!(site.api.get(CONFIGS).await.expect(200)["data"][0]["id"], made["id"], "one list, two paths");
}

#[tokio::test]
async fn a_second_path_is_configured() {
    let site = Site::start_with(&[("NUDJ_PREFIX", "/elsewhere")]).await;
    site.api.get("/elsewhere/webhooks/configs").await.expect(200);
    site.api.get(CONFIGS).await.expect(200);
    site.api.get("/api/v2/admin/webhooks/configs").await.expect(404);
}

#[tokio::test]
async fn a_config_is_made_listed_and_updated() {
    let site = site().await;
    assert_eq!(site.api.get(CONFIGS).await.expect(200), json!({"data": []}));
    let made = site.config(&json!({"url": "https://example.com/a", "events": ["reward.claimed", "user.*"]})).await;
    assert!(made["secret"].as_str().unwrap().len() >= 16, "a secret is made: {made}");
    let expected = json!({
        "url": "https://example.com/a", "events": ["reward.claimed", "user.*"], "isEnabled": true, "httpMethod": "POST",
        "maxRetries": 3, "headers": {}, "hiddenHeaders": [],
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    let shown = without(made.clone(), "secret");
    assert_eq!(site.api.get(CONFIGS).await.expect(200), json!({"data": [shown]}), "the secret is shown once");

    let id = made["id"].as_str().unwrap();
    let wish = json!({
        "id": id, "url": "https://example.com/b", "events": ["action.completed"], "isEnabled": false, "httpMethod": "PUT",
        "maxRetries": 5, "headers": {"X-Tenant": "acme", "Authorization": "Bearer very-secret"}, "secret": "a secret of mine",
    });
    let updated = site.config(&wish).await;
    assert_eq!(
        (&updated["id"], &updated["url"], &updated["isEnabled"]),
        (&json!(id), &json!("https://example.com/b"), &json!(false))
    );
    assert_eq!((&updated["httpMethod"], &updated["maxRetries"]), (&json!("PUT"), &json!(5)));
    assert_eq!((&updated["headers"], &updated["hiddenHeaders"]), (&json!({"x-tenant": "acme"}), &json!(["authorization"])));
    assert!(updated.get("secret").is_none() && !updated.to_string().contains("very-secret"), "what is given is not echoed");
    let partial = site.config(&json!({"id": id, "isEnabled": true})).await;
    assert_eq!(
        (&partial["isEnabled"], &partial["events"], &partial["maxRetries"]),
        (&json!(true), &json!(["action.completed"]), &json!(5))
    );
    assert_eq!(site.api.get(CONFIGS).await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_put_twice_changes_nothing() {
    let site = site().await;
    for wish in [
        json!({"url": "https://example.com/a", "events": ["reward.*"]}),
        json!({"url": "https://example.com/b", "events": ["*"], "secret": "a secret of mine", "isEnabled": false, "maxRetries": 0,
               "httpMethod": "PATCH", "headers": {"X-A": "1", "X-Api-Key": "k"}}),
    ] {
        let first = site.config(&wish).await;
        let second = site.config(&wish).await;
        assert_eq!(without(first, "secret").as_object(), second.as_object(), "{wish}");
    }
    let listed = site.api.get(CONFIGS).await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    let both = json!([
        {"url": "https://example.com/a", "events": ["reward.*"]},
        {"url": "https://example.com/b", "events": ["*"]},
    ]);
    assert_eq!(site.config(&both).await, listed, "in a list, too");
    // At the same moment, too: one configuration, and everybody gets it.
    let wish = json!({"url": "https://example.com/c", "events": ["*"]});
    let ids = futures_util::future::join_all((0..8).map(|_| site.config(&wish))).await;
    let ids: HashSet<_> = ids.iter().map(|config| config["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_list_is_taken_as_a_whole_or_not_at_all() {
    let site = site().await;
    let bad = json!([
        {"url": "https://example.com/a", "events": ["user.created"]},
        {"url": "https://example.com/b", "events": ["user.created", "no.such"]},
    ]);
    let refusal = site.api.put(CONFIGS, &bad.to_string()).await.expect(400);
    assert!(refusal["error"]["field"].as_str().unwrap().starts_with("1.events"), "{refusal}");
    assert_eq!(site.api.get(CONFIGS).await.expect(200)["data"], json!([]), "nothing of it was taken");
    let good = json!([
        {"url": "https://example.com/a", "events": ["user.created"]},
        {"url": "https://example.com/b", "events": ["reward.*"]},
    ]);
    let made = site.config(&good).await;
    assert_eq!(made["data"].as_array().unwrap().len(), 2);
    assert!(made["data"].as_array().unwrap().iter().all(|config| config["secret"].is_string()));
    let twice = json!([{"url": "https://example.com/c", "events": ["*"]}, {"url": "https://example.com/c", "events": ["*"]}]);
    site.api.put(CONFIGS, &twice.to_string()).await.refused(400, "1.url");
    // An update in front of a fault is not kept either.
    let id = &made["data"][0]["id"];
    let half = json!([{"id": id, "isEnabled": false}, {"id": "ep_unknown", "isEnabled": false}]);
    site.api.put(CONFIGS, &half.to_string()).await.expect(404);
    assert!(site.api.get(CONFIGS).await.expect(200)["data"].as_array().unwrap().iter().all(|config| config["isEnabled"] == true));
    site.api.put(CONFIGS, "[]").await.expect(400);
}

#[tokio::test]
async fn bad_input_is_refused_by_the_field_s_name() {
    let site = site().await;
    let good = json!({"url": "https://example.com/a", "events": ["*"]});
    for (field, value, status) in [
        ("url", json!("not a url"), 400),
        ("url", json!("ftp://example.com/"), 400),
        ("url", json!(7), 400),
        ("events", json!([]), 400),
        ("events", json!(["no.such"]), 400),
        ("events", json!("user.created"), 400),
        ("secret", json!("short"), 400),
        ("isEnabled", json!("yes"), 400),
        ("httpMethod", json!("GET"), 400),
        ("maxRetries", json!(51), 400),
        ("maxRetries", json!(-1), 400),
        ("headers", json!({"Host": "example.com"}), 400),
        ("headers", json!({"X-Nudj-Signature": "forged"}), 400),
        ("enabled", json!(true), 400),
        ("id", json!("ep_unknown"), 404),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let refusal = site.api.put(CONFIGS, &body.to_string()).await.expect(status);
        let error = &refusal["error"];
        assert!(error["code"].is_string() && error["message"].is_string(), "{refusal}");
        if status == 400 {
            assert!(error.to_string().contains(field), "{field}: {refusal}");
        }
    }
    for field in ["url", "events"] {
        let refusal = site.api.put(CONFIGS, &without(good.clone(), field).to_string()).await.expect(400);
        assert_eq!(refusal["error"]["field"], field, "{refusal}");
    }
    for body in ["", "{", "[{]", "7"] {
        let refusal = site.api.put(CONFIGS, body).await.expect(400);
        assert!(refusal["error"]["code"].is_string(), "{body}");
    }
    let refusal = site.api.send("PUT", CONFIGS, &[("content-type", "text/plain")], "{}").await.expect(400);
    assert_eq!(refusal["error"]["code"], "unsupported_media_type");
    let refusal = site.api.delete(CONFIGS).await.expect(405);
    assert_eq!(refusal["error"]["code"], "method_not_allowed");
    for (query, field) in
        [("limit=0", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"), ("status=lost", "status"), ("since=soon", "since")]
    {
        let refusal = site.api.get(&format!("{LOGS}?{query}")).await.expect(400);
        assert_eq!(refusal["error"]["field"], field, "{refusal}");
    }
    site.api.get(&format!("{LOGS}?configId=ep_unknown")).await.expect(404);
    assert_eq!(site.api.get(CONFIGS).await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn deliveries_verify_as_the_document_says() {
    let site = site().await;
    for name in ["nudj/receiver.py", "nudj/receiver.mjs"] {
        let example = site.plain_example(name, &[]);
        let config = site.config_for(&example, &json!({"headers": {"X-Tenant": "acme"}})).await;
        let data = json!({"rewardId": "rw_1", "amount": 12.5, "name": "Ünïcode"});
        let message = site.send("default", "reward.claimed", &data).await;
        let arrival = example.wait(1).await.remove(0);
        assert_eq!((&arrival["status"], &arrival["verdict"]), (&json!(200), &json!("accepted")), "{name}");
        assert_eq!((&arrival["event"], &arrival["header"]), (&json!("reward.claimed"), &json!("reward.claimed")));
        assert_eq!((&arrival["data"], &arrival["method"]), (&data, &json!("POST")));
        let body: Value = serde_json::from_str(arrival["body"].as_str().unwrap()).unwrap();
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["data", "event", "id", "timestamp"]);
        let happened: jiff::Timestamp = body["timestamp"].as_str().unwrap().parse().unwrap();
        let asked = site.api.get(&format!("/api/v1/app/default/msg/{message}")).await.expect(200);
        assert_eq!(asked["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap(), happened, "when it happened");
        assert_eq!(arrival["headers"]["x-tenant"], "acme");
        assert!(arrival["headers"]["x-nudj-signature"].as_str().unwrap().starts_with("sha256="));
        assert!(arrival["delivery"].is_string());
        // Another secret, and the receiver refuses: it does verify.
        example.trust("another secret");
        site.send("default", "reward.claimed", &data).await;
        assert_eq!(example.wait(2).await[1]["verdict"], "refused");
        site.config(&json!({"id": config["id"], "isEnabled": false})).await;
    }
}

#[tokio::test]
async fn the_method_is_the_config_s() {
    let site = site().await;
    for method in ["PUT", "PATCH"] {
        let example = site.plain_example("nudj/receiver.py", &[]);
        let config = site.config_for(&example, &json!({"httpMethod": method})).await;
        site.send("default", "user.created", &json!({})).await;
        assert_eq!(example.wait(1).await[0]["method"], method);
        site.config(&json!({"id": config["id"], "isEnabled": false})).await;
    }
}

#[tokio::test]
async fn server_errors_are_retried_with_exponential_backoff_under_one_delivery_id() {
    let site = site().await;
    let example = site.plain_example("nudj/receiver.mjs", &["--answer", "500,503,502,200"]);
    let config = site.config_for(&example, &json!({})).await;
    site.send("default", "user.created", &json!({"n": 1})).await;
    let arrivals = example.wait(4).await;
    let of = |field: &str| arrivals.iter().map(|a| a[field].to_string()).collect::<HashSet<_>>().len();
    assert_eq!((of("id"), of("delivery"), of("body")), (1, 1, 1), "one event, one delivery, one body");
    assert_eq!(arrivals[3]["verdict"], "accepted");
    let log = site.logged(&format!("configId={}", config["id"].as_str().unwrap()), 4).await;
    let statuses: Vec<_> =
        log.iter().map(|entry| (entry["attempt"].as_u64().unwrap(), entry["status"].as_str().unwrap())).collect();
    assert_eq!(statuses, [(4, "delivered"), (3, "retrying"), (2, "retrying"), (1, "retrying")]);
    let ids: HashSet<_> = log.iter().map(|entry| &entry["deliveryId"]).collect();
    assert_eq!(ids, HashSet::from([&arrivals[0]["delivery"]]));
}

#[tokio::test]
async fn delays_grow_exponentially() {
    let site = site().await;
    let receiver = Receiver::start().await;
    receiver.script("/a", [Reply::status(500)]);
    let config = site.config(&json!({"url": receiver.url("/a"), "events": ["*"]})).await;
    let query = format!("configId={}&status=retrying", config["id"].as_str().unwrap());
    site.send("default", "user.created", &json!({})).await;
    // The times that the log announces, while they are announced.
    let mut waits: Vec<f64> = Vec::new();
    for attempt in 1..=3 {
        let entry = eventually("the next attempt is announced", || async {
            let log = site.log(&query).await;
            log.into_iter().find(|entry| entry["attempt"] == attempt)
        })
        .await;
        if let Some(next) = entry["nextAttemptAt"].as_str() {
            let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            let wait = at(next) - at(entry["lastAttemptAt"].as_str().unwrap());
            waits.push(wait as f64 / 1000.0 * f64::from(SPEED));
        }
    }
    receiver.wait("/a", 4).await;
    let arrivals = receiver.at("/a");
    let gaps: Vec<_> = arrivals.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis()).collect();
    assert!(gaps[2] > 250 && gaps[1] < gaps[2], "10 s, 1 min, 6 min, a thousand times as fast: {gaps:?}");
    assert!(waits.iter().all(|wait| *wait > 5.0), "{waits:?}");
    let last = site.logged(&format!("configId={}&status=failed", config["id"].as_str().unwrap()), 1).await;
    assert_eq!((&last[0]["attempt"], &last[0]["nextAttemptAt"]), (&json!(4), &Value::Null), "three retries, then it has failed");
}

#[tokio::test]
async fn client_errors_are_final() {
    let site = site().await;
    let receiver = Receiver::start().await;
    for status in [400, 401, 404, 410, 422, 429] {
        let path = format!("/{status}");
        receiver.script(&path, [Reply::status(status).body("no")]);
        site.config(&json!({"url": receiver.url(&path), "events": ["user.created"]})).await;
    }
    receiver.script("/500", [Reply::status(500)]);
    let retried = site.config(&json!({"url": receiver.url("/500"), "events": ["user.created"], "maxRetries": 1})).await;
    site.send("default", "user.created", &json!({})).await;
    site.logged(&format!("configId={}&status=failed", retried["id"].as_str().unwrap()), 1).await;
    assert_eq!(receiver.at("/500").len(), 2);
    let failed = site.logged("status=failed", 7).await;
    for entry in failed.iter().filter(|entry| entry["responseStatus"] != 500) {
        assert_eq!((&entry["attempt"], &entry["nextAttemptAt"], &entry["responseBody"]), (&json!(1), &Value::Null, &json!("no")));
    }
    assert_eq!(receiver.requests().len(), 8, "each 4xx was tried once");
    let configs = site.api.get(CONFIGS).await.expect(200);
    assert!(configs["data"].as_array().unwrap().iter().all(|config| config["isEnabled"] == true), "none is switched off for it");
}

#[tokio::test]
async fn connection_errors_are_retried() {
    let site = site().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = site.config(&json!({"url": format!("http://{closed}/a"), "events": ["*"], "maxRetries": 2})).await;
    site.send("default", "user.created", &json!({})).await;
    let id = config["id"].as_str().unwrap();
    site.logged(&format!("configId={id}&status=failed"), 1).await;
    let log = site.log(&format!("configId={id}")).await;
    assert_eq!(log.len(), 3);
    for entry in &log {
        assert_eq!((&entry["responseStatus"], &entry["responseBody"]), (&Value::Null, &Value::Null));
        assert!(entry["error"].as_str().unwrap().contains("Nothing listens"), "{entry}");
    }
}

#[tokio::test]
async fn the_nonce_is_a_function_of_organization_and_event() {
    let site = site().await;
    let (one, two) = (site.plain_example("nudj/receiver.py", &[]), site.plain_example("nudj/receiver.mjs", &[]));
    for example in [&one, &two] {
        site.config_for(example, &json!({})).await;
    }
    let body = json!({"eventType": "user.created", "payload": {"userId": "u_1"}}).to_string();
    let post = || site.api.send("POST", "/api/v1/app/default/msg", &[("Idempotency-Key", "once")], &body);
    let (first, second) = (post().await.expect(202), post().await.expect(202));
    assert_eq!(first["id"], second["id"], "the same event");
    site.send("default", "user.created", &json!({"userId": "u_1"})).await;
    let arrivals: Vec<_> = [one.wait(2).await, two.wait(2).await].concat();
    assert_eq!(arrivals.len(), 4, "the repetition was sent to nobody");
    let ids: HashSet<_> = arrivals.iter().map(|a| a["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 2, "an event has one nonce wherever it goes, another event another one");
    let deliveries: HashSet<_> = arrivals.iter().map(|a| a["delivery"].as_str().unwrap().to_owned()).collect();
    assert_eq!(deliveries.len(), 4);
    // Sent again by hand, it is the same event: the receiver knows it and does nothing.
    let endpoint = site.api.get(CONFIGS).await.expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    let resend = format!("/api/v1/app/default/msg/{}/endpoint/{endpoint}/resend", first["id"].as_str().unwrap());
    site.api.post(&resend, "").await.expect(202);
    let again = eventually("the event comes again", || async {
        one.heard().into_iter().chain(two.heard()).find(|a| a["verdict"] == "duplicate")
    })
    .await;
    assert!(ids.contains(again["id"].as_str().unwrap()));
}

#[tokio::test]
async fn the_categories_are_in_the_catalogue_and_can_be_subscribed_to() {
    let site = site().await;
    let listed = site.api.get("/api/v1/event-type?limit=250").await.expect(200);
    let names: Vec<_> = listed["data"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap().to_owned()).collect();
    let receiver = Receiver::start().await;
    for category in ["user", "action", "challenge", "reward", "achievement", "referral"] {
        assert!(names.iter().any(|name| name.starts_with(&format!("{category}."))), "{category}: {names:?}");
        let url = receiver.url(&format!("/{category}"));
        site.config(&json!({"url": url, "events": [format!("{category}.*")]})).await;
    }
    for name in &names {
        site.send("default", name, &json!({})).await;
    }
    site.logged("status=delivered&limit=250", names.len()).await;
    for name in &names {
        let path = format!("/{}", name.split('.').next().unwrap());
        let took: Vec<_> = receiver.at(&path).iter().map(|a| a.header("x-nudj-event").to_owned()).collect();
        assert!(took.contains(name), "{name}: {took:?}");
    }
    assert_eq!(receiver.requests().len(), names.len(), "each to its category only");
}

#[tokio::test]
async fn the_log_shows_every_attempt() {
    let site = site().await;
    let receiver = Receiver::start().await;
    receiver.script("/a", [Reply::status(500).body("down"), Reply::status(202).body("ok")]);
    receiver.script("/b", [Reply::status(400).body("never")]);
    let a = site.config(&json!({"url": receiver.url("/a"), "events": ["user.*"]})).await;
    let b = site.config(&json!({"url": receiver.url("/b"), "events": ["user.*", "reward.*"]})).await;
    let before = jiff::Timestamp::now();
    site.send("default", "user.created", &json!({"userId": "u_1"})).await;
    site.logged("status=delivered", 1).await;
    site.logged("status=failed", 1).await;
    site.send("default", "reward.claimed", &json!({"rewardId": "r_1"})).await;
    site.logged("event=reward.claimed&status=failed", 1).await;
    let log = site.logged("", 4).await;
    let keys: HashSet<&str> = log[0].as_object().unwrap().keys().map(String::as_str).collect();
    for field in [
        "deliveryId",
        "webhookConfigId",
        "event",
        "url",
        "status",
        "attempt",
        "requestBody",
        "responseStatus",
        "responseBody",
        "error",
        "lastAttemptAt",
        "nextAttemptAt",
    ] {
        assert!(keys.contains(field), "{field}");
    }
    assert_eq!(
        (&log[0]["event"], &log[0]["webhookConfigId"], &log[0]["status"]),
        (&json!("reward.claimed"), &b["id"], &json!("failed"))
    );
    assert_eq!((&log[0]["responseStatus"], &log[0]["responseBody"], &log[0]["url"]), (&json!(400), &json!("never"), &b["url"]));
    assert!(log[0]["error"].is_string());
    let times: Vec<_> = log.iter().map(|entry| entry["lastAttemptAt"].as_str().unwrap().to_owned()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "newest first: {times:?}");
    // The outgoing payload is what the receiver got, byte for byte.
    let sent: Vec<_> = receiver.at("/a").iter().map(|arrival| serde_json::from_slice::<Value>(&arrival.body).unwrap()).collect();
    let of_a = site.log(&format!("configId={}", a["id"].as_str().unwrap())).await;
    assert_eq!(of_a.iter().map(|e| &e["requestBody"]).collect::<Vec<_>>(), sent.iter().rev().collect::<Vec<_>>());
    let raw = site.api.get(&format!("{LOGS}?configId={}", a["id"].as_str().unwrap())).await.text();
    assert!(raw.contains(std::str::from_utf8(&receiver.at("/a")[0].body).unwrap()), "{raw}");
    assert_eq!(
        (&of_a[0]["status"], &of_a[0]["responseStatus"], &of_a[0]["error"]),
        (&json!("delivered"), &json!(202), &Value::Null)
    );
    assert_eq!((&of_a[1]["status"], &of_a[1]["responseBody"]), (&json!("retrying"), &json!("down")));
    let count = async |query: &str| site.log(query).await.len();
    assert_eq!(count("event=reward.claimed").await, 1);
    assert_eq!(count("event=no.such").await, 0);
    assert_eq!((count("status=failed").await, count("status=delivered").await, count("status=pending").await), (2, 1, 0));
    assert_eq!(count(&format!("until={before}")).await, 0);
    assert_eq!(count(&format!("since={before}")).await, 4);
    assert_eq!(count(&format!("since={before}&event=user.created&status=failed&configId={}", b["id"].as_str().unwrap())).await, 1);
    // Page by page it is the same.
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = site.api.get(&format!("{LOGS}?limit=1&cursor={cursor}")).await.expect(200);
        paged.extend(page["data"].as_array().unwrap().clone());
        assert_eq!(page["hasMore"].as_bool().unwrap(), page["nextCursor"].is_string());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(paged, log);
}

#[tokio::test]
async fn what_waits_for_its_first_attempt_is_in_the_log() {
    let site = site().await;
    let receiver = Receiver::start().await;
    let config = site.config(&json!({"url": receiver.url("/a"), "events": ["*"], "isEnabled": false})).await;
    let other = site.config(&json!({"url": receiver.url("/b"), "events": ["*"], "isEnabled": false})).await;
    site.send("default", "user.created", &json!({"n": 1})).await;
    let log = site.log("status=pending").await;
    assert_eq!(log.len(), 2);
    for entry in &log {
        assert_eq!((&entry["attempt"], &entry["lastAttemptAt"], &entry["nextAttemptAt"]), (&json!(0), &Value::Null, &Value::Null));
        assert_eq!(entry["requestBody"]["data"], json!({"n": 1}));
    }
    let first = site.api.get(&format!("{LOGS}?limit=1")).await.expect(200);
    let second = site.api.get(&format!("{LOGS}?limit=1&cursor={}", first["nextCursor"].as_str().unwrap())).await.expect(200);
    assert_eq!(vec![first["data"][0].clone(), second["data"][0].clone()], log, "both deliveries of one message have their page");
    site.config(&json!([{"id": config["id"], "isEnabled": true}, {"id": other["id"], "isEnabled": true}])).await;
    let log = site.logged("status=delivered", 2).await;
    assert!(log.iter().all(|entry| entry["attempt"] == 1), "nothing was dropped while it was off");
    assert_eq!(site.log("status=pending").await.len(), 0);
}

#[tokio::test]
async fn another_organization_sees_and_changes_nothing() {
    let site = site().await;
    let receiver = Receiver::start().await;
    let config = site.config(&json!({"url": receiver.url("/a"), "events": ["*"]})).await;
    site.send("default", "user.created", &json!({})).await;
    site.logged("", 1).await;
    let stranger: Api = site.stranger();
    let id = config["id"].as_str().unwrap();
    assert_eq!(stranger.get(CONFIGS).await.expect(200), json!({"data": []}));
    assert_eq!(stranger.get(LOGS).await.expect(200)["data"], json!([]));
    let refusal = stranger.put(CONFIGS, &json!({"id": id, "isEnabled": false}).to_string()).await.expect(404);
    assert_eq!(refusal["error"]["code"], "not_found");
    stranger.put(CONFIGS, &json!([{"id": id, "isEnabled": false}]).to_string()).await.expect(404);
    stranger.get(&format!("{LOGS}?configId={id}")).await.expect(404);
    // The same URL is theirs to register: it is another configuration.
    let theirs = stranger.put(CONFIGS, &json!({"url": receiver.url("/a"), "events": ["*"]}).to_string()).await.expect(200);
    assert_ne!(theirs["id"], config["id"]);
    assert_eq!(without(config, "secret"), site.api.get(CONFIGS).await.expect(200)["data"][0]);
}

#[tokio::test]
async fn the_document_of_its_api_is_served() {
    let site = site().await;
    let document = site.api.anonymous().get("/docs/nudj").await.expect(200);
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(paths, [CONFIGS, LOGS]);
    assert_eq!(document["components"]["securitySchemes"]["ApiToken"]["name"], "x-api-token");
    let page = site.api.anonymous().send("GET", "/docs/nudj", &[("accept", "text/html")], "").await;
    assert!(page.text().contains("/webhooks/configs") && page.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn it_can_wear_another_brand() {
    let site = Site::start_with(&[("SYSTEM_PROFILES", "nudj=acme")]).await;
    let changes = json!({"scheme": {"signature": {"in": "header:X-Acme-Signature"}}, "headers": {"X-Acme-Event": "{type}", "X-Nudj-Event": null}});
    let clone = json!({"name": "acme", "changes": changes}).to_string();
    let wish = json!({"url": "https://example.com/a", "events": ["*"]});
    site.api.put(CONFIGS, &wish.to_string()).await.refused(400, "acme");
    site.api.post("/api/v1/profile/nudj/clone", &clone).await.expect(201);
    let receiver = Receiver::start().await;
    let mut wish = json!({"url": receiver.url("/a"), "events": ["*"], "secret": "a secret of mine"});
    site.config(&wish).await;
    site.send("default", "user.created", &json!({})).await;
    let arrival = receiver.wait("/a", 1).await.remove(0);
    assert_eq!((arrival.header("x-acme-event"), arrival.header("x-nudj-event")), ("user.created", ""));
    assert!(arrival.header("x-acme-signature").starts_with("sha256=") && arrival.header("x-nudj-signature").is_empty());
    wish["headers"] = json!({"X-Acme-Signature": "forged"});
    site.api.put(CONFIGS, &wish.to_string()).await.refused(400, "X-Acme-Signature");
}

#[tokio::test]
async fn a_category_is_what_the_catalogue_says_it_is() {
    let site = site().await;
    let receiver = Receiver::start().await;
    let named = json!({"name": "prize.given", "description": "A prize was given.", "groupName": "reward"});
    site.api.post("/api/v1/event-type", &named.to_string()).await.expect(201);
    let config = json!({"url": receiver.url("/"), "events": ["reward.*"]});
    let made = site.config(&config).await;
    assert_eq!(made["events"], json!(["reward.*"]), "it is shown as it was asked for");
    assert_eq!(site.config(&config).await["updatedAt"], made["updatedAt"], "the same again changes nothing");
    site.send("default", "prize.given", &json!({})).await;
    receiver.wait("/", 1).await;
    site.api.patch("/api/v1/event-type/prize.given", r#"{"groupName": "prizes"}"#).await.expect(200);
    site.send("default", "prize.given", &json!({})).await;
    site.send("default", "reward.claimed", &json!({})).await;
    let came = receiver.wait("/", 2).await;
    let types: Vec<_> = came.iter().map(|request| request.header("x-nudj-event")).collect();
    assert_eq!(types, ["prize.given", "reward.claimed"], "it is in another category by now");
}

#[tokio::test]
async fn what_is_missing_is_called_by_the_document_s_name() {
    let site = site().await;
    for (body, field) in [
        (json!({"url": "https://example.com"}), "events"),
        (json!({"events": ["*"]}), "url"),
        (json!([{"url": "https://example.com"}]), "0.events"),
    ] {
        let refused = site.api.put(CONFIGS, &body.to_string()).await.expect(400);
        let message = format!("{field}: A new one needs it.");
        assert_eq!(refused, json!({"error": {"code": "missing", "message": message, "field": field}}));
    }
}
