//! Templates of texts: `{type}`, `evt_{id.digits}`. Everything outside braces is taken as it is; a doubled brace is one.

use super::field::{Facts, Field};
use serde::{Deserialize, Serialize};

/// Bytes of a template.
pub const MAX_TEMPLATE_BYTES: usize = 1024;
/// Fields of a template.
const MAX_FIELDS: usize = 32;

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text as it stands.
    Text(String),
    /// A field.
    Field(Field),
}

/// A text with fields in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    pub(super) pieces: Vec<Piece>,
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Template, String> {
        let pieces = pieces(&text)?;
        if pieces.iter().any(|piece| matches!(piece, Piece::Field(field) if field.is_payload())) {
            return Err("{data} can only stand in an envelope.".into());
        }
        Ok(Template { text, pieces })
    }
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        template.text
    }
}

impl Template {
    /// The text, filled.
    #[must_use]
    pub fn fill(&self, facts: &Facts<'_>) -> String {
        let mut text = String::with_capacity(self.text.len() + 32);
        for piece in &self.pieces {
            match piece {
                Piece::Text(given) => text.push_str(given),
                Piece::Field(field) => field.write(facts, &mut text),
            }
        }
        text
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text that stands in it whatever the fields are.
    pub(super) fn literal(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text.as_str()) } else { None })
    }
}

/// # Errors
/// The rule that the text breaks, as a sentence.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    if text.len() > MAX_TEMPLATE_BYTES {
        return Err(format!("A template has at most {MAX_TEMPLATE_BYTES} bytes."));
    }
    let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at_checked(at).unwrap_or((rest, ""));
        literal.push_str(before);
        if let Some(after) = brace.strip_prefix("{{") {
            literal.push('{');
            rest = after;
        } else if let Some(after) = brace.strip_prefix("}}") {
            literal.push('}');
            rest = after;
        } else {
            let inner = brace.strip_prefix('{').ok_or("A } stands alone; one that is meant as text is doubled.")?;
            let (name, after) = inner.split_once('}').ok_or("A { has no }; one that is meant as text is doubled.")?;
            let field = Field::named(name).ok_or_else(|| unknown(name))?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Field(field));
            rest = after;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    if pieces.iter().filter(|piece| matches!(piece, Piece::Field(_))).count() > MAX_FIELDS {
        return Err(format!("A template has at most {MAX_FIELDS} fields."));
    }
    Ok(pieces)
}

fn unknown(name: &str) -> String {
    let name: String = name.chars().take(40).collect();
    let known: Vec<&str> = Field::ALL.iter().map(|(name, _)| *name).collect();
    format!("There is no field {{{name}}}: {} are.", known.join(", "))
}
