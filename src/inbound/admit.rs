//! Before a request is judged: may it come by this method and from there, and does its body come whole, in bounds and in
//! time. Nothing here costs more than what it reads.

use super::{Arrival, Compiled, Head, Reason};
use bytes::{Bytes, BytesMut};
use http::{Method, header::CONTENT_LENGTH};
use http_body_util::BodyExt;
use hyper::body::Body;
use std::{pin::pin, time::Duration};
use tokio::time::timeout;

/// How long a body may take. Senders that wait for an answer give up earlier.
const BODY_WITHIN: Duration = Duration::from_secs(20);

/// A request that is refused before it is whole: its head, its body as far as it was read, and why.
type Turned = (Head, Bytes, Reason);

impl Compiled {
    /// The whole request.
    ///
    /// # Errors
    /// It may not come by this method or from its address; its body is too long, too slow or broken.
    pub(super) async fn admit<B: Body<Data = Bytes>>(&self, head: Head, body: B) -> Result<Arrival, Box<Turned>> {
        let refused = self.takes(&head.method).and_then(|()| self.takes_from(&head)).and_then(|()| self.announces(&head));
        if let Err(reason) = refused {
            return Err(Box::new((head, Bytes::new(), reason)));
        }
        let mut body_read = Read::default();
        let reading = body_read.all(body, self.source.max_body);
        let reason = match timeout(BODY_WITHIN, reading).await {
            Ok(Ok(())) => return Ok(Arrival { head, body: body_read.joined() }),
            Ok(Err(reason)) => reason,
            Err(_) => Reason::Slow(BODY_WITHIN),
        };
        Err(Box::new((head, body_read.joined(), reason)))
    }

    /// Whether events come by this method, or handshakes may.
    fn takes(&self, method: &Method) -> Result<(), Reason> {
        let shakes = self.provider().is_some_and(|provider| provider.handshake.is_some());
        let by_handshake = shakes && [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST].contains(method);
        if by_handshake { Ok(()) } else { self.takes_events(method) }
    }

    /// Whether events come by this method.
    pub(super) fn takes_events(&self, method: &Method) -> Result<(), Reason> {
        let listed = self.source.methods.iter().any(|listed| listed == method.as_str());
        if listed { Ok(()) } else { Err(Reason::Method(self.source.methods.clone())) }
    }

    fn takes_from(&self, head: &Head) -> Result<(), Reason> {
        if self.allows(head.remote) { Ok(()) } else { Err(Reason::Address) }
    }

    /// Whether the length that is announced, if any, is within bounds.
    fn announces(&self, head: &Head) -> Result<(), Reason> {
        let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let over = length.is_some_and(|length| length > u64::from(self.source.max_body));
        if over { Err(Reason::TooLarge(self.source.max_body)) } else { Ok(()) }
    }
}

/// A body as far as it was read. One that comes in one piece is not copied.
#[derive(Debug, Default)]
struct Read {
    first: Bytes,
    rest: BytesMut,
}

impl Read {
    async fn all<B: Body<Data = Bytes>>(&mut self, body: B, limit: u32) -> Result<(), Reason> {
        let mut body = pin!(body);
        let limit_bytes = usize::try_from(limit).unwrap_or(usize::MAX);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Reason::Broken)?.into_data() else { continue };
            if data.len() > limit_bytes.saturating_sub(self.len()) {
                return Err(Reason::TooLarge(limit));
            }
            self.push(data);
        }
        Ok(())
    }

    fn len(&self) -> usize {
        if self.rest.is_empty() { self.first.len() } else { self.rest.len() }
    }

    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
            return;
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&self.first);
        }
        self.rest.extend_from_slice(&data);
    }

    fn joined(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
    use std::convert::Infallible;
    use tokio::time::Instant;

    async fn read(pieces: &[&'static str], limit: u32) -> Result<Bytes, Reason> {
        let frames: Vec<_> =
            pieces.iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        let mut read = Read::default();
        read.all(StreamBody::new(stream::iter(frames)), limit).await.map(|()| read.joined())
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        assert_eq!(read(&["ab", "", "cd", "e"], 5).await.unwrap(), "abcde");
        assert_eq!(read(&[], 0).await.unwrap(), "");
        assert_eq!(read(&["ab", "cd", "e"], 4).await, Err(Reason::TooLarge(4)));
        assert_eq!(read(&["abcde"], 4).await, Err(Reason::TooLarge(4)));
    }

    #[tokio::test]
    async fn a_body_in_one_piece_is_not_copied() {
        let body = Bytes::from(vec![b'x'; 1000]);
        let mut read = Read::default();
        read.all(Full::new(body.clone()), 1000).await.unwrap();
        assert_eq!(read.joined().as_ptr(), body.as_ptr());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let drip = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"."))), ()))
        });
        let (started, mut read) = (Instant::now(), Read::default());
        assert!(timeout(BODY_WITHIN, read.all(StreamBody::new(drip), u32::MAX)).await.is_err());
        assert!(started.elapsed() <= BODY_WITHIN + Duration::from_secs(1));
        assert!((18..=20).contains(&read.joined().len()));
    }
}
