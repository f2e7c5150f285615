//! A server with a receiver and an application that owns sources.

use crate::{
    signed::Signed,
    support::{Answer, Api, Options, Receiver, Server, eventually},
};
use serde_json::{Value, json};

pub(crate) struct Hub {
    pub(crate) server: Server,
    pub(crate) receiver: Receiver,
    pub(crate) api: Api,
    pub(crate) app: String,
}

/// A source, as its owner knows it.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) id: String,
    /// The path of its URL.
    pub(crate) path: String,
}

impl Hub {
    /// A fresh server with one application.
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// A fresh server, started with these options.
    pub(crate) async fn start_with(options: Options) -> Self {
        let (server, receiver) = (Server::start_with(options).await, Receiver::start().await);
        let api = server.api();
        let app = api.post("/api/v1/app", r#"{"name": "Tests"}"#).await.expect(201);
        Hub { server, receiver, api, app: text(&app, "id") }
    }

    /// The server's new address, after it was started again.
    pub(crate) fn follow(&mut self) {
        self.api = self.server.api();
    }

    /// A source of the application with these fields.
    pub(crate) async fn source(&self, fields: Value) -> Source {
        let mut body = json!({"appId": self.app});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let made = self.api.post("/api/v1/source", &body.to_string()).await.expect(201);
        let url = text(&made, "url");
        let path = url.strip_prefix(&self.server.url()).unwrap_or_else(|| panic!("{url} is not the server's")).to_owned();
        Source { id: text(&made, "id"), path }
    }

    /// The URL under which third parties know a source.
    pub(crate) fn url(&self, source: &Source) -> String {
        format!("{}{}", self.server.url(), source.path)
    }

    /// An endpoint of the application at a path of the receiver, with more fields; its id. Event types that it names are put
    /// into the catalogue, where endpoints choose from.
    pub(crate) async fn endpoint(&self, path: &str, more: Value) -> String {
        for name in more["eventTypes"].as_array().into_iter().flatten() {
            self.api.post("/api/v1/event-type", &json!({"name": name, "description": ""}).to_string()).await.expect(201);
        }
        let mut body = json!({"url": self.receiver.url(path)});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        text(&self.api.post(&format!("/api/v1/app/{}/endpoint", self.app), &body.to_string()).await.expect(201), "id")
    }

    /// A third party's request.
    pub(crate) async fn deliver(&self, path: &str, request: &Signed) -> Answer {
        let headers: Vec<(&str, &str)> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let path = format!("{path}{}", request.query);
        let sent = self.api.anonymous().try_send(&request.method, &path, &headers, request.body.clone()).await;
        sent.unwrap_or_else(|error| panic!("{} {path}: {error}", request.method))
    }

    /// What a source has received, newest first.
    pub(crate) async fn events(&self, source: &Source) -> Vec<Value> {
        self.list(&format!("/api/v1/source/{}/event?limit=250", source.id)).await
    }

    /// What a source has refused, newest first.
    pub(crate) async fn rejections(&self, source: &Source) -> Vec<Value> {
        self.list(&format!("/api/v1/source/{}/rejection?limit=250", source.id)).await
    }

    /// Waits until a source has refused so many.
    pub(crate) async fn refused(&self, source: &Source, count: usize) -> Vec<Value> {
        let what = format!("{count} rejections");
        eventually(&what, || async { Some(self.rejections(source).await).filter(|all| all.len() >= count) }).await
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        self.api.get(path).await.expect(200)["data"].as_array().unwrap().clone()
    }
}

/// The text of a field.
pub(crate) fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_else(|| panic!("no text {field} in {object}")).to_owned()
}
