//! Replays: those that run and those that ended, how far each is, and stopping one.

use super::{
    Dashboard,
    error::Shown,
    fields::{Fields, Filled, segment},
    page::{Page, Shell},
    refused::Refused,
    sift::{Sifted, has},
    view::{Badge, Pager, When, grouped, noun},
    visitor::Visitor,
};
use crate::model::EndpointId;
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// Entries of a page.
const LIMIT: usize = 50;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/replays", get(list))
        .route("/dashboard/replays/{replay}", get(show))
        .route("/dashboard/replays/{replay}/abort", post(abort))
}

/// A replay, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplayView {
    id: String,
    status: String,
    task: String,
    #[serde(default)]
    error: Option<String>,
    app_id: String,
    endpoint_id: Option<String>,
    since: When,
    until: When,
    rate: u32,
    progress: f64,
    data: Done,
    created_at: When,
    updated_at: When,
}

/// What a replay has done.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    messages_scanned: u64,
    messages_queued: u64,
    messages_expunged: u64,
}

impl ReplayView {
    fn runs(&self) -> bool {
        self.status == "running"
    }

    fn badge(&self) -> Badge {
        match self.status.as_str() {
            "running" => Badge("wait", "running"),
            "finished" => Badge("ok", "finished"),
            "aborted" => Badge("dim", "aborted"),
            _ => Badge("bad", "failed"),
        }
    }

    /// What it makes once more, in words.
    fn kind(&self) -> &'static str {
        match self.task.as_str() {
            "endpoint.recover" => "Failed deliveries",
            "endpoint.replay" => "Messages that were missed",
            "endpoint.bulk-replay" => "Deliveries of an endpoint",
            "cancel" => "Cancelled deliveries",
            _ => "Deliveries",
        }
    }

    /// Whether it cancels, and replays nothing.
    fn cancels(&self) -> bool {
        self.task == "cancel"
    }

    /// Whole hundredths of the span that were looked at: nearly all is not all.
    fn hundredths(&self) -> String {
        format!("{:.0}", (self.progress * 100.0).floor())
    }

    /// What its rate counts.
    fn noun(&self) -> &'static str {
        noun(self.rate.into(), "delivery", "deliveries")
    }

    fn queued(&self) -> String {
        grouped(self.data.messages_queued)
    }

    fn scanned(&self) -> String {
        grouped(self.data.messages_scanned)
    }
}

/// A replay with the names of what it is about.
struct Row {
    replay: ReplayView,
    /// The application's name; its id once it is deleted.
    app: String,
    /// The endpoint's URL; its id once it is deleted.
    endpoint: Option<String>,
}

impl Row {
    fn new(visitor: &Visitor, replay: ReplayView) -> Self {
        let engine = &visitor.desk.api().engine;
        let app = engine.app(visitor.user.org, &replay.app_id);
        let url = |id: &String| {
            let route = id.parse::<EndpointId>().ok().and_then(|id| engine.routing.endpoint(id));
            route.map_or_else(|| id.clone(), |(_, route)| route.url.to_string())
        };
        Row {
            app: app.map_or_else(|| replay.app_id.clone(), |app| app.application.name.clone()),
            endpoint: replay.endpoint_id.as_ref().map(url),
            replay,
        }
    }
}

#[derive(Template)]
#[template(path = "dashboard/replays.html")]
struct Replays {
    shell: Shell,
    rows: Vec<Row>,
    pager: Pager,
    asked: Fields,
    refused: Refused,
}

impl Replays {
    /// Whether one of them runs.
    fn moves(&self) -> bool {
        self.rows.iter().any(|row| row.replay.runs())
    }
}

#[derive(Template)]
#[template(path = "dashboard/replay_one.html")]
struct One {
    shell: Shell,
    row: Row,
}

async fn list(visitor: Visitor) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let sifted = Sifted { path: "/api/v1/replay?", from: asked.text("iterator"), limit: LIMIT, id: |row: &ReplayView| &row.id };
    let (state, part) = (asked.given("state"), asked.text("app").to_lowercase());
    let of_app = |id: &str| {
        let app = visitor.desk.engine().app(visitor.user.org, id).filter(|_| !part.is_empty());
        id.to_lowercase().contains(&part) || app.is_some_and(|app| has(&app.application.name, &part))
    };
    let wanted = |row: &ReplayView| state.is_none_or(|state| row.status == state) && of_app(&row.app_id);
    let found = match asked.one_of("state", &["running", "finished", "aborted", "failed"]) {
        Ok(()) => sifted.rows(&visitor.desk, wanted).await,
        Err(problem) => Err(problem),
    };
    let (listed, refused) = Refused::filters(found, &asked, &[])?;
    let pager = listed.pager(&visitor.query);
    let rows = listed.data.into_iter().map(|replay| Row::new(&visitor, replay)).collect();
    let page = Replays { shell: Shell::new(&visitor, "Replays", "replays"), rows, pager, asked, refused };
    Ok((page.refused.status(), Page(page)).into_response())
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Shown {
    let replay: ReplayView = visitor.desk.get(&format!("/api/v1/replay/{}", segment(&id))).await?;
    let row = Row::new(&visitor, replay);
    Ok(Page(One { shell: Shell::new(&visitor, "Replay", "replays"), row }).into_response())
}

async fn abort(Path(id): Path<String>, filled: Filled) -> Shown {
    filled.change(Method::POST, &format!("/api/v1/replay/{}/abort", segment(&id)), Value::Null).await?;
    Ok(Redirect::to(&format!("/dashboard/replays/{}?note=aborted", segment(&id))).into_response())
}
