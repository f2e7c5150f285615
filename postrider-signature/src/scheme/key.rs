//! Keys: what a secret's text is, and what signs and judges with it.

use crate::{
    Refusal,
    key::BASE64,
    special::{
        certificate::{self, PublicKey},
        text::{base64, hex},
    },
};
use ::base64::Engine;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, UnparsedPublicKey},
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use subtle::ConstantTimeEq;

/// Bytes of a secret's text.
const MAX_SECRET_BYTES: usize = 16 * 1024;
/// Signatures that are checked with one public key, which is dear.
const MAX_CHECKED: usize = 8;
/// DER that precedes the 65 bytes of a P-256 point in a SubjectPublicKeyInfo (RFC 5480).
pub(crate) const P256_SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07, 0x03, 0x42, 0x00,
];
/// DER that precedes the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const ED25519_SPKI: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// DER that precedes the 32 bytes of an Ed25519 seed in a PKCS#8 document (RFC 8410).
const ED25519_PKCS8: &[u8] = &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// How a request is proved. It is pinned by the scheme and never taken from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// HMAC with SHA-1.
    HmacSha1,
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
    /// Ed25519; the secret is the public key.
    Ed25519,
    /// ECDSA on P-256 with SHA-256, the signature in DER; the secret is the public key.
    EcdsaP256Sha256,
    /// RSA (PKCS#1 v1.5) with SHA-256; the secret is the public key or a certificate, in PEM.
    RsaSha256,
    /// The secret itself is in the request.
    Token,
    /// Basic credentials; the secret is `user:password`.
    Basic,
    /// Nothing is proved: everything is accepted.
    None,
}

impl Algorithm {
    /// Whether the receiver's secret is the public half of the sender's.
    #[must_use]
    pub fn asymmetric(self) -> bool {
        matches!(self, Algorithm::Ed25519 | Algorithm::EcdsaP256Sha256 | Algorithm::RsaSha256)
    }

    pub(crate) fn signs(self) -> bool {
        !matches!(self, Algorithm::Token | Algorithm::Basic | Algorithm::None)
    }

    fn mac(self) -> Option<hmac::Algorithm> {
        match self {
            Algorithm::HmacSha1 => Some(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Algorithm::HmacSha256 => Some(hmac::HMAC_SHA256),
            Algorithm::HmacSha384 => Some(hmac::HMAC_SHA384),
            Algorithm::HmacSha512 => Some(hmac::HMAC_SHA512),
            _ => None,
        }
    }
}

/// How a secret's text becomes the bytes of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyEncoding {
    /// The text's own bytes.
    #[default]
    Text,
    /// Base64, padded or not.
    Base64,
    /// Hexadecimal digits.
    Hex,
}

/// What a secret's text is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRule {
    /// How it is written.
    #[serde(default)]
    pub encoding: KeyEncoding,
    /// What may stand before it and is no part of the key (`whsec_`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Whether the prefix must be there.
    #[serde(default, rename = "prefixRequired", skip_serializing_if = "std::ops::Not::not")]
    pub prefix_required: bool,
    /// What stands before a private key, which signs ([`Algorithm::Ed25519`]).
    #[serde(default, rename = "privatePrefix", skip_serializing_if = "Option::is_none")]
    pub private_prefix: Option<String>,
}

impl KeyRule {
    fn bytes<'s>(&self, secret: &'s str, prefix: Option<&str>) -> Result<Cow<'s, [u8]>, Refusal> {
        let stripped = prefix.and_then(|prefix| secret.strip_prefix(prefix));
        if self.prefix_required && stripped.is_none() {
            return Err(Refusal::BadSecret("it does not begin with the prefix of its kind"));
        }
        let text = stripped.unwrap_or(secret);
        let bytes = match self.encoding {
            KeyEncoding::Text => Some(Cow::Borrowed(text.as_bytes())),
            KeyEncoding::Base64 => BASE64.decode(text.trim()).ok().map(Cow::Owned),
            KeyEncoding::Hex => hex(text.trim()).map(Cow::Owned),
        };
        let bytes = bytes.ok_or(match self.encoding {
            KeyEncoding::Hex => Refusal::BadSecret("it is not hexadecimal"),
            _ => Refusal::BadSecret("it is not base64"),
        })?;
        if bytes.is_empty() { Err(Refusal::BadSecret("it is empty")) } else { Ok(bytes) }
    }
}

/// A secret, made ready.
#[derive(Clone)]
pub(crate) enum Material {
    Mac(hmac::Key),
    Ed25519([u8; 32]),
    P256(Vec<u8>),
    Rsa(PublicKey),
    /// Compared as it is: a token, or basic credentials.
    Text(String),
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Material::Mac(_) => "Mac(…)",
            Material::Ed25519(_) => "Ed25519(…)",
            Material::P256(_) => "P256(…)",
            Material::Rsa(_) => "Rsa(…)",
            Material::Text(_) => "Text(…)",
        })
    }
}

impl Material {
    /// Reads a receiver's secret.
    ///
    /// # Errors
    /// [`Refusal::BadSecret`].
    pub(crate) fn read(algorithm: Algorithm, rule: &KeyRule, secret: &str) -> Result<Material, Refusal> {
        if secret.is_empty() {
            return Err(Refusal::BadSecret("it is empty"));
        }
        if secret.len() > MAX_SECRET_BYTES {
            return Err(Refusal::BadSecret("it is longer than 16 KiB"));
        }
        if let Some(mac) = algorithm.mac() {
            return Ok(Material::Mac(hmac::Key::new(mac, &rule.bytes(secret, rule.prefix.as_deref())?)));
        }
        match algorithm {
            Algorithm::Ed25519 => {
                let bytes = rule.bytes(secret, rule.prefix.as_deref())?;
                let key = bytes.strip_prefix(ED25519_SPKI).unwrap_or(&bytes);
                key.try_into().map(Material::Ed25519).map_err(|_| Refusal::BadSecret("an Ed25519 public key has 32 bytes"))
            }
            Algorithm::EcdsaP256Sha256 => {
                let der = base64(&pem_digits(secret)).ok_or(Refusal::BadSecret("it is not base64"))?;
                let point = der.strip_prefix(P256_SPKI).filter(|point| point.len() == 65);
                point
                    .map(|point| Material::P256(point.to_vec()))
                    .ok_or(Refusal::BadSecret("it is not a public key on the curve P-256"))
            }
            Algorithm::RsaSha256 => PublicKey::parse(secret).map(Material::Rsa),
            Algorithm::Basic if !secret.contains(':') => Err(Refusal::BadSecret("basic credentials are user:password")),
            _ => Ok(Material::Text(secret.to_owned())),
        }
    }

    /// Whether one of these signatures was made with this key over the message. An HMAC is made once, compared in constant time.
    pub(crate) fn verifies(&self, message: &[Cow<'_, [u8]>], signatures: &[Vec<u8>]) -> bool {
        match self {
            Material::Mac(key) => {
                let tag = mac(key, message);
                signatures.iter().fold(false, |found, one| found | bool::from(one.as_slice().ct_eq(tag.as_ref())))
            }
            Material::Ed25519(key) => any(&UnparsedPublicKey::new(&signature::ED25519, key.as_slice()), message, signatures),
            Material::P256(key) => {
                any(&UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, key.as_slice()), message, signatures)
            }
            Material::Rsa(key) => {
                let message = message.concat();
                let verifies = |one: &Vec<u8>| key.verify(certificate::Algorithm::RsaSha256, &message, one).is_ok();
                signatures.iter().take(MAX_CHECKED).any(verifies)
            }
            Material::Text(_) => false,
        }
    }

    /// Whether the text is the secret; in constant time.
    pub(crate) fn is(&self, text: &[u8]) -> bool {
        if let Material::Text(secret) = self { secret.as_bytes().ct_eq(text).into() } else { false }
    }
}

fn any(key: &UnparsedPublicKey<&[u8]>, message: &[Cow<'_, [u8]>], signatures: &[Vec<u8>]) -> bool {
    let message = message.concat();
    signatures.iter().take(MAX_CHECKED).any(|one| key.verify(&message, one).is_ok())
}

fn mac(key: &hmac::Key, message: &[Cow<'_, [u8]>]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in message {
        context.update(part);
    }
    context.sign()
}

/// The base64 digits of a PEM text, or of what is base64 alone.
fn pem_digits(text: &str) -> Vec<u8> {
    text.lines().filter(|line| !line.starts_with("-----")).flat_map(str::bytes).filter(|c| !c.is_ascii_whitespace()).collect()
}

/// Signs with a sender's secret: the receiver's own where both have the same, else a private key. Ed25519: seed (32 bytes), or seed and
/// public key (64), written as the rule says, or PKCS#8 in PEM; ECDSA: PKCS#8 in PEM or base64; RSA: PKCS#8 in PEM.
///
/// # Errors
/// [`Refusal::BadSecret`].
pub(crate) fn sign(algorithm: Algorithm, rule: &KeyRule, secret: &str, message: &[Cow<'_, [u8]>]) -> Result<Vec<u8>, Refusal> {
    match (algorithm, Material::read(algorithm, rule, secret)) {
        (Algorithm::Ed25519, _) => {
            let bytes = if secret.starts_with("-----BEGIN ") {
                base64(&pem_digits(secret)).map(Cow::Owned).ok_or(Refusal::BadSecret("it is not base64"))?
            } else {
                rule.bytes(secret, rule.private_prefix.as_deref().or(rule.prefix.as_deref()))?
            };
            let seed = bytes.strip_prefix(ED25519_PKCS8).unwrap_or(&bytes);
            let seed = if matches!(seed.len(), 32 | 64) { seed.first_chunk::<32>() } else { None };
            let seed = seed.ok_or(Refusal::BadSecret("an Ed25519 private key has 32 or 64 bytes"))?;
            let pair =
                Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Refusal::BadSecret("it is not an Ed25519 private key"))?;
            Ok(pair.sign(&message.concat()).as_ref().to_vec())
        }
        (Algorithm::EcdsaP256Sha256, _) => {
            let wrong = Refusal::BadSecret("it is not a private key (PKCS#8) on the curve P-256");
            let der = base64(&pem_digits(secret)).ok_or(wrong.clone())?;
            // ECDSA needs chance for each signature, and this library takes it from the system itself.
            let chance = SystemRandom::new();
            let pair = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &der, &chance);
            let signed = pair.map_err(|_| wrong.clone())?.sign(&chance, &message.concat());
            signed.map(|signed| signed.as_ref().to_vec()).map_err(|_| wrong)
        }
        (Algorithm::RsaSha256, _) => certificate::rsa_sha256(secret, &message.concat()),
        (_, Ok(Material::Mac(key))) => Ok(mac(&key, message).as_ref().to_vec()),
        (_, Ok(_)) => Err(Refusal::BadSecret("this scheme does not sign")),
        (_, Err(refusal)) => Err(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(algorithm: Algorithm, rule: &str, secret: &str) -> Result<Material, Refusal> {
        Material::read(algorithm, &serde_json::from_str(rule).unwrap(), secret)
    }

    #[test]
    fn secrets_are_read_as_the_rule_says() {
        let whsec = r#"{"encoding":"base64","prefix":"whsec_"}"#;
        for secret in ["whsec_AAECAw==", "AAECAw", "whsec_AAECAw"] {
            assert!(read(Algorithm::HmacSha256, whsec, secret).is_ok(), "{secret}");
        }
        for secret in ["", "whsec_", "whsec_!", "whpk_AAAA"] {
            assert!(matches!(read(Algorithm::HmacSha256, whsec, secret), Err(Refusal::BadSecret(_))), "{secret}");
        }
        assert!(read(Algorithm::Basic, "{}", "nobody").is_err());
        assert!(read(Algorithm::Ed25519, r#"{"encoding":"hex"}"#, "00").is_err());
        assert!(read(Algorithm::EcdsaP256Sha256, "{}", "AAAA").is_err());
    }

    #[test]
    fn debug_keeps_secrets() {
        assert_eq!(format!("{:?}", Material::Text("secret".into())), "Text(…)");
    }

    #[test]
    fn ed25519_signs_what_it_verifies() {
        let rule: KeyRule = serde_json::from_str(r#"{"encoding":"hex"}"#).unwrap();
        let message = [Cow::Borrowed(b"a".as_slice()), Cow::Borrowed(b"b")];
        let seed = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let signed = sign(Algorithm::Ed25519, &rule, seed, &message).unwrap();
        let public = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        let key = Material::read(Algorithm::Ed25519, &rule, public).unwrap();
        assert!(key.verifies(&[Cow::Borrowed(b"ab")], &[vec![1; 64], signed.clone()]));
        assert!(!key.verifies(&[Cow::Borrowed(b"abc")], &[signed]));
    }
}
