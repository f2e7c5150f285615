//! Signing: a message becomes the request that its endpoint expects. Pure: the time is an argument.

use crate::{
    model::{Message, Origin, Profile, Time},
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
/// Headers that concern one connection, one hop or one body's framing (RFC 9110, sections 6.4 to 7.8): they say nothing of
/// the next one.
const OF_THE_CONNECTION: [&str; 13] = [
    "connection",
    "content-length",
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
/// Names of our signature begin so: a sender's own headers of such names would pass for it.
const SIGNED_PREFIX: &str = "webhook-";
/// Headers that we, or the client, add to an endpoint's own.
const OWN_HEADERS: usize = 8;

/// The request of an attempt at `now`. The endpoint's own headers come first, so that they can replace nothing of ours but
/// the user agent and the content type.
#[must_use]
pub fn request(app: &AppRoutes, route: &Route, message: &Message, now: Time) -> OutboundRequest {
    let profile = app.application.profile.profile();
    let id = message.id.to_string();
    let signatures = postrider_signature::sign(route.keys_at(now), &id, now.seconds(), &message.payload);
    let mut headers = HeaderMap::with_capacity(route.headers.len() + OWN_HEADERS);
    headers.extend(route.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    message.origin.iter().for_each(|origin| send_on(origin, &profile, &mut headers));
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers.entry(CONTENT_TYPE).or_insert(JSON);
    put(&mut headers, profile.id_header, HeaderValue::try_from(id));
    headers.insert(HeaderName::from_static(profile.timestamp_header), HeaderValue::from(now.seconds()));
    put(&mut headers, profile.signature_header, HeaderValue::try_from(signatures));
    OutboundRequest { method: Method::POST, headers, body: message.payload.clone() }
}

/// What is sent on of the request that a source received: its content type and the chosen headers, byte for byte, each as
/// often as it came. The endpoint's own headers stand, and so does what this request says of itself.
fn send_on(origin: &Origin, profile: &Profile, headers: &mut HeaderMap) {
    let content_type = origin.content_type.iter().map(|value| (CONTENT_TYPE.as_str(), value));
    let chosen = origin.headers.iter().map(|(name, value)| (name.as_str(), value));
    let mut sent_on: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(origin.headers.len() + 1);
    for (name, value) in content_type.chain(chosen) {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_maybe_shared(value.clone())) else { continue };
        if may_be_sent_on(name.as_str(), profile) && !headers.contains_key(&name) {
            sent_on.push((name, value));
        }
    }
    for (name, value) in sent_on {
        headers.append(name, value);
    }
}

/// Whether a header that a source received can say the same of our request.
fn may_be_sent_on(name: &str, profile: &Profile) -> bool {
    let ours = [profile.id_header, profile.timestamp_header, profile.signature_header];
    !OF_THE_CONNECTION.contains(&name) && !ours.contains(&name) && !name.starts_with(SIGNED_PREFIX)
}

/// Identifiers and signatures are visible ASCII, so that they always make header values.
fn put(headers: &mut HeaderMap, name: &'static str, value: Result<HeaderValue, http::header::InvalidHeaderValue>) {
    if let Ok(value) = value {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProfileName, SourceId};
    use bytes::Bytes;

    fn origin(headers: &[(&str, &'static [u8])]) -> Origin {
        Origin {
            source: SourceId(1),
            event_id: None,
            method: "POST".into(),
            query: String::new(),
            content_type: Some(Bytes::from_static(b"text/xml; charset=latin-1")),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), Bytes::from_static(value))).collect(),
            replays: None,
        }
    }

    fn sent(profile: ProfileName, own: &[(&'static str, &'static str)], chosen: &[(&str, &'static [u8])]) -> HeaderMap {
        let mut headers: HeaderMap =
            own.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        send_on(&origin(chosen), &profile.profile(), &mut headers);
        headers
    }

    #[test]
    fn every_value_of_a_header_is_sent_on_byte_for_byte() {
        let headers =
            sent(ProfileName::Standard, &[], &[("x-signed", b"one"), ("x-signed", b"tw\xf6"), ("authorization", b"Basic eA==")]);
        let values: Vec<&[u8]> = headers.get_all("x-signed").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [b"one".as_slice(), b"tw\xf6"]);
        assert_eq!(
            (&headers[CONTENT_TYPE], &headers["authorization"]),
            (&"text/xml; charset=latin-1".parse().unwrap(), &"Basic eA==".parse().unwrap())
        );
    }

    #[test]
    fn the_endpoint_s_headers_and_ours_stand() {
        let own = [("x-signed", "mine"), ("content-type", "text/plain")];
        let headers = sent(
            ProfileName::Standard,
            &own,
            &[("x-signed", b"one"), ("webhook-id", b"forged"), ("host", b"forged"), ("te", b"x")],
        );
        assert_eq!(
            (headers.len(), &headers["x-signed"], &headers[CONTENT_TYPE]),
            (2, &"mine".parse().unwrap(), &"text/plain".parse().unwrap())
        );
        let headers = sent(
            ProfileName::Svix,
            &[],
            &[("svix-signature", b"forged"), ("webhook-signature", b"forged"), ("svix-other", b"kept")],
        );
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type", "svix-other"]);
    }
}
