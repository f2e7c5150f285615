//! Several nodes on one database: one of them tells.

use crate::{
    catcher::Catcher,
    support::{Receiver, Reply, Server, database, eventually},
    tenant::{text, to},
};
use serde_json::json;

#[tokio::test]
async fn of_several_nodes_one_tells() {
    let (mail, receiver) = (Catcher::start().await, Receiver::start().await);
    let args = to(&mail);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut nodes = vec![Server::start_on_postgres(&args, database::LEASE_MS).await];
    for _ in 0..2 {
        nodes.push(nodes[0].beside().await);
    }
    let api = nodes[0].api();
    let app = text(&api.post("/api/v1/app", r#"{"name": "Acme"}"#).await.expect(201), "id");
    let body = json!({"url": receiver.url("/down"), "retryPolicy": []}).to_string();
    receiver.script("/down", [Reply::status(503)]);
    api.post(&format!("/api/v1/app/{app}/endpoint"), &body).await.expect(201);
    let rule = json!({"name": "Down", "condition": {"type": "failing"}, "emails": ["ann@example.com"], "cooldownSeconds": 1, "operational": false});
    let rule = text(&api.post("/api/v1/alert", &rule.to_string()).await.expect(201), "id");
    for node in &nodes {
        let sent = eventually("the application is known everywhere", || async {
            let body = r#"{"eventType": "a.b", "payload": {}}"#;
            let answer = node.api().post(&format!("/api/v1/app/{app}/msg"), body).await;
            (answer.status == 202).then_some(())
        });
        sent.await;
    }
    mail.wait(1).await;
    receiver.script("/down", [Reply::status(200)]);
    for node in &nodes {
        node.api().post(&format!("/api/v1/app/{app}/msg"), r#"{"eventType": "a.b", "payload": {}}"#).await.expect(202);
    }
    mail.wait(2).await;
    let notices = api.get(&format!("/api/v1/alert/{rule}/notice")).await.expect(200);
    let told: u64 = notices["data"].as_array().unwrap().iter().map(|notice| notice["began"].as_u64().unwrap()).sum();
    assert_eq!((told, mail.caught().len() as u64), (1, 2), "{notices}");
}
