//! What people fill in: forms that were sent from our own pages by somebody who may, and the text of links.

use super::{
    Dashboard,
    error::PageError,
    page::{Page, Shell},
    visitor::Visitor,
};
use crate::{
    api::Problem,
    model::{Role, Time},
};
use askama::Template;
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, Method, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The field that proves that a form is ours.
const TOKEN_FIELD: &str = "form_token";

/// The field with the question that is to be answered first. The page's script asks it and takes the field away; where it has
/// not, a page asks, and sends the same form without the field.
const ASK_FIELD: &str = "ask";

/// Asks before what cannot be undone is done.
#[derive(Template)]
#[template(path = "dashboard/ask.html")]
struct Ask<'a> {
    shell: Shell,
    question: &'a str,
    action: String,
    fields: Vec<(&'a str, &'a str)>,
}

/// The question of a form that is to be answered first.
pub(super) fn question(fields: &Fields) -> Option<&str> {
    fields.given(ASK_FIELD)
}

/// What a form says beside its question.
pub(super) fn rest(fields: &Fields) -> Vec<(&str, &str)> {
    fields.0.iter().filter(|(name, _)| name != ASK_FIELD).map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Fields in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(pub(super) Vec<(String, String)>);

impl Fields {
    /// The fields of a query or of a form's body.
    pub(super) fn parse(text: &[u8]) -> Self {
        Fields(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The field of that name, without spaces around it; empty when there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The field of that name as it was sent.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    /// The field of that name, unless it is empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Whether a box was ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        !self.raw(name).is_empty()
    }

    /// Every field of that name that is not empty.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(known, value)| known == name && !value.trim().is_empty());
        named.map(|(_, value)| value.trim().to_owned()).collect()
    }

    /// A query of these pairs, and of our fields under the API's names where they are given.
    pub(super) fn query(&self, fixed: &[(&str, &str)], names: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(fixed);
        query.extend_pairs(names.iter().filter_map(|(ours, theirs)| Some((theirs, self.given(ours)?))));
        query.finish()
    }

    /// Refuses what would be ignored: a field that is none of these, or that is given twice.
    ///
    /// # Errors
    /// The name of the first such field.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), Problem> {
        let mut seen: Vec<&str> = Vec::new();
        for (name, _) in self.0.iter().filter(|(_, value)| !value.trim().is_empty()) {
            if !names.contains(&name.as_str()) {
                return Err(Problem::field(&[], "unknown", format!("There is no filter called {name}.")));
            }
            if seen.contains(&name.as_str()) {
                return Err(Problem::field(&[], "repeated", format!("Give {name} once.")));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// Refuses a choice that is none of these.
    ///
    /// # Errors
    /// The field's name.
    pub(super) fn one_of(&self, name: &str, known: &[&str]) -> Result<(), Problem> {
        match self.given(name) {
            Some(word) if !known.contains(&word) => Err(Problem::field(&[name], "enum", "There is no such choice.")),
            _ => Ok(()),
        }
    }

    /// Words between commas, spaces or line ends; `None` when there is none.
    pub(super) fn words(&self, name: &str) -> Option<Vec<String>> {
        let words = self.raw(name).split([',', '\n', '\r', ' ', '\t']).map(str::trim).filter(|word| !word.is_empty());
        Some(words.map(str::to_owned).collect::<Vec<_>>()).filter(|words| !words.is_empty())
    }

    /// An instant, as a browser's field of date and time sends it (taken as UTC unless the page has said otherwise).
    pub(super) fn time(&self, name: &str) -> Result<Option<Time>, Problem> {
        let Some(text) = self.given(name) else { return Ok(None) };
        instant(text).map(Some).ok_or_else(|| Problem::field(&[name], "time", "This is not an instant."))
    }

    /// `true` or `false`, and nothing else.
    pub(super) fn truth(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Problem::field(&[name], "type_error", "It is true or false.")),
        }
    }

    /// A JSON value; `None` when the field is empty.
    pub(super) fn json(&self, name: &str) -> Result<Option<Value>, Problem> {
        let Some(text) = self.given(name) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| Problem::field(&[name], "json", format!("This is not JSON: {error}.")))
    }
}

/// A form that was sent from a page of ours, by a visitor who may change things. The only way to the API's changes.
pub(super) struct Filled {
    /// Who sent it.
    pub(super) visitor: Visitor,
    /// What it says.
    pub(super) fields: Fields,
}

impl Filled {
    /// Asks the API for a change.
    pub(super) async fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: Value) -> Result<T, Problem> {
        let body = Some(body).filter(|body| !body.is_null());
        self.visitor.desk.call(method, path, body).await
    }

    /// Asks the API for a change, and for nothing else.
    pub(super) async fn change(&self, method: Method, path: &str, body: Value) -> Result<(), Problem> {
        self.send::<Value>(method, path, body).await.map(drop)
    }
}

impl FromRequest<Arc<Dashboard>> for Filled {
    type Rejection = Response;

    async fn from_request(request: Request, dashboard: &Arc<Dashboard>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let refused = |problem| PageError(problem).into_response();
        same_site(&parts.headers, &dashboard_host(&parts.headers)).map_err(refused)?;
        let visitor = Visitor::from_request_parts(&mut parts, dashboard).await?;
        let bytes = Bytes::from_request(Request::from_parts(parts, body), dashboard).await;
        let fields = Fields::parse(&bytes.map_err(|_| refused(Problem::TooLarge))?);
        let ours: bool = fields.raw(TOKEN_FIELD).as_bytes().ct_eq(visitor.form_token.as_bytes()).into();
        if !ours {
            return Err(refused(Problem::forbidden("This form is too old, or not from this site. Load the page again.")));
        }
        // What concerns only the visitor is no change of the organization's.
        let own = visitor.path.starts_with("/dashboard/account") || visitor.path == "/dashboard/sign-out";
        if !own {
            visitor.need(Role::Operator).map_err(refused)?;
        }
        if let Some(question) = question(&fields) {
            let shell = Shell::new(&visitor, question, "");
            let action = visitor.path.clone();
            return Err(Page(Ask { shell, question, action, fields: rest(&fields) }).into_response());
        }
        Ok(Filled { visitor, fields })
    }
}

/// The host that the request was sent to.
pub(super) fn dashboard_host(headers: &HeaderMap) -> String {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned()
}

/// The page on which a request was made, to which its answer leads back: a page itself, or the one from which a form was sent.
pub(super) fn here(parts: &Parts) -> Option<String> {
    if parts.method == Method::GET {
        return parts.uri.path_and_query().map(ToString::to_string);
    }
    let referer = parts.headers.get(header::REFERER)?.to_str().ok()?.parse::<Uri>().ok()?;
    let ours = referer.authority().is_some_and(|authority| authority.as_str() == dashboard_host(&parts.headers));
    referer.path_and_query().filter(|_| ours).map(ToString::to_string)
}

/// Refuses what a browser says that another site has sent.
pub(super) fn same_site(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    let said = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let fetched_elsewhere = said("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let host = said("x-forwarded-host").unwrap_or(host);
    let origin_elsewhere =
        said("origin").is_some_and(|origin| said("sec-fetch-site").is_none() && origin.rsplit('/').next() != Some(host));
    match fetched_elsewhere || origin_elsewhere {
        true => Err(Problem::forbidden("This form was sent from another site.")),
        false => Ok(()),
    }
}

/// The instant that a text says, as [`Fields::time`] reads it.
pub(super) fn instant(text: &str) -> Option<Time> {
    let seconds = if text.len() == "2026-01-01T00:00".len() { ":00" } else { "" };
    Time::parse(text).or_else(|| Time::parse(&format!("{text}{seconds}Z")))
}

/// Text as one segment of a path, or as a value in a query.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_are_meant() {
        let fields = Fields::parse(b"a=+x+&type=one&type=two&type=&words=a%2C+b%0D%0Ac&at=2026-01-02T03:04&json={&box=on");
        assert_eq!((fields.text("a"), fields.raw("a"), fields.given("none")), ("x", " x ", None));
        assert_eq!(fields.all("type"), ["one", "two"]);
        assert_eq!(fields.words("words").unwrap(), ["a", "b", "c"]);
        assert_eq!(fields.time("at").unwrap(), Time::parse("2026-01-02T03:04:00Z"));
        assert!(fields.json("json").is_err() && fields.time("a").is_err() && fields.ticked("box"));
        let said = Fields::parse(b"a=true&b=false&c=0");
        assert!(said.truth("a").unwrap() && !said.truth("b").unwrap() && said.truth("c").is_err() && said.truth("d").is_err());
    }

    #[test]
    fn other_sites_are_told_apart() {
        let with = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            same_site(&headers, "hooks.example:8080").is_ok()
        };
        assert!(with("sec-fetch-site", "same-origin") && with("origin", "https://hooks.example:8080") && with("accept", "x"));
        assert!(!with("sec-fetch-site", "cross-site") && !with("sec-fetch-site", "same-site"));
        assert!(!with("origin", "https://evil.example") && !with("origin", "null"));
    }

    #[test]
    fn segments_hold_anything() {
        assert_eq!(segment("a/b c?ä"), "a%2Fb%20c%3F%C3%A4");
    }
}
