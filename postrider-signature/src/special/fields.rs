//! Reading the few fields that a provider signs out of a JSON body. A field that occurs twice is refused: two readers could take
//! different ones.

use crate::Refusal;
use serde::Deserialize;
use std::borrow::Cow;

/// The body as a JSON object with these fields; others are skipped.
pub(crate) fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|_| Refusal::Malformed("the body".into(), "it is not JSON with the fields of this provider"))
}

/// A field that must be there.
pub(crate) fn needed<'f>(field: Option<&'f Cow<'_, str>>, name: &'static str) -> Result<&'f str, Refusal> {
    field.map(AsRef::as_ref).ok_or(Refusal::MissingField(name.into()))
}

/// A text, a number or a truth value, as the text that it is written as.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Scalar {
    Text(String),
    Whole(i64),
    Truth(bool),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Text(text) => f.write_str(text),
            Scalar::Whole(number) => write!(f, "{number}"),
            Scalar::Truth(truth) => write!(f, "{truth}"),
        }
    }
}
