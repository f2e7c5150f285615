//! A small client of our own API, for the commands that talk to a running server. One connection a request.

use super::pinned::Pinned;
use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// How long a request may take, connecting included.
const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of an answer at most.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A server and the key to it.
#[derive(Clone)]
pub(super) struct Client {
    base: Uri,
    key: Zeroizing<String>,
    roots: RootCertStore,
    pinned: Option<String>,
    idempotency_key: Option<HeaderValue>,
}

/// What a server said.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its body.
    pub(super) body: Bytes,
}

impl Client {
    /// A client of the server at this URL.
    ///
    /// # Errors
    /// It is not an http or https URL.
    pub(super) fn new(url: &str, key: Zeroizing<String>, roots: RootCertStore) -> anyhow::Result<Self> {
        let base: Uri = url.trim_end_matches('/').parse().with_context(|| format!("`{url}` is not a URL"))?;
        let usable = matches!(base.scheme_str(), Some("http" | "https")) && base.host().is_some() && base.query().is_none();
        ensure!(usable, "`{url}` must be an http or https URL without a query");
        Ok(Client { base, key, roots, pinned: None, idempotency_key: None })
    }

    /// The same client, whose requests carry this idempotency key.
    ///
    /// # Errors
    /// It cannot stand in a header.
    pub(super) fn keyed(mut self, key: Option<&str>) -> anyhow::Result<Self> {
        self.idempotency_key = key.map(HeaderValue::from_str).transpose().context("the idempotency key is not visible ASCII")?;
        Ok(self)
    }

    /// The same client, which trusts the certificate with this fingerprint and no other.
    pub(super) fn pinned(mut self, fingerprint: Option<String>) -> Self {
        self.pinned = fingerprint;
        self
    }

    /// The server's URL.
    pub(super) fn base(&self) -> String {
        self.base.to_string().trim_end_matches('/').to_owned()
    }

    /// Sends a request and gives what an answer with a status below 300 says.
    ///
    /// # Errors
    /// The server cannot be reached or refuses; the refusal's words are in the error.
    pub(super) async fn call<T: serde::de::DeserializeOwned>(&self, method: Method, path: &str, body: String) -> anyhow::Result<T> {
        let answer = self.send(method, path, body).await?.accepted()?;
        serde_json::from_slice(&answer.body).context("the server's answer is not what was asked for: is it postrider?")
    }

    /// Sends a request with a JSON body (none when it is empty).
    ///
    /// # Errors
    /// The server cannot be reached or does not answer in time.
    pub(super) async fn send(&self, method: Method, path: &str, body: String) -> anyhow::Result<Answer> {
        let answer = tokio::time::timeout(DEADLINE, self.exchange(method, path, body)).await;
        let answer = answer.map_err(|_| anyhow::anyhow!("no answer within {DEADLINE:?}")).and_then(|answer| answer);
        answer.with_context(|| format!("the server at {} cannot be asked", self.base))
    }

    async fn exchange(&self, method: Method, path: &str, body: String) -> anyhow::Result<Answer> {
        let secure = self.base.scheme_str() == Some("https");
        let host = self.base.host().context("the URL has no host")?.trim_matches(['[', ']']);
        let port = self.base.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let request = self.request(method, path, body)?;
        if !secure {
            return exchange(stream, request).await;
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = match &self.pinned {
            Some(pinned) => builder.dangerous().with_custom_certificate_verifier(Pinned::new(pinned, provider)),
            None => builder.with_root_certificates(self.roots.clone()),
        };
        let config = builder.with_no_client_auth();
        let name = ServerName::try_from(host.to_owned())?;
        exchange(TlsConnector::from(Arc::new(config)).connect(name, stream).await?, request).await
    }

    fn request(&self, method: Method, path: &str, body: String) -> anyhow::Result<Request<Full<Bytes>>> {
        let authority = self.base.authority().context("the URL has no host")?.as_str();
        // A URL may name a path under which a proxy shows the API.
        let path = format!("{}{path}", self.base.path().trim_end_matches('/'));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, authority)
            .header(header::AUTHORIZATION, format!("Bearer {}", *self.key))
            .header(header::USER_AGENT, concat!("postrider/", env!("CARGO_PKG_VERSION")));
        let request = if body.is_empty() { request } else { request.header(header::CONTENT_TYPE, "application/json") };
        let request = match &self.idempotency_key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        Ok(request.body(Full::new(Bytes::from(body)))?)
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Answer> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
    connection.abort();
    let body = body.map_err(|error| anyhow::anyhow!(error)).context("the answer cannot be read")?.to_bytes();
    Ok(Answer { status, body })
}

impl Answer {
    /// The answer, if the server did what was asked.
    ///
    /// # Errors
    /// What the server says of its refusal.
    pub(super) fn accepted(self) -> anyhow::Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        let words = serde_json::from_slice::<serde_json::Value>(&self.body).ok().and_then(|body| words(&body));
        match words {
            Some(words) => bail!("the server refused ({}): {words}", self.status.as_u16()),
            None => bail!("the server refused ({})", self.status),
        }
    }
}

/// What an error body says, for people: its detail, or each field with its rule.
fn words(body: &serde_json::Value) -> Option<String> {
    match body.get("detail")? {
        serde_json::Value::String(detail) => Some(detail.clone()),
        serde_json::Value::Array(faults) => {
            let fault = |fault: &serde_json::Value| {
                let place = fault.get("loc")?.as_array()?.iter().filter_map(|part| part.as_str()).collect::<Vec<_>>().join(".");
                Some(format!("{place}: {}", fault.get("msg")?.as_str()?))
            };
            Some(faults.iter().filter_map(fault).collect::<Vec<_>>().join("; "))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_words() {
        let refusal = |body: &str| Answer { status: StatusCode::UNPROCESSABLE_ENTITY, body: body.to_owned().into() };
        let said = |body| refusal(body).accepted().unwrap_err().to_string();
        assert_eq!(said(r#"{"code":"x","detail":"No."}"#), "the server refused (422): No.");
        let listed = r#"{"detail":[{"loc":["body","name"],"msg":"too long","type":"length"}]}"#;
        assert_eq!(said(listed), "the server refused (422): body.name: too long");
        assert_eq!(said("<html>"), "the server refused (422 Unprocessable Entity)");
    }

    #[test]
    fn urls_are_judged_at_once() {
        let client = |url| Client::new(url, Zeroizing::new("pr_x".into()), RootCertStore::empty());
        for bad in ["", "localhost:8071", "ftp://x", "http://", "http://x?y=1"] {
            assert!(client(bad).is_err(), "{bad}");
        }
        let request = client("https://example.com:1/hooks/").unwrap().request(Method::GET, "/api/v1/app", String::new()).unwrap();
        assert_eq!(request.uri().path(), "/hooks/api/v1/app");
        assert_eq!(request.headers()[header::HOST], "example.com:1");
    }
}
