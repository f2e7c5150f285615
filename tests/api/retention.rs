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
