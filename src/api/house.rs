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

/// Refuses what RFC 9112, section 3.2 wants refused: an HTTP/1.1 request with no host, and any with several or with one that is none.
///
/// # Errors
/// 400.
pub(super) fn names_its_host(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(Problem::bad_request("invalid_host", "The header Host is a host, or a host and a port.")),
        (None, _) if version == Version::HTTP_11 => {
            Err(Problem::bad_request("missing_host", "An HTTP/1.1 request has the header Host."))
        }
        (None, _) => Ok(()),
        (Some(_), Some(_)) => Err(Problem::bad_request("several_hosts", "A request has one header Host.")),
    }
}

/// Whether a text has the form of `uri-host [":" port]` (RFC 9110, section 7.2), which may be empty. What it names is not looked at.
fn is_host(text: &[u8]) -> bool {
    let bracketed = text.strip_prefix(b"[");
    let mut rest = bracketed.unwrap_or(text).iter();
    let ends = |byte: &u8| if bracketed.is_some() { *byte == b']' } else { *byte == b':' };
    let mut closed = false;
    for byte in rest.by_ref() {
        if ends(byte) {
            closed = true;
            break;
        }
        let inside = bracketed.is_some() && *byte == b':';
        if !(inside || byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte)) {
            return false;
        }
    }
    // What follows a closed bracket is a colon or nothing; what follows a colon are the port's digits.
    let port = match (bracketed.is_some(), closed) {
        (true, false) => return false,
        (true, true) => match rest.next() {
            None => return true,
            Some(b':') => rest,
            Some(_) => return false,
        },
        (false, _) => rest,
    };
    port.as_slice().iter().all(u8::is_ascii_digit)
}

/// Puts on an answer that does not come from the router what all others carry.
pub(super) fn careful(mut response: Response) -> Response {
    for (name, value) in CAREFUL {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_host_and_perhaps_a_port() {
        for good in ["", "a", "a.example", "a.example:8080", "a:", "127.0.0.1:1", "[::1]", "[::1]:443", "[v1.a:b]", "a_b", "%41"] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in
            ["a b", "a/b", "a@b", "a:b", "a:1:2", "[::1", "::1", "[::1]x", "[::1]:x", "[a b]", "a?b", "a#b", "a\\b", "\u{e9}", "a]"]
        {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_host_is_named_once() {
        let headers = |hosts: &[&str]| -> HeaderMap {
            hosts.iter().map(|host| (header::HOST, HeaderValue::try_from(*host).unwrap())).collect()
        };
        for (version, hosts, code) in [
            (Version::HTTP_11, &["a"][..], None),
            (Version::HTTP_11, &[], Some("missing_host")),
            (Version::HTTP_10, &[], None),
            (Version::HTTP_2, &[], None),
            (Version::HTTP_11, &["a", "a"], Some("several_hosts")),
            (Version::HTTP_10, &["a", "b"], Some("several_hosts")),
            (Version::HTTP_11, &["a b"], Some("invalid_host")),
            (Version::HTTP_2, &["a b"], Some("invalid_host")),
        ] {
            let found = names_its_host(version, &headers(hosts)).err();
            let found = found.map(|problem| if let Problem::BadRequest(code, _) = problem { code } else { "other" });
            assert_eq!(found, code, "{version:?} {hosts:?}");
        }
    }
}
