//! Ilara's webhooks: an organization's endpoints with filters, and their monitoring.

mod monitor;
mod webhook;

use super::{Options, Surface, form, ranges};
use crate::{
    api::{Shared, endpoint::BrandRules},
    model::{EndpointId, MsgId, System},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the ids of webhooks start with.
const ID_PREFIX: &str = "whk_";
/// What the ids of events start with.
const EVENT_PREFIX: &str = "evt_";
/// What the types of tracked events start with.
const TRACKED: &str = "event.";
/// Where people find the addresses from which deliveries come.
const RANGES_PAGE: &str = "/docs/ilara/ip-ranges";

/// The system.
pub(super) const SURFACE: Surface = Surface {
    system: System::Ilara,
    title: "Ilara Webhooks",
    about: "An organization's webhooks with filters, and their monitoring.",
    routes,
    refused: form::by_rule,
    names: &[("eventTypes", "events"), ("disabled", "enabled"), ("filter", "filters"), ("retryPolicy", "retry_policy")],
    token_header: None,
    noun: "webhook",
    brand: BrandRules { by_url: false, names_events: true, uncatalogued: |name| name.starts_with(TRACKED) },
    receivers: None,
};

fn routes(options: &Options) -> OpenApiRouter<Shared> {
    form::router()
        .routes(routes!(webhook::list, webhook::create))
        .routes(routes!(monitor::ip_ranges))
        .routes(routes!(webhook::get, webhook::update, webhook::delete))
        .routes(routes!(webhook::test))
        .routes(routes!(monitor::logs))
        .routes(routes!(monitor::stats))
        .route(RANGES_PAGE, ranges::page(options))
}

/// A webhook's id, as Ilara writes it.
fn id_text(id: EndpointId) -> String {
    id.to_string().replacen(EndpointId::PREFIX, ID_PREFIX, 1)
}

/// The id of a webhook as Ilara writes it; `None` when it is none.
fn id_of(text: &str) -> Option<EndpointId> {
    format!("{}{}", EndpointId::PREFIX, text.strip_prefix(ID_PREFIX)?).parse().ok()
}

/// An event's id, as Ilara writes it.
fn event_id(id: MsgId) -> String {
    id.to_string().replacen(MsgId::PREFIX, EVENT_PREFIX, 1)
}
