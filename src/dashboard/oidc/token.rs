//! ID tokens: judged as OpenID Connect Core has it (section 3.1.3.7). Only signatures by a public key are taken: a token that
//! says `none`, or that is signed with a shared secret, is refused whatever it says.

use crate::model::is_unseen;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// How far clocks may be apart, in seconds.
const SKEW_S: u64 = 60;
/// Bytes of a token at most.
const MAX_TOKEN: usize = 16 * 1024;
/// Characters of a subject at most (OpenID Connect Core, section 2).
const MAX_SUBJECT: usize = 255;

/// A public key of the provider (RFC 7517), as far as it is of use here.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now_s: u64,
}

/// What a token says of somebody.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Claims {
    /// Who, in the provider's own words; never given to somebody else.
    pub(super) sub: String,
    /// All that is said.
    pub(super) all: Map<String, Value>,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it is not a token")]
    Form,
    #[error("its algorithm is not taken")]
    Algorithm,
    #[error("it is signed by a key that the provider does not have")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("it is from another issuer")]
    Issuer,
    #[error("it is for somebody else")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is of the future")]
    Early,
    #[error("it answers another request")]
    Nonce,
    #[error("it names nobody")]
    Subject,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl Claims {
    /// The address of e-mail, if the provider says that it is theirs; in lower case.
    pub(super) fn verified_email(&self) -> Option<String> {
        let verified = matches!(self.all.get("email_verified"), Some(Value::Bool(true)));
        let email = self.all.get("email").and_then(Value::as_str).map(str::to_lowercase);
        email.filter(|email| verified && crate::mail::is_address(email))
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        let name = self.all.get("name").and_then(Value::as_str).unwrap_or_default();
        name.chars().filter(|c| !is_unseen(*c)).take(100).collect::<String>().trim().to_owned()
    }
}

/// Judges a token.
pub(super) fn verify(token: &str, keys: &[Jwk], expected: &Expected<'_>) -> Result<Claims, Fault> {
    if token.len() > MAX_TOKEN {
        return Err(Fault::Form);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Fault::Form)?;
    let (head, body) = signed.split_once('.').ok_or(Fault::Form)?;
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Fault::Form);
    let head: Head = serde_json::from_slice(&bytes(head)?).map_err(|_| Fault::Form)?;
    if head.crit.is_some() {
        return Err(Fault::Form);
    }
    check_signature(&head, keys, signed.as_bytes(), &bytes(signature)?)?;
    let all: Map<String, Value> = serde_json::from_slice(&bytes(body)?).map_err(|_| Fault::Form)?;
    check_claims(&all, expected)?;
    let sub = all.get("sub").and_then(Value::as_str).filter(|sub| (1..=MAX_SUBJECT).contains(&sub.len())).ok_or(Fault::Subject)?;
    Ok(Claims { sub: sub.to_owned(), all })
}

/// What an algorithm's keys are: their type and curve.
fn kind(alg: &str) -> Option<(&'static str, Option<&'static str>)> {
    match alg {
        "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => Some(("RSA", None)),
        "ES256" => Some(("EC", Some("P-256"))),
        "ES384" => Some(("EC", Some("P-384"))),
        "EdDSA" => Some(("OKP", Some("Ed25519"))),
        _ => None,
    }
}

fn check_signature(head: &Head, keys: &[Jwk], signed: &[u8], signature: &[u8]) -> Result<(), Fault> {
    let (kty, crv) = kind(&head.alg).ok_or(Fault::Algorithm)?;
    let fits = |key: &&Jwk| {
        key.kty == kty
            && key.crv.as_deref() == crv
            && key.usage.as_deref().is_none_or(|usage| usage == "sig")
            && key.alg.as_deref().is_none_or(|alg| alg == head.alg)
            && (head.kid.is_none() || key.kid == head.kid)
    };
    let mut known = false;
    for key in keys.iter().filter(fits) {
        known = true;
        if holds(key, &head.alg, signed, signature).is_some() {
            return Ok(());
        }
    }
    Err(if known { Fault::Signature } else { Fault::UnknownKey })
}

fn holds(key: &Jwk, alg: &str, signed: &[u8], signature: &[u8]) -> Option<()> {
    let part = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_deref()?).ok();
    let rsa = |parameters: &'static signature::RsaParameters| {
        RsaPublicKeyComponents { n: part(&key.n)?, e: part(&key.e)? }.verify(parameters, signed, signature).ok()
    };
    let ec = |algorithm: &'static signature::EcdsaVerificationAlgorithm| {
        let point = [vec![4], part(&key.x)?, part(&key.y)?].concat();
        UnparsedPublicKey::new(algorithm, point).verify(signed, signature).ok()
    };
    match alg {
        "RS256" => rsa(&RSA_PKCS1_2048_8192_SHA256),
        "RS384" => rsa(&RSA_PKCS1_2048_8192_SHA384),
        "RS512" => rsa(&RSA_PKCS1_2048_8192_SHA512),
        "PS256" => rsa(&RSA_PSS_2048_8192_SHA256),
        "PS384" => rsa(&RSA_PSS_2048_8192_SHA384),
        "PS512" => rsa(&RSA_PSS_2048_8192_SHA512),
        "ES256" => ec(&ECDSA_P256_SHA256_FIXED),
        "ES384" => ec(&ECDSA_P384_SHA384_FIXED),
        "EdDSA" => UnparsedPublicKey::new(&ED25519, part(&key.x)?).verify(signed, signature).ok(),
        _ => None,
    }
}

fn check_claims(all: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), Fault> {
    let text = |name: &str| all.get(name).and_then(Value::as_str);
    let is = |name: &str, value: &str| text(name) == Some(value);
    if !is("iss", expected.issuer) {
        return Err(Fault::Issuer);
    }
    let ours = match all.get("aud") {
        Some(Value::String(one)) => one == expected.client,
        // Of several, the one that it was made for must be named.
        Some(Value::Array(many)) => {
            many.iter().any(|one| one == expected.client) && (many.len() == 1 || is("azp", expected.client))
        }
        _ => false,
    };
    if !ours || all.contains_key("azp") && !is("azp", expected.client) {
        return Err(Fault::Audience);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest whole number of seconds"
    )]
    let seconds = |name: &str| all.get(name).and_then(Value::as_f64).map(|seconds| seconds as u64);
    if seconds("exp").is_none_or(|end| end.saturating_add(SKEW_S) <= expected.now_s) {
        return Err(Fault::Expired);
    }
    let late = |name| seconds(name).is_some_and(|at| at > expected.now_s.saturating_add(SKEW_S));
    if seconds("iat").is_none() || late("iat") || late("nbf") {
        return Err(Fault::Early);
    }
    if is("nonce", expected.nonce) { Ok(()) } else { Err(Fault::Nonce) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use serde_json::json;

    const NOW: u64 = 1_800_000_000;
    const EXPECTED: Expected<'static> = Expected { issuer: "https://id.example", client: "postrider", nonce: "n1", now_s: NOW };

    struct Signer(EcdsaKeyPair);

    impl Signer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            Signer(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap())
        }

        fn key(&self, more: Value) -> Jwk {
            let point = self.0.public_key().as_ref();
            let coded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let mut key = json!({"kty": "EC", "crv": "P-256", "kid": "a", "x": coded(&point[1..33]), "y": coded(&point[33..])});
            key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(key).unwrap()
        }

        fn token(&self, head: Value, claims: &Value) -> String {
            let coded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signed = format!("{}.{}", coded(&head), coded(claims));
            let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
        }
    }

    fn claims() -> Value {
        json!({"iss": "https://id.example", "aud": "postrider", "sub": "u1", "exp": NOW + 300, "iat": NOW, "nonce": "n1"})
    }

    fn with(change: Value) -> Value {
        let mut all = claims();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
                value => all[name] = value.clone(),
            }
        }
        all
    }

    #[test]
    fn claims_are_judged_one_by_one() {
        let signer = Signer::new();
        let keys = [signer.key(json!({}))];
        let judge = |change: Value| {
            verify(&signer.token(json!({"alg": "ES256", "kid": "a"}), &with(change)), &keys, &EXPECTED).map(|c| c.sub)
        };
        assert_eq!(judge(json!({})), Ok("u1".into()));
        assert_eq!(judge(json!({"aud": ["postrider"]})), Ok("u1".into()));
        assert_eq!(judge(json!({"aud": ["x", "postrider"], "azp": "postrider"})), Ok("u1".into()));
        assert_eq!(judge(json!({"exp": NOW - 59})), Ok("u1".into()), "clocks are never quite alike");
        for (change, fault) in [
            (json!({"iss": "https://evil.example"}), Fault::Issuer),
            (json!({"iss": "https://id.example/"}), Fault::Issuer),
            (json!({"iss": null}), Fault::Issuer),
            (json!({"aud": "other"}), Fault::Audience),
            (json!({"aud": null}), Fault::Audience),
            (json!({"aud": ["x", "postrider"]}), Fault::Audience),
            (json!({"azp": "other"}), Fault::Audience),
            (json!({"exp": NOW - 60}), Fault::Expired),
            (json!({"exp": "never"}), Fault::Expired),
            (json!({"exp": null}), Fault::Expired),
            (json!({"iat": NOW + 61}), Fault::Early),
            (json!({"iat": null}), Fault::Early),
            (json!({"nbf": NOW + 61}), Fault::Early),
            (json!({"nonce": "n2"}), Fault::Nonce),
            (json!({"nonce": null}), Fault::Nonce),
            (json!({"sub": ""}), Fault::Subject),
            (json!({"sub": 7}), Fault::Subject),
            (json!({"sub": "x".repeat(256)}), Fault::Subject),
        ] {
            assert_eq!(judge(change.clone()), Err(fault), "{change}");
        }
    }

    #[test]
    fn signatures_are_by_a_key_of_the_provider_s_and_nothing_else() {
        let (signer, stranger) = (Signer::new(), Signer::new());
        let judge = |token: &str, key: Jwk| verify(token, &[key], &EXPECTED).map(drop);
        let good = signer.token(json!({"alg": "ES256", "kid": "a"}), &claims());
        assert_eq!(judge(&good, signer.key(json!({}))), Ok(()));
        assert_eq!(
            judge(&signer.token(json!({"alg": "ES256"}), &claims()), signer.key(json!({}))),
            Ok(()),
            "without a name all are tried"
        );
        assert_eq!(judge(&good, stranger.key(json!({}))), Err(Fault::Signature));
        assert_eq!(judge(&good, signer.key(json!({"kid": "b"}))), Err(Fault::UnknownKey));
        assert_eq!(judge(&good, signer.key(json!({"use": "enc"}))), Err(Fault::UnknownKey));
        assert_eq!(judge(&good, signer.key(json!({"alg": "RS256"}))), Err(Fault::UnknownKey));
        for alg in ["none", "None", "HS256", "ES512", ""] {
            assert_eq!(judge(&signer.token(json!({"alg": alg}), &claims()), signer.key(json!({}))), Err(Fault::Algorithm), "{alg}");
        }
        let parts: Vec<&str> = good.split('.').collect();
        let other = URL_SAFE_NO_PAD.encode(with(json!({"sub": "admin"})).to_string());
        for (bad, fault) in [
            (format!("{}.{other}.{}", parts[0], parts[2]), Fault::Signature),
            (format!("{}.{}.", parts[0], parts[1]), Fault::Signature),
            (format!("{}.{}", parts[0], parts[1]), Fault::Form),
            (format!("{good}.x"), Fault::Form),
            (String::new(), Fault::Form),
            ("a.b.c".into(), Fault::Form),
            ("x".repeat(MAX_TOKEN + 1), Fault::Form),
            (signer.token(json!({"alg": "ES256", "crit": ["x"]}), &claims()), Fault::Form),
        ] {
            assert_eq!(judge(&bad, signer.key(json!({}))), Err(fault), "{bad}");
        }
    }

    #[test]
    fn only_a_verified_address_counts() {
        let of = |change: Value| Claims { sub: "u".into(), all: with(change).as_object().unwrap().clone() }.verified_email();
        assert_eq!(of(json!({"email": "Ann@Example.com", "email_verified": true})), Some("ann@example.com".into()));
        for bad in [
            json!({"email": "ann@example.com"}),
            json!({"email": "ann@example.com", "email_verified": false}),
            json!({"email": "ann@example.com", "email_verified": "true"}),
            json!({"email": "ann", "email_verified": true}),
        ] {
            assert_eq!(of(bad.clone()), None, "{bad}");
        }
    }
}
