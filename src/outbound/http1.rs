//! One HTTP/1.1 connection. The task that sends also drives the connection, so that a request on a reused connection costs
//! no other task, no wake-up between tasks and no allocation of its own; at rest nothing is woken by it.

use super::{HEAD_LIMIT, failure::Failure, stream::Stream};
use crate::model::Cause;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http1::{Builder, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};
use tokio::{task::coop::unconstrained, time::Instant};

/// A request that was not answered.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Not one byte of it was written: it may be sent elsewhere.
    Unsent(Box<Request<Full<Bytes>>>),
    /// It may have arrived.
    Failed(Failure),
}

/// A connection with one request at a time.
#[derive(Debug)]
pub(super) struct Http1 {
    sender: SendRequest<Full<Bytes>>,
    /// `None`: it has ended.
    connection: Option<Connection<TokioIo<Stream>, Full<Bytes>>>,
    /// When it was made.
    pub(super) dialled: Instant,
    /// Until when it may wait for another request.
    pub(super) idle_until: Instant,
}

impl Http1 {
    /// Begins to speak HTTP/1.1 on a fresh stream.
    pub(super) async fn open(stream: Stream) -> Result<Box<Self>, hyper::Error> {
        let (sender, connection) = Builder::new().max_buf_size(HEAD_LIMIT).handshake(TokioIo::new(stream)).await?;
        let dialled = Instant::now();
        Ok(Box::new(Http1 { sender, connection: Some(connection), dialled, idle_until: dialled }))
    }

    /// Sends a request, up to the answer's headers.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unanswered> {
        let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
        let answer = poll_fn(|cx| {
            self.progress(cx);
            self.seen(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())))
        });
        match answer.await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(mut unanswered)) => Err(match unanswered.take_message() {
                Some(request) => Unanswered::Unsent(Box::new(request)),
                None => Unanswered::Failed(Failure::from_hyper(&unanswered.into_error())),
            }),
            None => Err(Unanswered::Failed(Failure::new(Cause::Disconnected, ""))),
        }
    }

    /// The next part of the answer's body. `None`: it is complete.
    pub(super) async fn next(&mut self, body: &mut Incoming) -> Result<Option<Frame<Bytes>>, Unanswered> {
        let mut frame = pin!(unconstrained(body.frame()));
        let mut polled = false;
        let frame = poll_fn(|cx| {
            // What was read together with the headers is already there.
            if !std::mem::replace(&mut polled, true)
                && let Poll::Ready(frame) = frame.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            {
                return Poll::Ready(Some(frame));
            }
            self.progress(cx);
            self.seen(frame.as_mut().poll(&mut Context::from_waker(Waker::noop())))
        });
        match frame.await {
            Some(None) => Ok(None),
            Some(Some(Ok(frame))) => Ok(Some(frame)),
            Some(Some(Err(error))) => Err(Unanswered::Failed(Failure::from_hyper(&error))),
            None => Err(Unanswered::Failed(Failure::new(Cause::Disconnected, ""))),
        }
    }

    /// Lets the connection come to rest after an answer. Whether it can take another request.
    pub(super) fn rest(&mut self) -> bool {
        self.progress(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Reads and writes what the stream allows. Whatever waits on this connection can only get ready in here, which is why
    /// it needs no waker of its own.
    fn progress(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            // Dropping it hands back a request that it has not begun to write.
            self.connection = None;
        }
    }

    /// The result, or `None` when the connection has finished without one.
    fn seen<T>(&self, polled: Poll<T>) -> Poll<Option<T>> {
        match polled {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if self.connection.is_none() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
