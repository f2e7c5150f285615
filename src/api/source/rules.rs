//! Limits of a source's fields. Each fault names the field and the rule. Pure.

use super::shape::SourceResponse;
use crate::{
    api::rules::{Check, is_field_value},
    inbound::Rules,
    model::{Closed, Source},
    outbound::Cidr,
};
use http::HeaderName;
use postrider_signature::TOLERANCE;
use serde_json::Value;
use std::collections::BTreeMap;

/// Seconds by which a signed instant may differ from ours: a longer time would let a caught request be sent again.
const TOLERANCE_S: std::ops::RangeInclusive<u32> = 1..=86_400;
/// Methods that may carry events. HEAD and OPTIONS are left to handshakes.
pub(super) const METHODS: [&str; 5] = ["POST", "PUT", "PATCH", "GET", "DELETE"];
/// The smallest limit on a body, in bytes.
pub(super) const MIN_BODY: u32 = 1024;
/// The largest limit on a body, in bytes: 5 MiB.
pub(super) const MAX_BODY: u32 = 5 * 1024 * 1024;
/// Ranges of addresses at most.
pub(super) const MAX_CIDRS: usize = 100;
/// The longest window in which duplicates are recognised, in seconds: 30 days.
pub(super) const MAX_WINDOW_S: u32 = 30 * 86_400;
/// The longest prefix of event types, in characters.
pub(super) const MAX_PREFIX: usize = 64;
/// Headers that are sent on, at most.
pub(super) const MAX_FORWARDED: usize = 50;
/// Headers of a source's answer at most.
pub(super) const MAX_ANSWER_HEADERS: usize = 20;
/// The longest value of a header of a source's answer, in bytes.
pub(super) const MAX_ANSWER_VALUE: usize = 1024;
/// The longest body of a source's answer, in bytes.
pub(super) const MAX_ANSWER_BODY: usize = 8 * 1024;
/// Event types of an allow-list at most.
pub(super) const MAX_LISTED: usize = 1000;
/// The longest event type of an allow-list, in characters.
pub(super) const MAX_LISTED_TYPE: usize = 256;
/// Live secrets, and live URLs, at most.
pub(super) const MAX_LIVE: usize = 10;
/// The longest secret, in bytes: a chain of certificates fits.
pub(super) const MAX_SECRET: usize = 16 * 1024;
/// Settings at most.
pub(super) const MAX_SETTINGS: usize = 20;
/// The longest name of a setting, in characters.
pub(super) const MAX_SETTING_NAME: usize = 64;
/// The longest value of a setting, in bytes: a certificate fits.
pub(super) const MAX_SETTING_VALUE: usize = 16 * 1024;
/// The longest scheme of the owner's, in bytes of compact JSON.
const MAX_SCHEME: usize = 16 * 1024;

/// What browsers take as said by the whole server, whose pages are on the same origin as its sources.
const OF_THE_ORIGIN: [&str; 11] = [
    "alt-svc",
    "clear-site-data",
    "content-security-policy",
    "nel",
    "origin-agent-cluster",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "set-cookie",
    "strict-transport-security",
    "x-content-type-options",
];
/// Meaningful to one connection only (RFC 9110, section 7.6.1), or set anew for every delivery and answer.
const CONNECTION: [&str; 15] = [
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Set by Postrider for every delivery, beside those of [`CONNECTION`].
const DELIVERY: [&str; 3] = ["accept-encoding", "content-type", "user-agent"];
/// Headers under these prefixes carry Postrider's own signature.
const SIGNATURE_PREFIXES: [&str; 2] = ["webhook-", "svix-"];

pub(super) fn methods(check: &mut Check, methods: &[String]) {
    let at = ["body", "methods"];
    check.rule(!methods.is_empty(), &at, "length", "It has at least one entry.");
    check.rule(methods.iter().all(|m| METHODS.contains(&m.as_str())), &at, "enum", format!("Methods are {}.", METHODS.join(", ")));
    unique(check, &at, methods);
}

pub(super) fn max_body(check: &mut Check, bytes: u32) {
    let rule = format!("It is from {MIN_BODY} to {MAX_BODY} bytes.");
    check.rule((MIN_BODY..=MAX_BODY).contains(&bytes), &["body", "maxBody"], "range", rule);
}

/// What `status` says of a source: `None` is open.
pub(super) fn closed(check: &mut Check, status: Option<&str>) -> Option<Closed> {
    match status {
        None | Some("active") => None,
        Some("paused") => Some(Closed::Paused),
        Some("disabled") => Some(Closed::Disabled),
        Some(_) => {
            check.rule(false, &["body", "status"], "unknown", "It is `active`, `paused` or `disabled`.");
            None
        }
    }
}

/// Event types that are routed.
pub(super) fn listed(check: &mut Check, events: &[String]) {
    let fits = events.len() <= MAX_LISTED && events.iter().all(|event| event.trim().chars().count() <= MAX_LISTED_TYPE);
    let rule = || format!("At most {MAX_LISTED} of at most {MAX_LISTED_TYPE} characters.");
    check.rule(fits, &["body", "events"], "length", rule());
}

pub(super) fn cidrs(check: &mut Check, cidrs: &[String]) {
    let at = ["body", "allowCidrs"];
    check.rule(cidrs.len() <= MAX_CIDRS, &at, "length", format!("It has at most {MAX_CIDRS} entries."));
    for (place, text) in cidrs.iter().take(MAX_CIDRS).enumerate() {
        if let Err(error) = text.parse::<Cidr>() {
            check.rule(false, &["body", "allowCidrs", &place.to_string()], "cidr", error.to_string());
        }
    }
}

pub(super) fn window(check: &mut Check, seconds: u32) {
    check.rule(seconds <= MAX_WINDOW_S, &["body", "dedupWindow"], "range", format!("It is from 0 to {MAX_WINDOW_S} seconds."));
}

pub(super) fn prefix(check: &mut Check, prefix: &str) {
    let at = ["body", "eventTypePrefix"];
    check.rule(prefix.len() <= MAX_PREFIX, &at, "length", format!("It has at most {MAX_PREFIX} characters."));
    check.name(&at, prefix);
    let ends = prefix.starts_with('.') || prefix.ends_with('.');
    check.rule(!ends, &at, "pattern", "It neither begins nor ends with a dot: one is put behind it.");
}

pub(super) fn forwarded(check: &mut Check, names: &[String]) {
    let at = ["body", "forwardHeaders"];
    check.rule(names.len() <= MAX_FORWARDED, &at, "length", format!("It has at most {MAX_FORWARDED} entries."));
    for (place, name) in names.iter().take(MAX_FORWARDED).enumerate() {
        let place = place.to_string();
        let at = ["body", "forwardHeaders", place.as_str()];
        let known = HeaderName::try_from(name.as_str());
        check.rule(known.is_ok(), &at, "pattern", "It is not a header name (RFC 9110, section 5.1).");
        let name = name.to_ascii_lowercase();
        let ours = CONNECTION.contains(&name.as_str()) || DELIVERY.contains(&name.as_str());
        let signs = SIGNATURE_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let rule = "This header is set by Postrider, or belongs to the connection, and cannot be sent on.";
        check.rule(!ours && !signs, &at, "reserved", rule);
    }
    unique(check, &at, &names.iter().map(|name| name.to_ascii_lowercase()).collect::<Vec<_>>());
}

pub(super) fn response(check: &mut Check, response: &SourceResponse) {
    let status = response.status;
    check.rule((200..=299).contains(&status), &["body", "response", "status"], "range", "It is from 200 to 299.");
    let at = ["body", "response", "body"];
    check.rule(response.body.len() <= MAX_ANSWER_BODY, &at, "length", format!("It has at most {MAX_ANSWER_BODY} bytes."));
    let empty = response.body.is_empty() || !matches!(status, 204 | 205);
    check.rule(empty, &at, "range", "An answer with the status 204 or 205 has no body (RFC 9110, section 15.3).");
    let at = ["body", "response", "headers"];
    let rule = format!("It has at most {MAX_ANSWER_HEADERS} entries.");
    check.rule(response.headers.len() <= MAX_ANSWER_HEADERS, &at, "length", rule);
    for (name, value) in response.headers.iter().take(MAX_ANSWER_HEADERS) {
        let at = ["body", "response", "headers", name.as_str()];
        check.rule(HeaderName::try_from(name.as_str()).is_ok(), &at, "pattern", "It is not a header name (RFC 9110, section 5.1).");
        let ours = CONNECTION.contains(&name.to_ascii_lowercase().as_str());
        check.rule(!ours, &at, "reserved", "This header belongs to the connection.");
        let ours = OF_THE_ORIGIN.contains(&name.to_ascii_lowercase().as_str());
        check.rule(!ours, &at, "reserved", "This header would hold for all of this server's pages.");
        check.rule(value.len() <= MAX_ANSWER_VALUE, &at, "length", format!("It has at most {MAX_ANSWER_VALUE} bytes."));
        check.rule(is_field_value(value), &at, "pattern", "It is visible ASCII, blanks and tabs (RFC 9110, section 5.5).");
    }
    let names: Vec<String> = response.headers.keys().map(|name| name.to_ascii_lowercase()).collect();
    unique(check, &at, &names);
}

pub(super) fn secrets(check: &mut Check, field: &str, secrets: &[String]) {
    let at = ["body", field];
    check.rule(secrets.len() <= MAX_LIVE, &at, "length", format!("It has at most {MAX_LIVE} entries."));
    let fits = |secret: &String| (1..=MAX_SECRET).contains(&secret.len());
    check.rule(secrets.iter().all(fits), &at, "length", format!("A secret has 1 to {MAX_SECRET} bytes."));
    unique(check, &at, secrets);
}

pub(super) fn settings(check: &mut Check, settings: &BTreeMap<String, String>) {
    let at = ["body", "settings"];
    check.rule(settings.len() <= MAX_SETTINGS, &at, "length", format!("It has at most {MAX_SETTINGS} entries."));
    for (name, value) in settings.iter().take(MAX_SETTINGS) {
        let at = ["body", "settings", name.as_str()];
        let good = (1..=MAX_SETTING_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let rule = format!("A setting's name has 1 to {MAX_SETTING_NAME} small letters, digits and `_`.");
        check.rule(good, &at, "pattern", rule);
        let rule = format!("A setting's value has 1 to {MAX_SETTING_VALUE} bytes.");
        check.rule((1..=MAX_SETTING_VALUE).contains(&value.len()), &at, "length", rule);
        let tolerable = name != TOLERANCE || value.parse().is_ok_and(|seconds| TOLERANCE_S.contains(&seconds));
        check.rule(tolerable, &at, "range", "A tolerance is 1 to 86400 seconds.");
    }
}

/// What a source's scheme has use for: a setting or a switch that it does not know would change nothing, and be a mistake.
pub(super) fn fits(check: &mut Check, rules: &Rules, source: &Source) {
    let Rules::Provider(provider) = rules else {
        let rule = "A scheme of your own knows no batches.";
        return check.rule(!source.split, &["body", "split"], "unsupported", rule);
    };
    let rule = || format!("{} sends no batches.", provider.title);
    check.rule(!source.split || provider.batch.is_some(), &["body", "split"], "unsupported", rule());
    let known: Vec<&str> = provider.settings.iter().map(|setting| setting.name.as_str()).chain([TOLERANCE]).collect();
    for name in source.settings.keys() {
        let rule = || format!("{} has no such setting; there are: {}.", provider.title, known.join(", "));
        check.rule(known.contains(&name.as_str()), &["body", "settings", name], "unknown", rule());
    }
}

/// The scheme as the text that is kept.
pub(super) fn scheme(check: &mut Check, scheme: &Value) -> String {
    let (at, text) = (["body", "scheme"], scheme.to_string());
    check.rule(scheme.is_object(), &at, "type_error", "A scheme is an object.");
    check.rule(text.len() <= MAX_SCHEME, &at, "length", format!("It has at most {MAX_SCHEME} bytes."));
    text
}

fn unique(check: &mut Check, loc: &[&str], list: &[String]) {
    let unique: std::collections::HashSet<_> = list.iter().collect();
    check.rule(unique.len() == list.len(), loc, "unique", "No entry may be repeated.");
}
