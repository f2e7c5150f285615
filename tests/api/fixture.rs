//! A tenant: a server, a receiver and an application.

use crate::support::{Api, Receiver, Server, eventually};
use serde_json::{Value, json};

pub(crate) struct Tenant {
    pub(crate) server: Server,
    pub(crate) receiver: Receiver,
    pub(crate) api: Api,
    pub(crate) app: String,
}

impl Tenant {
    /// A fresh server with one application.
    pub(crate) async fn start() -> Self {
        let (server, receiver) = (Server::start().await, Receiver::start().await);
        let api = server.api();
        let app = api.post("/api/v1/app", r#"{"name": "Tests"}"#).await.expect(201);
        Tenant { server, receiver, api, app: id_of(&app) }
    }

    /// The server again, on the same folder.
    pub(crate) async fn restart(&mut self) {
        assert_eq!(self.server.stop().await, 0);
        self.server.restart().await;
        self.api = self.server.api();
    }

    /// A path below the application.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/v1/app/{}{rest}", self.app)
    }

    /// A new endpoint at a path of the receiver, with more fields; its id.
    pub(crate) async fn endpoint(&self, path: &str, more: Value) -> String {
        let mut body = json!({"url": self.receiver.url(path)});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        id_of(&self.api.post(&self.path("/endpoint"), &body.to_string()).await.expect(201))
    }

    /// Sends a message; its id.
    pub(crate) async fn send(&self, event_type: &str, payload: &Value) -> String {
        self.post(&json!({"eventType": event_type, "payload": payload})).await
    }

    /// Sends a message by its whole body; its id.
    pub(crate) async fn post(&self, body: &Value) -> String {
        id_of(&self.api.post(&self.path("/msg"), &body.to_string()).await.expect(202))
    }

    /// The attempts of a message at an endpoint, the newest first.
    pub(crate) async fn attempts(&self, message: &str, endpoint: &str) -> Vec<Value> {
        let path = self.path(&format!("/attempt/msg/{message}?endpoint_id={endpoint}&limit=100"));
        self.api.get(&path).await.expect(200)["data"].as_array().unwrap().clone()
    }

    /// Waits until a message has that many attempts at an endpoint.
    pub(crate) async fn attempted(&self, message: &str, endpoint: &str, count: usize) -> Vec<Value> {
        let what = format!("{count} attempts");
        eventually(&what, || async { Some(self.attempts(message, endpoint).await).filter(|all| all.len() >= count) }).await
    }

    /// The delivery of a message to an endpoint, as its destinations are listed; null when there was no attempt.
    pub(crate) async fn delivery(&self, message: &str, endpoint: &str) -> Value {
        let listed = self.api.get(&self.path(&format!("/msg/{message}/endpoint"))).await.expect(200);
        listed["data"].as_array().unwrap().iter().find(|d| d["id"] == endpoint).cloned().unwrap_or_default()
    }

    /// Waits until the delivery has that status.
    pub(crate) async fn settled(&self, message: &str, endpoint: &str, status: &str) -> Value {
        let what = format!("the delivery is {status}");
        eventually(&what, || async { Some(self.delivery(message, endpoint).await).filter(|d| d["statusText"] == status) }).await
    }

    /// The endpoint as it is.
    pub(crate) async fn look(&self, endpoint: &str) -> Value {
        self.api.get(&self.path(&format!("/endpoint/{endpoint}"))).await.expect(200)
    }

    /// Changes an endpoint.
    pub(crate) async fn change(&self, endpoint: &str, patch: Value) -> Value {
        self.api.patch(&self.path(&format!("/endpoint/{endpoint}")), &patch.to_string()).await.expect(200)
    }
}

/// The `id` of an object.
pub(crate) fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap_or_else(|| panic!("no id in {object}")).to_owned()
}

/// The texts of a field in a list.
pub(crate) fn texts(list: &Value, field: &str) -> Vec<String> {
    let entries = list.as_array().unwrap_or_else(|| panic!("not a list: {list}"));
    entries.iter().map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
}
