//! Nudj's Admin API: an organization's webhook configurations, and a log of every attempt.

mod config;
mod log;

use super::{Options, Surface, form};
use crate::{
    api::{Shared, endpoint::BrandRules},
    model::{CATEGORY, System},
};
use axum::Router;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The system.
pub(super) const SURFACE: Surface = Surface {
    system: System::Nudj,
    title: "Nudj Admin API",
    about: "An organization's webhook configurations, and a log of every attempt.",
    routes,
    refused: form::by_rule,
    names: &[
        ("eventTypes", "events"),
        ("disabled", "isEnabled"),
        ("method", "httpMethod"),
        ("retryPolicy", "maxRetries"),
        ("endpoint", "configId"),
    ],
    token_header: Some("x-api-token"),
    noun: "webhook config",
    brand: BrandRules { by_url: true, names_events: true, uncatalogued: |name| name.starts_with(CATEGORY) },
    receivers: None,
};

fn routes(options: &Options) -> OpenApiRouter<Shared> {
    let operations = || OpenApiRouter::new().routes(routes!(config::list, config::put)).routes(routes!(log::list));
    let documented = form::router().merge(operations());
    if options.nudj_prefix.is_empty() {
        return documented;
    }
    let again: Router<Shared> = operations().split_for_parts().0;
    documented.merge(OpenApiRouter::from(Router::new().nest(&options.nudj_prefix, again)))
}
