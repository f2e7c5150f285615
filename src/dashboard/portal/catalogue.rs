//! The catalogue: which events there are, by category, with schema and example.

use super::{
    super::{Dashboard, event_types::TypeView, fields::segment, page::Page},
    endpoint_edit::{Category, catalogue},
    guest::Guest,
    page::{Shell, Shown},
};
use askama::Template;
use axum::{Router, extract::Path, response::IntoResponse, routing::get};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/portal/{app}/event-types", get(list)).route("/portal/{app}/event-types/{name}", get(show))
}

#[derive(Template)]
#[template(path = "portal/event_types.html")]
struct EventTypes {
    shell: Shell,
    categories: Vec<Category>,
}

#[derive(Template)]
#[template(path = "portal/event_type.html")]
struct EventTypePage {
    shell: Shell,
    row: TypeView,
}

async fn list(guest: Guest) -> Shown {
    let categories = catalogue(&guest).await?;
    Ok(Page(EventTypes { shell: Shell::new(&guest, "Event types", "event-types"), categories }).into_response())
}

async fn show(guest: Guest, Path((_app, name)): Path<(String, String)>) -> Shown {
    let row: TypeView = guest.desk.get(&format!("/api/v1/event-type/{}", segment(&name))).await?;
    Ok(Page(EventTypePage { shell: Shell::new(&guest, row.name.clone(), "event-types"), row }).into_response())
}
