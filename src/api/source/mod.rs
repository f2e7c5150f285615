//! Sources: `/api/v1/source…`. Ours, not of the compatible contract: fields that are unknown are refused here.
//!
//! Keys of the organization manage all of its sources; a portal token those that its application owns.

mod crud;
mod edit;
mod event;
mod limits;
mod pause;
mod provider;
pub(crate) mod receivers;
mod rejection;
mod replay;
mod rules;
mod seal;
mod secret;
mod shape;
mod stats;
mod store;
pub(crate) mod surface;
mod synthetic;
mod trial;
mod url;
mod verify;

pub(in crate::api) use limits::{REASONS, limits};

use super::Shared;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The operations on sources.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(crud::list, crud::create))
        .routes(routes!(provider::list))
        .routes(routes!(crud::get, crud::update, crud::patch, crud::delete))
        .routes(routes!(secret::get))
        .routes(routes!(secret::rotate))
        .routes(routes!(url::rotate))
        .routes(routes!(pause::pause))
        .routes(routes!(pause::resume))
        .routes(routes!(verify::verify))
        .routes(routes!(trial::test))
        .routes(routes!(rejection::list))
        .routes(routes!(rejection::get))
        .routes(routes!(event::list))
        .routes(routes!(stats::get))
        .routes(routes!(replay::one))
        .routes(routes!(replay::many))
}
