//! JSON Web Tokens, as far as compatible clients bring them: HS256 and nothing else, whatever the token's header asks for.
//! A verifier of our own: the maintained crates bring an RSA implementation along that nothing here needs.

use crate::model::{AppId, OrgId, Time};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// How far the clocks of two machines may be apart, in seconds.
const LEEWAY_S: f64 = 30.0;
/// The longest token, in bytes.
const MAX_BYTES: usize = 8192;
/// The organization for which the field's server mints tokens when it is told none.
const FIELD_DEFAULT_ORG: &str = "org_23rb8YdGqMT0qIzpgGwdXfHirMu";

/// For whom a token speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An organization, all of it.
    Org(OrgId),
    /// The organization of a fresh data folder.
    FirstOrg,
    /// One application, as a portal link.
    App(AppId),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: Option<f64>,
    nbf: Option<f64>,
}

/// Whether it looks like a JWT: our own tokens have no dot.
#[must_use]
pub fn looks_like_one(token: &str) -> bool {
    token.bytes().filter(|b| *b == b'.').count() == 2
}

/// The subject of a token that is signed with the secret and in force.
#[must_use]
pub fn verify(secret: &[u8], token: &str, now: Time) -> Option<Subject> {
    if token.len() > MAX_BYTES {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Header = decode(header)?;
    if header.alg != "HS256" || header.crit.is_some() {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(signed.as_bytes());
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let claims: Claims = decode(claims)?;
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
    let now = now.seconds() as f64;
    let expired = claims.exp.is_some_and(|exp| now >= exp + LEEWAY_S);
    let early = claims.nbf.is_some_and(|nbf| now + LEEWAY_S < nbf);
    if expired || early { None } else { subject(&claims.sub) }
}

fn subject(sub: &str) -> Option<Subject> {
    if sub == FIELD_DEFAULT_ORG {
        return Some(Subject::FirstOrg);
    }
    sub.parse().map(Subject::Org).or_else(|_| sub.parse().map(Subject::App)).ok()
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_800_000_000_000);

    fn token(header: &str, claims: &str, secret: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn read(claims: &str) -> Option<Subject> {
        verify(b"secret", &token(r#"{"alg":"HS256","typ":"JWT"}"#, claims, b"secret"), NOW)
    }

    #[test]
    fn subjects_are_read() {
        let org = OrgId(1);
        assert_eq!(read(&format!(r#"{{"sub":"{org}","exp":1800000001}}"#)), Some(Subject::Org(org)));
        assert_eq!(read(&format!(r#"{{"sub":"{}"}}"#, AppId(9))), Some(Subject::App(AppId(9))));
        assert_eq!(read(&format!(r#"{{"sub":"{FIELD_DEFAULT_ORG}"}}"#)), Some(Subject::FirstOrg));
        for claims in [r#"{"sub":"org_x"}"#, "{}", r#"{"sub":7}"#, "[]"] {
            assert_eq!(read(claims), None, "{claims}");
        }
    }

    #[test]
    fn the_leeway_is_thirty_seconds_both_ways() {
        let at = |name: &str, second: u64| read(&format!(r#"{{"sub":"{}","{name}":{second}}}"#, OrgId(1))).is_some();
        assert!(at("exp", 1_799_999_971) && !at("exp", 1_799_999_970));
        assert!(at("nbf", 1_800_000_030) && !at("nbf", 1_800_000_031));
    }

    #[test]
    fn forgeries_are_refused() {
        let claims = format!(r#"{{"sub":"{}"}}"#, OrgId(1));
        let good = token(r#"{"alg":"HS256"}"#, &claims, b"secret");
        assert!(verify(b"secret", &good, NOW).is_some());
        assert_eq!(verify(b"other", &good, NOW), None);
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS512"}"#, r#"{"alg":"hs256"}"#, r#"{"alg":"HS256","crit":["x"]}"#, "{}"] {
            assert_eq!(verify(b"secret", &token(header, &claims, b"secret"), NOW), None, "{header}");
        }
        let (signed, _) = good.rsplit_once('.').unwrap();
        for bad in [format!("{signed}."), signed.to_owned(), format!("{good}A"), "..".into(), "a.b.c".into(), "é.é.é".into()] {
            assert_eq!(verify(b"secret", &bad, NOW), None, "{bad}");
        }
    }
}
