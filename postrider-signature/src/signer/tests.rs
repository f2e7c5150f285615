//! What is signed verifies, and nothing else does: every provider of the table, any body, any flipped byte.

use super::*;
use crate::{Verifier, provider, providers, scheme::P256_SPKI};
use proptest::prelude::*;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use std::sync::LazyLock;

/// The instant that is signed, in milliseconds.
const NOW: u64 = 1_700_000_000_000;
/// An RSA key pair is not made here: these providers are tried in `special`, with keys of their own.
const WITH_CERTIFICATE: [&str; 2] = ["aws-sns", "paypal"];

/// A body in which the provider can sign.
fn body(name: &str, text: &str) -> String {
    let text = serde_json::Value::from(text);
    match name {
        "msgraph" => format!(r#"{{"value":[{{"clientState":"a secret","text":{text}}}]}}"#),
        "adyen" => format!(
            r#"{{"notificationItems":[{{"NotificationRequestItem":{{"pspReference":{text},"merchantAccountCode":"m","amount":{{"currency":"EUR","value":1}},"eventCode":"A","success":"true"}}}}]}}"#
        ),
        _ => format!(r#"{{"id":"evt_1","text":{text}}}"#),
    }
}

/// The sender's secret and the receiver's.
fn secrets(name: &str) -> (&'static str, &'static str) {
    /// Ed25519 from the seed 0, 1, …, 31.
    const SEED: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const PUBLIC: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
    match name {
        "adyen" | "adyen-platform" => (SEED, SEED),
        "discord" => (SEED, PUBLIC),
        "sendgrid" => (&P256.0, &P256.1),
        "basic" | "postmark" => ("user:pass:word", "user:pass:word"),
        "rfc9421" | "svix" | "standard-webhooks" | "gitlab-signing" | "clerk" | "resend" | "openai" => {
            ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        }
        _ => ("a secret", "a secret"),
    }
}

/// A key pair on P-256, made for this test: the private key (PKCS#8) and the public one (SubjectPublicKeyInfo).
static P256: LazyLock<(String, String)> = LazyLock::new(|| {
    let rule = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let private = EcdsaKeyPair::generate_pkcs8(rule, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(rule, private.as_ref(), &SystemRandom::new()).unwrap();
    (to_base64(private.as_ref()), to_base64(&[P256_SPKI, pair.public_key().as_ref()].concat()))
});

/// A signed request, owned.
#[derive(Clone, Debug)]
struct Made {
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Made {
    fn judge(&self, name: &str, now: u64) -> Result<crate::Verified, Refusal> {
        let verifier = Verifier::new(provider(name).unwrap(), &[secrets(name).1], &Settings::new()).unwrap();
        let headers: Vec<(&str, &[u8])> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        verifier.verify(&Request { method: "POST", url: &self.url, headers: &headers, body: &self.body }, now)
    }
}

fn made(name: &str, text: &str) -> Made {
    let body = body(name, text).into_bytes();
    let own: [(&str, &[u8]); 1] = [("Content-Type", b"application/json")];
    let unsigned =
        Unsigned { method: "POST", url: "https://x.example/in/a?b=c", headers: &own, body: &body, id: "evt_1", timestamp_ms: NOW };
    let signed = provider(name)
        .unwrap()
        .sign(secrets(name).0, &Settings::new(), &unsigned)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut headers: Vec<(String, Vec<u8>)> = own.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
    headers.extend(signed.headers.into_iter().map(|(name, value)| (name, value.into_bytes())));
    let (url, body) = (signed.url.unwrap_or(unsigned.url.to_owned()), signed.body.unwrap_or(body));
    Made { url, headers, body }
}

fn tried() -> impl Iterator<Item = &'static str> {
    providers().iter().map(|provider| provider.name.as_str()).filter(|name| !WITH_CERTIFICATE.contains(name))
}

#[test]
fn an_ed25519_key_signs_standard_webhooks() {
    let scheme = provider("standard-webhooks").unwrap();
    let text = crate::Key::ed25519_text(&[7; 32]);
    let public = crate::Key::parse(&text).unwrap().public_text().unwrap();
    let unsigned = Unsigned { method: "POST", url: "", headers: &[], body: b"{}", id: "msg_1", timestamp_ms: NOW };
    let signed = scheme.sign(&text, &Settings::new(), &unsigned).unwrap();
    let headers: Vec<(&str, &[u8])> = signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request { method: "POST", url: "", headers: &headers, body: b"{}" };
    let judge =
        |secret: &str| Verifier::new(scheme, &[secret], &Settings::new()).and_then(|verifier| verifier.verify(&request, NOW));
    assert_eq!(judge(&public).unwrap().event_id.as_deref(), Some("msg_1"));
    assert!(matches!(judge("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), Err(Refusal::Malformed(..))));
}

#[test]
fn a_stale_signature_is_refused_by_all_that_sign_the_time() {
    for name in tried() {
        let verdict = made(name, "x").judge(name, NOW + 3_600_000);
        let timed = made(name, "x").judge(name, NOW).unwrap_or_else(|error| panic!("{name}: {error}")).timestamp_ms.is_some();
        let timed = timed && provider(name).unwrap().scheme().is_none_or(|scheme| scheme.0.tolerance != Some(0));
        assert_eq!(verdict, if timed { Err(Refusal::Stale) } else { verdict.clone() }, "{name}");
        assert!(timed || verdict.is_ok(), "{name}: {verdict:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_signed_verifies(text in ".{0,40}") {
        for name in tried() {
            let verdict = made(name, &text).judge(name, NOW);
            prop_assert!(verdict.is_ok(), "{name}: {verdict:?}");
        }
    }

    /// Tokens and Mailgun do not cover the body; Adyen covers some of its fields.
    #[test]
    fn a_flipped_byte_of_the_body_is_refused(text in "[a-z]{1,20}", at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        for provider in providers().iter().filter(|provider| tried().any(|name| name == provider.name)) {
            let name = provider.name.as_str();
            let covers = provider.scheme().map_or(!matches!(name, "adyen" | "mailgun" | "rfc9421" | "twilio"), |scheme| scheme.algorithm().signs());
            let mut request = made(name, &text);
            if let Some(byte) = request.body.get_mut(at.index(body(name, &text).len())) {
                *byte ^= 1 << bit;
            }
            let verdict = request.judge(name, NOW);
            prop_assert!(!covers || verdict.is_err(), "{name}: {verdict:?}");
        }
    }

    /// A digit of a signature becomes another; upper and lower case of a hexadecimal digit are the same.
    #[test]
    fn a_changed_digit_of_the_signature_is_refused(at in any::<prop::sample::Index>()) {
        for name in tried().filter(|name| provider(name).unwrap().scheme().is_some_and(|scheme| scheme.algorithm() != Algorithm::None)) {
            let mut request = made(name, "x");
            let Some((_, value)) = request.headers.last_mut().filter(|(name, _)| name != "Content-Type") else { continue };
            let at = at.index(value.len());
            value[at] = if value[at] == b'0' { b'1' } else { b'0' };
            let verdict = request.judge(name, NOW);
            prop_assert!(verdict.is_err(), "{name}: {verdict:?}");
        }
    }

    /// Nothing that comes in the place of a signature panics, and nothing of it is accepted.
    #[test]
    fn any_bytes_in_any_header_are_refused(value in proptest::collection::vec(any::<u8>(), 0..80), body in proptest::collection::vec(any::<u8>(), 0..80)) {
        for name in tried() {
            let whole = made(name, "x");
            for at in 1..whole.headers.len() {
                let mut request = whole.clone();
                request.headers[at].1.clone_from(&value);
                let _judged = request.judge(name, NOW);
            }
            let request = Made { body: body.clone(), ..whole };
            let verdict = request.judge(name, NOW);
            let open = provider(name).unwrap().scheme().is_some_and(|scheme| !scheme.algorithm().signs()) || name == "rfc9421";
            prop_assert!(open || verdict.is_err(), "{name}: {verdict:?}");
            let _split = crate::split(provider(name).unwrap(), &body);
        }
    }
}
