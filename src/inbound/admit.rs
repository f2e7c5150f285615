//! Before a request is judged: may it come by this method and from there, is there room for its body, and does that come
//! whole, in bounds and in time. Nothing here costs more than what it reads.

use super::{Arrival, Compiled, Head, Reason, Room};
use bytes::{Bytes, BytesMut};
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Body;
use std::time::Duration;
use tokio::time::timeout;

/// How long a body may take. Senders that wait for an answer give up earlier.
const BODY_WITHIN: Duration = Duration::from_secs(20);

/// What an announced body takes before any of it has come, at most, in bytes.
const ANNOUNCED_BYTES: usize = 16 * 1024;
/// What is set aside at once for a body that comes in pieces, at most, in bytes.
const RESERVED_BYTES: usize = 256 * 1024;

/// A request that is refused before it is whole: its head, its body as far as it was read, and why.
type Turned = (Head, Bytes, Reason);

impl Compiled {
    /// The whole request. Memory for its body is taken as the body comes.
    ///
    /// # Errors
    /// It may not come by this method or from its address; there is no room for its body, or it is too long, too slow or
    /// broken.
    pub(super) async fn admit<B>(&self, head: Head, body: &mut B, room: &mut Room<'_>) -> Result<Arrival, Box<Turned>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let announced = body.size_hint().exact();
        let checked = self
            .is_open()
            .and_then(|()| self.takes(&head.method))
            .and_then(|()| self.takes_from(&head))
            .and_then(|()| self.fits(announced, room));
        if let Err(reason) = checked {
            return Err(Box::new((head, Bytes::new(), reason)));
        }
        let mut body_read = Read { announced: announced.and_then(|length| usize::try_from(length).ok()), ..Read::default() };
        let reading = body_read.all(body, self.source.max_body, room);
        let reason = match timeout(BODY_WITHIN, reading).await {
            Ok(Ok(())) => return Ok(Arrival { head, body: body_read.joined() }),
            Ok(Err(reason)) => reason,
            Err(_) => Reason::Slow(BODY_WITHIN),
        };
        Err(Box::new((head, body_read.joined(), reason)))
    }

    fn is_open(&self) -> Result<(), Reason> {
        if self.source.closed.is_some() { Err(Reason::Closed) } else { Ok(()) }
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

    /// Whether the length that is announced, if any, is within bounds, and its beginning free: announcing costs nothing, so
    /// it takes no more from others than what may come at once.
    fn fits(&self, announced: Option<u64>, room: &mut Room<'_>) -> Result<(), Reason> {
        let Some(length) = announced else { return Ok(()) };
        if length > u64::from(self.source.max_body) {
            return Err(Reason::TooLarge(self.source.max_body));
        }
        if room.hold(usize::try_from(length).unwrap_or(usize::MAX).min(ANNOUNCED_BYTES)) { Ok(()) } else { Err(Reason::Busy) }
    }
}

/// A body as far as it was read. One that comes in one piece is not copied, another one once if its length was announced.
#[derive(Debug, Default)]
struct Read {
    announced: Option<usize>,
    first: Bytes,
    rest: BytesMut,
}

impl Read {
    async fn all<B>(&mut self, body: &mut B, limit: u32, room: &mut Room<'_>) -> Result<(), Reason>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let limit_bytes = usize::try_from(limit).unwrap_or(usize::MAX);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Reason::Broken)?.into_data() else { continue };
            if data.len() > limit_bytes.saturating_sub(self.len()) {
                return Err(Reason::TooLarge(limit));
            }
            if !room.hold(self.len() + data.len()) {
                return Err(Reason::Busy);
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
            self.rest.reserve(self.announced.unwrap_or_default().min(RESERVED_BYTES));
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
    use crate::inbound::Memory;
    use futures_util::stream;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
    use std::convert::Infallible;
    use tokio::time::Instant;

    fn memories() -> [Memory; 3] {
        [Memory::of_source(), Memory::of_application(), Memory::of_all()]
    }

    async fn read(pieces: &[&'static str], limit: u32) -> Result<Bytes, Reason> {
        let frames: Vec<_> =
            pieces.iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        let [own, application, all] = memories();
        let (mut read, mut room) = (Read::default(), Room::new(&own, &application, &all));
        read.all(&mut StreamBody::new(stream::iter(frames)), limit, &mut room).await.map(|()| read.joined())
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_refused_when_nothing_more_is_free() {
        let [own, application, all] = memories();
        let (mut read, mut room) = (Read::default(), Room::new(&own, &application, &all));
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        let endless = stream::repeat_with(|| Ok::<_, Infallible>(Frame::data(piece.clone())));
        assert_eq!(read.all(&mut StreamBody::new(endless), u32::MAX, &mut room).await, Err(Reason::Busy));
        assert_eq!(read.len(), 32 << 20, "a quarter of 128 MiB");
        let mut other = Room::new(&own, &application, &all);
        assert!(!other.hold(1));
        drop(room);
        assert!(other.hold(1));
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
        let [own, application, all] = memories();
        let (mut read, mut room) = (Read::default(), Room::new(&own, &application, &all));
        read.all(&mut Full::new(body.clone()), 1000, &mut room).await.unwrap();
        assert_eq!(read.joined().as_ptr(), body.as_ptr());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let [own, application, all] = memories();
        let mut room = Room::new(&own, &application, &all);
        let drip = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"."))), ()))
        });
        let (started, mut read) = (Instant::now(), Read::default());
        let mut drip = StreamBody::new(Box::pin(drip));
        assert!(timeout(BODY_WITHIN, read.all(&mut drip, u32::MAX, &mut room)).await.is_err());
        assert!(started.elapsed() <= BODY_WITHIN + Duration::from_secs(1));
        assert!((18..=20).contains(&read.joined().len()));
    }
}
