//! A receiver of webhooks that answers as it is told and writes down what arrives.

use super::eventually;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, time::Instant};

/// Between two bytes of a dripping answer.
const DRIP: Duration = Duration::from_millis(100);

type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Instant,
}

impl Arrival {
    /// A header's text; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

/// How to answer one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// With a status, headers and a body.
    Answer(u16, Vec<(String, String)>, String),
    /// With a status, after so long.
    Late(Duration, u16),
    /// Never.
    Hang,
    /// With 200 and a body that goes on byte by byte for ever.
    Drip,
}

impl Reply {
    /// A status and nothing else.
    pub fn status(status: u16) -> Self {
        Reply::Answer(status, Vec::new(), String::new())
    }

    /// With a body.
    pub fn body(self, body: &str) -> Self {
        match self {
            Reply::Answer(status, headers, _) => Reply::Answer(status, headers, body.into()),
            other => other,
        }
    }

    /// With one more header.
    pub fn header(self, name: &str, value: &str) -> Self {
        match self {
            Reply::Answer(status, mut headers, body) => {
                headers.push((name.into(), value.into()));
                Reply::Answer(status, headers, body)
            }
            other => other,
        }
    }
}

#[derive(Default)]
struct State {
    arrivals: Vec<Arrival>,
    scripts: HashMap<String, Vec<Reply>>,
}

/// A receiver on a port of its own.
pub struct Receiver {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Starts one; it answers 200 to everything until it is told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::<Mutex<State>>::default();
        tokio::spawn(accept(listener, state.clone()));
        Receiver { address, state }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers requests to `path` with these replies, one each; the last one repeats.
    pub fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut replies: Vec<Reply> = replies.into_iter().collect();
        replies.reverse();
        assert!(!replies.is_empty());
        self.state.lock().unwrap().scripts.insert(path.into(), replies);
    }

    /// Everything that arrived, in order.
    pub fn requests(&self) -> Vec<Arrival> {
        self.state.lock().unwrap().arrivals.clone()
    }

    /// What arrived at `path`, in order.
    pub fn at(&self, path: &str) -> Vec<Arrival> {
        self.requests().into_iter().filter(|a| a.path == path).collect()
    }

    /// Waits until `count` requests have arrived at `path`; those, and any beyond.
    pub async fn wait(&self, path: &str, count: usize) -> Vec<Arrival> {
        eventually(&format!("{count} requests at {path}"), || async { Some(self.at(path)).filter(|a| a.len() >= count) }).await
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).ok();
        let state = state.clone();
        let service = service_fn(move |request| answer(request, state.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<AnswerBody>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = parts.uri.path().to_owned();
    let reply = {
        let mut state = state.lock().unwrap();
        state.arrivals.push(Arrival { path: path.clone(), headers: parts.headers, body, at: Instant::now() });
        match state.scripts.get_mut(&path) {
            Some(left) if left.len() > 1 => left.pop(),
            Some(left) => left.last().cloned(),
            None => None,
        }
    };
    let reply = match reply.unwrap_or_else(|| Reply::status(200)) {
        Reply::Late(after, status) => {
            tokio::time::sleep(after).await;
            Reply::status(status)
        }
        reply => reply,
    };
    match reply {
        Reply::Late(..) => unreachable!("it was made another above"),
        Reply::Hang => std::future::pending().await,
        Reply::Drip => Ok(Response::new(StreamBody::new(drips()).boxed_unsync())),
        Reply::Answer(status, headers, body) => {
            let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
            }
            Ok(response)
        }
    }
}

fn drips() -> impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> {
    futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(DRIP).await;
        Some((Ok(Frame::data(Bytes::from_static(b"."))), ()))
    })
}
