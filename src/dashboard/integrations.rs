//! Settings → Integrations → Webhooks: Ilara's way through, as its document walks it: add, URL, events, authentication,
//! test and save; then the logs with delivery history, success rate, average latency and error details.

use super::{
    Dashboard,
    endpoint_edit::headers,
    error::Shown,
    fields::{Fields, Filled, segment},
    page::{Page, Shell},
    refused::Refused,
    secret::{self, Secret},
    sift::{has, paged},
    view::{Badge, Pager, When, millis, pretty, with},
    visitor::Visitor,
};
use crate::{api::Problem, model::Role};
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Where the system's own surface is.
const SURFACE: &str = "/v1/integrations/webhooks";
/// Where these pages are.
const PAGES: &str = "/dashboard/settings/integrations/webhooks";
/// Entries of a log's page.
const LIMIT: usize = 25;
/// What is said of a secret that was just made.
const MADE: &str = "This secret was made for the webhook. It is shown only now: give it to whoever receives, to verify what comes.";
/// Webhooks of a page.
const ON_A_PAGE: usize = 50;
/// Pages of a log that the way back remembers; from before them it leads to the first.
const MAX_TRAIL: usize = 20;
/// How delays grow unless something else is chosen.
const BACKOFF: &str = "exponential";
/// Fields of the form, by what the surface calls them.
const NAMES: [(&str, &str); 5] =
    [("backoff", "backoff"), ("retry_policy", "max_retries"), ("events", "events"), ("filters", "filters"), ("headers", "headers")];

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/settings/integrations", get(async || Redirect::to(PAGES)))
        .route(PAGES, get(list))
        .route(&format!("{PAGES}/new"), get(fresh).post(make))
        .route(&format!("{PAGES}/{{id}}"), get(edit).post(save))
        .route(&format!("{PAGES}/{{id}}/test"), post(test))
        .route(&format!("{PAGES}/{{id}}/delete"), post(delete))
        .route(&format!("{PAGES}/{{id}}/logs"), get(logs))
}

/// A webhook, as its surface shows it.
#[derive(Debug, Deserialize)]
struct Webhook {
    id: String,
    name: String,
    url: String,
    events: Vec<String>,
    enabled: bool,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    hidden_headers: Vec<String>,
    #[serde(default)]
    filters: Option<Value>,
    #[serde(default)]
    retry_policy: Option<Retries>,
    /// The secret that was made with it, in the answer that made it.
    #[serde(default)]
    secret: Option<String>,
}

impl Webhook {
    /// Whether it is what a filter asks for: a part of name or URL, an event, a state.
    fn is_asked_for(&self, asked: &Fields) -> bool {
        let (part, event) = (asked.text("q"), asked.text("event"));
        let in_state = match asked.text("state") {
            "enabled" => self.enabled,
            "disabled" => !self.enabled,
            _ => true,
        };
        let has_event = event.is_empty() || self.events.iter().any(|own| has(own, event));
        in_state && has_event && (has(&self.name, part) || has(&self.url, part))
    }
}

#[derive(Debug, Deserialize)]
struct Retries {
    max_retries: u32,
    backoff: String,
}

#[derive(Debug, Default, Deserialize)]
struct Log {
    data: Vec<Entry>,
    next_cursor: Option<String>,
}

/// An entry of a log, as its surface shows it.
#[derive(Debug, Deserialize)]
struct Entry {
    event_id: String,
    #[serde(rename = "type")]
    event_type: String,
    status: String,
    delivery_attempt: u32,
    request: Request,
    response: Option<Response>,
    error: Option<String>,
    duration_ms: Option<f64>,
    attempted_at: Option<When>,
    next_attempt_at: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Request {
    method: String,
    url: String,
    headers: Map<String, Value>,
    body: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Response {
    status_code: u16,
    headers: Map<String, Value>,
    body: String,
}

impl Entry {
    fn badge(&self) -> Badge {
        Badge::state(&self.status)
    }

    fn took(&self) -> String {
        self.duration_ms.map(millis).unwrap_or_default()
    }

    fn sent(&self) -> String {
        let body = self.request.body.as_ref().map(|body| pretty(&body.to_string())).unwrap_or_default();
        format!("{} {}\n{}\n{body}", self.request.method, self.request.url, lines(&self.request.headers))
    }

    fn came(&self) -> Option<String> {
        let response = self.response.as_ref()?;
        Some(format!("{}\n{}\n{}", response.status_code, lines(&response.headers), pretty(&response.body)))
    }
}

fn lines(headers: &Map<String, Value>) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", value.as_str().unwrap_or_default())).collect()
}

#[derive(Debug, Deserialize)]
struct Stats {
    delivered: u64,
    failed: u64,
    pending: u64,
    success_rate: Option<f64>,
    average_latency_ms: Option<f64>,
}

#[derive(Template)]
#[template(path = "dashboard/webhooks.html")]
struct Webhooks {
    shell: Shell,
    rows: Vec<Webhook>,
    pager: Pager,
    asked: Fields,
    refused: Refused,
}

#[derive(Template)]
#[template(path = "dashboard/webhook_edit.html")]
struct Edit {
    shell: Shell,
    id: String,
    refused: Refused,
    given: Fields,
    chosen: Vec<String>,
    types: Vec<String>,
    enabled: bool,
    /// Names of headers whose values are not shown, and whether each is to go.
    hidden: Vec<(String, bool)>,
}

#[derive(Template)]
#[template(path = "dashboard/webhook_logs.html")]
struct Logs {
    shell: Shell,
    webhook: Webhook,
    stats: Stats,
    rate: Option<String>,
    latency: Option<String>,
    rows: Vec<Entry>,
    pager: Pager,
    asked: Fields,
    refused: Refused,
}

/// Why there is no list: a surface that is on has one.
fn off(problem: Problem) -> Problem {
    match problem {
        Problem::NotFound(_) => Problem::NotFound("The system `ilara` is switched off on this server.".into()),
        other => other,
    }
}

/// One webhook.
async fn one(visitor: &Visitor, path: &str) -> Result<Webhook, Problem> {
    match visitor.desk.get(path).await {
        Err(missing @ Problem::NotFound(_)) => {
            let _webhooks: Value = visitor.desk.get(SURFACE).await.map_err(off)?;
            Err(missing)
        }
        found => found,
    }
}

async fn list(visitor: Visitor) -> Shown {
    #[derive(Deserialize)]
    struct All {
        data: Vec<Webhook>,
    }
    let all: All = visitor.desk.get(SURFACE).await.map_err(off)?;
    let asked = Fields::parse(visitor.query.as_bytes());
    // The surface has neither filters nor pages: what is shown of its list has.
    let found = asked.one_of("state", &["enabled", "disabled"]).map(|()| all.data);
    let (found, refused) = Refused::filters(found, &asked, &[])?;
    let found = found.into_iter().filter(|row| row.is_asked_for(&asked)).collect();
    let (rows, pager) = paged(found, &visitor.query, ON_A_PAGE);
    let page = Webhooks { shell: Shell::new(&visitor, "Webhooks", "settings"), rows, pager, asked, refused };
    Ok((page.refused.status(), Page(page)).into_response())
}

async fn fresh(visitor: Visitor) -> Shown {
    page(visitor, "", (Fields::default(), Refused::default())).await
}

async fn page(visitor: Visitor, id: &str, (given, refused): (Fields, Refused)) -> Shown {
    visitor.need(Role::Operator)?;
    // The catalogue gets the system's event types when its surface is first used.
    let _webhooks: Value = visitor.desk.get(SURFACE).await.map_err(off)?;
    let mut types = super::event_types::names(&visitor.desk).await?;
    let chosen = given.all("events");
    types.extend(chosen.iter().filter(|name| !types.contains(name)).cloned().collect::<Vec<_>>());
    let title = if id.is_empty() { "Add webhook" } else { "Edit webhook" };
    let enabled = given.0.is_empty() || given.ticked("enabled");
    let shell = Shell::new(&visitor, title, "settings");
    let gone = given.all("drop");
    let hidden = given.all("hidden").into_iter().map(|name| (name.clone(), gone.contains(&name))).collect();
    let page = Edit { shell, id: id.to_owned(), refused, given, chosen, types, enabled, hidden };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// The webhook that a form asks for.
pub(super) fn body(fields: &Fields, new: bool) -> Result<Value, Problem> {
    let mut events = fields.all("events");
    events.extend(fields.words("more_events").unwrap_or_default());
    let mut body = json!({
        "name": fields.text("name"), "url": fields.text("url"), "events": events, "enabled": fields.ticked("enabled"),
        "filters": fields.json("filters")?,
    });
    let retries = fields.given("max_retries").map(str::parse::<u32>).transpose();
    let retries = retries.map_err(|_| Problem::field(&["retry_policy"], "type_error", "This is not a number."))?;
    let Some(body_of) = body.as_object_mut() else { return Err(Problem::Internal) };
    match (retries, fields.given("backoff").unwrap_or(BACKOFF)) {
        (None, BACKOFF) if new => {}
        (None, BACKOFF) => drop(body_of.insert("retry_policy".into(), Value::Null)),
        (None, backoff) => drop(body_of.insert("retry_policy".into(), json!({ "backoff": backoff }))),
        (retries, backoff) => {
            body_of.insert("retry_policy".into(), json!({ "max_retries": retries, "backoff": backoff }));
        }
    }
    if let Some(secret) = fields.given("secret") {
        body_of.insert("secret".into(), json!(secret));
    }
    let wanted = headers(fields.raw("headers"))?;
    if !new {
        // Those whose values are not shown stay, unless they are taken away by their box.
        let gone = fields.all("drop");
        let kept: Vec<String> = fields.all("hidden").into_iter().filter(|name| !gone.contains(name)).collect();
        body_of.insert("hidden_headers".into(), json!(kept));
    }
    if !new || !wanted.is_empty() {
        body_of.insert("headers".into(), Value::Object(wanted));
    }
    Ok(body)
}

async fn make(filled: Filled) -> Shown {
    let made = match body(&filled.fields, true) {
        Ok(body) => filled.send::<Webhook>(Method::POST, SURFACE, body).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(webhook) => after(filled, &webhook, "made").await,
        Err(problem) => again(filled, "", problem).await,
    }
}

/// The form once more, with why it was refused.
async fn again(filled: Filled, id: &str, problem: Problem) -> Shown {
    let given = filled.fields.clone();
    page(filled.visitor, id, (given, Refused::new("webhook", problem, filled.fields, &NAMES)?)).await
}

/// What is said of a test: a disabled webhook's is held.
fn tested(enabled: bool) -> &'static str {
    if enabled { "tested" } else { "tested-held" }
}

/// "Test and save" also sends an event.
async fn after(filled: Filled, webhook: &Webhook, note: &'static str) -> Shown {
    let id = segment(&webhook.id);
    let note = match filled.fields.text("then") {
        "test" => filled.change(Method::POST, &format!("{SURFACE}/{id}/test"), json!({})).await.map(|()| tested(webhook.enabled)),
        _ => Ok(note),
    };
    // A secret that was made is shown whatever became of the test: nobody can ask for it again.
    let next = |note: &str| format!("{PAGES}/{id}/logs?note={note}");
    match &webhook.secret {
        Some(text) => {
            let next = next(note.unwrap_or("made"));
            secret::shown(&filled.visitor, Secret { text, owner: &webhook.name, next: &next, section: "settings", about: MADE })
        }
        None => Ok(Redirect::to(&next(note?)).into_response()),
    }
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Shown {
    visitor.need(Role::Operator)?;
    let webhook = one(&visitor, &format!("{SURFACE}/{}", segment(&id))).await?;
    let mut fields = vec![
        ("name".to_owned(), webhook.name),
        ("url".to_owned(), webhook.url),
        ("filters".to_owned(), webhook.filters.map(|filters| pretty(&filters.to_string())).unwrap_or_default()),
        ("headers".to_owned(), lines(&webhook.headers)),
    ];
    if let Some(retries) = webhook.retry_policy {
        fields.push(("max_retries".to_owned(), retries.max_retries.to_string()));
        fields.push(("backoff".to_owned(), retries.backoff));
    }
    if webhook.enabled {
        fields.push(("enabled".to_owned(), "on".to_owned()));
    }
    fields.extend(webhook.events.into_iter().map(|name| ("events".to_owned(), name)));
    fields.extend(webhook.hidden_headers.into_iter().map(|name| ("hidden".to_owned(), name)));
    page(visitor, &id, (Fields(fields), Refused::default())).await
}

async fn save(Path(id): Path<String>, filled: Filled) -> Shown {
    let saved = match body(&filled.fields, false) {
        Ok(body) => filled.send::<Webhook>(Method::PATCH, &format!("{SURFACE}/{}", segment(&id)), body).await,
        Err(problem) => Err(problem),
    };
    match saved {
        Ok(webhook) => after(filled, &webhook, "saved").await,
        Err(problem) => again(filled, &id, problem).await,
    }
}

async fn test(Path(id): Path<String>, filled: Filled) -> Shown {
    let webhook = one(&filled.visitor, &format!("{SURFACE}/{}", segment(&id))).await?;
    filled.change(Method::POST, &format!("{SURFACE}/{}/test", segment(&id)), json!({})).await?;
    Ok(Redirect::to(&format!("{PAGES}/{}/logs?note={}", segment(&id), tested(webhook.enabled))).into_response())
}

async fn delete(Path(id): Path<String>, filled: Filled) -> Shown {
    filled.change(Method::DELETE, &format!("{SURFACE}/{}", segment(&id)), Value::Null).await?;
    Ok(Redirect::to(&format!("{PAGES}?note=deleted")).into_response())
}

/// The surface's cursors lead one way: back is the way that the reader came, which the query keeps.
fn trail(query: &str, asked: &Fields, next: Option<&str>) -> Pager {
    let mut came: Vec<&str> = asked.text("trail").split_whitespace().collect();
    let to = |cursor: &str, came: &[&str]| {
        let query = with(query, "cursor", cursor);
        with(query.trim_start_matches('?'), "trail", &came.join(" "))
    };
    let here = asked.given("cursor");
    let previous = here.map(|_| came.split_last().map_or_else(|| to("", &[]), |(last, before)| to(last, before)));
    let next = next.map(|next| {
        came.extend(here);
        to(next, came.get(came.len().saturating_sub(MAX_TRAIL)..).unwrap_or_default())
    });
    Pager { previous, next }
}

async fn logs(visitor: Visitor, Path(id): Path<String>) -> Shown {
    let path = format!("{SURFACE}/{}", segment(&id));
    let webhook = one(&visitor, &path).await?;
    let asked = Fields::parse(visitor.query.as_bytes());
    let query = asked.query(&[("limit", &LIMIT.to_string())], &[("status", "status"), ("type", "type"), ("cursor", "cursor")]);
    let log = visitor.desk.get::<Log>(&format!("{path}/logs?{query}")).await;
    let (log, refused) = Refused::filters(log, &asked, &[])?;
    let stats: Stats = visitor.desk.get(&format!("{path}/stats")).await?;
    let pager = trail(&visitor.query, &asked, log.next_cursor.as_deref());
    let page = Logs {
        shell: Shell::new(&visitor, webhook.name.clone(), "settings"),
        rate: stats.success_rate.map(|rate| super::view::percent(rate / 100.0)),
        latency: stats.average_latency_ms.map(millis),
        rows: log.data,
        webhook,
        stats,
        pager,
        asked,
        refused,
    };
    Ok((page.refused.status(), Page(page)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_filtered_by_what_they_are() {
        let webhook = json!({"id": "1", "name": "Shop", "url": "https://a.example/in", "events": ["event.a"], "enabled": false});
        let webhook: Webhook = serde_json::from_value(webhook).unwrap();
        let asked = |query: &str| webhook.is_asked_for(&Fields::parse(query.as_bytes()));
        assert!(asked("") && asked("q=SHOP") && asked("q=a.example&state=disabled&event=event.a"));
        assert!(!asked("q=none") && !asked("state=enabled") && !asked("event=event.b"));
    }

    #[test]
    fn what_is_emptied_is_sent() {
        let read = |text: &str, new| body(&Fields::parse(text.as_bytes()), new).unwrap();
        let form = "name=a&url=https://a.example&events=event.a&headers=&hidden=authorization&hidden=x-token&drop=x-token";
        let edited = read(form, false);
        assert_eq!((&edited["headers"], &edited["hidden_headers"]), (&json!({}), &json!(["authorization"])));
        assert_eq!(edited.get("retry_policy"), Some(&Value::Null));
        let fresh = read("name=a&backoff=exponential", true);
        assert!(fresh.get("headers").is_none() && fresh.get("hidden_headers").is_none() && fresh.get("retry_policy").is_none());
        assert_eq!(read("backoff=fixed", false)["retry_policy"], json!({"backoff": "fixed"}));
        assert_eq!(read("max_retries=3", true)["retry_policy"], json!({"max_retries": 3, "backoff": "exponential"}));
    }

    #[test]
    fn a_log_is_paged_both_ways() {
        let pages = |query: &str, next| trail(query, &Fields::parse(query.as_bytes()), next);
        assert_eq!(pages("", Some("b")), Pager { previous: None, next: Some("?cursor=b".into()) });
        let second = pages("cursor=b", Some("c"));
        assert_eq!((second.previous.as_deref(), second.next.as_deref()), (Some("?"), Some("?cursor=c&trail=b")));
        let third = pages("cursor=c&trail=b", Some("d"));
        assert_eq!((third.previous.as_deref(), third.next.as_deref()), (Some("?cursor=b"), Some("?cursor=d&trail=b+c")));
    }
}
