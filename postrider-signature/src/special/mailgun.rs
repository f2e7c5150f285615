//! Mailgun: HMAC-SHA256 over `{timestamp}{token}`, all three in the body's `signature` object.
//!
//! Rule: <https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks>. The event itself is not signed:
//! whoever saw one signature could send another event with it. The token is therefore what duplicates are recognised by, as the
//! provider asks; within the tolerance, one signature lets one event in.

use crate::special::Signed;
use crate::special::fields::{Scalar, object};
use crate::special::text::{check_instant, check_mac, hex, mac_key, to_hex};
use crate::{Refusal, Request, Verified};
use ring::{digest, hmac};
use std::collections::BTreeMap;

/// Digits of a token.
const TOKEN: usize = 50;

#[derive(serde::Deserialize)]
struct Body {
    signature: Option<Parts>,
    #[serde(rename = "event-data")]
    event: Option<Event>,
}

#[derive(serde::Deserialize)]
struct Parts {
    token: Option<String>,
    timestamp: Option<Scalar>,
    signature: Option<String>,
}

#[derive(serde::Deserialize)]
struct Event {
    event: Option<String>,
}

pub(crate) fn verify(
    request: &Request<'_>,
    secret: &str,
    settings: &BTreeMap<String, String>,
    now_ms: u64,
) -> Result<Verified, Refusal> {
    let key = mac_key(hmac::HMAC_SHA256, secret.as_bytes())?;
    let body: Body = object(request.body)?;
    let parts = body.signature.ok_or(Refusal::MissingField("signature".into()))?;
    let token = parts.token.ok_or(Refusal::MissingField("signature.token".into()))?;
    let timestamp = parts.timestamp.ok_or(Refusal::MissingField("signature.timestamp".into()))?.to_string();
    let signature = parts.signature.ok_or(Refusal::MissingField("signature.signature".into()))?;
    let signature = hex(&signature).ok_or(Refusal::Malformed("signature.signature".into(), "it is not hexadecimal"))?;
    let seconds: u64 =
        timestamp.parse().map_err(|_| Refusal::Malformed("signature.timestamp".into(), "it is not a number of seconds"))?;
    let timestamp_ms = seconds.saturating_mul(1000);
    // With a token of any length, digits could move from the one to the other: `12` + `3x` signs what `1` + `23x` does.
    if token.len() != TOKEN {
        return Err(Refusal::Malformed("signature.token".into(), "it does not have 50 digits"));
    }
    check_instant(timestamp_ms, now_ms, settings)?;
    check_mac(&key, format!("{timestamp}{token}").as_bytes(), &signature)?;
    let event_type = body.event.and_then(|event| event.event);
    Ok(Verified { secret: 0, event_id: Some(token), event_type, timestamp_ms: Some(timestamp_ms) })
}

/// Puts a signature object into the body. The token is the hash of the event's id, so that the same event has the same token.
pub(crate) fn sign(request: &Request<'_>, (id, now_ms): (&str, u64), secret: &str) -> Result<Signed, Refusal> {
    let key = mac_key(hmac::HMAC_SHA256, secret.as_bytes())?;
    let mut body: serde_json::Map<String, serde_json::Value> = object(request.body)?;
    let timestamp = (now_ms / 1000).to_string();
    let token: String = to_hex(digest::digest(&digest::SHA256, id.as_bytes()).as_ref()).chars().take(TOKEN).collect();
    let signature = to_hex(hmac::sign(&key, format!("{timestamp}{token}").as_bytes()).as_ref());
    body.insert("signature".to_owned(), serde_json::json!({ "token": token, "timestamp": timestamp, "signature": signature }));
    Ok(Signed { body: Some(serde_json::Value::Object(body).to_string().into_bytes()), ..Signed::default() })
}
