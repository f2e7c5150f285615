//! The client: one keep-alive connection with one request at a time.

use super::seal::Seal;
use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::{net::SocketAddr, time::Duration};
use tokio::net::TcpStream;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes.
const ANSWER_MAX: usize = 4_000_000;

/// Where requests go and what they carry besides their body.
#[derive(Clone, Debug)]
pub(super) struct Route {
    address: SocketAddr,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    seal: Option<Seal>,
}

impl Route {
    /// A JSON request to that path with these further headers.
    pub(super) fn new(address: SocketAddr, method: Method, path: &str, more: &[(&'static str, &str)]) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(&address.to_string())?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in more {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        }
        Ok(Route { address, method, uri: path.parse()?, headers, seal: None })
    }

    /// The same, with every request signed.
    pub(super) fn sealed(self, seal: Seal) -> Self {
        Route { seal: Some(seal), ..self }
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut headers = self.headers.clone();
        headers.extend(self.seal.iter().flat_map(|seal| seal.headers(&body)));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        request
    }
}

/// A connection, made when it is needed.
#[derive(Debug, Default)]
pub(super) struct Connection(Option<SendRequest<Full<Bytes>>>);

impl Connection {
    /// Sends a body and reads the whole answer. After an error, the next call connects anew; nothing is sent twice.
    pub(super) async fn send(&mut self, route: &Route, body: Bytes) -> anyhow::Result<(StatusCode, Bytes)> {
        let answer = tokio::time::timeout(ANSWER, self.exchange(route, body)).await.context("no answer in time").flatten();
        if answer.is_err() {
            self.0 = None;
        }
        answer
    }

    async fn exchange(&mut self, route: &Route, body: Bytes) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut sender = match self.0.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => connect(route.address).await?,
        };
        sender.ready().await?;
        let response = sender.send_request(route.request(body)).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer cannot be read: {error}"))?.to_bytes();
        self.0 = Some(sender);
        Ok((status, body))
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
