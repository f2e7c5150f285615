//! The few calls of the API that the bench needs.

use super::client::{Connection, Route};
use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A server that speaks the API, and the token for it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// What its clients show.
    pub(super) token: String,
}

impl Target {
    /// The route of an operation.
    pub(super) fn route(&self, method: Method, path: &str) -> anyhow::Result<Route> {
        Route::new(self.address, method, path, &[("authorization", &format!("Bearer {}", self.token))])
    }

    /// The route that creates messages of an application.
    pub(super) fn messages(&self, app: &str) -> anyhow::Result<Route> {
        self.route(Method::POST, &format!("/api/v1/app/{app}/msg"))
    }

    /// Whether it says that it is healthy.
    pub(super) async fn healthy(&self) -> bool {
        let Ok(route) = self.route(Method::GET, "/api/v1/health") else { return false };
        let answer = Connection::default().send(&route, Bytes::new()).await;
        answer.is_ok_and(|(status, _)| status == StatusCode::NO_CONTENT)
    }
}

/// A connection for setting things up.
#[derive(Debug)]
pub(super) struct Admin {
    target: Target,
    connection: Connection,
}

impl Admin {
    /// Not connected yet.
    pub(super) fn new(target: Target) -> Self {
        Admin { target, connection: Connection::default() }
    }

    /// Creates an application; its id.
    pub(super) async fn app(&mut self, name: &str) -> anyhow::Result<String> {
        let answer = self.call(Method::POST, "/api/v1/app", &json!({ "name": name })).await;
        id(&answer.context("cannot create an application")?)
    }

    /// Creates an endpoint of an application; its id.
    pub(super) async fn endpoint(&mut self, app: &str, url: &str) -> anyhow::Result<String> {
        let path = format!("/api/v1/app/{app}/endpoint");
        let answer = self.call(Method::POST, &path, &json!({ "url": url })).await;
        id(&answer.context("cannot create an endpoint")?)
    }

    /// Creates a source of an application; the path of its URL.
    pub(super) async fn source(&mut self, app: &str, secret: &str) -> anyhow::Result<String> {
        let body = json!({ "appId": app, "provider": "github", "secret": secret });
        let answer = self.call(Method::POST, "/api/v1/source", &body).await.context("cannot create a source")?;
        let url = answer.get("url").and_then(Value::as_str).context("the answer has no `url`")?;
        let uri: http::Uri = url.parse().context("the source's `url` is none")?;
        Ok(uri.path().to_owned())
    }

    /// Creates something; what the server says of it.
    pub(super) async fn make(&mut self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, body).await
    }

    /// Creates something; its id.
    pub(super) async fn make_with_id(&mut self, path: &str, body: &Value) -> anyhow::Result<String> {
        id(&self.make(path, body).await?)
    }

    /// The id of the first of a list.
    pub(super) async fn first(&mut self, path: &str) -> anyhow::Result<String> {
        let answer = self.call(Method::GET, path, &Value::Null).await?;
        id(answer.pointer("/data/0").context("the list is empty")?)
    }

    /// Deletes an application with all that it has.
    pub(super) async fn delete_app(&mut self, app: &str) -> anyhow::Result<()> {
        self.call(Method::DELETE, &format!("/api/v1/app/{app}"), &Value::Null).await.map(drop)
    }

    /// Deliveries of an endpoint that are pending or in flight, as the server counts them.
    pub(super) async fn pending(&mut self, app: &str, endpoint: &str) -> anyhow::Result<u64> {
        let path = format!("/api/v1/app/{app}/endpoint/{endpoint}/stats");
        let answer = self.call(Method::GET, &path, &Value::Null).await?;
        let count = |name: &str| answer.get(name).and_then(Value::as_u64);
        Ok(count("pending").context("the statistics have no `pending`")? + count("sending").unwrap_or(0))
    }

    async fn call(&mut self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let route = self.target.route(method, path)?;
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let (status, answer) = self.connection.send(&route, body).await?;
        if !status.is_success() {
            bail!("{path}: {status}: {}", String::from_utf8_lossy(&answer));
        }
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer)? })
    }
}

fn id(answer: &Value) -> anyhow::Result<String> {
    Ok(answer.get("id").and_then(Value::as_str).context("the answer has no `id`")?.to_owned())
}
