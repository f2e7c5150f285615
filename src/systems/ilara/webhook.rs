//! `/v1/integrations/webhooks`: making, reading, changing and deleting webhooks.

use super::{
    Home, brand, find,
    shape::{WebhookIn, WebhookOut, WebhookPatch},
};
use crate::{
    api::{
        Json, Path, Problem, Shared,
        endpoint::{insert_made, revise_wished, surface},
    },
    model::System,
    systems::{form::Refusals, options::Told},
};
use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// The organization's webhooks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhooks)]
pub(super) struct Webhooks {
    data: Vec<WebhookOut>,
}

/// The organization's webhooks.
#[utoipa::path(
    get,
    path = "/v1/integrations/webhooks",
    operation_id = "listWebhooks",
    tag = "Ilara Webhooks",
    responses(Refusals, (status = 200, description = "The webhooks", body = Webhooks))
)]
pub(super) async fn list(State(api): State<Shared>, Home(app): Home) -> Result<axum::Json<Webhooks>, Problem> {
    let found = surface::of(&api, app.application.id, System::Ilara).await?;
    let data = found.iter().map(|endpoint| WebhookOut::new(endpoint, None, &api)).collect::<Result<_, _>>()?;
    Ok(axum::Json(Webhooks { data }))
}

/// Makes a webhook.
#[utoipa::path(
    post,
    path = "/v1/integrations/webhooks",
    operation_id = "createWebhook",
    tag = "Ilara Webhooks",
    request_body = WebhookIn,
    responses(Refusals, (status = 201, description = "The webhook", body = WebhookOut))
)]
pub(super) async fn create(
    State(api): State<Shared>,
    Told(options): Told,
    Home(app): Home,
    body: Json<WebhookIn>,
) -> Result<(StatusCode, axum::Json<WebhookOut>), Problem> {
    let placed = insert_made(&api, &app, brand(&options.profile(System::Ilara)), body.value.wish()?).await?;
    let secret = placed.made.as_ref().map(|text| text.as_str());
    let out = WebhookOut::new(&placed.endpoint, secret, &api)?;
    Ok((StatusCode::CREATED, axum::Json(out)))
}

/// A webhook.
#[utoipa::path(
    get,
    path = "/v1/integrations/webhooks/{id}",
    operation_id = "getWebhook",
    tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`")),
    responses(Refusals, (status = 200, description = "The webhook", body = WebhookOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    Home(app): Home,
    Path(id): Path<String>,
) -> Result<axum::Json<WebhookOut>, Problem> {
    let endpoint = find(&api, &app, &id).await?;
    WebhookOut::new(&endpoint, None, &api).map(axum::Json)
}

/// Changes a webhook: what is left out stays.
#[utoipa::path(
    patch,
    path = "/v1/integrations/webhooks/{id}",
    operation_id = "updateWebhook",
    tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`")),
    request_body = WebhookPatch,
    responses(Refusals, (status = 200, description = "The webhook", body = WebhookOut))
)]
pub(super) async fn update(
    State(api): State<Shared>,
    Told(options): Told,
    Home(app): Home,
    Path(id): Path<String>,
    body: Json<WebhookPatch>,
) -> Result<axum::Json<WebhookOut>, Problem> {
    let id = find(&api, &app, &id).await?.id;
    let revised = revise_wished(&api, &app, brand(&options.profile(System::Ilara)), id, &body.value.wish()?).await?;
    WebhookOut::new(&revised, None, &api).map(axum::Json)
}

/// Deletes a webhook. What has not been delivered to it is cancelled.
#[utoipa::path(
    delete,
    path = "/v1/integrations/webhooks/{id}",
    operation_id = "deleteWebhook",
    tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`")),
    responses(Refusals, (status = 204, description = "Deleted"))
)]
pub(super) async fn delete(State(api): State<Shared>, Home(app): Home, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let endpoint = find(&api, &app, &id).await?;
    surface::delete(&api, app.application.id, (System::Ilara, endpoint.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
