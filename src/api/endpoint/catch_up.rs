//! `…/catch-up`: what was held for an endpoint, and its retries, go out at a pace.

use super::store;
use crate::{
    api::{Caller, Errors, Json, Path, Problem, Shared, Stamp},
    model::{Address, CatchUp, Endpoint, Record},
    store::Change,
};
use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// At which pace to catch up.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CatchUpIn {
    /// Deliveries a second, beside fresh ones.
    #[schema(minimum = 1)]
    rate: u16,
}

/// A catch-up.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CatchUpOut {
    /// Deliveries a second, beside fresh ones.
    rate: u16,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    since: Stamp,
}

impl From<CatchUp> for CatchUpOut {
    fn from(pace: CatchUp) -> Self {
        CatchUpOut { rate: pace.rate, since: Stamp(pace.since) }
    }
}

/// Lets what waits in an endpoint's queue (held deliveries, retries, replays) go out at a pace, until nothing waits that was
/// due before now. A disabled endpoint is enabled. Fresh messages are not slowed down. `…/lane` shows how much is left.
#[utoipa::path(
    put,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/catch-up",
    operation_id = "v1.endpoint.catch-up",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    request_body = CatchUpIn,
    responses(Errors, (status = 200, description = "It has begun", body = CatchUpOut))
)]
pub(super) async fn begin(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
    body: Json<CatchUpIn>,
) -> Result<axum::Json<CatchUpOut>, Problem> {
    caller.write()?;
    if body.value.rate == 0 {
        return Err(Problem::field(&["body", "rate"], "range", "At least 1."));
    }
    let app = caller.application(&api, &app).await?.application.id;
    let id = store::find(&api, app, &endpoint).await?.id;
    let since = api.engine.clock.now();
    let pace = CatchUp { app, endpoint: id, rate: body.value.rate, since };
    // First the pace: what is held must not rush out in between.
    api.engine.change(vec![Change::Write(Record::CatchUp(pace))]).await?;
    let enable = |endpoint: &mut Endpoint| {
        if endpoint.disabled.take().is_some() {
            endpoint.updated_at = since;
        }
        Ok(())
    };
    store::revise(&api, app, &endpoint, enable).await?;
    Ok(axum::Json(pace.into()))
}

/// The catch-up that goes on at an endpoint.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/catch-up",
    operation_id = "v1.endpoint.get-catch-up",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    responses(Errors, (status = 200, description = "The catch-up", body = CatchUpOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<axum::Json<CatchUpOut>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let id = store::find(&api, app, &endpoint).await?.id;
    match api.engine.store.find(&Address::catch_up(app, id), api.engine.clock.now()).await?.map(|found| found.record) {
        Some(Record::CatchUp(pace)) => Ok(axum::Json(pace.into())),
        _ => Err(Problem::not_found("catch-up")),
    }
}

/// Ends the pace: what waits goes out as fast as the endpoint takes it.
#[utoipa::path(
    delete,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/catch-up",
    operation_id = "v1.endpoint.end-catch-up",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    responses(Errors, (status = 204, description = "There is none now"))
)]
pub(super) async fn end(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?.application.id;
    let id = store::find(&api, app, &endpoint).await?.id;
    api.engine.change(vec![Change::Delete(Address::catch_up(app, id))]).await?;
    Ok(StatusCode::NO_CONTENT)
}
