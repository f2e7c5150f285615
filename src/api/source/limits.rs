//! The rules of sources, for the description of the API.

use super::{
    replay::MAX_EVENT_TYPES,
    rules::{
        MAX_ANSWER_BODY, MAX_ANSWER_HEADERS, MAX_ANSWER_VALUE, MAX_BODY, MAX_CIDRS, MAX_FORWARDED, MAX_LISTED, MAX_LISTED_TYPE,
        MAX_LIVE, MAX_PREFIX, MAX_SECRET, MAX_SETTING_NAME, MAX_SETTING_VALUE, MAX_SETTINGS, MAX_WINDOW_S, METHODS, MIN_BODY,
    },
    trial::MAX_TYPE,
    verify::{MAX_METHOD, MAX_URL},
};
use crate::{
    api::{
        limits::{self, Limits},
        rules::MAX_TEXT,
    },
    inbound::Reason,
};
use serde_json::{Value, json};

/// Words for why a request was refused.
pub(in crate::api) const REASONS: [&str; 22] = Reason::CODES;
/// Neither beginning nor ending with a dot.
const PREFIX_PATTERN: &str = r"^[a-zA-Z0-9\-_]([a-zA-Z0-9\-_.]*[a-zA-Z0-9\-_])?$";
/// The longest name of a header, in bytes, as `http` has it.
const MAX_HEADER: usize = 65_535;

/// What is said of sources.
pub(in crate::api) fn limits() -> Limits {
    let secret = limits::bytes(MAX_SECRET);
    vec![
        ("SourceIn", fields()),
        ("SourcePatch", fields()),
        ("SourceResponse", answer()),
        ("SourceSecretRotateIn", json!({ "secret": secret })),
        ("SourceReplayIn", json!({ "eventTypes": limits::names(0, MAX_EVENT_TYPES) })),
        ("SourceTestIn", json!({ "eventType": { "minLength": 1, "maxLength": MAX_TYPE }, "payload": limits::any() })),
        ("SourceVerifyIn", verified()),
    ]
}

fn verified() -> Value {
    json!({
        "url": { "maxLength": MAX_URL },
        "method": { "minLength": 1, "maxLength": MAX_METHOD },
        // An object of names and texts, a list of pairs, or nothing.
        "headers": { "type": ["object", "array", "null"] },
    })
}

fn fields() -> Value {
    let secret = limits::bytes(MAX_SECRET);
    let setting = json!({ "minLength": 1, "maxLength": MAX_SETTING_NAME, "pattern": "^[a-z0-9_]+$" });
    json!({
        "name": limits::title(0, MAX_TEXT),
        "description": limits::text(),
        "label": limits::title(0, MAX_TEXT),
        "uid": limits::name(),
        "secret": secret,
        "secrets": { "maxItems": MAX_LIVE, "uniqueItems": true, "items": secret },
        "events": { "maxItems": MAX_LISTED, "items": { "maxLength": MAX_LISTED_TYPE } },
        "status": limits::words_or_null(&["active", "paused", "disabled"]),
        "methods": { "minItems": 1, "uniqueItems": true, "items": { "enum": METHODS } },
        "maxBody": limits::range(MIN_BODY, MAX_BODY),
        "allowCidrs": { "maxItems": MAX_CIDRS },
        "dedupWindow": limits::range(0_u64, MAX_WINDOW_S),
        "eventTypePrefix": { "minLength": 1, "maxLength": MAX_PREFIX, "pattern": PREFIX_PATTERN },
        "forwardHeaders": { "maxItems": MAX_FORWARDED, "uniqueItems": true, "items": limits::header(MAX_HEADER) },
        "metadata": limits::metadata(),
        "settings": {
            "maxProperties": MAX_SETTINGS,
            "propertyNames": setting,
            "additionalProperties": limits::bytes(MAX_SETTING_VALUE),
        },
        "scheme": { "type": ["object", "null"] },
    })
}

fn answer() -> Value {
    let value = json!({ "maxLength": MAX_ANSWER_VALUE, "pattern": r"^[\t -~]*$" });
    let headers = json!({
        "maxProperties": MAX_ANSWER_HEADERS, "propertyNames": limits::header(MAX_HEADER), "additionalProperties": value,
    });
    json!({ "headers": headers, "body": { "maxLength": MAX_ANSWER_BODY } })
}
