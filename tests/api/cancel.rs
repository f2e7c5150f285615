//! Cancelling: one delivery, a message, and by the many with a count first; held ones, ordered ones, and through a restart.

use crate::fixture::{Tenant, id_of};
use crate::support::{Receiver, Reply, Server, eventually};
use serde_json::{Value, json};
use std::time::Duration;

fn minute_ago() -> String {
    (jiff::Timestamp::now() - Duration::from_secs(60)).to_string()
}

impl Tenant {
    fn to_cancel(&self, more: Value) -> String {
        let mut body = json!({"appId": self.app, "since": minute_ago()});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    }

    /// How many deliveries would be cancelled, counted only.
    async fn would_cancel(&self, more: Value) -> Value {
        let preview = self.api.post("/api/v1/cancel/preview", &self.to_cancel(more)).await.expect(200);
        assert_eq!(preview["complete"], true);
        preview["deliveries"].clone()
    }

    /// Cancels by the many; its id.
    async fn cancel(&self, more: Value) -> String {
        let begun = self.api.post("/api/v1/cancel", &self.to_cancel(more)).await.expect(202);
        assert_eq!((&begun["status"], &begun["task"]), (&json!("running"), &json!("cancel")));
        id_of(&begun)
    }

    /// Waits until a cancellation has ended; how many it has cancelled.
    async fn cancelled(&self, id: &str) -> Value {
        eventually("it is finished", || async {
            let shown = self.api.get(&format!("/api/v1/replay/{id}")).await.expect(200);
            (shown["status"] == "finished").then(|| shown["data"]["messagesQueued"].clone())
        })
        .await
    }

    /// Cancels one message, or its delivery to one endpoint; how many were.
    async fn cancel_one(&self, rest: &str) -> Value {
        self.api.post(&self.path(&format!("/msg/{rest}/cancel")), "").await.expect(200)["cancelled"].clone()
    }

    async fn state(&self, message: &str, endpoint: &str) -> Value {
        let ledger = self.api.get(&self.path(&format!("/msg/{message}/ledger"))).await.expect(200);
        let fates = ledger["data"].as_array().unwrap();
        fates.iter().find(|fate| fate["endpointId"] == endpoint).unwrap_or(&Value::Null)["state"].clone()
    }
}

#[tokio::test]
async fn a_message_is_cancelled_at_one_endpoint_or_at_all() {
    let t = Tenant::start().await;
    for path in ["/a", "/b", "/c"] {
        t.receiver.script(path, [Reply::status(if path == "/c" { 200 } else { 500 })]);
    }
    let policy = json!({"retryPolicy": [1, 1]});
    let (a, b, c) =
        (t.endpoint("/a", policy.clone()).await, t.endpoint("/b", policy.clone()).await, t.endpoint("/c", policy).await);
    let message = t.send("a.b", &json!(1)).await;
    t.settled(&message, &c, "success").await;
    for endpoint in [&a, &b] {
        t.attempted(&message, endpoint, 1).await;
    }
    assert_eq!(t.cancel_one(&format!("{message}/endpoint/{a}")).await, 1);
    assert_eq!(t.cancel_one(&format!("{message}/endpoint/{a}")).await, 0, "once");
    assert_eq!(t.state(&message, &a).await, "cancelled");
    // The others go on: b's second attempt comes, and a's does not.
    t.receiver.wait("/b", 2).await;
    let left = t.cancel_one(&message).await;
    assert_eq!(t.state(&message, &c).await, "delivered");
    if left == json!(1) {
        assert_eq!(t.state(&message, &b).await, "cancelled");
    }
    let marker = t.send("a.b", &json!(2)).await;
    t.attempted(&marker, &a, 2).await;
    assert_eq!(t.attempts(&message, &a).await.len(), 1, "nothing came after");
    let stats = t.api.get(&t.path(&format!("/endpoint/{a}/stats"))).await.expect(200);
    assert_eq!(stats["canceled"], 1);
    assert_eq!(t.look(&a).await["disabled"], false);
    t.api.post(&t.path("/msg/msg_0000000000000000000000000/cancel"), "").await.expect(404);
    t.api.post(&t.path(&format!("/msg/{message}/endpoint/nowhere/cancel")), "").await.expect(404);
}

#[tokio::test]
async fn what_is_held_is_counted_cancelled_and_never_sent() {
    let t = Tenant::start().await;
    let (held, open) = (t.endpoint("/held", json!({"disabled": true})).await, t.endpoint("/open", json!({})).await);
    let mut messages = Vec::new();
    for (kind, tag, n) in [("a.b", "x", 1), ("a.b", "y", 2), ("c.d", "x", 3), ("c.d", "y", 4)] {
        let message = t.post(&json!({"eventType": kind, "tags": [tag], "payload": {"n": n}})).await;
        t.settled(&message, &open, "success").await;
        messages.push(message);
    }
    for (more, deliveries) in [
        (json!({}), 4),
        (json!({"statuses": ["held"]}), 4),
        (json!({"statuses": ["held"], "endpointId": open}), 0),
        (json!({"endpointId": held, "eventTypes": ["c.d"]}), 2),
        (json!({"tag": "x"}), 2),
        (json!({"filter": {"n": {"gte": 4}}}), 1),
        (json!({"statusCodeClass": 500}), 0),
        (json!({"until": minute_ago(), "since": "2026-11-01T00:00:00Z"}), 0),
    ] {
        assert_eq!(t.would_cancel(more.clone()).await, json!(deliveries), "{more}");
    }
    let key = [("idempotency-key", "k")];
    let body = t.to_cancel(json!({"statuses": ["held"], "eventTypes": ["c.d"]}));
    let begun = t.api.send("POST", "/api/v1/cancel", &key, &body).await.expect(202);
    assert_eq!(t.api.send("POST", "/api/v1/cancel", &key, &body).await.expect(202), begun);
    assert_eq!(t.cancelled(begun["id"].as_str().unwrap()).await, 2);
    for (message, state) in messages.iter().zip(["held", "held", "cancelled", "cancelled"]) {
        assert_eq!(t.state(message, &held).await, state);
        assert_eq!(t.state(message, &open).await, "delivered");
    }
    assert_eq!(t.would_cancel(json!({})).await, 2);
    t.change(&held, json!({"disabled": false})).await;
    t.receiver.wait("/held", 2).await;
    for message in &messages[..2] {
        t.settled(message, &held, "success").await;
    }
    let mut came: Vec<_> = t.receiver.at("/held").iter().map(|a| String::from_utf8_lossy(&a.body).into_owned()).collect();
    came.sort();
    assert_eq!(came, [r#"{"n":1}"#, r#"{"n":2}"#]);
    // What was cancelled can be replayed.
    let replay = json!({"appId": t.app, "since": minute_ago(), "statuses": ["cancelled"]}).to_string();
    t.api.post("/api/v1/replay", &replay).await.expect(202);
    t.receiver.wait("/held", 4).await;
    t.settled(&messages[3], &held, "success").await;
    let entries = t.api.get("/api/v1/audit?what=cancel").await.expect(200);
    assert_eq!(entries["data"].as_array().unwrap().len(), 1, "{entries}");
    for (bad, word) in [
        (json!({"rate": 0}), "rate"),
        (json!({"filter": []}), "filter"),
        (json!({"statuses": ["delivered"]}), "statuses"),
        (json!({"statuses": []}), "statuses"),
        (json!({"statuses": [null]}), "statuses"),
        (json!({"eventTypes": []}), "eventTypes"),
        (json!({"statusCodeClass": 7}), "statusCodeClass"),
        (json!({"newestPer": "n"}), "newestPer"),
    ] {
        t.api.post("/api/v1/cancel", &t.to_cancel(bad)).await.refused(422, word);
    }
}

#[tokio::test]
async fn it_goes_on_after_a_restart_and_can_be_aborted() {
    let mut t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"disabled": true})).await;
    let mut messages = Vec::new();
    for n in 0..20 {
        messages.push(t.send("a.b", &json!(n)).await);
    }
    let id = t.cancel(json!({"rate": 4})).await;
    let path = format!("/api/v1/replay/{id}");
    let done = |shown: &Value| shown["data"]["messagesQueued"].as_u64().unwrap();
    eventually("some are cancelled", || async { Some(t.api.get(&path).await.expect(200)).filter(|shown| done(shown) >= 2) }).await;
    t.restart().await;
    let before = t.api.get(&path).await.expect(200);
    assert_eq!(before["status"], "running");
    eventually("more are", || async { Some(t.api.get(&path).await.expect(200)).filter(|shown| done(shown) > done(&before)) }).await;
    let aborted = t.api.post(&format!("{path}/abort"), "").await.expect(200);
    assert_eq!(aborted["status"], "aborted");
    let rest = t.cancel(json!({})).await;
    let (first, second) = (done(&aborted), t.cancelled(&rest).await.as_u64().unwrap());
    // A step that was under way may cancel one more.
    assert!((19..=20).contains(&(first + second)) && second > 0, "{first} and {second}");
    for message in &messages {
        assert_eq!(t.state(message, &endpoint).await, "cancelled");
    }
    t.change(&endpoint, json!({"disabled": false})).await;
    let marker = t.send("a.b", &json!("marker")).await;
    t.settled(&marker, &endpoint, "success").await;
    assert_eq!(t.receiver.at("/a").len(), 1, "only the marker");
}

#[tokio::test]
async fn the_next_of_a_key_goes_when_its_first_is_cancelled() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [Reply::status(500), Reply::status(200)]);
    let endpoint = t.endpoint("/a", json!({"ordering": {"by": "key"}, "retryPolicy": [3600]})).await;
    let mut messages = Vec::new();
    for n in 1..=3 {
        messages.push(t.post(&json!({"eventType": "a.b", "payload": n, "orderingKey": "k"})).await);
    }
    t.attempted(&messages[0], &endpoint, 1).await;
    assert_eq!(t.cancel_one(&messages[1]).await, 1, "one that waits behind it");
    assert_eq!(t.receiver.at("/a").len(), 1);
    assert_eq!(t.cancel_one(&messages[0]).await, 1);
    t.settled(&messages[2], &endpoint, "success").await;
    let came: Vec<_> = t.receiver.at("/a").iter().map(|a| String::from_utf8_lossy(&a.body).into_owned()).collect();
    assert_eq!(came, ["1", "3"]);
}

#[tokio::test]
async fn what_waits_in_memory_is_taken_out_and_what_flies_is_recorded() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [Reply::Late(Duration::from_millis(1500), 500), Reply::status(200)]);
    let endpoint = t.endpoint("/a", json!({"concurrency": 1, "retryPolicy": [0]})).await;
    let mut messages = Vec::new();
    for n in 1..=4 {
        messages.push(t.send("a.b", &json!(n)).await);
    }
    t.receiver.wait("/a", 1).await;
    for message in &messages[..3] {
        assert_eq!(t.cancel_one(message).await, 1);
    }
    t.settled(&messages[3], &endpoint, "success").await;
    let came: Vec<_> = t.receiver.at("/a").iter().map(|a| String::from_utf8_lossy(&a.body).into_owned()).collect();
    assert_eq!(came, ["1", "4"]);
    t.attempted(&messages[0], &endpoint, 1).await;
    for message in &messages[..3] {
        assert_eq!(t.state(message, &endpoint).await, "cancelled");
    }
}

#[tokio::test]
async fn another_node_does_not_start_what_it_holds() {
    let first = Server::start_on_postgres(&[], 1000).await;
    let second = first.beside().await;
    let receiver = Receiver::start().await;
    let (api, other) = (first.api(), second.api());
    let app = id_of(&api.post("/api/v1/app", r#"{"name": "Tests"}"#).await.expect(201));
    receiver.script("/a", [Reply::Late(Duration::from_millis(2500), 200), Reply::status(200)]);
    let endpoint = json!({"url": receiver.url("/a"), "concurrency": 1});
    api.post(&format!("/api/v1/app/{app}/endpoint"), &endpoint.to_string()).await.expect(201);
    let mut messages = Vec::new();
    for n in 1..=4 {
        let body = json!({"eventType": "a.b", "payload": n}).to_string();
        messages.push(id_of(&api.post(&format!("/api/v1/app/{app}/msg"), &body).await.expect(202)));
    }
    receiver.wait("/a", 1).await;
    assert_eq!(receiver.at("/a")[0].body, "1");
    for message in &messages[1..3] {
        let cancelled = other.post(&format!("/api/v1/app/{app}/msg/{message}/cancel"), "").await.expect(200);
        assert_eq!(cancelled["cancelled"], 1);
    }
    receiver.wait("/a", 2).await;
    assert_eq!(receiver.at("/a")[1].body, "4");
}
