//! `/api/v1/profile`: how deliveries look and behave. The built-in profiles, and the organization's own.

mod crud;
mod preview;
mod shape;
mod worn;

pub(super) use shape::limits;
pub use shape::{ProfileIn, ProfileOut};
pub(in crate::api) use worn::{check_named, check_worn};

use super::Shared;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The operations on profiles.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(crud::list, crud::create))
        .routes(routes!(worn::get_default, worn::set_default))
        .routes(routes!(preview::preview))
        .routes(routes!(crud::get, crud::update, crud::patch, crud::delete))
        .routes(routes!(crud::clone))
        .routes(routes!(preview::preview_endpoint))
}
