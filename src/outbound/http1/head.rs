//! The head of an answer: its status, its headers, and what they say of the body and of the connection (RFC 9112).

use super::body::Decoder;
use crate::{model::Cause, outbound::failure::Failure};
use http::StatusCode;
use httparse::{Error, Header, ParserConfig, Response, Status};
use std::{mem::MaybeUninit, str};

/// Headers that an answer may have.
pub(super) const HEADERS_LIMIT: usize = 100;

/// Memory for the headers of one head.
pub(super) type Room<'b> = [MaybeUninit<Header<'b>>; HEADERS_LIMIT];

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head<'h, 'b> {
    pub(super) status: StatusCode,
    pub(super) headers: &'h [Header<'b>],
    /// Bytes of it.
    pub(super) length: usize,
    /// Whether the connection speaks HTTP/1.1, and not 1.0.
    is_http11: bool,
}

/// What the head says of what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Framing {
    pub(super) body: Decoder,
    /// Whether the connection may be used again.
    pub(super) keep_alive: bool,
}

pub(super) fn bad(words: &str) -> Failure {
    Failure::new(Cause::BadAnswer, words)
}

pub(super) fn too_large() -> Failure {
    bad("the answer's headers are larger than allowed")
}

/// Whether a head may end after the first `scanned` bytes, in which none does.
pub(super) fn may_end(bytes: &[u8], scanned: usize) -> bool {
    let bytes = bytes.get(scanned.saturating_sub(3)..).unwrap_or_default();
    scanned == 0 || bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|triple| triple == b"\n\r\n")
}

/// The head that the bytes begin with. `None`: more bytes are needed.
///
/// # Errors
/// It is not a head of HTTP/1, or has too many headers.
pub(super) fn parse<'h, 'b>(bytes: &'b [u8], room: &'h mut Room<'b>) -> Result<Option<Head<'h, 'b>>, Failure> {
    let mut response = Response::new(&mut []);
    let length = match ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, room) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(Error::TooManyHeaders) => return Err(too_large()),
        Err(Error::Version) => return Err(bad("the answer is not HTTP/1")),
        Err(Error::Status) => return Err(bad("the answer's status line is invalid")),
        Err(Error::HeaderName | Error::HeaderValue) => return Err(bad("a header of the answer is invalid")),
        Err(error) => return Err(bad(&format!("the answer's head is invalid: {error}"))),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(|| bad("the answer's status line is invalid"))?;
    Ok(Some(Head { status, headers: response.headers, length, is_http11: response.version == Some(1) }))
}

impl Head<'_, '_> {
    /// Where the body ends (RFC 9112, section 6.3) and whether the connection lasts (section 9.3).
    ///
    /// # Errors
    /// The headers contradict each other: where the body ends cannot be told.
    pub(super) fn framing(&self, answers_head: bool) -> Result<Framing, Failure> {
        let (mut length, mut chunked, mut close, mut keep) = (None, None, false, false);
        for header in self.headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            match header.name.len() {
                10 if is("connection") => {
                    close |= tokens(header.value).any(|token| token.eq_ignore_ascii_case(b"close"));
                    keep |= tokens(header.value).any(|token| token.eq_ignore_ascii_case(b"keep-alive"));
                }
                14 if is("content-length") => length = Some(same_length(length, header.value)?),
                17 if is("transfer-encoding") => {
                    chunked = Some(tokens(header.value).last().is_some_and(|token| token.eq_ignore_ascii_case(b"chunked")));
                }
                _ => {}
            }
        }
        let persists = !close && (self.is_http11 || keep);
        let has_none = answers_head || matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if has_none {
            return Ok(Framing { body: Decoder::sized(0), keep_alive: persists });
        }
        Ok(match (chunked, length) {
            (Some(_), _) if !self.is_http11 => return Err(bad("the answer has a transfer-encoding that HTTP/1.0 does not know")),
            // With both, another one on the way may see another end.
            (Some(true), other) => Framing { body: Decoder::chunked(), keep_alive: persists && other.is_none() },
            (None, Some(length)) => Framing { body: Decoder::sized(length), keep_alive: persists },
            (Some(false), _) | (None, None) => Framing { body: Decoder::UntilClose, keep_alive: false },
        })
    }
}

/// The parts of a list, without the space around them.
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The length that all values agree on.
fn same_length(before: Option<u64>, value: &[u8]) -> Result<u64, Failure> {
    let invalid = || bad("the answer's content-length is invalid");
    let mut agreed = before;
    for token in tokens(value) {
        let digits = token.iter().all(u8::is_ascii_digit);
        let length: u64 = str::from_utf8(token).ok().filter(|_| digits).and_then(|text| text.parse().ok()).ok_or_else(invalid)?;
        if *agreed.get_or_insert(length) != length {
            return Err(bad("the answer's content-lengths contradict each other"));
        }
    }
    agreed.ok_or_else(invalid)
}
