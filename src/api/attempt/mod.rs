//! Attempts and the standing of deliveries: `…/attempt…`, `…/msg/{msg_id}/endpoint…`, `…/endpoint/{endpoint_id}/msg`.

mod list;
mod one;
mod params;
mod scan;
mod shape;
mod standings;
mod status;

pub(in crate::api) use scan::open;
pub(in crate::api) use shape::{EndpointMessageOut, MessageAttemptOut, MessageEndpointOut};
pub(in crate::api) use status::{MessageStatus, MessageStatusText, Standing};

use super::Shared;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The operations on attempts.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list::list_by_endpoint))
        .routes(routes!(list::list_by_msg))
        .routes(routes!(standings::list_attempted_messages))
        .routes(routes!(standings::list_attempted_destinations))
        .routes(routes!(one::get_attempt))
        .routes(routes!(one::expunge_attempt))
        .routes(routes!(one::resend))
}
