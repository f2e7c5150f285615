//! What comes in: JSON bodies, queries and path parameters, refused with a problem that names the place. And instants, as
//! they are written in JSON.

use super::problem::{Problem, ValidationErrorItem};
use crate::{
    inbound::linger,
    model::{LATEST, Time},
};
use axum::{
    BoxError,
    body::{Bytes, HttpBody},
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use utoipa::IntoParams;

/// Bodies up to this many bytes are copied out of the connection's read buffer; longer ones fill most of it.
const COPIED: usize = 16 * 1024;
/// Parameters of different names in a query, at most.
const MAX_PARAMETERS: usize = 64;
/// The longest query string, in bytes.
const MAX_QUERY_BYTES: usize = 16 * 1024;

/// A JSON body, with the bytes it was read from. The limit on its size is the router's.
#[derive(Debug)]
pub struct Json<T> {
    /// What it says.
    pub value: T,
    /// As it was sent.
    pub bytes: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let RawJson(bytes) = RawJson::from_request(request, state).await?;
        parse_json(&bytes).map(|value| Json { value, bytes })
    }
}

/// A JSON body that may be left out, whatever an empty one is said to be. With the bytes it was read from.
#[derive(Debug)]
pub struct MaybeJson<T> {
    /// What it says; the default when there is none.
    pub value: T,
    /// As it was sent.
    pub bytes: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let json = says_json(request.headers());
        let bytes = whole(request).await?;
        match (bytes.is_empty(), json) {
            (true, _) => Ok(MaybeJson { value: T::default(), bytes }),
            (false, true) => parse_json(&bytes).map(|value| MaybeJson { value, bytes }),
            (false, false) => Err(Problem::NotJson),
        }
    }
}

/// The bytes of a body that is said to be JSON, for who reads them without copying.
#[derive(Debug)]
pub struct RawJson(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !says_json(request.headers()) {
            return Err(Problem::NotJson);
        }
        whole(request).await.map(RawJson)
    }
}

impl RawJson {
    /// The body of a request with these headers, of at most `limit` bytes.
    ///
    /// # Errors
    /// 415 when it is said to be something else, 413 when it is longer, 400 when it does not come whole.
    pub async fn read<B: Incoming>(headers: &HeaderMap, body: &mut B, limit: usize) -> Result<Self, Problem> {
        if !says_json(headers) {
            return Err(Problem::NotJson);
        }
        bounded(body, limit).await.map(RawJson)
    }
}

/// A body as it comes in.
pub trait Incoming: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static {}

impl<B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static> Incoming for B {}

/// Layered on routes: the longest body that they take, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

async fn whole(request: Request) -> Result<Bytes, Problem> {
    let (parts, mut body) = request.into_parts();
    let limit = parts.extensions.get::<BodyLimit>().map_or(COPIED, |limit| limit.0);
    let read = bounded(&mut body, limit).await;
    if read.is_err() {
        linger(&parts.headers, body);
    }
    read
}

/// Whoever announces too much is refused before anything is read.
async fn bounded<B: Incoming>(body: &mut B, limit: usize) -> Result<Bytes, Problem> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Problem::TooLarge);
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(owned(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::TooLarge),
        Err(_) => Err(Problem::bad_request("unreadable_body", "The body ended early or could not be read.")),
    }
}

/// The body in memory of its own: a slice of a connection's read buffer keeps all of that buffer alive for as long as the
/// message waits.
fn owned(bytes: Bytes) -> Bytes {
    if bytes.len() <= COPIED { Bytes::copy_from_slice(&bytes) } else { bytes }
}

/// Nothing said, or any form of JSON. Compatible clients leave the type out on bodies of one or two operations.
fn says_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.is_empty() || essence == "application/json" || essence.ends_with("+json")
}

/// Reads JSON. Nesting is bounded by the parser (128), and a field that a struct names may come once only.
///
/// # Errors
/// 400 when it is not JSON, 422 naming the place when it is not what is asked for.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Every body of the API is an object; a derived struct would also be read from an array, field by field.
    let listed = bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
    // The fast way first; where the fault is, is looked for only when there is one.
    let error = match serde_json::from_slice(bytes) {
        Ok(_) if listed => return Err(fault("body", &[], "invalid type: sequence, expected an object")),
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    // A word that is none of a list of words, such as a number, is a fault of syntax to the parser, though it is JSON.
    let well_formed = || std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    if !error.is_data() && !well_formed() {
        return Err(Problem::bad_request("malformed_json", format!("The body is not JSON: {error}.")));
    }
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut parser) {
        Ok(_) => Err(fault("body", &[], &error.to_string())),
        Err(placed) if placed.inner().is_data() => Err(fault("body", &segments(placed.path()), &placed.inner().to_string())),
        Err(placed) => Err(fault("body", &segments(placed.path()), "invalid type: it is not what is described")),
    }
}

fn segments(path: &serde_path_to_error::Path) -> Vec<String> {
    use serde_path_to_error::Segment;
    path.iter()
        .filter(|s| !matches!(s, Segment::Unknown))
        .map(ToString::to_string)
        .map(|s| s.trim_matches(['[', ']']).into())
        .collect()
}

/// A 422 from what serde says, e.g. ``missing field `name` at line 1 column 2``.
fn fault(root: &str, path: &[String], said: &str) -> Problem {
    let msg = plain(said.split(" at line ").next().unwrap_or(said));
    let mut loc: Vec<String> = std::iter::once(root.to_owned()).chain(path.iter().cloned()).collect();
    let named = msg.split('`').nth(1).map(str::to_owned);
    let kind = match (msg.split(' ').next(), named) {
        (Some("missing"), Some(field)) => {
            loc.push(field);
            "missing"
        }
        (Some("unknown"), _) => "unknown",
        (Some("duplicate"), Some(field)) => {
            loc.push(field);
            "duplicate"
        }
        _ => "type_error",
    };
    Problem::Invalid(vec![ValidationErrorItem { loc, msg: msg.into(), kind: kind.into() }])
}

/// What serde says, without the names of our types.
fn plain(said: &str) -> String {
    if said.starts_with("data did not match any variant") {
        return "it has none of the forms that are allowed here".to_owned();
    }
    if let Some((before, _)) = said.split_once("expected struct ") {
        return format!("{before}expected an object");
    }
    // What is wrong with a number in a query is said without what it should be.
    if ["invalid digit found in string", "number too large to fit in target type"].contains(&said) {
        return format!("{said}: expected a whole number within the bounds that are described");
    }
    match said.rsplit_once("expected ").and_then(|(before, name)| Some((before, whole_number(name)?))) {
        Some((before, rule)) => format!("{before}expected {rule}"),
        None => said.to_owned(),
    }
}

/// What a whole number of this type may be.
fn whole_number(name: &str) -> Option<String> {
    let (least, most) = match name {
        "u8" => (0, u64::from(u8::MAX)),
        "u16" => (0, u64::from(u16::MAX)),
        "u32" => (0, u64::from(u32::MAX)),
        "u64" | "usize" => return Some("a whole number from 0".to_owned()),
        "i32" => (i64::from(i32::MIN), i32::MAX.unsigned_abs().into()),
        "i64" => return Some("a whole number".to_owned()),
        _ => return None,
    };
    Some(format!("a whole number from {least} to {most}"))
}

/// The query, read into a struct; what the struct does not name is ignored, so that a handler may take several of them.
/// A parameter that is repeated is joined with commas, as clients that send lists either way expect.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse_query(parts.uri.query().unwrap_or_default()).map(Query)
    }
}

/// The query, read into two structs that name all there may be: what neither names is refused.
#[derive(Debug)]
pub struct OnlyQuery<P, F>(pub P, pub F);

impl<S: Send + Sync, P: DeserializeOwned + IntoParams, F: DeserializeOwned + IntoParams> FromRequestParts<S> for OnlyQuery<P, F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let read = OnlyQuery(parse_query(query)?, parse_query(query)?);
        let known = [P::into_params(|| None), F::into_params(|| None)].concat();
        match form_urlencoded::parse(query.as_bytes()).find(|(name, _)| known.iter().all(|known| known.name != *name)) {
            None => Ok(read),
            Some((name, _)) => {
                let known: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
                let rule = format!("There is no such parameter; there are: {}.", known.join(", "));
                Err(Problem::field(&["query", &name], "unknown", rule))
            }
        }
    }
}

/// Reads a query string.
///
/// # Errors
/// 422 naming the parameter.
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(Problem::field(&["query"], "length", "The query is too long."));
    }
    let joined = joined(query)?;
    let pairs = form_urlencoded::parse(joined.as_deref().unwrap_or(query).as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs))
        .map_err(|placed| fault("query", &segments(placed.path()), &placed.inner().to_string()))
}

/// The query with repeated parameters joined; `None` when none is.
///
/// # Errors
/// 422: it has more names than any operation knows, each of which would be compared with all others.
fn joined(query: &str) -> Result<Option<String>, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut repeated = false;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let full = pairs.len() >= MAX_PARAMETERS;
        match pairs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, list)) => {
                repeated = true;
                list.push(',');
                list.push_str(&value);
            }
            None if full => {
                let rule = format!("It names at most {MAX_PARAMETERS} parameters.");
                return Err(Problem::field(&["query"], "length", rule));
            }
            None => pairs.push((name.into_owned(), value.into_owned())),
        }
    }
    Ok(repeated.then(|| form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()))
}

/// Path parameters.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        // Only bytes that are not UTF-8 get here: nothing has such a name.
        read.map(|path| Path(path.0)).map_err(|_| Problem::not_found("resource"))
    }
}

/// An answer with a JSON body that is text already.
#[must_use]
pub fn json_text(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What is to be answered, as JSON text.
///
/// # Errors
/// 500 when it cannot be written, which our own types never cause.
pub fn to_text(body: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(body).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Problem::Internal
    })
}

/// An instant in JSON: RFC 3339. In schemas: `value_type = String, format = DateTime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub Time);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let rule = || format!("an instant in the form of RFC 3339 is needed, from {} to {LATEST}", Time(0));
        let refused = || serde::de::Error::custom(rule());
        Time::parse(&text).map(Stamp).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Form {
        name: String,
        #[serde(default)]
        list: Vec<Inner>,
        at: Option<Stamp>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        rate: u16,
    }

    fn place(text: &str) -> (Vec<String>, String) {
        match parse_json::<Form>(text.as_bytes()) {
            Err(Problem::Invalid(mut items)) => {
                let item = items.remove(0);
                (item.loc, item.kind.into_owned())
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn faults_are_placed() {
        let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(place("{}"), (strings(&["body", "name"]), "missing".into()));
        assert_eq!(
            place(r#"{"name":"x","list":[{"rate":1},{"rate":"y"}]}"#),
            (strings(&["body", "list", "1", "rate"]), "type_error".into())
        );
        assert_eq!(place(r#"{"name":"x","list":[{}]}"#), (strings(&["body", "list", "0", "rate"]), "missing".into()));
        assert_eq!(place(r#"{"name":"x","name":"y"}"#), (strings(&["body", "name"]), "duplicate".into()));
        assert_eq!(place(r#"{"name":"x","at":"soon"}"#), (strings(&["body", "at"]), "type_error".into()));
        assert_eq!(place("[]"), (strings(&["body"]), "type_error".into()));
        assert_eq!(place(r#"["x",[],null]"#), (strings(&["body"]), "type_error".into()));
    }

    #[test]
    fn our_types_are_not_named() {
        let Err(Problem::Invalid(items)) = parse_json::<Form>(br#"{"name":"x","list":[7]}"#) else { panic!() };
        assert_eq!(items[0].msg, "invalid type: integer `7`, expected an object");
        let said = parse_json::<Vec<u16>>(b"[70000]").unwrap_err();
        let Problem::Invalid(items) = said else { panic!("{said:?}") };
        assert_eq!(items[0].msg, "invalid value: integer `70000`, expected a whole number from 0 to 65535");
        assert_eq!(
            plain("invalid type: string \"x\", expected u32"),
            "invalid type: string \"x\", expected a whole number from 0 to 4294967295"
        );
        assert_eq!(plain("invalid type: null, expected a string"), "invalid type: null, expected a string");
    }

    #[test]
    fn what_is_not_json_is_a_400() {
        let deep = format!(r#"{{"name":"x","unknown":{}"#, "[".repeat(100_000));
        for text in ["", "{", r#"{"name":}"#, r#"{"name":"x"} {}"#, deep.as_str()] {
            assert_eq!(
                parse_json::<Form>(text.as_bytes()).unwrap_err().status(),
                StatusCode::BAD_REQUEST,
                "{}",
                &text[..text.len().min(20)]
            );
        }
        assert_eq!(parse_json::<Form>(b"{\"name\":\"\xff\"}").unwrap_err().status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn content_types_are_taken_leniently() {
        let said = |text: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            text.map(|t| headers.insert(header::CONTENT_TYPE, t.parse().unwrap()));
            says_json(&headers)
        };
        assert!(said(None) && said(Some("application/json; charset=utf-8")) && said(Some("application/merge-patch+json")));
        assert!(!said(Some("text/plain")) && !said(Some("application/x-www-form-urlencoded")));
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Asked {
        limit: Option<u64>,
        tags: Option<String>,
    }

    #[test]
    fn queries_join_what_is_repeated() {
        let asked: Asked = parse_query("limit=5&tags=a&tags=b%26c&other=1").unwrap();
        assert_eq!(asked, Asked { limit: Some(5), tags: Some("a,b&c".into()) });
        for bad in ["limit=x", "limit=-1", "limit=1&limit=2", "limit="] {
            let Err(Problem::Invalid(items)) = parse_query::<Asked>(bad) else { panic!("{bad}") };
            assert_eq!(items[0].loc, ["query", "limit"], "{bad}");
        }
        let many = |count: usize| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert!(parse_query::<Asked>(&many(MAX_PARAMETERS)).is_ok() && parse_query::<Asked>(&many(MAX_PARAMETERS + 1)).is_err());
        assert!(parse_query::<Asked>(&"tags=a&".repeat(1_000)).is_ok(), "one name as often as one likes");
    }

    #[test]
    fn raw_values_keep_their_bytes() {
        #[derive(Deserialize)]
        struct Raw {
            payload: Box<serde_json::value::RawValue>,
        }
        let raw: Raw = parse_json(br#"{"payload": {"a":1.0, "a" : 1e2}}"#).unwrap();
        assert_eq!(raw.payload.get(), r#"{"a":1.0, "a" : 1e2}"#);
    }
}
