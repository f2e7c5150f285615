//! A database that goes away: what cannot be accepted is refused at once, nothing is lost, and all goes on by itself.

use crate::{
    own::Own,
    send,
    support::{Options, Receiver, Reply, Server, eventually},
    tenant,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_is_survived() {
    let (own, url) = Own::start();
    let store = format!("{url}/postgres?lease_ms=3000");
    let server = Server::start_as(Options { args: vec![], env: vec![("POSTRIDER_STORE".into(), store)] }).await;
    let (api, receiver) = (server.api(), Receiver::start().await);
    receiver.script("/x", [Reply::status(500), Reply::status(200)]);
    let (app, _) = tenant(&api, &receiver.url("/x"), json!({"retryPolicy": vec![3; 20]})).await;
    send(&api, &app, 1).await;
    receiver.wait("/x", 1).await;

    own.run(&["halt"]);
    let path = format!("/api/v1/app/{app}/msg");
    let body = r#"{"eventType": "a.b", "payload": {"number": 2}}"#;
    let key = [("idempotency-key", "two")];
    let asked = Instant::now();
    let refused = api.send("POST", &path, &key, body).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(!refused.header("retry-after").is_empty());
    println!("refused after {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(10));

    own.run(&["resume"]);
    let accepted = eventually("it is accepted again", || async {
        Some(api.send("POST", &path, &key, body).await).filter(|answer| answer.status == 202)
    })
    .await;
    let again = api.send("POST", &path, &key, body).await.expect(202);
    assert_eq!(accepted.json()["id"], again["id"], "a repetition is the same message");
    // The retry of the first, and the second: each by itself, and no message twice.
    let arrived = receiver.wait("/x", 3).await;
    let second = arrived.iter().filter(|arrival| arrival.body.ends_with(b"2}")).count();
    assert_eq!((arrived.len(), second), (3, 1));
}
