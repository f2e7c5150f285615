//! From where deliveries come, for receivers that let in certain addresses only.

use super::Options;
use axum::{
    response::Html,
    routing::{MethodRouter, get},
};
use serde::Serialize;
use utoipa::ToSchema;

/// From where deliveries come.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IpRanges {
    /// Networks, as `203.0.113.0/28`. Empty: the operator names none.
    ip_ranges: Vec<String>,
}

impl IpRanges {
    /// The networks that the operator names.
    pub(super) fn of(options: &Options) -> Self {
        IpRanges { ip_ranges: options.ip_ranges.clone() }
    }
}

/// The same for people, who need no token for it.
pub(super) fn page<S: Clone + Send + Sync + 'static>(options: &Options) -> MethodRouter<S> {
    let listed: String = options.ip_ranges.iter().map(|range| format!("<li><code>{range}</code></li>")).collect();
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
