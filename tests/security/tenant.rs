//! A server, a receiver and an application.

use crate::support::{Answer, Api, Options, Receiver, Server, eventually};
use serde_json::{Value, json};

pub(crate) struct Tenant {
    pub(crate) server: Server,
    pub(crate) receiver: Receiver,
    pub(crate) api: Api,
    pub(crate) app: String,
}

pub(crate) fn id_of(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

impl Tenant {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(args: &[&str]) -> Self {
        let args = args.iter().map(ToString::to_string).collect();
        let (server, receiver) = (Server::start_with(Options { args, env: Vec::new() }).await, Receiver::start().await);
        let api = server.api();
        let app = id_of(&api.post("/api/v1/app", r#"{"name": "Tests"}"#).await.expect(201));
        Tenant { server, receiver, api, app }
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/v1/app/{}{rest}", self.app)
    }

    /// A new endpoint; its id.
    pub(crate) async fn endpoint(&self, url: &str) -> String {
        let body = json!({"url": url, "retryPolicy": [1, 1, 1]}).to_string();
        id_of(&self.api.post(&self.path("/endpoint"), &body).await.expect(201))
    }

    /// A new endpoint with credentials; its id.
    pub(crate) async fn trusted(&self, url: &str, credentials: &Value) -> String {
        let endpoint = self.endpoint(url).await;
        self.give(&endpoint, credentials).await.expect(204);
        endpoint
    }

    pub(crate) async fn give(&self, endpoint: &str, credentials: &Value) -> Answer {
        self.api.put(&self.path(&format!("/endpoint/{endpoint}/credentials")), &credentials.to_string()).await
    }

    /// Sends a message; its id.
    pub(crate) async fn send(&self) -> String {
        id_of(&self.api.post(&self.path("/msg"), r#"{"eventType": "a.b", "payload": {"n": 1}}"#).await.expect(202))
    }

    /// The attempts of a message at an endpoint once there are so many, the oldest first.
    pub(crate) async fn attempts(&self, message: &str, endpoint: &str, count: usize) -> Vec<Value> {
        let path = self.path(&format!("/attempt/msg/{message}?endpoint_id={endpoint}&limit=100"));
        let mut all = eventually(&format!("{count} attempts"), || async {
            let page = self.api.get(&path).await.expect(200);
            let all = page["data"].as_array().unwrap().clone();
            Some(all).filter(|all| all.len() >= count)
        })
        .await;
        all.reverse();
        all
    }

    /// What the first attempt of a new message says of its failure.
    pub(crate) async fn failure(&self, endpoint: &str) -> String {
        let message = self.send().await;
        let attempt = self.attempts(&message, endpoint, 1).await.remove(0);
        attempt.to_string()
    }
}
