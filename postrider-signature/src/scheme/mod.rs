//! The grammar of signature schemes as data: which algorithm, which key, where the signature is, what it covers.
//!
//! A provider of the table is a value of it, and so is a scheme of a receiver's own, given as JSON ([`Scheme::from_json`]).

mod key;
mod place;
mod signature;
mod template;

#[cfg(test)]
pub(crate) use key::P256_SPKI;
pub use key::{Algorithm, KeyEncoding, KeyRule};
pub(crate) use key::{Material, sign};
pub use place::{Place, Spot};
pub(crate) use signature::Read;
pub use signature::{Encoding, Signature};
pub use template::{CALLBACK_URL, Template};
pub(crate) use template::{Filling, Piece};

use serde::{Deserialize, Serialize};

/// Seconds by which a signed instant may differ from the receiver's clock, unless the scheme or a setting says otherwise.
pub const DEFAULT_TOLERANCE_S: u32 = 300;
/// The longest tolerance, in seconds: a day.
const MAX_TOLERANCE_S: u32 = 86_400;
/// Bytes of a scheme as JSON.
const MAX_JSON_BYTES: usize = 16 * 1024;
/// Alternative signatures beside the first.
const MAX_ALSO: usize = 4;

/// Why a scheme cannot be used: the field, and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct SchemeError {
    /// Where in the scheme (`signature.in`).
    pub field: String,
    /// What is wrong there.
    pub rule: String,
}

impl SchemeError {
    fn new(field: &str, rule: impl Into<String>) -> SchemeError {
        SchemeError { field: field.to_owned(), rule: rule.into() }
    }
}

/// In what a timestamp counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Seconds since the epoch.
    S,
    /// Milliseconds since the epoch.
    Ms,
    /// An instant of RFC 3339.
    Rfc3339,
}

/// Where the signed instant is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// Where. A timestamp in the body is read once the body is known to be genuine.
    #[serde(rename = "in")]
    pub spot: Spot,
    /// In what it counts.
    pub unit: Unit,
}

/// A further signature that the same header may carry, made in another way. The first kind that is there decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Also {
    /// Its label in the signature header.
    pub label: String,
    /// How it is made; as the scheme's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// What a secret's text is; as the scheme's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyRule>,
    /// What it covers; as the scheme's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Template>,
}

/// A signature scheme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked", into = "Unchecked")]
pub struct Scheme(pub(crate) Unchecked);

/// A scheme as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unchecked {
    pub(crate) algorithm: Algorithm,
    #[serde(default)]
    pub(crate) key: KeyRule,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<Signature>,
    #[serde(default)]
    pub(crate) signed: Template,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timestamp: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tolerance: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<Place>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) event_type: Option<Place>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) also: Vec<Also>,
}

impl TryFrom<Unchecked> for Scheme {
    type Error = SchemeError;

    fn try_from(written: Unchecked) -> Result<Scheme, SchemeError> {
        written.check()?;
        Ok(Scheme(written))
    }
}

impl From<Scheme> for Unchecked {
    fn from(scheme: Scheme) -> Unchecked {
        scheme.0
    }
}

/// One way in which a scheme's signature is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<'s> {
    pub(crate) label: Option<&'s str>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: &'s KeyRule,
    pub(crate) signed: &'s Template,
}

impl Scheme {
    /// Reads a scheme of a receiver's own:
    /// `{"algorithm": "hmac-sha256", "signature": {"in": "header:X-Signature", "encoding": "hex"}, "signed": "{timestamp}.{body}",
    /// "timestamp": {"in": "header:X-Timestamp", "unit": "s"}, "id": "header:X-Id", "type": "body:type"}`.
    ///
    /// # Errors
    /// The text is not JSON of that form, has more than 16 KiB, or names something that no request could satisfy.
    pub fn from_json(text: &str) -> Result<Scheme, SchemeError> {
        if text.len() > MAX_JSON_BYTES {
            return Err(SchemeError::new("scheme", "a scheme has at most 16 KiB"));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let written: Unchecked = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            SchemeError {
                field: if matches!(path.as_str(), "." | "?") { "scheme".into() } else { path },
                rule: error.inner().to_string(),
            }
        })?;
        json.end().map_err(|error| SchemeError::new("scheme", error.to_string()))?;
        written.try_into()
    }

    /// The algorithm that is pinned.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// Whether sender and receiver have the same secret, so that a receiver can make one up.
    #[must_use]
    pub fn symmetric(&self) -> bool {
        !self.0.algorithm.asymmetric()
    }

    /// The ways in which it is signed, the one that counts first in front.
    pub(crate) fn forms(&self) -> impl Iterator<Item = Form<'_>> {
        let Unchecked { algorithm, key, signature, signed, also, .. } = &self.0;
        let label = signature.as_ref().and_then(|signature| signature.label.as_deref());
        let first = Form { label, algorithm: *algorithm, key, signed };
        let others = also.iter().map(move |other| Form {
            label: Some(&other.label),
            algorithm: other.algorithm.unwrap_or(*algorithm),
            key: other.key.as_ref().unwrap_or(key),
            signed: other.signed.as_ref().unwrap_or(signed),
        });
        std::iter::once(first).chain(others)
    }
}

impl Unchecked {
    fn check(&self) -> Result<(), SchemeError> {
        if self.tolerance.is_some_and(|s| s > MAX_TOLERANCE_S) {
            return Err(SchemeError::new("tolerance", "it is at most 86400 seconds; with 0 the age is not judged"));
        }
        if self.also.len() > MAX_ALSO {
            return Err(SchemeError::new("also", "a scheme has at most 4 alternatives"));
        }
        match (&self.signature, self.algorithm) {
            (None, Algorithm::Basic | Algorithm::None) => Ok(()),
            (None, _) => Err(SchemeError::new("signature", "it is missing: it says where the signature is")),
            (Some(_), Algorithm::Basic) => Err(SchemeError::new("signature", "basic credentials are in the header Authorization")),
            (Some(_), Algorithm::None) => Err(SchemeError::new("signature", "the algorithm none has no signature")),
            (Some(signature), _) => {
                signature.check()?;
                if self.algorithm == Algorithm::Token { self.check_token(signature) } else { self.check_signed(signature) }
            }
        }
    }

    fn check_token(&self, signature: &Signature) -> Result<(), SchemeError> {
        if !self.also.is_empty() || signature.between.is_some() || signature.label.is_some() {
            return Err(SchemeError::new("signature", "a token is compared as it is: it has no label and no alternatives"));
        }
        Ok(())
    }

    fn check_signed(&self, signature: &Signature) -> Result<(), SchemeError> {
        if matches!(signature.spot, Spot::Body(_) | Spot::Form(_) | Spot::Field(_)) {
            return Err(SchemeError::new("signature.in", "a signature is in a header or in the query"));
        }
        if !self.also.is_empty() && signature.label.is_none() {
            return Err(SchemeError::new("also", "alternatives need labels to tell them apart, and so a signature.label"));
        }
        let list = signature.between.is_some();
        let templates = std::iter::once(&self.signed).chain(self.also.iter().filter_map(|other| other.signed.as_ref()));
        for template in templates {
            self.check_template(template, list)?;
        }
        let field = self.timestamp.as_ref().is_some_and(|timestamp| matches!(timestamp.spot, Spot::Field(_)));
        if field && !list {
            return Err(SchemeError::new("timestamp.in", "a signature header that is no list (signature.between) has no fields"));
        }
        if self.also.iter().any(|other| other.algorithm.is_some_and(|algorithm| !algorithm.signs())) {
            return Err(SchemeError::new("also", "an alternative is a signature too"));
        }
        Ok(())
    }

    fn check_template(&self, template: &Template, list: bool) -> Result<(), SchemeError> {
        let wrong = |rule: &str| Err(SchemeError::new("signed", rule));
        if !template.has(&Piece::Body) {
            return wrong("{body} is not in it, so anyone could change the body");
        }
        if template.has(&Piece::Timestamp) && self.timestamp.is_none() {
            return wrong("{timestamp} is in it, and the scheme has no timestamp");
        }
        if template.has(&Piece::Timestamp) && self.timestamp.as_ref().is_some_and(|timestamp| timestamp.spot.in_body()) {
            return wrong("{timestamp} is in it, and the timestamp is in the body, which is covered anyway");
        }
        match self.id.as_ref().map(Place::first) {
            None if template.has(&Piece::Id) => return wrong("{id} is in it, and the scheme has no id"),
            Some(None | Some(Spot::Body(_) | Spot::Form(_))) if template.has(&Piece::Id) => {
                return wrong("{id} is in it, so the id is one header, field or parameter of the query");
            }
            _ => {}
        }
        let fields = template.pieces.iter().any(|piece| matches!(piece, Piece::Covered(_) | Piece::Spot(Spot::Field(_))));
        if fields && !list { wrong("a signature header that is no list (signature.between) has no fields") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> String {
        Scheme::from_json(json).unwrap_err().to_string()
    }

    #[test]
    fn a_scheme_is_read_and_written() {
        let json = r#"{"algorithm":"hmac-sha256","signature":{"in":"header:X-Sig","between":",","label":"v1","encoding":"hex"},
            "signed":"{timestamp}.{body}","timestamp":{"in":"field:t","unit":"s"},"tolerance":60,"id":"header:X-Id","type":["body:type","body:event"]}"#;
        let scheme = Scheme::from_json(json).unwrap();
        let written = serde_json::to_string(&scheme).unwrap();
        assert_eq!(Scheme::from_json(&written).unwrap(), scheme);
    }

    #[test]
    fn errors_name_field_and_rule() {
        assert!(rule("{").starts_with("scheme: EOF"));
        assert!(rule(r#"{"type":"x"}"#).starts_with("type: "), "{}", rule(r#"{"type":"x"}"#));
        assert!(rule(r#"{"algorithm":"md5"}"#).starts_with("algorithm: unknown variant"));
        assert!(rule(r#"{"algorithm":"none","nonsense":1}"#).starts_with("nonsense: unknown field"));
        assert!(rule(r#"{"algorithm":"token"}"#).starts_with("signature: it is missing"));
        assert!(
            rule(r#"{"algorithm":"hmac-sha256","signature":{"in":"body:a"}}"#)
                .starts_with("signature.in: a signature is in a header")
        );
        assert!(
            rule(r#"{"algorithm":"hmac-sha256","signature":{"in":"header:A"},"signed":"{url}"}"#)
                .starts_with("signed: {body} is not")
        );
        assert!(
            rule(r#"{"algorithm":"hmac-sha256","signature":{"in":"header:A"},"signed":"{timestamp}{body}"}"#)
                .starts_with("signed: ")
        );
        assert!(rule(r#"{"algorithm":"none","tolerance":86401}"#).starts_with("tolerance: "));
        assert!(rule(&format!(r#"{{"algorithm":"none","id":"body:{}"}}"#, "a".repeat(20_000))).contains("16 KiB"));
        assert!(rule(r#"{"algorithm":"none"} x"#).starts_with("scheme: trailing"));
    }
}
