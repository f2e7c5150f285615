//! An application whose hundreds of endpoints hold every attempt for as long as they may, and its neighbours.

use crate::{
    support::Reply,
    tenant::{Tenant, id_of},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Endpoints of the application that takes what it can get: ten attempts at once to each are more than there are slots.
const ENDPOINTS: usize = 450;
/// Messages to each of them.
const MESSAGES: usize = 30;
/// How long each attempt is held before it is answered with 200.
const HELD: Duration = Duration::from_secs(13);
/// Messages of the neighbour, one after the other.
const BESIDE: usize = 20;
/// How long one of them may take, on a machine that is busy with the others.
const PROMPT: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_with_hundreds_of_slow_endpoints_keeps_no_other_waiting() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let greedy = Tenant::start().await;
    greedy.receiver.script("/slow", [Reply::Late(HELD, 200)]);
    for _ in 0..ENDPOINTS {
        greedy.endpoint(&greedy.receiver.url("/slow")).await;
    }
    let neighbour = id_of(&greedy.api.post("/api/v1/app", r#"{"name": "Neighbour"}"#).await.expect(201));
    let beside = json!({"url": greedy.receiver.url("/beside")}).to_string();
    greedy.api.post(&format!("/api/v1/app/{neighbour}/endpoint"), &beside).await.expect(201);
    for _ in 0..MESSAGES {
        greedy.send().await;
    }
    greedy.receiver.wait("/slow", 1500).await;
    for count in 1..=BESIDE {
        let begun = Instant::now();
        let body = r#"{"eventType": "a.b", "payload": {}}"#;
        greedy.api.post(&format!("/api/v1/app/{neighbour}/msg"), body).await.expect(202);
        greedy.receiver.wait("/beside", count).await;
        assert!(begun.elapsed() < PROMPT, "message {count} took {:?}", begun.elapsed());
    }
    assert!(greedy.receiver.at("/slow").len() < ENDPOINTS * MESSAGES / 2, "the others are at it still");
}
