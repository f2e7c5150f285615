//! `GET`, `PUT` and `PATCH …/headers`.

use super::{
    headers::{self, EndpointHeadersIn, EndpointHeadersOut, EndpointHeadersPatchIn},
    store,
};
use crate::{
    api::{Caller, Errors, Json, Path, Problem, Shared},
    model::AppId,
};
use axum::{extract::State, http::StatusCode};

/// The custom headers of an endpoint's deliveries. Values that look like credentials are not shown again.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.get-headers",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    responses(Errors, (status = 200, description = "The headers", body = EndpointHeadersOut))
)]
pub(super) async fn get_headers(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<axum::Json<EndpointHeadersOut>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    shown(&api, app, &endpoint).await.map(axum::Json)
}

/// What is shown of an endpoint's headers.
///
/// # Errors
/// There is no such endpoint; a value does not open; the store is away.
pub(in crate::api) async fn shown(api: &Shared, app: AppId, id_or_uid: &str) -> Result<EndpointHeadersOut, Problem> {
    let endpoint = store::find(api, app, id_or_uid).await?;
    Ok(headers::shown(&endpoint, &api.engine.vault)?)
}

/// Sets all custom headers.
#[utoipa::path(
    put,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.update-headers",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    request_body = EndpointHeadersIn,
    responses(Errors, (status = 204, description = "Set"))
)]
pub(super) async fn set_headers(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
    body: Json<EndpointHeadersIn>,
) -> Result<StatusCode, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?.application.id;
    set(&api, app, &endpoint, body.value).await
}

/// Sets all custom headers of an endpoint.
///
/// # Errors
/// A header breaks a rule; there is no such endpoint; the store is away.
pub(in crate::api) async fn set(api: &Shared, app: AppId, id_or_uid: &str, body: EndpointHeadersIn) -> Result<StatusCode, Problem> {
    let sealed = headers::seal(body.headers, &api.engine.vault, &api.engine.random)?;
    let now = api.engine.clock.now();
    store::revise(api, app, id_or_uid, |endpoint| {
        endpoint.headers = sealed.clone();
        endpoint.updated_at = now;
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets, replaces and removes some of the custom headers.
#[utoipa::path(
    patch,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/headers",
    operation_id = "v1.endpoint.patch-headers",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    request_body = EndpointHeadersPatchIn,
    responses(Errors, (status = 204, description = "Changed"))
)]
pub(super) async fn patch_headers(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
    body: Json<EndpointHeadersPatchIn>,
) -> Result<StatusCode, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?.application.id;
    let engine = &api.engine;
    let now = engine.clock.now();
    store::revise(&api, app, &endpoint, |endpoint| {
        let kept = std::mem::take(&mut endpoint.headers);
        endpoint.headers = headers::patched(kept, body.value.clone(), &engine.vault, &engine.random)?;
        endpoint.updated_at = now;
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
