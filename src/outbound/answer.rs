//! What is kept of an answer: bounded headers, a bounded body, and when to come back.

use crate::{
    clock::Clock,
    model::{Headers, Time},
};
use bytes::Bytes;
use http::StatusCode;
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
    pub(super) fn new<'h>(status: StatusCode, headers: impl Iterator<Item = (&'h str, &'h [u8])>, clock: &dyn Clock) -> Self {
        let mut kept = Headers::with_capacity(HEADER_BYTES_USUAL);
        let (mut room, mut comes_back, mut keeps) = (HEADER_BYTES_KEPT, None, None);
        for (number, (name, value)) in headers.enumerate() {
            if comes_back.is_none() && name.eq_ignore_ascii_case("retry-after") {
                comes_back = Some(value);
            } else if keeps.is_none() && name.eq_ignore_ascii_case("keep-alive") {
                keeps = Some(value);
            }
            if let Some(left) = room.checked_sub(name.len() + value.len()).filter(|_| number < HEADERS_KEPT) {
                room = left;
                kept.push(name, value);
            }
        }
        let text = |value: Option<&'h [u8]>| value.and_then(|value| str::from_utf8(value).ok());
        Answer {
            status,
            headers: kept,
            retry_after: text(comes_back).and_then(|text| retry_after(text, clock)),
            keep_alive: text(keeps).and_then(keep_alive),
            body: Body::default(),
        }
    }
}

/// Seconds or a date (RFC 9110, section 10.2.3). A date that has passed means now.
fn retry_after(text: &str, clock: &dyn Clock) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse::<u32>().unwrap_or(u32::MAX).into()));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let date = Time(u64::try_from(date.as_millisecond()).unwrap_or(0));
    Some(date.since(clock.wall()))
}

/// The time of `Keep-Alive: timeout=5` (RFC 2068, section 19.7.1).
fn keep_alive(text: &str) -> Option<Duration> {
    let seconds = text.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    seconds.trim().parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()))
}

/// The part of a body that is kept, and how much was read.
#[derive(Debug, Default)]
pub(super) struct Body {
    kept: Vec<u8>,
    read: usize,
}

impl Body {
    /// Takes the next part. Whether more may be read.
    pub(super) fn push(&mut self, data: &[u8]) -> bool {
        let room = KEEP_LIMIT.saturating_sub(self.read);
        self.kept.extend_from_slice(data.get(..room).unwrap_or(data));
        self.read = self.read.saturating_add(data.len());
        self.read <= READ_LIMIT
    }

    /// What is kept, and whether there was more.
    pub(super) fn finish(self) -> (Bytes, bool) {
        (self.kept.into_boxed_slice().into(), self.read > KEEP_LIMIT)
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

    fn answer(headers: &[(&'static str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        Answer::new(StatusCode::OK, headers, &Stopped(Time(0)))
    }

    #[test]
    fn headers_are_bounded() {
        let mut many = vec![("X-Many", "0"); 100];
        many.push(("Retry-After", "1"));
        let many = answer(&many);
        assert_eq!(many.headers.iter().count(), HEADERS_KEPT);
        assert_eq!(many.headers.iter().next(), Some(("x-many", "0")));
        assert_eq!(many.retry_after, Some(Duration::from_secs(1)));
        let large = "a".repeat(HEADER_BYTES_KEPT);
        assert!(answer(&[("x-large", &large), ("x-small", "b")]).headers.iter().eq([("x-small", "b")]));
    }

    #[test]
    fn a_body_is_bounded() {
        let mut body = Body::default();
        assert!(body.push(b"ab") && body.push(b"cd"));
        assert_eq!(body.finish(), (Bytes::from_static(b"abcd"), false));

        let mut exact = Body::default();
        assert!(exact.push(&[b'x'; KEEP_LIMIT]));
        assert_eq!(exact.finish(), (vec![b'x'; KEEP_LIMIT].into(), false));

        let mut over = Body::default();
        assert!(over.push(&[b'x'; READ_LIMIT - 1]) && over.push(b"y"));
        assert!(!over.push(b"z"));
        assert_eq!(over.finish(), (vec![b'x'; KEEP_LIMIT].into(), true));
    }
}
