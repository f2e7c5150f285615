//! What became of each message at each endpoint, and whether a receiver got everything.

use crate::fixture::{Tenant, id_of};
use crate::support::{ADMIN_KEY, Reply, eventually, run_with_input};
use serde_json::{Value, json};

impl Tenant {
    /// The whole feed of an endpoint, once it holds so many entries; read in pages of `limit`.
    async fn feed(&self, endpoint: &str, limit: usize, count: usize) -> Vec<Value> {
        let path = self.path(&format!("/endpoint/{endpoint}/ledger?limit={limit}"));
        eventually(&format!("{count} entries"), || async {
            let (mut entries, mut place) = (Vec::new(), String::new());
            loop {
                let page = self.api.get(&format!("{path}{place}")).await.expect(200);
                entries.extend(page["data"].as_array().unwrap().clone());
                if page["done"] == true {
                    return Some(entries).filter(|all| all.len() >= count);
                }
                place = format!("&after={}", page["next"].as_str().unwrap());
            }
        })
        .await
    }

    /// What became of a message at an endpoint: the state and the reason.
    async fn fate(&self, message: &str, endpoint: &str) -> (Value, Value) {
        let ledger = self.api.get(&self.path(&format!("/msg/{message}/ledger"))).await.expect(200);
        let fate = ledger["data"].as_array().unwrap().iter().find(|fate| fate["endpointId"] == endpoint);
        let fate = fate.unwrap_or_else(|| panic!("{endpoint} is not in {ledger}"));
        (fate["state"].clone(), fate["reason"].clone())
    }
}

#[tokio::test]
async fn a_message_says_what_became_of_it_everywhere() {
    let t = Tenant::start().await;
    t.api.post("/api/v1/event-type", &json!({"name": "c.d", "description": ""}).to_string()).await.expect(201);
    t.receiver.script("/bad", [Reply::status(500), Reply::status(500)]);
    let good = t.endpoint("/good", json!({})).await;
    let bad = t.endpoint("/bad", json!({"retryPolicy": [3600]})).await;
    let lost = t.endpoint("/bad", json!({"retryPolicy": []})).await;
    let off = t.endpoint("/off", json!({"disabled": true})).await;
    let typed = t.endpoint("/typed", json!({"eventTypes": ["c.d", "e.*"]})).await;
    let red = t.endpoint("/red", json!({"channels": ["red"]})).await;
    let rich = t.endpoint("/rich", json!({"filter": {"amount": {"gte": 9}}})).await;
    let gone = t.endpoint("/gone", json!({"disabled": true})).await;
    let message = t.send("a.b", &json!({"amount": 5})).await;
    let later = t.endpoint("/later", json!({})).await;
    t.api.delete(&t.path(&format!("/endpoint/{gone}"))).await.expect(204);
    t.settled(&message, &good, "success").await;
    t.settled(&message, &lost, "fail").await;
    t.attempted(&message, &bad, 1).await;
    for (endpoint, state, reason) in [
        (&good, "delivered", None),
        (&bad, "pending", None),
        (&lost, "exhausted", None),
        (&off, "held", Some("disabled")),
        (&typed, "skipped", Some("event_type")),
        (&red, "skipped", Some("channel")),
        (&rich, "skipped", Some("filter")),
        (&gone, "cancelled", Some("endpoint_deleted")),
        (&later, "skipped", Some("made_later")),
    ] {
        assert_eq!(t.fate(&message, endpoint).await, (json!(state), json!(reason)));
    }
    t.change(&typed, json!({"eventTypes": null})).await;
    assert_eq!(t.fate(&message, &typed).await, (json!("skipped"), json!("not_then")));
    t.api.delete(&t.path(&format!("/msg/{message}/content"))).await.expect(204);
    assert_eq!(t.fate(&message, &rich).await, (json!("skipped"), json!("expunged")));
    let (mut place, mut seen) = (String::new(), 0);
    loop {
        let page = t.api.get(&t.path(&format!("/msg/{message}/ledger?limit=4{place}"))).await.expect(200);
        seen += page["data"].as_array().unwrap().len();
        if page["done"] == true {
            assert_eq!(page["next"], Value::Null);
            break;
        }
        place = format!("&after={}", page["next"].as_str().unwrap());
    }
    assert_eq!(seen, 9, "each endpoint once");
    t.api.get(&t.path(&format!("/msg/{message}/ledger?limit=0"))).await.refused(422, "limit");
    t.api.get(&t.path(&format!("/msg/{message}/ledger?after=x"))).await.refused(422, "after");
}

#[tokio::test]
async fn a_feed_names_every_message_once_and_a_receiver_sees_what_it_lacks() {
    let mut t = Tenant::start().await;
    let endpoint = t.endpoint("/all", json!({"eventTypes": null, "channels": ["red"]})).await;
    let mut sent = Vec::new();
    for n in 0..7 {
        t.send("no.thing", &json!(n)).await;
        sent.push(t.post(&json!({"eventType": "a.b", "channels": ["red"], "payload": n})).await);
    }
    let feed = t.feed(&endpoint, 3, 7).await;
    let ids = |feed: &[Value]| feed.iter().map(|entry| entry["msgId"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&feed), sent, "those of others are not in it");
    let mut previous = Value::Null;
    for entry in &feed {
        assert_eq!(entry["previous"], previous, "nothing lies between");
        previous = entry["sequence"].clone();
    }
    assert!(feed.is_sorted_by_key(|entry| entry["sequence"].as_str().unwrap().to_owned()));
    t.restart().await;
    assert_eq!(
        t.feed(&endpoint, 250, 7).await.iter().map(|e| &e["sequence"]).collect::<Vec<_>>(),
        feed.iter().map(|e| &e["sequence"]).collect::<Vec<_>>()
    );
    let behind = t.api.get(&t.path(&format!("/endpoint/{endpoint}/ledger?after={}", sent[4]))).await.expect(200);
    assert_eq!(ids(behind["data"].as_array().unwrap()), sent[5..]);
    assert_eq!(behind["data"][0]["previous"], feed[4]["sequence"]);
    let end =
        t.api.get(&t.path(&format!("/endpoint/{endpoint}/ledger?after={}", behind["next"].as_str().unwrap()))).await.expect(200);
    assert_eq!((&end["data"], &end["done"]), (&json!([]), &json!(true)));
    t.api.get(&t.path(&format!("/endpoint/{endpoint}/ledger?after=nothing"))).await.refused(422, "after");

    let url = t.server.url();
    let diff = |received: &[String]| {
        let args = ["diff", "--app", &t.app, "--endpoint", &endpoint, "--url", &url, "--key", ADMIN_KEY];
        let output = run_with_input(&args, &received.join("\n"));
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = diff(&sent);
    assert_eq!((code, said.trim()), (Some(0), "7 received, 0 missing, 0 on their way, 0 unknown"));
    let stranger = id_of(&t.api.post(&t.path("/msg"), r#"{"eventType": "x.y", "payload": 0}"#).await.expect(202));
    let (code, said) = diff(&[&sent[..2], &sent[3..], std::slice::from_ref(&stranger)].concat());
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("missing {} delivered a.b", sent[2])), "{said}");
    assert!(said.contains(&format!("unknown {stranger}")) && said.contains("6 received, 1 missing"), "{said}");
}
