//! What is signed, as a template: `{timestamp}.{body}`. Everything outside braces is taken as it is.

use super::place::Spot;
use crate::{Refusal, Request, Settings};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// The setting that replaces the request's URL, where the sender signs the URL that was registered with it.
pub const CALLBACK_URL: &str = "callback_url";
/// Bytes of a template.
const MAX_BYTES: usize = 1024;
/// Pieces of a template.
const MAX_PIECES: usize = 32;
/// Headers that a signature may say it covers.
const MAX_COVERED: usize = 32;

/// A piece of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text as it stands.
    Text(String),
    /// The body's exact bytes.
    Body,
    /// The URL: the setting [`CALLBACK_URL`], or the one that was called.
    Url,
    /// The method.
    Method,
    /// The event's id, from the scheme's place of it.
    Id,
    /// The timestamp, as the request writes it.
    Timestamp,
    /// A header, a field of the signature header, or another text of the request.
    Spot(Spot),
    /// The values, with dots between them, of the headers that this field of the signature header names, with spaces between them.
    Covered(String),
}

/// What is signed: `{timestamp}.{body}`, `v0:{timestamp}:{body}`, `{url}{body}`.
///
/// Pieces: `{body}`, `{url}`, `{method}`, `{id}`, `{timestamp}`, `{header:Name}`, `{query:name}`, `{field:name}`,
/// `{covered:name}` (the values of the headers that a field of the signature header names).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    pub(crate) pieces: Vec<Piece>,
}

impl Default for Template {
    fn default() -> Self {
        Template { text: "{body}".into(), pieces: vec![Piece::Body] }
    }
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        template.text
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Template, String> {
        if text.len() > MAX_BYTES {
            return Err("a template has at most 1024 bytes".into());
        }
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a { of the template has no }")?;
            pieces.extend(Some(before).filter(|before| !before.is_empty()).map(|before| Piece::Text(before.to_owned())));
            pieces.push(piece(name)?);
            rest = after;
        }
        pieces.extend(Some(rest).filter(|rest| !rest.is_empty()).map(|rest| Piece::Text(rest.to_owned())));
        if pieces.len() > MAX_PIECES {
            return Err("a template has at most 32 pieces".into());
        }
        Ok(Template { text, pieces })
    }
}

fn piece(name: &str) -> Result<Piece, String> {
    match name {
        "body" => Ok(Piece::Body),
        "url" => Ok(Piece::Url),
        "method" => Ok(Piece::Method),
        "id" => Ok(Piece::Id),
        "timestamp" => Ok(Piece::Timestamp),
        _ => match name.split_once(':') {
            Some(("covered", field)) if !field.is_empty() => Ok(Piece::Covered(field.to_owned())),
            Some(("header" | "query" | "field", _)) => Spot::try_from(name.to_owned()).map(Piece::Spot),
            _ => {
                Err(format!("{{{name}}} is no piece: body, url, method, id, timestamp, header:…, query:…, field:… or covered:… is"))
            }
        },
    }
}

/// What the pieces of a template are filled from.
pub(crate) struct Filling<'r, 'a> {
    pub(crate) request: &'r Request<'a>,
    pub(crate) settings: &'r Settings,
    /// The fields of the signature header, if it is a list.
    pub(crate) fields: &'r [(&'a str, &'a str)],
    pub(crate) id: Option<&'r str>,
    pub(crate) timestamp: Option<&'r str>,
}

impl Template {
    /// Whether a piece is in it.
    pub(crate) fn has(&self, piece: &Piece) -> bool {
        self.pieces.contains(piece)
    }

    /// The name of the field by which a signature says which headers it covers.
    pub(crate) fn covered(&self) -> Option<&str> {
        self.pieces.iter().find_map(|piece| if let Piece::Covered(field) = piece { Some(field.as_str()) } else { None })
    }

    /// The bytes that are signed, in pieces.
    pub(crate) fn fill<'t>(&'t self, from: &Filling<'t, 't>) -> Result<Vec<Cow<'t, [u8]>>, Refusal> {
        self.pieces.iter().map(|piece| from.piece(piece)).collect()
    }
}

impl<'t> Filling<'t, 't> {
    fn piece(&self, piece: &'t Piece) -> Result<Cow<'t, [u8]>, Refusal> {
        Ok(match piece {
            Piece::Text(text) => text.as_bytes().into(),
            Piece::Body => self.request.body.into(),
            Piece::Url => self.settings.get(CALLBACK_URL).map_or(self.request.url, String::as_str).as_bytes().into(),
            Piece::Method => self.request.method.as_bytes().into(),
            Piece::Id => self.id.ok_or(Refusal::MissingField("id".into()))?.as_bytes().into(),
            Piece::Timestamp => self.timestamp.ok_or(Refusal::MissingField("timestamp".into()))?.as_bytes().into(),
            Piece::Spot(Spot::Header(name)) => {
                self.request.header(name).ok_or_else(|| Refusal::MissingHeader(name.clone().into()))?.into()
            }
            Piece::Spot(spot) => {
                let text = spot.texts(self.request, self.fields).into_iter().next();
                text.ok_or_else(|| spot.missing())?.into_owned().into_bytes().into()
            }
            Piece::Covered(field) => self.covered(field)?.into(),
        })
    }

    fn covered(&self, field: &str) -> Result<Vec<u8>, Refusal> {
        let names = self.fields.iter().find(|(label, _)| *label == field).map(|(_, value)| *value);
        let names = names.ok_or_else(|| Refusal::MissingField(field.to_owned().into()))?;
        if names.split(' ').count() > MAX_COVERED {
            return Err(Refusal::Malformed(field.to_owned().into(), "it names more than 32 headers"));
        }
        let value = |name: &str| self.request.header(name).ok_or_else(|| Refusal::MissingHeader(name.to_owned().into()));
        let values: Vec<&[u8]> = names.split(' ').map(value).collect::<Result<_, _>>()?;
        Ok(values.join(b".".as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read() {
        let read = |text: &str| Template::try_from(text.to_owned());
        let template = read("v0:{timestamp}:{body}").unwrap();
        assert_eq!(template.pieces, [Piece::Text("v0:".into()), Piece::Timestamp, Piece::Text(":".into()), Piece::Body]);
        for text in ["{", "{bod}", "{header:}", "{covered:}", "{body:a}", &"{body}".repeat(33), &"x".repeat(1025)] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("a}b").is_ok(), "only an opening brace opens");
    }

    #[test]
    fn templates_are_filled() {
        let headers = [("X-A", b"1".as_slice()), ("x-b", b"2")];
        let request = Request { method: "PUT", url: "https://x.example/", headers: &headers, body: b"{}" };
        let settings = Settings::from([(CALLBACK_URL.to_owned(), "https://y.example/".to_owned())]);
        let fields = [("h", "x-b x-a"), ("bad", "x-c")];
        let from = Filling { request: &request, settings: &settings, fields: &fields, id: Some("i"), timestamp: Some("7") };
        let fill = |text: &str| Template::try_from(text.to_owned()).unwrap().fill(&from).map(|parts| parts.concat());
        assert_eq!(
            fill("{method} {url}|{id}|{timestamp}|{header:x-a}|{field:h}|{covered:h}|{body}").unwrap(),
            b"PUT https://y.example/|i|7|1|x-b x-a|2.1|{}"
        );
        assert_eq!(fill("{covered:bad}"), Err(Refusal::MissingHeader("x-c".into())));
        assert_eq!(fill("{header:x-c}"), Err(Refusal::MissingHeader("x-c".into())));
    }
}
