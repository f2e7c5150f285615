//! Answers that the HTTP/1 library gives by itself, to what is no request or too long to be one: they get the headers that all
//! other answers carry. It lets nobody add to them, so they are recognised when they are written.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How such an answer begins: a status of 4xx.
const BEGINS: &[u8] = b"HTTP/1.1 4";
/// It has no body, and says so.
const BARE: &str = "\r\ncontent-length: 0\r\n";
/// It ends with its headers.
const ENDS: &str = "\r\n\r\n";
/// Bytes of such an answer at most: a status line, its length, a date, perhaps the connection's end.
const MAX_BYTES: usize = 256;
/// What all answers of ours have.
const OURS: &str = "\r\nx-content-type-options: ";
/// What is added to one that is not ours.
const CAREFUL: &str = "\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer";

/// A stream on which such answers are completed.
#[derive(Debug)]
pub(super) struct Early<S> {
    stream: S,
    /// What is left of a completed answer.
    left: Vec<u8>,
}

impl<S> Early<S> {
    /// The stream, watched.
    pub(super) fn new(stream: S) -> Self {
        Early { stream, left: Vec::new() }
    }
}

/// The answer with what all others carry, if it is one that was given early.
fn completed(answer: &[u8]) -> Option<Vec<u8>> {
    if !answer.starts_with(BEGINS) || answer.len() > MAX_BYTES {
        return None;
    }
    let head = std::str::from_utf8(answer).ok()?.strip_suffix(ENDS)?;
    let bare = head.contains(BARE) || head.ends_with(BARE.trim_end());
    let early = bare && !head.contains(ENDS) && !head.contains(OURS);
    early.then(|| [head, CAREFUL, ENDS].concat().into_bytes())
}

impl<S: AsyncWrite + Unpin> Early<S> {
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.left.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Early<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Early<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_left(cx))?;
        match completed(bytes) {
            // It is written with the next flush, which follows at once.
            Some(answer) => {
                self.left = answer;
                Poll::Ready(Ok(bytes.len()))
            }
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let [only] = slices {
            return self.poll_write(cx, only);
        }
        ready!(self.poll_left(cx))?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_left(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_left(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const EARLY: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: Sun, 22 Nov 2026 00:00:00 GMT\r\n\r\n";

    async fn through(texts: &[&str]) -> String {
        // A pipe that takes a few bytes at a time.
        let (near, mut far) = tokio::io::duplex(7);
        let mut early = Early::new(near);
        let sent = async {
            for text in texts {
                early.write_all(text.as_bytes()).await.unwrap();
            }
            early.flush().await.unwrap();
            early.shutdown().await.unwrap();
        };
        let mut told = String::new();
        let (_, read) = tokio::join!(sent, far.read_to_string(&mut told));
        read.unwrap();
        told
    }

    #[tokio::test]
    async fn answers_that_nobody_else_could_complete_are_completed() {
        let told = through(&[EARLY, "HTTP/1.1 200 OK\r\n\r\n"]).await;
        let (first, rest) = told.split_once("\r\n\r\n").unwrap();
        assert!(first.starts_with("HTTP/1.1 431 ") && first.ends_with(CAREFUL), "{first}");
        assert_eq!(rest, "HTTP/1.1 200 OK\r\n\r\n");
    }

    #[tokio::test]
    async fn everything_else_goes_through_as_it_is() {
        let ours = EARLY.replace("\r\n\r\n", &format!("{CAREFUL}\r\n\r\n"));
        let with_body = EARLY.replace("length: 0", "length: 2") + "{}";
        let long = EARLY.replace("date: ", &format!("x: {}\r\ndate: ", "y".repeat(MAX_BYTES)));
        for text in [&ours, &with_body, &long, "HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 4", "{}", &EARLY.replace("431", "202")] {
            assert_eq!(through(&[text]).await, *text);
        }
    }
}
