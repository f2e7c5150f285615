//! What is received is durable: its events, and what is known against their repetition.

use crate::{
    fixture::Hub,
    signed::{SECRET, Signed, github},
    support::eventually,
};
use serde_json::json;

#[tokio::test]
async fn duplicates_are_recognised_after_a_crash() {
    let mut hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    hub.endpoint("/hook", json!({})).await;
    let request = |id: &str| github("push", id, Signed::json("{}"));
    assert_eq!(hub.deliver(&source.path, &request("1")).await.status, 200);
    hub.server.kill();
    hub.server.restart().await;
    hub.follow();
    assert_eq!(hub.deliver(&source.path, &request("1")).await.status, 200);
    assert_eq!(hub.deliver(&source.path, &request("2")).await.status, 200);
    let mut ids: Vec<_> = hub.events(&source).await.iter().map(|event| event["origin"]["eventId"].clone()).collect();
    ids.reverse();
    assert_eq!(ids, ["1", "2"]);
}

#[tokio::test]
async fn duplicates_are_counted_and_the_count_is_kept() {
    let mut hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    let stats = format!("/api/v1/source/{}/stats", source.id);
    let request = github("push", "1", Signed::json("{}"));
    assert_eq!(hub.deliver(&source.path, &request).await.status, 200);
    let none = hub.api.get(&stats).await.expect(200);
    assert_eq!((&none["duplicates"], &none["lastDuplicateAt"]), (&json!(0), &json!(null)));
    for _ in 0..3 {
        assert_eq!(hub.deliver(&source.path, &request).await.status, 200);
    }
    let three = hub.api.get(&stats).await.expect(200);
    assert_eq!(three["duplicates"], 3);
    assert!(three["lastDuplicateAt"].as_str().is_some_and(|at| at > "2026"), "{three}");
    assert_eq!(hub.server.stop().await, 0);
    hub.server.restart().await;
    hub.follow();
    assert_eq!(hub.api.get(&stats).await.expect(200), three);
    assert_eq!(hub.deliver(&source.path, &request).await.status, 200);
    let four = hub.api.get(&stats).await.expect(200);
    assert_eq!(four["duplicates"], 4);
    assert!(four["lastDuplicateAt"].as_str() > three["lastDuplicateAt"].as_str());
    let other = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    assert_eq!(hub.api.get(&format!("/api/v1/source/{}/stats", other.id)).await.expect(200)["duplicates"], 0);
}

#[tokio::test]
async fn twins_at_the_same_time_make_one_message() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    let request = github("push", "1", Signed::json("{}"));
    let answers = futures_util::future::join_all((0..20).map(|_| hub.deliver(&source.path, &request))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(hub.events(&source).await.len(), 1);
}

#[tokio::test]
async fn without_a_window_nothing_is_a_duplicate() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET, "dedupWindow": 0})).await;
    let request = github("push", "1", Signed::json("{}"));
    for _ in 0..2 {
        assert_eq!(hub.deliver(&source.path, &request).await.status, 200);
    }
    assert_eq!(hub.events(&source).await.len(), 2);
    let forgetful = hub.source(json!({"provider": "github", "secret": SECRET, "dedupWindow": 1})).await;
    assert_eq!(hub.deliver(&forgetful.path, &request).await.status, 200);
    eventually("the window ends", || async {
        assert_eq!(hub.deliver(&forgetful.path, &request).await.status, 200);
        (hub.events(&forgetful).await.len() > 1).then_some(())
    })
    .await;
}
