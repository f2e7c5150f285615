//! The hostile network: one try of a request, whatever the other side does.
//!
//! Whatever the network does is an [`Outcome`], never an error. One deadline covers name, connection, TLS, headers and
//! body; at most [`READ_LIMIT`] bytes of a body are read. Redirects are not followed and proxies of the environment not
//! used: either would lead past the address guard. A request is written at most once: a pooled connection that turns out
//! dead before anything was written is replaced, after that whatever happens is the attempt's outcome.
//!
//! There is no limit on connections here: the lanes bound the attempts that run. One here would let endpoints that do not
//! answer hold what others need.

mod answer;
mod connect;
mod guard;
mod pool;
mod resolve;
mod target;

pub use answer::{KEEP_LIMIT, READ_LIMIT};
pub use guard::{BadCidr, Cidr, classify};
pub use target::{MAX_URL, Target, TargetError};

use crate::{
    clock::Clock,
    model::{Cause, Outcome, Phases},
};
use bytes::Bytes;
use connect::micros;
use http::{HeaderMap, Method, Request, Response, header::HOST};
use http_body_util::Full;
use hyper::body::Incoming;
use pool::{Lease, Pool};
use resolve::{Resolve, SystemResolver};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// The default time for making a connection, all addresses together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A cause, and a detail in plain words.
type Failure = (Cause, String);

/// What the client is told once.
#[derive(Clone, Debug)]
pub struct OutboundConfig {
    /// Networks that may be dialled although they are not public.
    pub allow: Vec<Cidr>,
    /// Trusted besides the public roots.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Time for making a connection, all addresses together.
    pub connect_timeout: Duration,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        OutboundConfig { allow: Vec::new(), extra_roots: Vec::new(), connect_timeout: CONNECT_TIMEOUT }
    }
}

/// Why the client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// A root certificate cannot be used.
    #[error("a trusted certificate cannot be used: {0}")]
    Root(String),
    /// The resolver's configuration cannot be used.
    #[error("the resolver cannot be set up: {0}")]
    Resolver(String),
}

/// Reads certificates in PEM form.
///
/// # Errors
/// The text holds no certificate, or one that cannot be read.
pub fn read_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, OutboundError> {
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let roots = roots.map_err(|error| OutboundError::Root(error.to_string()))?;
    if roots.is_empty() { Err(OutboundError::Root("there is none in the file".into())) } else { Ok(roots) }
}

/// A request, before it is known how it travels.
#[derive(Clone, Debug)]
pub struct OutboundRequest {
    /// Method.
    pub method: Method,
    /// Headers, without `host` and `content-length`.
    pub headers: HeaderMap,
    /// The exact body.
    pub body: Bytes,
}

/// Sends requests into the hostile network.
pub struct Outbound {
    allow: Vec<Cidr>,
    connect_timeout: Duration,
    clock: Arc<dyn Clock>,
    resolver: Box<dyn Resolve>,
    tls: TlsConnector,
    pool: Pool,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("allow", &self.allow).finish_non_exhaustive()
    }
}

/// Where an exchange stands, for the cause when the deadline cuts it off.
struct Progress {
    stage: Cause,
    phases: Phases,
    answer: Option<Outcome>,
}

impl Progress {
    fn keep(&mut self, read: &answer::Read) {
        if let Some(answer) = &mut self.answer {
            (answer.body, answer.body_cut) = read.kept();
        }
    }
}

impl Outbound {
    /// A client by the system's resolver and the public roots.
    ///
    /// # Errors
    /// A root certificate or the resolver cannot be used.
    pub fn new(config: OutboundConfig, clock: Arc<dyn Clock>) -> Result<Self, OutboundError> {
        let resolver = Box::new(SystemResolver::new().map_err(OutboundError::Resolver)?);
        Self::with_resolver(config, clock, resolver)
    }

    fn with_resolver(config: OutboundConfig, clock: Arc<dyn Clock>, resolver: Box<dyn Resolve>) -> Result<Self, OutboundError> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for root in config.extra_roots {
            roots.add(root).map_err(|error| OutboundError::Root(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let versions = versions.map_err(|error| OutboundError::Root(error.to_string()))?;
        let mut tls = versions.with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Outbound {
            allow: config.allow,
            connect_timeout: config.connect_timeout,
            clock,
            resolver,
            tls: TlsConnector::from(Arc::new(tls)),
            pool: Pool::new(),
        })
    }

    /// One try, at most `deadline` long.
    pub async fn send(&self, target: &Target, request: OutboundRequest, deadline: Duration) -> Outcome {
        let started = Instant::now();
        let mut progress = Progress { stage: Cause::ConnectTimeout, phases: Phases::default(), answer: None };
        let ended = tokio::time::timeout(deadline, self.exchange(target, request, (&mut progress, started))).await;
        let failure = match ended {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some((progress.stage, format!("after {:.1} s", deadline.as_secs_f64()))),
        };
        let mut outcome = progress.answer.unwrap_or_else(|| Outcome::failed(Cause::Internal, ""));
        if let Some((cause, detail)) = failure {
            outcome.cause = cause;
            outcome.detail = answer::brief(detail);
        }
        outcome.phases = Phases { total_us: micros(started), ..progress.phases };
        outcome
    }

    /// Forgets connections that nobody has used for a while; to be called now and then.
    pub fn sweep(&self) {
        self.pool.sweep(Instant::now());
    }

    async fn exchange(&self, target: &Target, request: OutboundRequest, at: (&mut Progress, Instant)) -> Result<(), Failure> {
        let (progress, started) = at;
        let (response, lease) = self.head(target, request, progress).await?;
        progress.phases.first_byte_us = micros(started);
        progress.stage = Cause::BodyTimeout;
        let (parts, body) = response.into_parts();
        progress.answer = Some(answer::head(&parts, self.clock.now()));
        let complete = answer::body(body, progress).await?;
        if let (true, Lease::Http1(sender, born)) = (complete, lease) {
            self.pool.keep(target, sender, born, Instant::now());
        }
        Ok(())
    }

    /// Sends until the request was written once; the answer's head, and the connection it came on.
    async fn head(
        &self,
        target: &Target,
        mut request: OutboundRequest,
        progress: &mut Progress,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        loop {
            let pooled = self.pool.take(target, Instant::now());
            let reused = pooled.is_some();
            let lease = match pooled {
                Some(lease) => lease,
                None => self.dial(target, &mut progress.phases).await?,
            };
            progress.stage = Cause::HeadersTimeout;
            match exchange_on(lease, target, request).await {
                Ok(answered) => return Ok(answered),
                // Nothing was written, so nothing is repeated. A fresh connection that does not take it is a failure.
                Err((_, Some(unsent))) if reused => {
                    progress.stage = Cause::ConnectTimeout;
                    request = unsent;
                }
                Err((failure, _)) => return Err(failure),
            }
        }
    }
}

type Answered = (Response<Incoming>, Lease);

async fn exchange_on(
    lease: Lease,
    target: &Target,
    request: OutboundRequest,
) -> Result<Answered, (Failure, Option<OutboundRequest>)> {
    match lease {
        Lease::Http1(mut sender, born) => {
            if let Err(error) = sender.ready().await {
                return Err((answer::failure(&error), Some(request)));
            }
            let sent = sender.try_send_request(http1_request(request, target)).await;
            sent.map(|response| (response, Lease::Http1(sender, born))).map_err(unsent)
        }
        Lease::Http2(mut sender) => {
            if let Err(error) = sender.ready().await {
                return Err((answer::failure(&error), Some(request)));
            }
            let sent = sender.try_send_request(http2_request(request, target)).await;
            sent.map(|response| (response, Lease::Http2(sender))).map_err(unsent)
        }
    }
}

fn unsent(mut error: hyper::client::conn::TrySendError<Request<Full<Bytes>>>) -> (Failure, Option<OutboundRequest>) {
    let back = error.take_message().map(|request| {
        let (parts, body) = request.into_parts();
        let mut headers = parts.headers;
        headers.remove(HOST);
        OutboundRequest { method: parts.method, headers, body: whole(body) }
    });
    (answer::failure(error.error()), back)
}

/// The bytes of a body that nobody has read.
fn whole(mut body: Full<Bytes>) -> Bytes {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;
    body.frame().now_or_never().flatten().and_then(Result::ok).and_then(|f| f.into_data().ok()).unwrap_or_default()
}

fn http1_request(request: OutboundRequest, target: &Target) -> Request<Full<Bytes>> {
    let mut http = Request::new(Full::new(request.body));
    *http.method_mut() = request.method;
    *http.uri_mut() = target.path.clone();
    *http.headers_mut() = request.headers;
    http.headers_mut().insert(HOST, target.authority.clone());
    http
}

fn http2_request(request: OutboundRequest, target: &Target) -> Request<Full<Bytes>> {
    let mut http = Request::new(Full::new(request.body));
    *http.method_mut() = request.method;
    *http.uri_mut() = target.absolute.clone();
    *http.headers_mut() = request.headers;
    http
}

#[cfg(test)]
mod tests;
