//! Any text as a token, as it is and as the claims of one that is signed with the secret.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use postrider::{api::jwt, model::Time};
use sha2::Sha256;

const SECRET: &[u8] = b"a secret";

pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let taken = jwt::looks_like_one(text) && jwt::verify(SECRET, text, Time(1)).is_some();
        assert!(!taken, "nobody has signed this");
    }
    let (header, claims) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (br#"{"alg":"HS256"}"#.as_slice(), data),
    };
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", encode(header), encode(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(signed.as_bytes());
    let token = format!("{signed}.{}", encode(&mac.finalize().into_bytes()));
    if jwt::verify(SECRET, &token, Time(1)).is_some() {
        assert!(jwt::verify(b"another secret", &token, Time(1)).is_none());
    }
}
