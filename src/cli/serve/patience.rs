//! What every request of a connection is given: an end to the patience with a body that does not come, because whoever
//! sends slowly holds what was sent so far.

use bytes::Bytes;
use http::Request;
use hyper::{
    body::{Body, Frame, SizeHint},
    service::Service,
};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// How long a body may take from the moment that it has to be waited for.
const BODY_TIMEOUT: Duration = Duration::from_secs(120);

/// A service for one connection's requests, whose bodies must come in time.
#[derive(Clone, Debug)]
pub(super) struct Patient<S>(pub(super) S);

impl<S: Service<Request<Timed<B>>>, B> Service<Request<B>> for Patient<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: Request<B>) -> S::Future {
        self.0.call(request.map(|body| Timed { body, end: None }))
    }
}

/// A body that ends with an error when it takes too long. The timer starts with the first wait: a small body comes with
/// its headers and costs nothing.
#[derive(Debug)]
pub(super) struct Timed<B> {
    body: B,
    end: Option<Pin<Box<Sleep>>>,
}

/// A body did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not come within {BODY_TIMEOUT:?}")]
pub(super) struct Late;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for Timed<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.end.get_or_insert_with(|| Box::pin(sleep(BODY_TIMEOUT))).as_mut().poll(cx));
        Poll::Ready(Some(Err(Late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};
    use std::convert::Infallible;

    struct Never;

    impl Body for Never {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let started = tokio::time::Instant::now();
        let late = Timed { body: Never, end: None }.collect().await.unwrap_err();
        assert!(late.is::<Late>());
        assert!(started.elapsed() >= BODY_TIMEOUT && started.elapsed() < BODY_TIMEOUT * 2);
        let whole = Timed { body: Full::new(Bytes::from_static(b"x")), end: None }.collect().await.unwrap().to_bytes();
        assert_eq!(whole, "x");
    }
}
