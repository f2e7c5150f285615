//! The application's endpoints: where its webhooks go, and how each of them does.

use super::{
    super::{
        Dashboard,
        endpoint_edit::paused,
        fields::Fields,
        page::Page,
        refused::Refused,
        sift::{Sifted, has},
        survey::WINDOW,
        view::{Badge, Pager, When, grouped, percent},
    },
    endpoint_edit::named,
    guest::Guest,
    page::{Shell, Shown},
};
use crate::model::EndpointId;
use askama::Template;
use axum::{Router, response::IntoResponse, routing::get};
use serde::Deserialize;
use std::{collections::HashSet, sync::Arc, time::Duration};

/// Entries of a page.
const LIMIT: usize = 20;
/// Subscriptions that are named.
const SHOWN: usize = 3;
/// Deliveries are counted by whole minutes: the one that is running counts.
const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/portal/{app}", get(list)).route("/portal/{app}/", get(list))
}

/// An endpoint, as the API lists it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    id: String,
    url: String,
    description: String,
    disabled: bool,
    #[serde(default)]
    disabled_reason: Option<String>,
    #[serde(default)]
    event_types: Option<Vec<String>>,
    created_at: When,
}

/// With how it did in the last day.
struct Row {
    listing: Listing,
    badge: Badge,
    rate: Option<String>,
    delivered: String,
    /// Deliveries that wait: for their first attempt, or for another after a failure.
    waiting: Option<String>,
    /// Some of the events that it wants, and how many there are beside them.
    events: (String, usize),
}

/// The first few subscriptions, and how many more there are.
fn events(wanted: Option<&[String]>) -> (String, usize) {
    let Some(wanted) = wanted else { return ("all".to_owned(), 0) };
    let shown: Vec<String> = wanted.iter().take(SHOWN).map(|name| named(name)).collect();
    (shown.join(", "), wanted.len().saturating_sub(SHOWN))
}

#[derive(Template)]
#[template(path = "portal/endpoints.html")]
struct Endpoints {
    shell: Shell,
    rows: Vec<Row>,
    pager: Pager,
    first: bool,
    asked: String,
    refused: Refused,
}

async fn list(guest: Guest) -> Shown {
    let asked = Fields::parse(guest.query.as_bytes());
    let path = format!("{}/endpoint?order=descending", guest.api());
    let sifted = Sifted { path: &path, from: asked.text("iterator"), limit: LIMIT, id: |row: &Listing| &row.id };
    let part = asked.text("q");
    let found = sifted.rows(&guest.desk, |row| has(&row.url, part) || has(&row.description, part)).await;
    let (listed, refused) = Refused::filters(found, &asked, &[])?;
    let pager = listed.pager(&guest.query);
    let (engine, now) = (guest.desk.engine(), guest.desk.now());
    let failing: HashSet<EndpointId> = engine.failing(usize::MAX).into_iter().map(|failing| failing.endpoint).collect();
    let mut rows = Vec::with_capacity(listed.data.len());
    for listing in listed.data {
        let id: Option<EndpointId> = listing.id.parse().ok();
        let (mut rate, mut delivered, mut waiting) = (None, String::new(), None);
        if let Some(id) = id {
            let stats = engine.store.stats(id, now.minus(WINDOW), now.plus(MINUTE)).await?;
            let ended = stats.delivered + stats.exhausted;
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let share = (ended > 0).then(|| percent(stats.delivered as f64 / ended as f64));
            (rate, delivered) = (share, grouped(stats.delivered));
            waiting = (stats.pending > 0).then(|| grouped(stats.pending));
        }
        let badge = match (listing.disabled, id.is_some_and(|id| failing.contains(&id))) {
            (true, _) if paused(listing.disabled_reason.as_deref()) => Badge("held", "paused"),
            (true, _) => Badge("bad", "disabled"),
            (_, true) => Badge("bad", "failing"),
            _ => Badge("ok", "active"),
        };
        let events = events(listing.event_types.as_deref());
        rows.push(Row { listing, badge, rate, delivered, waiting, events });
    }
    let shell = Shell::new(&guest, "Endpoints", "endpoints");
    let first = rows.is_empty() && asked.text("iterator").is_empty() && part.is_empty();
    let page = Endpoints { shell, rows, pager, first, asked: asked.text("q").to_owned(), refused };
    Ok((page.refused.status(), Page(page)).into_response())
}
