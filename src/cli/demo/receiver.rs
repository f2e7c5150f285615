//! The echo receiver: verifies what it gets with the library that receivers use, answers 200, and prints a line.
//! `/broken` answers 503 to the first delivery of each message and 200 to later ones.

use crate::{
    cli::say,
    clock::{Clock, SystemClock},
};
use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use postrider_signature::{Key, verify};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;

/// Bytes of a delivery's body at most.
const MAX_BODY_BYTES: usize = 64 << 20;
/// Messages that `/broken` remembers having refused.
const REMEMBERED: usize = 10_000;
/// The pause after the system has refused to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A receiver of deliveries.
pub(super) struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// What to verify with, by path.
    keys: Mutex<HashMap<String, Key>>,
    refused: Mutex<Refused>,
}

/// Messages that were refused once, the oldest forgotten first.
#[derive(Default)]
struct Refused {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Refused {
    /// Whether this message comes for the first time.
    fn is_first(&mut self, msg: &str) -> bool {
        if !self.known.insert(msg.to_owned()) {
            return false;
        }
        self.order.push_back(msg.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

impl Receiver {
    /// Listens at a free loopback port.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the echo receiver cannot listen")?;
        let receiver = Receiver { address: listener.local_addr()?, state: Arc::default() };
        tokio::spawn(accept(listener, receiver.state.clone()));
        Ok(receiver)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Verifies what comes to this path with this secret.
    pub(super) fn trust(&self, path: &str, secret: &str) -> anyhow::Result<()> {
        self.state.keys.lock().insert(path.to_owned(), Key::parse(secret)?);
        Ok(())
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let state = state.clone();
        let service = service_fn(move |request| {
            let state = state.clone();
            async move { Ok::<_, Infallible>(state.answer(request).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let path = head.uri.path();
        let msg = header(&head.headers, "webhook-id");
        let signature = self.judge(path, &head.headers, &body);
        let status = match path {
            "/broken" if self.refused.lock().is_first(msg) => StatusCode::SERVICE_UNAVAILABLE,
            "/broken" => StatusCode::OK,
            path if path.starts_with("/ok") => StatusCode::OK,
            _ => StatusCode::NOT_FOUND,
        };
        say(&format!("{}  {path:<12}  {signature:<13}  {msg}  {}", status.as_u16(), excerpt(&body)));
        let mut response = Response::new(Full::new(Bytes::from_static(b"{\"received\":true}")));
        *response.status_mut() = status;
        response
    }

    /// Whether the delivery is signed with the endpoint's secret, in words.
    fn judge(&self, path: &str, headers: &HeaderMap, body: &[u8]) -> &'static str {
        let Some(key) = self.keys.lock().get(path).cloned() else { return "no secret" };
        let Ok(timestamp) = header(headers, "webhook-timestamp").parse() else { return "not signed" };
        let signed = (header(headers, "webhook-signature"), body);
        match verify(&key, header(headers, "webhook-id"), timestamp, SystemClock.now().seconds(), signed) {
            Ok(()) => "signature ok",
            Err(_) => "BAD SIGNATURE",
        }
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The beginning of a body, in one line.
fn excerpt(body: &[u8]) -> String {
    const CHARS: usize = 72;
    let text = String::from_utf8_lossy(body);
    let mut excerpt: String = text.chars().take(CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(CHARS).is_some() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_refused_once() {
        let mut refused = Refused::default();
        assert!(refused.is_first("msg_1") && refused.is_first("msg_2"));
        assert!(!refused.is_first("msg_1"));
        for number in 0..2 * REMEMBERED {
            refused.is_first(&number.to_string());
        }
        assert_eq!((refused.known.len(), refused.order.len()), (REMEMBERED, REMEMBERED));
    }

    #[test]
    fn signatures_are_judged() {
        let state = State::default();
        let key = Key::parse(&Key::symmetric_text(&[1; 24])).unwrap();
        let now = SystemClock.now().seconds();
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_1".parse().unwrap());
        assert_eq!(state.judge("/ok", &headers, b"{}"), "no secret");
        state.keys.lock().insert("/ok".into(), key.clone());
        assert_eq!(state.judge("/ok", &headers, b"{}"), "not signed");
        headers.insert("webhook-timestamp", now.to_string().parse().unwrap());
        let signed = postrider_signature::sign([&key].into_iter(), "msg_1", now, b"{}");
        headers.insert("webhook-signature", signed.parse().unwrap());
        assert_eq!(state.judge("/ok", &headers, b"{}"), "signature ok");
        assert_eq!(state.judge("/ok", &headers, b"[]"), "BAD SIGNATURE");
    }
}
