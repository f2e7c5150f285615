//! Erasing: every trace goes, the rest stays, and a receipt is kept.

use crate::fixture::{Tenant, id_of};
use crate::support::{Reply, eventually};
use serde_json::{Value, json};

impl Tenant {
    /// Erases, and waits for the receipt.
    async fn erase(&self, body: Value) -> Value {
        let id = id_of(&self.api.post("/api/v1/erase", &body.to_string()).await.expect(202));
        eventually("the receipt", || async {
            let receipt = self.api.get(&format!("/api/v1/erase/{id}")).await.expect(200);
            Some(receipt).filter(|receipt| receipt["status"] == "finished")
        })
        .await
    }
}

#[tokio::test]
async fn every_trace_of_the_messages_goes_and_a_receipt_is_kept() {
    let mut t = Tenant::start().await;
    t.receiver.script("/bad", [Reply::status(500).body("about 7")]);
    let good = t.endpoint("/good", json!({})).await;
    let bad = t.endpoint("/bad", json!({"retryPolicy": [3600]})).await;
    t.endpoint("/off", json!({"disabled": true})).await;
    let mut messages = Vec::new();
    for (user, tags) in [(7, json!(["eu"])), (8, json!(["eu"])), (7, json!(null)), (9, json!(null))] {
        let event = format!("evt-{}", messages.len());
        let body = json!({"eventType": "a.b", "eventId": event, "tags": tags, "payload": {"user": {"id": user}}});
        let message = t.post(&body).await;
        t.settled(&message, &good, "success").await;
        t.attempted(&message, &bad, 1).await;
        messages.push(message);
    }
    for (bad, word) in [(json!({}), "tag"), (json!({"path": "user.id"}), "value"), (json!({"path": "a..b", "value": 1}), "path")] {
        t.api.post("/api/v1/erase", &bad.to_string()).await.refused(422, word);
    }
    let receipt = t.erase(json!({"appId": t.app, "path": "user.id", "value": 7})).await;
    assert_eq!((&receipt["count"], receipt["digest"].as_str().unwrap().len()), (&json!(2), 64));
    for (n, there) in [(0, false), (1, true), (2, false), (3, true)] {
        let status = if there { 200 } else { 404 };
        t.api.get(&t.path(&format!("/msg/{}", messages[n]))).await.expect(status);
        t.api.get(&t.path(&format!("/msg/evt-{n}"))).await.expect(status);
    }
    for endpoint in [&good, &bad] {
        let attempts = t.api.get(&t.path(&format!("/attempt/endpoint/{endpoint}?limit=100"))).await.expect(200);
        assert_eq!(attempts["data"].as_array().unwrap().len(), 2);
        assert!(!attempts.to_string().contains(&messages[0]));
    }
    let none = t.erase(json!({"path": "user.id", "value": 7})).await;
    assert_eq!((&none["count"], &none["digest"]), (&json!(0), &json!("")));
    assert_eq!(t.erase(json!({"tag": "eu"})).await["count"], 1, "in all applications");
    t.restart().await;
    let listed = t.api.get("/api/v1/erase").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);
    assert_eq!(listed["data"][2], receipt, "the receipt says the same for good");
    assert!(!listed.to_string().contains("user.id"), "and names nobody");
    t.api.get(&t.path(&format!("/msg/{}", messages[3]))).await.expect(200);
    t.api.delete(&t.path(&format!("/msg/{}/content", messages[3]))).await.expect(204);
    let blind = t.erase(json!({"path": "user.id", "value": 9})).await;
    assert_eq!((&blind["count"], &blind["unreadable"]), (&json!(0), &json!(1)), "nobody can tell any more");
}
