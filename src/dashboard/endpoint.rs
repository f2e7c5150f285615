//! One endpoint: how it does, its attempts, its secrets, and what can be done with it.

use super::{
    Dashboard,
    applications::AppView,
    chart::Latency,
    desk::Desk,
    endpoint_edit::{EndpointView, Headers},
    error::Shown,
    fields::{Fields, Filled, segment},
    lane::Lane,
    page::{Page, Shell},
    refused::{Names, Refused},
    survey::WINDOW,
    view::{Badge, Listed, Pager, When, grouped, millis, percent, pretty},
    visitor::Visitor,
};
use crate::{
    api::Problem,
    model::{Attempt, AttemptId, EndpointId, Time},
    store::Window,
};
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Attempts of a page.
const LIMIT: usize = 20;
/// Newest attempts of the chart.
const CHARTED: usize = 500;
/// How far back failed deliveries are queued again unless told otherwise.
pub(super) const RECOVER: Duration = Duration::from_secs(86_400);
/// Deliveries are counted by whole minutes: the one that is running counts.
const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    const ONE: &str = "/dashboard/applications/{app}/endpoints/{endpoint}";
    Router::new()
        .route(ONE, get(show))
        .route(&format!("{ONE}/pause"), post(pause))
        .route(&format!("{ONE}/test"), post(test))
        .route(&format!("{ONE}/recover"), post(recover))
        .route(&format!("{ONE}/rotate"), post(rotate))
        .route(&format!("{ONE}/secret"), post(secret))
        .route(&format!("{ONE}/delete"), post(delete))
}

/// An attempt of a list, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttemptRow {
    pub(super) id: String,
    pub(super) msg_id: String,
    pub(super) response_status_code: u16,
    response_duration_ms: f64,
    /// The API says whole milliseconds: where this is known, a page shows it as it shows averages.
    #[serde(skip)]
    exact_us: Option<u32>,
    status_text: String,
    pub(super) timestamp: When,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) msg: Option<OfMessage>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfMessage {
    pub(super) event_type: String,
}

impl AttemptRow {
    /// How it ended.
    pub(super) fn badge(&self) -> Badge {
        Badge::state(&self.status_text)
    }

    /// How long it took.
    pub(super) fn took(&self) -> String {
        millis(self.exact_us.map_or(self.response_duration_ms, |us| f64::from(us) / 1000.0))
    }
}

/// The same attempts, with how long exactly each took.
pub(super) async fn timed(desk: &Desk, endpoint: EndpointId, mut rows: Vec<AttemptRow>) -> Result<Vec<AttemptRow>, Problem> {
    for row in &mut rows {
        let Ok(id) = row.id.parse::<AttemptId>() else { continue };
        row.exact_us = desk.engine().store.attempt(endpoint, id).await?.map(|attempt| attempt.outcome.phases.total_us);
    }
    Ok(rows)
}

/// A request as it would be sent, as the API shows it.
#[derive(Debug, Deserialize)]
struct Preview {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
    profile: String,
}

#[derive(Template)]
#[template(path = "dashboard/endpoint.html")]
struct EndpointPage {
    shell: Shell,
    app: AppView,
    endpoint: EndpointView,
    headers: Headers,
    health: Health,
    lane: Lane,
    chart: Option<Latency>,
    rows: Vec<AttemptRow>,
    pager: Pager,
    asked: Fields,
    secrets: Vec<SecretRow>,
    preview: Option<Preview>,
    since: String,
    types: Vec<String>,
    secret: Option<String>,
    refused: Refused,
}

impl EndpointPage {
    /// The event type that a test suggests.
    fn suggested(&self) -> &str {
        suggested(&self.endpoint, &self.types)
    }
}

/// The event type that a test of an endpoint suggests: one that it wants, or the catalogue's first.
pub(super) fn suggested<'a>(endpoint: &'a EndpointView, types: &'a [String]) -> &'a str {
    let own = endpoint.event_types.as_deref().and_then(|own| own.iter().find(|name| types.contains(name)));
    own.or(types.first()).map_or("", String::as_str)
}

/// What a form's test asks the API for, and what it asks for then if the catalogue has no example of that type.
pub(super) fn examples(fields: &Fields) -> [Value; 2] {
    let event_type = fields.text("type");
    [json!({ "eventType": event_type }), json!({ "eventType": event_type, "payload": { "test": true } })]
}

/// Whether an example was refused because the catalogue has none.
pub(super) fn lacks_example(problem: &Problem) -> bool {
    matches!(problem, Problem::NotFound(_) | Problem::Invalid(_) | Problem::BadRequest(..))
}

/// The window of a form, as the API takes it.
pub(super) fn window(fields: &Fields) -> Result<Value, Problem> {
    let since = fields.time("since")?.ok_or_else(|| Problem::field(&["since"], "missing", "Since when?"))?;
    let until = fields.time("until")?.map(|until| until.to_string());
    Ok(json!({ "since": since.to_string(), "until": until }))
}

/// How long a form lets the old secret sign, as the API takes it.
pub(super) fn grace(fields: &Fields) -> Result<Value, Problem> {
    let grace = fields.given("grace").map(str::parse::<u64>).transpose();
    let grace = grace.map_err(|_| Problem::field(&["grace"], "type_error", "This is not a number."))?;
    Ok(json!({ "gracePeriodSeconds": grace }))
}

/// How it does.
pub(super) struct Health {
    /// In a few words.
    pub(super) word: &'static str,
    /// Its colour.
    pub(super) class: &'static str,
    /// Since when it fails.
    pub(super) detail: Option<When>,
    /// Success rate of the last day.
    pub(super) rate: Option<String>,
    /// Deliveries of the last day.
    pub(super) delivered: String,
    /// Of the last day, given up.
    pub(super) failed: String,
    /// Mean time of answers.
    pub(super) average: Option<String>,
    /// Half of the answers, and 95 of 100, came within.
    pub(super) percentiles: Option<[String; 2]>,
}

pub(super) struct SecretRow {
    /// When it was made.
    pub(super) made: When,
    /// Until when it signs.
    pub(super) expires: Option<When>,
}

async fn show(visitor: Visitor, Path((app, endpoint)): Path<(String, String)>) -> Shown {
    page(visitor, (&app, &endpoint), None, Refused::default()).await
}

async fn page(visitor: Visitor, (app, endpoint): (&str, &str), secret: Option<String>, refused: Refused) -> Shown {
    let path = format!("/api/v1/app/{}", segment(app));
    let app: AppView = visitor.desk.get(&path).await?;
    let path = format!("{path}/endpoint/{}", segment(endpoint));
    let endpoint: EndpointView = visitor.desk.get(&path).await?;
    let id: EndpointId = endpoint.id.parse().map_err(|_| Problem::Internal)?;
    let asked = Fields::parse(visitor.query.as_bytes());
    let listed = match attempts_path(&app.id, &endpoint.id, &asked) {
        Ok(path) => visitor.desk.get::<Listed<AttemptRow>>(&path).await,
        Err(problem) => Err(problem),
    };
    let (listed, badly) = Refused::filters(listed, &asked, &FILTER_NAMES)?;
    let now = visitor.now();
    let attempts = newest(&visitor.desk, id).await?;
    let preview = visitor.desk.call(Method::POST, &format!("{path}/preview"), Some(json!({}))).await.ok();
    let (since, unlike) = Refused::filters(asked.time("since"), &asked, &[])?;
    let since = since.unwrap_or_else(|| now.minus(RECOVER));
    let page = EndpointPage {
        shell: Shell::new(&visitor, endpoint.url.clone(), "applications"),
        headers: visitor.desk.get(&format!("{path}/headers")).await?,
        health: health(&visitor.desk, id, &attempts, endpoint.disabled).await?,
        lane: Lane::of(&visitor.desk, &path).await?,
        chart: Latency::of(&attempts, charted_from(&attempts, now), now),
        secrets: secrets(&visitor.desk, &app.id, &endpoint.id).await?,
        pager: listed.pager(&visitor.query),
        rows: timed(&visitor.desk, id, listed.data).await?,
        preview: preview.map(|preview: Preview| Preview { body: pretty(&preview.body), ..preview }),
        since: since.to_string(),
        types: super::event_types::names(&visitor.desk).await?,
        app,
        endpoint,
        asked,
        secret,
        refused: refused.or(badly).or(unlike),
    };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// The list of attempts that a query asks for.
pub(super) fn attempts_path(app: &str, endpoint: &str, asked: &Fields) -> Result<String, Problem> {
    asked.one_of("status", &["delivered", "failed"])?;
    let status = match asked.text("status") {
        "delivered" => Some("0"),
        "failed" => Some("2"),
        _ => None,
    };
    let limit = LIMIT.to_string();
    let mut fixed = vec![("limit", limit.as_str()), ("with_msg", "true"), ("with_content", "false")];
    fixed.extend(status.map(|status| ("status", status)));
    let names = [("type", "event_types"), ("class", "status_code_class"), ("iterator", "iterator"), ("tag", "tag")];
    Ok(format!("/api/v1/app/{app}/attempt/endpoint/{endpoint}?{}", asked.query(&fixed, &names)))
}

/// Where the chart begins: with the first attempt that it shows, so that a young endpoint is not a dot at its edge.
pub(super) fn charted_from(attempts: &[Attempt], now: Time) -> Time {
    let first = attempts.last().map_or(now, |attempt| attempt.id.time());
    first.min(now.minus(MINUTE)).max(now.minus(WINDOW))
}

/// The newest attempts of the last day.
pub(super) async fn newest(desk: &Desk, endpoint: EndpointId) -> Result<Vec<Attempt>, Problem> {
    let above = AttemptId::lowest_at(desk.now().minus(WINDOW)).0.saturating_sub(1);
    let window = Window { above, below: u128::MAX, newest_first: true, limit: CHARTED };
    Ok(desk.engine().store.attempts(endpoint, window).await?)
}

pub(super) async fn health(desk: &Desk, endpoint: EndpointId, attempts: &[Attempt], disabled: bool) -> Result<Health, Problem> {
    let engine = desk.engine();
    let now = desk.now();
    let stats = engine.store.stats(endpoint, now.minus(WINDOW), now.plus(MINUTE)).await?;
    let failing = engine.failing(usize::MAX).into_iter().find(|failing| failing.endpoint == endpoint);
    let mut took: Vec<u32> =
        attempts.iter().filter(|attempt| attempt.outcome.status.is_some()).map(|attempt| attempt.outcome.phases.total_us).collect();
    took.sort_unstable();
    let percentile = |part: usize| {
        took.get((took.len() * part / 100).min(took.len().saturating_sub(1))).map(|us| millis(f64::from(*us) / 1000.0))
    };
    let ended = stats.delivered + stats.exhausted;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let (rate, average) = (
        (ended > 0).then(|| percent(stats.delivered as f64 / ended as f64)),
        (!took.is_empty()).then(|| millis(took.iter().map(|us| f64::from(*us)).sum::<f64>() / took.len() as f64 / 1000.0)),
    );
    let (word, class) = match (disabled, failing.is_some(), attempts.is_empty()) {
        (true, ..) => ("disabled: deliveries are held", "held"),
        (_, true, _) => ("failing", "bad"),
        (_, _, true) => ("nothing sent in the last day", "dim"),
        _ => ("healthy", "ok"),
    };
    Ok(Health {
        word,
        class,
        detail: failing.map(|failing| When(failing.since)),
        rate,
        delivered: grouped(stats.delivered),
        failed: grouped(stats.exhausted),
        average,
        percentiles: percentile(50).zip(percentile(95)).map(|(p50, p95)| [p50, p95]),
    })
}

/// When its secrets were made and when they expire. Their text is shown on demand.
pub(super) async fn secrets(desk: &Desk, app: &str, endpoint: &str) -> Result<Vec<SecretRow>, Problem> {
    let (Ok(app), Ok(endpoint)) = (app.parse(), endpoint.parse()) else { return Ok(Vec::new()) };
    let found = desk.engine().store.find(&crate::model::Address::endpoint(app, endpoint), desk.now()).await?;
    let Some(crate::model::Record::Endpoint(endpoint)) = found.map(|stored| stored.record) else { return Ok(Vec::new()) };
    let live = endpoint.secrets.iter().rev().filter(|secret| secret.expires_at.is_none_or(|end| end > desk.now()));
    Ok(live.map(|secret| SecretRow { made: When(secret.created_at), expires: secret.expires_at.map(When) }).collect())
}

pub(super) fn api_path(app: &str, endpoint: &str) -> String {
    format!("/api/v1/app/{}/endpoint/{}", segment(app), segment(endpoint))
}

pub(super) fn page_path(app: &str, endpoint: &str) -> String {
    format!("/dashboard/applications/{}/endpoints/{}", segment(app), segment(endpoint))
}

pub(super) fn back(app: &str, endpoint: &str, note: &str) -> Shown {
    Ok(Redirect::to(&format!("{}?note={note}", page_path(app, endpoint))).into_response())
}

/// What the API calls the fields of the filter.
pub(super) const FILTER_NAMES: [(&str, &str); 3] = [("event_types", "type"), ("status_code_class", "class"), ("status", "status")];
/// What it calls those of the forms.
pub(super) const FORM_NAMES: [(&str, &str); 2] = [("eventType", "type"), ("gracePeriodSeconds", "grace")];

/// Back to the endpoint's page after a form: with a note, or with the form and why it was refused.
pub(super) async fn after(
    (app, endpoint): (&str, &str),
    filled: Filled,
    done: Result<(), Problem>,
    (form, note, names): (&'static str, &str, &Names),
) -> Shown {
    match done {
        Ok(()) => back(app, endpoint, note),
        Err(problem) => page(filled.visitor, (app, endpoint), None, Refused::new(form, problem, filled.fields, names)?).await,
    }
}

/// Holds its deliveries, or lets them go.
async fn pause(Path((app, endpoint)): Path<(String, String)>, filled: Filled) -> Shown {
    let disabled = filled.fields.truth("disabled")?;
    filled.change(Method::PATCH, &api_path(&app, &endpoint), json!({ "disabled": disabled })).await?;
    back(&app, &endpoint, if disabled { "paused" } else { "resumed" })
}

async fn test(Path((app, endpoint)): Path<(String, String)>, filled: Filled) -> Shown {
    let (path, [own, bare]) = (format!("{}/send-example", api_path(&app, &endpoint)), examples(&filled.fields));
    let done = match filled.change(Method::POST, &path, own).await {
        Err(problem) if lacks_example(&problem) => filled.change(Method::POST, &path, bare).await,
        other => other,
    };
    after((&app, &endpoint), filled, done, ("test", "tested", &FORM_NAMES)).await
}

/// Queues failed deliveries again.
async fn recover(Path((app, endpoint)): Path<(String, String)>, filled: Filled) -> Shown {
    let path = format!("{}/recover", api_path(&app, &endpoint));
    let done = match window(&filled.fields) {
        Ok(body) => filled.change(Method::POST, &path, body).await,
        Err(problem) => Err(problem),
    };
    after((&app, &endpoint), filled, done, ("recover", "recovered", &FORM_NAMES)).await
}

async fn rotate(Path((app, endpoint)): Path<(String, String)>, filled: Filled) -> Shown {
    let path = format!("{}/secret/rotate", api_path(&app, &endpoint));
    let done = match grace(&filled.fields) {
        Ok(body) => filled.change(Method::POST, &path, body).await,
        Err(problem) => Err(problem),
    };
    after((&app, &endpoint), filled, done, ("rotate", "rotated", &FORM_NAMES)).await
}

/// Shows the secret. A form, so that only who may change things sees it, and no history keeps it.
async fn secret(Path((app, endpoint)): Path<(String, String)>, filled: Filled) -> Shown {
    #[derive(Deserialize)]
    struct Key {
        key: String,
    }
    let key: Key = filled.visitor.desk.get(&format!("{}/secret", api_path(&app, &endpoint))).await?;
    page(filled.visitor, (&app, &endpoint), Some(key.key), Refused::default()).await
}

async fn delete(Path((app, endpoint)): Path<(String, String)>, filled: Filled) -> Shown {
    filled.change(Method::DELETE, &api_path(&app, &endpoint), Value::Null).await?;
    Ok(Redirect::to(&format!("/dashboard/applications/{}?note=deleted", segment(&app))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_reach_the_api_by_its_names() {
        let asked = Fields::parse(b"status=failed&type=a.b&class=500&iterator=-x&note=saved");
        let path = attempts_path("app_1", "ep_1", &asked).unwrap();
        assert!(path.ends_with("&status=2&event_types=a.b&status_code_class=500&iterator=-x"), "{path}");
    }
}
