//! From the bytes of a connection to an answer. It knows nothing of sockets.

use super::{
    body::Decoder,
    buffer::Buffer,
    head::{self, HEADERS_LIMIT, Room, bad},
};
use crate::{
    clock::Clock,
    model::Cause,
    outbound::{
        HEAD_LIMIT,
        answer::{Answer, Body},
        failure::Failure,
    },
};
use bytes::Bytes;
use http::StatusCode;
use std::mem::MaybeUninit;

/// Interim answers (1xx) before the one that counts.
const INTERIM_LIMIT: u32 = 16;

/// How far a body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// More bytes are needed.
    More,
    /// It has ended.
    Complete,
    /// No more of it is wanted.
    Cut,
}

/// The answer that is being read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    buffer: Buffer,
    /// Bytes in which no head ends.
    scanned: usize,
    interim: u32,
    /// Whether the request asked for the head alone.
    answers_head: bool,
    /// `None`: the head is not complete.
    body: Option<Decoder>,
    keep_alive: bool,
}

impl Reading {
    /// The next answer begins.
    pub(super) fn begin(&mut self, answers_head: bool) {
        (self.scanned, self.interim, self.answers_head) = (0, 0, answers_head);
        (self.body, self.keep_alive) = (None, false);
    }

    /// Room for what is read next.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.buffer.room()
    }

    /// So many bytes of the room were filled.
    pub(super) fn take(&mut self, count: usize) {
        self.buffer.filled(count);
    }

    /// The answer, once its head is complete.
    ///
    /// # Errors
    /// It is not a head, it is too large, or too many interim ones came before it.
    pub(super) fn head(&mut self, clock: &dyn Clock) -> Result<Option<Answer>, Failure> {
        loop {
            let bytes = self.buffer.bytes();
            let mut room: Room<'_> = [const { MaybeUninit::uninit() }; HEADERS_LIMIT];
            let head = if head::may_end(bytes, self.scanned) { head::parse(bytes, &mut room)? } else { None };
            let Some(head) = head else {
                self.scanned = bytes.len();
                return if self.scanned < HEAD_LIMIT { Ok(None) } else { Err(head::too_large()) };
            };
            let length = head.length;
            self.scanned = 0;
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(bad("the answer switches to another protocol"));
            }
            if head.status.is_informational() {
                self.interim += 1;
                if self.interim > INTERIM_LIMIT {
                    return Err(bad("more interim answers came than are allowed"));
                }
                self.buffer.consume(length);
                continue;
            }
            let framing = head.framing(self.answers_head)?;
            let answer = Answer::new(head.status, head.headers.iter().map(|header| (header.name, header.value)), clock);
            self.buffer.consume(length);
            (self.body, self.keep_alive) = (Some(framing.body), framing.keep_alive);
            return Ok(Some(answer));
        }
    }

    /// Moves what has come of the body to what is kept.
    ///
    /// # Errors
    /// The body is malformed.
    pub(super) fn body(&mut self, kept: &mut Body) -> Result<Step, Failure> {
        let Some(decoder) = &mut self.body else { return Ok(Step::More) };
        loop {
            if decoder.is_complete() {
                return Ok(Step::Complete);
            }
            let bytes = self.buffer.bytes();
            if bytes.is_empty() {
                return Ok(Step::More);
            }
            let taken = decoder.step(bytes)?;
            let wanted = taken.data.is_empty() || kept.push(taken.data);
            let count = taken.count;
            self.buffer.consume(count);
            if !wanted {
                return Ok(Step::Cut);
            }
        }
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// The answer has not.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        let words = match &self.body {
            Some(Decoder::UntilClose) => {
                self.body = Some(Decoder::sized(0));
                return Ok(());
            }
            Some(decoder) if decoder.is_complete() => return Ok(()),
            Some(_) => "the connection was closed within the answer's body",
            None if self.has_begun() => {
                // Most heads are judged when they are complete.
                head::parse(self.buffer.bytes(), &mut [const { MaybeUninit::uninit() }; HEADERS_LIMIT])?;
                "the connection was closed within the answer's headers"
            }
            None => "the connection was closed before an answer",
        };
        Err(Failure::new(Cause::Disconnected, words))
    }

    /// Whether anything of the answer has come.
    pub(super) fn has_begun(&self) -> bool {
        self.body.is_some() || self.interim > 0 || !self.buffer.bytes().is_empty()
    }

    /// Whether the answer has come whole, nothing after it, and the connection may take another request.
    pub(super) fn is_complete(&self) -> bool {
        self.keep_alive && self.buffer.bytes().is_empty() && self.body.as_ref().is_some_and(Decoder::is_complete)
    }

    /// Gives back memory.
    pub(super) fn rest(&mut self) {
        self.buffer.rest();
    }
}

/// The status and the kept part of the body of an answer that comes in such pieces, and then ends. `None`: it is none.
///
/// This is what the client does with what it reads, without a connection.
pub fn decode_answer<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, clock: &dyn Clock) -> Option<(StatusCode, Bytes)> {
    let mut reading = Reading::default();
    let mut answer: Option<Answer> = None;
    reading.begin(false);
    for mut piece in pieces {
        while !piece.is_empty() {
            let room = reading.room();
            let (now, later) = piece.split_at_checked(room.len()).unwrap_or((piece, &[]));
            room.get_mut(..now.len())?.copy_from_slice(now);
            reading.take(now.len());
            piece = later;
            if answer.is_none() {
                answer = reading.head(clock).ok()?;
            }
            if let Some(answer) = &mut answer
                && reading.body(&mut answer.body).ok()? != Step::More
            {
                return Some((answer.status, std::mem::take(&mut answer.body).finish().0));
            }
        }
    }
    reading.end().ok()?;
    answer.map(|answer| (answer.status, answer.body.finish().0))
}
