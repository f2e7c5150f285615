//! Every usual mistake is found by its hint.

use super::*;
use crate::{Unsigned, provider};

const NOW: u64 = 1_700_000_000_000;
const BODY: &str = r#"{"id":"evt_1","type":"a/b","name":"Zoë"}"#;

/// A provider's request signed with a secret, judged with another secret, body, URL and time.
#[derive(Clone, Copy)]
struct Mistaken<'a> {
    name: &'a str,
    signer: &'a str,
    secret: &'a str,
    body: &'a str,
    url: &'a str,
    now: u64,
}

const RIGHT: Mistaken<'_> =
    Mistaken { name: "stripe", signer: "s", secret: "s", body: BODY, url: "https://x.example/in", now: NOW };

impl Mistaken<'_> {
    fn codes(self) -> Vec<&'static str> {
        self.hints().iter().map(|hint| hint.code).collect()
    }

    fn hints(self) -> Vec<Hint> {
        let provider = provider(self.name).unwrap();
        let unsigned = Unsigned {
            method: "POST",
            url: "https://x.example/in",
            headers: &[],
            body: BODY.as_bytes(),
            id: "evt_1",
            timestamp_ms: NOW,
        };
        let signed = provider.sign(self.signer, &Settings::new(), &unsigned).unwrap();
        let headers: Vec<(&str, &[u8])> = signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Request { method: "POST", url: self.url, headers: &headers, body: self.body.as_bytes() };
        provider.explain(&[self.secret], &Settings::new(), &request, self.now)
    }
}

#[test]
fn nothing_is_wrong_with_a_genuine_request() {
    assert!(RIGHT.codes().is_empty());
}

#[test]
fn a_changed_body_is_seen() {
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(BODY).unwrap()).unwrap();
    let spaced = BODY.replace(':', ": ");
    for body in [format!("{BODY}\n"), format!("{BODY}\r\n"), format!(" {BODY}"), spaced] {
        assert_eq!(Mistaken { body: &body, ..RIGHT }.codes(), ["body_changed"], "{body}");
    }
    let codes = Mistaken { body: &pretty, ..RIGHT }.codes();
    assert_eq!(codes, ["expected", "unexplained"], "the order of members was changed too, which nobody can undo");
}

#[test]
fn a_secret_read_otherwise_is_seen() {
    assert_eq!(Mistaken { secret: " s\n", ..RIGHT }.codes(), ["secret_copied"]);
    let whsec = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    assert_eq!(
        Mistaken { name: "svix", signer: whsec, secret: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", ..RIGHT }.codes(),
        [""; 0]
    );
    let decoded = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let hints = Mistaken { name: "svix", signer: whsec, secret: decoded, ..RIGHT }.codes();
    assert_eq!(hints, ["secret_encoding"]);
}

#[test]
fn clocks_and_urls_are_seen() {
    assert_eq!(Mistaken { now: NOW + 4_000_000, ..RIGHT }.codes(), ["clock"]);
    assert_eq!(Mistaken { now: NOW - 4_000_000, ..RIGHT }.codes(), ["clock"]);
    for url in ["http://x.example/in", "https://x.example/in/", "https://x.example/in?a=b"] {
        assert_eq!(Mistaken { name: "square", url, ..RIGHT }.codes(), ["url"], "{url}");
    }
}

/// The scheme that is believed, the one by which it was signed, and the hint.
#[test]
fn a_scheme_believed_wrongly_is_seen() {
    let scheme = |hash: &str, encoding: &str, signed: &str, unit: &str| {
        let json = format!(
            r#"{{"algorithm":"hmac-{hash}","signature":{{"in":"header:S","encoding":"{encoding}"}},"signed":"{signed}","timestamp":{{"in":"header:T","unit":"{unit}"}}}}"#
        );
        Scheme::from_json(&json).unwrap()
    };
    let believed = scheme("sha256", "hex", "{timestamp}.{body}", "s");
    for (actual, code) in [
        (scheme("sha512", "hex", "{timestamp}.{body}", "s"), "hash"),
        (scheme("sha256", "base64", "{timestamp}.{body}", "s"), "signature_encoding"),
        (scheme("sha256", "hex", "{body}", "s"), "signed_content"),
        (scheme("sha256", "hex", "{timestamp}.{body}", "ms"), "timestamp_unit"),
    ] {
        let unsigned = Unsigned { method: "POST", url: "", headers: &[], body: BODY.as_bytes(), id: "", timestamp_ms: NOW };
        let signed = actual.sign("s", &Settings::new(), &unsigned).unwrap();
        let headers: Vec<(&str, &[u8])> = signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Request { method: "POST", url: "", headers: &headers, body: BODY.as_bytes() };
        let hints = believed.explain(&["s"], &Settings::new(), &request, NOW);
        assert_eq!(hints.first().map(|hint| hint.code), Some(code), "{hints:?}");
    }
}

#[test]
fn another_provider_and_another_header_are_seen() {
    let github = provider("github").unwrap();
    let unsigned = Unsigned { method: "POST", url: "", headers: &[], body: BODY.as_bytes(), id: "1", timestamp_ms: NOW };
    let signed = provider("shopify").unwrap().sign("s", &Settings::new(), &unsigned).unwrap();
    let headers: Vec<(&str, &[u8])> = signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request { method: "POST", url: "", headers: &headers, body: BODY.as_bytes() };
    let hints = github.explain(&["s"], &Settings::new(), &request, NOW);
    assert_eq!(hints.iter().map(|hint| hint.code).collect::<Vec<_>>(), ["missing_header", "provider"], "{hints:?}");
    assert!(hints[0].text.contains("X-Shopify-Hmac-SHA256"), "{hints:?}");
}

#[test]
fn an_age_is_told_by_how_much() {
    let text = Mistaken { now: NOW + 1_000_000, ..RIGHT }.hints()[0].text.clone();
    assert!(text.contains("1000 s behind") && text.contains("700 s more than the 300 s"), "{text}");
    let text = Mistaken { now: NOW - 400_000, ..RIGHT }.hints()[0].text.clone();
    assert!(text.contains("400 s ahead of") && text.contains("100 s more"), "{text}");
    // Old, and with another secret: both are told.
    let both = Mistaken { now: NOW + 1_000_000, secret: "another", ..RIGHT }.hints();
    assert_eq!(both.iter().map(|hint| hint.code).collect::<Vec<_>>(), ["age", "expected", "unexplained"]);
    assert!(both[0].text.contains("700 s more"), "{}", both[0].text);
}

#[test]
fn what_is_expected_is_told_beside_what_came() {
    let none = Request { method: "POST", url: "", headers: &[], body: BODY.as_bytes() };
    let github = provider("github").unwrap();
    let told = |request: &Request<'_>| github.explain(&["s"], &Settings::new(), request, NOW);
    let missing = told(&none);
    assert_eq!(missing.iter().map(|hint| hint.code).collect::<Vec<_>>(), ["missing_header", "expected"]);
    assert!(missing[1].text.contains("HMAC-SHA256") && missing[1].text.contains("none of the headers"), "{}", missing[1].text);
    let headers: [(&str, &[u8]); 2] = [("X-Hub-Signature-256", b"sha256=nothing hexadecimal"), ("Host", b"h")];
    let malformed = told(&Request { headers: &headers, ..none });
    assert_eq!(malformed.iter().map(|hint| hint.code).collect::<Vec<_>>(), ["malformed", "expected"]);
    assert!(malformed[0].text.starts_with("X-Hub-Signature-256 is there, but "), "{}", malformed[0].text);
    assert!(malformed[1].text.contains("may hold a signature: X-Hub-Signature-256"), "{}", malformed[1].text);
    let other = Mistaken { secret: "another", ..RIGHT }.hints();
    assert_eq!(other.iter().map(|hint| hint.code).collect::<Vec<_>>(), ["expected", "unexplained"]);
    assert!(other[1].text.contains("the secret is another one"));
}

#[test]
fn every_hint_says_what_to_do() {
    let whsec = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let undecoded = Mistaken { name: "svix", signer: whsec, secret: "whsec_c2hvcnQ=", ..RIGHT };
    let all = [
        Mistaken { body: &format!("{BODY}\n"), ..RIGHT }.hints(),
        Mistaken { secret: " s\n", ..RIGHT }.hints(),
        Mistaken { now: NOW + 4_000_000, ..RIGHT }.hints(),
        undecoded.hints(),
    ];
    for hint in all.iter().flatten() {
        assert!(hint.text.contains(": ") || hint.text.contains(". "), "{hint:?}");
        assert!(hint.text.ends_with('.'), "{hint:?}");
    }
}
