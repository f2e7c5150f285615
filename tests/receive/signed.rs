//! Third parties: requests signed as they sign them, at the time of the test.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use rustls::{
    SignatureScheme,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

/// A key and its certificate, made for these tests, which sign as SNS does.
const SNS_KEY: &str = include_str!("sns/key.pem");
pub(crate) const SNS_CERTIFICATE: &str = include_str!("sns/certificate.pem");

/// What the secrets of these third parties are.
pub(crate) const SECRET: &str = "a secret between two";

/// The private key of a Discord of our own.
const DISCORD: [u8; 32] = [7; 32];

/// A request as it goes out.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) method: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Signed {
    /// A POST of JSON.
    pub(crate) fn json(body: &str) -> Self {
        Signed::new("POST", body.to_owned()).header("content-type", "application/json")
    }

    /// Any request.
    pub(crate) fn new(method: &str, body: impl Into<Bytes>) -> Self {
        Signed { method: method.into(), query: String::new(), headers: Vec::new(), body: body.into() }
    }

    /// With a header more, or another of that name.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With a header taken away.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// With another body under the same signature.
    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned().into();
        self
    }
}

/// Seconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "third parties have clocks of their own")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn mac(key: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// HMAC-SHA256 of these parts under the common secret, hex.
pub(crate) fn hex_mac(key: &str, parts: &[&[u8]]) -> String {
    hex(&mac(key, parts))
}

/// As GitHub: <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>.
pub(crate) fn github(event: &str, delivery: &str, request: Signed) -> Signed {
    let signature = format!("sha256={}", hex_mac(SECRET, &[&request.body]));
    request.header("x-github-event", event).header("x-github-delivery", delivery).header("x-hub-signature-256", signature)
}

/// As Stripe: <https://docs.stripe.com/webhooks#verify-manually>.
pub(crate) fn stripe(body: &str, at: u64) -> Signed {
    let signature = hex_mac(SECRET, &[format!("{at}.{body}").as_bytes()]);
    Signed::json(body).header("stripe-signature", format!("t={at},v1={signature}"))
}

/// As Slack: <https://docs.slack.dev/authentication/verifying-requests-from-slack>.
pub(crate) fn slack(key: &str, request: Signed, at: u64) -> Signed {
    let signature = hex_mac(key, &[format!("v0:{at}:").as_bytes(), &request.body]);
    request.header("x-slack-request-timestamp", at.to_string()).header("x-slack-signature", format!("v0={signature}"))
}

/// As Zoom: <https://developers.zoom.us/docs/api/webhooks/>.
pub(crate) fn zoom(key: &str, request: Signed, at: u64) -> Signed {
    let signature = hex_mac(key, &[format!("v0:{at}:").as_bytes(), &request.body]);
    request.header("x-zm-request-timestamp", at.to_string()).header("x-zm-signature", format!("v0={signature}"))
}

/// As Discord: <https://docs.discord.com/developers/events/webhook-events>. The public key is [`discord_key`].
pub(crate) fn discord(request: Signed, at: u64) -> Signed {
    let text = [at.to_string().as_bytes(), &request.body].concat();
    let signature = hex(&SigningKey::from_bytes(&DISCORD).sign(&text).to_bytes());
    request.header("x-signature-timestamp", at.to_string()).header("x-signature-ed25519", signature)
}

/// With what [`discord`] signs is verified.
pub(crate) fn discord_key() -> String {
    hex(SigningKey::from_bytes(&DISCORD).verifying_key().as_bytes())
}

/// As Xero: <https://developer.xero.com/documentation/guides/webhooks/overview/>.
pub(crate) fn xero(body: &str) -> Signed {
    Signed::json(body).header("x-xero-signature", STANDARD.encode(mac(SECRET, &[body.as_bytes()])))
}

/// As HubSpot, version 3: <https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation>.
pub(crate) fn hubspot(url: &str, body: &str, at: u64) -> Signed {
    let at = (at * 1000).to_string();
    let signature = STANDARD.encode(mac(SECRET, &[b"POST", url.as_bytes(), body.as_bytes(), at.as_bytes()]));
    Signed::json(body).header("x-hubspot-signature-v3", signature).header("x-hubspot-request-timestamp", at)
}

/// As SNS, version 2: <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>.
pub(crate) fn sns(kind: &str, id: &str, fields: Value) -> Signed {
    let timestamp = jiff::Timestamp::from_second(i64::try_from(now()).unwrap()).unwrap();
    let mut body = json!({
        "Type": kind, "MessageId": id, "TopicArn": "arn:aws:sns:us-east-1:123456789012:topic",
        "Timestamp": format!("{timestamp:.3}"), "SignatureVersion": "2",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
    });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let names = match kind {
        "Notification" => ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"].as_slice(),
        _ => ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"].as_slice(),
    };
    let known = names.iter().filter_map(|name| Some((name, body[*name].as_str()?)));
    let text: String = known.map(|(name, value)| format!("{name}\n{value}\n")).collect();
    let key = PrivateKeyDer::from_pem_slice(SNS_KEY.as_bytes()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).unwrap();
    body["Signature"] = STANDARD.encode(signer.sign(text.as_bytes()).unwrap()).into();
    Signed::new("POST", body.to_string())
        .header("content-type", "text/plain; charset=UTF-8")
        .header("x-amz-sns-message-type", kind)
        .header("x-amz-sns-message-id", id)
}
