//! Strict order, and a fixed number of attempts at once: the receiver's log says what was kept.

#![allow(clippy::disallowed_methods, reason = "the seed is chance; the run is not")]

use crate::fixture::Tenant;
use crate::support::{
    Arrival, Reply, eventually,
    order::{Came, judge},
};
use rand::{
    RngExt, SeedableRng, TryRng,
    rngs::{StdRng, SysRng},
};
use serde_json::{Value, json};

/// Keys of the test with chance.
const KEYS: u64 = 20;
/// Messages of each.
const MESSAGES: u64 = 25;
/// Attempts that each gets.
const ATTEMPTS: usize = 4;
/// Endpoints that say that they are gone.
const GONE: usize = 8;

impl Tenant {
    /// Sends a message with a key and a number.
    async fn send_in_order(&self, key: u64, number: u64) -> String {
        let payload = json!({"key": key, "number": number});
        self.post(&json!({"eventType": "a.b", "payload": payload, "orderingKey": format!("key {key}")})).await
    }
}

fn place(arrival: &Arrival) -> (u64, u64) {
    let body: Value = serde_json::from_slice(&arrival.body).unwrap();
    (body["key"].as_u64().unwrap(), body["number"].as_u64().unwrap())
}

fn places(t: &Tenant, path: &str) -> Vec<(u64, u64)> {
    t.receiver.at(path).iter().map(place).collect()
}

#[tokio::test]
async fn a_key_waits_for_its_first_and_others_go_on() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [Reply::status(500), Reply::status(200)]);
    let endpoint = t.endpoint("/a", json!({"ordering": {"by": "key"}, "retryPolicy": [3]})).await;
    assert_eq!(t.look(&endpoint).await["ordering"], json!({"by": "key"}));
    let first = t.send_in_order(1, 1).await;
    let shown = t.api.get(&t.path(&format!("/msg/{first}"))).await.expect(200);
    assert_eq!(shown["orderingKey"], "key 1");
    t.receiver.wait("/a", 1).await;
    t.send_in_order(1, 2).await;
    t.send_in_order(1, 3).await;
    t.send_in_order(2, 1).await;
    t.send("a.b", &json!({"key": 9, "number": 9})).await;
    t.receiver.wait("/a", 3).await;
    let mut others = places(&t, "/a").split_off(1);
    others.truncate(2);
    others.sort_unstable();
    assert_eq!(others, [(2, 1), (9, 9)]);
    t.receiver.wait("/a", 6).await;
    assert_eq!(places(&t, "/a")[3..], [(1, 1), (1, 2), (1, 3)]);
}

#[tokio::test]
async fn one_that_is_given_up_is_waited_for_no_longer() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [500, 500, 400, 200].map(Reply::status));
    t.endpoint("/a", json!({"ordering": {"by": "all"}, "retryPolicy": [0]})).await;
    for number in 1..=3 {
        t.send("a.b", &json!({"key": 1, "number": number})).await;
    }
    t.receiver.wait("/a", 5).await;
    assert_eq!(places(&t, "/a"), [(1, 1), (1, 1), (1, 2), (1, 2), (1, 3)]);
}

#[tokio::test]
async fn what_is_sent_by_hand_does_not_wait() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [Reply::status(500), Reply::status(200)]);
    let ordering = json!({"by": "payload", "path": "key"});
    let endpoint = t.endpoint("/a", json!({"ordering": ordering, "retryPolicy": [4]})).await;
    let mut messages = Vec::new();
    for number in 1..=3 {
        messages.push(t.send("a.b", &json!({"key": 1, "number": number})).await);
    }
    t.receiver.wait("/a", 1).await;
    let resend = t.path(&format!("/msg/{}/endpoint/{endpoint}/resend", messages[1]));
    t.api.post(&resend, "").await.expect(202);
    t.settled(&messages[1], &endpoint, "success").await;
    assert_eq!(places(&t, "/a"), [(1, 1), (1, 2)], "the first still waits for its retry, and the third for the first");
    t.settled(&messages[2], &endpoint, "success").await;
    assert_eq!(places(&t, "/a"), [(1, 1), (1, 2), (1, 1), (1, 3)], "what was delivered by hand is passed over");
}

#[tokio::test]
async fn what_was_held_comes_in_order() {
    let mut t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"ordering": {"by": "key"}, "disabled": true})).await;
    for number in 1..=20 {
        for key in 1..=3 {
            t.send_in_order(key, number).await;
        }
    }
    t.restart().await;
    t.change(&endpoint, json!({"disabled": false})).await;
    t.receiver.wait("/a", 60).await;
    let came: Vec<Came> = places(&t, "/a").into_iter().map(|(key, number)| Came { key, number, taken: true }).collect();
    assert_eq!((came.len(), judge(&came, 1, |_, _| true).messages), (60, 60));
}

/// Chance answers; `kills` times the server is killed meanwhile.
async fn order_under_failures(kills: usize) {
    let seed = SysRng.try_next_u64().unwrap();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut t = Tenant::start().await;
    // Enough for every attempt, and those that are repeated.
    let statuses: Vec<u16> = (0..KEYS * MESSAGES * 8).map(|_| if rng.random_bool(0.3) { 500 } else { 200 }).collect();
    t.receiver.script("/a", statuses.iter().map(|status| Reply::status(*status)));
    let policy = vec![0; ATTEMPTS - 1];
    let endpoint = t.endpoint("/a", json!({"ordering": {"by": "key"}, "retryPolicy": policy})).await;
    let senders = (0..4u64).map(|sender| {
        let (api, path) = (t.api.clone(), t.path("/msg"));
        let order: Vec<u64> = (0..MESSAGES).flat_map(|_| (0..KEYS).filter(move |key| key % 4 == sender)).collect();
        tokio::spawn(async move {
            let mut numbers = [0u64; KEYS as usize];
            for key in order {
                let number = &mut numbers[usize::try_from(key).unwrap()];
                *number += 1;
                let payload = json!({"key": key, "number": number});
                let body = json!({"eventType": "a.b", "payload": payload, "orderingKey": key.to_string()});
                api.post(&path, &body.to_string()).await.expect(202);
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    for _ in 0..kills {
        let more = t.receiver.at("/a").len() + 40;
        eventually("some more came, or all", || async {
            let done = t.receiver.at("/a").len() >= more || depth(&t, &endpoint).await == 0;
            done.then_some(())
        })
        .await;
        t.server.kill();
        t.server.restart().await;
        t.api = t.server.api();
    }
    eventually("nothing is owed", || async { (depth(&t, &endpoint).await == 0).then_some(()) }).await;
    let came = t.receiver.at("/a");
    let came: Vec<Came> = came
        .iter()
        .zip(&statuses)
        .map(|(arrival, status)| {
            let (key, number) = place(arrival);
            Came { key, number, taken: *status == 200 }
        })
        .collect();
    let verdict = judge(&came, ATTEMPTS, |_, _| true);
    println!("{} requests, {verdict:?}", came.len());
    assert_eq!(verdict.messages, usize::try_from(KEYS * MESSAGES).unwrap());
    assert!(came.len() > verdict.messages, "none failed: nothing is proved");
    if kills == 0 {
        assert_eq!(verdict.late, 0, "nothing is repeated without a crash");
    }
}

async fn depth(t: &Tenant, endpoint: &str) -> u64 {
    let lane = t.api.get(&t.path(&format!("/endpoint/{endpoint}/lane"))).await.expect(200);
    lane["depth"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_kept_under_failures() {
    order_under_failures(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_kept_under_failures_and_kills() {
    order_under_failures(4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_key_follows_a_410() {
    let t = Tenant::start().await;
    let mut endpoints = Vec::new();
    for n in 0..GONE {
        let path = format!("/gone{n}");
        t.receiver.script(&path, [410, 200].map(Reply::status));
        let endpoint = t.endpoint(&path, json!({"ordering": {"by": "key"}, "disabled": true})).await;
        endpoints.push((endpoint, path));
    }
    let mut messages = Vec::new();
    for number in 1..=10 {
        messages.push(t.send_in_order(1, number).await);
    }
    for (endpoint, _) in &endpoints {
        t.change(endpoint, json!({"disabled": false})).await;
    }
    for (endpoint, _) in &endpoints {
        t.settled(&messages[0], endpoint, "fail").await;
        assert_eq!(t.look(endpoint).await["disabled"], true, "before its attempt is to be seen");
    }
    // What was let out has come by now.
    let other = t.endpoint("/well", json!({})).await;
    let marker = t.send_in_order(2, 1).await;
    t.settled(&marker, &other, "success").await;
    for (endpoint, path) in &endpoints {
        assert_eq!(places(&t, path), [(1, 1)]);
        t.change(endpoint, json!({"disabled": false})).await;
    }
    for (_, path) in &endpoints {
        t.receiver.wait(path, 11).await;
        let came: Vec<_> = places(&t, path).into_iter().filter(|(key, _)| *key == 1).collect();
        assert_eq!(came, (1..=10).map(|number| (1, number)).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_fixed_number_of_attempts_runs_at_once() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [Reply::Hang]);
    let endpoint = t.endpoint("/a", json!({"concurrency": 3})).await;
    assert_eq!(t.look(&endpoint).await["concurrency"], 3);
    for n in 0..20 {
        t.send("a.b", &json!(n)).await;
    }
    t.receiver.wait("/a", 3).await;
    let lane = t.api.get(&t.path(&format!("/endpoint/{endpoint}/lane"))).await.expect(200);
    assert_eq!((&lane["inFlight"], &lane["limits"]["concurrency"], &lane["depth"]), (&json!(3), &json!(3), &json!(20)));
    // Others were accepted, and would have gone by now.
    let other = t.endpoint("/b", json!({})).await;
    let message = t.send("a.b", &json!("x")).await;
    t.settled(&message, &other, "success").await;
    assert_eq!(t.receiver.at("/a").len(), 3);
    t.change(&endpoint, json!({"concurrency": null})).await;
    assert_eq!(t.look(&endpoint).await["concurrency"], Value::Null);
}

#[tokio::test]
async fn what_is_no_order_is_refused() {
    let t = Tenant::start().await;
    let url = t.receiver.url("/a");
    for (wrong, field) in [
        (json!({"url": url, "ordering": "key"}), "ordering"),
        (json!({"url": url, "ordering": {"by": "payload"}}), "ordering"),
        (json!({"url": url, "concurrency": 0}), "concurrency"),
    ] {
        t.api.post(&t.path("/endpoint"), &wrong.to_string()).await.refused(422, field);
    }
    let long = json!({"eventType": "a.b", "payload": 1, "orderingKey": "k".repeat(257)});
    t.api.post(&t.path("/msg"), &long.to_string()).await.refused(422, "orderingKey");
}
