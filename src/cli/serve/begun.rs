//! A connection whose first bytes were read to see what it speaks, and are read again by whoever speaks it.

use bytes::{Buf, Bytes};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What an HTTP/2 connection starts with; no HTTP/1 method does.
const HTTP2_PREFACE: &[u8; 3] = b"PRI";

/// The stream, its start in front.
#[derive(Debug)]
pub(super) struct Begun<S> {
    start: Bytes,
    stream: S,
}

impl<S: AsyncRead + Unpin> Begun<S> {
    /// Waits for as many bytes as it takes to know: whether HTTP/2 is spoken, and the stream. `None`: it ends before.
    pub(super) async fn read(mut stream: S) -> Option<(bool, Self)> {
        let (mut start, mut filled) = ([0; HTTP2_PREFACE.len()], 0);
        loop {
            let read = stream.read(start.get_mut(filled..)?).await.ok().filter(|read| *read > 0)?;
            filled += read;
            let seen = start.get(..filled)?;
            let speaks_http2 = seen == HTTP2_PREFACE;
            if speaks_http2 || !HTTP2_PREFACE.starts_with(seen) {
                return Some((speaks_http2, Begun { start: Bytes::copy_from_slice(seen), stream }));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.start.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let taken = self.start.len().min(buffer.remaining());
        buffer.put_slice(self.start.get(..taken).unwrap_or_default());
        self.start.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_connection_speaks_is_known_by_its_start_and_nothing_is_lost() {
        for (pieces, http2) in
            [(&["PR", "I * HTTP/2.0"][..], true), (&["P", "OST / HTTP/1.1"], false), (&["GET / HTTP/1.1"], false)]
        {
            let mut sender = tokio_test_stream(pieces);
            let (speaks_http2, mut begun) = Begun::read(&mut sender).await.unwrap();
            let mut text = String::new();
            begun.read_to_string(&mut text).await.unwrap();
            assert_eq!((speaks_http2, text), (http2, pieces.concat()));
        }
        for pieces in [&[][..], &["P"], &["PR"]] {
            assert!(Begun::read(&mut tokio_test_stream(pieces)).await.is_none(), "{pieces:?}");
        }
    }

    /// A stream that gives one piece at a read.
    fn tokio_test_stream(pieces: &[&'static str]) -> impl AsyncRead + Unpin + use<> {
        pieces.iter().fold(Box::new(tokio::io::empty()) as Box<dyn AsyncRead + Unpin>, |before, piece| {
            Box::new(before.chain(piece.as_bytes()))
        })
    }
}
