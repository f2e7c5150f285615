//! The rules of endpoints, for the description of the API.

use super::{
    credentials,
    edit::{CONCURRENCY, MAX_EVENT_TYPES, MAX_URL_BYTES},
    header_rules::{MAX_HEADERS, MAX_NAME_BYTES, MAX_VALUE_BYTES},
};
use crate::{
    api::{
        limits::{self, Limits},
        message::{MAX_CHANNELS, labels},
        rules::MAX_NAME,
    },
    model::CATEGORY,
};
use serde_json::{Value, json};

/// Visible ASCII without line breaks, neither starting nor ending with a blank.
const VALUE_PATTERN: &str = r"^([!-~]([\t -~]*[!-~])?)?$";

/// A name, all, all that begin so, or all of a category.
const WANTED_PATTERN: &str = r"^(\*|category:[a-zA-Z0-9\-_.]+|[a-zA-Z0-9\-_.]+(\.\*)?)$";

/// What is said of endpoints.
pub(in crate::api) fn limits() -> Limits {
    let patch = json!({ "url": { "minLength": 1, "maxLength": MAX_URL_BYTES }, "throttleRate": limits::range(0_u64, u16::MAX) });
    let headers = headers();
    let patched =
        json!({ "maxProperties": MAX_HEADERS, "propertyNames": limits::header(MAX_NAME_BYTES), "additionalProperties": value() });
    let mut all = vec![
        ("EndpointIn", fields()),
        ("EndpointIn", json!({ "headers": headers, "throttleRate": limits::rate() })),
        ("EndpointUpdate", fields()),
        ("EndpointUpdate", json!({ "throttleRate": limits::rate() })),
        ("EndpointPatch", fields()),
        ("EndpointPatch", patch),
        ("EndpointPatch", json!({ "headers": patched })),
        ("EndpointHeadersIn", json!({ "headers": headers })),
        ("EndpointHeadersPatchIn", json!({ "headers": patched })),
        ("CatchUpIn", json!({ "rate": limits::rate() })),
    ];
    all.extend(credentials::limits());
    all
}

fn value() -> Value {
    json!({ "maxLength": MAX_VALUE_BYTES, "pattern": VALUE_PATTERN })
}

fn headers() -> Value {
    json!({ "maxProperties": MAX_HEADERS, "propertyNames": limits::header(MAX_NAME_BYTES), "additionalProperties": value() })
}

fn fields() -> Value {
    let wanted = json!({ "minLength": 1, "maxLength": CATEGORY.len() + MAX_NAME, "pattern": WANTED_PATTERN });
    let channels = json!({ "minItems": 1, "maxItems": MAX_CHANNELS, "items": labels::channel_limits() });
    json!({
        "url": limits::url(),
        "description": limits::text(),
        "uid": limits::name(),
        "eventTypes": { "minItems": 1, "maxItems": MAX_EVENT_TYPES, "items": wanted },
        "channels": channels,
        "metadata": limits::metadata(),
        "retryPolicy": limits::retry_policy(),
        "filter": { "type": ["object", "null"] },
        "method": limits::words_or_null(&["POST", "PUT", "PATCH"]),
        "concurrency": limits::range(*CONCURRENCY.start(), *CONCURRENCY.end()),
        "ordering": ordering(),
    })
}

fn ordering() -> Value {
    let by = |words: &[&str]| json!({ "type": "string", "enum": words });
    let plain = json!({
        "type": "object", "required": ["by"], "properties": { "by": by(&["key", "all"]) }, "additionalProperties": false,
    });
    let payload = json!({
        "type": "object",
        "required": ["by", "path"],
        "properties": { "by": by(&["payload"]), "path": { "type": "string", "minLength": 1 } },
        "additionalProperties": false,
    });
    json!({ "anyOf": [plain, payload, { "type": "null" }] })
}
