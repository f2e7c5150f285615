//! The catalogue: which events there are, by category, with schema and example.

use super::{
    super::{
        Dashboard,
        event_types::TypeView,
        fields::{Fields, segment},
        page::Page,
        refused::Refused,
        sift::{Sifted, has},
        view::Pager,
    },
    endpoint_edit::{Category, grouped},
    guest::Guest,
    page::{Shell, Shown},
};
use askama::Template;
use axum::{Router, extract::Path, response::IntoResponse, routing::get};
use std::sync::Arc;

/// Event types of a page.
const LIMIT: usize = 100;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/portal/{app}/event-types", get(list)).route("/portal/{app}/event-types/{name}", get(show))
}

#[derive(Template)]
#[template(path = "portal/event_types.html")]
struct EventTypes {
    shell: Shell,
    categories: Vec<Category>,
    pager: Pager,
    asked: Fields,
    refused: Refused,
}

#[derive(Template)]
#[template(path = "portal/event_type.html")]
struct EventTypePage {
    shell: Shell,
    row: TypeView,
}

async fn list(guest: Guest) -> Shown {
    let asked = Fields::parse(guest.query.as_bytes());
    let path = "/api/v1/event-type?with_content=true";
    let sifted = Sifted { path, from: asked.text("iterator"), limit: LIMIT, id: |row: &TypeView| &row.name };
    let (part, category) = (asked.text("q"), asked.given("category"));
    let wanted = |row: &TypeView| {
        let group = row.group_name.as_deref().unwrap_or_default();
        (has(&row.name, part) || has(&row.description, part)) && category.is_none_or(|category| has(group, category))
    };
    let (listed, refused) = Refused::filters(sifted.rows(&guest.desk, wanted).await, &asked, &[])?;
    let pager = listed.pager(&guest.query);
    let shell = Shell::new(&guest, "Event types", "event-types");
    let page = EventTypes { shell, categories: grouped(listed.data), pager, asked, refused };
    Ok((page.refused.status(), Page(page)).into_response())
}

async fn show(guest: Guest, Path((_app, name)): Path<(String, String)>) -> Shown {
    let row: TypeView = guest.desk.get(&format!("/api/v1/event-type/{}", segment(&name))).await?;
    Ok(Page(EventTypePage { shell: Shell::new(&guest, row.name.clone(), "event-types"), row }).into_response())
}
