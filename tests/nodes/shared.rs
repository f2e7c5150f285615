//! What holds for all nodes together: configuration and limits.

use crate::{
    known, send,
    support::{Receiver, Server, eventually},
    tenant,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_reaches_the_other_nodes() {
    let first = Server::start_on_postgres(&[], 5000).await;
    let second = first.beside().await;
    let receiver = Receiver::start().await;
    let (app, endpoint) = tenant(&first.api(), &receiver.url("/x"), json!({})).await;
    let made = Instant::now();
    let api = second.api();
    let path = format!("/api/v1/app/{app}/msg");
    let body = r#"{"eventType": "a.b", "payload": {}}"#;
    eventually("the other node knows the application and its endpoint", || async {
        let _known_later = api.try_post(&path, body).await.unwrap();
        (!receiver.at("/x").is_empty()).then_some(())
    })
    .await;
    println!("known to the other node after {:?}", made.elapsed());
    // Deleted there, it is gone here.
    assert_eq!(api.delete(&format!("/api/v1/app/{app}/endpoint/{endpoint}")).await.status, 204);
    let here = first.api();
    eventually("the first node forgets the endpoint", || async {
        let before = receiver.at("/x").len();
        let sent = here.post(&path, body).await.expect(202);
        let listed = here.get(&format!("{path}/{}/endpoint", sent["id"].as_str().unwrap())).await.expect(200);
        tokio::time::sleep(Duration::from_millis(50)).await;
        (listed["data"].as_array().unwrap().is_empty() && receiver.at("/x").len() == before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_holds_for_all_nodes() {
    const RATE: u64 = 5;
    const MESSAGES: u64 = 30;
    let first = Server::start_on_postgres(&[], 5000).await;
    let (second, third) = (first.beside().await, first.beside().await);
    let receiver = Receiver::start().await;
    let (app, _) = tenant(&first.api(), &receiver.url("/x"), json!({"throttleRate": RATE})).await;
    for node in [&second, &third] {
        known(&node.api(), &app).await;
    }
    for number in 1..=MESSAGES {
        let node = [&first, &second, &third][usize::try_from(number % 3).unwrap()];
        send(&node.api(), &app, number).await;
    }
    let wanted = usize::try_from(MESSAGES).unwrap();
    let arrived = eventually("all arrive", || async {
        let all = receiver.at("/x").into_iter().filter(|arrival| !arrival.body.ends_with(b" 0}"));
        Some(all.collect::<Vec<_>>()).filter(|all| all.len() >= wanted)
    })
    .await;
    assert_eq!(arrived.len(), wanted, "each once");
    let took = arrived.last().unwrap().at - arrived.first().unwrap().at;
    println!("{MESSAGES} messages at {RATE}/s through three nodes took {took:?}");
    // The bucket may let one more go at the start.
    assert!(took >= Duration::from_secs((MESSAGES - 2) / RATE), "{took:?}");
}
