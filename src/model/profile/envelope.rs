//! Envelopes: a JSON object around the payload, as a template.
//!
//! It is JSON as it stands: `{"type": "{type}", "created": "{time.s}", "data": "{data}"}`. A text that is one field alone
//! becomes that field's value: a number where the field is one, the payload's exact bytes for `{data}`. In any other text
//! fields are filled in. The order of the members is kept, white space between them is not.

use crate::model::stringify;

use super::{
    field::{Facts, Field},
    template::{Piece, pieces},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Bytes of an envelope, as it is written.
pub const MAX_ENVELOPE_BYTES: usize = 8 * 1024;
/// Texts with fields in an envelope.
const MAX_FILLED: usize = 64;
/// Bytes that the fields of an envelope take beside the payload, as a first guess.
const FIELD_BYTES_USUAL: usize = 160;

/// A part of a compiled envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// JSON as it stands.
    Json(String),
    /// A field as a JSON value of its own.
    Value(Field),
    /// A field inside a JSON text.
    Inside(Field),
}

/// A JSON object around the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Envelope {
    text: String,
    parts: Vec<Part>,
}

impl From<Envelope> for String {
    fn from(envelope: Envelope) -> String {
        envelope.text
    }
}

impl<'de> Deserialize<'de> for Envelope {
    /// A text, which keeps the order of the members, or an object.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(from)? {
            Value::String(text) => text,
            object => object.to_string(),
        };
        Envelope::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl Envelope {
    /// Reads an envelope.
    ///
    /// # Errors
    /// It is no JSON object, has a field that is none, `{data}` inside a longer text, or more than [`MAX_ENVELOPE_BYTES`].
    pub fn parse(text: &str) -> Result<Envelope, String> {
        if text.len() > MAX_ENVELOPE_BYTES {
            return Err(format!("An envelope has at most {MAX_ENVELOPE_BYTES} bytes."));
        }
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(_)) => {}
            Ok(_) => return Err("An envelope is a JSON object.".into()),
            Err(error) => return Err(format!("An envelope is a JSON object: {error}.")),
        }
        let mut parts = Compiling { json: String::with_capacity(text.len()), parts: Vec::new(), filled: 0 };
        parts.read(text)?;
        Ok(Envelope { text: text.to_owned(), parts: parts.done() })
    }

    /// The body: the envelope, filled. A payload that may be other than JSON (`foreign`) is looked at, and becomes a text when
    /// it is not.
    #[must_use]
    pub fn fill(&self, facts: &Facts<'_>, foreign: bool) -> Vec<u8> {
        let payload = &facts.message.payload;
        let mut body = Vec::with_capacity(self.text.len() + payload.len() + FIELD_BYTES_USUAL);
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Json(json) => body.extend_from_slice(json.as_bytes()),
                Part::Value(field) if field.is_payload() && foreign && !is_json(payload) => {
                    quote(&String::from_utf8_lossy(payload), &mut body);
                }
                Part::Value(Field::Data) => body.extend_from_slice(payload),
                // What is deeper than it goes stays as it came.
                Part::Value(Field::DataStringified) => match stringify(payload) {
                    Some(written) => body.extend_from_slice(&written),
                    None => body.extend_from_slice(payload),
                },
                Part::Value(field) | Part::Inside(field) => {
                    text.clear();
                    field.write(facts, &mut text);
                    match part {
                        Part::Value(field) if field.is_number() => body.extend_from_slice(text.as_bytes()),
                        Part::Inside(_) => escape(&text, &mut body),
                        _ => quote(&text, &mut body),
                    }
                }
            }
        }
        body
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

struct Compiling {
    json: String,
    parts: Vec<Part>,
    filled: usize,
}

impl Compiling {
    /// Goes through valid JSON, text by text; what is between texts has no meaning here but that a colon behind one makes it
    /// a name.
    fn read(&mut self, json: &str) -> Result<(), String> {
        let mut rest = json;
        while let Some((before, inside)) = rest.split_once('"') {
            self.between(before);
            let (text, after) = inside.split_at_checked(end_of_text(inside)).unwrap_or((inside, ""));
            rest = after.strip_prefix('"').unwrap_or(after);
            let name = rest.trim_start().starts_with(':');
            if name || !text.contains(['{', '}']) {
                self.json.push('"');
                self.json.push_str(text);
                self.json.push('"');
            } else {
                let decoded: String = serde_json::from_str(&format!("\"{text}\"")).map_err(|error| error.to_string())?;
                self.text(&decoded)?;
            }
        }
        self.between(rest);
        Ok(())
    }

    fn between(&mut self, json: &str) {
        self.json.extend(json.chars().filter(|c| !c.is_ascii_whitespace()));
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        self.filled += 1;
        if self.filled > MAX_FILLED {
            return Err(format!("An envelope has at most {MAX_FILLED} texts with fields."));
        }
        let pieces = pieces(text)?;
        if let [Piece::Field(field)] = pieces.as_slice() {
            self.push(Part::Value(*field));
            return Ok(());
        }
        self.json.push('"');
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    let mut escaped = Vec::new();
                    escape(&text, &mut escaped);
                    self.json.push_str(&String::from_utf8_lossy(&escaped));
                }
                Piece::Field(field) if field.is_payload() => {
                    return Err("{data} stands alone in its text: it becomes the payload.".into());
                }
                Piece::Field(field) => self.push(Part::Inside(field)),
            }
        }
        self.json.push('"');
        Ok(())
    }

    fn push(&mut self, part: Part) {
        let json = std::mem::take(&mut self.json);
        self.parts.extend((!json.is_empty()).then_some(Part::Json(json)));
        self.parts.push(part);
    }

    fn done(mut self) -> Vec<Part> {
        self.parts.extend((!self.json.is_empty()).then_some(Part::Json(self.json)));
        self.parts
    }
}

/// Bytes up to the closing quote of a JSON text.
fn end_of_text(inside: &str) -> usize {
    let mut escaped = false;
    inside
        .bytes()
        .position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        })
        .unwrap_or(inside.len())
}

fn is_json(payload: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok()
}

fn quote(text: &str, body: &mut Vec<u8>) {
    body.push(b'"');
    escape(text, body);
    body.push(b'"');
}

/// A text as it stands inside a JSON text.
fn escape(text: &str, body: &mut Vec<u8>) {
    let quoted = Value::from(text).to_string();
    body.extend_from_slice(quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).unwrap_or_default().as_bytes());
}
