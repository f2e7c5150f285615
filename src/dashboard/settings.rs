//! Settings: what holds for the organization, and how the server was started.

use super::{
    Dashboard,
    error::Shown,
    fields::{Filled, segment},
    page::{Page, Shell},
    refused::{Names, Refused},
    view::{pretty, span},
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
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/settings", get(show))
        .route("/dashboard/settings/profile", post(choose))
        .route("/dashboard/settings/retention", post(retain))
        .route("/dashboard/settings/profiles/{name}", get(profile).post(edit_profile))
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
    retention: Retained,
    ip_ranges: Vec<String>,
    refused: Refused,
}

/// How long things are kept, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retained {
    message_hours: Option<u32>,
    payload_hours: Option<u32>,
}

impl Retained {
    fn shown(hours: &Option<u32>) -> String {
        hours.map(|hours| hours.to_string()).unwrap_or_default()
    }
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
    refused: Refused,
}

async fn show(visitor: Visitor) -> Shown {
    page(visitor, Refused::default()).await
}

async fn page(visitor: Visitor, refused: Refused) -> Shown {
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
    let retention: Retained = visitor.desk.get("/api/v1/retention").await?;
    let ip_ranges = visitor.desk.dashboard().ip_ranges.clone();
    let shell = Shell::new(&visitor, "Settings", "settings");
    let (profiles, chosen, public) = (all.data, chosen.profile, visitor.base);
    let page = Settings { shell, profiles, chosen, facts, public, retention, ip_ranges, refused };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// Chooses how the organization's deliveries look unless told otherwise.
async fn choose(filled: Filled) -> Shown {
    filled.visitor.need(Role::Admin)?;
    let chosen = filled.change(Method::PUT, "/api/v1/profile/default", json!({ "profile": filled.fields.given("profile") })).await;
    saved(chosen, filled, ("profile", &[])).await
}

/// The page, with what was refused.
async fn saved(done: Result<(), Problem>, filled: Filled, (form, names): (&'static str, &Names)) -> Shown {
    match done {
        Ok(()) => Ok(Redirect::to("/dashboard/settings?note=saved").into_response()),
        Err(problem) => page(filled.visitor, Refused::new(form, problem, filled.fields, names)?).await,
    }
}

/// Says how long the organization keeps messages and payloads.
async fn retain(filled: Filled) -> Shown {
    filled.visitor.need(Role::Admin)?;
    let done = try_retain(&filled).await;
    saved(done, filled, ("retention", &[("messageHours", "messages"), ("payloadHours", "payloads")])).await
}

async fn try_retain(filled: &Filled) -> Result<(), Problem> {
    let hours = |name: &'static str| {
        let read = filled.fields.given(name).map(str::parse::<u32>).transpose();
        read.map_err(|_| Problem::field(&[name], "type_error", "This is not a number of hours."))
    };
    let body = json!({ "messageHours": hours("messages")?, "payloadHours": hours("payloads")? });
    filled.change(Method::PUT, "/api/v1/retention", body).await
}

/// One profile, and what a delivery looks like with it.
async fn profile(visitor: Visitor, Path(name): Path<String>) -> Shown {
    profile_page(visitor, &name, Refused::default()).await
}

/// Changes, copies or deletes a profile.
async fn edit_profile(Path(name): Path<String>, filled: Filled) -> Shown {
    filled.visitor.need(Role::Admin)?;
    let path = format!("/api/v1/profile/{}", segment(&name));
    let act = filled.fields.text("act");
    let (done, to) = match act {
        "copy" => {
            let copy = filled.fields.text("name").to_owned();
            let body = json!({ "name": copy, "changes": {} });
            (filled.change(Method::POST, &format!("{path}/clone"), body).await, format!("/profiles/{}?note=made", segment(&copy)))
        }
        "delete" => (filled.change(Method::DELETE, &path, Value::Null).await, "?note=deleted".to_owned()),
        _ => {
            let done = match filled.fields.json("profile") {
                Ok(profile) => filled.change(Method::PUT, &path, json!({ "profile": profile })).await,
                Err(problem) => Err(problem),
            };
            (done, format!("/profiles/{}?note=saved", segment(&name)))
        }
    };
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/dashboard/settings{to}")).into_response()),
        Err(problem) => {
            let form = if act == "copy" { "copy" } else { "save" };
            let refused = Refused::new(form, problem, filled.fields, &[])?;
            profile_page(filled.visitor, &name, refused).await
        }
    }
}

/// A profile's page.
async fn profile_page(visitor: Visitor, name: &str, refused: Refused) -> Shown {
    #[derive(Deserialize)]
    struct Preview {
        method: String,
        url: String,
        headers: std::collections::BTreeMap<String, String>,
        body: String,
    }
    let found: ProfileView = visitor.desk.get(&format!("/api/v1/profile/{}", segment(name))).await?;
    let ask = json!({ "profile": found.profile });
    let preview: Preview = visitor.desk.call(Method::POST, "/api/v1/profile/preview", Some(ask)).await?;
    let page = ProfilePage {
        shell: Shell::new(&visitor, found.name.clone(), "settings"),
        text: pretty(&found.profile.to_string()),
        refused,
        name: found.name,
        built_in: found.built_in,
        method: preview.method,
        url: preview.url,
        headers: preview.headers.into_iter().collect(),
        body: pretty(&preview.body),
    };
    Ok((page.refused.status(), Page(page)).into_response())
}
