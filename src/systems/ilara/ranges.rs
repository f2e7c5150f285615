//! From where deliveries come, for receivers that let in certain addresses only.

use super::Home;
use crate::systems::{form::Refusals, options::Told};
use axum::{
    response::Html,
    routing::{MethodRouter, get},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Where the page is.
pub(super) const PAGE_PATH: &str = "/docs/ilara/ip-ranges";

/// From where deliveries come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IpRanges)]
pub(super) struct Ranges {
    /// Networks, as `203.0.113.0/28`. Empty: the operator names none.
    ip_ranges: Vec<String>,
}

/// The networks from which deliveries come.
#[utoipa::path(
    get,
    path = "/v1/integrations/webhooks/ip-ranges",
    operation_id = "listIpRanges",
    tag = "Ilara Webhooks",
    responses(Refusals, (status = 200, description = "The networks", body = Ranges))
)]
pub(super) async fn ip_ranges(_caller: Home, Told(options): Told) -> axum::Json<Ranges> {
    axum::Json(Ranges { ip_ranges: options.ip_ranges.clone() })
}

/// The same for people, who need no token for it.
pub(super) fn page<S: Clone + Send + Sync + 'static>(ranges: &[String]) -> MethodRouter<S> {
    let listed: String = ranges.iter().map(|range| format!("<li><code>{range}</code></li>")).collect();
    let said = match listed.is_empty() {
        true => "<p>The operator of this server names no ranges: deliveries may come from any address.</p>".to_owned(),
        false => format!("<p>Deliveries come from these ranges:</p><ul>{listed}</ul>"),
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>IP ranges</title><h1>IP allowlisting</h1>{said}</html>"
    );
    get(move || {
        let page = page.clone();
        async move { Html(page) }
    })
}
