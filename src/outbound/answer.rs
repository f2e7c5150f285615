//! What is kept of an answer: bounded headers, a bounded body, and when to come back.

use crate::{
    clock::Clock,
    model::{Headers, Time},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, header};
use std::time::Duration;

/// Bytes of an answer's body that are read before the connection is cut.
pub const READ_LIMIT: usize = 64 * 1024;
/// Bytes of an answer's body that are kept.
pub const KEEP_LIMIT: usize = 20_000;
/// Headers of an answer that are kept.
pub const HEADERS_KEPT: usize = 64;
/// Bytes of names and values together that are kept.
pub const HEADER_BYTES_KEPT: usize = 8 * 1024;
/// Bytes of names and values that most answers have.
const HEADER_BYTES_USUAL: usize = 128;
/// A body up to this many bytes is copied out of the connection's read buffer, which can then be used again.
const COPIED: usize = 4096;

/// An answer as far as it has come.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Headers,
    pub(super) retry_after: Option<Duration>,
    /// How long the receiver says that it keeps an idle connection.
    pub(super) keep_alive: Option<Duration>,
    pub(super) body: Body,
}

impl Answer {
    /// Takes what is kept of the answer's head.
    pub(super) fn from_head<B>(answer: &Response<B>, clock: &dyn Clock) -> Self {
        let headers = answer.headers();
        Answer {
            status: answer.status(),
            headers: kept(headers),
            retry_after: headers.get(header::RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, clock)),
            keep_alive: headers.get("keep-alive").and_then(|value| keep_alive(value.to_str().ok()?)),
            body: Body::default(),
        }
    }
}

fn kept(headers: &HeaderMap) -> Headers {
    let mut room = HEADER_BYTES_KEPT;
    let mut kept = Headers::with_capacity(HEADER_BYTES_USUAL);
    for (name, value) in headers.iter().take(HEADERS_KEPT) {
        let Some(left) = room.checked_sub(name.as_str().len() + value.len()) else { continue };
        room = left;
        kept.push(name.as_str(), value.as_bytes());
    }
    kept
}

/// Seconds or a date (RFC 9110, section 10.2.3). A date that has passed means now.
fn retry_after(text: &str, clock: &dyn Clock) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse::<u32>().unwrap_or(u32::MAX).into()));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let date = Time(u64::try_from(date.as_millisecond()).unwrap_or(0));
    Some(date.since(clock.now()))
}

/// The time of `Keep-Alive: timeout=5` (RFC 2068, section 19.7.1).
fn keep_alive(text: &str) -> Option<Duration> {
    let seconds = text.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    seconds.trim().parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()))
}

/// The part of a body that is kept, and how much was read.
#[derive(Debug, Default)]
pub(super) struct Body {
    first: Bytes,
    joined: BytesMut,
    read: usize,
}

impl Body {
    /// Takes the next part. Whether more may be read.
    pub(super) fn push(&mut self, data: Bytes) -> bool {
        let room = KEEP_LIMIT.saturating_sub(self.read);
        if self.read == 0 {
            self.first = data.slice(..data.len().min(KEEP_LIMIT));
        } else if room > 0 {
            if self.joined.is_empty() {
                self.joined.extend_from_slice(&self.first);
            }
            self.joined.extend(data.iter().take(room));
        }
        self.read = self.read.saturating_add(data.len());
        self.read <= READ_LIMIT
    }

    /// What is kept, and whether there was more.
    pub(super) fn finish(self) -> (Bytes, bool) {
        let kept = match (self.joined.is_empty(), self.first.len()) {
            (false, _) => self.joined.freeze(),
            (true, ..=COPIED) => Bytes::copy_from_slice(&self.first),
            (true, _) => self.first,
        };
        (kept, self.read > KEEP_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Stopped(Time);

    impl Clock for Stopped {
        fn now(&self) -> Time {
            self.0
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let clock = Stopped(Time::parse("2026-11-21T08:00:00Z").unwrap());
        for (text, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("99999999999999999999", Some(u32::MAX.into())),
            ("Sat, 21 Nov 2026 08:01:30 GMT", Some(90)),
            ("Sat, 21 Nov 2026 07:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, &clock), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn keep_alive_is_read() {
        assert_eq!(keep_alive("timeout=5, max=100"), Some(Duration::from_secs(5)));
        assert_eq!(keep_alive("max=100, timeout=72"), Some(Duration::from_secs(72)));
        assert_eq!(keep_alive("max=100"), None);
    }

    #[test]
    fn headers_are_bounded() {
        let mut headers = HeaderMap::new();
        for number in 0..100 {
            headers.append("X-Many", number.into());
        }
        assert_eq!(kept(&headers).iter().count(), HEADERS_KEPT);
        assert_eq!(kept(&headers).iter().next(), Some(("x-many", "0")));
        let mut headers = HeaderMap::new();
        headers.insert("x-large", "a".repeat(HEADER_BYTES_KEPT).parse().unwrap());
        headers.insert("x-small", "b".parse().unwrap());
        assert!(kept(&headers).iter().eq([("x-small", "b")]));
    }

    #[test]
    fn a_body_is_bounded() {
        let mut body = Body::default();
        assert!(body.push(Bytes::from_static(b"ab")) && body.push(Bytes::from_static(b"cd")));
        assert_eq!(body.finish(), (Bytes::from_static(b"abcd"), false));

        let mut exact = Body::default();
        assert!(exact.push(vec![b'x'; KEEP_LIMIT].into()));
        assert_eq!(exact.finish(), (vec![b'x'; KEEP_LIMIT].into(), false));

        let mut over = Body::default();
        assert!(over.push(vec![b'x'; READ_LIMIT - 1].into()) && over.push(Bytes::from_static(b"y")));
        assert!(!over.push(Bytes::from_static(b"z")));
        assert_eq!(over.finish(), (vec![b'x'; KEEP_LIMIT].into(), true));
    }
}
