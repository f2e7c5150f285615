//! Making, reading, changing and deleting an application's endpoints.

use super::{
    edit::Edit,
    shape::{EndpointIn, EndpointOut, EndpointPatch, EndpointUpdate},
    store,
};
use crate::{
    api::{
        Caller, Errors, Idempotent, Json, Path, Problem, Query, Shared,
        page::{ListResponse, Ordering, PageQuery},
    },
    model::{Address, AppId, EndpointId, Kind, Record},
    routing::AppRoutes,
    store::Change,
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// The endpoints of an application.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/endpoint",
    operation_id = "v1.endpoint.list",
    tag = "Endpoint",
    params(("app_id" = String, Path, description = "The application's id or uid"), PageQuery),
    responses(Errors, (status = 200, description = "A page", body = ListResponse<EndpointOut>))
)]
pub(super) async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Path(app): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<ListResponse<EndpointOut>>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    listed(&api, app, &page).await.map(axum::Json)
}

/// A page of an application's endpoints, oldest first unless asked otherwise.
///
/// # Errors
/// The page that is asked for is not one; the store is away.
pub(in crate::api) async fn listed(api: &Shared, app: AppId, page: &PageQuery) -> Result<ListResponse<EndpointOut>, Problem> {
    let page = page.check(Ordering::Ascending, |id| id.parse::<EndpointId>().is_ok())?;
    let endpoint = |record| match record {
        Record::Endpoint(endpoint) => Some(endpoint),
        _ => None,
    };
    let rows = page.records(&api.engine, Kind::Endpoint, &app.to_string(), endpoint).await?;
    Ok(page.answer(rows, |endpoint| endpoint.id.to_string(), EndpointOut::from))
}

/// Makes an endpoint. Without a secret, one is made.
#[utoipa::path(
    post,
    path = "/api/v1/app/{app_id}/endpoint",
    operation_id = "v1.endpoint.create",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    request_body = EndpointIn,
    responses(Errors, (status = 201, description = "Made", body = EndpointOut))
)]
pub(super) async fn create(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Path(app): Path<String>,
    body: Json<EndpointIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    insert(&api, &app, body.value, &idempotent).await
}

/// Makes an endpoint of an application.
///
/// # Errors
/// A field breaks its rule, the uid is taken; the store is away.
pub(in crate::api) async fn insert(
    api: &Shared,
    app: &AppRoutes,
    body: EndpointIn,
    idempotent: &Idempotent,
) -> Result<Response, Problem> {
    let endpoint = store::fresh(api, app, body).await?;
    let insert = Change::Insert(Record::Endpoint(endpoint.clone()));
    idempotent.commit(api, vec![insert], StatusCode::CREATED, &EndpointOut::from(endpoint)).await
}

/// Judges a new endpoint, and makes none.
///
/// # Errors
/// As [`insert`], but for what only the store knows.
pub(in crate::api) async fn judged(api: &Shared, app: &AppRoutes, body: EndpointIn) -> Result<(), Problem> {
    store::fresh(api, app, body).await.map(drop)
}

/// An endpoint.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.get",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    responses(Errors, (status = 200, description = "The endpoint", body = EndpointOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<axum::Json<EndpointOut>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    Ok(axum::Json(store::find(&api, app, &endpoint).await?.into()))
}

/// Updates an endpoint, or makes it when the path is a uid that no endpoint has. Its secret, headers and (unless it is
/// named) retry policy stay.
#[utoipa::path(
    put,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.update",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    request_body = EndpointUpdate,
    responses(
        Errors,
        (status = 200, description = "Updated", body = EndpointOut),
        (status = 201, description = "Made", body = EndpointOut)
    )
)]
pub(super) async fn update(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
    body: Json<EndpointUpdate>,
) -> Result<Response, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?;
    put(&api, &app, &endpoint, body.value).await
}

/// Updates or makes an endpoint of an application.
///
/// # Errors
/// A field breaks its rule, the uid is taken; the path is an id that no endpoint has; the store is away.
pub(in crate::api) async fn put(api: &Shared, app: &AppRoutes, id_or_uid: &str, body: EndpointUpdate) -> Result<Response, Problem> {
    let (endpoint, made) = store::upsert(api, app, id_or_uid, body).await?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(EndpointOut::from(endpoint))).into_response())
}

/// Changes what is named; what is absent stays, null clears.
#[utoipa::path(
    patch,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "patch_endpoint",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    request_body = EndpointPatch,
    responses(Errors, (status = 200, description = "Changed", body = EndpointOut))
)]
pub(super) async fn patch(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
    body: Json<EndpointPatch>,
) -> Result<axum::Json<EndpointOut>, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?;
    let edited = store::edit(&api, &app, &endpoint, Edit::patch(body.value)?).await?;
    Ok(axum::Json(edited.into()))
}

/// Deletes an endpoint. What has not been delivered to it is cancelled.
#[utoipa::path(
    delete,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}",
    operation_id = "v1.endpoint.delete",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    responses(Errors, (status = 204, description = "Deleted"))
)]
pub(super) async fn delete(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?.application.id;
    deleted(&api, app, &endpoint).await
}

/// Deletes an endpoint.
///
/// # Errors
/// There is none; the store is away.
pub(in crate::api) async fn deleted(api: &Shared, app: AppId, id_or_uid: &str) -> Result<StatusCode, Problem> {
    let id = store::find(api, app, id_or_uid).await?.id;
    api.engine.change(vec![Change::Delete(Address::endpoint(app, id))]).await?;
    Ok(StatusCode::NO_CONTENT)
}
