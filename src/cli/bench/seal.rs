//! Signatures of third parties, as GitHub makes them: HMAC-SHA256 of the body, and an id of its own for each delivery.

use crate::crypto::hex;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue};
use sha2::Sha256;

/// Digits of a delivery's id.
const ID_DIGITS: usize = 32;

/// Signs requests with one secret.
#[derive(Clone)]
pub(super) struct Seal(Hmac<Sha256>);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// With that secret.
    ///
    /// # Errors
    /// None: every length of key is allowed.
    pub(super) fn new(secret: &str) -> anyhow::Result<Self> {
        Ok(Seal(Hmac::new_from_slice(secret.as_bytes())?))
    }

    /// The headers that a body's sender adds. Bodies differ, and so do their signatures: the id is a part of it.
    pub(super) fn headers(&self, body: &[u8]) -> [(HeaderName, HeaderValue); 3] {
        let mut mac = self.0.clone();
        mac.update(body);
        let digits = hex(&mac.finalize().into_bytes());
        let id = digits.get(..ID_DIGITS).unwrap_or(&digits);
        let value = |text: &str| HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        [
            (HeaderName::from_static("x-github-event"), HeaderValue::from_static("push")),
            (HeaderName::from_static("x-github-delivery"), value(id)),
            (HeaderName::from_static("x-hub-signature-256"), value(&format!("sha256={digits}"))),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_published_one() {
        let [_, _, (_, signature)] = Seal::new("It's a Secret to Everybody").unwrap().headers(b"Hello, World!");
        assert_eq!(signature, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }
}
