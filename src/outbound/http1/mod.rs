//! One HTTP/1.1 connection. The task that sends also drives the connection: a request on a reused connection costs no other
//! task, no wake-up between tasks and no memory of its own; at rest nothing is woken by it. To drop a future of it midway
//! leaves the connection good for nothing but to be dropped.

mod body;
mod buffer;
mod head;
mod reading;
mod request;
#[cfg(test)]
mod tests;

pub use reading::decode_answer;

use super::{
    answer::{Answer, Body},
    failure::Failure,
    send::OutboundRequest,
    stream::Stream,
    target::Target,
};
use crate::clock::Clock;
use reading::{Reading, Step};
use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// Bytes of a request's head for which a connection at rest keeps the memory.
const HEAD_KEPT: usize = 4 * 1024;

/// A request that was not answered.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Not one byte of it was written: it may be sent elsewhere.
    Unsent,
    /// It may have arrived.
    Failed(Failure),
}

/// How far the writing of a request has come.
#[derive(Debug)]
enum Writing {
    /// So many bytes of head and body were taken.
    Begun(usize),
    Done,
    /// The receiver takes no more. It may have answered all the same.
    Broken {
        taken: usize,
        error: io::Error,
    },
}

/// A connection with one request at a time.
#[derive(Debug)]
pub(super) struct Http1<S = Stream> {
    stream: S,
    /// Whether nothing has left when the first write fails.
    unbuffered: bool,
    head: Vec<u8>,
    writing: Writing,
    reading: Reading,
    /// Whether there was a request before.
    used: bool,
    ended: bool,
    /// When it was made.
    pub(super) dialled: Instant,
    /// Until when it may wait for another request.
    pub(super) idle_until: Instant,
}

impl Http1 {
    /// Begins to speak HTTP/1.1 on a fresh stream.
    pub(super) fn open(stream: Stream) -> Box<Self> {
        let unbuffered = matches!(stream, Stream::Plain(_));
        Self::over(stream, unbuffered)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http1<S> {
    fn over(stream: S, unbuffered: bool) -> Box<Self> {
        let dialled = Instant::now();
        Box::new(Http1 {
            stream,
            unbuffered,
            head: Vec::new(),
            writing: Writing::Done,
            reading: Reading::default(),
            used: false,
            ended: false,
            dialled,
            idle_until: dialled,
        })
    }

    /// Sends a request, up to the answer's headers.
    pub(super) async fn send(
        &mut self,
        target: &Target,
        request: &OutboundRequest,
        clock: &dyn Clock,
    ) -> Result<Answer, Unanswered> {
        if self.used && !poll_fn(|cx| Poll::Ready(self.is_at_rest(cx))).await {
            return Err(Unanswered::Unsent);
        }
        self.used = true;
        self.head.clear();
        request::encode(&mut self.head, target, request);
        self.writing = Writing::Begun(0);
        self.reading.begin(request.method == http::Method::HEAD);
        poll_fn(|cx| {
            loop {
                self.write(cx, &request.body);
                if self.unbuffered && matches!(self.writing, Writing::Broken { taken: 0, .. }) {
                    return Poll::Ready(Err(Unanswered::Unsent));
                }
                match self.reading.head(clock) {
                    Ok(Some(answer)) => return Poll::Ready(Ok(answer)),
                    Ok(None) => {}
                    Err(failure) => return Poll::Ready(Err(Unanswered::Failed(failure))),
                }
                if let Err(failure) = ready!(self.fill(cx)) {
                    return Poll::Ready(Err(Unanswered::Failed(failure)));
                }
            }
        })
        .await
    }

    /// Reads the answer's body into what is kept of it, while what is left of the request's body is written. Whether the end
    /// was reached, and not the limit.
    pub(super) async fn receive(&mut self, request: &OutboundRequest, kept: &mut Body) -> Result<bool, Failure> {
        poll_fn(|cx| {
            loop {
                match self.reading.body(kept) {
                    Ok(Step::Complete) => return Poll::Ready(Ok(true)),
                    Ok(Step::Cut) => return Poll::Ready(Ok(false)),
                    Ok(Step::More) => {}
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
                self.write(cx, &request.body);
                if let Err(failure) = ready!(self.fill(cx)) {
                    return Poll::Ready(Err(failure));
                }
            }
        })
        .await
    }

    /// Lets the connection come to rest after an answer. Whether it can take another request.
    pub(super) fn rest(&mut self) -> bool {
        self.head.clear();
        self.head.shrink_to(HEAD_KEPT);
        self.reading.rest();
        self.is_at_rest(&mut Context::from_waker(Waker::noop()))
    }

    /// Whether the last exchange is complete, and nothing came after it, not even the end.
    fn is_at_rest(&mut self, cx: &mut Context<'_>) -> bool {
        let complete = !self.ended && matches!(self.writing, Writing::Done) && self.reading.is_complete();
        if complete {
            self.ended = self.read(cx).is_ready();
        }
        complete && !self.ended
    }

    /// Writes as much of the request as the stream takes.
    fn write(&mut self, cx: &mut Context<'_>, body: &[u8]) {
        while let Writing::Begun(taken) = self.writing {
            let rest = self.head.get(taken..).unwrap_or_default();
            let body = body.get(taken.saturating_sub(self.head.len())..).unwrap_or_default();
            let stream = Pin::new(&mut self.stream);
            let polled = if rest.is_empty() && body.is_empty() {
                stream.poll_flush(cx).map_ok(|()| Writing::Done)
            } else {
                let written = stream.poll_write_vectored(cx, &[IoSlice::new(rest), IoSlice::new(body)]);
                written.map(|written| match written {
                    Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                    other => other.map(|more| Writing::Begun(taken + more)),
                })
            };
            match polled {
                Poll::Pending => return,
                Poll::Ready(next) => self.writing = next.unwrap_or_else(|error| Writing::Broken { taken, error }),
            }
        }
    }

    /// Reads once; the end counts as part of the answer if it is told by it.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let read = ready!(self.read(cx));
        if matches!(read, Ok(1..)) {
            return Poll::Ready(Ok(()));
        }
        self.ended = true;
        Poll::Ready(match (read, &self.writing) {
            (Err(error), _) => Err(Failure::from_io(&error)),
            (Ok(_), Writing::Broken { error, .. }) if !self.reading.has_begun() => Err(Failure::from_io(error)),
            (Ok(_), _) => self.reading.end(),
        })
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(self.reading.room());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
        let read = into.filled().len();
        self.reading.take(read);
        Poll::Ready(Ok(read))
    }
}
