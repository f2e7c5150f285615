//! `…/operational-webhook/endpoint…`: endpoints that receive the organization's own operational messages. They are
//! endpoints of an application like any other, so all is done by the endpoints' own code; that application is made with
//! the first of them.

use super::{
    Api, Caller, Errors, Idempotent, Json, Path, Problem, Query, Shared,
    body::MaybeJson,
    endpoint::{
        self, EndpointHeadersIn, EndpointHeadersOut, EndpointIn, EndpointOut, EndpointSecretOut, EndpointSecretRotateIn,
        EndpointUpdate,
    },
    page::{ListResponse, PageQuery},
};
use crate::{
    model::{AppId, Application, EndpointId, Metadata, OPERATIONAL_UID, Record},
    routing::AppRoutes,
    store::{Change, Conflict, StoreError},
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Name of the application that operational messages go to.
const NAME: &str = "Operational webhooks";

/// Gives a shape of endpoints the name that the clients' contract has for it here.
macro_rules! named {
    ($($(#[$doc:meta])* $name:ident($inner:ty): $($derive:ident),+;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, $($derive,)+ ToSchema)]
        #[serde(transparent)]
        struct $name($inner);
    )*};
}

named! {
    /// A new operational endpoint.
    OperationalWebhookEndpointIn(EndpointIn): Deserialize;
    /// An operational endpoint's new form.
    OperationalWebhookEndpointUpsertIn(EndpointUpdate): Deserialize;
    /// An operational endpoint.
    OperationalWebhookEndpointOut(EndpointOut): Serialize;
    /// Its signing secret.
    OperationalWebhookEndpointSecretOut(EndpointSecretOut): Serialize;
    /// What to put in its signing secret's place.
    OperationalWebhookEndpointSecretIn(EndpointSecretRotateIn): Default, Deserialize;
    /// All its custom headers.
    OperationalWebhookEndpointHeadersIn(EndpointHeadersIn): Deserialize;
    /// Its custom headers.
    OperationalWebhookEndpointHeadersOut(EndpointHeadersOut): Serialize;
}

/// The operations on operational endpoints.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(get_secret))
        .routes(routes!(rotate_secret))
        .routes(routes!(get_headers, set_headers))
}

/// The operational application of the caller's organization, if there is one yet.
async fn existing(api: &Api, caller: &Caller) -> Result<Option<Arc<AppRoutes>>, Problem> {
    caller.manage()?;
    Ok(api.engine.app(caller.org, OPERATIONAL_UID))
}

/// Its id. Without it there is no operational endpoint either.
async fn id(api: &Api, caller: &Caller) -> Result<AppId, Problem> {
    Ok(existing(api, caller).await?.ok_or_else(|| Problem::not_found("endpoint"))?.application.id)
}

async fn existing_or_made(api: &Shared, caller: &Caller, first: impl FnOnce() -> EndpointIn) -> Result<Arc<AppRoutes>, Problem> {
    if let Some(app) = existing(api, caller).await? {
        return Ok(app);
    }
    let now = api.engine.clock.now();
    let application = Application {
        id: AppId(api.engine.random.id(now)),
        org: caller.org,
        uid: Some(OPERATIONAL_UID.to_owned()),
        name: NAME.to_owned(),
        throttle_rate: None,
        metadata: Metadata::new(),
        profile: None,
        retry_policy: None,
        created_at: now,
        updated_at: now,
    };
    endpoint::judged(api, &AppRoutes { application: application.clone(), routes: Vec::new() }, first()).await?;
    match api.engine.change(vec![Change::Insert(Record::Application(application))]).await {
        // Somebody else has just made it.
        Ok(()) | Err(StoreError::Conflict(Conflict::Record(_))) => {}
        Err(error) => return Err(error.into()),
    }
    existing(api, caller).await?.ok_or(Problem::Unavailable)
}

/// The operational endpoints.
#[utoipa::path(
    get,
    path = "/api/v1/operational-webhook/endpoint",
    operation_id = "v1.operational-webhook.endpoint.list",
    tag = "Operational Webhook Endpoint",
    params(PageQuery),
    responses(Errors, (status = 200, description = "A page", body = ListResponse<OperationalWebhookEndpointOut>))
)]
async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<ListResponse<EndpointOut>>, Problem> {
    // No application has the id 0: before the first endpoint the list is an empty one, its parameters still checked.
    let app = existing(&api, &caller).await?.map_or(AppId(0), |app| app.application.id);
    endpoint::listed(&api, app, &page).await.map(axum::Json)
}

/// Makes an operational endpoint.
#[utoipa::path(
    post,
    path = "/api/v1/operational-webhook/endpoint",
    operation_id = "v1.operational-webhook.endpoint.create",
    tag = "Operational Webhook Endpoint",
    params(("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer")),
    request_body = OperationalWebhookEndpointIn,
    responses(Errors, (status = 201, description = "Made", body = OperationalWebhookEndpointOut))
)]
async fn create(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    body: Json<OperationalWebhookEndpointIn>,
) -> Result<Response, Problem> {
    caller.manage()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let app = existing_or_made(&api, &caller, || body.value.0.clone()).await?;
    endpoint::insert(&api, &app, body.value.0, &idempotent).await
}

/// An operational endpoint.
#[utoipa::path(
    get,
    path = "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    operation_id = "v1.operational-webhook.endpoint.get",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses(Errors, (status = 200, description = "The endpoint", body = OperationalWebhookEndpointOut))
)]
async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<axum::Json<OperationalWebhookEndpointOut>, Problem> {
    let app = id(&api, &caller).await?;
    let endpoint = endpoint::find(&api, app, &endpoint).await?;
    Ok(axum::Json(OperationalWebhookEndpointOut(endpoint.into())))
}

/// Updates an operational endpoint, or makes it when the path is a uid that none has.
#[utoipa::path(
    put,
    path = "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    operation_id = "v1.operational-webhook.endpoint.upsert",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body = OperationalWebhookEndpointUpsertIn,
    responses(
        Errors,
        (status = 200, description = "Updated", body = OperationalWebhookEndpointOut),
        (status = 201, description = "Made", body = OperationalWebhookEndpointOut)
    )
)]
async fn update(
    State(api): State<Shared>,
    caller: Caller,
    Path(endpoint): Path<String>,
    body: Json<OperationalWebhookEndpointUpsertIn>,
) -> Result<Response, Problem> {
    if endpoint.parse::<EndpointId>().is_ok() {
        // What is named by an id is there, or nowhere.
        let app = existing(&api, &caller).await?.ok_or_else(|| Problem::not_found("endpoint"))?;
        return endpoint::put(&api, &app, &endpoint, body.value.0).await;
    }
    let app = existing_or_made(&api, &caller, || body.value.0.clone().into()).await?;
    endpoint::put(&api, &app, &endpoint, body.value.0).await
}

/// Deletes an operational endpoint.
#[utoipa::path(
    delete,
    path = "/api/v1/operational-webhook/endpoint/{endpoint_id}",
    operation_id = "v1.operational-webhook.endpoint.delete",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses(Errors, (status = 204, description = "Deleted"))
)]
async fn delete(State(api): State<Shared>, caller: Caller, Path(endpoint): Path<String>) -> Result<StatusCode, Problem> {
    let app = id(&api, &caller).await?;
    endpoint::deleted(&api, app, &endpoint).await
}

/// An operational endpoint's signing secret.
#[utoipa::path(
    get,
    path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret",
    operation_id = "v1.operational-webhook.endpoint.get-secret",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses(Errors, (status = 200, description = "The secret", body = OperationalWebhookEndpointSecretOut))
)]
async fn get_secret(
    State(api): State<Shared>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<axum::Json<OperationalWebhookEndpointSecretOut>, Problem> {
    let app = id(&api, &caller).await?;
    Ok(axum::Json(OperationalWebhookEndpointSecretOut(endpoint::current(&api, app, &endpoint).await?)))
}

/// Puts a new secret in place; the old one signs on for a grace period. Answers 200 with the new one, as for endpoints.
#[utoipa::path(
    post,
    path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret/rotate",
    operation_id = "v1.operational-webhook.endpoint.rotate-secret",
    tag = "Operational Webhook Endpoint",
    params(
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    request_body = Option<OperationalWebhookEndpointSecretIn>,
    responses(Errors, (status = 200, description = "The new secret", body = OperationalWebhookEndpointSecretOut))
)]
async fn rotate_secret(
    State(api): State<Shared>,
    caller: Caller,
    idempotent: Idempotent,
    Path(endpoint): Path<String>,
    body: MaybeJson<OperationalWebhookEndpointSecretIn>,
) -> Result<Response, Problem> {
    let app = id(&api, &caller).await?;
    endpoint::rotated(&api, app, &endpoint, idempotent, MaybeJson { value: body.value.0, bytes: body.bytes }).await
}

/// The custom headers of an operational endpoint's deliveries.
#[utoipa::path(
    get,
    path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/headers",
    operation_id = "v1.operational-webhook.endpoint.get-headers",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    responses(Errors, (status = 200, description = "The headers", body = OperationalWebhookEndpointHeadersOut))
)]
async fn get_headers(
    State(api): State<Shared>,
    caller: Caller,
    Path(endpoint): Path<String>,
) -> Result<axum::Json<OperationalWebhookEndpointHeadersOut>, Problem> {
    let app = id(&api, &caller).await?;
    Ok(axum::Json(OperationalWebhookEndpointHeadersOut(endpoint::shown(&api, app, &endpoint).await?)))
}

/// Sets all custom headers of an operational endpoint's deliveries.
#[utoipa::path(
    put,
    path = "/api/v1/operational-webhook/endpoint/{endpoint_id}/headers",
    operation_id = "v1.operational-webhook.endpoint.set-headers",
    tag = "Operational Webhook Endpoint",
    params(("endpoint_id" = String, Path, description = "The endpoint's id or uid")),
    request_body = OperationalWebhookEndpointHeadersIn,
    responses(Errors, (status = 204, description = "Set"))
)]
async fn set_headers(
    State(api): State<Shared>,
    caller: Caller,
    Path(endpoint): Path<String>,
    body: Json<OperationalWebhookEndpointHeadersIn>,
) -> Result<StatusCode, Problem> {
    let app = id(&api, &caller).await?;
    endpoint::set(&api, app, &endpoint, body.value.0).await
}
