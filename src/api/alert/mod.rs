//! `…/alert`: rules that tell how endpoints do, what they have found, and whether it was told. Ours, not of the compatible
//! contract.

mod crud;
mod notice;
mod shape;

pub(super) use shape::limits;

use super::Shared;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The operations on alerts.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(crud::list, crud::create))
        .routes(routes!(crud::get, crud::update, crud::delete))
        .routes(routes!(notice::list))
        .routes(routes!(notice::test))
}
