//! How long messages and payloads are kept.

use crate::fixture::Tenant;
use serde_json::{Value, json};

#[tokio::test]
async fn an_application_says_first_then_the_organization_then_the_server() {
    let mut t = Tenant::start().await;
    let own = t.path("/retention");
    let server = json!({"messageHours": null, "payloadHours": null, "inForce": {"messageHours": 2160, "payloadHours": null}});
    assert_eq!(t.api.get(&own).await.expect(200), server);
    assert_eq!(t.api.get("/api/v1/retention").await.expect(200), server);
    t.api.put("/api/v1/retention", r#"{"messageHours": 48, "payloadHours": 3}"#).await.expect(200);
    let said = t.api.put(&own, r#"{"messageHours": 24}"#).await.expect(200);
    assert_eq!(said["inForce"], json!({"messageHours": 24, "payloadHours": 3}));
    t.restart().await;
    assert_eq!(t.api.get(&own).await.expect(200), said);
    let message = t.send("a.b", &json!(1)).await;
    let shown = t.api.get(&t.path(&format!("/msg/{message}"))).await.expect(200);
    assert_eq!(shown["payload"], 1);
    for bad in [json!({"messageHours": 0}), json!({"payloadHours": 87_601}), json!({"hours": 1})] {
        t.api.put(&own, &bad.to_string()).await.expect(422);
    }
    t.api.put(&own, "{}").await.expect(200);
    let left = t.api.get(&own).await.expect(200);
    assert_eq!((&left["messageHours"], &left["inForce"]["messageHours"]), (&Value::Null, &json!(48)));
    t.api.put("/api/v1/retention", r#"{"messageHours": null, "payloadHours": null}"#).await.expect(200);
    assert_eq!(t.api.get(&own).await.expect(200), server);
}

#[tokio::test]
async fn payloads_are_not_kept_longer_than_their_messages() {
    let t = Tenant::start().await;
    let (own, all) = (t.path("/retention"), "/api/v1/retention");
    let refused = async |path: &str, body: Value, field: &str| {
        let answer = t.api.put(path, &body.to_string()).await.expect(422);
        assert_eq!(answer["detail"][0]["loc"], json!(["body", field]), "{answer}");
    };
    refused(all, json!({"messageHours": 10, "payloadHours": 11}), "payloadHours").await;
    // The server keeps messages for 90 days.
    refused(all, json!({"payloadHours": 2161}), "payloadHours").await;
    refused(&own, json!({"payloadHours": 2161}), "payloadHours").await;
    t.api.put(all, r#"{"messageHours": 100, "payloadHours": 50}"#).await.expect(200);
    refused(&own, json!({"payloadHours": 101}), "payloadHours").await;
    refused(&own, json!({"messageHours": 49}), "messageHours").await;
    t.api.put(&own, r#"{"payloadHours": 80}"#).await.expect(200);
    // Where an application would be at odds with what its organization says from now on, it is named.
    let late = t.api.put(all, r#"{"messageHours": 70, "payloadHours": 50}"#).await.expect(422);
    assert!(late["detail"][0]["msg"].as_str().unwrap().contains(&t.app), "{late}");
    t.api.put(all, r#"{"messageHours": 80, "payloadHours": 50}"#).await.expect(200);
    let shown = t.api.get(&own).await.expect(200);
    assert_eq!(shown["inForce"], json!({"messageHours": 80, "payloadHours": 80}));
}
