//! Requests that are repeated do their work once.

use crate::fixture::{Tenant, texts};
use crate::support::Answer;
use serde_json::json;

async fn post_with(t: &Tenant, path: &str, key: &str, body: &str) -> Answer {
    t.api.send("POST", path, &[("idempotency-key", key)], body).await
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer() {
    let mut t = Tenant::start().await;
    t.endpoint("/a", json!({})).await;
    let body = r#"{"eventType":"a.b","payload":{"n":1}}"#;
    let first = post_with(&t, &t.path("/msg"), "key-1", body).await;
    let message = first.expect(202);
    let second = post_with(&t, &t.path("/msg"), "key-1", body).await;
    assert_eq!(second.expect(202)["id"], message["id"]);
    let refused = post_with(&t, &t.path("/msg"), "key-1", &body.replace('1', "2")).await;
    assert!((400..500).contains(&refused.status), "another body under the same key: {} {}", refused.status, refused.text());
    let other = post_with(&t, &t.path("/msg"), "key-2", body).await.expect(202);
    assert_ne!(other["id"], message["id"]);
    t.restart().await;
    assert_eq!(post_with(&t, &t.path("/msg"), "key-1", body).await.expect(202)["id"], message["id"], "also after a restart");
    t.receiver.wait("/a", 2).await;
    let listed = t.api.get(&t.path("/msg")).await.expect(200);
    assert_eq!(texts(&listed["data"], "id").len(), 2);

    let app = r#"{"name":"Once"}"#;
    let made = post_with(&t, "/api/v1/app", "key-3", app).await.expect(201);
    assert_eq!(post_with(&t, "/api/v1/app", "key-3", app).await.expect(201)["id"], made["id"]);
    let url = json!({"url": t.receiver.url("/b")}).to_string();
    let made = post_with(&t, &t.path("/endpoint"), "key-4", &url).await.expect(201);
    assert_eq!(post_with(&t, &t.path("/endpoint"), "key-4", &url).await.expect(201)["id"], made["id"]);
}

#[tokio::test]
async fn many_repetitions_at_once_make_one_message() {
    let t = Tenant::start().await;
    t.endpoint("/a", json!({})).await;
    let (api, path) = (t.api.clone(), t.path("/msg"));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (api, path) = (api.clone(), path.clone());
            tokio::spawn(async move {
                api.send("POST", &path, &[("idempotency-key", "same")], r#"{"eventType":"a.b","payload":1}"#).await
            })
        })
        .collect();
    let mut accepted = Vec::new();
    for task in tasks {
        let answer = task.await.unwrap();
        match answer.status {
            202 => accepted.push(answer.json()["id"].clone()),
            409 => {}
            _ => panic!("{} {}", answer.status, answer.text()),
        }
    }
    accepted.dedup();
    assert_eq!(accepted.len(), 1, "{accepted:?}");
    assert_eq!(texts(&t.api.get(&path).await.expect(200)["data"], "id").len(), 1);
}

#[tokio::test]
async fn an_event_id_is_used_once_in_an_application() {
    let mut t = Tenant::start().await;
    let body = r#"{"eventType":"a.b","eventId":"ev-1","payload":1}"#;
    let first = t.api.post(&t.path("/msg"), body).await.expect(202);
    t.api.post(&t.path("/msg"), body).await.refused(409, "conflict");
    t.restart().await;
    t.api.post(&t.path("/msg"), body).await.refused(409, "conflict");
    assert_eq!(t.api.get(&t.path("/msg/ev-1")).await.expect(200)["id"], first["id"]);
    let other = t.api.post("/api/v1/app", r#"{"name":"Other"}"#).await.expect(201);
    let path = format!("/api/v1/app/{}/msg", other["id"].as_str().unwrap());
    t.api.post(&path, body).await.expect(202);
}
