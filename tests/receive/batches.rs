//! Batches: one message for each element, each known by its own id.

use crate::{
    fixture::Hub,
    signed::{SECRET, Signed, github, hubspot, now, xero},
};
use serde_json::{Value, json};

fn element(id: u32, kind: &str) -> Value {
    json!({"eventId": id, "subscriptionType": kind, "portalId": 1, "occurredAt": 1, "attemptNumber": 0, "objectId": 7})
}

#[tokio::test]
async fn the_elements_of_a_batch_are_messages_of_their_own() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "hubspot-v3", "secret": SECRET, "split": true})).await;
    hub.endpoint("/made", json!({"eventTypes": ["hubspot-v3.contact.creation"]})).await;
    let deliver = async |elements: &[Value]| {
        let body = Value::from(elements.to_vec()).to_string();
        let request: Signed = hubspot(&hub.url(&source), &body, now());
        let answer = hub.deliver(&source.path, &request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let (first, second) = (element(1, "contact.creation"), element(2, "contact.deletion"));
    deliver(&[first.clone(), second.clone()]).await;
    deliver(&[second, element(3, "contact.creation"), first.clone()]).await;
    let events = hub.events(&source).await;
    let mut ids: Vec<&str> = events.iter().map(|event| event["origin"]["eventId"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["1", "2", "3"]);
    let arrivals = hub.receiver.wait("/made", 2).await;
    assert_eq!(arrivals.len(), 2);
    assert!(arrivals.iter().any(|arrival| arrival.body == first.to_string()));
}

#[tokio::test]
async fn elements_without_ids_are_known_by_their_request_and_their_place() {
    let hub = Hub::start().await;
    let split = hub.source(json!({"provider": "xero", "secret": SECRET, "split": true})).await;
    let whole = hub.source(json!({"provider": "xero", "secret": SECRET})).await;
    let event = json!({"resourceId": "1", "eventType": "UPDATE", "eventCategory": "INVOICE"});
    let twins = json!({"events": [event, event], "firstEventSequence": 1}).to_string();
    for _ in 0..2 {
        assert_eq!(hub.deliver(&split.path, &xero(&twins)).await.status, 200);
        assert_eq!(hub.deliver(&whole.path, &xero(&twins)).await.status, 200);
    }
    assert_eq!(hub.events(&split).await.len(), 2, "the repetition is one, the twins are two events");
    assert_eq!(hub.events(&whole).await.len(), 2, "a single event without an id is never a duplicate");
    let next = json!({"events": [event, event], "firstEventSequence": 3}).to_string();
    assert_eq!(hub.deliver(&split.path, &xero(&next)).await.status, 200);
    assert_eq!(hub.events(&split).await.len(), 4, "another request has other events");
}

#[tokio::test]
async fn an_event_with_a_very_long_id_is_received_once() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    for id in ["a".repeat(2000), "a".repeat(2000), "a".repeat(2001), "b".repeat(20_000), "b".repeat(20_000)] {
        assert_eq!(hub.deliver(&source.path, &github("push", &id, Signed::json("{}"))).await.status, 200);
    }
    let events = hub.events(&source).await;
    assert_eq!(events.len(), 3);
    assert!(events[0]["origin"]["eventId"].as_str().unwrap().starts_with("sha256:"), "{}", events[0]);
}
