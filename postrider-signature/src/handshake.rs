//! Handshakes: the requests by which a provider asks whether an address wants its events. Pure functions: what a request is to a
//! source, and the answer; whoever receives does the rest (verify, store a secret, fetch an address).
//!
//! What is echoed is bounded in length, and goes out as `text/plain` that no browser sniffs. A provider whose handshake is signed is
//! answered only after its signature was verified, and refused as usual otherwise (Discord and Xero probe that with bad ones).

mod echo;
mod secret;

#[cfg(test)]
mod tests;

use crate::special::{header, is_sns, own_address, to_base64, to_hex};
use crate::{Refusal, Request};
use ring::hmac;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Which handshake a source speaks. The names are those of the providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HandshakeKind {
    /// `url_verification`: the challenge comes back.
    Slack,
    /// `endpoint.url_validation`: an HMAC of the token comes back.
    Zoom,
    /// `hub.challenge` comes back if `hub.verify_token` is the setting `verify_token`.
    Meta,
    /// `challenge` comes back.
    Dropbox,
    /// `validationToken` comes back.
    Msgraph,
    /// `X-Hook-Secret` is kept and comes back.
    Asana,
    /// `verification_token` is kept.
    Notion,
    /// An intent to receive: a signed request without events.
    Xero,
    /// `crc_token`: an HMAC of it comes back.
    #[serde(rename = "x-twitter", alias = "x")]
    X,
    /// PING of webhook events (204) and of interactions (PONG).
    Discord,
    /// `SubscribeURL` is fetched once the message is verified.
    #[serde(rename = "aws-sns", alias = "sns-confirmation")]
    SnsConfirmation,
    /// A HEAD request.
    Trello,
    /// OPTIONS with `WebHook-Request-Origin`. Settings `allowed_rate` (a minute, 100) and `allowed_origins` (space-separated; all).
    CloudEvents,
    /// An unsigned ping with the webhook's id.
    WooCommerce,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, in this order. Values are visible ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// The exact body.
    pub body: Vec<u8>,
}

/// What a request is to a source with a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shake {
    /// No handshake: an ordinary event, to be verified.
    NotOne,
    /// To be answered so; no event is recorded.
    Reply(Reply),
    /// To be answered so if its signature is right, else refused as usual; no event is recorded.
    ReplyIfVerified(Reply),
    /// Brings the secret with which the source verifies from now on. Only said while the source awaits one.
    SetSecret {
        /// The secret to keep.
        secret: String,
        /// The answer once it is kept.
        reply: Reply,
    },
    /// Asks that an address be fetched, once the signature is right. The address is one of the provider's own hosts.
    Confirm {
        /// The address to fetch with GET.
        url: String,
        /// The answer, which does not wait for the fetch.
        reply: Reply,
    },
    /// A handshake that is not right: to be answered so; no event is recorded.
    Refuse(Reply),
}

impl Reply {
    fn empty(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), body: Vec::new() }
    }

    fn text(body: Vec<u8>) -> Reply {
        let headers = vec![("Content-Type", "text/plain".to_owned()), ("X-Content-Type-Options", "nosniff".to_owned())];
        Reply { status: 200, headers, body }
    }

    fn json(body: String) -> Reply {
        Reply { status: 200, headers: vec![("Content-Type", "application/json".to_owned())], body: body.into_bytes() }
    }
}

/// Says what a request is to a source with this handshake.
///
/// `secrets` are the source's live secrets, the one in use first; `awaits_secret` is true while it has none and waits for the
/// provider to bring one.
#[must_use]
pub fn handshake(
    kind: HandshakeKind,
    request: &Request<'_>,
    secrets: &[&str],
    settings: &BTreeMap<String, String>,
    awaits_secret: bool,
) -> Shake {
    let shake = match kind {
        HandshakeKind::Slack => slack(request),
        HandshakeKind::Zoom => zoom(request, secrets),
        HandshakeKind::Meta => echo::meta(request, settings),
        HandshakeKind::Dropbox => echo::dropbox(request),
        HandshakeKind::Msgraph => echo::msgraph(request),
        HandshakeKind::Asana => secret::asana(request, secrets, awaits_secret),
        HandshakeKind::Notion => secret::notion(request, secrets, awaits_secret),
        HandshakeKind::Xero => xero(request),
        HandshakeKind::X => x(request, secrets),
        HandshakeKind::Discord => discord(request),
        HandshakeKind::SnsConfirmation => sns(request),
        HandshakeKind::Trello => (request.method == "HEAD").then(|| Shake::Reply(Reply::empty(200))),
        HandshakeKind::CloudEvents => cloud_events(request, settings),
        HandshakeKind::WooCommerce => woo_commerce(request),
    };
    shake.unwrap_or(Shake::NotOne)
}

/// The body as this object; nothing when it is another.
fn body<'a, T: Deserialize<'a>>(request: &Request<'a>) -> Option<T> {
    serde_json::from_slice(request.body).ok()
}

/// <https://docs.slack.dev/reference/events/url_verification/>
fn slack(request: &Request<'_>) -> Option<Shake> {
    #[derive(Deserialize)]
    struct Body {
        r#type: String,
        challenge: String,
    }
    let body = body::<Body>(request).filter(|body| body.r#type == "url_verification")?;
    Some(echo::reply(body.challenge.into_bytes()).map_or_else(Shake::Refuse, Shake::ReplyIfVerified))
}

/// <https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint>
fn zoom(request: &Request<'_>, secrets: &[&str]) -> Option<Shake> {
    #[derive(Deserialize)]
    struct Body {
        event: String,
        payload: Payload,
    }
    #[derive(Deserialize)]
    struct Payload {
        #[serde(rename = "plainToken")]
        token: String,
    }
    let body = body::<Body>(request).filter(|body| body.event == "endpoint.url_validation")?;
    let token = body.payload.token;
    let Some(secret) = secrets.first().filter(|_| token.len() <= echo::BYTES) else {
        return Some(Shake::Refuse(Reply::empty(400)));
    };
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), token.as_bytes());
    // Written by hand, since a JSON map would sort the two, and the provider shows them in this order.
    let body = format!(r#"{{"plainToken":{},"encryptedToken":"{}"}}"#, serde_json::Value::from(token), to_hex(tag.as_ref()));
    Some(Shake::ReplyIfVerified(Reply::json(body)))
}

/// <https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/#intent-to-receive>
fn xero(request: &Request<'_>) -> Option<Shake> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        events: Vec<serde::de::IgnoredAny>,
    }
    body::<Body>(request).filter(|body| body.events.is_empty()).map(|_| Shake::ReplyIfVerified(Reply::empty(200)))
}

/// <https://docs.x.com/x-api/webhooks/introduction>: whoever asks gets an HMAC by the consumer secret. What events are signed over
/// is a JSON body, so a token that looks like one is refused.
fn x(request: &Request<'_>, secrets: &[&str]) -> Option<Shake> {
    let token = echo::query(request, "GET", "crc_token")?;
    let plain = token.len() <= echo::BYTES && !token.is_empty() && !token.contains(&b'{');
    let Some(secret) = secrets.first().filter(|_| plain) else { return Some(Shake::Refuse(Reply::empty(400))) };
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &token);
    Some(Shake::Reply(Reply::json(format!(r#"{{"response_token":"sha256={}"}}"#, to_base64(tag.as_ref())))))
}

/// <https://docs.discord.com/developers/events/webhook-events> (type 0) and
/// <https://docs.discord.com/developers/interactions/overview> (type 1, and no event).
fn discord(request: &Request<'_>) -> Option<Shake> {
    #[derive(Deserialize)]
    struct Body {
        r#type: u64,
        event: Option<serde::de::IgnoredAny>,
    }
    match body::<Body>(request)? {
        Body { r#type: 0, .. } => Some(Shake::ReplyIfVerified(Reply::empty(204))),
        Body { r#type: 1, event: None } => Some(Shake::ReplyIfVerified(Reply::json(r#"{"type":1}"#.to_owned()))),
        _ => None,
    }
}

/// <https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.confirm.html>. Both confirmations carry an address that subscribes,
/// so the one for leaving is only answered.
fn sns(request: &Request<'_>) -> Option<Shake> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Body {
        r#type: String,
        #[serde(rename = "SubscribeURL")]
        subscribe_url: Option<String>,
    }
    let body = body::<Body>(request)?;
    match body.r#type.as_str() {
        "UnsubscribeConfirmation" => Some(Shake::ReplyIfVerified(Reply::empty(200))),
        "SubscriptionConfirmation" => Some(match body.subscribe_url.ok_or(Refusal::MissingField("SubscribeURL".into())) {
            Ok(url) if own_address(&url, is_sns).is_ok() => Shake::Confirm { url, reply: Reply::empty(200) },
            _ => Shake::Refuse(Reply::empty(400)),
        }),
        _ => None,
    }
}

/// <https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md>, section 4. An answer without the two headers is no
/// consent.
fn cloud_events(request: &Request<'_>, settings: &BTreeMap<String, String>) -> Option<Shake> {
    if request.method != "OPTIONS" {
        return None;
    }
    let origin = header(request, "WebHook-Request-Origin").ok()?;
    let listed = settings.get("allowed_origins");
    let allowed = listed.is_none_or(|list| list.split_ascii_whitespace().any(|one| one == "*" || one.eq_ignore_ascii_case(origin)));
    if !allowed || origin.len() > echo::ORIGIN_BYTES || !origin.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(Shake::Refuse(Reply { headers: vec![("Allow", "POST".to_owned())], ..Reply::empty(403) }));
    }
    let rate = settings.get("allowed_rate").filter(|rate| *rate == "*" || rate.parse().is_ok_and(|rate: u32| rate > 0));
    let rate = rate.map_or(echo::RATE, String::as_str);
    let headers = vec![
        ("Allow", "POST".to_owned()),
        ("WebHook-Allowed-Origin", origin.to_owned()),
        ("WebHook-Allowed-Rate", rate.to_owned()),
    ];
    Some(Shake::Reply(Reply { headers, ..Reply::empty(200) }))
}

/// `WC_Webhook::deliver_ping` of WooCommerce: a form with one field, unsigned.
fn woo_commerce(request: &Request<'_>) -> Option<Shake> {
    let id = request.body.strip_prefix(b"webhook_id=")?;
    let is_id = (1..=20).contains(&id.len()) && id.iter().all(u8::is_ascii_digit);
    (is_id && request.method == "POST").then(|| Shake::Reply(Reply::empty(200)))
}
