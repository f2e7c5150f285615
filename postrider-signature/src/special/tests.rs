//! The vectors of these providers, signatures that come back, and requests of any bytes.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/inbound.json");
const ALL: [Special; 10] = [
    Special::Paypal,
    Special::AwsSns,
    Special::Rfc9421,
    Special::Twilio,
    Special::Contentful,
    Special::Adyen,
    Special::Mailgun,
    Special::HubspotV1,
    Special::HubspotV2,
    Special::HubspotV3,
];

#[derive(serde::Deserialize)]
struct Case {
    id: String,
    provider: String,
    secret: String,
    headers: HashMap<String, String>,
    method: String,
    url: String,
    body: String,
    now: Option<u64>,
    valid: bool,
    note: String,
    extra: Option<BTreeMap<String, String>>,
}

#[test]
fn every_vector_is_judged_as_it_says() {
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(VECTORS).unwrap()).unwrap();
    let mut judged: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in &cases {
        let Ok(special) = serde_json::from_value::<Special>(case.provider.clone().into()) else { continue };
        *judged.entry(case.provider.clone()).or_default() += 1;
        let headers: Vec<(&str, &[u8])> = case.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Request { method: &case.method, url: &case.url, headers: &headers, body: case.body.as_bytes() };
        let verdict = special.verify(&request, &case.secret, &case.extra.clone().unwrap_or_default(), case.now.unwrap_or(0) * 1000);
        if verdict.is_ok() != case.valid {
            wrong.push(format!("{}: {verdict:?}: {}", case.id, case.note));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(judged.len(), ALL.len(), "{judged:?}");
    assert!(judged.values().sum::<usize>() >= 45, "{judged:?}");
}

fn settings() -> BTreeMap<String, String> {
    [("webhook_id", "WH-1"), ("keyid", "k1"), ("required", "@authority")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

/// A body in which this provider signs, and a secret of its kind.
fn sample(special: Special) -> (&'static str, &'static str) {
    match special {
        Special::Adyen => (
            r#"{"live":"false","notificationItems":[{"NotificationRequestItem":{"pspReference":"1","amount":{"value":5,"currency":"EUR"},"eventCode":"A","success":true}}]}"#,
            "44782DEF",
        ),
        Special::Rfc9421 => (r#"{"a":1}"#, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        Special::Mailgun => (r#"{"event-data":{"event":"delivered"}}"#, "secret"),
        _ => (r#"{"a":1}"#, "secret"),
    }
}

/// All but the two that need a private key.
fn symmetric() -> impl Iterator<Item = Special> {
    ALL.into_iter().filter(|special| !matches!(special, Special::Paypal | Special::AwsSns))
}

/// Signs the sample, then judges it after `change` had its way with the headers, the body and the URL.
fn sign_and_judge(
    special: Special,
    change: impl Fn(&mut Vec<(String, String)>, &mut Vec<u8>, &mut String),
) -> Result<Verified, Refusal> {
    let (body, secret) = sample(special);
    let base = [("Content-Type", &b"application/json"[..])];
    let request =
        Request { method: "POST", url: "https://hooks.example.com/in/1?x=a%40b%20c", headers: &base, body: body.as_bytes() };
    let signed = special.sign(&request, ("evt_1", 1_700_000_000_000), secret, &settings()).unwrap();
    let mut headers = signed.headers;
    headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    let mut body = signed.body.unwrap_or_else(|| body.as_bytes().to_vec());
    let mut url = signed.url.unwrap_or_else(|| request.url.to_owned());
    change(&mut headers, &mut body, &mut url);
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request { method: "POST", url: &url, headers: &headers, body: &body };
    special.verify(&request, secret, &settings(), 1_700_000_010_000)
}

#[test]
fn what_is_signed_is_verified() {
    for special in symmetric() {
        assert!(sign_and_judge(special, |_, _, _| ()).is_ok(), "{special:?} {:?}", sign_and_judge(special, |_, _, _| ()));
    }
}

#[test]
fn a_changed_signature_is_refused() {
    for special in symmetric() {
        let judged = sign_and_judge(special, |headers, body, _| {
            let signature =
                headers.iter_mut().find(|(name, _)| name.to_ascii_lowercase().contains("signature") && !name.ends_with("nput"));
            match signature {
                Some((_, value)) => *value = value.replacen(|c: char| c.is_ascii_digit(), "Z", 3).replacen("sigZ", "sig1", 1),
                None => {
                    let text = String::from_utf8(body.clone()).unwrap();
                    let at = text.to_ascii_lowercase().rfind("signature\":\"").unwrap() + 14;
                    body[at] = if body[at] == b'0' { b'1' } else { b'0' };
                }
            }
        });
        assert!(matches!(judged, Err(Refusal::Mismatch | Refusal::Malformed(..))), "{special:?} {judged:?}");
    }
}

#[test]
fn a_changed_body_is_refused_where_the_body_is_signed() {
    for special in symmetric().filter(|special| !matches!(special, Special::Adyen | Special::Mailgun)) {
        assert_eq!(sign_and_judge(special, |_, body, _| body.push(b' ')), Err(Refusal::Mismatch), "{special:?}");
    }
}

#[test]
fn a_form_is_covered_field_by_field() {
    let headers = [("Content-Type", &b"application/x-www-form-urlencoded"[..])];
    let form = |body: &'static [u8]| Request { method: "POST", url: "https://a.example/x", headers: &headers, body };
    let signed = Special::Twilio.sign(&form(b"b=2&a=1&b=1&c="), ("", 0), "s", &settings()).unwrap();
    let judge = |body| {
        let headers = [headers[0], ("X-Twilio-Signature", signed.headers[0].1.as_bytes())];
        Special::Twilio.verify(&Request { headers: &headers, ..form(body) }, "s", &settings(), 0)
    };
    assert!(judge(b"c=&b=1&b=2&a=1&a=1").is_ok());
    assert_eq!(judge(b"c=&b=1&b=3&a=1"), Err(Refusal::Mismatch));
}

#[test]
fn pins_of_a_message_signature_hold() {
    let headers = [("Content-Digest", &b"md5=:AAAA:"[..])];
    let request = Request { method: "POST", url: "https://a.example/x", headers: &headers, body: b"{}" };
    let (_, secret) = sample(Special::Rfc9421);
    let judge = |signer: &[(&str, &str)], judge: &[(&str, &str)]| {
        let map =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>();
        let signed = Special::Rfc9421.sign(&request, ("", 1000), secret, &map(signer)).unwrap();
        let headers: Vec<_> = signed.headers.iter().map(|(k, v)| (k.as_str(), v.as_bytes())).collect();
        Special::Rfc9421.verify(&Request { headers: &headers, ..request }, secret, &map(judge), 1000)
    };
    assert!(judge(&[], &[]).is_ok());
    assert_eq!(judge(&[("keyid", "a")], &[("keyid", "b")]), Err(Refusal::UnknownKey));
    assert_eq!(judge(&[], &[("keyid", "b")]), Err(Refusal::UnknownKey));
    assert!(matches!(judge(&[], &[("required", "@authority")]), Err(Refusal::Malformed(..))));
    assert!(judge(&[("required", "@authority @query @path")], &[("required", "@authority @Method")]).is_ok());
    assert!(matches!(judge(&[], &[("alg", "ed25519")]), Err(Refusal::BadSecret(_) | Refusal::WrongAlgorithm(_))));
    assert_eq!(judge(&[("label", "a")], &[("label", "b")]), Err(Refusal::Mismatch));
}

/// RFC 9421, appendix B.2.6.
#[test]
fn a_published_ed25519_signature_is_verified() {
    let public =
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----";
    let input = r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
    let signature = "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:";
    let headers: [(&str, &[u8]); 5] = [
        ("Date", b"Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", b"application/json"),
        ("Content-Length", b"18"),
        ("Signature-Input", input.as_bytes()),
        ("Signature", signature.as_bytes()),
    ];
    let request =
        Request { method: "POST", url: "https://example.com/foo?param=Value", headers: &headers, body: br#"{"hello": "world"}"# };
    let judge = |url| Special::Rfc9421.verify(&Request { url, ..request }, public, &BTreeMap::new(), 1_618_884_473_000);
    assert!(judge(request.url).is_ok());
    assert_eq!(judge("https://example.com/bar"), Err(Refusal::Mismatch));
}

#[test]
fn an_ed25519_key_signs_a_message() {
    let private =
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----";
    let public =
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----";
    let settings = BTreeMap::from([("alg".to_owned(), "ed25519".to_owned())]);
    let request = Request { method: "POST", url: "https://a.example/x", headers: &[], body: b"{}" };
    let signed = Special::Rfc9421.sign(&request, ("", 1000), private, &settings).unwrap();
    let headers: Vec<_> = signed.headers.iter().map(|(k, v)| (k.as_str(), v.as_bytes())).collect();
    let request = Request { headers: &headers, ..request };
    assert!(Special::Rfc9421.verify(&request, public, &settings, 1000).is_ok());
    assert!(Special::Rfc9421.verify(&request, "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=", &settings, 1000).is_ok());
    assert_eq!(Special::Rfc9421.verify(&Request { method: "PUT", ..request }, public, &settings, 1000), Err(Refusal::Mismatch));
}

/// A key made for these tests: it has never protected anything.
const RSA: [&str; 3] = [
    include_str!("test_keys/rsa-private.pem"),
    include_str!("test_keys/rsa-public.pem"),
    include_str!("test_keys/rsa-certificate.pem"),
];

#[test]
fn an_rsa_key_signs_and_its_public_half_or_certificate_verifies() {
    let settings = BTreeMap::from([("webhook_id", "WH-1"), ("alg", "rsa-v1_5-sha256")].map(|(k, v)| (k.to_owned(), v.to_owned())));
    let [private, public, certificate] = RSA;
    let notification = r#"{"Type":"Notification","MessageId":"m","TopicArn":"t","Subject":"s","Message":"a\nb","Timestamp":"2022-07-28T21:24:08.324Z"}"#;
    let confirmation = r#"{"Type":"SubscriptionConfirmation","MessageId":"m","TopicArn":"t","Message":"a","Timestamp":"2022-07-28T21:24:08.324Z","Token":"x","SubscribeURL":"https://sns.us-east-1.amazonaws.com/"}"#;
    let paypal = r#"{"id":"m","event_type":"Notification"}"#;
    for (special, body) in
        [(Special::Paypal, paypal), (Special::AwsSns, notification), (Special::AwsSns, confirmation), (Special::Rfc9421, "{}")]
    {
        let request = Request { method: "POST", url: "https://a.example/x", headers: &[], body: body.as_bytes() };
        let signed = special.sign(&request, ("m", 1_700_000_000_000), private, &settings).unwrap();
        let headers: Vec<_> = signed.headers.iter().map(|(k, v)| (k.as_str(), v.as_bytes())).collect();
        let mut body = signed.body.unwrap_or_else(|| body.as_bytes().to_vec());
        for key in [public, certificate] {
            let verified =
                special.verify(&Request { headers: &headers, body: &body, ..request }, key, &settings, 1_700_000_000_000);
            let id = verified.unwrap_or_else(|refusal| panic!("{special:?} {refusal}")).event_id;
            assert_eq!(id.as_deref(), (special != Special::Rfc9421).then_some("m"));
        }
        let text = String::from_utf8(std::mem::take(&mut body)).unwrap();
        let text = if text == "{}" { "[]".to_owned() } else { text.replace(r#""m""#, r#""n""#) };
        let judged =
            special.verify(&Request { headers: &headers, body: text.as_bytes(), ..request }, public, &settings, 1_700_000_000_000);
        assert_eq!(judged, Err(Refusal::Mismatch), "{special:?}");
    }
}

#[test]
fn another_topic_is_refused_when_one_is_pinned() {
    let body =
        br#"{"Type":"Notification","MessageId":"m","TopicArn":"arn:a","Message":"a","Timestamp":"2022-07-28T21:24:08.324Z"}"#;
    let request = Request { method: "POST", url: "https://a.example/x", headers: &[], body };
    let signed = Special::AwsSns.sign(&request, ("m", 0), RSA[0], &settings()).unwrap().body.unwrap();
    let judge = |topic: &str| {
        let settings = BTreeMap::from([("topic_arn".to_owned(), topic.to_owned())]);
        Special::AwsSns.verify(&Request { body: &signed, ..request }, RSA[2], &settings, 0)
    };
    assert!(judge("arn:a").is_ok());
    assert!(matches!(judge("arn:b"), Err(Refusal::Malformed(..))));
}

#[test]
fn an_instant_outside_the_tolerance_is_refused() {
    let body = br#"{"event-data":{"event":"delivered"}}"#;
    let request = Request { method: "POST", url: "https://a.example/x", headers: &[], body };
    let signed = Special::Mailgun.sign(&request, ("m", 10_000_000), "s", &BTreeMap::new()).unwrap().body.unwrap();
    let judge = |now_ms: u64, tolerance: Option<&str>| {
        let settings = tolerance.map(|tolerance| ("tolerance_s".to_owned(), tolerance.to_owned())).into_iter().collect();
        Special::Mailgun.verify(&Request { body: &signed, ..request }, "s", &settings, now_ms)
    };
    assert!(judge(10_300_000, None).is_ok());
    assert_eq!(judge(10_301_000, None), Err(Refusal::Stale));
    assert_eq!(judge(9_699_000, None), Err(Refusal::Future));
    assert!(judge(13_600_000, Some("3600")).is_ok());
    assert!(matches!(judge(10_000_000, Some("soon")), Err(Refusal::Malformed(..))));
}

proptest! {
    #[test]
    fn any_request_is_answered(
        which in 0..ALL.len(),
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 14),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        (url, secret) in (".{0,60}", ".{0,40}"),
    ) {
        const NAMES: [&str; 14] = [
            "PAYPAL-TRANSMISSION-ID", "PAYPAL-TRANSMISSION-TIME", "PAYPAL-TRANSMISSION-SIG", "PAYPAL-CERT-URL", "X-HubSpot-Signature-v3",
            "Signature-Input", "Signature", "Content-Digest", "X-Twilio-Signature", "Content-Type", "x-contentful-signature",
            "x-contentful-signed-headers", "x-contentful-timestamp", "X-HubSpot-Signature",
        ];
        let headers: Vec<(&str, &[u8])> = NAMES.into_iter().zip(values.iter().map(Vec::as_slice)).collect();
        let request = Request { method: "POST", url: &url, headers: &headers, body: &body };
        let special = ALL[which];
        prop_assert!(special.verify(&request, &secret, &settings(), 0).is_err());
        let _signed_or_not = special.sign(&request, ("id", u64::MAX), &secret, &settings());
    }
}
