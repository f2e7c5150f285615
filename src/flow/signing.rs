//! Signing: a message becomes the request that its endpoint expects. Pure: the time is an argument.

use crate::{
    model::{Facts, Message, Origin, Time, is_of_the_connection},
    outbound::OutboundRequest,
    routing::{AppRoutes, CompiledProfile, Route, Signer},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_TYPE, USER_AGENT},
};
use postrider_signature::{Refusal, Unsigned};

/// What our requests say they come from.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("Postrider/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Names of our signature begin so: a sender's own headers of such names would pass for it.
const SIGNED_PREFIX: &str = "webhook-";
/// Headers that most requests have beside the endpoint's own and the profile's: signature, type, agent.
const OWN_HEADERS: usize = 6;
/// By which a receiver is asked whether it agrees to deliveries, and by which it says so (CloudEvents, HTTP 1.1 Web Hooks).
const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
/// The header of the answer, in lower case as answers are kept.
pub const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";

/// The request of an attempt at `now`, the `number`-th of its delivery. The endpoint's own headers come first, so that they can
/// replace nothing of ours but the user agent and the content type.
///
/// # Errors
/// It cannot be signed: the endpoint has no live secret that its profile could use.
pub fn request(app: &AppRoutes, route: &Route, message: &Message, (now, number): (Time, u32)) -> Result<OutboundRequest, Refusal> {
    let profile = &*route.profile;
    let facts = Facts { message, application: &app.application, endpoint: route.id, sent: now, attempt: number };
    let body = match &profile.envelope {
        None => message.payload.clone(),
        Some(envelope) => envelope.fill(&facts, message.origin.is_some()).into(),
    };
    let mut headers = HeaderMap::with_capacity(route.headers.len() + profile.headers.len() + OWN_HEADERS);
    headers.extend(route.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    if profile.envelope.is_some() {
        headers.insert(CONTENT_TYPE, profile.content_type.clone().unwrap_or(JSON));
    }
    message.origin.iter().for_each(|origin| send_on(origin, profile, &mut headers));
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers.entry(CONTENT_TYPE).or_insert_with(|| profile.content_type.clone().unwrap_or(JSON));
    for (name, template) in &profile.headers {
        put(&mut headers, name.clone(), HeaderValue::try_from(template.fill(&facts)));
    }
    let mut request = OutboundRequest { method: route.method.clone(), headers, body };
    sign(route, message, now, &mut request)?;
    Ok(request)
}

/// The body of that request, for logs that show it again.
#[must_use]
pub fn body(app: &AppRoutes, route: &Route, message: &Message, (now, number): (Time, u32)) -> Bytes {
    let facts = Facts { message, application: &app.application, endpoint: route.id, sent: now, attempt: number };
    let envelope = route.profile.envelope.as_ref();
    envelope.map_or_else(|| message.payload.clone(), |envelope| envelope.fill(&facts, message.origin.is_some()).into())
}

/// The request by which a receiver is asked whether it agrees to deliveries, where the profile wants that.
#[must_use]
pub fn question(route: &Route) -> Option<OutboundRequest> {
    let origin = route.profile.handshake.clone()?;
    let mut headers = route.headers.clone();
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers.insert(REQUEST_ORIGIN, origin);
    Some(OutboundRequest { method: Method::OPTIONS, headers, body: Bytes::new() })
}

/// Whether an answer to [`question`] agrees, by its header [`ALLOWED_ORIGIN`].
#[must_use]
pub fn agrees(route: &Route, allowed: Option<&str>) -> bool {
    let origin = route.profile.handshake.as_ref().and_then(|origin| origin.to_str().ok());
    allowed.is_some_and(|allowed| allowed == "*" || origin.is_some_and(|origin| allowed.eq_ignore_ascii_case(origin)))
}

fn sign(route: &Route, message: &Message, now: Time, request: &mut OutboundRequest) -> Result<(), Refusal> {
    let id = message.id.to_string();
    let signer = &route.profile.signer;
    if let Signer::Standard { id: id_name, timestamp, signature } = signer {
        let signatures = postrider_signature::sign(route.keys_at(now), &id, now.seconds(), &request.body);
        put(&mut request.headers, id_name.clone(), HeaderValue::try_from(id));
        request.headers.insert(timestamp.clone(), HeaderValue::from(now.seconds()));
        put(&mut request.headers, signature.clone(), HeaderValue::try_from(signatures));
        return Ok(());
    }
    // What our request is said to be signed with must be ours, not what the endpoint's own headers say.
    for name in signer_headers(&route.profile) {
        request.headers.remove(name);
    }
    let url = route.sending.target.url();
    let headers: Vec<(&str, &[u8])> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let unsigned = Unsigned {
        method: request.method.as_str(),
        url: &url,
        headers: &headers,
        body: &request.body,
        id: &id,
        timestamp_ms: now.0,
    };
    let signed = signer.sign(route.secrets_at(now), &unsigned)?;
    for (name, value) in signed.headers {
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            value.set_sensitive(signer.sends_secret());
            request.headers.insert(name, value);
        }
    }
    if let Some(body) = signed.body {
        request.body = body.into();
    }
    Ok(())
}

/// Headers of the signature that the profile's own headers do not fill.
fn signer_headers(profile: &CompiledProfile) -> impl Iterator<Item = &HeaderName> {
    profile.signature_headers().filter(|name| !profile.headers.iter().any(|(own, _)| own == *name))
}

/// What is sent on of the request that a source received: its content type and the chosen headers, byte for byte, each as
/// often as it came. The endpoint's own headers stand, and so does what this request says of itself.
fn send_on(origin: &Origin, profile: &CompiledProfile, headers: &mut HeaderMap) {
    let content_type = origin.content_type.iter().map(|value| (CONTENT_TYPE.as_str(), value));
    let chosen = origin.headers.iter().map(|(name, value)| (name.as_str(), value));
    let mut sent_on: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(origin.headers.len() + 1);
    for (name, value) in content_type.chain(chosen) {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_maybe_shared(value.clone())) else { continue };
        if may_be_sent_on(&name, profile) && !headers.contains_key(&name) {
            sent_on.push((name, value));
        }
    }
    for (name, value) in sent_on {
        headers.append(name, value);
    }
}

/// Whether a header that a source received can say the same of our request.
fn may_be_sent_on(name: &HeaderName, profile: &CompiledProfile) -> bool {
    !is_of_the_connection(name.as_str()) && !profile.writes(name) && !name.as_str().starts_with(SIGNED_PREFIX)
}

/// Identifiers, templates of names and signatures are visible ASCII; what is not makes no header.
fn put(headers: &mut HeaderMap, name: HeaderName, value: Result<HeaderValue, http::header::InvalidHeaderValue>) {
    if let Ok(value) = value {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::SourceId,
        routing::{
            compiled_built_in,
            tests::{app, endpoint, vault},
        },
    };
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

    fn sent(profile: &str, own: &[(&'static str, &'static str)], chosen: &[(&str, &'static [u8])]) -> HeaderMap {
        let mut headers: HeaderMap =
            own.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        send_on(&origin(chosen), &compiled_built_in(profile).unwrap(), &mut headers);
        headers
    }

    #[test]
    fn every_value_of_a_header_is_sent_on_byte_for_byte() {
        let headers = sent("standard", &[], &[("x-signed", b"one"), ("x-signed", b"tw\xf6"), ("authorization", b"Basic eA==")]);
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
        let headers = sent("standard", &own, &[("x-signed", b"one"), ("webhook-id", b"forged"), ("host", b"forged"), ("te", b"x")]);
        assert_eq!(
            (headers.len(), &headers["x-signed"], &headers[CONTENT_TYPE]),
            (2, &"mine".parse().unwrap(), &"text/plain".parse().unwrap())
        );
        let headers =
            sent("svix", &[], &[("svix-signature", b"forged"), ("webhook-signature", b"forged"), ("svix-other", b"kept")]);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type", "svix-other"]);
    }

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NOW: Time = Time(1_737_815_460_000);

    fn message(payload: &'static [u8]) -> Message {
        Message {
            id: crate::model::MsgId((1_737_815_400_000 << 80) | 5),
            app: crate::model::AppId(1),
            org: crate::model::OrgId(1),
            event_type: "reward.claimed".into(),
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

    /// The second attempt of a message, to an endpoint of that profile with these secrets, the current one last.
    fn made(profile: &str, secrets: &[&str], payload: &'static [u8]) -> OutboundRequest {
        let app = app_with(profile, secrets);
        request(&app, &app.routes[0], &message(payload), (NOW, 2)).unwrap()
    }

    fn app_with(profile: &str, secrets: &[&str]) -> std::sync::Arc<AppRoutes> {
        let random = crate::random::Random::seeded(3);
        let sealed = |text: &&str| crate::model::Secret {
            sealed: vault().seal(&random, crate::routing::SECRET_PURPOSE, text.as_bytes()).unwrap(),
            created_at: Time(0),
            expires_at: None,
        };
        let secrets = secrets.iter().map(sealed).collect();
        app(&[crate::model::Endpoint { profile: Some(profile.into()), secrets, ..endpoint(9, None, None) }])
    }

    fn text(request: &OutboundRequest, name: &str) -> String {
        request.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    fn hmac_hex(key: &str, parts: &[&[u8]]) -> String {
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
        parts.iter().for_each(|part| mac.update(part));
        crate::crypto::hex(&mac.finalize().into_bytes())
    }

    #[test]
    fn alakazam_signs_the_attempt_s_time_and_the_body_with_the_whole_secret() {
        let request = made("alakazam", &["whsec_old", SECRET], b"{\"worldId\": 1}");
        let (t, body) = (NOW.seconds().to_string(), &request.body);
        let v1 = |secret| hmac_hex(secret, &[t.as_bytes(), b".", body]);
        assert_eq!(text(&request, "alakazam-signature"), format!("t={t},v1={},v1={}", v1(SECRET), v1("whsec_old")));
        assert_eq!(text(&request, "alakazam-event"), "reward.claimed");
        assert!(body.starts_with(br#"{"type":"reward.claimed","created":1737815400,"appId":"app_"#));
        assert!(body.ends_with(br#","data":{"worldId": 1}}"#));
    }

    #[test]
    fn hexadecimal_signatures_cover_the_body_that_is_sent() {
        for (profile, header) in [
            ("nudj", "x-nudj-signature"),
            ("ilara", "x-ilara-signature"),
            ("alumia", "x-webhook-signature"),
            ("github-like", "x-hub-signature-256"),
        ] {
            let request = made(profile, &["old", "the secret, as given"], b"[1]");
            assert_eq!(
                text(&request, header),
                format!("sha256={}", hmac_hex("the secret, as given", &[&request.body])),
                "{profile}"
            );
            assert_eq!(text(&request, "content-type"), "application/json");
        }
        let nudj = made("nudj", &["s"], b"[1]");
        assert_eq!(text(&nudj, "x-nudj-event"), "reward.claimed");
        assert!(text(&nudj, "x-nudj-delivery-id").starts_with("dlv_"));
        assert!(made("ilara", &["s"], b"1").body.ends_with(br#""delivery_attempt":2}}"#));
        assert_eq!(made("github-like", &["s"], b"[1]").body, "[1]");
    }

    #[test]
    fn every_live_secret_signs_under_svix_names() {
        let request = made("connect", &[SECRET, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"], b"{ }");
        assert_eq!((text(&request, "svix-signature").split(' ').count(), &*request.body), (2, b"{ }".as_slice()));
        assert_eq!(text(&request, "svix-id"), message(b"").id.to_string());
    }

    #[test]
    fn every_profile_makes_what_its_own_verifier_accepts() {
        use postrider_signature::{Request, Settings, Verifier};
        for name in crate::model::BUILT_IN_PROFILES {
            let profile = crate::model::built_in(name).unwrap();
            // Message signatures take their key as base64 without a prefix.
            let secret = if profile.scheme.is_some() { SECRET } else { SECRET.trim_start_matches("whsec_") };
            let request = made(name, &[secret], b"{\"a\":1}");
            let headers: Vec<(&str, &[u8])> = request.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
            let seen = Request { method: "POST", url: "https://example.com/hook", headers: &headers, body: &request.body };
            let row = profile.provider.as_deref().map(|name| postrider_signature::provider(name).unwrap());
            let verifier = match (&profile.scheme, row) {
                (Some(scheme), _) => Verifier::custom(scheme, &[secret], &Settings::new()),
                (None, row) => Verifier::new(row.unwrap(), &[secret], &Settings::new()),
            };
            let verified = verifier.unwrap().verify(&seen, NOW.0);
            assert!(verified.is_ok(), "{name}: {verified:?}");
        }
    }

    #[test]
    fn cloudevents_are_one_object_or_headers() {
        let structured = made("cloudevents", &["a-token"], b"[1]");
        assert_eq!(
            (text(&structured, "authorization").as_str(), text(&structured, "content-type").as_str()),
            ("Bearer a-token", "application/cloudevents+json")
        );
        assert!(structured.headers["authorization"].is_sensitive());
        let binary = made("cloudevents-binary", &["a-token"], b"[1]");
        assert_eq!(
            (text(&binary, "ce-type").as_str(), text(&binary, "ce-specversion").as_str(), &*binary.body),
            ("reward.claimed", "1.0", b"[1]".as_slice())
        );
        let app = app_with("cloudevents", &["a-token"]);
        let asked = question(&app.routes[0]).unwrap();
        assert_eq!((asked.method.as_str(), text(&asked, "webhook-request-origin").as_str()), ("OPTIONS", "postrider"));
        assert!(!asked.headers.contains_key("authorization"));
        let agrees = |allowed| agrees(&app.routes[0], allowed);
        assert!(agrees(Some("*")) && agrees(Some("Postrider")) && !agrees(Some("other.example")) && !agrees(None));
        assert!(question(&app_with("standard", &[SECRET]).routes[0]).is_none());
    }

    #[test]
    fn what_cannot_be_signed_says_why() {
        let app = app_with("ilara", &[]);
        let refused = request(&app, &app.routes[0], &message(b"1"), (NOW, 1)).unwrap_err();
        assert!(refused.to_string().contains("there is none"), "{refused}");
    }
}
