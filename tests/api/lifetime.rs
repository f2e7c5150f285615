//! Starting and stopping: a graceful stop loses nothing.

use crate::fixture::Tenant;
use crate::support::eventually;
use serde_json::json;
use std::collections::HashSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_ends_well_and_loses_nothing() {
    let mut t = Tenant::start().await;
    t.endpoint("/a", json!({"retryPolicy": [1, 1, 1, 1]})).await;
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (api, path) = (t.api.clone(), t.path("/msg"));
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                // Until the server turns requests away, or is gone.
                while let Ok(answer) = api.try_post(&path, r#"{"eventType":"a.b","payload":{"n":1}}"#).await {
                    if answer.status != 202 {
                        assert!(answer.status >= 500, "{} {}", answer.status, answer.text());
                        break;
                    }
                    accepted.push(answer.json()["id"].as_str().unwrap().to_owned());
                }
                accepted
            })
        })
        .collect();
    t.receiver.wait("/a", 100).await;
    assert_eq!(t.server.stop().await, 0);
    let mut accepted = HashSet::new();
    for client in clients {
        accepted.extend(client.await.unwrap());
    }
    assert!(accepted.len() >= 100);
    t.server.restart().await;
    let missing = || async {
        let came: HashSet<String> = t.receiver.at("/a").iter().map(|a| a.header("webhook-id").to_owned()).collect();
        accepted.is_subset(&came).then_some(())
    };
    eventually("everything that was accepted has arrived", missing).await;
    let came = t.receiver.at("/a").len();
    println!("{} accepted, {came} arrived", accepted.len());
}

#[tokio::test]
async fn what_was_configured_is_there_after_a_restart() {
    let mut t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"uid": "mine", "channels": ["c"], "metadata": {"k": "v"}, "retryPolicy": [1, 2]})).await;
    let before = t.look(&endpoint).await;
    t.restart().await;
    assert_eq!(t.look("mine").await, before);
    t.post(&json!({"eventType": "a.b", "channels": ["c"], "payload": 1})).await;
    t.receiver.wait("/a", 1).await;
}
