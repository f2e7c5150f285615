//! One try: a connection, the request, the answer, all before one deadline.

use super::{
    Outbound,
    answer::Answer,
    failure::Failure,
    http1::{Http1, Unanswered},
    http2::Http2,
    pool::Connection,
    target::Target,
};
use crate::model::{Cause, Outcome, Phases};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::time::{Instant, timeout_at};

/// Headers that name the receiver or belong to the connection and to the body's framing: they are ours to set.
const OUR_HEADERS: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Whether a header is ours to set.
pub(super) fn is_ours(name: &HeaderName) -> bool {
    OUR_HEADERS.contains(name)
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct OutboundRequest {
    /// The method.
    pub method: http::Method,
    /// The headers. `Host`, `Content-Length` and what concerns the connection are set by the client.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// How far a try has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    Resolve,
    Connect,
    Tls,
    Headers,
    Body,
}

impl Phase {
    /// What it means when the deadline passes now.
    fn timed_out(self) -> Failure {
        match self {
            Phase::Resolve => Failure::new(Cause::ResolverFailed, "the name was not resolved within the time allowed"),
            Phase::Connect => Failure::new(Cause::ConnectTimeout, ""),
            Phase::Tls => Failure::new(Cause::ConnectTimeout, "the TLS handshake took too long"),
            Phase::Headers => Failure::new(Cause::HeadersTimeout, ""),
            Phase::Body => Failure::new(Cause::BodyTimeout, ""),
        }
    }
}

/// What is known of a try so far; it outlives the deadline.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) phase: Phase,
    pub(super) phases: Phases,
    pub(super) answer: Option<Answer>,
}

/// Microseconds since an instant.
pub(super) fn micros(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)
}

impl Outbound {
    /// One try. Whatever the network does is an outcome; the deadline covers everything from the name to the body's end.
    pub async fn send(&self, target: &Target, request: OutboundRequest, deadline: Duration) -> Outcome {
        let begun = Instant::now();
        let mut progress = Progress { phase: Phase::Connect, phases: Phases::default(), answer: None };
        // A panic fails this try alone.
        let contained = AssertUnwindSafe(self.attempt(target, &request, &mut progress)).catch_unwind();
        let result = match timeout_at(begun + deadline, contained).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                tracing::error!("a try to send panicked");
                Err(Failure::new(Cause::Internal, ""))
            }
            Err(_) => Err(progress.phase.timed_out()),
        };
        progress.phases.total_us = micros(begun);
        progress.outcome(result.err())
    }

    async fn attempt(&self, target: &Target, request: &OutboundRequest, progress: &mut Progress) -> Result<(), Failure> {
        #[cfg(test)]
        if let Some(model) = &self.model {
            return self.ask_model(&**model, target, request, progress).await;
        }
        loop {
            let pooled = self.pool.take(&target.origin, Instant::now());
            let reused = pooled.is_some();
            let connection = match pooled {
                Some(connection) => connection,
                None => Box::pin(self.open(target, progress)).await?,
            };
            let unanswered = match connection {
                Connection::Http1(connection) => self.over_http1(target, connection, request, progress).await,
                Connection::Http2(connection) => Box::pin(self.over_http2(target, connection, request, progress)).await,
            };
            match unanswered {
                Ok(()) => return Ok(()),
                Err(Unanswered::Failed(failure)) => return Err(failure),
                Err(Unanswered::Unsent) if reused => {}
                Err(Unanswered::Unsent) => return Err(Failure::new(Cause::Disconnected, "")),
            }
        }
    }

    /// A connection for a request that found none. Requests to an origin that may speak HTTP/2 share one dial.
    async fn open(&self, target: &Target, progress: &mut Progress) -> Result<Connection, Failure> {
        self.pool.keep_swept();
        let origin = &target.origin;
        progress.phase = Phase::Connect;
        let turn = self.pool.turn(origin);
        let mut held = None;
        if let Some(turn) = &turn {
            held = Some(turn.lock().await);
            if let Some(connection) = self.pool.take(origin, Instant::now()) {
                return Ok(connection);
            }
            if self.pool.turn(origin).is_none() {
                held = None;
            }
        }
        let connection = self.dialer.dial(origin, progress).await?;
        match &connection {
            Connection::Http1(_) => self.pool.learn(origin, true),
            Connection::Http2(fresh) => {
                self.pool.learn(origin, false);
                self.pool.share(origin, fresh);
            }
        }
        drop(held);
        Ok(connection)
    }

    async fn over_http1(
        &self,
        target: &Target,
        mut connection: Box<Http1>,
        request: &OutboundRequest,
        progress: &mut Progress,
    ) -> Result<(), Unanswered> {
        progress.phase = Phase::Headers;
        let begun = Instant::now();
        let answer = connection.send(target, request, &*self.clock).await?;
        progress.phases.first_byte_us = micros(begun);
        progress.phase = Phase::Body;
        let kept = progress.answer.insert(answer);
        let whole = connection.receive(request, &mut kept.body).await.map_err(Unanswered::Failed)?;
        if whole && connection.rest() {
            self.pool.put(&target.origin, connection, kept.keep_alive);
        }
        Ok(())
    }

    async fn over_http2(
        &self,
        target: &Target,
        mut connection: Http2,
        request: &OutboundRequest,
        progress: &mut Progress,
    ) -> Result<(), Unanswered> {
        progress.phase = Phase::Headers;
        let begun = Instant::now();
        let (answer, _permit) = match connection.send(prepared(target, request)).await {
            Ok(answered) => answered,
            Err(unanswered) => {
                if matches!(unanswered, Unanswered::Unsent) {
                    self.pool.forget(&target.origin, &connection);
                }
                return Err(unanswered);
            }
        };
        progress.phases.first_byte_us = micros(begun);
        progress.phase = Phase::Body;
        let headers = answer.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let kept = progress.answer.insert(Answer::new(answer.status(), headers, &*self.clock));
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Unanswered::Failed(Failure::from_hyper(&error)))?;
            if let Ok(data) = frame.into_data()
                && !kept.body.push(&data)
            {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The request as HTTP/2 sends it.
fn prepared(target: &Target, request: &OutboundRequest) -> Request<Full<Bytes>> {
    let mut prepared = Request::new(Full::new(request.body.clone()));
    *prepared.method_mut() = request.method.clone();
    *prepared.uri_mut() = target.whole.clone();
    *prepared.headers_mut() = request.headers.clone();
    for name in &OUR_HEADERS {
        prepared.headers_mut().remove(name);
    }
    prepared
}

impl Progress {
    fn outcome(self, failure: Option<Failure>) -> Outcome {
        let Some(answer) = self.answer else {
            let failure = failure.unwrap_or_else(|| Failure::new(Cause::Internal, ""));
            return Outcome { phases: self.phases, ..Outcome::failed(failure.cause, failure.detail) };
        };
        let Failure { cause, detail } = failure.unwrap_or_else(|| judged(answer.status));
        let (body, body_cut) = answer.body.finish();
        Outcome {
            cause,
            detail,
            status: Some(answer.status.as_u16()),
            headers: answer.headers,
            body,
            body_cut,
            retry_after: answer.retry_after,
            phases: self.phases,
        }
    }
}

/// What a complete answer means.
fn judged(status: StatusCode) -> Failure {
    if status.is_success() {
        return Failure { cause: Cause::Success, detail: String::new() };
    }
    let cause = if status.is_redirection() { Cause::Redirect } else { Cause::BadStatus };
    let reason = status.canonical_reason().unwrap_or_default();
    Failure::new(cause, format!("{} {reason}", status.as_str()).trim_end())
}
