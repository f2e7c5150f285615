//! Verification in six languages, written from an endpoint's own scheme: its header names, its key, what is signed. The
//! scheme that signs is the one source of what a receiver has to do.

use crate::model::Profile;
use askama::Template;
use postrider_signature::Scheme;
use serde::Deserialize;

/// Letters that mean themselves between quotes in all six languages.
const PLAIN: &str = " _=,.;:+/@!~|*-";
/// Seconds by which a timestamp may be off, unless the scheme says otherwise.
const TOLERANCE_S: u32 = 300;

/// The languages, and what they are called.
pub(super) const LANGUAGES: [(&str, &str); 6] =
    [("javascript", "JavaScript"), ("python", "Python"), ("go", "Go"), ("ruby", "Ruby"), ("php", "PHP"), ("java", "Java")];

/// A part of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Id,
    Timestamp,
    Body,
    Text(String),
}

/// What a receiver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    /// `sha256`; empty: the secret itself is in the header.
    hash: String,
    /// The signature's header, in lower case.
    header: String,
    /// What stands between entries of a list; empty: it is no list.
    between: String,
    /// What stands before a signature: `v1,`, `sha256=`.
    lead: String,
    /// `hex`, `base64` or `base64url`.
    encoding: String,
    /// `text`, `base64` or `hex`.
    key: String,
    /// What stands before the key in the secret.
    key_prefix: String,
    /// The message id's header; empty: it is not needed.
    id: String,
    /// The timestamp's header; empty: there is none.
    timestamp: String,
    /// What stands before the timestamp in the signature's header; empty: it is not there.
    timestamp_lead: String,
    /// Whether it counts milliseconds.
    millis: bool,
    /// By how many seconds it may be off; 0: it is not judged.
    tolerance: u32,
    /// What is signed.
    pieces: Vec<Piece>,
}

/// A scheme as it is written.
#[derive(Deserialize)]
struct Written {
    algorithm: String,
    #[serde(default)]
    key: Key,
    signature: Option<Place>,
    #[serde(default)]
    signed: Option<String>,
    timestamp: Option<Instant>,
    tolerance: Option<u32>,
    id: Option<String>,
}

#[derive(Default, Deserialize)]
struct Key {
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    prefix: Option<String>,
}

#[derive(Deserialize)]
struct Place {
    #[serde(rename = "in")]
    spot: String,
    #[serde(default)]
    prefix: String,
    between: Option<String>,
    assign: Option<String>,
    label: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct Instant {
    #[serde(rename = "in")]
    spot: String,
    unit: String,
}

impl Recipe {
    /// Of a profile; `None`: it signs in a way that takes more than a few lines.
    pub(super) fn of(profile: &Profile) -> Option<Self> {
        Recipe::read(profile.scheme.as_ref()?)
    }

    fn read(scheme: &Scheme) -> Option<Self> {
        let written: Written = serde_json::from_value(serde_json::to_value(scheme).ok()?).ok()?;
        let hash = match written.algorithm.as_str() {
            "token" => "",
            other => other.strip_prefix("hmac-")?,
        };
        let place = written.signature?;
        let assign = place.assign.unwrap_or_else(|| "=".to_owned());
        let lead = format!("{}{}", place.prefix, place.label.map(|label| label + &assign).unwrap_or_default());
        let pieces = if hash.is_empty() { Vec::new() } else { pieces(written.signed.as_deref().unwrap_or("{body}"))? };
        let needs = |piece: &Piece| pieces.contains(piece);
        let id = if needs(&Piece::Id) { header(&written.id?)? } else { String::new() };
        let (mut timestamp, mut timestamp_lead, mut millis) = (String::new(), String::new(), false);
        if let Some(at) = written.timestamp.filter(|_| needs(&Piece::Timestamp)) {
            match at.spot.split_once(':') {
                Some(("header", name)) => timestamp = name.to_lowercase(),
                Some(("field", name)) => timestamp_lead = format!("{name}{assign}"),
                _ => return None,
            }
            millis = match at.unit.as_str() {
                "s" => false,
                "ms" => true,
                _ => return None,
            };
        } else if needs(&Piece::Timestamp) {
            return None;
        }
        let judged = needs(&Piece::Timestamp);
        let recipe = Recipe {
            hash: hash.to_owned(),
            header: header(&place.spot)?,
            between: place.between.unwrap_or_default(),
            lead,
            encoding: place.encoding.unwrap_or_else(|| "hex".to_owned()),
            key: written.key.encoding.unwrap_or_else(|| "text".to_owned()),
            key_prefix: written.key.prefix.unwrap_or_default(),
            id,
            timestamp,
            timestamp_lead,
            millis,
            tolerance: if judged { written.tolerance.unwrap_or(TOLERANCE_S) } else { 0 },
            pieces,
        };
        recipe.plain().then_some(recipe)
    }

    /// Whether everything in it means itself between quotes.
    fn plain(&self) -> bool {
        let texts = self.pieces.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text) } else { None });
        let own = [&self.header, &self.between, &self.lead, &self.key_prefix, &self.id, &self.timestamp, &self.timestamp_lead];
        let word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let plain = |text: &String| text.chars().all(|c| c.is_ascii_alphanumeric() || PLAIN.contains(c));
        // A key's prefix stands in a pattern, and so does what stands between entries.
        word(&self.key_prefix) && !self.between.contains(['.', '|', '*', '+']) && own.into_iter().chain(texts).all(plain)
    }

    /// The pieces, each written by `write`, with something between them.
    fn joined(&self, between: &str, write: impl Fn(&Piece) -> String) -> String {
        self.pieces.iter().map(write).collect::<Vec<_>>().join(between)
    }

    /// The code in a language of [`LANGUAGES`]; `None`: another one.
    pub(super) fn code(&self, language: &str) -> Option<String> {
        let made = match language {
            "javascript" => JavaScript { r: self }.render(),
            "python" => Python { r: self }.render(),
            "go" => Go { r: self }.render(),
            "ruby" => Ruby { r: self }.render(),
            "php" => Php { r: self }.render(),
            "java" => Java { r: self }.render(),
            _ => return None,
        };
        made.ok()
    }

    /// Headers that prove something, for people.
    pub(super) fn headers(&self) -> Vec<&str> {
        [&self.id, &self.timestamp, &self.header].into_iter().map(String::as_str).filter(|name| !name.is_empty()).collect()
    }

    /// Whether the secret itself is sent.
    pub(super) fn sends_secret(&self) -> bool {
        self.hash.is_empty()
    }

    /// Whether a timestamp is signed.
    fn timed(&self) -> bool {
        self.pieces.contains(&Piece::Timestamp)
    }

    /// How many of its units are a second.
    fn unit(&self) -> u32 {
        if self.millis { 1000 } else { 1 }
    }
}

/// The name of a header, in lower case.
fn header(spot: &str) -> Option<String> {
    spot.strip_prefix("header:").filter(|name| !name.contains('{')).map(str::to_lowercase)
}

/// What a template covers.
fn pieces(template: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        pieces.push(match name {
            "id" => Piece::Id,
            "timestamp" => Piece::Timestamp,
            "body" => Piece::Body,
            _ => return None,
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Some(pieces)
}

#[derive(Template)]
#[template(path = "portal/verify/javascript.txt")]
struct JavaScript<'r> {
    r: &'r Recipe,
}

impl JavaScript<'_> {
    fn signed(&self) -> String {
        self.r.joined(", ", |piece| match piece {
            Piece::Id => "id".to_owned(),
            Piece::Timestamp => "timestamp".to_owned(),
            Piece::Body => "body".to_owned(),
            Piece::Text(text) => format!("\"{text}\""),
        })
    }
}

#[derive(Template)]
#[template(path = "portal/verify/python.txt")]
struct Python<'r> {
    r: &'r Recipe,
}

impl Python<'_> {
    fn signed(&self) -> String {
        self.r.joined(" + ", |piece| match piece {
            Piece::Id => "id.encode()".to_owned(),
            Piece::Timestamp => "timestamp.encode()".to_owned(),
            Piece::Body => "body".to_owned(),
            Piece::Text(text) => format!("b\"{text}\""),
        })
    }
}

#[derive(Template)]
#[template(path = "portal/verify/go.txt")]
struct Go<'r> {
    r: &'r Recipe,
}

impl Go<'_> {
    fn signed(&self) -> String {
        self.r.joined(", ", |piece| match piece {
            Piece::Id => "[]byte(id)".to_owned(),
            Piece::Timestamp => "[]byte(timestamp)".to_owned(),
            Piece::Body => "body".to_owned(),
            Piece::Text(text) => format!("[]byte(\"{text}\")"),
        })
    }

    fn package(&self) -> &str {
        match self.r.hash.as_str() {
            "sha384" => "sha512",
            other => other,
        }
    }

    fn new_hash(&self) -> &str {
        match self.r.hash.as_str() {
            "sha1" => "sha1.New",
            "sha384" => "sha512.New384",
            "sha512" => "sha512.New",
            _ => "sha256.New",
        }
    }
}

#[derive(Template)]
#[template(path = "portal/verify/ruby.txt")]
struct Ruby<'r> {
    r: &'r Recipe,
}

impl Ruby<'_> {
    fn signed(&self) -> String {
        self.r.joined(" + ", |piece| match piece {
            Piece::Id => "id.b".to_owned(),
            Piece::Timestamp => "timestamp.b".to_owned(),
            Piece::Body => "body.b".to_owned(),
            Piece::Text(text) => format!("'{text}'"),
        })
    }
}

#[derive(Template)]
#[template(path = "portal/verify/php.txt")]
struct Php<'r> {
    r: &'r Recipe,
}

impl Php<'_> {
    fn signed(&self) -> String {
        self.r.joined(" . ", |piece| match piece {
            Piece::Id => "$id".to_owned(),
            Piece::Timestamp => "$timestamp".to_owned(),
            Piece::Body => "$body".to_owned(),
            Piece::Text(text) => format!("'{text}'"),
        })
    }
}

#[derive(Template)]
#[template(path = "portal/verify/java.txt")]
struct Java<'r> {
    r: &'r Recipe,
}

impl Java<'_> {
    fn signed(&self) -> String {
        self.r.joined(", ", |piece| match piece {
            Piece::Id => "id.getBytes(UTF_8)".to_owned(),
            Piece::Timestamp => "timestamp.getBytes(UTF_8)".to_owned(),
            Piece::Body => "body".to_owned(),
            Piece::Text(text) => format!("\"{text}\".getBytes(UTF_8)"),
        })
    }

    fn mac(&self) -> String {
        format!("HmacSHA{}", self.r.hash.trim_start_matches("sha"))
    }
}

#[cfg(test)]
mod tests;
