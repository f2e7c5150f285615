//! The dashboard: pages for people, made on the server from what the API answers, one file a page.
//!
//! A page reads through the API's own handlers, called in the process with the visitor's rights, so that it can show and do
//! nothing that the API would refuse. Pages run no script of their own: the one module in `assets/` sharpens what works
//! without it.

mod alerts;
mod applications;
mod assets;
mod audit;
mod cancel;
mod chart;
pub mod cookies;
mod desk;
mod endpoint;
mod endpoint_edit;
mod error;
mod event_types;
mod fields;
pub mod forms;
mod integrations;
mod issues;
mod keys;
mod lane;
mod message;
mod messages;
mod oidc;
mod overview;
mod page;
mod password;
mod pick;
mod portal;
mod refused;
mod replay_new;
mod replays;
mod search;
mod secret;
mod settings;
mod settings_portal;
mod sift;
mod sign_in;
mod sources;
mod spread;
mod survey;
mod users;
mod view;
mod visitor;
mod volume;

pub use oidc::{Admission, OidcOptions, SignInOptions};
pub use portal::Branding;

use crate::api::Shared;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, map_response},
    response::Redirect,
    routing::get,
};
use std::{fmt, sync::Arc};

/// Where the dashboard is.
pub const HOME: &str = "/dashboard";
/// The longest form, in bytes.
const MAX_FORM_BYTES: usize = 2 << 20;

/// What the pages share.
pub(crate) struct Dashboard {
    /// The engine and its options.
    api: Shared,
    /// The API and the documented systems, called without a network between.
    service: Router,
    /// Who has guessed too often.
    doorman: password::Doorman,
    /// How the portal looks where no organization says so.
    brand: Arc<portal::Brand>,
    /// What the server's configuration says of it.
    branding: Branding,
    /// How people sign in.
    doors: oidc::Doors,
    /// Networks from which deliveries come.
    ip_ranges: Vec<String>,
}

/// What the dashboard is told once, at its start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How people sign in.
    pub sign_in: SignInOptions,
    /// Networks from which deliveries come, for receivers to let in.
    pub ip_ranges: Vec<String>,
    /// How the portal looks.
    pub branding: Branding,
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard").finish_non_exhaustive()
    }
}

/// The pages, the portal's among them. `service` answers the API's requests.
pub fn router(api: Shared, service: Router, options: Options) -> Router {
    let Options { sign_in, ip_ranges, branding } = options;
    let (doorman, doors) = (password::Doorman::default(), oidc::Doors::new(sign_in));
    let brand = Arc::new(portal::Brand::of_server(branding.clone()));
    let dashboard = Arc::new(Dashboard { api, service, doorman, doors, ip_ranges, brand, branding });
    let pages = Router::new()
        .merge(sign_in::routes())
        .merge(oidc::routes())
        .merge(alerts::routes())
        .merge(overview::routes())
        .merge(messages::routes())
        .merge(message::routes())
        .merge(applications::routes())
        .merge(endpoint::routes())
        .merge(endpoint_edit::routes())
        .merge(lane::routes())
        .merge(issues::routes())
        .merge(sources::routes())
        .merge(event_types::routes())
        .merge(replays::routes())
        .merge(replay_new::routes())
        .merge(cancel::routes())
        .merge(pick::routes())
        .merge(audit::routes())
        .merge(keys::routes())
        .merge(users::routes())
        .merge(settings::routes())
        .merge(settings_portal::routes())
        .merge(integrations::routes())
        .merge(assets::routes())
        .route("/", get(async || Redirect::to(HOME)))
        .route("/dashboard/", get(async || Redirect::to(HOME)))
        .route("/dashboard/{*rest}", get(error::nothing_here))
        .layer(from_fn(error::dressed))
        .layer(map_response(page::guarded))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES));
    pages.merge(portal::routes(&dashboard)).with_state(dashboard)
}
