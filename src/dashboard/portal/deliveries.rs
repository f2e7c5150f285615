//! Deliveries of the application by state, time, event type and endpoint, paged both ways by URLs that can be shared.

use super::{
    super::{
        Dashboard,
        fields::Fields,
        messages::ways,
        page::Page,
        refused::Refused,
        search::{Hit, Sought, search},
        view::{Badge, Pager, When},
    },
    guest::Guest,
    page::{Shell, Shown},
};
use crate::{
    api::Problem,
    model::{EndpointId, MsgId},
};
use askama::Template;
use axum::{Router, response::IntoResponse, routing::get};
use std::sync::Arc;

/// Messages of a page.
const LIMIT: usize = 30;
/// States to choose from, and what they are called.
const STATES: [(&str, &str); 6] = [
    ("failed", "failed"),
    ("pending", "pending"),
    ("held", "held"),
    ("in_flight", "in flight"),
    ("delivered", "delivered"),
    ("cancelled", "cancelled"),
];

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/portal/{app}/deliveries", get(list))
}

struct Row {
    id: MsgId,
    event_type: String,
    event_id: Option<String>,
    at: When,
    /// The deliveries that were asked for: endpoint, its URL, and how it stands.
    deliveries: Vec<(EndpointId, String, Badge)>,
}

#[derive(Template)]
#[template(path = "portal/deliveries.html")]
struct Deliveries {
    shell: Shell,
    rows: Vec<Row>,
    pager: Pager,
    further: Option<String>,
    searched: usize,
    filtered: bool,
    states: [(&'static str, &'static str); 6],
    types: Vec<String>,
    endpoints: Vec<(String, String)>,
    asked: Fields,
    refused: Refused,
}

impl Row {
    fn new(hit: Hit, asked: &Fields) -> Self {
        let wanted = asked.text("endpoint");
        let of_endpoint = |id: &EndpointId| wanted.is_empty() || id.to_string() == wanted;
        let app = hit.app;
        let url = |id: EndpointId| app.route(id).map_or_else(|| format!("{id} (deleted)"), |route| route.url.to_string());
        let shown = hit.deliveries.into_iter().filter(|delivery| of_endpoint(&delivery.endpoint));
        Row {
            id: hit.message.id,
            at: When(hit.message.id.time()),
            event_type: hit.message.event_type,
            event_id: hit.message.event_id,
            deliveries: shown.map(|d| (d.endpoint, url(d.endpoint), Badge::state(d.state))).collect(),
        }
    }
}

async fn list(guest: Guest) -> Shown {
    let asked = Fields::parse(guest.query.as_bytes());
    let app = guest.app.id.parse().map_err(|_| Problem::Internal)?;
    let engine = guest.desk.engine();
    let found = match Sought::read(&asked) {
        Ok(sought) => search(engine, &[app], &sought, LIMIT).await,
        Err(problem) => Err(problem),
    };
    let (found, refused) = Refused::filters(found, &asked, &[])?;
    let (pager, further) = ways(&guest.query, &asked, &found);
    let routes = engine.routing.by_id(app);
    let endpoints = routes.iter().flat_map(|app| app.routes.iter()).map(|route| (route.id.to_string(), route.url.to_string()));
    let page = Deliveries {
        shell: Shell::new(&guest, "Deliveries", "deliveries"),
        searched: found.searched,
        pager,
        further,
        filtered: asked.0.iter().any(|(name, value)| !matches!(name.as_str(), "before" | "after" | "note") && !value.is_empty()),
        states: STATES,
        types: super::super::event_types::names(&guest.desk).await?,
        endpoints: endpoints.collect(),
        rows: found.hits.into_iter().map(|hit| Row::new(hit, &asked)).collect(),
        asked,
        refused,
    };
    Ok((page.refused.status(), Page(page)).into_response())
}
