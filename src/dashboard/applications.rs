//! Applications: whoever receives. Their list, and one with its endpoints.

use super::{
    Dashboard,
    error::Shown,
    fields::{Fields, Filled, segment},
    page::{Page, Shell},
    refused::Refused,
    sift::{Sifted, has, paged},
    view::{Listed, Pager, When},
    visitor::Visitor,
};
use crate::api::Problem;
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
use std::sync::Arc;

/// Entries of a page.
const LIMIT: usize = 50;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/applications", get(list).post(make))
        .route("/dashboard/applications/{app}", get(show).post(edit))
        .route("/dashboard/applications/{app}/delete", post(delete))
        .route("/dashboard/applications/{app}/send", post(send))
        .route("/dashboard/applications/{app}/portal", post(portal))
}

/// An application, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AppView {
    /// Identifier.
    pub(super) id: String,
    /// For people.
    pub(super) name: String,
    /// The owner's own name for it.
    #[serde(default)]
    pub(super) uid: Option<String>,
    #[serde(default)]
    throttle_rate: Option<u64>,
    #[serde(default)]
    profile: Option<String>,
    created_at: When,
}

impl AppView {
    /// Deliveries a second at most, as a form has it.
    fn rate(&self) -> String {
        self.throttle_rate.map(|rate| rate.to_string()).unwrap_or_default()
    }
}

/// An endpoint of a list, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndpointRow {
    id: String,
    url: String,
    description: String,
    disabled: bool,
    #[serde(default)]
    event_types: Option<Vec<String>>,
    created_at: When,
}

#[derive(Template)]
#[template(path = "dashboard/applications.html")]
struct Applications {
    shell: Shell,
    rows: Vec<AppView>,
    pager: Pager,
    asked: String,
    refused: Refused,
}

#[derive(Template)]
#[template(path = "dashboard/application.html")]
struct ApplicationPage {
    shell: Shell,
    app: AppView,
    rows: Vec<EndpointRow>,
    pager: Pager,
    asked: Fields,
    types: Vec<String>,
    profiles: Vec<String>,
    /// A link to the portal that was just made.
    link: Option<String>,
    refused: Refused,
}

async fn list(visitor: Visitor) -> Shown {
    page(visitor, Refused::default()).await
}

async fn page(visitor: Visitor, refused: Refused) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let name = asked.text("name").to_owned();
    // By id or uid it is one look; a part of a name is not searched for by the store.
    let (rows, pager, refused) = match asked.given("name") {
        Some(name) => {
            let (rows, pager) = named(&visitor, name).await?;
            (rows, pager, refused)
        }
        None => {
            let path = format!("/api/v1/app?order=descending&limit={LIMIT}&iterator={}", segment(asked.text("iterator")));
            let (listed, badly) = Refused::filters(visitor.desk.get::<Listed<AppView>>(&path).await, &asked, &[])?;
            let pager = listed.pager(&visitor.query);
            (listed.data, pager, refused.or(badly))
        }
    };
    let shell = Shell::new(&visitor, "Applications", "applications");
    Ok((refused.status(), Page(Applications { shell, rows, pager, asked: name, refused })).into_response())
}

/// A page of the applications whose name, id or uid has this in it, newest first: found in memory.
async fn named(visitor: &Visitor, part: &str) -> Result<(Vec<AppView>, Pager), Problem> {
    let routing = &visitor.desk.api().engine.routing;
    let part = part.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&part);
    let mut ids = routing.apps_of(visitor.user.org);
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    let apps = ids.into_iter().filter_map(|id| routing.by_id(id));
    let found = apps.filter(|app| {
        let app = &app.application;
        has(&app.name) || app.uid.as_deref().is_some_and(has) || app.id.to_string().to_lowercase() == part
    });
    let found: Vec<String> = found.map(|app| app.application.id.to_string()).collect();
    let (ids, pager) = paged(found, &visitor.query, LIMIT);
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        rows.extend(visitor.desk.find(&format!("/api/v1/app/{id}")).await?);
    }
    Ok((rows, pager))
}

pub(super) fn form(fields: &Fields) -> Result<Value, Problem> {
    let rate = fields.given("throttle").map(str::parse::<u64>).transpose();
    let rate = rate.map_err(|_| Problem::field(&["throttleRate"], "type_error", "This is not a number."))?;
    Ok(json!({ "name": fields.text("name"), "uid": fields.given("uid"), "throttleRate": rate, "profile": fields.given("profile") }))
}

async fn make(filled: Filled) -> Shown {
    let made = match form(&filled.fields) {
        Ok(body) => filled.send::<AppView>(Method::POST, "/api/v1/app", body).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(app) => Ok(Redirect::to(&format!("/dashboard/applications/{}?note=made", app.id)).into_response()),
        Err(problem) => page(filled.visitor, Refused::new("make", problem, filled.fields, &[])?).await,
    }
}

async fn show(visitor: Visitor, Path(app): Path<String>) -> Shown {
    one(visitor, &app, None, Refused::default()).await
}

async fn one(visitor: Visitor, app: &str, link: Option<String>, refused: Refused) -> Shown {
    let path = format!("/api/v1/app/{}", segment(app));
    let app: AppView = visitor.desk.get(&path).await?;
    let asked = Fields::parse(visitor.query.as_bytes());
    let listed = format!("{path}/endpoint?order=descending");
    let sifted = Sifted { path: &listed, from: asked.text("iterator"), limit: LIMIT, id: |row: &EndpointRow| &row.id };
    let (part, state) = (asked.text("q"), asked.text("state"));
    let in_state = |row: &EndpointRow| state.is_empty() || row.disabled == (state == "disabled");
    let named = |row: &EndpointRow| has(&row.url, part) || has(&row.description, part);
    let found = match asked.one_of("state", &["on", "disabled"]) {
        Ok(()) => sifted.rows(&visitor.desk, |row| in_state(row) && named(row)).await,
        Err(problem) => Err(problem),
    };
    let (listed, badly) = Refused::filters(found, &asked, &[])?;
    let pager = listed.pager(&visitor.query);
    let page = ApplicationPage {
        shell: Shell::new(&visitor, app.name.clone(), "applications"),
        app,
        rows: listed.data,
        pager,
        asked,
        types: super::event_types::names(&visitor.desk).await?,
        profiles: super::endpoint_edit::profiles(&visitor).await?,
        link,
        refused: refused.or(badly),
    };
    Ok((page.refused.status(), Page(page)).into_response())
}

async fn edit(Path(app): Path<String>, filled: Filled) -> Shown {
    let path = format!("/api/v1/app/{}", segment(&app));
    let saved = match form(&filled.fields) {
        Ok(body) => filled.change(Method::PATCH, &path, body).await,
        Err(problem) => Err(problem),
    };
    match saved {
        Ok(()) => Ok(Redirect::to(&format!("/dashboard/applications/{}?note=saved", segment(&app))).into_response()),
        Err(problem) => refused(filled, &app, ("edit", problem)).await,
    }
}

/// The application's page with the form that was refused.
async fn refused(filled: Filled, app: &str, (form, problem): (&'static str, Problem)) -> Shown {
    let names = [("throttleRate", "throttle"), ("eventType", "type"), ("readOnly", "read_only")];
    one(filled.visitor, app, None, Refused::new(form, problem, filled.fields, &names)?).await
}

async fn delete(Path(app): Path<String>, filled: Filled) -> Shown {
    filled.change(Method::DELETE, &format!("/api/v1/app/{}", segment(&app)), Value::Null).await?;
    Ok(Redirect::to("/dashboard/applications?note=deleted").into_response())
}

/// Makes a link to the portal, which is shown once.
async fn portal(Path(app): Path<String>, filled: Filled) -> Shown {
    match try_portal(&app, &filled).await {
        Ok(url) => one(filled.visitor, &app, Some(url), Refused::default()).await,
        Err(problem) => refused(filled, &app, ("portal", problem)).await,
    }
}

async fn try_portal(app: &str, filled: &Filled) -> Result<String, Problem> {
    #[derive(Deserialize)]
    struct Link {
        url: String,
    }
    let expiry = filled.fields.text("expiry").parse::<u64>();
    let expiry = expiry.map_err(|_| Problem::field(&["expiry"], "type_error", "This is not a number."))?;
    let body = json!({ "expiry": expiry, "readOnly": filled.fields.ticked("read_only") });
    let link: Link = filled.send(Method::POST, &format!("/api/v1/auth/app-portal-access/{}", segment(app)), body).await?;
    Ok(link.url)
}

/// Sends a message that somebody wrote by hand.
async fn send(Path(app): Path<String>, filled: Filled) -> Shown {
    match try_send(&app, &filled).await {
        Ok(id) => Ok(Redirect::to(&format!("/dashboard/applications/{}/messages/{id}", segment(&app))).into_response()),
        Err(problem) => refused(filled, &app, ("send", problem)).await,
    }
}

/// The new message's id.
async fn try_send(app: &str, filled: &Filled) -> Result<String, Problem> {
    #[derive(Deserialize)]
    struct Made {
        id: String,
    }
    let payload = filled.fields.json("payload")?.unwrap_or_else(|| json!({}));
    let tags = filled.fields.words("tags");
    let body = json!({ "eventType": filled.fields.text("type"), "payload": payload, "tags": tags });
    Ok(filled.send::<Made>(Method::POST, &format!("/api/v1/app/{}/msg", segment(app)), body).await?.id)
}
