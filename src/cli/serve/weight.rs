//! What large answers weigh: each is handed to its connection in pieces, is counted until the last piece is handed over, and is
//! refused when too much is held already, of one caller's or over all.

use super::life::{Asked, Life};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use http::Request;
use hyper::body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes from which an answer is counted.
const LARGE_BYTES: u64 = 256 << 10;
/// Bytes of large answers that are held at once, over all callers.
const MAX_BYTES: u64 = 256 << 20;
/// The same of one caller: one token, or one address without a token.
const MAX_CALLER_BYTES: u64 = 64 << 20;
/// Bytes that a connection is handed at once.
const PIECE_BYTES: usize = 64 << 10;
/// When a caller who was refused may come back, in seconds.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("5");
/// What a caller who is refused is told.
const REFUSAL: &str = r#"{"code":"too_much_unread","detail":"Too many large answers are still being read: read them, or ask for smaller pages, and come back."}"#;

/// What is held of large answers.
#[derive(Debug, Default)]
pub(super) struct Scales(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    all: u64,
    callers: HashMap<u64, u64>,
}

/// One large answer on the scales.
#[derive(Debug)]
struct Load {
    scales: Arc<Scales>,
    caller: u64,
    bytes: u64,
}

impl Scales {
    /// Bytes of large answers that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.0.lock().all
    }

    /// Counts an answer, unless it is too much.
    fn take(self: &Arc<Self>, caller: u64, bytes: u64) -> Option<Load> {
        let mut held = self.0.lock();
        let callers = held.callers.get(&caller).copied().unwrap_or(0);
        // A single answer is never too large, whatever its size.
        if (callers > 0 && callers + bytes > MAX_CALLER_BYTES) || (held.all > 0 && held.all + bytes > MAX_BYTES) {
            return None;
        }
        held.all += bytes;
        held.callers.insert(caller, callers + bytes);
        Some(Load { scales: self.clone(), caller, bytes })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let mut held = self.scales.0.lock();
        held.all = held.all.saturating_sub(self.bytes);
        if let Some(callers) = held.callers.get_mut(&self.caller) {
            *callers = callers.saturating_sub(self.bytes);
            if *callers == 0 {
                held.callers.remove(&self.caller);
            }
        }
    }
}

/// Who asks, as far as it can be told without looking anything up.
fn caller(headers: &HeaderMap, peer: u64) -> u64 {
    let said = headers.get(header::AUTHORIZATION).or_else(|| headers.get(header::COOKIE));
    said.map_or(peer, |said| xxh3_64(said.as_bytes()))
}

/// What weighs the answers of one connection.
#[derive(Clone, Debug)]
pub(super) struct Weigher {
    scales: Arc<Scales>,
    peer: u64,
    life: Option<Arc<Life>>,
}

/// One request that is being answered.
pub(super) struct Weighing {
    scales: Option<(Arc<Scales>, u64)>,
    asked: Option<Asked>,
}

impl Weigher {
    /// For a connection from that address.
    pub(super) fn new(scales: Arc<Scales>, peer: IpAddr) -> Self {
        let bytes = match peer.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        Weigher { scales, peer: xxh3_64(&bytes), life: None }
    }

    /// The same, which also tells how the connection lives.
    pub(super) fn telling(mut self, life: &Arc<Life>) -> Self {
        self.life = Some(life.clone());
        self
    }

    /// A request has come. Only what reads has large answers.
    pub(super) fn begin<B>(&self, request: &Request<B>) -> Weighing {
        let reads = request.method() == Method::GET;
        let scales = reads.then(|| (self.scales.clone(), caller(request.headers(), self.peer)));
        Weighing { scales, asked: self.life.as_ref().map(Asked::new) }
    }
}

impl Weighing {
    /// The answer, in pieces; a refusal when it is too much.
    pub(super) fn end(self, answer: Response) -> http::Response<Pieces> {
        let bytes = answer.body().size_hint().lower();
        let life = self.asked.as_ref().map(|asked| asked.life());
        let (answer, load) = match self.scales.filter(|_| bytes >= LARGE_BYTES) {
            None => (answer, None),
            Some((scales, caller)) => match scales.take(caller, bytes) {
                None => (refusal(), None),
                load => (answer, load),
            },
        };
        answer.map(|body| Pieces { body, rest: Bytes::new(), load, life })
    }
}

fn refusal() -> Response {
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, REFUSAL).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::RETRY_AFTER, RETRY_AFTER_S);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// An answer's body that gives at most [`PIECE_BYTES`] at once, so that it is here until nearly all of it is written.
#[derive(Debug)]
pub(super) struct Pieces {
    body: Body,
    rest: Bytes,
    #[expect(dead_code, reason = "held until the body is dropped")]
    load: Option<Load>,
    life: Option<Arc<Life>>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(life) = &self.life {
            life.moved();
        }
        if self.rest.is_empty() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) if data.len() > PIECE_BYTES => self.rest = data,
                Some(Ok(Ok(data))) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let piece = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn weigh(scales: &Arc<Scales>, token: &str, bytes: u64) -> http::Response<Pieces> {
        let request = Request::get("/").header("authorization", token).body(()).unwrap();
        let weigher = Weigher::new(scales.clone(), [127, 0, 0, 1].into());
        weigher.begin(&request).end(Response::new(Body::from(vec![b'x'; usize::try_from(bytes).unwrap()])))
    }

    #[tokio::test]
    async fn a_large_answer_comes_whole_in_pieces() {
        let scales = Arc::<Scales>::default();
        let mut body = weigh(&scales, "a", LARGE_BYTES + 7).into_body();
        let mut sum = 0;
        while let Some(frame) = body.frame().await {
            assert_eq!(scales.0.lock().all, LARGE_BYTES + 7);
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= PIECE_BYTES);
            sum += data.len() as u64;
            assert_eq!(body.size_hint().exact(), Some(LARGE_BYTES + 7 - sum));
        }
        assert_eq!(sum, LARGE_BYTES + 7);
        drop(body);
        let held = scales.0.lock();
        assert_eq!((held.all, held.callers.len()), (0, 0));
    }

    #[test]
    fn who_leaves_too_much_unread_gets_no_more_and_others_do() {
        let scales = Arc::<Scales>::default();
        let unread: Vec<_> = (0..8).map(|_| weigh(&scales, "a", MAX_CALLER_BYTES / 8)).collect();
        assert!(unread.iter().all(|answer| answer.status() == 200));
        let refused = weigh(&scales, "a", LARGE_BYTES);
        assert_eq!((refused.status().as_u16(), &refused.headers()[header::RETRY_AFTER]), (503, &RETRY_AFTER_S));
        assert_eq!(weigh(&scales, "a", LARGE_BYTES - 1).status(), 200);
        assert_eq!(weigh(&scales, "b", LARGE_BYTES).status(), 200);
        drop(unread);
        assert_eq!(weigh(&scales, "a", MAX_CALLER_BYTES * 2).status(), 200);
    }
}
