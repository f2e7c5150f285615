//! The messages of the bench: a payload of exact size whose first field is its sequence number.

use bytes::Bytes;

/// Added to each number, so that all have the same width.
const OFFSET: u64 = 1_000_000_000;
/// Where the field with the number is named.
const FIELD: &[u8] = b"\"n\"";
/// Event type of all messages.
const EVENT_TYPE: &str = "bench.sent";

/// A body with a gap for the number.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    before: String,
    after: String,
}

impl Letter {
    /// The payload alone, as a receiver gets it: exactly so many bytes.
    pub(super) fn payload(bytes: usize) -> Self {
        let before = "{\"n\":".to_owned();
        let frame = before.len() + OFFSET.to_string().len() + ",\"pad\":\"\"}".len();
        Letter { before, after: format!(",\"pad\":\"{}\"}}", "x".repeat(bytes.saturating_sub(frame))) }
    }

    /// The request that creates a message with that payload.
    pub(super) fn message(bytes: usize) -> Self {
        let inner = Self::payload(bytes);
        Letter {
            before: format!("{{\"eventType\":\"{EVENT_TYPE}\",\"payload\":{}", inner.before),
            after: format!("{}}}", inner.after),
        }
    }

    /// The body with this number.
    pub(super) fn body(&self, number: u32) -> Bytes {
        let digits = (OFFSET + u64::from(number)).to_string();
        let mut body = Vec::with_capacity(self.before.len() + digits.len() + self.after.len());
        for part in [&self.before, &digits, &self.after] {
            body.extend_from_slice(part.as_bytes());
        }
        body.into()
    }
}

/// The number in a received payload, wherever its field is and however a server spaced it.
pub(super) fn number(body: &[u8]) -> Option<u32> {
    let at = body.windows(FIELD.len()).position(|window| window == FIELD)?;
    let rest = body.get(at + FIELD.len()..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).take(19);
    let number = digits.fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    u32::try_from(number.checked_sub(OFFSET)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_the_exact_size_and_carry_their_number() {
        for bytes in [64, 1024] {
            for wanted in [0, 1, 999_999, 3_999_999] {
                let body = Letter::payload(bytes).body(wanted);
                assert_eq!(body.len(), bytes);
                assert_eq!(number(&body), Some(wanted));
            }
        }
    }

    #[test]
    fn a_message_is_json_around_the_same_payload() {
        let body = Letter::message(200).body(17);
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["eventType"], EVENT_TYPE);
        assert_eq!(json["payload"].to_string().len(), 200);
        assert_eq!(json["payload"]["n"], 1_000_000_017);
    }

    #[test]
    fn numbers_are_found_in_any_spacing_and_place() {
        assert_eq!(number(br#"{"pad": "xx", "n" : 1000000042}"#), Some(42));
        assert_eq!(number(br#"{"n":42}"#), None);
        assert_eq!(number(br#"{"pad":"n"}"#), None);
        assert_eq!(number(br#"{"n":"#), None);
        assert_eq!(number(b""), None);
        assert_eq!(number(br#"{"n":99999999999999999999999}"#), None);
    }
}
