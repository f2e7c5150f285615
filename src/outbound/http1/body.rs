//! From bytes of the connection to bytes of a body (RFC 9112, sections 6 and 7).

use super::head::bad;
use crate::outbound::failure::Failure;

/// Bytes that the extensions of all chunks of a body may have; they are ignored.
const EXTENSIONS_LIMIT: usize = 16 * 1024;
/// Bytes that the trailers may have; they are ignored.
const TRAILERS_LIMIT: usize = 16 * 1024;

/// Where a body ends, and how far it has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    /// After so many more bytes.
    Sized(u64),
    /// Where the chunks say.
    Chunked(Chunked),
    /// With the connection.
    UntilClose,
}

/// A body in chunks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    state: State,
    /// Bytes left of the chunk, or its size as far as it was read.
    left: u64,
    extensions: usize,
    trailers: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    FirstDigit,
    Digit,
    SizeSpace,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerFirst,
    Trailer,
    TrailerLf,
    EndLf,
    Complete,
}

/// What a step took of its input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken<'b> {
    /// Bytes that are not needed any more.
    pub(super) count: usize,
    /// Those of them that belong to the body.
    pub(super) data: &'b [u8],
}

impl Decoder {
    /// A body of so many bytes.
    pub(super) fn sized(length: u64) -> Self {
        Decoder::Sized(length)
    }

    /// A body in chunks.
    pub(super) fn chunked() -> Self {
        Decoder::Chunked(Chunked { state: State::FirstDigit, left: 0, extensions: 0, trailers: 0 })
    }

    /// Whether the body has ended.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Decoder::Sized(left) => *left == 0,
            Decoder::Chunked(chunked) => chunked.state == State::Complete,
            Decoder::UntilClose => false,
        }
    }

    /// Takes what can be taken at once. All is taken in the end, or the body is complete.
    ///
    /// # Errors
    /// A chunk is malformed, or extensions or trailers are larger than allowed.
    pub(super) fn step<'b>(&mut self, input: &'b [u8]) -> Result<Taken<'b>, Failure> {
        match self {
            Decoder::Sized(left) => Ok(all_up_to(left, input)),
            Decoder::Chunked(chunked) => chunked.step(input),
            Decoder::UntilClose => Ok(Taken { count: input.len(), data: input }),
        }
    }
}

fn all_up_to<'b>(left: &mut u64, input: &'b [u8]) -> Taken<'b> {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left = left.saturating_sub(count as u64);
    Taken { count, data: input.get(..count).unwrap_or_default() }
}

impl Chunked {
    fn step<'b>(&mut self, input: &'b [u8]) -> Result<Taken<'b>, Failure> {
        let mut skipped = 0;
        for byte in input {
            if matches!(self.state, State::Data | State::Complete) {
                break;
            }
            self.state = self.next(*byte)?;
            skipped += 1;
        }
        let rest = input.get(skipped..).unwrap_or_default();
        if self.state != State::Data {
            return Ok(Taken { count: skipped, data: &[] });
        }
        let taken = all_up_to(&mut self.left, rest);
        if self.left == 0 {
            self.state = State::DataCr;
        }
        Ok(Taken { count: skipped + taken.count, data: taken.data })
    }

    /// The state after a byte outside of data.
    fn next(&mut self, byte: u8) -> Result<State, Failure> {
        Ok(match (self.state, byte) {
            (State::FirstDigit | State::Digit, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let size = self.left.checked_mul(16).and_then(|size| size.checked_add(digit.into()));
                self.left = size.ok_or_else(|| bad("a chunk of the answer is larger than can be counted"))?;
                State::Digit
            }
            (State::Digit | State::SizeSpace, b' ' | b'\t') => {
                self.extended()?;
                State::SizeSpace
            }
            (State::Digit | State::SizeSpace, b';') => State::Extension,
            (State::Digit | State::SizeSpace | State::Extension, b'\r') => State::SizeLf,
            (State::Extension, other) if other != b'\n' => {
                self.extended()?;
                State::Extension
            }
            (State::SizeLf, b'\n') if self.left == 0 => State::TrailerFirst,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::FirstDigit,
            (State::TrailerFirst, b'\r') => State::EndLf,
            (State::TrailerFirst | State::Trailer, byte) if byte != b'\n' => {
                self.trailers += 1;
                if self.trailers > TRAILERS_LIMIT {
                    return Err(bad("the answer's trailers are larger than allowed"));
                }
                if byte == b'\r' { State::TrailerLf } else { State::Trailer }
            }
            (State::TrailerLf, b'\n') => State::TrailerFirst,
            (State::EndLf, b'\n') => State::Complete,
            _ => return Err(bad("a chunk of the answer is malformed")),
        })
    }

    fn extended(&mut self) -> Result<(), Failure> {
        self.extensions += 1;
        if self.extensions > EXTENSIONS_LIMIT {
            return Err(bad("the extensions of the answer's chunks are larger than allowed"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and the bytes that follow it, when the input comes in pieces of one size.
    fn decoded(mut decoder: Decoder, input: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), Failure> {
        let (mut body, mut taken) = (Vec::new(), 0);
        for piece in input.chunks(piece) {
            let mut left = piece;
            while !left.is_empty() && !decoder.is_complete() {
                let step = decoder.step(left)?;
                assert!(step.count > 0);
                body.extend_from_slice(step.data);
                taken += step.count;
                left = &left[step.count..];
            }
        }
        Ok((body, input.len() - taken, decoder.is_complete()))
    }

    #[test]
    fn chunks_are_joined_wherever_they_are_cut() {
        let input = b"3\r\nabc\r\n00A ;x=\"y;\"\r\n0123456789\r\n1\t\r\n\n\r\n0;last\r\nx: y\r\nz:\r\n\r\nleft";
        for piece in 1..=input.len() {
            let (body, left, complete) = decoded(Decoder::chunked(), input, piece).unwrap();
            assert_eq!((&body[..], left, complete), (&b"abc0123456789\n"[..], 4, true), "{piece}");
        }
        for end in 0..input.len() - 4 {
            assert!(!decoded(Decoder::chunked(), &input[..end], 7).unwrap().2, "{end}");
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for input in [
            "x\r\n",
            "\r\n",
            ";a\r\n",
            " 3\r\nabc",
            "-1\r\n",
            "+1\r\na",
            "0x1\r\na",
            "3\nabc",
            "3\r\r\nabc",
            "3;a\nabc",
            "3\r\nabcd\r\n",
            "3\r\nabc\n0",
            "3\r\nabc\r\r",
            "10000000000000000\r\n",
            "3 3\r\n",
            "0\r\n\n",
            "0\r\nx: y\n\r\n",
            "0\r\nx: y\rz",
            "0\r\n\rx",
        ] {
            for piece in [1, input.len()] {
                assert!(decoded(Decoder::chunked(), input.as_bytes(), piece).is_err(), "{input:?}");
            }
        }
        assert!(decoded(Decoder::chunked(), b"ffffffffffffffff\r\nx", 1).is_ok());
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let extension = |bytes| format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(bytes));
        assert!(decoded(Decoder::chunked(), extension(EXTENSIONS_LIMIT).as_bytes(), 100).is_ok());
        assert!(decoded(Decoder::chunked(), extension(EXTENSIONS_LIMIT + 1).as_bytes(), 100).is_err());
        let many = "1;eeee\r\na\r\n".repeat(EXTENSIONS_LIMIT / 4 + 1);
        assert!(decoded(Decoder::chunked(), many.as_bytes(), 100).is_err());
        let trailers = "t: u\r\n".repeat(TRAILERS_LIMIT / 4);
        assert!(decoded(Decoder::chunked(), format!("0\r\n{trailers}").as_bytes(), 100).is_err());
    }

    #[test]
    fn a_length_is_kept_to() {
        assert_eq!(decoded(Decoder::sized(3), b"abcde", 2).unwrap(), (b"abc".to_vec(), 2, true));
        assert_eq!(decoded(Decoder::sized(u64::MAX), b"abcde", 2).unwrap(), (b"abcde".to_vec(), 0, false));
        assert_eq!(decoded(Decoder::UntilClose, b"abcde", 2).unwrap(), (b"abcde".to_vec(), 0, false));
    }
}
