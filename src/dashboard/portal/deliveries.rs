//! Deliveries of the application by state, time, event type and endpoint, paged both ways by URLs that can be shared.

use super::{
    super::{
        Dashboard,
        fields::Fields,
        messages::ways,
        page::Page,
        refused::Refused,
        search::{Found, Hit, Sought, search},
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
/// Deliveries of one message that are listed; the rest are on its page.
const MAX_SHOWN: usize = 10;
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
    /// Deliveries that were asked for: endpoint, its URL, and how it stands.
    deliveries: Vec<(EndpointId, String, Badge)>,
    /// How many more there are.
    more: usize,
    unmatched: bool,
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
    fn new(hit: Hit, sought: &Sought) -> Self {
        let unseen = if sought.has_endpoint() { 0 } else { hit.unseen() };
        let app = hit.app;
        let url = |id: EndpointId| app.route(id).map_or_else(|| format!("{id} (deleted)"), |route| route.url.to_string());
        let mut shown = hit.deliveries;
        shown.retain(|delivery| sought.admits_delivery(delivery));
        let more = unseen + shown.len().saturating_sub(MAX_SHOWN);
        shown.truncate(MAX_SHOWN);
        Row {
            more,
            unmatched: hit.message.endpoints.is_empty(),
            id: hit.message.id,
            at: When(hit.message.id.time()),
            event_type: hit.message.event_type,
            event_id: hit.message.event_id,
            deliveries: shown.into_iter().map(|d| (d.endpoint, url(d.endpoint), Badge::state(d.state))).collect(),
        }
    }
}

async fn list(guest: Guest) -> Shown {
    let asked = Fields::parse(guest.query.as_bytes());
    let app = guest.app.id.parse().map_err(|_| Problem::Internal)?;
    let engine = guest.desk.engine();
    let (sought, refused) = Refused::filters(Sought::read(&asked), &asked, &[])?;
    let found = if refused.any() { Found::default() } else { search(engine, &[app], &sought, LIMIT).await? };
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
        rows: found.hits.into_iter().map(|hit| Row::new(hit, &sought)).collect(),
        asked,
        refused,
    };
    Ok((page.refused.status(), Page(page)).into_response())
}
