//! Replays: `…/replay…`, and what compatible clients call `recover`, `replay-missing` and `bulk-replay`; and `…/cancel…`.

mod cancel;
mod contract;
mod crud;
mod shape;

pub(super) use shape::{CODE_CLASSES, limits};

use super::Shared;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The operations on replays.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(crud::list, crud::create))
        .routes(routes!(crud::preview))
        .routes(routes!(crud::get))
        .routes(routes!(crud::abort))
        .routes(routes!(cancel::create))
        .routes(routes!(cancel::preview))
        .routes(routes!(cancel::message))
        .routes(routes!(cancel::delivery))
        .routes(routes!(contract::recover))
        .routes(routes!(contract::missing))
        .routes(routes!(contract::bulk))
}
