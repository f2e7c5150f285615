//! Signing: a message becomes the request that its endpoint expects. Pure: the time is an argument.

use crate::{
    model::{Message, Origin, Time},
    outbound::OutboundRequest,
    routing::{AppRoutes, Route},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_TYPE, USER_AGENT},
};

/// What our requests say they come from.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("Postrider/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Headers that we add to an endpoint's own.
const OWN_HEADERS: usize = 5;

/// The request of an attempt at `now`. The endpoint's own headers come first, so that they can replace nothing of ours but
/// the user agent and the content type.
#[must_use]
pub fn request(app: &AppRoutes, route: &Route, message: &Message, now: Time) -> OutboundRequest {
    let profile = app.application.profile.profile();
    let id = message.id.to_string();
    let signatures = postrider_signature::sign(route.keys_at(now), &id, now.seconds(), &message.payload);
    let mut headers = HeaderMap::with_capacity(route.headers.len() + OWN_HEADERS);
    headers.extend(route.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    message.origin.iter().for_each(|origin| send_on(origin, &mut headers));
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers.entry(CONTENT_TYPE).or_insert(JSON);
    put(&mut headers, profile.id_header, HeaderValue::try_from(id));
    headers.insert(HeaderName::from_static(profile.timestamp_header), HeaderValue::from(now.seconds()));
    put(&mut headers, profile.signature_header, HeaderValue::try_from(signatures));
    OutboundRequest { method: Method::POST, headers, body: message.payload.clone() }
}

/// What is sent on of the request that a source received: its content type and the chosen headers, byte for byte. The
/// endpoint's own headers stand.
fn send_on(origin: &Origin, headers: &mut HeaderMap) {
    let content_type = origin.content_type.iter().map(|value| (CONTENT_TYPE.as_str(), value));
    let chosen = origin.headers.iter().map(|(name, value)| (name.as_str(), value));
    for (name, value) in content_type.chain(chosen) {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_maybe_shared(value.clone())) else { continue };
        headers.entry(name).or_insert(value);
    }
}

/// Identifiers and signatures are visible ASCII, so that they always make header values.
fn put(headers: &mut HeaderMap, name: &'static str, value: Result<HeaderValue, http::header::InvalidHeaderValue>) {
    if let Ok(value) = value {
        headers.insert(HeaderName::from_static(name), value);
    }
}
