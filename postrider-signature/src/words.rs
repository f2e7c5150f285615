//! Schemes in words, for tables and for people who set up a source.

use crate::{
    Provider, Scheme, Special,
    provider::Rule,
    scheme::{Algorithm, DEFAULT_TOLERANCE_S, Encoding, KeyEncoding, KeyRule, Place, Signature, Template},
};

impl Provider {
    /// How its requests are proved, in one sentence (Markdown).
    #[must_use]
    pub fn summary(&self) -> String {
        match &self.rule {
            Rule::Scheme(scheme) => scheme.summary(),
            Rule::Special(special, ..) => special_summary(*special).to_owned(),
        }
    }

    /// Where the event's id is, in words; empty: it has none.
    #[must_use]
    pub fn event_id(&self) -> String {
        match &self.rule {
            Rule::Scheme(scheme) => place(scheme.0.id.as_ref()),
            Rule::Special(special, id, _) => special_names(*special).0.map_or_else(|| place(id.as_ref()), str::to_owned),
        }
    }

    /// Where the event's type is, in words; empty: it has none.
    #[must_use]
    pub fn event_type(&self) -> String {
        match &self.rule {
            Rule::Scheme(scheme) => place(scheme.0.event_type.as_ref()),
            Rule::Special(special, _, event_type) => {
                special_names(*special).1.map_or_else(|| place(event_type.as_ref()), str::to_owned)
            }
        }
    }
}

impl Scheme {
    /// How requests are proved, in one sentence (Markdown).
    #[must_use]
    pub fn summary(&self) -> String {
        let Some(signature) = &self.0.signature else {
            return match self.algorithm() {
                Algorithm::None => "nothing is proved".to_owned(),
                _ => "basic credentials, `user:password`".to_owned(),
            };
        };
        if self.algorithm() == Algorithm::Token {
            let prefix =
                if signature.prefix.is_empty() { String::new() } else { format!(" behind `{}`", signature.prefix.trim_end()) };
            return format!("the secret itself in `{}`{prefix}", signature.spot);
        }
        let mut words = format!("{} of `{}`", name(self.algorithm()), self.0.signed);
        words.push_str(&written(signature));
        words.push_str(&key(&self.0.key));
        if let Some(timestamp) = &self.0.timestamp {
            match self.0.tolerance.unwrap_or(DEFAULT_TOLERANCE_S) {
                0 => {}
                seconds => words.push_str(&format!("; `{}` within {seconds} s", timestamp.spot)),
            }
        }
        for also in &self.0.also {
            let algorithm = also.algorithm.map_or_else(String::new, |algorithm| format!(" {}", name(algorithm)));
            let signed = also.signed.as_ref().map_or_else(String::new, |signed: &Template| format!(" of `{signed}`"));
            words.push_str(&format!("; or `{}`{algorithm}{signed}", also.label));
        }
        words
    }
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HmacSha1 => "HMAC-SHA1",
        Algorithm::HmacSha256 => "HMAC-SHA256",
        Algorithm::HmacSha384 => "HMAC-SHA384",
        Algorithm::HmacSha512 => "HMAC-SHA512",
        Algorithm::Ed25519 => "Ed25519",
        Algorithm::EcdsaP256Sha256 => "ECDSA P-256",
        Algorithm::RsaSha256 => "RSA-SHA256",
        Algorithm::Token => "token",
        Algorithm::Basic => "basic credentials",
        Algorithm::None => "nothing",
    }
}

fn written(signature: &Signature) -> String {
    let encoding = match signature.encoding {
        Encoding::Hex => "hex",
        Encoding::Base64 => "base64",
        Encoding::Base64url => "base64url",
    };
    match &signature.label {
        Some(label) => format!(", {encoding}, as `{label}` in `{}`", signature.spot),
        None if signature.prefix.is_empty() => format!(", {encoding}, in `{}`", signature.spot),
        None => format!(", {encoding} behind `{}`, in `{}`", signature.prefix, signature.spot),
    }
}

fn key(rule: &KeyRule) -> String {
    let encoding = match rule.encoding {
        KeyEncoding::Text => return String::new(),
        KeyEncoding::Base64 => "base64",
        KeyEncoding::Hex => "hex",
    };
    let prefix = rule.prefix.as_ref().map_or_else(String::new, |prefix| format!(" behind `{prefix}`"));
    format!("; key in {encoding}{prefix}")
}

fn place(place: Option<&Place>) -> String {
    place.map_or_else(String::new, |place| format!("`{place}`"))
}

fn special_summary(special: Special) -> &'static str {
    match special {
        Special::Paypal => {
            "RSA-SHA256 of transmission id, time, webhook id and CRC-32 of the body, base64; certificate given as the secret"
        }
        Special::AwsSns => "RSA (SHA-1 or SHA-256 by version) of fields of the body, base64; certificate given as the secret",
        Special::Rfc9421 => "RFC 9421 message signature with RFC 9530 digest; algorithm pinned by a setting",
        Special::Twilio => {
            "HMAC-SHA1 of URL and sorted form fields, base64, in `header:X-Twilio-Signature`; `bodySHA256` for other bodies"
        }
        Special::Contentful => {
            "HMAC-SHA256 of a canonical request with its signed headers, hex, in `header:x-contentful-signature`"
        }
        Special::Adyen => "HMAC-SHA256 of eight fields of each item, base64, in the item; key in hex",
        Special::Mailgun => "HMAC-SHA256 of timestamp and token, hex, in the body; the event itself is not covered",
        Special::HubspotV1 => "SHA-256 of secret and body, hex, in `header:X-HubSpot-Signature`",
        Special::HubspotV2 => "SHA-256 of secret, method, URL and body, hex, in `header:X-HubSpot-Signature`",
        Special::HubspotV3 => {
            "HMAC-SHA256 of method, decoded URL, body and timestamp, base64, in `header:X-HubSpot-Signature-v3`; within 300 s"
        }
    }
}

/// Where a provider's own function finds id and type.
fn special_names(special: Special) -> (Option<&'static str>, Option<&'static str>) {
    match special {
        Special::Paypal => (Some("`body:id`"), Some("`body:event_type`")),
        Special::AwsSns => (Some("`body:MessageId`"), Some("`body:Type`")),
        Special::Rfc9421 => (Some("`header:webhook-id`, if it is covered"), None),
        Special::Twilio => (Some("`header:I-Twilio-Idempotency-Token`"), None),
        Special::Contentful => {
            (Some("`header:x-contentful-idempotency-key`, if it is covered"), Some("`header:x-contentful-topic`, if it is covered"))
        }
        Special::Adyen => (Some("of the item"), Some("`eventCode` of the item")),
        Special::Mailgun => (Some("`body:signature.token`"), Some("`body:event-data.event`")),
        Special::HubspotV1 | Special::HubspotV2 | Special::HubspotV3 => (None, None),
    }
}
