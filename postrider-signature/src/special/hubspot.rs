//! HubSpot's three versions: v1 and v2 are plain SHA-256 with the secret in front, v3 is an HMAC over a URL in which some escapes
//! are undone first.
//!
//! Rule: <https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests>.

use crate::special::Signed;
use crate::special::text::{base64, check_instant, check_mac, header, hex, mac_key, to_base64, to_hex, unescape};
use crate::{Refusal, Request, Verified};
use ring::{digest, hmac};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

const SIGNATURE: &str = "X-HubSpot-Signature";
const VERSION: &str = "X-HubSpot-Signature-Version";
const SIGNATURE_V3: &str = "X-HubSpot-Signature-v3";
const TIMESTAMP: &str = "X-HubSpot-Request-Timestamp";
/// Bytes whose escapes v3 undoes before it signs.
const UNESCAPED: &[u8] = b":/?@!$'()*,;";

pub(crate) fn verify_v1(request: &Request<'_>, secret: &str) -> Result<Verified, Refusal> {
    check_plain(request, "v1", &plain_v1(request, secret)?)
}

pub(crate) fn verify_v2(request: &Request<'_>, secret: &str) -> Result<Verified, Refusal> {
    check_plain(request, "v2", &plain_v2(request, secret)?)
}

pub(crate) fn verify_v3(
    request: &Request<'_>,
    secret: &str,
    settings: &BTreeMap<String, String>,
    now_ms: u64,
) -> Result<Verified, Refusal> {
    let key = mac_key(hmac::HMAC_SHA256, secret.as_bytes())?;
    let signature = header(request, SIGNATURE_V3)?;
    let signature = base64(signature.as_bytes()).ok_or(Refusal::Malformed(SIGNATURE_V3.into(), "it is not base64"))?;
    let timestamp = header(request, TIMESTAMP)?;
    let timestamp_ms = timestamp.parse().map_err(|_| Refusal::Malformed(TIMESTAMP.into(), "it is not a number of milliseconds"))?;
    check_instant(timestamp_ms, now_ms, settings)?;
    check_mac(&key, &content_v3(request, timestamp), &signature)?;
    Ok(Verified { timestamp_ms: Some(timestamp_ms), ..Verified::default() })
}

pub(crate) fn sign_v1(request: &Request<'_>, secret: &str) -> Result<Signed, Refusal> {
    Ok(Signed::default().header(SIGNATURE, plain_v1(request, secret)?).header(VERSION, "v1"))
}

pub(crate) fn sign_v2(request: &Request<'_>, secret: &str) -> Result<Signed, Refusal> {
    Ok(Signed::default().header(SIGNATURE, plain_v2(request, secret)?).header(VERSION, "v2"))
}

pub(crate) fn sign_v3(request: &Request<'_>, secret: &str, now_ms: u64) -> Result<Signed, Refusal> {
    let key = mac_key(hmac::HMAC_SHA256, secret.as_bytes())?;
    let timestamp = now_ms.to_string();
    let tag = hmac::sign(&key, &content_v3(request, &timestamp));
    Ok(Signed::default().header(SIGNATURE_V3, to_base64(tag.as_ref())).header(TIMESTAMP, timestamp))
}

fn plain_v1(request: &Request<'_>, secret: &str) -> Result<String, Refusal> {
    plain(&[secret.as_bytes(), request.body])
}

fn plain_v2(request: &Request<'_>, secret: &str) -> Result<String, Refusal> {
    plain(&[secret.as_bytes(), request.method.as_bytes(), request.url.as_bytes(), request.body])
}

/// SHA-256 over the parts, of which the first is the secret.
fn plain(parts: &[&[u8]]) -> Result<String, Refusal> {
    if parts.first().is_none_or(|secret| secret.is_empty()) {
        return Err(Refusal::BadSecret("it is empty"));
    }
    let mut hash = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| hash.update(part));
    Ok(to_hex(hash.finish().as_ref()))
}

fn check_plain(request: &Request<'_>, version: &str, expected: &str) -> Result<Verified, Refusal> {
    let signature = header(request, SIGNATURE)?;
    if let Ok(stated) = header(request, VERSION)
        && !stated.eq_ignore_ascii_case(version)
    {
        return Err(Refusal::WrongAlgorithm(stated.chars().take(40).collect::<String>().into()));
    }
    let signature = hex(signature).ok_or(Refusal::Malformed(SIGNATURE.into(), "it is not hexadecimal"))?;
    let matches = bool::from(to_hex(&signature).as_bytes().ct_eq(expected.as_bytes()));
    if matches { Ok(Verified::default()) } else { Err(Refusal::Mismatch) }
}

fn content_v3(request: &Request<'_>, timestamp: &str) -> Vec<u8> {
    let url = unescape(request.url.as_bytes(), |byte| UNESCAPED.contains(&byte));
    [request.method.as_bytes(), &url, request.body, timestamp.as_bytes()].concat()
}
