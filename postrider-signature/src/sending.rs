//! What a sender needs to know of a scheme beyond how it signs: which headers it writes, and signing with several secrets.

use crate::{
    Provider, Refusal, Scheme, Settings, Signed, Special, Unsigned,
    provider::Rule,
    scheme::{Algorithm, Encoding, KeyEncoding, KeyRule, Place, Spot, Unit},
};

/// Signatures of one request at most.
const MAX_SIGNATURES: usize = 10;

/// The headers of Standard Webhooks, under whatever names a sender gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandardNames<'s> {
    /// Carries the event's id.
    pub id: &'s str,
    /// Carries the signed instant, in seconds since the epoch.
    pub timestamp: &'s str,
    /// Carries the signatures, with spaces between them.
    pub signature: &'s str,
}

impl Scheme {
    /// The names of its headers, if the scheme is Standard Webhooks (`v1` and `v1a`) under any names: [`crate::sign`] then makes
    /// the same signatures faster.
    #[must_use]
    pub fn standard_names(&self) -> Option<StandardNames<'_>> {
        let written = &self.0;
        let (signature, timestamp, id) = (written.signature.as_ref()?, written.timestamp.as_ref()?, written.id.as_ref()?);
        let [also] = written.also.as_slice() else { return None };
        let list = signature.between.as_deref() == Some(" ") && signature.assign() == ",";
        let plain = list && signature.prefix.is_empty() && signature.encoding == Encoding::Base64;
        let signed = plain && written.signed.to_string() == "{id}.{timestamp}.{body}" && timestamp.unit == Unit::S;
        let symmetric = written.algorithm == Algorithm::HmacSha256
            && written.key == KeyRule { prefix: Some("whsec_".into()), ..base64_key() }
            && signature.label.as_deref() == Some("v1");
        let private =
            KeyRule { prefix: Some("whpk_".into()), private_prefix: Some("whsk_".into()), prefix_required: true, ..base64_key() };
        let asymmetric = also.algorithm == Some(Algorithm::Ed25519)
            && also.label == "v1a"
            && also.key.as_ref() == Some(&private)
            && also.signed.is_none();
        match (Place::first(id)?, &timestamp.spot, &signature.spot) {
            (Spot::Header(id), Spot::Header(timestamp), Spot::Header(signature)) if signed && symmetric && asymmetric => {
                Some(StandardNames { id, timestamp, signature })
            }
            _ => None,
        }
    }

    /// The names of the headers that signing writes, `X-Signature-1` standing for all that are numbered.
    #[must_use]
    pub fn headers(&self) -> Vec<String> {
        let signature = match (&self.0.signature, self.0.algorithm) {
            (_, Algorithm::Basic) => Some("Authorization".to_owned()),
            (Some(signature), _) => header(&signature.spot),
            (None, _) => None,
        };
        let timestamp = self.0.timestamp.as_ref().and_then(|timestamp| header(&timestamp.spot));
        let id = self.0.id.as_ref().and_then(Place::first).and_then(header);
        signature.into_iter().chain(timestamp).chain(id).collect()
    }

    /// Whether signing writes headers only: a signature in the query would change the URL.
    #[must_use]
    pub fn signs_in_headers(&self) -> bool {
        self.0.signature.as_ref().is_none_or(|signature| matches!(signature.spot, Spot::Header(_)))
    }

    /// Whether the secret itself goes into a header, which is therefore not to be shown.
    #[must_use]
    pub fn sends_secret(&self) -> bool {
        matches!(self.0.algorithm, Algorithm::Token | Algorithm::Basic)
    }

    /// What a secret's text is.
    #[must_use]
    pub fn key_rule(&self) -> &KeyRule {
        &self.0.key
    }

    /// Signs a request with every secret, at most 10, where the signature header is a list or numbered, so that receivers can
    /// change over from one to the next; else with the first.
    ///
    /// # Errors
    /// As [`Scheme::sign`]; there is no secret.
    pub fn sign_all<'k>(
        &self,
        secrets: impl IntoIterator<Item = &'k str>,
        settings: &Settings,
        unsigned: &Unsigned<'_>,
    ) -> Result<Signed, Refusal> {
        let mut secrets = secrets.into_iter();
        let first = match secrets.next() {
            None if self.0.algorithm == Algorithm::None => "",
            first => first.ok_or(Refusal::BadSecret("there is none"))?,
        };
        let mut signed = self.sign(first, settings, unsigned)?;
        let Some(signature) = self.0.signature.as_ref().filter(|_| self.0.algorithm.signs()) else { return Ok(signed) };
        let Spot::Header(name) = &signature.spot else { return Ok(signed) };
        let numbered = name.contains("{n}");
        if !numbered && signature.between.is_none() {
            return Ok(signed);
        }
        let own = name.replace("{n}", "1");
        for (at, secret) in secrets.take(MAX_SIGNATURES - 1).enumerate() {
            let mut other = self.sign(secret, settings, unsigned)?;
            let Some((_, value)) = other.headers.pop().filter(|(name, _)| *name == own) else { continue };
            match (&signature.between, signed.headers.iter_mut().find(|(name, _)| *name == own)) {
                (None, _) => signed.headers.push((name.replace("{n}", &(at + 2).to_string()), value)),
                (Some(between), Some((_, first))) => {
                    let entry = value.rsplit_once(between.as_str()).map_or(value.as_str(), |(_, entry)| entry);
                    first.push_str(between);
                    first.push_str(entry.strip_prefix(&signature.prefix).unwrap_or(entry));
                }
                (Some(_), None) => {}
            }
        }
        Ok(signed)
    }
}

impl Provider {
    /// The names of the headers that signing writes.
    #[must_use]
    pub fn headers(&self) -> Vec<String> {
        match &self.rule {
            Rule::Scheme(scheme) => scheme.headers(),
            Rule::Special(special, ..) => special.headers().iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

impl Special {
    fn headers(self) -> &'static [&'static str] {
        match self {
            Special::Paypal => &[
                "Paypal-Transmission-Id",
                "Paypal-Transmission-Time",
                "Paypal-Transmission-Sig",
                "Paypal-Cert-Url",
                "Paypal-Auth-Algo",
            ],
            Special::Rfc9421 => &["Content-Digest", "Signature-Input", "Signature"],
            Special::Twilio => &["X-Twilio-Signature"],
            Special::Contentful => &["X-Contentful-Signature", "X-Contentful-Signed-Headers", "X-Contentful-Timestamp"],
            Special::HubspotV1 | Special::HubspotV2 => &["X-HubSpot-Signature", "X-HubSpot-Signature-Version"],
            Special::HubspotV3 => &["X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp"],
            Special::AwsSns | Special::Adyen | Special::Mailgun => &[],
        }
    }
}

fn base64_key() -> KeyRule {
    KeyRule { encoding: KeyEncoding::Base64, ..KeyRule::default() }
}

fn header(spot: &Spot) -> Option<String> {
    if let Spot::Header(name) = spot { Some(name.replace("{n}", "1")) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Request, Verifier, provider, sign};

    const SECRETS: [&str; 2] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"];

    fn unsigned(body: &[u8]) -> Unsigned<'_> {
        let url = "https://x.example/hook";
        Unsigned { method: "POST", url, headers: &[], body, id: "msg_1", timestamp_ms: 1_700_000_000_000 }
    }

    #[test]
    fn standard_webhooks_are_recognised_under_any_name() {
        let names = |name: &str| provider(name).unwrap().scheme().unwrap().standard_names().map(|names| names.signature.to_owned());
        assert_eq!(names("standard-webhooks").as_deref(), Some("webhook-signature"));
        assert_eq!(names("svix").as_deref(), Some("svix-signature"));
        assert_eq!((names("stripe"), names("github"), names("resend")), (None, None, None));
        let text = serde_json::to_string(provider("svix").unwrap().scheme().unwrap()).unwrap();
        let own = Scheme::from_json(&text.replace("svix-", "x-acme-")).unwrap();
        assert_eq!(own.standard_names().unwrap().id, "x-acme-id");
    }

    #[test]
    fn the_fast_way_and_the_grammar_sign_alike() {
        let scheme = provider("standard-webhooks").unwrap().scheme().unwrap();
        let signed = scheme.sign_all(SECRETS, &Settings::new(), &unsigned(b"{}")).unwrap();
        let keys = SECRETS.map(|secret| Key::parse(secret).unwrap());
        let fast = sign(keys.iter(), "msg_1", 1_700_000_000, b"{}");
        assert_eq!(signed.headers.iter().find(|(name, _)| name == "webhook-signature").unwrap().1, fast);
    }

    #[test]
    fn every_secret_signs_where_there_is_room() {
        for (name, several) in [("stripe", true), ("github", false), ("svix", true)] {
            let scheme = provider(name).unwrap().scheme().unwrap();
            let signed = scheme.sign_all(SECRETS, &Settings::new(), &unsigned(br#"{"id":"e"}"#)).unwrap();
            let headers: Vec<(&str, &[u8])> = signed.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
            let request = Request { method: "POST", url: "https://x.example/hook", headers: &headers, body: br#"{"id":"e"}"# };
            for (secret, verifies) in [(SECRETS[0], true), (SECRETS[1], several)] {
                let verifier = Verifier::custom(scheme, &[secret], &Settings::new()).unwrap();
                assert_eq!(verifier.verify(&request, 1_700_000_000_000).is_ok(), verifies, "{name}");
            }
        }
    }

    #[test]
    fn numbered_headers_carry_one_signature_each() {
        let scheme = Scheme::from_json(r#"{"algorithm":"hmac-sha256","signature":{"in":"header:X-Sig-{n}"}}"#).unwrap();
        let signed = scheme.sign_all(["a", "b"], &Settings::new(), &unsigned(b"x")).unwrap();
        assert_eq!(signed.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["X-Sig-1", "X-Sig-2"]);
        assert_ne!(signed.headers[0].1, signed.headers[1].1);
    }

    #[test]
    fn the_headers_that_are_written_are_named() {
        for row in crate::providers() {
            let Ok(signed) = row.sign(SECRETS[0], &Settings::new(), &unsigned(br#"{"id":"e"}"#)) else { continue };
            let named = row.headers();
            for (name, _) in signed.headers {
                assert!(named.iter().any(|one| one.eq_ignore_ascii_case(&name)), "{}: {name}", row.name);
            }
        }
    }
}
