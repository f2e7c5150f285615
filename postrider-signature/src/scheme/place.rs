//! Where a text of a request is: a header, the query, a form, the JSON body, or a field of the signature header.

use crate::{
    Refusal, Request,
    json::{self, Path},
    special::{pairs, query_value},
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// Bytes of a header, of a query or of a found text that are looked at.
pub(crate) const MAX_TEXT_BYTES: usize = 8 * 1024;
/// Bytes of a name of a header, of a query's parameter or of a field.
const MAX_NAME_BYTES: usize = 128;
/// Alternatives of a place, and texts joined in one.
const MAX_PARTS: usize = 8;
/// Bytes of a form that are looked at.
const MAX_FORM_BYTES: usize = 1024 * 1024;

/// One text of a request: `header:X-Signature`, `query:token`, `form:command`, `body:data.id`, `field:t`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Spot {
    /// The first header of that name. `{n}` in it stands for 1, 2, …: one signature in each.
    Header(String),
    /// A parameter of the URL's query.
    Query(String),
    /// A field of a form (`application/x-www-form-urlencoded`).
    Form(String),
    /// A value of the JSON body; the path as it was written, and read.
    Body(String),
    /// A field of the signature header, if that is a list.
    Field(String),
}

impl TryFrom<String> for Spot {
    type Error = String;

    fn try_from(text: String) -> Result<Spot, String> {
        let (kind, name) = text.split_once(':').ok_or_else(|| format!("`{text}` is not of the form `header:Name`"))?;
        let token = |c: u8| c.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&c);
        let plain = !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(token);
        match kind {
            "body" => Path::parse(name).map(|_| Spot::Body(name.to_owned())).map_err(|rule| format!("`{text}`: {rule}")),
            _ if !plain => Err(format!("`{text}`: a name is 1 to 128 letters, digits and marks that a header's name may have")),
            "header" => Ok(Spot::Header(name.to_owned())),
            "query" => Ok(Spot::Query(name.to_owned())),
            "form" => Ok(Spot::Form(name.to_owned())),
            "field" => Ok(Spot::Field(name.to_owned())),
            _ => Err(format!("`{text}` begins with none of header:, query:, form:, body:, field:")),
        }
    }
}

impl From<Spot> for String {
    fn from(spot: Spot) -> String {
        spot.to_string()
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spot::Header(name) => write!(f, "header:{name}"),
            Spot::Query(name) => write!(f, "query:{name}"),
            Spot::Form(name) => write!(f, "form:{name}"),
            Spot::Body(path) => write!(f, "body:{path}"),
            Spot::Field(name) => write!(f, "field:{name}"),
        }
    }
}

impl Spot {
    /// Whether finding it means reading the body, which is done only when the body is known to be genuine.
    pub(crate) fn in_body(&self) -> bool {
        matches!(self, Spot::Body(_) | Spot::Form(_))
    }

    /// What is said when nothing is there.
    pub(crate) fn missing(&self) -> Refusal {
        match self {
            Spot::Header(name) => Refusal::MissingHeader(name.replace("{n}", "1").into()),
            Spot::Query(name) | Spot::Form(name) | Spot::Body(name) | Spot::Field(name) => {
                Refusal::MissingField(name.clone().into())
            }
        }
    }

    /// The texts there; more than one only for `[]`.
    pub(crate) fn texts<'a>(&self, request: &Request<'a>, fields: &[(&str, &'a str)]) -> Vec<Cow<'a, str>> {
        match self {
            Spot::Header(name) => {
                request.header(name).and_then(|value| str::from_utf8(value).ok()).map(Cow::Borrowed).into_iter().collect()
            }
            Spot::Query(name) => {
                let value = query_value(request.url, name).and_then(|value| String::from_utf8(value).ok());
                value.map(Cow::Owned).into_iter().collect()
            }
            Spot::Form(name) => {
                let form = request.body.get(..request.body.len().min(MAX_FORM_BYTES)).unwrap_or_default();
                parameter(form, name).into_iter().collect()
            }
            Spot::Body(path) => {
                let found = || -> Option<Vec<String>> {
                    Path::parse(path).ok()?.find(json::raw(request.body)?)?.into_iter().map(json::scalar).collect()
                };
                found().unwrap_or_default().into_iter().map(Cow::Owned).collect()
            }
            Spot::Field(name) => {
                fields.iter().find(|(label, _)| label == name).map(|(_, value)| Cow::Borrowed(*value)).into_iter().collect()
            }
        }
    }

    /// The one text there, not empty and within bounds.
    pub(crate) fn text<'a>(&self, request: &Request<'a>, fields: &[(&str, &'a str)]) -> Option<Cow<'a, str>> {
        self.texts(request, fields).into_iter().next().filter(|text| !text.is_empty() && text.len() <= MAX_TEXT_BYTES)
    }
}

/// The first parameter of that name of a form.
fn parameter<'a>(form: &[u8], name: &str) -> Option<Cow<'a, str>> {
    let (_, value) = pairs(form)?.into_iter().find(|(key, _)| key == name.as_bytes())?;
    String::from_utf8(value).ok().map(Cow::Owned)
}

/// Where something optional is: alternatives, the first that is there counts; each one text, or several joined with a dot
/// (`header:Resource + body:action`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Place(pub(crate) Vec<Vec<Spot>>);

/// A place as it is written: one text, or a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    One(String),
    Several(Vec<String>),
}

impl TryFrom<Written> for Place {
    type Error = String;

    fn try_from(written: Written) -> Result<Place, String> {
        let all = match written {
            Written::One(text) => vec![text],
            Written::Several(texts) => texts,
        };
        let joined = |text: &String| text.split(" + ").map(|part| Spot::try_from(part.trim().to_owned())).collect();
        let parts: Vec<Vec<Spot>> = all.iter().map(joined).collect::<Result<_, _>>()?;
        if parts.is_empty() || parts.len() > MAX_PARTS || parts.iter().any(|part| part.len() > MAX_PARTS) {
            return Err("a place has 1 to 8 alternatives, each of 1 to 8 parts".into());
        }
        Ok(Place(parts))
    }
}

impl From<Place> for Written {
    fn from(place: Place) -> Written {
        let mut all: Vec<String> =
            place.0.iter().map(|part| part.iter().map(Spot::to_string).collect::<Vec<_>>().join(" + ")).collect();
        match all.pop() {
            Some(one) if all.is_empty() => Written::One(one),
            last => Written::Several(all.into_iter().chain(last).collect()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { ", else " })?;
            let part: Vec<String> = part.iter().map(Spot::to_string).collect();
            f.write_str(&part.join(" + "))?;
        }
        Ok(())
    }
}

impl Place {
    /// The text there, up to 8 KiB.
    pub(crate) fn text(&self, request: &Request<'_>, fields: &[(&str, &str)]) -> Option<String> {
        self.text_within(request, fields, MAX_TEXT_BYTES)
    }

    /// The text there, however long.
    pub(crate) fn whole(&self, request: &Request<'_>, fields: &[(&str, &str)]) -> Option<String> {
        self.text_within(request, fields, usize::MAX)
    }

    fn text_within(&self, request: &Request<'_>, fields: &[(&str, &str)], limit: usize) -> Option<String> {
        self.0.iter().find_map(|part| {
            let texts: Option<Vec<_>> = part.iter().map(|spot| spot.texts(request, fields).into_iter().next()).collect();
            Some(texts?.join(".")).filter(|text| !text.is_empty() && text.len() <= limit)
        })
    }

    /// The spot that comes first, if it stands alone.
    pub(crate) fn first(&self) -> Option<&Spot> {
        self.0.first().filter(|part| part.len() == 1)?.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written() {
        for json in [r#""header:X-A""#, r#"["header:X-A + body:a.b","query:q"]"#] {
            let place: Place = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&place).unwrap(), json);
        }
        for json in [r#""X-A""#, r#""head:X-A""#, r#""header:""#, r#""header:a b""#, r#""body:a..b""#, "[]"] {
            assert!(serde_json::from_str::<Place>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn texts_are_found() {
        let headers = [("x-a", b"1".as_slice())];
        let url = "https://x.example/?q=a%2Bb+c&r";
        let request = Request { method: "POST", url, headers: &headers, body: br#"{"a":{"b":"2"}}"# };
        let text = |json: &str| serde_json::from_str::<Place>(json).unwrap().text(&request, &[("t", "9")]);
        assert_eq!(text(r#""header:X-A + body:a.b""#), Some("1.2".into()));
        assert_eq!(text(r#"["header:X-B","query:q"]"#), Some("a+b c".into()));
        assert_eq!(text(r#""field:t""#), Some("9".into()));
        assert_eq!(text(r#""query:r""#), None, "empty");
        let form = Request { body: b"payload=%7B%7D&command=%2Fgo", ..request };
        assert_eq!(Spot::Form("command".into()).text(&form, &[]), Some("/go".into()));
    }
}
