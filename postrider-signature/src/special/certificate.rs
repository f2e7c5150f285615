//! Public keys from PEM text: `CERTIFICATE` (the first one is the leaf), `PUBLIC KEY` (SPKI) or `RSA PUBLIC KEY` (PKCS#1).
//!
//! The certificate is the receiver's own configuration, not input of the request: it is read, not judged. Neither its dates nor its
//! issuer are checked here; whoever fetches a certificate checks them then. What is needed of DER is a walk over seven fields, and
//! the key's own structure has to be walked in any case, so no certificate library is asked.

use crate::Refusal;
use crate::special::text::base64;
use ring::rand::SystemRandom;
use ring::signature::{self, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm};

/// Bytes of PEM text that are looked at. A chain of three RSA-4096 certificates has some 7,000.
const PEM_BYTES: usize = 64 * 1024;
/// DER of `1.2.840.113549.1.1.1` (rsaEncryption).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// DER of `1.2.840.113549.1.1.10` (RSASSA-PSS).
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
/// DER of `1.2.840.10045.2.1` (ecPublicKey).
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// DER of `1.2.840.10045.3.1.7` (P-256).
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// DER of `1.3.132.0.34` (P-384).
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// DER of `1.3.101.112` (Ed25519).
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// DER tags (X.690, section 8.1.2).
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// What a signature is made with. The receiver pins one; a request never chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-1: SNS, version 1 only.
    RsaSha1,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    RsaPssSha512,
    /// ECDSA on P-256 with SHA-256, the signature as `r || s`.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384, the signature as `r || s`.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// A public key, and which kind it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    kind: Kind,
    bytes: Vec<u8>,
}

impl PublicKey {
    /// Reads PEM text.
    pub(crate) fn parse(pem: &str) -> Result<PublicKey, Refusal> {
        let (label, der) =
            pem_section(pem).ok_or(Refusal::BadSecret("it is not the PEM text of a certificate or of a public key"))?;
        let key = match label {
            "CERTIFICATE" => certificate_key(&der).and_then(spki),
            "PUBLIC KEY" => spki(&der),
            "RSA PUBLIC KEY" => Some(PublicKey { kind: Kind::Rsa, bytes: der }),
            _ => return Err(Refusal::BadSecret("PEM of another kind: CERTIFICATE or PUBLIC KEY is needed")),
        };
        key.ok_or(Refusal::BadSecret("its certificate or public key cannot be read, or has a key of an unknown kind"))
    }

    /// An Ed25519 key of 32 bytes.
    pub(crate) fn ed25519(bytes: [u8; 32]) -> PublicKey {
        PublicKey { kind: Kind::Ed25519, bytes: bytes.to_vec() }
    }

    /// The usual algorithm of message signatures with this kind of key (RFC 9421, section 3.3).
    pub(crate) fn usual(&self) -> Algorithm {
        match self.kind {
            Kind::Rsa => Algorithm::RsaPssSha512,
            Kind::P256 => Algorithm::EcdsaP256,
            Kind::P384 => Algorithm::EcdsaP384,
            Kind::Ed25519 => Algorithm::Ed25519,
        }
    }

    /// Judges a signature.
    ///
    /// # Errors
    /// [`Refusal::BadSecret`] if this key is of another kind than the algorithm; [`Refusal::Mismatch`] if it did not sign this.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let (kind, rule): (Kind, &'static dyn VerificationAlgorithm) = match algorithm {
            Algorithm::RsaSha1 => (Kind::Rsa, &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
            Algorithm::RsaSha256 => (Kind::Rsa, &signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RsaPssSha512 => (Kind::Rsa, &signature::RSA_PSS_2048_8192_SHA512),
            Algorithm::EcdsaP256 => (Kind::P256, &signature::ECDSA_P256_SHA256_FIXED),
            Algorithm::EcdsaP384 => (Kind::P384, &signature::ECDSA_P384_SHA384_FIXED),
            Algorithm::Ed25519 => (Kind::Ed25519, &signature::ED25519),
        };
        if kind != self.kind {
            return Err(Refusal::BadSecret("the key is of another kind than the algorithm needs"));
        }
        UnparsedPublicKey::new(rule, &self.bytes).verify(message, signature).map_err(|_| Refusal::Mismatch)
    }
}

/// The first section of a PEM text: its label and its bytes.
pub(crate) fn pem_section(pem: &str) -> Option<(&str, Vec<u8>)> {
    let pem = pem.get(..PEM_BYTES.min(pem.len()))?;
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let digits: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    Some((label, base64(digits.as_bytes())?))
}

/// The subject's key of a certificate (RFC 5280, section 4.1), as DER.
fn certificate_key(der: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        (_, _, fields) = element(fields)?;
    }
    (_, fields) = expect(fields, INTEGER)?;
    for _issuer_and_the_like in 0..4 {
        (_, fields) = expect(fields, SEQUENCE)?;
    }
    let (_, whole, _) = element(fields)?;
    Some(whole)
}

/// The key of a SubjectPublicKeyInfo.
fn spki(der: &[u8]) -> Option<PublicKey> {
    let (info, _) = expect(der, SEQUENCE)?;
    let (algorithm, rest) = expect(info, SEQUENCE)?;
    let (name, parameters) = expect(algorithm, OID)?;
    let (bits, _) = expect(rest, BIT_STRING)?;
    let (0, bytes) = bits.split_first()? else { return None };
    let kind = match name {
        RSA | RSA_PSS => Kind::Rsa,
        ED25519 => Kind::Ed25519,
        EC => match expect(parameters, OID)?.0 {
            P256 => Kind::P256,
            P384 => Kind::P384,
            _ => return None,
        },
        _ => return None,
    };
    Some(PublicKey { kind, bytes: bytes.to_vec() })
}

/// The content of the first element, which must have this tag, and what follows it.
fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    if der.first() != Some(&tag) {
        return None;
    }
    let (content, _, rest) = element(der)?;
    Some((content, rest))
}

/// The first element of some DER: its content, the whole of it, and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (&[_tag, short], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None, // indefinite, or 16 MB and more
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = der.get(..der.len() - rest.len())?;
    Some((content, whole, rest))
}

/// Signs with RSA, PKCS#1 v1.5 and SHA-256. The secret is PEM text of a PKCS#8 private key.
pub(crate) fn rsa_sha256(secret: &str, message: &[u8]) -> Result<Vec<u8>, Refusal> {
    let Some(("PRIVATE KEY", der)) = pem_section(secret) else {
        return Err(Refusal::BadSecret("signing needs the PEM text of a PRIVATE KEY"));
    };
    let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| Refusal::BadSecret("it is not an RSA key of 2,048 bits or more"))?;
    let mut signature = vec![0; pair.public().modulus_len()];
    // This padding is deterministic: nothing is asked of the random source.
    let signed = pair.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
    signed.map(|()| signature).map_err(|_| Refusal::BadSecret("the key cannot sign"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "secret",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END ",
        ] {
            assert!(matches!(PublicKey::parse(text), Err(Refusal::BadSecret(_))), "{text}");
        }
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let key = PublicKey::ed25519([1; 32]);
        assert!(matches!(key.verify(Algorithm::RsaSha256, b"", b""), Err(Refusal::BadSecret(_))));
        assert_eq!(key.verify(Algorithm::Ed25519, b"", b""), Err(Refusal::Mismatch));
    }

    proptest! {
        #[test]
        fn any_der_is_read_or_refused(der in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read_or_not = certificate_key(&der).and_then(spki);
            let _read_or_not = spki(&der);
        }
    }
}
