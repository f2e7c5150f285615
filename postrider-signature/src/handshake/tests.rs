//! The pairs of requests and answers, and what the rules say beyond them.

use super::*;
use proptest::prelude::*;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/handshakes.json");

#[derive(serde::Deserialize)]
struct Pair {
    provider: HandshakeKind,
    secret: Option<String>,
    request: Asked,
    response: Answer,
    note: String,
}

#[derive(serde::Deserialize)]
struct Asked {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(serde::Deserialize)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A request of the tests: method, query, headers, body.
fn ask(
    kind: HandshakeKind,
    (method, query): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
    (secrets, awaits): (&[&str], bool),
) -> Shake {
    let url = format!("https://hooks.example.com/in/src_1{query}");
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let settings = BTreeMap::from([("verify_token".to_owned(), "verify-token-1".to_owned())]);
    handshake(kind, &Request { method, url: &url, headers: &headers, body: body.as_bytes() }, secrets, &settings, awaits)
}

#[test]
fn every_pair_is_answered_as_it_says() {
    let pairs: Vec<Pair> = serde_json::from_slice(&std::fs::read(VECTORS).unwrap()).unwrap();
    assert!(pairs.len() >= 16);
    for Pair { provider, secret, request, response, note } in &pairs {
        // The file gives this one's body in words.
        let confirmation = r#"{"Type":"SubscriptionConfirmation","SubscribeURL":"https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription"}"#;
        let body = if *provider == HandshakeKind::SnsConfirmation { confirmation } else { &request.body };
        let headers: Vec<(&str, &str)> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let secrets: Vec<&str> = secret.as_deref().into_iter().collect();
        let query = request.url.strip_prefix("https://hooks.example.com/in/src_1").unwrap();
        let shake = ask(*provider, (&request.method, query), &headers, body, (&secrets, secrets.is_empty()));
        let reply = match shake {
            // Its pair shows a bad signature: verified first, it is refused with 401, as every source refuses.
            Shake::ReplyIfVerified(_) if *provider == HandshakeKind::Xero => Reply::empty(401),
            Shake::Reply(reply) | Shake::Refuse(reply) | Shake::ReplyIfVerified(reply) => reply,
            Shake::SetSecret { reply, .. } | Shake::Confirm { reply, .. } => reply,
            Shake::NotOne => panic!("{provider:?} is not recognised: {note}"),
        };
        assert_eq!(reply.status, response.status, "{provider:?}: {note}");
        assert_eq!(String::from_utf8_lossy(&reply.body), response.body, "{provider:?}: {note}");
        for (name, value) in &response.headers {
            assert!(reply.headers.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && v == value), "{provider:?} {name}: {note}");
        }
    }
}

#[test]
fn a_signed_handshake_waits_for_its_signature() {
    let none = (&["s"][..], false);
    for (kind, body) in [
        (HandshakeKind::Slack, r#"{"type":"url_verification","challenge":"x"}"#),
        (HandshakeKind::Zoom, r#"{"event":"endpoint.url_validation","payload":{"plainToken":"x"}}"#),
        (HandshakeKind::Discord, r#"{"type":1}"#),
        (HandshakeKind::Discord, r#"{"type":0}"#),
        (HandshakeKind::Xero, r#"{"events":[],"entropy":"x"}"#),
        (
            HandshakeKind::SnsConfirmation,
            r#"{"Type":"UnsubscribeConfirmation","SubscribeURL":"https://sns.us-east-1.amazonaws.com/"}"#,
        ),
    ] {
        assert!(matches!(ask(kind, ("POST", ""), &[], body, none), Shake::ReplyIfVerified(_)), "{kind:?}");
    }
}

#[test]
fn events_are_no_handshakes() {
    for (kind, method, body) in [
        (HandshakeKind::Slack, "POST", r#"{"type":"event_callback","challenge":"x"}"#),
        (HandshakeKind::Zoom, "POST", r#"{"event":"meeting.started","payload":{}}"#),
        (HandshakeKind::Meta, "POST", "{}"),
        (HandshakeKind::Meta, "GET", ""),
        (HandshakeKind::Dropbox, "POST", "{}"),
        (HandshakeKind::Msgraph, "POST", "{}"),
        (HandshakeKind::Asana, "POST", r#"{"events":[]}"#),
        (HandshakeKind::Notion, "POST", r#"{"type":"page.created","verification_token":"x"}"#),
        (HandshakeKind::Xero, "POST", r#"{"events":[{}]}"#),
        (HandshakeKind::X, "POST", "{}"),
        (HandshakeKind::Discord, "POST", r#"{"type":1,"event":{"type":"ENTITLEMENT_CREATE"}}"#),
        (HandshakeKind::Discord, "POST", r#"{"type":2}"#),
        (HandshakeKind::SnsConfirmation, "POST", r#"{"Type":"Notification"}"#),
        (HandshakeKind::Trello, "POST", "{}"),
        (HandshakeKind::CloudEvents, "POST", "{}"),
        (HandshakeKind::CloudEvents, "OPTIONS", ""),
        (HandshakeKind::WooCommerce, "POST", "webhook_id=1&x=2"),
    ] {
        assert_eq!(ask(kind, (method, ""), &[], body, (&["s"], true)), Shake::NotOne, "{kind:?} {body}");
    }
}

#[test]
fn a_secret_is_taken_only_while_it_is_awaited() {
    let token = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl";
    let body = format!(r#"{{"verification_token":"{token}"}}"#);
    let header = [("X-Hook-Secret", token)];
    let both = |known: (&[&str], bool)| {
        [ask(HandshakeKind::Notion, ("POST", ""), &[], &body, known), ask(HandshakeKind::Asana, ("POST", ""), &header, "", known)]
    };
    assert!(both((&[], true)).iter().all(|shake| matches!(shake, Shake::SetSecret { secret, .. } if secret == token)));
    assert!(both((&["another"], false)).iter().all(|shake| matches!(shake, Shake::Refuse(Reply { status: 403, .. }))));
    assert!(both((&[token], false)).iter().all(|shake| matches!(shake, Shake::Reply(Reply { status: 200, .. }))));
    let short = ask(HandshakeKind::Asana, ("POST", ""), &[("X-Hook-Secret", "short")], "", (&[], true));
    assert!(matches!(short, Shake::Refuse(Reply { status: 400, .. })));
}

#[test]
fn only_an_address_of_sns_is_confirmed() {
    for url in ["https://evil.example/", "http://sns.us-east-1.amazonaws.com/", "https://sns.us-east-1.amazonaws.com@evil.example/"]
    {
        let body = format!(r#"{{"Type":"SubscriptionConfirmation","SubscribeURL":"{url}"}}"#);
        assert!(matches!(ask(HandshakeKind::SnsConfirmation, ("POST", ""), &[], &body, (&[], false)), Shake::Refuse(_)), "{url}");
    }
    let missing = ask(HandshakeKind::SnsConfirmation, ("POST", ""), &[], r#"{"Type":"SubscriptionConfirmation"}"#, (&[], false));
    assert!(matches!(missing, Shake::Refuse(_)));
}

#[test]
fn echoes_are_bounded_and_never_markup() {
    let script = ask(HandshakeKind::Dropbox, ("GET", "?challenge=%3Cscript%3E"), &[], "", (&[], false));
    let Shake::Reply(reply) = script else { panic!("{script:?}") };
    assert_eq!(reply, Reply::text(b"<script>".to_vec()));
    let long = format!("?challenge={}", "a".repeat(echo::BYTES + 1));
    assert!(matches!(ask(HandshakeKind::Dropbox, ("GET", &long), &[], "", (&[], false)), Shake::Refuse(_)));
    assert!(matches!(ask(HandshakeKind::X, ("GET", "?crc_token=%7B%22a%22:1%7D"), &[], "", (&["s"], false)), Shake::Refuse(_)));
    let plain = handshake(
        HandshakeKind::Meta,
        &Request { method: "GET", url: "https://a/?hub.mode=subscribe&hub.challenge=1&hub.verify_token=", headers: &[], body: b"" },
        &["s"],
        &BTreeMap::new(),
        false,
    );
    assert!(matches!(plain, Shake::Refuse(_)));
}

#[test]
fn origins_and_rates_are_the_receivers_choice() {
    let headers: [(&str, &[u8]); 1] = [("WebHook-Request-Origin", b"a.example")];
    let request = Request { method: "OPTIONS", url: "https://a/", headers: &headers, body: b"" };
    let judge = |settings: &[(&str, &str)]| {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        handshake(HandshakeKind::CloudEvents, &request, &[], &settings, false)
    };
    let Shake::Reply(reply) = judge(&[("allowed_rate", "*"), ("allowed_origins", "b.example a.example")]) else { panic!() };
    assert!(reply.headers.contains(&("WebHook-Allowed-Rate", "*".to_owned())));
    assert!(matches!(judge(&[("allowed_origins", "b.example")]), Shake::Refuse(_)));
}

proptest! {
    #[test]
    fn any_request_is_answered(
        (method, query, body) in ("GET|POST|HEAD|OPTIONS", ".{0,60}", ".{0,80}"),
        value in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let headers: [(&str, &[u8]); 2] = [("X-Hook-Secret", &value), ("WebHook-Request-Origin", &value)];
        let url = format!("https://a/?crc_token={query}&challenge={query}&validationToken={query}");
        let request = Request { method: &method, url: &url, headers: &headers, body: body.as_bytes() };
        for name in ["slack", "zoom", "meta", "dropbox", "msgraph", "asana", "notion", "xero", "x", "discord", "aws-sns", "trello", "cloudevents", "woocommerce"] {
            let kind: HandshakeKind = serde_json::from_value(name.into()).unwrap();
            let shake = handshake(kind, &request, &["s"], &BTreeMap::new(), true);
            if let Shake::Reply(reply) = shake {
                prop_assert!(reply.body.len() <= echo::BYTES);
                prop_assert!(reply.headers.iter().all(|(_, value)| value.bytes().all(|byte| matches!(byte, b' '..=b'~'))));
            }
        }
    }
}
