//! Alumia: inbound webhooks. Each is a source of the engine with a public URL; what it receives goes to the endpoints of the
//! organization's application with the uid `default`, and is forwarded by an endpoint of its own when it has an outbound URL.

mod form;
mod log;
mod manage;
mod receive;
mod shape;

use super::{Seed, Surface, uuid};
use crate::{
    api::{Base, Problem},
    model::{SourceId, System},
};
use utoipa_axum::routes;

/// Where third parties post, before a webhook's id.
const RECEIVE: &str = "/api/v1/webhooks/receive/";

/// The event types of its document: an example of what third parties send.
const CATALOGUE: &[Seed] = &[Seed {
    name: "payment_intent.succeeded",
    description: "A payment was collected, as a payment provider reports it to a webhook.",
    group: "alumia",
    reserved: false,
    example: r#"{"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {"id": "pi_1", "amount": 2000}}}"#,
}];

/// The surface.
pub(super) const SURFACE: Surface = Surface {
    system: System::Alumia,
    title: "Alumia",
    about: "Inbound webhook receivers with secret rotation and delivery history.",
    routes: |_| {
        form::router()
            .routes(routes!(manage::list, manage::create))
            .routes(routes!(log::all))
            .routes(routes!(receive::test))
            .routes(routes!(receive::verify))
            .routes(routes!(receive::linear))
            .routes(routes!(receive::receive))
            .routes(routes!(manage::get, manage::update, manage::delete))
            .routes(routes!(manage::rotate))
            .routes(routes!(log::events))
            .routes(routes!(log::deliveries))
    },
    refused: form::refused,
    catalogue: CATALOGUE,
};

/// A webhook's id in a path or body.
fn id_of(text: &str) -> Result<SourceId, Problem> {
    uuid::number(text).map(SourceId).ok_or_else(|| Problem::not_found("webhook"))
}

/// Where third parties post to a webhook.
fn receive_url(Base(base): &Base, id: SourceId) -> String {
    format!("{base}{RECEIVE}{}", uuid::text(id.0))
}
