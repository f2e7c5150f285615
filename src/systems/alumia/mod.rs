//! Alumia: inbound webhooks. Each is a source of the engine with a public URL; what it receives goes to the endpoints of the
//! organization's application with the uid `default`, and is forwarded by an endpoint of its own when it has an outbound URL.

mod receive;
mod webhook;

use super::{Surface, form, uuid};
use crate::{
    api::{endpoint::BrandRules, source::receivers::ReceiverRules},
    model::{SourceId, System},
};
use utoipa_axum::routes;

/// The longest body that is received, in bytes.
const MAX_BODY: u32 = 256 * 1024;

/// The surface.
pub(super) const SURFACE: Surface = Surface {
    system: System::Alumia,
    title: "Alumia",
    about: "Inbound webhook receivers with secret rotation and delivery history.",
    routes: |_| {
        form::router()
            .routes(routes!(webhook::list, webhook::create))
            .routes(routes!(receive::all))
            .routes(routes!(receive::test))
            .routes(routes!(receive::verify))
            .routes(routes!(receive::linear))
            .routes(routes!(receive::receive))
            .routes(routes!(webhook::get, webhook::update, webhook::delete))
            .routes(routes!(webhook::rotate))
            .routes(routes!(receive::events))
            .routes(routes!(receive::deliveries))
    },
    refused: form::by_status,
    names: &[],
    token_header: None,
    noun: "webhook",
    brand: BrandRules { by_url: false, names_events: false, uncatalogued: |_| false },
    receivers: Some(ReceiverRules {
        path: "/api/v1/webhooks/receive/",
        scheme: include_str!("scheme.json"),
        max_body: MAX_BODY,
        id: uuid::marked,
        id_text: uuid::text,
    }),
};

/// The id of a webhook in a path or body; `None` when it is none.
fn id_of(text: &str) -> Option<SourceId> {
    uuid::number(text).map(SourceId)
}
