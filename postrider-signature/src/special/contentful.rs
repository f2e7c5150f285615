//! Contentful: HMAC-SHA256 over method, path, the headers that the request names, and body, joined by newlines.
//!
//! Rule: <https://www.contentful.com/developers/docs/webhooks/request-verification/>. The sender's own library escapes the query
//! (and then its escapes once more); other senders sign the path as it is. Both are tried: neither lets another request through.

use crate::special::Signed;
use crate::special::text::{check_instant, check_mac, escape, header, hex, mac_key, to_hex};
use crate::{Refusal, Request, Verified};
use ring::hmac;
use std::collections::{BTreeMap, BTreeSet};

const SIGNATURE: &str = "x-contentful-signature";
const SIGNED: &str = "x-contentful-signed-headers";
const TIMESTAMP: &str = "x-contentful-timestamp";
/// Headers that may be named.
const NAMES: usize = 64;

pub(crate) fn verify(
    request: &Request<'_>,
    secret: &str,
    settings: &BTreeMap<String, String>,
    now_ms: u64,
) -> Result<Verified, Refusal> {
    let key = mac_key(hmac::HMAC_SHA256, secret.as_bytes())?;
    let signature = header(request, SIGNATURE)?;
    let signature = hex(signature).ok_or(Refusal::Malformed(SIGNATURE.into(), "it is not hexadecimal"))?;
    let timestamp_ms = header(request, TIMESTAMP)?.parse();
    let timestamp_ms = timestamp_ms.map_err(|_| Refusal::Malformed(TIMESTAMP.into(), "it is not a number of milliseconds"))?;
    let names: BTreeSet<String> = header(request, SIGNED)?.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    if names.len() > NAMES {
        return Err(Refusal::Malformed(SIGNED.into(), "it names more headers than are read"));
    }
    // What is judged must be signed: the age is worth nothing if the timestamp is not.
    if !names.contains(TIMESTAMP) || !names.contains(SIGNED) {
        return Err(Refusal::Malformed(SIGNED.into(), "it must name itself and x-contentful-timestamp"));
    }
    check_instant(timestamp_ms, now_ms, settings)?;
    let headers = canonical_headers(request, &names)?;
    let matches = paths(request.url)
        .iter()
        .fold(false, |found, path| found | check_mac(&key, &content(request, path, &headers), &signature).is_ok());
    if !matches {
        return Err(Refusal::Mismatch);
    }
    let signed = |name: &'static str| names.contains(name).then(|| header(request, name).ok().map(str::to_owned)).flatten();
    Ok(Verified {
        secret: 0,
        event_id: signed("x-contentful-idempotency-key"),
        event_type: signed("x-contentful-topic"),
        timestamp_ms: Some(timestamp_ms),
    })
}

pub(crate) fn sign(request: &Request<'_>, secret: &str, now_ms: u64) -> Result<Signed, Refusal> {
    let key = mac_key(hmac::HMAC_SHA256, secret.as_bytes())?;
    let own = |name: &str| name.starts_with("x-contentful-") || name == "content-type";
    let given = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).filter(|name| own(name) && name != SIGNATURE);
    let names: BTreeSet<String> = given.chain([SIGNED.to_owned(), TIMESTAMP.to_owned()]).collect();
    let listed = names.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    let timestamp = now_ms.to_string();
    let mut headers: Vec<(&str, &[u8])> = vec![(SIGNED, listed.as_bytes()), (TIMESTAMP, timestamp.as_bytes())];
    headers
        .extend(request.headers.iter().filter(|(name, _)| ![SIGNED, TIMESTAMP].iter().any(|own| own.eq_ignore_ascii_case(name))));
    let canonical = canonical_headers(&Request { headers: &headers, ..*request }, &names)?;
    let path = paths(request.url).into_iter().next().unwrap_or_default();
    let tag = hmac::sign(&key, &content(request, &path, &canonical));
    let signed = Signed::default().header(SIGNATURE, to_hex(tag.as_ref())).header(SIGNED, listed.clone());
    Ok(signed.header(TIMESTAMP, timestamp.clone()))
}

/// `name:value` in the order of the names, joined by `;`.
fn canonical_headers(request: &Request<'_>, names: &BTreeSet<String>) -> Result<Vec<u8>, Refusal> {
    let mut lines = Vec::with_capacity(names.len());
    for name in names {
        let values: Vec<_> =
            request.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim_ascii()).collect();
        if values.is_empty() {
            return Err(Refusal::MissingHeader(name.chars().take(100).collect::<String>().into()));
        }
        lines.push([name.as_bytes(), b":", &values.join(&b", "[..])].concat());
    }
    Ok(lines.join(&b';'))
}

fn content(request: &Request<'_>, path: &str, headers: &[u8]) -> Vec<u8> {
    [request.method.as_bytes(), path.as_bytes(), headers, request.body].join(&b'\n')
}

/// The path and query as the sender's library writes them, and as they are.
fn paths(url: &str) -> [String; 2] {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let target = rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or("/");
    let target = if target.starts_with('?') { format!("/{target}") } else { target.to_owned() };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut library = escape(path.as_bytes(), is_uri_byte);
    if !query.is_empty() {
        let query = escape(query.as_bytes(), is_component_byte);
        library.push('?');
        library.push_str(&escape(query.as_bytes(), is_uri_byte));
    }
    [library, target.clone()]
}

/// Bytes that JavaScript's `encodeURIComponent` leaves as they are.
fn is_component_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}

/// Bytes that JavaScript's `encodeURI` leaves as they are.
fn is_uri_byte(byte: u8) -> bool {
    is_component_byte(byte) || b";/?:@&=+$,#".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_in_both_ways() {
        assert_eq!(paths("https://example.com/api/1"), ["/api/1", "/api/1"]);
        assert_eq!(paths("https://example.com"), ["/", "/"]);
        assert_eq!(paths("https://example.com/a%20b?x=1&y=é"), ["/a%2520b?x%253D1%2526y%253D%25C3%25A9", "/a%20b?x=1&y=é"]);
    }
}
