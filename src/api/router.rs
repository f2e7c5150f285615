//! Every route of the API, the limit on bodies, and what is answered where there is no route.

use super::{
    Api, Problem, Shared, alert, application, attempt, audit, authentication, body::BodyLimit, branding, endpoint, erase,
    event_type, filter, health, key, ledger, master_key, message, openapi, operational, profile, proxy, receive, replay, retention,
    source, user,
};
use axum::{Extension, Router};
use utoipa_axum::router::OpenApiRouter;

/// What a body may hold beside the payload it carries, in bytes.
const ENVELOPE_BYTES: usize = 64 * 1024;

/// The API: `/api/v1/…`, `/openapi.json` and `/docs`; and where third parties post, `/in/{token}`.
pub fn router(api: Shared) -> Router {
    let limit = body_limit(&api);
    let (routes, document) = resources().split_for_parts();
    routes
        .merge(openapi::routes(document))
        .merge(receive::routes())
        .fallback(async || Problem::not_found("path"))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(Extension(BodyLimit(limit)))
        .with_state(api)
}

/// The longest body of a request, in bytes.
pub(super) fn body_limit(api: &Api) -> usize {
    api.options.max_payload.saturating_add(ENVELOPE_BYTES)
}

/// One line a resource.
pub(super) fn resources() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(openapi::frame())
        .merge(application::routes())
        .merge(event_type::routes())
        .merge(endpoint::routes())
        .merge(message::routes())
        .merge(attempt::routes())
        .merge(branding::routes())
        .merge(retention::routes())
        .merge(erase::routes())
        .merge(replay::routes())
        .merge(ledger::routes())
        .merge(audit::routes())
        .merge(alert::routes())
        .merge(operational::routes())
        .merge(source::routes())
        .merge(profile::routes())
        .merge(proxy::routes())
        .merge(filter::routes())
        .merge(key::routes())
        .merge(master_key::routes())
        .merge(user::routes())
        .merge(authentication::routes())
        .merge(health::routes())
}
