//! Choosing among many: what somebody types is looked for among all applications, or all endpoints of one, and the page's script
//! offers what was found. Without it an id is typed.

use super::{Dashboard, error::Shown, fields::Fields, page::Page, sift::has, visitor::Visitor};
use askama::Template;
use axum::{Router, response::IntoResponse, routing::get};
use std::sync::Arc;

/// What is offered at once.
const LIMIT: usize = 50;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard/pick/applications", get(applications)).route("/dashboard/pick/endpoints", get(endpoints))
}

/// What is sent for a choice, and what people call it.
type Choice = (String, String);

#[derive(Template)]
#[template(path = "dashboard/pick.html")]
struct Picked {
    rows: Vec<Choice>,
}

/// The newest applications whose name, id or uid has what is typed.
async fn applications(visitor: Visitor) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let (part, routing) = (asked.text("q"), &visitor.desk.engine().routing);
    let mut ids = routing.apps_of(visitor.user.org);
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    let apps = ids.into_iter().filter_map(|id| routing.by_id(id));
    let found = apps.filter(|app| {
        let app = &app.application;
        has(&app.name, part) || app.uid.as_deref().is_some_and(|uid| has(uid, part)) || has(&app.id.to_string(), part)
    });
    let rows = found.take(LIMIT).map(|app| (app.application.id.to_string(), app.application.name.clone())).collect();
    Ok(Page(Picked { rows }).into_response())
}

/// The endpoints of an application whose URL, id or uid has what is typed.
async fn endpoints(visitor: Visitor) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let part = asked.text("q");
    let app = visitor.desk.engine().app(visitor.user.org, asked.text("app"));
    let routes = app.iter().flat_map(|app| app.routes.iter());
    let found = routes.filter(|route| has(&route.url, part) || has(&route.id.to_string(), part));
    let rows = found.take(LIMIT).map(|route| (route.id.to_string(), route.url.to_string())).collect();
    Ok(Page(Picked { rows }).into_response())
}
