//! Standard Webhooks: `v1,<base64 HMAC-SHA256>` and `v1a,<base64 Ed25519>` over `{id}.{timestamp}.{body}`.

use crate::Key;
use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::Signer;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;
use subtle::ConstantTimeEq;

/// Seconds by which a timestamp may differ from the receiver's clock, as the specification's libraries allow.
pub const TOLERANCE_S: u64 = 300;
/// Bytes of `v1,` and 44 base64 digits; an Ed25519 signature takes 92.
const SIGNATURE_ROOM: usize = 47;

/// Why a signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The timestamp is too far in the past.
    #[error("the timestamp is more than five minutes old")]
    Stale,
    /// The timestamp is too far in the future.
    #[error("the timestamp is more than five minutes ahead")]
    Future,
    /// No signature in the header is ours.
    #[error("no signature matches")]
    Mismatch,
}

/// The signature header's value: one signature a key, space-separated, in the order of the keys.
#[must_use]
pub fn sign<'k>(keys: impl Iterator<Item = &'k Key>, id: &str, timestamp: u64, body: &[u8]) -> String {
    let mut header = String::with_capacity(SIGNATURE_ROOM);
    let mut digits = [0; 20];
    let timestamp = decimal(timestamp, &mut digits);
    for key in keys {
        if !header.is_empty() {
            header.push(' ');
        }
        match key {
            Key::Symmetric(bytes) => {
                header.push_str("v1,");
                STANDARD.encode_string(hmac(bytes, id, timestamp, body), &mut header);
            }
            Key::Ed25519(key) => {
                let content = [id.as_bytes(), b".", timestamp, b".", body].concat();
                header.push_str("v1a,");
                STANDARD.encode_string(key.sign(&content).to_bytes(), &mut header);
            }
        }
    }
    header
}

/// Checks a signature header as a receiver does.
///
/// # Errors
/// The timestamp is out of [`TOLERANCE_S`] around `now` (seconds since the epoch), or no signature is by this key.
pub fn verify(key: &Key, id: &str, timestamp: u64, now: u64, (header, body): (&str, &[u8])) -> Result<(), Unverified> {
    if timestamp.saturating_add(TOLERANCE_S) < now {
        return Err(Unverified::Stale);
    }
    if timestamp > now.saturating_add(TOLERANCE_S) {
        return Err(Unverified::Future);
    }
    let expected = sign(std::iter::once(key), id, timestamp, body);
    let matches = header.split(' ').fold(false, |found, one| found | bool::from(one.as_bytes().ct_eq(expected.as_bytes())));
    if matches { Ok(()) } else { Err(Unverified::Mismatch) }
}

fn hmac(key: &[u8], id: &str, timestamp: &[u8], body: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32]; // HMAC takes keys of any length, so this arm is never reached
    };
    for part in [id.as_bytes(), b".", timestamp, b".", body] {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Decimal digits without an allocation.
fn decimal(number: u64, room: &mut [u8; 20]) -> &[u8] {
    struct Cursor<'a>(&'a mut [u8], usize);
    impl Write for Cursor<'_> {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let slot = self.0.get_mut(self.1..self.1 + text.len()).ok_or(std::fmt::Error)?;
            slot.copy_from_slice(text.as_bytes());
            self.1 += text.len();
            Ok(())
        }
    }
    let mut cursor = Cursor(room, 0);
    let _twenty_digits_hold_any_u64 = write!(cursor, "{number}");
    let end = cursor.1;
    room.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the specification's reference libraries carry.
    #[test]
    fn the_published_example_is_reproduced() {
        let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let header = sign([&key].into_iter(), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_key_signs_and_any_one_verifies() {
        let keys = [Key::parse(&Key::symmetric_text(&[1; 24])).unwrap(), Key::parse(&Key::ed25519_text(&[2; 32])).unwrap()];
        let header = sign(keys.iter(), "msg_1", 1000, b"{}");
        assert_eq!(header.split(' ').count(), 2);
        for key in &keys {
            assert_eq!(verify(key, "msg_1", 1000, 1100, (&header, b"{}")), Ok(()));
            assert_eq!(verify(key, "msg_2", 1000, 1100, (&header, b"{}")), Err(Unverified::Mismatch));
            assert_eq!(verify(key, "msg_1", 1000, 1301, (&header, b"{}")), Err(Unverified::Stale));
            assert_eq!(verify(key, "msg_1", 1000, 699, (&header, b"{}")), Err(Unverified::Future));
            assert_eq!(verify(key, "msg_1", 1000, 1100, ("v1,", b"{}")), Err(Unverified::Mismatch));
        }
    }
}
