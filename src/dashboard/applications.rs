//! Applications: whoever receives. Their list, and one with its endpoints.

use super::{
    Dashboard,
    error::{Shown, reasons},
    fields::{Fields, Filled, segment},
    page::{Page, Shell},
    sift::{Sifted, has},
    view::{Listed, Pager, When},
    visitor::Visitor,
};
use crate::api::Problem;
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::{Method, StatusCode},
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
    fault: Vec<String>,
    given: Fields,
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
}

async fn list(visitor: Visitor) -> Shown {
    page(visitor, Vec::new(), Fields::default()).await
}

async fn page(visitor: Visitor, fault: Vec<String>, given: Fields) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let name = asked.text("name").to_owned();
    // By id or uid it is one look; a part of a name is not searched for by the store.
    let (rows, pager) = match asked.given("name") {
        Some(name) => (named(&visitor, name).await?, Pager::default()),
        None => {
            let path = format!("/api/v1/app?order=descending&limit={LIMIT}&iterator={}", segment(asked.text("iterator")));
            let listed: Listed<AppView> = visitor.desk.get(&path).await?;
            let pager = listed.pager(&visitor.query);
            (listed.data, pager)
        }
    };
    let status = if fault.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let shell = Shell::new(&visitor, "Applications", "applications");
    Ok((status, Page(Applications { shell, rows, pager, asked: name, fault, given })).into_response())
}

/// Applications whose name, id or uid has this in it: from memory, at most [`LIMIT`].
async fn named(visitor: &Visitor, part: &str) -> Result<Vec<AppView>, Problem> {
    let routing = &visitor.desk.api().engine.routing;
    let part = part.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&part);
    let apps = routing.apps_of(visitor.user.org).into_iter().filter_map(|id| routing.by_id(id));
    let found = apps.filter(|app| {
        let app = &app.application;
        has(&app.name) || app.uid.as_deref().is_some_and(has) || app.id.to_string().to_lowercase() == part
    });
    let ids: Vec<String> = found.take(LIMIT).map(|app| app.application.id.to_string()).collect();
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        rows.extend(visitor.desk.find(&format!("/api/v1/app/{id}")).await?);
    }
    Ok(rows)
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
        Err(problem) => page(filled.visitor, reasons(&problem), filled.fields).await,
    }
}

async fn show(visitor: Visitor, Path(app): Path<String>) -> Shown {
    one(visitor, &app, None).await
}

async fn one(visitor: Visitor, app: &str, link: Option<String>) -> Shown {
    let path = format!("/api/v1/app/{}", segment(app));
    let app: AppView = visitor.desk.get(&path).await?;
    let asked = Fields::parse(visitor.query.as_bytes());
    let listed = format!("{path}/endpoint?order=descending");
    let sifted = Sifted { path: &listed, from: asked.text("iterator"), limit: LIMIT, id: |row: &EndpointRow| &row.id };
    let (part, state) = (asked.text("q"), asked.text("state"));
    let in_state = |row: &EndpointRow| state.is_empty() || row.disabled == (state == "disabled");
    let named = |row: &EndpointRow| has(&row.url, part) || has(&row.description, part);
    let listed = sifted.rows(&visitor.desk, |row| in_state(row) && named(row)).await?;
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
    };
    Ok(Page(page).into_response())
}

async fn edit(Path(app): Path<String>, filled: Filled) -> Shown {
    let path = format!("/api/v1/app/{}", segment(&app));
    filled.change(Method::PATCH, &path, form(&filled.fields)?).await?;
    Ok(Redirect::to(&format!("/dashboard/applications/{}?note=saved", segment(&app))).into_response())
}

async fn delete(Path(app): Path<String>, filled: Filled) -> Shown {
    filled.change(Method::DELETE, &format!("/api/v1/app/{}", segment(&app)), Value::Null).await?;
    Ok(Redirect::to("/dashboard/applications?note=deleted").into_response())
}

/// Makes a link to the portal, which is shown once.
async fn portal(Path(app): Path<String>, filled: Filled) -> Shown {
    #[derive(Deserialize)]
    struct Link {
        url: String,
    }
    let expiry = filled.fields.text("expiry").parse::<u64>();
    let expiry = expiry.map_err(|_| Problem::field(&["expiry"], "type_error", "This is not a number."))?;
    let body = json!({ "expiry": expiry, "readOnly": filled.fields.ticked("read_only") });
    let link: Link = filled.send(Method::POST, &format!("/api/v1/auth/app-portal-access/{}", segment(&app)), body).await?;
    one(filled.visitor, &app, Some(link.url)).await
}

/// Sends a message that somebody wrote by hand.
async fn send(Path(app): Path<String>, filled: Filled) -> Shown {
    #[derive(Deserialize)]
    struct Made {
        id: String,
    }
    let payload = filled.fields.json("payload")?.unwrap_or_else(|| json!({}));
    let tags = filled.fields.words("tags");
    let body = json!({ "eventType": filled.fields.text("type"), "payload": payload, "tags": tags });
    let made: Made = filled.send(Method::POST, &format!("/api/v1/app/{}/msg", segment(&app)), body).await?;
    Ok(Redirect::to(&format!("/dashboard/applications/{}/messages/{}", segment(&app), made.id)).into_response())
}
