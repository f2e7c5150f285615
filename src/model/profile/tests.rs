//! What profiles say, and what is no profile.

use super::*;
use crate::model::{AppId, Application, EndpointId, Message, Metadata, MsgId, RetryPolicy};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

/// 2025-01-25T14:30:00Z.
const MADE: u64 = 1_737_815_400_000;

pub(super) fn message(event_type: &str, payload: &'static [u8]) -> Message {
    Message {
        id: MsgId((u128::from(MADE) << 80) | 7),
        app: AppId(1),
        org: OrgId(1),
        event_type: event_type.into(),
        event_id: None,
        channels: Vec::new(),
        tags: Vec::new(),
        deliver_at: None,
        payload_expires_at: None,
        endpoints: Vec::new(),
        payload: Bytes::from_static(payload),
        expunged: false,
        origin: None,
        ordering_key: None,
        ordered: Vec::new(),
    }
}

fn application() -> Application {
    Application {
        id: AppId(1),
        org: OrgId(1),
        uid: Some("acme".into()),
        name: "Ac\"me".into(),
        throttle_rate: None,
        metadata: Metadata::new(),
        profile: None,
        retry_policy: None,
        created_at: Time(0),
        updated_at: Time(0),
    }
}

fn with_facts<T>(message: &Message, use_them: impl FnOnce(&Facts<'_>) -> T) -> T {
    let application = application();
    let sent = Time(MADE + 60_000);
    use_them(&Facts { message, application: &application, endpoint: EndpointId(9), sent, attempt: 2 })
}

fn body(profile: &str, message: &Message) -> String {
    let envelope = built_in(profile).unwrap().envelope.as_ref().unwrap();
    with_facts(message, |facts| String::from_utf8(envelope.fill(facts, false)).unwrap())
}

fn read(json: Value) -> Result<Profile, String> {
    let profile: Profile = serde_json::from_value(json).map_err(|error| error.to_string())?;
    profile.check().map_err(|error| error.to_string())?;
    Ok(profile)
}

#[test]
fn every_built_in_profile_is_sound_and_goes_round() {
    for name in BUILT_IN_PROFILES {
        let profile = built_in(name).unwrap();
        profile.check().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!profile.description.is_empty(), "{name}");
        check_profile_name(name).unwrap();
        let again: Profile = serde_json::from_str(&serde_json::to_string(profile).unwrap()).unwrap();
        assert_eq!(again, *profile, "{name}");
    }
    assert!(built_in("unheard-of").is_none());
}

#[test]
fn the_envelopes_are_as_documented() {
    let message = message("event.purchase_complete", br#"{"b": 1.10,  "a":[]}"#);
    let digits = |id: String| id.split_once('_').unwrap().1.to_owned();
    assert_eq!(
        body("alakazam", &message),
        r#"{"type":"event.purchase_complete","created":1737815400,"appId":"acme","data":{"b": 1.10,  "a":[]}}"#
    );
    assert_eq!(
        body("ilara", &message),
        format!(
            r#"{{"id":"evt_{}","type":"event.purchase_complete","timestamp":"2025-01-25T14:30:00.000Z","data":{{"b":1.1,"a":[]}},"metadata":{{"webhook_id":"whk_{}","delivery_attempt":2}}}}"#,
            digits(message.id.to_string()),
            digits(EndpointId(9).to_string())
        )
    );
    let nudj: Value = serde_json::from_str(&body("nudj", &message)).unwrap();
    assert_eq!(
        (nudj["event"].as_str(), nudj["timestamp"].as_str()),
        (Some("event.purchase_complete"), Some("2025-01-25T14:30:00.000Z"))
    );
    let cloud: Value = serde_json::from_str(&body("cloudevents", &message)).unwrap();
    assert_eq!(
        (&cloud["specversion"], &cloud["id"], &cloud["data"]["b"]),
        (&json!("1.0"), &json!(message.id.to_string()), &json!(1.10))
    );
}

#[test]
fn the_nonce_is_a_function_of_organization_and_event() {
    let nonce = |message: &Message| serde_json::from_str::<Value>(&body("nudj", message)).unwrap()["id"].clone();
    let first = Message { event_id: Some("order-1".into()), ..message("a", b"{}") };
    let again = Message { id: MsgId(8), app: AppId(2), payload: Bytes::new(), ..first.clone() };
    let again = Message { payload: Bytes::from_static(b"1"), ..again };
    assert_eq!(nonce(&first), nonce(&again));
    for other in [
        Message { org: OrgId(2), ..first.clone() },
        Message { event_id: Some("order-2".into()), ..first.clone() },
        Message { event_id: None, ..first.clone() },
    ] {
        assert_ne!(nonce(&first), nonce(&other));
    }
    assert_eq!(nonce(&first).as_str().unwrap().len(), 32);
}

#[test]
fn the_systems_schedules_are_as_documented() {
    let delays = |name: &str| {
        let policy = built_in(name).unwrap().retry_policy.clone().unwrap();
        (1..).map_while(|failed| policy.delay_after(failed)).map(|delay| delay.as_secs()).collect::<Vec<_>>()
    };
    assert_eq!(delays("alakazam"), [10, 60]);
    assert_eq!(delays("nudj"), [10, 60, 360]);
    assert_eq!(delays("ilara"), [60, 300, 1800, 7200]);
    let connect: u64 = delays("connect").iter().sum();
    assert!((23 * 3600..=25 * 3600).contains(&connect), "{connect}");
    let finals = |name: &str| built_in(name).unwrap().finals.clone();
    assert!(finals("nudj").contains(404) && finals("nudj").contains(499) && !finals("nudj").contains(500));
    assert!(!finals("nudj").contains(302) && finals("alakazam").is_empty());
}

#[test]
fn the_systems_behave_as_documented() {
    let profile = |name: &str| built_in(name).unwrap();
    assert!(profile("alakazam").https_only && profile("connect").https_only && !profile("ilara").https_only);
    assert!(!profile("connect").defaults.enabled && profile("ilara").defaults.enabled);
    assert_eq!(profile("alakazam").defaults.events, DefaultEvents::Current);
    assert_eq!((profile("ilara").timeout_seconds, profile("connect").timeout_seconds), (Some(30), Some(15)));
    assert!(["alakazam", "nudj", "ilara", "connect"].iter().all(|name| !profile(name).disable_on_gone));
    assert_eq!(profile("connect").retry_policy.as_ref().and_then(|policy| policy.delay_after(1)), Some(Duration::from_secs(21)));
}

#[test]
fn payloads_that_are_no_json_become_texts() {
    let envelope = Envelope::parse(r#"{"data":"{data}"}"#).unwrap();
    let fill =
        |payload, foreign| with_facts(&message("a", payload), |facts| String::from_utf8(envelope.fill(facts, foreign)).unwrap());
    assert_eq!(fill(b"<a b=\"c\"/>", true), r#"{"data":"<a b=\"c\"/>"}"#);
    assert_eq!(fill(b"[1, 2]", true), r#"{"data":[1, 2]}"#);
    assert_eq!(fill(b"[1, 2]", false), r#"{"data":[1, 2]}"#);
    let envelope = Envelope::parse(r#"{"data":"{data.stringified}"}"#).unwrap();
    let fill =
        |payload, foreign| with_facts(&message("a", payload), |facts| String::from_utf8(envelope.fill(facts, foreign)).unwrap());
    assert_eq!(fill(b"<a b=\"c\"/>", true), r#"{"data":"<a b=\"c\"/>"}"#);
    assert_eq!(fill(b"[1, 2.0]", true), r#"{"data":[1,2]}"#);
    let deep = ["[".repeat(400), "]".repeat(400)].concat();
    assert_eq!(fill(Box::leak(deep.clone().into_boxed_str()).as_bytes(), false), format!(r#"{{"data":{deep}}}"#), "as it came");
}

#[test]
fn fields_are_filled_in_and_escaped() {
    let message = message("a.b", b"1");
    let fill = |text: &str| with_facts(&message, |facts| Template::try_from(text.to_owned()).unwrap().fill(facts));
    assert_eq!(fill("{type} {attempt} {{{app}}} {app.name}"), "a.b 2 {acme} Ac\"me");
    assert_eq!(fill("{sent.s}|{sent.ms}|{time}"), format!("{}|{}|2025-01-25T14:30:00.000Z", MADE / 1000 + 60, MADE + 60_000));
    let envelope =
        Envelope::parse("{ \"n{x\" : \"{app.name}\",\n\"t\":[\"x{attempt}\\\"{app.name}\", \"{{}}\", \"\\u007btype}\", 1.50]}")
            .unwrap();
    let body = with_facts(&message, |facts| String::from_utf8(envelope.fill(facts, false)).unwrap());
    assert_eq!(body, r#"{"n{x":"Ac\"me","t":["x2\"Ac\"me","{}","a.b",1.50]}"#);
}

#[test]
fn every_field_can_be_filled() {
    let message = message("a.b", b"1");
    for (name, field) in Field::ALL {
        let envelope = Envelope::parse(&format!(r#"{{"x":"{{{name}}}"}}"#)).unwrap();
        let body = with_facts(&message, |facts| envelope.fill(facts, false));
        let value: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(value["x"].is_number(), field.is_number() || field.is_payload(), "{name}");
    }
}

#[test]
fn what_is_no_envelope_is_refused() {
    for (text, rule) in [
        ("[1]", "a JSON object"),
        ("{", "a JSON object"),
        (r#"{"a":"{nothing}"}"#, "There is no field {nothing}"),
        (r#"{"a":"x{data}"}"#, "stands alone"),
        (r#"{"a":"{type"}"#, "has no }"),
        (r#"{"a":"type}"}"#, "stands alone"),
        (&format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_ENVELOPE_BYTES)), "at most"),
        (&format!(r#"{{"a":[{}"{{id}}"]}}"#, "\"{id}\",".repeat(64)), "at most 64"),
    ] {
        let refused = Envelope::parse(text).unwrap_err();
        assert!(refused.contains(rule), "{text}: {refused}");
    }
    let object: Envelope = serde_json::from_value(json!({"b": "{type}", "a": 1})).unwrap();
    assert_eq!(object.as_str(), r#"{"a":1,"b":"{type}"}"#);
}

#[test]
fn what_is_no_profile_is_refused_by_field() {
    let scheme = json!({"algorithm": "hmac-sha256", "signature": {"in": "header:X-Sig"}});
    let with = |field: &str, value: Value| {
        let mut profile = json!({"scheme": scheme});
        profile[field] = value;
        read(profile)
    };
    assert!(with("description", json!("ok")).is_ok());
    for (field, value, rule) in [
        ("headers", json!({"X-A": "{nothing}"}), "There is no field"),
        ("headers", json!({"X-A": "{data}"}), "only stand in an envelope"),
        ("headers", json!({"Content-Length": "1"}), "headers.Content-Length"),
        ("headers", json!({"Connection": "close"}), "headers.Connection"),
        ("headers", json!({"a b": "1"}), "headers.a b"),
        ("headers", json!({"X-A": "1", "x-a": "2"}), "twice"),
        ("headers", json!({"X-A": "a\r\nb"}), "line breaks"),
        ("timeoutSeconds", json!(0), "timeoutSeconds: "),
        ("timeoutSeconds", json!(121), "timeoutSeconds: "),
        ("final", json!(["6xx"]), "no status"),
        ("final", json!(["200"]), "no status"),
        ("retryPolicy", json!(vec![1; 51]), "retryPolicy: "),
        ("secretPrefix", json!("a b"), "secretPrefix: "),
        ("contentType", json!("json"), "contentType: "),
        ("handshake", json!({"origin": ""}), "handshake.origin: "),
        ("provider", json!("github"), "scheme: "),
        ("nonsense", json!(1), "unknown field"),
        ("envelope", json!("{\"a\":\"{b}\"}"), "There is no field {b}"),
        ("scheme", json!({"algorithm": "hmac-sha256", "signature": {"in": "query:sig"}}), "scheme.signature.in"),
        ("scheme", json!({"algorithm": "hmac-sha256", "signature": {"in": "header:Host"}}), "belongs to the connection"),
    ] {
        let refused = with(field, value.clone()).unwrap_err();
        assert!(refused.contains(rule), "{field} {value}: {refused}");
    }
    assert!(read(json!({})).unwrap_err().starts_with("scheme: "));
    assert!(read(json!({"provider": "unheard-of"})).unwrap_err().starts_with("provider: "));
    assert!(read(json!({"provider": "github", "retryPolicy": [1], "final": ["4xx", "503"]})).is_ok());
    for name in ["", "A", "-a", "a-", "a b", &"a".repeat(65)] {
        assert!(check_profile_name(name).is_err(), "{name}");
    }
}

#[test]
fn an_absent_retry_policy_stays_absent() {
    assert_eq!(built_in("standard").unwrap().retry_policy, None::<RetryPolicy>);
}

fn any_template() -> impl Strategy<Value = String> {
    let bit = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("{{".to_owned()),
        Just("{type}".to_owned()),
        Just("{data}".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just(":".to_owned()),
        Just(",".to_owned()),
        ".{0,4}",
    ];
    prop::collection::vec(bit, 0..12).prop_map(|bits| bits.concat())
}

proptest! {
    #[test]
    fn any_text_is_a_template_or_refused(text in any_template()) {
        if let Ok(template) = Template::try_from(text.clone()) {
            with_facts(&message("a.b", b"1"), |facts| template.fill(facts));
            prop_assert_eq!(template.as_str(), text);
        }
    }

    #[test]
    fn any_envelope_that_is_read_makes_json(text in any_template(), name in ".{0,6}") {
        let written = json!({ (name): text, "data": "{data}", "n": [text.clone(), {"x": text}] }).to_string();
        for written in [written, text] {
            if let Ok(envelope) = Envelope::parse(&written) {
                let body = with_facts(&message("a.b", b"{}"), |facts| envelope.fill(facts, false));
                prop_assert!(serde_json::from_slice::<Value>(&body).is_ok(), "{}", String::from_utf8_lossy(&body));
            }
        }
    }
}
