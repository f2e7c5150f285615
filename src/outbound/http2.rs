//! One HTTP/2 connection, shared by every request to its origin. A task of its own drives it.

use super::{HEAD_LIMIT, READ_LIMIT, failure::Failure, http1::Unanswered, stream::Stream};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Requests at a time on one connection; further ones wait within their deadline.
const STREAMS: usize = 100;
/// A connection in use that is silent for so long is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(15);
/// How long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that a receiver may send ahead over all streams of a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// A handle on a shared connection.
#[derive(Clone, Debug)]
pub(super) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    streams: Arc<Semaphore>,
    /// When it was made.
    pub(super) dialled: Instant,
    /// When a request last began on it.
    pub(super) used: Instant,
}

impl Http2 {
    /// Begins to speak HTTP/2 on a fresh stream.
    pub(super) async fn open(stream: Stream) -> Result<Self, hyper::Error> {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_stream_window_size(u32::try_from(READ_LIMIT).unwrap_or(u32::MAX))
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(HEAD_LIMIT).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP/2 connection ended");
            }
        });
        let dialled = Instant::now();
        Ok(Http2 { sender, streams: Arc::new(Semaphore::new(STREAMS)), dialled, used: dialled })
    }

    /// Sends a request, up to the answer's headers. The permit is to be kept until the answer's end.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Option<OwnedSemaphorePermit>), Unanswered> {
        // The semaphore is never closed, so there is always a permit to wait for.
        let permit = Arc::clone(&self.streams).acquire_owned().await.ok();
        match self.sender.try_send_request(request).await {
            Ok(answer) => Ok((answer, permit)),
            Err(mut unanswered) => Err(match unanswered.take_message() {
                Some(_) => Unanswered::Unsent,
                None => Unanswered::Failed(Failure::from_hyper(&unanswered.into_error())),
            }),
        }
    }

    /// Whether the connection can take requests.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Whether no request is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.available_permits() == STREAMS
    }
}
