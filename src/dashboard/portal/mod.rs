//! The portal: an application's own pages, for the operator's customers, opened by a short-lived link and ready for a frame.
//!
//! Pages work as the dashboard's do: through the API's handlers, called in the process with the link's rights, so that they
//! show and do nothing that the API would refuse. The application in a page's path must be the link's.

mod brand;
mod catalogue;
mod deliveries;
mod endpoint;
mod endpoint_edit;
mod endpoints;
mod guest;
mod message;
mod open;
mod page;
mod snippets;
mod verify;

pub use brand::Branding;
pub(super) use brand::{Brand, Shades, own_branding, shades};
pub(super) use endpoint_edit::wanted;

use super::{Dashboard, MAX_FORM_BYTES};
use axum::{Router, extract::DefaultBodyLimit, middleware::from_fn_with_state, response::Redirect, routing::get};
use std::sync::Arc;

/// The pages.
pub(super) fn routes(dashboard: &Arc<Dashboard>) -> Router<Arc<Dashboard>> {
    Router::new()
        .merge(page::routes())
        .merge(open::routes())
        .merge(guest::routes())
        .merge(endpoints::routes())
        .merge(endpoint_edit::routes())
        .merge(endpoint::routes())
        .merge(verify::routes())
        .merge(deliveries::routes())
        .merge(message::routes())
        .merge(catalogue::routes())
        .route("/portal/", get(async || Redirect::to(page::PREFIX)))
        .route("/portal/{app}/{*rest}", get(nothing_here))
        .layer(from_fn_with_state(dashboard.clone(), page::guarded))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
}

/// Where there is no page.
async fn nothing_here(_guest: guest::Guest) -> page::PortalError {
    page::PortalError(crate::api::Problem::not_found("page"))
}
