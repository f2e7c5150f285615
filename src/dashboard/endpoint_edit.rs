//! Making and changing an endpoint: URL, subscriptions, filter with a trial, headers, retries, profile.

use super::{
    Dashboard,
    applications::AppView,
    desk::Desk,
    endpoint::page_path,
    error::{Shown, reasons},
    fields::{Fields, Filled, segment},
    page::{Page, Shell},
    refused::Refused,
    view::pretty,
    visitor::Visitor,
};
use crate::{api::Problem, model::Role};
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::Method,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Fields of the form, by what the API calls them.
const NAMES: [(&str, &str); 8] = [
    ("eventTypes", "types"),
    ("retryPolicy", "retry"),
    ("throttleRate", "throttle"),
    ("path", "ordering_path"),
    ("filter", "filter"),
    ("headers", "headers"),
    ("sample", "sample"),
    ("channels", "channels"),
];

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    const OF_APP: &str = "/dashboard/applications/{app}/endpoints";
    Router::new()
        .route(&format!("{OF_APP}/new"), get(fresh).post(make))
        .route(&format!("{OF_APP}/{{endpoint}}/edit"), get(edit).post(save))
        .route("/dashboard/filter", post(judge))
}

/// An endpoint, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointView {
    /// Identifier.
    pub(super) id: String,
    /// Where deliveries go.
    pub(super) url: String,
    /// For people.
    pub(super) description: String,
    /// Whether deliveries are held.
    pub(super) disabled: bool,
    /// Why.
    #[serde(default)]
    pub(super) disabled_reason: Option<String>,
    /// The owner's own name for it.
    #[serde(default)]
    pub(super) uid: Option<String>,
    /// Subscriptions; `None`: all.
    #[serde(default)]
    pub(super) event_types: Option<Vec<String>>,
    /// Channels; `None`: any.
    #[serde(default)]
    pub(super) channels: Option<Vec<String>>,
    /// Conditions on payloads.
    #[serde(default)]
    pub(super) filter: Option<Value>,
    /// How its deliveries look.
    #[serde(default)]
    pub(super) profile: Option<String>,
    /// When failed ones are tried again.
    #[serde(default)]
    pub(super) retry_policy: Option<Value>,
    /// Deliveries a second at most.
    #[serde(default)]
    pub(super) throttle_rate: Option<u64>,
    /// Attempts at once at most.
    #[serde(default)]
    pub(super) concurrency: Option<u64>,
    /// Which of its deliveries go one after the other.
    #[serde(default)]
    pub(super) ordering: Option<OrderView>,
    /// Since when it is there.
    pub(super) created_at: super::view::When,
}

/// Which deliveries go one after the other, as the API shows it.
#[derive(Debug, Deserialize)]
pub(super) struct OrderView {
    by: String,
    #[serde(default)]
    path: Option<String>,
}

/// Whether somebody paused an endpoint; otherwise it was disabled for how it answered.
pub(super) fn paused(reason: Option<&str>) -> bool {
    !matches!(reason, Some("failing" | "gone"))
}

impl EndpointView {
    /// Whether somebody paused it; otherwise it was disabled for how it answered.
    pub(super) fn is_paused(&self) -> bool {
        paused(self.disabled_reason.as_deref())
    }

    /// Why it was disabled, in a sentence.
    pub(super) fn why(&self) -> &'static str {
        match self.disabled_reason.as_deref() {
            Some("gone") => "It was disabled because it answered 410 Gone, which says that it wants no more webhooks.",
            _ => "It was disabled because every delivery to it failed for a long time.",
        }
    }

    /// Its filter as people read it.
    pub(super) fn filter_text(&self) -> String {
        self.filter.as_ref().map(|filter| pretty(&filter.to_string())).unwrap_or_default()
    }

    /// Its retry policy as people read it.
    pub(super) fn retries(&self) -> String {
        self.retry_policy.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

/// Headers of an endpoint, as the API shows them.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Headers {
    /// Those whose values are shown.
    pub(super) headers: Map<String, Value>,
    /// Names of the others.
    pub(super) sensitive: Vec<String>,
}

#[derive(Template)]
#[template(path = "dashboard/endpoint_edit.html")]
struct Edit {
    shell: Shell,
    app: AppView,
    /// The endpoint; empty: a new one.
    id: String,
    title: &'static str,
    refused: Refused,
    given: Fields,
    chosen: Vec<String>,
    types: Vec<String>,
    profiles: Vec<String>,
    sensitive: Vec<String>,
    verdict: Option<Verdict>,
}

/// What a filter says of a payload.
pub(super) struct Verdict {
    pub(super) class: &'static str,
    pub(super) text: String,
    pub(super) explanation: String,
}

#[derive(Template)]
#[template(path = "dashboard/verdict.html")]
pub(super) struct Judged {
    /// `None`: there is no filter.
    pub(super) verdict: Option<Verdict>,
}

/// The profiles that an endpoint may wear.
pub(super) async fn profiles(visitor: &Visitor) -> Result<Vec<String>, Problem> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    #[derive(Deserialize)]
    struct All {
        data: Vec<Named>,
    }
    let all: All = visitor.desk.get("/api/v1/profile").await?;
    Ok(all.data.into_iter().map(|profile| profile.name).collect())
}

async fn fresh(visitor: Visitor, Path(app): Path<String>) -> Shown {
    page(visitor, (&app, ""), (Fields::default(), Refused::default())).await
}

async fn page(visitor: Visitor, (app, id): (&str, &str), (given, refused): (Fields, Refused)) -> Shown {
    visitor.need(Role::Operator)?;
    let app: AppView = visitor.desk.get(&format!("/api/v1/app/{}", segment(app))).await?;
    let headers: Headers = match id {
        "" => Headers::default(),
        id => visitor.desk.get(&format!("/api/v1/app/{}/endpoint/{}/headers", app.id, segment(id))).await?,
    };
    let title = if id.is_empty() { "Add an endpoint" } else { "Edit the endpoint" };
    let mut types = super::event_types::names(&visitor.desk).await?;
    let chosen = given.all("types");
    types.extend(chosen.iter().filter(|name| !types.contains(name)).cloned().collect::<Vec<_>>());
    let page = Edit {
        shell: Shell::new(&visitor, title, "applications"),
        profiles: profiles(&visitor).await?,
        id: id.to_owned(),
        app,
        title,
        refused,
        given,
        chosen,
        types,
        sensitive: headers.sensitive,
        verdict: None,
    };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// The endpoint's settings as the form's fields.
pub(super) fn fields_of(endpoint: &EndpointView, headers: &Headers) -> Fields {
    let mut fields = vec![
        ("url".to_owned(), endpoint.url.clone()),
        ("description".to_owned(), endpoint.description.clone()),
        ("channels".to_owned(), endpoint.channels.clone().unwrap_or_default().join(" ")),
        ("filter".to_owned(), endpoint.filter_text()),
        ("retry".to_owned(), endpoint.retries()),
        ("profile".to_owned(), endpoint.profile.clone().unwrap_or_default()),
        ("throttle".to_owned(), endpoint.throttle_rate.map(|rate| rate.to_string()).unwrap_or_default()),
        ("concurrency".to_owned(), endpoint.concurrency.map(|most| most.to_string()).unwrap_or_default()),
        ("ordering".to_owned(), endpoint.ordering.as_ref().map(|order| order.by.clone()).unwrap_or_default()),
        ("ordering_path".to_owned(), endpoint.ordering.as_ref().and_then(|order| order.path.clone()).unwrap_or_default()),
        ("headers".to_owned(), lines(&headers.headers)),
    ];
    fields.extend(endpoint.event_types.iter().flatten().map(|name| ("types".to_owned(), name.clone())));
    Fields(fields)
}

fn lines(headers: &Map<String, Value>) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", value.as_str().unwrap_or_default())).collect()
}

/// Headers of a form: one a line.
pub(super) fn headers(text: &str) -> Result<Map<String, Value>, Problem> {
    let mut headers = Map::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| Problem::field(&["headers"], "pattern", "Write each as `name: value`, one a line."))?;
        headers.insert(name.trim().to_owned(), Value::String(value.trim().to_owned()));
    }
    Ok(headers)
}

/// The endpoint that a form asks for, without its headers.
pub(super) fn body(fields: &Fields) -> Result<Value, Problem> {
    let number = |field: &str, name: &'static str| {
        let number = fields.given(field).map(str::parse::<u64>).transpose();
        number.map_err(|_| Problem::field(&[name], "type_error", "This is not a number."))
    };
    let mut types = fields.all("types");
    types.extend(fields.words("more_types").unwrap_or_default());
    Ok(json!({
        "url": fields.text("url"),
        "description": fields.text("description"),
        "eventTypes": if types.is_empty() { Value::Null } else { json!(types) },
        "channels": fields.words("channels"),
        "filter": fields.json("filter")?,
        "retryPolicy": fields.json("retry")?,
        "profile": fields.given("profile"),
        "throttleRate": number("throttle", "throttleRate")?,
        "concurrency": number("concurrency", "concurrency")?,
        "ordering": match (fields.given("ordering"), fields.text("ordering_path")) {
            (Some("payload"), path) => json!({"by": "payload", "path": path}),
            (Some(by), _) => json!({ "by": by }),
            (None, _) => Value::Null,
        },
    }))
}

async fn make(Path(app): Path<String>, filled: Filled) -> Shown {
    match try_make(&app, &filled).await {
        Ok(endpoint) => Ok(Redirect::to(&format!("{}?note=made", page_path(&app, &endpoint.id))).into_response()),
        Err(problem) => again(filled, (&app, ""), problem).await,
    }
}

async fn try_make(app: &str, filled: &Filled) -> Result<EndpointView, Problem> {
    let mut body = body(&filled.fields)?;
    let headers = headers(filled.fields.raw("headers"))?;
    if let Some(body) = body.as_object_mut() {
        if !headers.is_empty() {
            body.insert("headers".into(), Value::Object(headers));
        }
        if let Some(secret) = filled.fields.given("secret") {
            body.insert("secret".into(), json!(secret));
        }
    }
    filled.send(Method::POST, &format!("/api/v1/app/{}/endpoint", segment(app)), body).await
}

async fn edit(visitor: Visitor, Path((app, endpoint)): Path<(String, String)>) -> Shown {
    visitor.need(Role::Operator)?;
    let path = format!("/api/v1/app/{}/endpoint/{}", segment(&app), segment(&endpoint));
    let found: EndpointView = visitor.desk.get(&path).await?;
    let headers: Headers = visitor.desk.get(&format!("{path}/headers")).await?;
    page(visitor, (&app, &endpoint), (fields_of(&found, &headers), Refused::default())).await
}

/// The form once more, with why it was refused.
async fn again(filled: Filled, place: (&str, &str), problem: Problem) -> Shown {
    let given = filled.fields.clone();
    page(filled.visitor, place, (given, Refused::new("endpoint", problem, filled.fields, &NAMES)?)).await
}

async fn save(Path((app, endpoint)): Path<(String, String)>, filled: Filled) -> Shown {
    match try_save(&app, &endpoint, &filled).await {
        Ok(()) => Ok(Redirect::to(&format!("{}?note=saved", page_path(&app, &endpoint))).into_response()),
        Err(problem) => again(filled, (&app, &endpoint), problem).await,
    }
}

async fn try_save(app: &str, endpoint: &str, filled: &Filled) -> Result<(), Problem> {
    let path = format!("/api/v1/app/{}/endpoint/{}", segment(app), segment(endpoint));
    let body = body(&filled.fields)?;
    let change = with_headers(&filled.visitor.desk, &path, body, &filled.fields).await?;
    filled.change(Method::PATCH, &path, change).await
}

/// A change of an endpoint with what its form says of headers: all of it is made, or nothing.
pub(super) async fn with_headers(desk: &Desk, path: &str, mut change: Value, fields: &Fields) -> Result<Value, Problem> {
    let wanted = headers(fields.raw("headers"))?;
    let known: Headers = desk.get(&format!("{path}/headers")).await?;
    if let Some(change) = change.as_object_mut() {
        change.insert("headers".into(), Value::Object(changed(wanted, known, fields.all("drop"))));
    }
    Ok(change)
}

/// What becomes of headers. Values that are not shown stay unless they are named anew, or taken away by their box.
fn changed(mut wanted: Map<String, Value>, known: Headers, drop: Vec<String>) -> Map<String, Value> {
    let mut gone: Vec<String> = known.headers.into_iter().map(|(name, _)| name).chain(drop).collect();
    gone.retain(|name| !wanted.keys().any(|kept| kept.eq_ignore_ascii_case(name)));
    wanted.extend(gone.into_iter().map(|name| (name, Value::Null)));
    wanted
}

/// Judges a payload by a filter; nothing is changed.
async fn judge(filled: Filled) -> Response {
    judged(&filled.visitor.desk, &filled.fields).await
}

/// What the filter of a form says of its sample.
pub(super) async fn judged(desk: &Desk, fields: &Fields) -> Response {
    let verdict = match verdict(desk, fields).await {
        Ok(verdict) => verdict,
        Err(problem) => Some(Verdict { class: "bad", text: reasons(&problem).join(" "), explanation: String::new() }),
    };
    Page(Judged { verdict }).into_response()
}

async fn verdict(desk: &Desk, fields: &Fields) -> Result<Option<Verdict>, Problem> {
    #[derive(Deserialize)]
    struct Told {
        matches: bool,
        explanation: Value,
    }
    let Some(filter) = fields.json("filter")? else { return Ok(None) };
    let payload = fields.json("sample")?.unwrap_or_else(|| json!({}));
    let asked = json!({ "filter": filter, "payload": payload });
    let told: Told = desk.call(Method::POST, "/api/v1/filter/test", Some(asked)).await?;
    let (class, text) = match told.matches {
        true => ("ok", "This payload passes.".to_owned()),
        false => ("bad", "This payload does not pass.".to_owned()),
    };
    Ok(Some(Verdict { class, text, explanation: pretty(&told.explanation.to_string()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_are_not_named_go_and_those_that_are_not_shown_stay() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let known = Headers { headers: map(json!({"x-a": "1", "x-b": "2"})), sensitive: vec!["authorization".into()] };
        let after = changed(map(json!({"X-A": "3"})), known, vec!["x-token".into()]);
        assert_eq!(after, map(json!({"X-A": "3", "x-b": null, "x-token": null})));
    }

    #[test]
    fn a_form_becomes_an_endpoint() {
        let fields = Fields::parse(
            b"url=https://a.example&types=a&types=b&more_types=c.*&channels=&filter={\"x\":{\"eq\":1}}&retry=[5,60]&throttle=9",
        );
        let body = body(&fields).unwrap();
        assert_eq!(body["eventTypes"], json!(["a", "b", "c.*"]));
        assert_eq!((&body["channels"], &body["retryPolicy"], &body["throttleRate"]), (&Value::Null, &json!([5, 60]), &json!(9)));
        assert_eq!((&body["ordering"], &body["concurrency"]), (&Value::Null, &Value::Null));
        let ordered = super::body(&Fields::parse(b"ordering=payload&ordering_path=order.id&concurrency=3")).unwrap();
        assert_eq!((&ordered["ordering"], &ordered["concurrency"]), (&json!({"by": "payload", "path": "order.id"}), &json!(3)));
        assert!(super::body(&Fields::parse(b"filter={")).is_err() && super::body(&Fields::parse(b"throttle=x")).is_err());
        assert_eq!(headers("a: b:c\n\n X-Y :z ").unwrap(), *json!({"a": "b:c", "X-Y": "z"}).as_object().unwrap());
        assert!(headers("nonsense").is_err());
    }
}
