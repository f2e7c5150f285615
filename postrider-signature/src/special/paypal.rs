//! PayPal: RSA with SHA-256 over `{transmission id}|{transmission time}|{webhook id}|{CRC-32 of the body, decimal}`.
//!
//! Rule: <https://developer.paypal.com/api/rest/webhooks/rest/#link-messagesignature>. The webhook id is not in the request: it is
//! the setting `webhook_id`. The certificate is given by the receiver; the address in `PAYPAL-CERT-URL` is only checked.

use crate::special::address::{is_paypal, own_address};
use crate::special::certificate::{Algorithm, PublicKey, rsa_sha256};
use crate::special::fields::object;
use crate::special::text::{base64, check_instant, header, instant_ms, to_base64};
use crate::special::{Signed, text};
use crate::{Refusal, Request, Verified};
use std::collections::BTreeMap;

const ID: &str = "PAYPAL-TRANSMISSION-ID";
const TIME: &str = "PAYPAL-TRANSMISSION-TIME";
const SIGNATURE: &str = "PAYPAL-TRANSMISSION-SIG";
const CERTIFICATE: &str = "PAYPAL-CERT-URL";
const ALGORITHM: &str = "PAYPAL-AUTH-ALGO";
const RSA_SHA256: &str = "SHA256withRSA";
/// The setting with the webhook's id.
const WEBHOOK_ID: &str = "webhook_id";
/// The certificate address that a signed test request carries.
const OWN_CERTIFICATE: &str = "https://api.paypal.com/v1/notifications/certs/CERT-test";
/// The polynomial of CRC-32 (ISO 3309), reflected.
const POLYNOMIAL: u32 = 0xedb8_8320;

#[derive(serde::Deserialize)]
struct Event {
    id: Option<String>,
    event_type: Option<String>,
}

pub(crate) fn verify(
    request: &Request<'_>,
    secret: &str,
    settings: &BTreeMap<String, String>,
    now_ms: u64,
) -> Result<Verified, Refusal> {
    let webhook_id = settings.get(WEBHOOK_ID).ok_or(Refusal::MissingSetting(WEBHOOK_ID))?;
    let (id, time, signature) = (header(request, ID)?, header(request, TIME)?, header(request, SIGNATURE)?);
    let algorithm = header(request, ALGORITHM)?;
    if !algorithm.eq_ignore_ascii_case(RSA_SHA256) {
        return Err(Refusal::WrongAlgorithm(algorithm.chars().take(40).collect::<String>().into()));
    }
    own_address(header(request, CERTIFICATE)?, is_paypal)?;
    let timestamp_ms = instant_ms(time).ok_or(Refusal::Malformed(TIME.into(), "it is not an RFC 3339 time"))?;
    let signature = base64(signature.as_bytes()).ok_or(Refusal::Malformed(SIGNATURE.into(), "it is not base64"))?;
    let key = PublicKey::parse(secret)?;
    check_instant(timestamp_ms, now_ms, settings)?;
    key.verify(Algorithm::RsaSha256, content(id, time, webhook_id, request.body).as_bytes(), &signature)?;
    let event: Event = object(request.body)?;
    Ok(Verified { secret: 0, event_id: event.id, event_type: event.event_type, timestamp_ms: Some(timestamp_ms) })
}

pub(crate) fn sign(
    request: &Request<'_>,
    (id, now_ms): (&str, u64),
    secret: &str,
    settings: &BTreeMap<String, String>,
) -> Result<Signed, Refusal> {
    let webhook_id = settings.get(WEBHOOK_ID).ok_or(Refusal::MissingSetting(WEBHOOK_ID))?;
    let time = text::rfc3339(now_ms);
    let signature = rsa_sha256(secret, content(id, &time, webhook_id, request.body).as_bytes())?;
    let signed = Signed::default().header(ID, id).header(TIME, time).header(SIGNATURE, to_base64(&signature));
    Ok(signed.header(CERTIFICATE, OWN_CERTIFICATE).header(ALGORITHM, RSA_SHA256))
}

fn content(id: &str, time: &str, webhook_id: &str, body: &[u8]) -> String {
    format!("{id}|{time}|{webhook_id}|{}", crc32(body))
}

/// CRC-32 as in ISO 3309, bit by bit: a body is some kilobytes, and RSA takes longer.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
