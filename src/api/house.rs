//! What holds for every request and every answer, whichever surface it is of: HTTP/1.1 requests name their host, changes are
//! known to be their sender's, and browsers are told to be careful with what they get.

use super::{Problem, Shared, base::peer_of};
use crate::flow::Actor;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Version, header},
    middleware::Next,
    response::Response,
};

/// On every answer.
const CAREFUL: [(HeaderName, HeaderValue); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];
/// On pages beside them, unless the page has a stricter one.
const PAGE: [(HeaderName, HeaderValue); 2] = [
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'self'"),
    ),
];

/// Refuses what RFC 9112, section 3.2 wants refused: an HTTP/1.1 request with no host, or with several.
///
/// # Errors
/// 400.
pub(super) fn names_its_host(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    if version != Version::HTTP_11 {
        return Ok(());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), None) => Ok(()),
        (None, _) => Err(Problem::bad_request("missing_host", "An HTTP/1.1 request has the header Host.")),
        (Some(_), Some(_)) => Err(Problem::bad_request("several_hosts", "A request has one header Host.")),
    }
}

/// Whether a policy names origins that may put its page into a frame.
fn names_ancestors(policy: &[u8]) -> bool {
    let text = std::str::from_utf8(policy).unwrap_or_default();
    text.split(';').any(|rule| rule.trim().strip_prefix("frame-ancestors ").is_some_and(|who| who.trim() != "'none'"))
}

/// Answers a request so that its changes are known to be its sender's, and with the headers that browsers heed.
pub(super) async fn rules(State(api): State<Shared>, request: Request, next: Next) -> Response {
    let from = peer_of(request.extensions()).and_then(|peer| api.options.trusted_proxies.client(peer, request.headers()));
    let mut response = Actor::at(from).answering(next.run(request)).await;
    let headers = response.headers_mut();
    let is_page = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    // The older of the two knows no origins: where the newer names some, or nobody, it is enough.
    let named = headers.get(header::CONTENT_SECURITY_POLICY).is_some_and(|policy| names_ancestors(policy.as_bytes()));
    let page = PAGE.into_iter().filter(|(name, _)| !(named && name == header::X_FRAME_OPTIONS));
    for (name, value) in CAREFUL.into_iter().chain(is_page.then_some(page).into_iter().flatten()) {
        headers.entry(name).or_insert(value);
    }
    response
}
