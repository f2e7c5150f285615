//! Replays: what is chosen, at what pace, behind live traffic, through restarts.

use crate::fixture::{Tenant, id_of};
use crate::support::{Receiver, Reply, Server, eventually};
use serde_json::{Value, json};
use std::time::Duration;

fn minute_ago() -> String {
    (jiff::Timestamp::now() - Duration::from_secs(60)).to_string()
}

impl Tenant {
    /// A replay of this application's messages of the last minute; its id.
    async fn replay(&self, more: Value) -> String {
        id_of(&self.api.post("/api/v1/replay", &self.asked(more)).await.expect(202))
    }

    fn asked(&self, more: Value) -> String {
        let mut body = json!({"appId": self.app, "since": minute_ago()});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    }

    /// Waits until a replay has this status.
    async fn ended(&self, id: &str, status: &str) -> Value {
        eventually(&format!("the replay is {status}"), || async {
            let replay = self.api.get(&format!("/api/v1/replay/{id}")).await.expect(200);
            Some(replay).filter(|replay| replay["status"] == status)
        })
        .await
    }

    /// How many deliveries a replay would make, counted only.
    async fn counted(&self, more: Value) -> Value {
        let preview = self.api.post("/api/v1/replay/preview", &self.asked(more)).await.expect(200);
        assert_eq!(preview["complete"], true);
        preview["deliveries"].clone()
    }

    fn bodies(&self, path: &str) -> Vec<String> {
        self.receiver.at(path).iter().map(|a| String::from_utf8_lossy(&a.body).into_owned()).collect()
    }
}

/// Deliveries that there are, however they stand.
const ANY: [&str; 4] = ["delivered", "exhausted", "pending", "cancelled"];

#[tokio::test]
async fn a_replay_chooses_and_counts() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [200, 500, 200, 500].map(Reply::status));
    let endpoint = t.endpoint("/a", json!({"retryPolicy": []})).await;
    let mut messages = Vec::new();
    for (n, (kind, tags)) in
        [("a.b", json!(["x"])), ("a.b", json!(null)), ("c.d", json!(null)), ("c.d", json!(["x"]))].iter().enumerate()
    {
        let message = t.post(&json!({"eventType": kind, "tags": tags, "payload": {"n": n}})).await;
        t.settled(&message, &endpoint, if n % 2 == 0 { "success" } else { "fail" }).await;
        messages.push(message);
    }
    let later = t.endpoint("/later", json!({"retryPolicy": []})).await;
    for (more, deliveries) in [
        (json!({}), 2),
        (json!({"statuses": ["delivered"]}), 2),
        (json!({"statuses": ["delivered", "exhausted"]}), 4),
        (json!({"statuses": ["delivered", "exhausted"], "eventTypes": ["c.d"]}), 2),
        (json!({"statuses": ["delivered", "exhausted"], "tag": "x"}), 2),
        (json!({"statuses": ["delivered", "exhausted"], "filter": {"n": {"gte": 3}}}), 1),
        (json!({"statuses": ["missing"]}), 4),
        (json!({"statuses": ["missing"], "endpointId": endpoint}), 0),
        (json!({"statuses": ["pending"]}), 0),
        (json!({"statuses": ANY, "statusCodeClass": 500}), 2),
        (json!({"statuses": ANY, "until": minute_ago(), "since": "2026-11-01T00:00:00Z"}), 0),
    ] {
        assert_eq!(t.counted(more.clone()).await, json!(deliveries), "{more}");
    }
    assert_eq!(t.receiver.at("/a").len(), 4, "counting sends nothing");
    let replay = t.replay(json!({"statuses": ["missing", "delivered"], "eventTypes": ["c.d"]})).await;
    let ended = t.ended(&replay, "finished").await;
    assert_eq!((&ended["data"]["messagesQueued"], &ended["progress"]), (&json!(3), &json!(1.0)));
    assert_eq!(ended["data"]["deliveriesTotal"], 3);
    t.receiver.wait("/later", 2).await;
    t.receiver.wait("/a", 5).await;
    assert_eq!(t.bodies("/a")[4], r#"{"n":2}"#);
    let attempt = t.attempted(&messages[2], &endpoint, 2).await.remove(0);
    assert_eq!(attempt["triggerType"], 1);
    t.settled(&messages[3], &later, "success").await;
    let listed = t.api.get("/api/v1/replay").await.expect(200);
    assert_eq!(listed["data"][0]["id"], *replay);
    for (bad, word) in [
        (json!({"rate": 0}), "rate"),
        (json!({"filter": []}), "filter"),
        (json!({"newestPer": "a..b"}), "newestPer"),
        (json!({"newestPer": "a", "newestPerOrderingKey": true}), "newestPerOrderingKey"),
        (json!({"statuses": ["lost"]}), "statuses"),
        (json!({"statuses": []}), "statuses"),
        (json!({"statuses": [null]}), "statuses"),
        (json!({"eventTypes": []}), "eventTypes"),
        (json!({"since": "2020-01-01T00:00:00Z"}), "since"),
        (json!({"wrong": 1}), "wrong"),
    ] {
        t.api.post("/api/v1/replay", &t.asked(bad)).await.refused(422, word);
    }
    t.api.get(&format!("/api/v1/replay/{endpoint}")).await.expect(404);
}

#[tokio::test]
async fn only_the_newest_of_a_key_is_replayed() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({})).await;
    for (order, n) in [("x", 1), ("y", 2), ("x", 3), ("z", 4), ("y", 5)] {
        let message = t.send("a.b", &json!({"order": {"id": order}, "n": n})).await;
        t.settled(&message, &endpoint, "success").await;
    }
    let replay = t.replay(json!({"statuses": ["delivered"], "newestPer": "order.id"})).await;
    assert_eq!(t.ended(&replay, "finished").await["data"]["messagesQueued"], 3);
    t.receiver.wait("/a", 8).await;
    let mut replayed = t.bodies("/a")[5..].to_vec();
    replayed.sort();
    assert_eq!(replayed, [(3, "x"), (4, "z"), (5, "y")].map(|(n, order)| json!({"order": {"id": order}, "n": n}).to_string()));
}

#[tokio::test]
async fn only_the_newest_of_an_ordering_key_is_replayed() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"ordering": {"by": "key"}})).await;
    for (key, n) in [(Some("x"), 1), (Some("y"), 2), (None, 3), (Some("x"), 4), (None, 5)] {
        let message = t.post(&json!({"eventType": "a.b", "payload": n, "orderingKey": key})).await;
        t.settled(&message, &endpoint, "success").await;
    }
    let replay = t.replay(json!({"statuses": ["delivered"], "newestPerOrderingKey": true})).await;
    assert_eq!(t.ended(&replay, "finished").await["data"]["messagesQueued"], 4);
    t.receiver.wait("/a", 9).await;
    let mut replayed = t.bodies("/a")[5..].to_vec();
    replayed.sort();
    assert_eq!(replayed, ["2", "3", "4", "5"]);
}

#[tokio::test]
async fn the_newest_is_the_newest_that_is_chosen() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [500, 500, 500].map(Reply::status));
    t.api.post("/api/v1/event-type", &json!({"name": "o.created", "description": ""}).to_string()).await.expect(201);
    let created = t.endpoint("/a", json!({"eventTypes": ["o.created"], "retryPolicy": []})).await;
    let all = t.endpoint("/all", json!({"retryPolicy": []})).await;
    for key in ["x", "y", "z"] {
        for kind in ["o.created", "o.paid"] {
            let message = t.post(&json!({"eventType": kind, "payload": {}, "orderingKey": key})).await;
            t.settled(&message, &all, "success").await;
            if kind == "o.created" {
                t.settled(&message, &created, "fail").await;
            }
        }
    }
    let newest = |endpoint: &str, status: &str| json!({"endpointId": endpoint, "statuses": [status], "newestPerOrderingKey": true});
    assert_eq!(t.counted(newest(&created, "exhausted")).await, 3, "what the endpoint never gets hides nothing");
    assert_eq!(t.counted(newest(&all, "delivered")).await, 3);
    let both = json!({"statuses": ["delivered", "exhausted"], "newestPerOrderingKey": true});
    assert_eq!(t.counted(both).await, 6, "of each endpoint its own");
    // A payload that is gone cannot be sent, and hides nothing either.
    let gone = t.post(&json!({"eventType": "o.created", "payload": {}, "orderingKey": "x"})).await;
    t.settled(&gone, &all, "success").await;
    t.api.delete(&t.path(&format!("/msg/{gone}/content"))).await.expect(204);
    assert_eq!(t.counted(newest(&all, "delivered")).await, 3);
    let replay = t.replay(newest(&created, "exhausted")).await;
    assert_eq!(t.ended(&replay, "finished").await["data"]["messagesQueued"], 3);
}

#[tokio::test]
async fn a_replay_keeps_its_pace_survives_a_restart_and_can_be_aborted() {
    let mut t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({})).await;
    for n in 0..30 {
        t.send("a.b", &json!(n)).await;
    }
    t.receiver.wait("/a", 30).await;
    for last in t.api.get(&t.path("/msg?limit=30")).await.expect(200)["data"].as_array().unwrap() {
        t.settled(last["id"].as_str().unwrap(), &endpoint, "success").await;
    }
    let replay = t.replay(json!({"statuses": ["delivered"], "rate": 4, "endpointId": endpoint})).await;
    let began = tokio::time::Instant::now();
    t.receiver.wait("/a", 34).await;
    t.restart().await;
    t.receiver.wait("/a", 40).await;
    assert!(began.elapsed() >= Duration::from_millis(2000), "ten at four a second: {:?}", began.elapsed());
    let running = t.api.get(&format!("/api/v1/replay/{replay}")).await.expect(200);
    assert_eq!(running["status"], "running");
    // Of the deliveries: all messages were made in the last second of a span of a minute.
    assert_eq!(running["data"]["deliveriesTotal"], 30);
    let (progress, done) = (running["progress"].as_f64().unwrap(), running["data"]["messagesQueued"].as_f64().unwrap());
    assert!((9.0..30.0).contains(&done) && (progress - done / 30.0).abs() < 1e-9, "{progress} {done}");
    let aborted = t.api.post(&format!("/api/v1/replay/{replay}/abort"), "").await.expect(200);
    assert_eq!(aborted["status"], "aborted");
    let queued = aborted["data"]["messagesQueued"].as_u64().unwrap();
    // A step that was under way may queue one more.
    let marker = t.send("a.b", &json!("marker")).await;
    t.settled(&marker, &endpoint, "success").await;
    let came = t.receiver.at("/a").len() - 31;
    assert!(came as u64 <= queued + 2 && came < 25, "{came} came, {queued} were queued");
    assert_eq!(t.api.post(&format!("/api/v1/replay/{replay}/abort"), "").await.expect(200)["status"], "aborted");
}

#[tokio::test]
async fn replays_of_an_application_that_run_at_once_are_bounded() {
    let t = Tenant::start().await;
    t.endpoint("/a", json!({})).await;
    for n in 0..30 {
        t.send("a.b", &json!(n)).await;
    }
    t.receiver.wait("/a", 30).await;
    let since = (jiff::Timestamp::now() - jiff::SignedDuration::from_secs(60)).to_string();
    let slow = json!({"appId": t.app, "since": since, "statuses": ["delivered", "pending"], "rate": 1}).to_string();
    let mut last = String::new();
    for _ in 0..20 {
        last = t.api.post("/api/v1/replay", &slow).await.expect(202)["id"].as_str().unwrap().to_owned();
    }
    t.api.post("/api/v1/replay", &slow).await.refused(409, "At most 20");
    t.api.post("/api/v1/cancel", &json!({"appId": t.app, "since": since}).to_string()).await.refused(409, "At most 20");
    // Another application has room, and so has this one once something has ended.
    let other = t.api.post("/api/v1/app", r#"{"name": "other"}"#).await.expect(201);
    t.api.post("/api/v1/replay", &json!({"appId": other["id"], "since": since}).to_string()).await.expect(202);
    t.api.post(&format!("/api/v1/replay/{last}/abort"), "").await.expect(200);
    t.api.post("/api/v1/replay", &slow).await.expect(202);
}

#[tokio::test]
async fn replays_never_count_against_an_endpoint() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"retryPolicy": []})).await;
    let message = t.send("a.b", &json!(1)).await;
    t.settled(&message, &endpoint, "success").await;
    t.receiver.script("/a", [410, 200].map(Reply::status));
    let replay = t.replay(json!({"statuses": ["delivered"]})).await;
    t.ended(&replay, "finished").await;
    t.attempted(&message, &endpoint, 2).await;
    let second = t.send("a.b", &json!(2)).await;
    t.settled(&second, &endpoint, "success").await;
    assert_eq!(t.look(&endpoint).await["disabled"], false);
    assert_eq!(t.delivery(&message, &endpoint).await["statusText"], "success", "what was delivered stays so");
}

#[tokio::test]
async fn clients_replay_what_is_missing_and_in_bulk() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [200, 500].map(Reply::status));
    let old = t.endpoint("/a", json!({"retryPolicy": []})).await;
    for (n, status) in ["success", "fail"].iter().enumerate() {
        let message = t.send("a.b", &json!(n)).await;
        t.settled(&message, &old, status).await;
    }
    let new = t.endpoint("/new", json!({})).await;
    let body = json!({"since": minute_ago()}).to_string();
    let task = t.api.post(&t.path(&format!("/endpoint/{new}/replay-missing")), &body).await.expect(202);
    assert_eq!((&task["status"], &task["task"]), (&json!("running"), &json!("endpoint.replay")));
    t.receiver.wait("/new", 2).await;
    assert_eq!(t.ended(task["id"].as_str().unwrap(), "finished").await["data"]["messagesQueued"], 2);
    let again = t.api.post(&t.path(&format!("/endpoint/{new}/replay-missing")), &body).await.expect(202);
    assert_eq!(t.ended(again["id"].as_str().unwrap(), "finished").await["data"]["messagesQueued"], 0);
    let bulk = json!({"since": minute_ago(), "status": 2, "statusCodeClass": 500}).to_string();
    let task = t.api.post(&t.path(&format!("/endpoint/{old}/bulk-replay")), &bulk).await.expect(202);
    assert_eq!(task["task"], "endpoint.bulk-replay");
    t.receiver.wait("/a", 3).await;
    assert_eq!(t.bodies("/a")[2], "1");
}

#[tokio::test]
async fn another_node_takes_over_a_replay() {
    let mut first = Server::start_on_postgres(&[], 1000).await;
    let second = first.beside().await;
    let receiver = Receiver::start().await;
    let api = first.api();
    let app = id_of(&api.post("/api/v1/app", r#"{"name": "Tests"}"#).await.expect(201));
    let endpoint = json!({"url": receiver.url("/a")});
    api.post(&format!("/api/v1/app/{app}/endpoint"), &endpoint.to_string()).await.expect(201);
    for n in 0..12 {
        api.post(&format!("/api/v1/app/{app}/msg"), &json!({"eventType": "a.b", "payload": n}).to_string()).await.expect(202);
    }
    receiver.wait("/a", 12).await;
    let asked = json!({"appId": app, "since": minute_ago(), "statuses": ["delivered"], "rate": 2});
    let replay = id_of(&api.post("/api/v1/replay", &asked.to_string()).await.expect(202));
    receiver.wait("/a", 15).await;
    first.kill();
    let api = second.api();
    let ended = eventually("the other node finishes it", || async {
        let replay = api.get(&format!("/api/v1/replay/{replay}")).await.expect(200);
        Some(replay).filter(|replay| replay["status"] == "finished")
    })
    .await;
    receiver.wait("/a", 24).await;
    let queued = ended["data"]["messagesQueued"].as_u64().unwrap();
    assert!((11..=12).contains(&queued), "at most the step that was under way is not counted twice: {queued}");
    assert!(receiver.at("/a").len() <= 26, "at most a step, and what was in flight, came once more");
}
