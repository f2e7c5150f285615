//! Endpoints: `…/endpoint…`. Custom headers and secrets are written here and never read back by the flow, which has them
//! compiled in its routing table.

mod catch_up;
mod credentials;
mod crud;
mod edit;
mod example;
mod header_rules;
mod headers;
mod headers_api;
mod lane;
mod limits;
mod secret;
mod secrets;
mod send_example;
mod shape;
mod stats;
mod store;
pub(crate) mod surface;
mod wish;

pub(in crate::api) use crud::{deleted, insert, judged, listed, put};
pub(in crate::api) use edit::read_filter;
pub(in crate::api) use headers::{EndpointHeadersIn, EndpointHeadersOut};
pub(in crate::api) use headers_api::{set, shown};
pub(in crate::api) use limits::limits;
pub(crate) use secret::rotated_by_default;
pub(in crate::api) use secret::{EndpointSecretOut, EndpointSecretRotateIn, current, rotated};
pub(in crate::api) use shape::{EndpointIn, EndpointOut, EndpointUpdate, SecretType};
pub(crate) use store::by_id;
pub(crate) use store::find;
pub(in crate::api) use store::{known_profile, refused};
pub(crate) use wish::{Brand, BrandRules, Placed, Put, Wish, put_all, revise_wished};

use super::Shared;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The operations on endpoints.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(crud::list, crud::create))
        .routes(routes!(crud::get, crud::update, crud::patch, crud::delete))
        .routes(routes!(headers_api::get_headers, headers_api::set_headers, headers_api::patch_headers))
        .routes(routes!(credentials::get, credentials::set, credentials::remove))
        .routes(routes!(secret::get))
        .routes(routes!(secret::rotate))
        .routes(routes!(send_example::send_example))
        .routes(routes!(stats::stats))
        .routes(routes!(lane::lane))
        .routes(routes!(catch_up::get, catch_up::begin, catch_up::end))
}
