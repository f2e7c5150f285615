//! Whether this server works: for load balancers and clients. No token is needed, and nothing is told.

use super::{Errors, Problem, Shared};
use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(get_health)).routes(routes!(ping))
}

/// Health.
///
/// Verify the API server is up and running.
#[utoipa::path(
    method(get, head), path = "/api/v1/health", operation_id = "v1.health.get", tag = "Health", summary = "Health",
    responses(Errors, (status = 204, description = "The server and its store answer.")), security(())
)]
async fn get_health(State(api): State<Shared>) -> Result<StatusCode, Problem> {
    api.engine.store.ping().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ping.
///
/// Whether the process answers, whatever its store does.
#[utoipa::path(
    method(get, head), path = "/api/v1/health/ping", operation_id = "v1.health.ping", tag = "Health", summary = "Ping",
    responses((status = 204, description = "The process answers.")), security(())
)]
async fn ping() -> StatusCode {
    StatusCode::NO_CONTENT
}
