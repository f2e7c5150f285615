//! Signing keys and their text: `whsec_` (HMAC) and `whsk_` (Ed25519), base64 behind the prefix.

use base64::{Engine, alphabet, engine::DecodePaddingMode, engine::GeneralPurpose, engine::GeneralPurposeConfig};
use ed25519_dalek::SigningKey;

/// Prefix of a symmetric key's text.
const SYMMETRIC: &str = "whsec_";
/// Prefixes of an Ed25519 private key's text, with and without the scheme's version.
const PRIVATE: [&str; 2] = ["whsk_", "whsk1_"];
/// Prefix of an Ed25519 public key's text.
const PUBLIC: &str = "whpk_";
/// Bytes that a symmetric key may have. Standard Webhooks recommends 24 to 64; the compatible contract's pattern
/// (32 to 100 base64 digits) admits up to 75.
const SYMMETRIC_BYTES: std::ops::RangeInclusive<usize> = 16..=75;

/// Standard base64, padded or not, and with bits left over: keys are cut short in the wild, and other libraries take them.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not base64 behind the prefix.
    #[error("the key is not base64")]
    NotBase64,
    /// Too short or too long.
    #[error("a whsec_ key has 16 to 75 bytes, a whsk_ key 32 or 64")]
    BadLength,
    /// The public half does not belong to the private one.
    #[error("the two halves of the whsk_ key do not belong together")]
    Mismatch,
}

/// A key that signs.
#[derive(Clone)]
pub enum Key {
    /// HMAC-SHA256.
    Symmetric(Box<[u8]>),
    /// Ed25519.
    Ed25519(Box<SigningKey>),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Key::Symmetric(_) => "Key::Symmetric(…)",
            Key::Ed25519(_) => "Key::Ed25519(…)",
        })
    }
}

impl Key {
    /// Reads a key's text. A text without a prefix is a symmetric key.
    ///
    /// # Errors
    /// The text is not base64, or has the wrong length for its kind.
    pub fn parse(text: &str) -> Result<Key, KeyError> {
        let private = PRIVATE.iter().find_map(|prefix| text.strip_prefix(prefix));
        let bytes = BASE64.decode(private.unwrap_or_else(|| text.strip_prefix(SYMMETRIC).unwrap_or(text)));
        let bytes = bytes.map_err(|_| KeyError::NotBase64)?;
        match private {
            None if SYMMETRIC_BYTES.contains(&bytes.len()) => Ok(Key::Symmetric(bytes.into())),
            None => Err(KeyError::BadLength),
            Some(_) => Self::ed25519(&bytes),
        }
    }

    /// A private key of 32 bytes (the seed) or 64 (the seed and the public key).
    fn ed25519(bytes: &[u8]) -> Result<Key, KeyError> {
        let key = match bytes.len() {
            32 => bytes.first_chunk().map(SigningKey::from_bytes).ok_or(KeyError::BadLength)?,
            64 => {
                let pair = bytes.first_chunk().ok_or(KeyError::BadLength)?;
                SigningKey::from_keypair_bytes(pair).map_err(|_| KeyError::Mismatch)?
            }
            _ => return Err(KeyError::BadLength),
        };
        Ok(Key::Ed25519(Box::new(key)))
    }

    /// The text of a symmetric key made of these bytes.
    #[must_use]
    pub fn symmetric_text(bytes: &[u8]) -> String {
        format!("{SYMMETRIC}{}", BASE64.encode(bytes))
    }

    /// The text of an Ed25519 private key made from this seed.
    #[must_use]
    pub fn ed25519_text(seed: &[u8; 32]) -> String {
        format!("whsk_{}", BASE64.encode(SigningKey::from_bytes(seed).to_keypair_bytes()))
    }

    /// What receivers verify with: the public key's text of an Ed25519 key; nothing for a symmetric one.
    #[must_use]
    pub fn public_text(&self) -> Option<String> {
        match self {
            Key::Symmetric(_) => None,
            Key::Ed25519(key) => Some(format!("{PUBLIC}{}", BASE64.encode(key.verifying_key().as_bytes()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_with_and_without_prefix() {
        let text = Key::symmetric_text(&[7; 24]);
        assert!(matches!(Key::parse(&text), Ok(Key::Symmetric(bytes)) if *bytes == [7; 24]));
        assert!(matches!(Key::parse(&text["whsec_".len()..]), Ok(Key::Symmetric(_))));
        let text = Key::ed25519_text(&[9; 32]);
        let key = Key::parse(&text).unwrap();
        assert_eq!(key.public_text(), Key::parse(&text.replace("whsk_", "whsk1_")).unwrap().public_text());
        assert!(key.public_text().unwrap().starts_with("whpk_"));
    }

    #[test]
    fn bad_keys_are_refused() {
        assert_eq!(Key::parse("whsec_!").err(), Some(KeyError::NotBase64));
        assert_eq!(Key::parse("whsec_AAAA").err(), Some(KeyError::BadLength));
        assert_eq!(Key::parse("whsk_AAAA").err(), Some(KeyError::BadLength));
        let mixed = format!("whsk_{}", BASE64.encode([3u8; 64]));
        assert_eq!(Key::parse(&mixed).err(), Some(KeyError::Mismatch));
    }
}
