//! A small HTTP client: JSON text in, JSON out, connections kept alive.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;

/// What may go wrong below HTTP: the connection is refused, or breaks.
pub type Broken = Box<dyn std::error::Error + Send + Sync>;

/// An API, seen with one token.
#[derive(Clone)]
pub struct Api {
    address: String,
    token: Option<String>,
    idle: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    asked: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{}: {} is not JSON ({e}): {}", self.asked, self.status, self.text()))
    }

    /// A header's text; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON body of an answer that must have this status (`Null` when it is empty).
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{} answered {}", self.asked, self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// Asserts a refusal with this status that says `word` somewhere.
    #[track_caller]
    pub fn refused(&self, status: u16, word: &str) {
        let text = self.expect(status).to_string();
        assert!(text.contains(word), "{}: {text} does not name {word}", self.asked);
    }
}

impl Api {
    /// An API at `host:port`.
    pub fn new(address: &str, token: Option<&str>) -> Self {
        Api { address: address.into(), token: token.map(Into::into), idle: Arc::default() }
    }

    /// Its token, for requests that are written by hand.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// The same API with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Api { token: Some(token.into()), ..self.clone() }
    }

    /// The same API without a token.
    pub fn anonymous(&self) -> Self {
        Api { token: None, ..self.clone() }
    }

    /// GET
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// POST of JSON text.
    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[], body).await
    }

    /// PUT of JSON text.
    pub async fn put(&self, path: &str, body: &str) -> Answer {
        self.send("PUT", path, &[], body).await
    }

    /// PATCH of JSON text.
    pub async fn patch(&self, path: &str, body: &str) -> Answer {
        self.send("PATCH", path, &[], body).await
    }

    /// DELETE
    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "").await
    }

    /// POST that may fail below HTTP.
    pub async fn try_post(&self, path: &str, body: &str) -> Result<Answer, Broken> {
        self.try_send("POST", path, &[], Bytes::copy_from_slice(body.as_bytes())).await
    }

    /// Any request; panics when the connection breaks.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let sent = self.try_send(method, path, headers, Bytes::copy_from_slice(body.as_bytes())).await;
        sent.unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// Any request.
    pub async fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Answer, Broken> {
        let mut request =
            Request::builder().method(Method::from_bytes(method.as_bytes())?).uri(path).header(header::HOST, &self.address);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut connection = self.connection().await?;
        let answer = connection.send_request(request.body(Full::new(body))?).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        self.idle.lock().unwrap().push(connection);
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body, asked: format!("{method} {path}") })
    }

    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, Broken> {
        loop {
            let idle = self.idle.lock().unwrap().pop();
            let Some(mut idle) = idle else { break };
            if idle.ready().await.is_ok() {
                return Ok(idle);
            }
        }
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
