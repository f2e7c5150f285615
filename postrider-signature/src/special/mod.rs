//! The few providers whose rule the grammar cannot say: what is signed is computed from the body or the URL, or named by the request.
//!
//! Every function here holds to the same: the algorithm is the provider's or is pinned by a setting, never the request's choice;
//! comparison is constant-time; work is bounded by constants; any input is answered, none panics.

mod address;
mod adyen;
pub(crate) mod certificate;
mod contentful;
pub(crate) mod fields;
pub(crate) mod form;
mod hubspot;
mod mailgun;
mod message_signature;
mod paypal;
mod sns;
mod structured;
pub(crate) mod text;
mod twilio;

#[cfg(test)]
mod tests;

pub(crate) use address::{is_sns, own_address};
pub(crate) use form::{pairs, query_value};
pub(crate) use text::{header, to_base64, to_hex};

use crate::{Refusal, Request, Verified};
use std::collections::BTreeMap;

/// A provider with a rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Special {
    /// RSA over id, time, webhook id (setting `webhook_id`) and CRC-32 of the body. Secret: PEM of the certificate or public key.
    Paypal,
    /// RSA over fields of the body. Secret: PEM of the signing certificate. Setting `topic_arn` pins the topic.
    AwsSns,
    /// HTTP Message Signatures. Secret: base64 of an HMAC key, or PEM. Settings `alg`, `keyid`, `label`, `required`.
    Rfc9421,
    /// HMAC-SHA1 over the URL and the sorted fields of a form.
    Twilio,
    /// HMAC-SHA256 over a canonical request with the headers that the request names.
    Contentful,
    /// HMAC-SHA256 over eight fields of each item of the body. Secret: hexadecimal.
    Adyen,
    /// HMAC-SHA256 over a timestamp and a token in the body.
    Mailgun,
    /// SHA-256 of secret and body.
    HubspotV1,
    /// SHA-256 of secret, method, URL and body.
    HubspotV2,
    /// HMAC-SHA256 over method, URL with some escapes undone, body and timestamp.
    HubspotV3,
}

/// What signing makes of a request: what a sender adds to it or replaces in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Headers to add; they replace those of the same name.
    pub headers: Vec<(String, String)>,
    /// The body instead of the one given, where the signature is in the body.
    pub body: Option<Vec<u8>>,
    /// The URL instead of the one given, where the signature needs something in the URL.
    pub url: Option<String>,
}

impl Signed {
    fn header(mut self, name: &str, value: impl Into<String>) -> Signed {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl Special {
    /// Judges a request with one secret. `now_ms` is in milliseconds since the epoch.
    ///
    /// The setting `tolerance_s` (seconds, 300 if it is absent) bounds the age of a signed instant, where the provider signs one.
    ///
    /// # Errors
    /// The one reason why the request is not genuine, or why it cannot be judged.
    pub fn verify(
        self,
        request: &Request<'_>,
        secret: &str,
        settings: &BTreeMap<String, String>,
        now_ms: u64,
    ) -> Result<Verified, Refusal> {
        match self {
            Special::Paypal => paypal::verify(request, secret, settings, now_ms),
            Special::AwsSns => sns::verify(request, secret, settings),
            Special::Rfc9421 => message_signature::verify(request, secret, settings, now_ms),
            Special::Twilio => twilio::verify(request, secret),
            Special::Contentful => contentful::verify(request, secret, settings, now_ms),
            Special::Adyen => adyen::verify(request, secret),
            Special::Mailgun => mailgun::verify(request, secret, settings, now_ms),
            Special::HubspotV1 => hubspot::verify_v1(request, secret),
            Special::HubspotV2 => hubspot::verify_v2(request, secret),
            Special::HubspotV3 => hubspot::verify_v3(request, secret, settings, now_ms),
        }
    }

    /// Signs a request as the provider does. The secret is the one that verifies where that is symmetric, else the PEM text of a
    /// PKCS#8 private key (`PRIVATE KEY`). `id` is the event's id, for schemes that sign one; `now_ms` is the signed instant.
    ///
    /// # Errors
    /// The secret cannot sign, a setting is missing, or the body is not of the form in which this provider signs.
    pub fn sign(
        self,
        request: &Request<'_>,
        (id, now_ms): (&str, u64),
        secret: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<Signed, Refusal> {
        match self {
            Special::Paypal => paypal::sign(request, (id, now_ms), secret, settings),
            Special::AwsSns => sns::sign(request, secret),
            Special::Rfc9421 => message_signature::sign(request, now_ms, secret, settings),
            Special::Twilio => twilio::sign(request, secret),
            Special::Contentful => contentful::sign(request, secret, now_ms),
            Special::Adyen => adyen::sign(request, secret),
            Special::Mailgun => mailgun::sign(request, (id, now_ms), secret),
            Special::HubspotV1 => hubspot::sign_v1(request, secret),
            Special::HubspotV2 => hubspot::sign_v2(request, secret),
            Special::HubspotV3 => hubspot::sign_v3(request, secret, now_ms),
        }
    }
}
