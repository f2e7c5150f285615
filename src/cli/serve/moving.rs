//! A stream whose other side must take what is written to it: whoever never reads an answer holds its bytes and the connection.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// How long the other side may take not one byte while there is something for it.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The stream. The timer is made with the first write that has to wait; writes that need not wait cost one comparison.
#[derive(Debug)]
pub(super) struct Moving<S> {
    stream: S,
    waits: Option<Step>,
    end: Option<Pin<Box<Sleep>>>,
}

/// What has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Write,
    Flush,
}

impl<S> Moving<S> {
    /// The stream, watched.
    pub(super) fn new(stream: S) -> Self {
        Moving { stream, waits: None, end: None }
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, step: Step, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            // A stream without a buffer of its own is always flushed: that says nothing of a write that waits.
            if step == Step::Write || self.waits == Some(step) {
                self.waits = None;
            }
            return done;
        }
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(WRITE_TIMEOUT)));
        if self.waits.is_none() {
            self.waits = Some(step);
            end.as_mut().reset(Instant::now() + WRITE_TIMEOUT);
        }
        end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Moving<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Moving<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, Step::Write, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, Step::Write, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, Step::Flush, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, Step::Flush, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_left() {
        let (near, _far) = tokio::io::duplex(4);
        let mut near = Moving::new(near);
        let started = Instant::now();
        assert_eq!(near.write_all(b"12345678").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!((WRITE_TIMEOUT..WRITE_TIMEOUT * 2).contains(&started.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_now_and_then_is_waited_for() {
        let (near, mut far) = tokio::io::duplex(1);
        let mut near = Moving::new(near);
        let reads = async {
            let mut byte = [0];
            for _ in 0..8 {
                tokio::time::sleep(WRITE_TIMEOUT - Duration::from_secs(1)).await;
                far.read_exact(&mut byte).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(near.write_all(b"12345678"), reads);
        written.unwrap();
    }
}
