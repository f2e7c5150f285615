//! Settings: what holds for the organization, and how the server was started.

use super::{
    Dashboard,
    error::Shown,
    fields::{Filled, segment},
    page::{Page, Shell},
    view::{pretty, span},
    visitor::Visitor,
};
use crate::model::Role;
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

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/settings", get(show))
        .route("/dashboard/settings/profile", post(choose))
        .route("/dashboard/settings/profiles/{name}", get(profile))
}

/// A profile, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProfileView {
    name: String,
    built_in: bool,
    profile: Value,
}

impl ProfileView {
    fn about(&self) -> &str {
        self.profile.get("description").and_then(Value::as_str).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct All {
    data: Vec<ProfileView>,
}

#[derive(Deserialize)]
struct Chosen {
    profile: Option<String>,
}

#[derive(Template)]
#[template(path = "dashboard/settings.html")]
struct Settings {
    shell: Shell,
    profiles: Vec<ProfileView>,
    chosen: Option<String>,
    /// Names and values of how the server was started.
    facts: Vec<(&'static str, String)>,
    public: String,
}

#[derive(Template)]
#[template(path = "dashboard/profile.html")]
struct ProfilePage {
    shell: Shell,
    name: String,
    built_in: bool,
    text: String,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

async fn show(visitor: Visitor) -> Shown {
    let all: All = visitor.desk.get("/api/v1/profile").await?;
    let chosen: Chosen = visitor.desk.get("/api/v1/profile/default").await?;
    let settings = &visitor.desk.api().engine.settings;
    let facts = vec![
        ("Messages are kept for", span(settings.retention.as_secs())),
        ("An attempt takes at most", span(settings.attempt_timeout.as_secs())),
        ("An endpoint is disabled after failing for", span(settings.disable_after.as_secs())),
        ("Attempts at once", settings.max_in_flight.to_string()),
        ("A payload has at most", format!("{} bytes", super::view::grouped(visitor.desk.api().options.max_payload as u64))),
    ];
    let shell = Shell::new(&visitor, "Settings", "settings");
    let page = Settings { shell, profiles: all.data, chosen: chosen.profile, facts, public: visitor.base };
    Ok(Page(page).into_response())
}

/// Chooses how the organization's deliveries look unless told otherwise.
async fn choose(filled: Filled) -> Shown {
    filled.visitor.need(Role::Admin)?;
    filled.change(Method::PUT, "/api/v1/profile/default", json!({ "profile": filled.fields.given("profile") })).await?;
    Ok(Redirect::to("/dashboard/settings?note=saved").into_response())
}

/// One profile, and what a delivery looks like with it.
async fn profile(visitor: Visitor, Path(name): Path<String>) -> Shown {
    #[derive(Deserialize)]
    struct Preview {
        method: String,
        url: String,
        headers: std::collections::BTreeMap<String, String>,
        body: String,
    }
    let found: ProfileView = visitor.desk.get(&format!("/api/v1/profile/{}", segment(&name))).await?;
    let ask = json!({ "profile": found.profile });
    let preview: Preview = visitor.desk.call(Method::POST, "/api/v1/profile/preview", Some(ask)).await?;
    let page = ProfilePage {
        shell: Shell::new(&visitor, found.name.clone(), "settings"),
        text: pretty(&found.profile.to_string()),
        name: found.name,
        built_in: found.built_in,
        method: preview.method,
        url: preview.url,
        headers: preview.headers.into_iter().collect(),
        body: pretty(&preview.body),
    };
    Ok(Page(page).into_response())
}
