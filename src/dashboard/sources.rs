//! Sources: where third parties post; what came, what was refused and why.

use super::{
    Dashboard,
    error::Shown,
    fields::{Fields, Filled, segment},
    messages::{Choices, names},
    page::{Page, Shell},
    refused::Refused,
    secret::{self, Secret},
    sift::{Sifted, has},
    view::{Listed, Pager, When, pretty},
    visitor::Visitor,
};
use crate::{
    api::Problem,
    inbound::Reason,
    model::{AppId, MsgId},
};
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Entries of a page.
const LIMIT: usize = 50;
/// Recent events and rejections of one source.
const RECENT: usize = 20;
/// What is said of a secret that was just made.
const MADE: &str = "This secret was made for the source. Give it to whoever sends to it, and to nobody else.";
/// What is said of the one there is.
const CURRENT: &str = "Requests to the source are verified with this secret.";
/// Messages that the store is asked for at once.
const AT_ONCE: usize = 8;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/sources", get(list).post(make))
        .route("/dashboard/sources/{source}", get(show))
        .route("/dashboard/sources/{source}/judge", post(judge))
        .route("/dashboard/sources/{source}/act", post(act))
        .route("/dashboard/sources/{source}/secret", post(show_secret))
        .route("/dashboard/sources/{source}/rejections/{rejection}", get(rejection))
}

/// A source, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SourceView {
    id: String,
    name: String,
    #[serde(default)]
    uid: Option<String>,
    url: String,
    #[serde(default)]
    provider: Option<String>,
    app_id: String,
    paused: bool,
    #[serde(default)]
    awaits_secret: bool,
    dedup_window: u64,
    event_type_prefix: String,
    created_at: When,
    /// The secret that was made with it, in the answer that made it.
    #[serde(default)]
    secret: Option<String>,
}

/// A source's current secret, as the API shows it.
#[derive(Debug, Deserialize)]
struct SecretView {
    secret: Option<String>,
}

impl SourceView {
    fn title(&self) -> &str {
        if self.name.is_empty() { self.provider.as_deref().unwrap_or(&self.id) } else { &self.name }
    }
}

#[derive(Debug, Deserialize)]
struct Provider {
    name: String,
    title: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventRow {
    id: String,
    event_type: String,
    #[serde(default)]
    event_id: Option<String>,
    timestamp: When,
}

#[derive(Debug, Deserialize)]
struct RejectionView {
    id: String,
    reason: String,
    detail: String,
    method: String,
    remote: String,
    timestamp: When,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Option<String>,
}

/// How often its events were repeated, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatsView {
    duplicates: u64,
    last_duplicate_at: Option<When>,
}

#[derive(Template)]
#[template(path = "dashboard/sources.html")]
struct Sources {
    shell: Shell,
    rows: Vec<SourceView>,
    pager: Pager,
    providers: Vec<Provider>,
    asked: Fields,
    apps: Choices,
    refused: Refused,
}

#[derive(Template)]
#[template(path = "dashboard/source.html")]
struct SourcePage {
    shell: Shell,
    source: SourceView,
    stats: StatsView,
    events: Vec<EventRow>,
    events_pager: Pager,
    rejections: Vec<RejectionView>,
    rejections_pager: Pager,
    /// The name of the application whose messages they become.
    app: String,
    reasons: &'static [&'static str],
    asked: Fields,
    verdict: Option<Verdict>,
    given: Fields,
    refused: Refused,
}

#[derive(Template)]
#[template(path = "dashboard/rejection.html")]
struct RejectionPage {
    shell: Shell,
    source: String,
    /// What the source is called.
    title: String,
    row: RejectionView,
    body: String,
}

/// What a source says of a request, as the API shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    valid: bool,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    event_type: Option<String>,
    #[serde(default)]
    hints: Vec<Hint>,
}

#[derive(Debug, Deserialize)]
struct Hint {
    text: String,
}

async fn list(visitor: Visitor) -> Shown {
    page(visitor, Refused::default()).await
}

async fn page(visitor: Visitor, refused: Refused) -> Shown {
    #[derive(Deserialize)]
    struct Providers {
        data: Vec<Provider>,
    }
    let asked = Fields::parse(visitor.query.as_bytes());
    let query = asked.query(&[("order", "descending")], &[("provider", "provider"), ("paused", "paused")]);
    let path = format!("/api/v1/source?{query}");
    let sifted = Sifted { path: &path, from: asked.text("iterator"), limit: LIMIT, id: |row: &SourceView| &row.id };
    let part = asked.text("q");
    let named =
        |row: &SourceView| has(row.title(), part) || has(&row.url, part) || row.uid.as_ref().is_some_and(|uid| has(uid, part));
    let found = sifted.rows(&visitor.desk, named).await;
    let (listed, badly) = Refused::filters(found, &asked, &[])?;
    let providers: Providers = visitor.desk.get("/api/v1/source/provider").await?;
    let pager = listed.pager(&visitor.query);
    let shell = Shell::new(&visitor, "Sources", "sources");
    let apps = names(&visitor, refused.given());
    let page = Sources { shell, rows: listed.data, pager, providers: providers.data, asked, apps, refused: refused.or(badly) };
    Ok((page.refused.status(), Page(page)).into_response())
}

async fn make(filled: Filled) -> Shown {
    match try_make(&filled).await {
        Ok(source) => {
            let next = format!("/dashboard/sources/{}?note=made", source.id);
            match &source.secret {
                Some(text) => secret::shown(&filled.visitor, Secret { text, next: &next, owner: source.title(), ..of(MADE) }),
                None => Ok(Redirect::to(&next).into_response()),
            }
        }
        Err(problem) => page(filled.visitor, Refused::new("make", problem, filled.fields, &[("appId", "app")])?).await,
    }
}

async fn try_make(filled: &Filled) -> Result<SourceView, Problem> {
    let fields = &filled.fields;
    let body = json!({
        "name": fields.text("name"), "provider": fields.given("provider"), "secret": fields.given("secret"),
        "appId": fields.given("app"),
    });
    filled.send(Method::POST, "/api/v1/source", body).await
}

/// A secret of a source.
fn of(about: &'static str) -> Secret<'static> {
    Secret { text: "", owner: "", next: "", section: "sources", about }
}

/// The page of a source's secret.
async fn secret_of(filled: &Filled, source: &str, (text, about, note): (&str, &'static str, &str)) -> Shown {
    let path = format!("/api/v1/source/{}", segment(source));
    let source: SourceView = filled.visitor.desk.get(&path).await?;
    let next = format!("/dashboard/sources/{}{note}", source.id);
    secret::shown(&filled.visitor, Secret { text, next: &next, owner: source.title(), ..of(about) })
}

/// Shows the secret. A form, so that only who may change things sees it, and no history keeps it.
async fn show_secret(Path(source): Path<String>, filled: Filled) -> Shown {
    let found: SecretView = filled.visitor.desk.get(&format!("/api/v1/source/{}/secret", segment(&source))).await?;
    match found.secret {
        Some(text) => secret_of(&filled, &source, (&text, CURRENT, "")).await,
        None => {
            let none = Problem::not_found("secret of this source");
            one(filled.visitor, &source, (None, Fields::default()), Refused::new("act", none, filled.fields, &[])?).await
        }
    }
}

/// Puts a new secret in place, and shows it if it was made here.
async fn rotate(source: &str, filled: Filled) -> Shown {
    let given = filled.fields.given("secret");
    let path = format!("/api/v1/source/{}/secret/rotate", segment(source));
    let rotated = filled.send::<SecretView>(Method::POST, &path, json!({ "secret": given })).await;
    match rotated {
        Ok(SecretView { secret: Some(text) }) if given.is_none() => secret_of(&filled, source, (&text, MADE, "?note=secret")).await,
        other => acted(source, filled, other.map(|_| "secret")).await,
    }
}

async fn show(visitor: Visitor, Path(source): Path<String>) -> Shown {
    one(visitor, &source, (None, Fields::default()), Refused::default()).await
}

async fn one(visitor: Visitor, source: &str, (verdict, given): (Option<Verdict>, Fields), refused: Refused) -> Shown {
    let path = format!("/api/v1/source/{}", segment(source));
    let source: SourceView = visitor.desk.get(&path).await?;
    let stats: StatsView = visitor.desk.get(&format!("{path}/stats")).await?;
    let asked = Fields::parse(visitor.query.as_bytes());
    let limit = RECENT.to_string();
    let fixed = [("limit", limit.as_str()), ("with_content", "false")];
    let names = [("type", "event_types"), ("their_id", "event_id"), ("iterator", "iterator")];
    let events = visitor.desk.get::<Listed<EventRow>>(&format!("{path}/event?{}", asked.query(&fixed, &names))).await;
    let (mut events, badly) = Refused::filters(events, &asked, &[("event_types", "type"), ("event_id", "their_id")])?;
    identify(&visitor, &source.app_id, &mut events.data).await?;
    let reason = asked.given("reason").map(|reason| format!("&reason={}", segment(reason))).unwrap_or_default();
    let rejections = format!("{path}/rejection?limit={RECENT}&iterator={}{reason}", segment(asked.text("refused")));
    let rejections = visitor.desk.get::<Listed<RejectionView>>(&rejections).await;
    let (rejections, unlike) = Refused::filters(rejections, &asked, &[])?;
    let app = visitor.desk.engine().app(visitor.desk.org(), &source.app_id);
    let page = SourcePage {
        shell: Shell::new(&visitor, source.title().to_owned(), "sources"),
        events_pager: events.pager(&visitor.query),
        events: events.data,
        rejections_pager: rejections.pager_by(&visitor.query, "refused"),
        rejections: rejections.data,
        app: app.map_or_else(|| source.app_id.clone(), |app| app.application.name.clone()),
        reasons: &Reason::CODES,
        source,
        stats,
        asked,
        verdict,
        given,
        refused: refused.or(badly).or(unlike),
    };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// Fills in the sender's ids: a message has an event id of its own only where the organization gave it one.
async fn identify(visitor: &Visitor, app: &str, events: &mut [EventRow]) -> Result<(), Problem> {
    let (Ok(app), store) = (app.parse::<AppId>(), &visitor.desk.engine().store) else { return Ok(()) };
    let wanted: Vec<MsgId> = events.iter().filter_map(|row| row.id.parse().ok()).collect();
    let found = stream::iter(wanted.into_iter().map(|id| store.message(app, id))).buffered(AT_ONCE).collect::<Vec<_>>().await;
    for message in found {
        let Some(message) = message? else { continue };
        let Some(theirs) = message.origin.as_ref().and_then(|origin| origin.event_id.clone()) else { continue };
        let row = events.iter_mut().find(|row| row.id == message.id.to_string());
        row.into_iter().for_each(|row| row.event_id = Some(theirs.clone()));
    }
    Ok(())
}

/// A request as people paste it: a request line and headers, an empty line, the body. The request line may be left out.
fn pasted(text: &str) -> Value {
    let text = text.replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let (mut headers, mut method) = (Map::<String, Value>::new(), None);
    for (at, line) in head.trim_start().lines().enumerate() {
        // A request line has spaces before any colon.
        let name_ends = line.find(':').filter(|end| !line.get(..*end).unwrap_or_default().contains(' '));
        match name_ends.map(|end| line.split_at(end)) {
            Some((name, value)) => {
                headers.insert(name.trim().to_owned(), json!(value.trim_start_matches(':').trim()));
            }
            None if at == 0 => method = line.split(' ').next().map(str::to_owned),
            None => {}
        }
    }
    json!({ "method": method, "headers": headers, "body": body })
}

/// Judges a pasted request by the source's rules. Nothing is recorded.
async fn judge(Path(source): Path<String>, filled: Filled) -> Shown {
    match verdict(&source, &filled).await {
        Ok(verdict) => one(filled.visitor, &source, (Some(verdict), filled.fields), Refused::default()).await,
        Err(problem) => {
            let given = filled.fields.clone();
            let names = [("headers", "request"), ("body", "request"), ("method", "request"), ("url", "request")];
            one(filled.visitor, &source, (None, given), Refused::new("judge", problem, filled.fields, &names)?).await
        }
    }
}

async fn verdict(source: &str, filled: &Filled) -> Result<Verdict, Problem> {
    let mut ask = pasted(filled.fields.raw("request"));
    if let (Some(at), Some(ask)) = (filled.fields.time("now")?, ask.as_object_mut()) {
        ask.insert("now".into(), json!(at.to_string()));
    }
    filled.send(Method::POST, &format!("/api/v1/source/{}/verify", segment(source)), ask).await
}

/// Pauses, resumes, moves, or deletes.
async fn act(Path(source): Path<String>, filled: Filled) -> Shown {
    let path = format!("/api/v1/source/{}", segment(&source));
    let note = match filled.fields.text("act") {
        "pause" => filled.change(Method::POST, &format!("{path}/pause"), Value::Null).await.map(|()| "paused"),
        "resume" => filled.change(Method::POST, &format!("{path}/resume"), Value::Null).await.map(|()| "saved"),
        "rotate-url" => filled.change(Method::POST, &format!("{path}/url/rotate"), json!({})).await.map(|()| "moved"),
        "rotate-secret" => return rotate(&source, filled).await,
        "delete" => {
            filled.change(Method::DELETE, &path, Value::Null).await?;
            return Ok(Redirect::to("/dashboard/sources?note=deleted").into_response());
        }
        _ => return Err(Problem::not_found("action").into()),
    };
    acted(&source, filled, note).await
}

/// Back to the source's page after a form: with a note, or with the form and why it was refused.
async fn acted(source: &str, filled: Filled, done: Result<&str, Problem>) -> Shown {
    match done {
        Ok(note) => Ok(Redirect::to(&format!("/dashboard/sources/{}?note={note}", segment(source))).into_response()),
        Err(problem) => {
            let refused = Refused::new("act", problem, filled.fields, &[])?;
            one(filled.visitor, source, (None, Fields::default()), refused).await
        }
    }
}

async fn rejection(visitor: Visitor, Path((source, rejection)): Path<(String, String)>) -> Shown {
    let path = format!("/api/v1/source/{}", segment(&source));
    let row: RejectionView = visitor.desk.get(&format!("{path}/rejection/{}", segment(&rejection))).await?;
    let found: SourceView = visitor.desk.get(&path).await?;
    let title = found.title().to_owned();
    let shell = Shell::new(&visitor, "A refused request", "sources");
    let body = row.body.as_deref().map(pretty).unwrap_or_default();
    Ok(Page(RejectionPage { shell, source, title, row, body }).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_request_is_read() {
        let told = pasted("POST /in/x HTTP/1.1\r\nX-Sig: a:b\r\nHost: h\r\n\r\n{\"a\":1}\n\nmore");
        assert_eq!(told, json!({"method": "POST", "headers": {"X-Sig": "a:b", "Host": "h"}, "body": "{\"a\":1}\n\nmore"}));
        assert_eq!(pasted("X-Sig: c\n\n{}")["headers"], json!({"X-Sig": "c"}));
        assert_eq!(pasted("")["body"], "");
    }
}
