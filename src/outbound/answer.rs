//! Reading an answer: as much as is wanted, never more than is allowed.

use super::{Failure, Progress};
use crate::model::{Cause, Outcome, Time};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER, response::Parts};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::time::Duration;

/// Body bytes that are read at most; a connection with more to come is dropped.
pub const READ_LIMIT: usize = 64 << 10;
/// Body bytes that an attempt keeps.
pub const KEEP_LIMIT: usize = 20_000;
/// Headers that an attempt keeps.
const KEEP_HEADERS: usize = 64;
/// Bytes of names and values that an attempt keeps.
const KEEP_HEADER_BYTES: usize = 8 << 10;
/// The longest detail, in bytes.
const DETAIL: usize = 200;

/// What the head of an answer says.
pub(super) fn head(parts: &Parts, now: Time) -> Outcome {
    let status = parts.status;
    let cause = match status.as_u16() {
        200..=299 => Cause::Success,
        300..=399 => Cause::Redirect,
        _ => Cause::BadStatus,
    };
    let detail = if cause == Cause::Success { String::new() } else { words(status) };
    Outcome {
        status: Some(status.as_u16()),
        headers: kept_headers(&parts.headers),
        retry_after: retry_after(&parts.headers, now),
        ..Outcome::failed(cause, detail)
    }
}

fn words(status: StatusCode) -> String {
    status.canonical_reason().map_or_else(|| status.as_str().to_owned(), |reason| format!("{} {reason}", status.as_str()))
}

fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut room = KEEP_HEADER_BYTES;
    let mut kept = Vec::with_capacity(headers.len().min(KEEP_HEADERS));
    for (name, value) in headers.iter().take(KEEP_HEADERS) {
        let Some(left) = room.checked_sub(name.as_str().len() + value.len()) else { break };
        room = left;
        kept.push((name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    kept
}

/// Seconds, or a date (RFC 9110, 10.2.3); anything else asks for nothing.
fn retry_after(headers: &HeaderMap, now: Time) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(Duration::from_millis(now.0)))
}

/// Reads the body into the answer that is in progress; whether it was read to its end, so that the connection can serve
/// another request.
pub(super) async fn body(mut body: Incoming, progress: &mut Progress) -> Result<bool, Failure> {
    if body.is_end_stream() {
        return Ok(true);
    }
    let mut read = Read::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failure(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        let full = read.add(data);
        progress.keep(&read);
        if full {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What has been read of a body.
#[derive(Default)]
pub(super) struct Read {
    first: Bytes,
    rest: BytesMut,
    total: usize,
}

impl Read {
    /// Adds bytes; whether no more are to be read.
    fn add(&mut self, data: Bytes) -> bool {
        self.total += data.len();
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = data;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&self.first);
            }
            let room = KEEP_LIMIT.saturating_sub(self.rest.len());
            self.rest.extend_from_slice(data.get(..room).unwrap_or(&data));
        }
        self.total >= READ_LIMIT
    }

    /// What is kept of it, and whether that is less than there was.
    pub(super) fn kept(&self) -> (Bytes, bool) {
        let all = if self.rest.is_empty() { self.first.clone() } else { Bytes::copy_from_slice(&self.rest) };
        (all.slice(..all.len().min(KEEP_LIMIT)), self.total > KEEP_LIMIT)
    }
}

/// What an error of an open connection means.
pub(super) fn failure(error: &hyper::Error) -> Failure {
    let cause = if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
        Cause::BadAnswer
    } else {
        Cause::Disconnected
    };
    let mut detail = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        detail = format!("{detail}: {source}");
    }
    (cause, detail)
}

/// A detail of bounded length.
pub(super) fn brief(mut detail: String) -> String {
    if detail.len() > DETAIL {
        let end = (0..=DETAIL).rev().find(|at| detail.is_char_boundary(*at)).unwrap_or(0);
        detail.truncate(end);
    }
    detail
}
