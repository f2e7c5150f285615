//! A tenant: a server that sends its letters to a catcher, a receiver and an application.

use crate::{
    catcher::Catcher,
    support::{Api, Options, Receiver, Reply, Server, eventually},
};
use serde_json::{Value, json};

pub(crate) struct Tenant {
    /// Runs for as long as the tenant is used.
    pub(crate) _server: Server,
    pub(crate) receiver: Receiver,
    pub(crate) mail: Catcher,
    pub(crate) api: Api,
    pub(crate) app: String,
}

/// Arguments of a server that sends its letters there.
pub(crate) fn to(mail: &Catcher) -> Vec<String> {
    let smtp = format!("--smtp=smtp+plain://127.0.0.1:{}", mail.port());
    vec![smtp, "--mail-from=Hooks <hooks@example.com>".into(), "--public-url=https://hooks.example".into()]
}

impl Tenant {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(args: &[&str]) -> Self {
        let mail = Catcher::start().await;
        let mut options = Options { args: to(&mail), ..Options::default() };
        options.args.extend(args.iter().map(ToString::to_string));
        let (server, receiver) = (Server::start_with(options).await, Receiver::start().await);
        let api = server.api();
        let app = api.post("/api/v1/app", r#"{"name": "Acme & <b>Sons</b>"}"#).await.expect(201);
        Tenant { _server: server, receiver, mail, api, app: text(&app, "id") }
    }

    /// A new endpoint at a path of the receiver, without retries unless `more` has it otherwise; its id.
    pub(crate) async fn endpoint(&self, path: &str, more: Value) -> String {
        let mut body = json!({"url": self.receiver.url(path), "retryPolicy": []});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        text(&self.api.post(&format!("/api/v1/app/{}/endpoint", self.app), &body.to_string()).await.expect(201), "id")
    }

    /// An endpoint at a path that fails.
    pub(crate) async fn broken(&self, path: &str) -> String {
        self.receiver.script(path, [Reply::status(503)]);
        self.endpoint(path, json!({})).await
    }

    pub(crate) async fn send(&self) -> String {
        let body = r#"{"eventType": "a.b", "payload": {}}"#;
        text(&self.api.post(&format!("/api/v1/app/{}/msg", self.app), body).await.expect(202), "id")
    }

    /// A rule that tells ann, at most once a second unless it says otherwise; its id.
    pub(crate) async fn rule(&self, condition: Value, more: Value) -> String {
        let mut body = json!({
            "name": "Watch", "condition": condition, "emails": ["ann@example.com"], "operational": false, "cooldownSeconds": 1,
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        text(&self.api.post("/api/v1/alert", &body.to_string()).await.expect(201), "id")
    }

    pub(crate) async fn look(&self, rule: &str) -> Value {
        self.api.get(&format!("/api/v1/alert/{rule}")).await.expect(200)
    }

    /// What a rule had to tell, the newest first.
    pub(crate) async fn notices(&self, rule: &str) -> Vec<Value> {
        self.api.get(&format!("/api/v1/alert/{rule}/notice")).await.expect(200)["data"].as_array().unwrap().clone()
    }

    /// Waits until the condition of a rule holds for so many endpoints.
    pub(crate) async fn holding(&self, rule: &str, count: u64) -> Value {
        let what = format!("it holds for {count}");
        eventually(&what, || async { Some(self.look(rule).await).filter(|rule| rule["holding"] == count) }).await
    }
}

pub(crate) fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_else(|| panic!("no {field} in {object}")).to_owned()
}
