//! The vault: what is secret is encrypted before it is stored (XChaCha20-Poly1305, a key id in front), and tokens are
//! stored as hashes.

use crate::{model::Sealed, random::Random};
use arc_swap::ArcSwap;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a master key.
pub const KEY_BYTES: usize = 32;
/// Bytes of the key id in front of what is sealed.
const ID_BYTES: usize = 4;
/// Bytes of an XChaCha20 nonce.
const NONCE_BYTES: usize = 24;

/// What keys of fingerprints are derived with, before the purpose.
const FINGERPRINTS: &str = "postrider fingerprint ";

/// Why the vault refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The master key's text is not `postrider-master-key:` lines of 64 hex digits.
    #[error("a master key is 64 hexadecimal digits, one key a line, the current one first")]
    BadKey,
    /// Sealed under a key that is not here.
    #[error("sealed under a master key that is not loaded")]
    UnknownKey,
    /// Not what the vault sealed for this purpose.
    #[error("the sealed value is damaged or belongs elsewhere")]
    Damaged,
}

/// Encrypts and decrypts under the master keys. Keys may be added and retired while it is in use.
pub struct Vault(ArcSwap<Ring>);

/// The master keys, the current one first.
#[derive(Clone)]
struct Ring(Vec<MasterKey>);

#[derive(Clone)]
struct MasterKey {
    id: [u8; ID_BYTES],
    text: Zeroizing<String>,
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({} keys)", self.0.load().0.len())
    }
}

impl Ring {
    fn read(text: &str) -> Result<Self, VaultError> {
        let keys = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
            let key = Zeroizing::new(decode_key(line).ok_or(VaultError::BadKey)?);
            let cipher = XChaCha20Poly1305::new((&*key).into());
            Ok(MasterKey { id: key_id(&key), text: Zeroizing::new(line.to_owned()), cipher })
        });
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(VaultError::BadKey) } else { Ok(Ring(keys)) }
    }

    fn current(&self) -> Result<&MasterKey, VaultError> {
        self.0.first().ok_or(VaultError::UnknownKey)
    }

    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.iter().map(|key| key.text.as_str()).collect::<Vec<_>>().join("\n"))
    }
}

impl Vault {
    /// Reads master keys: 64 hexadecimal digits a line, the current key first, older ones below it.
    ///
    /// # Errors
    /// [`VaultError::BadKey`] when a line is something else, or there is none.
    pub fn from_text(text: &str) -> Result<Self, VaultError> {
        Ring::read(text).map(|ring| Vault(ArcSwap::from_pointee(ring)))
    }

    /// The keys' text with that key in front of the others, for the file that [`Vault::adopt`] needs to be written first.
    #[must_use]
    pub fn text_with(&self, key: &str) -> Zeroizing<String> {
        let kept = self.0.load();
        let others = kept.0.iter().map(|known| known.text.as_str()).filter(|known| *known != key);
        Zeroizing::new(std::iter::once(key).chain(others).collect::<Vec<_>>().join("\n"))
    }

    /// Makes that key the current one; the others still open what they sealed.
    ///
    /// # Errors
    /// [`VaultError::BadKey`]
    pub fn adopt(&self, key: &str) -> Result<(), VaultError> {
        self.0.store(Arc::new(Ring::read(&self.text_with(key))?));
        Ok(())
    }

    /// Forgets all keys but the current one; its text.
    #[must_use]
    pub fn retire_others(&self) -> Zeroizing<String> {
        let kept = Ring(self.0.load().0.first().into_iter().cloned().collect());
        let text = kept.text();
        self.0.store(Arc::new(kept));
        text
    }

    /// The keys' text, the current one first.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        self.0.load().text()
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.0.load().0.len()
    }

    /// The value sealed anew under the current key; `None` when it is so already.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn reseal(&self, random: &Random, purpose: &str, sealed: &Sealed) -> Result<Option<Sealed>, VaultError> {
        let bytes = STANDARD_NO_PAD.decode(&sealed.0).map_err(|_| VaultError::Damaged)?;
        if bytes.starts_with(&self.0.load().current()?.id) {
            return Ok(None);
        }
        self.seal(random, purpose, &self.open(purpose, sealed)?).map(Some)
    }

    /// A new master key, in the form that [`Vault::from_text`] reads.
    #[must_use]
    pub fn new_key(random: &Random) -> Zeroizing<String> {
        Zeroizing::new(hex(&*Zeroizing::new(random.bytes::<KEY_BYTES>())))
    }

    /// HMAC-SHA-256, hex, under a key that the current master key and `purpose` make: whoever has the bytes' digest but not the
    /// master key cannot find the bytes by trying. After the master key's rotation it is another.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`] cannot happen to a vault that was made by [`Vault::from_text`].
    pub fn fingerprint(&self, purpose: &str, bytes: &[u8]) -> Result<String, VaultError> {
        let ring = self.0.load();
        let key = Zeroizing::new(decode_key(&ring.current()?.text).ok_or(VaultError::UnknownKey)?);
        let mac = |key: &[u8], bytes: &[u8]| -> Result<Zeroizing<[u8; KEY_BYTES]>, VaultError> {
            let mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).map_err(|_| VaultError::BadKey)?;
            Ok(Zeroizing::new(mac.chain_update(bytes).finalize().into_bytes().into()))
        };
        let derived = mac(&*key, format!("{FINGERPRINTS}{purpose}").as_bytes())?;
        Ok(hex(&*mac(&*derived, bytes)?))
    }

    /// Encrypts. `purpose` must be given again to decrypt: a value moved to another place does not open there.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`] cannot happen to a vault that was made by [`Vault::from_text`].
    pub fn seal(&self, random: &Random, purpose: &str, plain: &[u8]) -> Result<Sealed, VaultError> {
        let nonce: [u8; NONCE_BYTES] = random.bytes();
        let ring = self.0.load();
        let MasterKey { id, cipher, .. } = ring.current()?;
        let payload = Payload { msg: plain, aad: purpose.as_bytes() };
        let text = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Damaged)?;
        Ok(Sealed(STANDARD_NO_PAD.encode([&id[..], &nonce, &text].concat())))
    }

    /// Decrypts what [`Vault::seal`] made for the same purpose.
    ///
    /// # Errors
    /// The key is not here, or the value is not what was sealed.
    pub fn open(&self, purpose: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let bytes = STANDARD_NO_PAD.decode(&sealed.0).map_err(|_| VaultError::Damaged)?;
        let (id, rest) = bytes.split_first_chunk::<ID_BYTES>().ok_or(VaultError::Damaged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Damaged)?;
        let ring = self.0.load();
        let MasterKey { cipher, .. } = ring.0.iter().find(|key| key.id == *id).ok_or(VaultError::UnknownKey)?;
        let payload = Payload { msg: text, aad: purpose.as_bytes() };
        cipher.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| VaultError::Damaged)
    }

    /// Decrypts text.
    ///
    /// # Errors
    /// As [`Vault::open`]; also when the plain bytes are not text.
    pub fn open_text(&self, purpose: &str, sealed: &Sealed) -> Result<Zeroizing<String>, VaultError> {
        let plain = self.open(purpose, sealed)?;
        std::str::from_utf8(&plain).map(|s| Zeroizing::new(s.to_owned())).map_err(|_| VaultError::Damaged)
    }
}

/// SHA-256, as stored for tokens and request bodies: hex.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The first half of [`fingerprint`]: 128 bits tell apart what nobody is paid to make collide, and keys stay short.
#[must_use]
pub fn short_fingerprint(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    hex(digest.first_chunk::<16>().map_or(&digest[..], |half| half))
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    text
}

fn key_id(key: &[u8; KEY_BYTES]) -> [u8; ID_BYTES] {
    let digest = Sha256::digest([b"postrider key id".as_slice(), key].concat());
    digest.first_chunk().copied().unwrap_or_default()
}

fn decode_key(line: &str) -> Option<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    if line.len() != 2 * KEY_BYTES {
        return None;
    }
    for (slot, at) in key.iter_mut().zip((0..).step_by(2)) {
        *slot = u8::from_str_radix(line.get(at..at + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_only() {
        let random = Random::seeded(1);
        let old = Vault::new_key(&random);
        let vault = Vault::from_text(&old).unwrap();
        let sealed = vault.seal(&random, "endpoint secret", b"whsec_x").unwrap();
        assert_eq!(vault.open_text("endpoint secret", &sealed).unwrap().as_str(), "whsec_x");
        assert_eq!(vault.open("header", &sealed), Err(VaultError::Damaged));
        assert!(!sealed.0.contains("whsec"));

        let rotated = Vault::from_text(&format!("{}\n{}\n", *Vault::new_key(&random), *old)).unwrap();
        assert_eq!(rotated.open_text("endpoint secret", &sealed).unwrap().as_str(), "whsec_x");
        let stranger = Vault::from_text(&Vault::new_key(&random)).unwrap();
        assert_eq!(stranger.open("endpoint secret", &sealed), Err(VaultError::UnknownKey));
    }

    #[test]
    fn keys_change_while_the_vault_is_in_use() {
        let random = Random::seeded(2);
        let (old, new) = (Vault::new_key(&random), Vault::new_key(&random));
        let vault = Vault::from_text(&old).unwrap();
        let before = vault.seal(&random, "p", b"x").unwrap();
        assert_eq!(*vault.text_with(&new), format!("{}\n{}", *new, *old));
        vault.adopt(&new).unwrap();
        assert_eq!((vault.keys(), vault.open_text("p", &before).unwrap().as_str()), (2, "x"));
        let after = vault.reseal(&random, "p", &before).unwrap().unwrap();
        assert_eq!(vault.reseal(&random, "p", &after).unwrap(), None);
        vault.adopt(&new).unwrap();
        assert_eq!((vault.keys(), vault.retire_others()), (2, new.clone()));
        assert_eq!(vault.open("p", &before), Err(VaultError::UnknownKey));
        assert_eq!(vault.open_text("p", &after).unwrap().as_str(), "x");
    }

    #[test]
    fn fingerprints_are_the_master_key_s_and_the_purpose_s() {
        let random = Random::seeded(3);
        let (old, new) = (Vault::new_key(&random), Vault::new_key(&random));
        let vault = Vault::from_text(&old).unwrap();
        let one = vault.fingerprint("p", b"x").unwrap();
        assert_eq!((one.len(), Vault::from_text(&old).unwrap().fingerprint("p", b"x").unwrap()), (64, one.clone()));
        assert_ne!(one, fingerprint(b"x"));
        assert_ne!(one, vault.fingerprint("q", b"x").unwrap());
        assert_ne!(one, vault.fingerprint("p", b"y").unwrap());
        vault.adopt(&new).unwrap();
        assert_ne!(one, vault.fingerprint("p", b"x").unwrap());
    }

    #[test]
    fn hexadecimal_is_lower_case_and_whole() {
        assert_eq!(hex(&[0x00, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }

    #[test]
    fn bad_keys_are_refused() {
        for text in ["", "\n", "abc", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert_eq!(Vault::from_text(text).err(), Some(VaultError::BadKey), "{text}");
        }
    }
}
