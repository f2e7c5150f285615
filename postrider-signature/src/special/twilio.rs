//! Twilio: HMAC-SHA1 over the URL and the fields of the form, sorted by name, each value once.
//!
//! Rule: <https://www.twilio.com/docs/usage/security#validating-requests>. A body that is no form is covered by `bodySHA256` in the
//! URL's query. Some of Twilio's products write the port into the URL that they sign and some leave it out, so both are tried.

use crate::special::text::{base64, check_mac, header, hex, mac_key, to_base64, to_hex};
use crate::special::{Signed, pairs, query_value};
use crate::{Refusal, Request, Verified};
use ring::{digest, hmac};
use std::collections::BTreeSet;
use subtle::ConstantTimeEq;

const SIGNATURE: &str = "X-Twilio-Signature";
/// The same over all retries of one event.
const ID: &str = "I-Twilio-Idempotency-Token";
const BODY_HASH: &str = "bodySHA256";

pub(crate) fn verify(request: &Request<'_>, secret: &str) -> Result<Verified, Refusal> {
    let key = mac_key(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes())?;
    let signature = header(request, SIGNATURE)?;
    let signature = base64(signature.as_bytes()).ok_or(Refusal::Malformed(SIGNATURE.into(), "it is not base64"))?;
    let fields = if is_form(request) { fields(request.body)? } else { check_body_hash(request).map(|()| Vec::new())? };
    let matches = urls(request.url)
        .iter()
        .fold(false, |found, url| found | check_mac(&key, &[url.as_bytes(), &fields].concat(), &signature).is_ok());
    if !matches {
        return Err(Refusal::Mismatch);
    }
    let event_id = header(request, ID).ok().map(str::to_owned);
    Ok(Verified { event_id, ..Verified::default() })
}

pub(crate) fn sign(request: &Request<'_>, secret: &str) -> Result<Signed, Refusal> {
    let key = mac_key(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes())?;
    let mut signed = Signed::default();
    let mut fields_signed = Vec::new();
    if is_form(request) {
        fields_signed = fields(request.body)?;
    } else if !request.body.is_empty() && query_value(request.url, BODY_HASH).is_none() {
        let joint = if request.url.contains('?') { '&' } else { '?' };
        let hash = to_hex(digest::digest(&digest::SHA256, request.body).as_ref());
        signed.url = Some(format!("{}{joint}{BODY_HASH}={hash}", request.url));
    }
    let url = signed.url.as_deref().unwrap_or(request.url);
    let tag = hmac::sign(&key, &[url.as_bytes(), &fields_signed].concat());
    Ok(signed.header(SIGNATURE, to_base64(tag.as_ref())))
}

/// Without a content type, a body is a form, unless the URL says that it is covered by a hash.
fn is_form(request: &Request<'_>) -> bool {
    let Ok(kind) = header(request, "Content-Type") else { return query_value(request.url, BODY_HASH).is_none() };
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Names and values of a form, run together: sorted by name, then by value, each pair once.
fn fields(form: &[u8]) -> Result<Vec<u8>, Refusal> {
    let pairs = pairs(form).ok_or(Refusal::Malformed("the body".into(), "it has more fields than are read"))?;
    let sorted: BTreeSet<_> = pairs.into_iter().collect();
    Ok(sorted.into_iter().flat_map(|(name, value)| [name, value]).flatten().collect())
}

/// A body that is no form must have the hash that the (signed) URL names.
fn check_body_hash(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(stated) = query_value(request.url, BODY_HASH) else {
        let covered = request.body.is_empty();
        return if covered { Ok(()) } else { Err(Refusal::MissingField(BODY_HASH.into())) };
    };
    let stated = str::from_utf8(&stated).ok().and_then(hex);
    let stated = stated.ok_or(Refusal::Malformed(BODY_HASH.into(), "it is not hexadecimal"))?;
    let hash = digest::digest(&digest::SHA256, request.body);
    if bool::from(hash.as_ref().ct_eq(&stated)) { Ok(()) } else { Err(Refusal::Mismatch) }
}

/// The URL as it is, without a port, and with its scheme's default port.
fn urls(url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else { return urls };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let port = authority.rfind(':').filter(|at| authority.get(at + 1..).is_some_and(is_port));
    urls.push(match port.and_then(|at| authority.get(..at)) {
        Some(host) => format!("{scheme}://{host}{path}"),
        None => format!("{scheme}://{authority}:{}{path}", if scheme == "https" { 443 } else { 80 }),
    });
    urls
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}
