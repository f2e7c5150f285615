//! Handshakes that want something of the query back.

use super::{Reply, Shake};
use crate::Request;
use crate::special::query_value;
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

/// Bytes that are echoed. Microsoft's tokens, the longest, have some 300.
pub(super) const BYTES: usize = 1024;
/// Bytes of an origin: a DNS name has at most 253.
pub(super) const ORIGIN_BYTES: usize = 255;
/// Requests a minute that CloudEvents' senders are allowed, unless a setting says otherwise.
pub(super) const RATE: &str = "100";

/// The answer that echoes, or a refusal if there is too much or nothing to echo.
pub(super) fn reply(body: Vec<u8>) -> Result<Reply, Reply> {
    if body.is_empty() || body.len() > BYTES { Err(Reply::empty(400)) } else { Ok(Reply::text(body)) }
}

/// A field of the query, if the method is this one.
pub(super) fn query(request: &Request<'_>, method: &str, name: &str) -> Option<Vec<u8>> {
    if request.method == method { query_value(request.url, name) } else { None }
}

/// <https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests>
pub(super) fn meta(request: &Request<'_>, settings: &BTreeMap<String, String>) -> Option<Shake> {
    query(request, "GET", "hub.mode")?;
    let refuse = Some(Shake::Refuse(Reply::empty(400)));
    let stated = query_value(request.url, "hub.verify_token").unwrap_or_default();
    let Some(expected) = settings.get("verify_token").filter(|token| !token.is_empty()) else { return refuse };
    let subscribes = query_value(request.url, "hub.mode").as_deref() == Some(b"subscribe");
    if !bool::from(stated.ct_eq(expected.as_bytes())) || !subscribes {
        return refuse;
    }
    Some(reply(query_value(request.url, "hub.challenge").unwrap_or_default()).map_or_else(Shake::Refuse, Shake::Reply))
}

/// <https://www.dropbox.com/developers/reference/webhooks>
pub(super) fn dropbox(request: &Request<'_>) -> Option<Shake> {
    let challenge = query(request, "GET", "challenge")?;
    Some(reply(challenge).map_or_else(Shake::Refuse, Shake::Reply))
}

/// <https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation>
pub(super) fn msgraph(request: &Request<'_>) -> Option<Shake> {
    let token = query(request, "POST", "validationToken")?;
    Some(reply(token).map_or_else(Shake::Refuse, Shake::Reply))
}
