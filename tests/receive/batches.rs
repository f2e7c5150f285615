//! Batches: one message for each element, each known by its own id.

use crate::{
    fixture::Hub,
    signed::{SECRET, Signed, hubspot, now},
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
