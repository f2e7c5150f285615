//! The signature header: plain, behind a prefix, a list of `label=value`, or several versions with spaces between them.

use super::{SchemeError, place::MAX_TEXT_BYTES, place::Spot};
use crate::{
    Refusal, Request,
    special::text::{base64, hex, to_base64, to_hex},
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Entries of a signature header that are looked at.
const MAX_ENTRIES: usize = 64;
/// Numbered headers (`X-Signature-1`, …) that are looked at.
const MAX_NUMBERED: usize = 10;
/// Bytes of a prefix, a label or a separator.
const MAX_MARK_BYTES: usize = 64;

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal digits of either case.
    #[default]
    Hex,
    /// Base64, padded or not.
    Base64,
    /// Base64 in the alphabet for URLs, padded or not.
    Base64url,
}

impl Encoding {
    pub(crate) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Encoding::Hex => hex(text),
            Encoding::Base64 => base64(text.as_bytes()),
            Encoding::Base64url if text.contains(['+', '/']) => None,
            Encoding::Base64url => base64(text.replace('-', "+").replace('_', "/").as_bytes()),
        }
        .filter(|bytes| !bytes.is_empty())
    }

    pub(crate) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => to_hex(bytes),
            Encoding::Base64 => to_base64(bytes),
            Encoding::Base64url => to_base64(bytes).replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned(),
        }
    }
}

/// Where the signature is, and how it is written there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Where.
    #[serde(rename = "in")]
    pub spot: Spot,
    /// What stands before it (`sha256=`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// What stands between the entries of a list; absent: it is no list. White space around entries does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<String>,
    /// What stands between label and value of an entry; `=` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assign: Option<String>,
    /// The label of the entries that are signatures (`v1`); absent: there is but one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How its bytes are written.
    #[serde(default)]
    pub encoding: Encoding,
}

/// A signature header, read: entries with their labels.
#[derive(Clone, Debug)]
pub(crate) struct Read<'a> {
    pub(crate) entries: Vec<(&'a str, &'a str)>,
}

impl Signature {
    pub(super) fn check(&self) -> Result<(), SchemeError> {
        let marks = [Some(&self.prefix), self.between.as_ref(), self.assign.as_ref(), self.label.as_ref()];
        if marks.iter().flatten().any(|mark| mark.len() > MAX_MARK_BYTES) {
            return Err(SchemeError::new("signature", "a prefix, label or separator has at most 64 bytes"));
        }
        if [&self.between, &self.assign, &self.label].into_iter().flatten().any(String::is_empty) {
            return Err(SchemeError::new("signature", "a label or separator is not empty"));
        }
        if self.between.is_some() != self.label.is_some() {
            return Err(SchemeError::new(
                "signature.between",
                "a list needs a label that tells the signature, and only a list has one",
            ));
        }
        Ok(())
    }

    pub(crate) fn assign(&self) -> &str {
        self.assign.as_deref().unwrap_or("=")
    }

    /// Its name for a refusal.
    pub(crate) fn name(&self) -> Cow<'static, str> {
        match &self.spot {
            Spot::Header(name) | Spot::Query(name) | Spot::Form(name) | Spot::Body(name) | Spot::Field(name) => {
                name.replace("{n}", "1").into()
            }
        }
    }

    /// Reads it from a request. `raw` holds the texts that the entries borrow from.
    pub(crate) fn texts<'a>(&self, request: &Request<'a>) -> Result<Vec<Cow<'a, str>>, Refusal> {
        let texts: Vec<Cow<'a, str>> = match &self.spot {
            Spot::Header(name) if name.contains("{n}") => (1..=MAX_NUMBERED)
                .filter_map(|n| Spot::Header(name.replace("{n}", &n.to_string())).texts(request, &[]).pop())
                .collect(),
            Spot::Header(name) if request.header(name).is_some_and(|value| str::from_utf8(value).is_err()) => {
                return Err(Refusal::Malformed(self.name(), "it is not UTF-8"));
            }
            spot => spot.texts(request, &[]),
        };
        if texts.is_empty() {
            return Err(self.spot.missing());
        }
        if texts.iter().any(|text| text.len() > MAX_TEXT_BYTES) {
            return Err(Refusal::Malformed(self.name(), "it is longer than 8 KiB"));
        }
        if texts.iter().all(|text| text.trim().is_empty()) {
            return Err(Refusal::Malformed(self.name(), "it is empty"));
        }
        Ok(texts)
    }

    /// The entries of the texts.
    pub(crate) fn read<'t>(&self, texts: &'t [Cow<'_, str>]) -> Result<Read<'t>, Refusal> {
        let mut entries = Vec::new();
        for text in texts {
            let Some(text) = text.trim().strip_prefix(&self.prefix) else { continue };
            match &self.between {
                None => entries.push(("", text)),
                Some(between) => entries.extend(
                    text.split(between.as_str())
                        .take(MAX_ENTRIES)
                        .filter_map(|entry| entry.trim().split_once(self.assign()))
                        .map(|(label, value)| (label.trim(), value.trim())),
                ),
            }
        }
        if entries.is_empty() {
            let rule = if self.between.is_some() { "it is no list of labels and values" } else { "it does not begin as it has to" };
            return Err(Refusal::Malformed(self.name(), rule));
        }
        Ok(Read { entries })
    }
}

impl Read<'_> {
    /// The signatures with that label, decoded. `None`: there is no such label. Entries that cannot be decoded are left out.
    pub(crate) fn signatures(&self, label: Option<&str>, encoding: Encoding) -> Option<Vec<Vec<u8>>> {
        let label = label.unwrap_or_default();
        let mut labelled = self.entries.iter().filter(|(name, _)| *name == label).peekable();
        labelled.peek()?;
        Some(labelled.filter_map(|(_, value)| encoding.decode(value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(json: &str) -> Signature {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn lists_and_versions_are_read() {
        let list = signature(r#"{"in":"header:S","between":",","label":"v1","encoding":"hex"}"#);
        let texts = [Cow::Borrowed(" t=5, v1=00ff ,v1=zz,v0=11,v1,=")];
        let read = list.read(&texts).unwrap();
        assert_eq!(read.signatures(Some("v1"), Encoding::Hex), Some(vec![vec![0, 255]]));
        assert_eq!(read.signatures(Some("v2"), Encoding::Hex), None);
        let versions = signature(r#"{"in":"header:S","between":" ","assign":",","label":"v1","encoding":"base64"}"#);
        let texts = [Cow::Borrowed("v1,AAA= v1a,AQ==")];
        assert_eq!(versions.read(&texts).unwrap().signatures(Some("v1a"), Encoding::Base64), Some(vec![vec![1]]));
    }

    #[test]
    fn prefixes_are_needed_and_numbers_counted() {
        let plain = signature(r#"{"in":"header:S-{n}","prefix":"sha256=","encoding":"hex"}"#);
        assert!(matches!(plain.read(&[Cow::Borrowed("00")]), Err(Refusal::Malformed(..))));
        let headers = [("s-1", b"sha256=00".as_slice()), ("S-3", b"sha256=01")];
        let request = Request { method: "POST", url: "", headers: &headers, body: b"" };
        let texts = plain.texts(&request).unwrap();
        assert_eq!(plain.read(&texts).unwrap().signatures(None, Encoding::Hex), Some(vec![vec![0], vec![1]]));
        assert_eq!(plain.texts(&Request { headers: &[], ..request }), Err(Refusal::MissingHeader("S-1".into())));
    }

    #[test]
    fn encodings_read_what_they_write() {
        for encoding in [Encoding::Hex, Encoding::Base64, Encoding::Base64url] {
            let bytes = [0, 251, 255, 62, 7];
            assert_eq!(encoding.decode(&encoding.encode(&bytes)), Some(bytes.to_vec()));
            assert_eq!(encoding.decode(""), None);
            assert_eq!(encoding.decode("é"), None);
        }
    }
}
