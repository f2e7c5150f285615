//! Every stated case of `tests/vectors/inbound.json`, and the grammar's own promises.

use super::*;
use crate::{Evidence, provider, providers};
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Requests with their stated verdicts, from published and computed signatures.
const VECTORS: &str = include_str!("../../../tests/vectors/inbound.json");

#[derive(Deserialize)]
struct Case {
    id: String,
    provider: String,
    source: String,
    secret: String,
    headers: BTreeMap<String, String>,
    method: String,
    url: String,
    body: String,
    now: Option<u64>,
    valid: bool,
    #[serde(default)]
    extra: Settings,
    note: String,
}

impl Case {
    fn judge(&self) -> Result<Verified, Refusal> {
        let provider = provider(&self.provider).unwrap_or_else(|| panic!("no provider {}", self.provider));
        let verifier = Verifier::new(provider, &[&self.secret], &self.extra)?;
        let headers: Vec<(&str, &[u8])> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Request { method: &self.method, url: &self.url, headers: &headers, body: self.body.as_bytes() };
        verifier.verify(&request, self.now.unwrap_or(0) * 1000)
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(VECTORS).unwrap()
}

#[test]
fn every_stated_case_is_judged_as_stated() {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in cases() {
        let verdict = case.judge();
        let (right, all) = counts.entry(case.provider.clone()).or_default();
        *all += 1;
        if verdict.is_ok() == case.valid {
            *right += 1;
        } else {
            wrong.push(format!("{}: stated {}, judged {verdict:?} ({})", case.id, case.valid, case.note));
        }
    }
    for (provider, (right, all)) in &counts {
        println!("{provider}: {right} of {all}");
    }
    assert_eq!((counts.len(), counts.values().map(|(_, all)| all).sum::<usize>()), (66, 305));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rows_say_truly_whether_somebody_published_a_signature() {
    let cases = cases();
    for provider in providers() {
        let own: Vec<&Case> = cases.iter().filter(|case| case.provider == provider.name).collect();
        let published = own.iter().any(|case| !case.source.starts_with("computed"));
        let evidence = if published { Evidence::Published } else { Evidence::Computed };
        assert_eq!(provider.evidence, (!own.is_empty()).then_some(evidence), "{}", provider.name);
    }
}

#[test]
fn genuine_requests_say_what_they_are() {
    let found = |id: &str| {
        let case = cases().into_iter().find(|case| case.id == id).unwrap();
        let verified = case.judge().unwrap();
        (verified.event_id, verified.event_type, verified.timestamp_ms)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(found("stripe-03"), (some("evt_test_webhook"), None, Some(1_700_000_000_000)));
    assert_eq!(found("bitbucket-01"), (some("0d3e3a4e-6a4b-4c2a-8f0a-2a2f3ad0a111"), some("repo:push"), None));
    assert_eq!(found("slack-01"), (None, some("/webhook-collect"), Some(1_531_420_618_000)));
    assert_eq!(found("linear-01"), (some("234d1a4e-b617-4388-90fe-adc3633d6b72"), some("Comment.create"), Some(1_676_056_940_508)));
    assert_eq!(found("sentry-01").1, some("issue.created"));
    assert_eq!(found("workos-01"), (some("evt_01"), some("user.created"), Some(1_704_067_200_000)));
    assert_eq!(found("standard-webhooks-01").0, some("msg_p5jXN8AQM9LWM0D4loKWxJek"));
    assert_eq!(found("zendesk-01").1, some("zen:event-type:user.created"));
    assert_eq!(found("telegram-01").0, some("397587257"));
    assert_eq!(found("paypal-01").1, some("PAYMENT.SALE.COMPLETED"));
    assert_eq!(found("github-07"), (None, None, None));
}

/// The case states that an Ed25519 signature does not count under `v1`; under its own label it does.
#[test]
fn an_ed25519_signature_counts_under_its_own_label_only() {
    let mut case = cases().into_iter().find(|case| case.id == "standard-webhooks-21").unwrap();
    assert!(matches!(case.judge(), Err(Refusal::Malformed(..))));
    let header = case.headers.get_mut("webhook-signature").unwrap();
    *header = header.replace("v1,", "v1,AAAA v1a,");
    assert!(case.judge().is_ok(), "{:?}", case.judge());
}

fn judged(scheme: &str, secrets: &[&str], headers: &[(&str, &str)], body: &str) -> Result<Verified, Refusal> {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let request = Request { method: "POST", url: "https://x.example/?token=a+secret", headers: &headers, body: body.as_bytes() };
    Verifier::custom(&Scheme::from_json(scheme).unwrap(), secrets, &Settings::new())?.verify(&request, 1000)
}

#[test]
fn any_live_secret_will_do_and_is_named() {
    let token = r#"{"algorithm":"token","signature":{"in":"header:X-Token"}}"#;
    let secrets = ["new", "old"];
    assert_eq!(judged(token, &secrets, &[("x-token", "old")], "").unwrap().secret, 1);
    assert_eq!(judged(token, &secrets, &[("x-token", "new")], "").unwrap().secret, 0);
    assert_eq!(judged(token, &secrets, &[("x-token", "ne")], ""), Err(Refusal::Mismatch));
    assert_eq!(judged(token, &[], &[("x-token", "")], ""), Err(Refusal::BadSecret("there is none")));
    assert_eq!(judged(token, &["a"; 17], &[("x-token", "a")], ""), Err(Refusal::BadSecret("there are more than 16")));
}

#[test]
fn tokens_are_found_wherever_they_are() {
    let query = r#"{"algorithm":"token","signature":{"in":"query:token"}}"#;
    assert!(judged(query, &["a secret"], &[], "").is_ok());
    let every = r#"{"algorithm":"token","signature":{"in":"body:all[].k"}}"#;
    assert!(judged(every, &["a"], &[], r#"{"all":[{"k":"a"},{"k":"a"}]}"#).is_ok());
    assert_eq!(judged(every, &["a"], &[], r#"{"all":[{"k":"a"},{"k":"b"}]}"#), Err(Refusal::Mismatch));
    assert_eq!(judged(every, &["a"], &[], r#"{"all":[{"k":"a"},{}]}"#), Err(Refusal::MissingField("all[].k".into())));
    let bearer = r#"{"algorithm":"token","signature":{"in":"header:Authorization","prefix":"Bearer "}}"#;
    assert!(judged(bearer, &["a"], &[("authorization", "Bearer a")], "").is_ok());
    assert!(matches!(judged(bearer, &["a"], &[("authorization", "a")], ""), Err(Refusal::Malformed(..))));
}

#[test]
fn nothing_is_accepted_unsigned_but_by_name() {
    assert!(judged(r#"{"algorithm":"none","type":"body:type"}"#, &[], &[], r#"{"type":"x"}"#).unwrap().event_type.is_some());
    assert!(providers().iter().all(|provider| provider.scheme().is_none_or(|scheme| scheme.algorithm() != Algorithm::None)));
}

#[test]
fn settings_are_needed_and_replace() {
    let paypal = provider("paypal").unwrap();
    assert_eq!(Verifier::new(paypal, &["x"], &Settings::new()).err(), Some(Refusal::MissingSetting("webhook_id")));
    let stripe = cases().into_iter().find(|case| case.id == "stripe-03").unwrap();
    let late = |settings: &Settings| {
        let headers: Vec<(&str, &[u8])> = stripe.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Request { method: "POST", url: &stripe.url, headers: &headers, body: stripe.body.as_bytes() };
        Verifier::new(provider("stripe").unwrap(), &[&stripe.secret], settings)?.verify(&request, 1_700_000_400_000).map(|_| ())
    };
    assert_eq!(late(&Settings::new()), Err(Refusal::Stale));
    assert_eq!(late(&Settings::from([(TOLERANCE.into(), "500".into())])), Ok(()));
    assert!(matches!(late(&Settings::from([(TOLERANCE.into(), "x".into())])), Err(Refusal::Malformed(..))));
}

#[test]
fn secrets_that_no_provider_could_use_are_refused_at_once() {
    for (name, secret) in
        [("aws-sns", "x"), ("paypal", "x"), ("adyen", "x"), ("discord", "x"), ("sendgrid", "x"), ("basic", "x"), ("github", "")]
    {
        let settings = Settings::from([("webhook_id".to_owned(), "1".to_owned())]);
        let refused = Verifier::new(provider(name).unwrap(), &[secret], &settings);
        assert!(matches!(refused, Err(Refusal::BadSecret(_))), "{name}");
    }
}

/// Schemes of every kind that the grammar has, most of them sound.
fn any_scheme() -> impl Strategy<Value = String> {
    let algorithm = prop::sample::select(vec![
        "hmac-sha1",
        "hmac-sha256",
        "hmac-sha384",
        "hmac-sha512",
        "ed25519",
        "ecdsa-p256-sha256",
        "rsa-sha256",
        "token",
        "basic",
        "none",
    ]);
    let spot =
        || prop::sample::select(vec!["header:S", "header:S-{n}", "query:token", "form:s", "body:a[].b", "body:0", "field:t"]);
    let list = prop::sample::select(vec!["", r#","between":",","label":"v1""#, r#","between":" ","assign":",","label":"v1""#]);
    let signed = prop::sample::select(vec![
        "{body}",
        "{timestamp}.{body}",
        "{id}{covered:h}{body}",
        "{method}{url}{header:S}{field:t}{body}",
    ]);
    let unit = prop::sample::select(vec!["s", "ms", "rfc3339"]);
    let encoding = prop::sample::select(vec!["hex", "base64", "base64url"]);
    (algorithm, spot(), list, signed, (spot(), spot()), (unit, encoding)).prop_map(
        |(algorithm, spot, list, signed, (stamp, id), (unit, encoding))| {
            format!(
                r#"{{"algorithm":"{algorithm}","signature":{{"in":"{spot}","encoding":"{encoding}"{list}}},"signed":"{signed}","timestamp":{{"in":"{stamp}","unit":"{unit}"}},"id":"{id}"}}"#
            )
        },
    )
}

proptest! {
    /// Any request before any scheme: a verdict, no panic; and without the secret none is accepted.
    #[test]
    fn any_request_before_any_scheme_is_answered(
        scheme in any_scheme(),
        signature in prop_oneof![".{0,40}", r"(t=1,|h=S,|v1=[0-9a-f]{0,8},? ?){0,6}", r"(v1,[A-Za-z0-9+/=]{0,8} ?){0,6}"],
        body in prop_oneof![".{0,40}", r#"\{"a":\[(\{"b":"[a-z]"\},?){0,3}\]\}"#],
        query in "[a-z0-9=&%#?+]{0,20}",
    ) {
        if let Ok(scheme) = Scheme::from_json(&scheme) {
            let headers = [("S", signature.as_bytes()), ("S-1", signature.as_bytes()), ("Authorization", signature.as_bytes())];
            let url = format!("https://x.example/?{query}");
            let request = Request { method: "POST", url: &url, headers: &headers, body: body.as_bytes() };
            for secret in ["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "user:password"] {
                let verdict = Verifier::custom(&scheme, &[secret], &Settings::new()).and_then(|verifier| verifier.verify(&request, 1000));
                prop_assert!(verdict.is_err() || scheme.algorithm() == Algorithm::None, "{verdict:?}");
                let hints = scheme.explain(&[secret], &Settings::new(), &request, 1000);
                prop_assert!(hints.len() <= 8);
            }
        }
    }

    #[test]
    fn any_text_is_a_scheme_or_an_error(text in prop_oneof![".{0,80}", r#"\{("(algorithm|signature|in|id|type|also)":("hmac-sha256"|\{\}|\[\]|1|null),?){0,5}\}"#]) {
        if let Err(error) = Scheme::from_json(&text) {
            prop_assert!(!error.field.is_empty() && !error.rule.is_empty());
        }
    }
}

#[test]
fn long_ids_are_told_by_their_digest() {
    let id_of = |id: &str| {
        let body = format!(r#"{{"id":"{id}","type":"{id}"}}"#);
        let scheme = r#"{"algorithm":"none","id":"body:id","type":"body:type"}"#;
        let verifier = Verifier::custom(&Scheme::from_json(scheme).unwrap(), &[], &Settings::new()).unwrap();
        let verified = verifier.verify(&Request { method: "POST", url: "", headers: &[], body: body.as_bytes() }, 0).unwrap();
        assert_eq!(verified.event_type.is_some(), id.len() <= MAX_NAME_BYTES);
        verified.event_id.unwrap()
    };
    let (whole, one, other) = ("a".repeat(1024), "a".repeat(1025), "a".repeat(100_000));
    assert_eq!(id_of(&whole), whole);
    assert_eq!(id_of(&one), format!("sha256:{}", to_hex(&Sha256::digest(&one))));
    assert!(id_of(&one).len() < 80 && id_of(&one) != id_of(&other));
    let batch = [r#"[{"sg_event_id":""#, &one, r#"","event":"open"}]"#].concat();
    let elements = crate::split(provider("sendgrid").unwrap(), batch.as_bytes()).unwrap();
    assert_eq!(elements[0].id.as_deref(), Some(id_of(&one).as_str()));
}

#[test]
fn a_tolerance_of_0_is_exact_as_a_setting_and_unjudged_in_a_scheme() {
    let scheme = |tolerance: &str| {
        let text = format!(
            r#"{{"algorithm":"hmac-sha256","signature":{{"in":"header:x-s","encoding":"hex"}},
            "signed":"{{timestamp}}{{body}}","timestamp":{{"in":"header:x-t","unit":"s"}}{tolerance}}}"#
        );
        Scheme::from_json(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let signature = to_hex(ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"key"), b"1000").as_ref());
    let headers: Vec<(&str, &[u8])> = vec![("x-s", signature.as_bytes()), ("x-t", b"1000")];
    let request = Request { method: "POST", url: "", headers: &headers, body: b"" };
    let judged = |scheme: &Scheme, settings: &Settings, now_ms| {
        Verifier::custom(scheme, &["key"], settings).unwrap().verify(&request, now_ms).map(|_| ())
    };
    let exact = Settings::from([(TOLERANCE.to_owned(), "0".to_owned())]);
    assert_eq!(judged(&scheme(""), &exact, 1_000_000), Ok(()));
    assert_eq!(judged(&scheme(""), &exact, 1_000_001), Err(Refusal::Stale));
    assert_eq!(judged(&scheme(""), &exact, 999_999), Err(Refusal::Future));
    assert_eq!(judged(&scheme(r#","tolerance":0"#), &Settings::new(), u64::MAX), Ok(()));
}
