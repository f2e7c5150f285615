//! AllFly Connect: an organization's webhooks with secrets that can be read again and rotate with a day of overlap.

use super::{
    Surface,
    form::{self, Refusals},
    home::Home,
};
use crate::{
    api::{
        Idempotent, Json, Needs, New, Patch, Path, Problem, Shared, Stamp,
        endpoint::{BrandRules, Wish, rotated_by_default, surface},
        patch::given,
    },
    model::{Endpoint, EndpointId, System},
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// The surface.
pub(super) const SURFACE: Surface = Surface {
    system: System::Connect,
    title: "AllFly Connect",
    about: "Webhooks of an organization, with signing secrets that can be read again and rotate with a day of overlap.",
    routes: |_| {
        form::router()
            .routes(routes!(list, create))
            .routes(routes!(get, update, delete))
            .routes(routes!(secret))
            .routes(routes!(rotate))
    },
    refused: form::by_rule,
    names: &[("eventTypes", "event_subscriptions"), ("disabled", "enabled")],
    token_header: None,
    noun: "webhook",
    brand: BrandRules { by_url: false, names_events: true, uncatalogued: |_| false },
    receivers: None,
};

/// A webhook to be created, or changes to one: what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookFields)]
#[serde(deny_unknown_fields)]
struct WebhookIn {
    /// Where events go: `https`.
    #[serde(default, deserialize_with = "given")]
    #[schema(example = "https://example.com/webhooks/allfly")]
    url: Option<String>,
    /// The event types to subscribe to, at least one.
    #[serde(default, deserialize_with = "given")]
    #[schema(min_items = 1, example = json!(["event_attendee.joined_event"]))]
    event_subscriptions: Option<Vec<String>>,
    /// A label to keep webhooks organized; null takes it away.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
    /// Whether events are delivered. A new webhook gets none until it is true.
    #[serde(default, deserialize_with = "given")]
    #[schema(default = false)]
    enabled: Option<bool>,
    /// Static headers of every delivery, all of them; null takes them away.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    headers: Patch<BTreeMap<String, String>>,
}

/// A webhook to be made.
type NewWebhook = New<WebhookIn>;

impl Needs for WebhookIn {
    const NEEDED: &'static [&'static str] = &["url", "event_subscriptions"];
}

impl WebhookIn {
    fn wish(self) -> Wish {
        Wish {
            url: self.url,
            description: self.description.or_default(),
            events: self.event_subscriptions,
            enabled: self.enabled,
            headers: self.headers.or_default(),
            ..Wish::default()
        }
    }
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookOut {
    /// Its id.
    #[schema(value_type = String)]
    id: EndpointId,
    /// Where events go.
    url: String,
    /// A label.
    description: Option<String>,
    /// Whether events are delivered.
    enabled: bool,
    /// The event types it is subscribed to.
    event_subscriptions: Vec<String>,
    /// Static headers of every delivery.
    headers: BTreeMap<String, String>,
    /// Names of static headers whose values look like credentials and are not shown again.
    sensitive_headers: Vec<String>,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Stamp,
}

/// A signing secret.
#[derive(Debug, Serialize, ToSchema)]
struct SecretOut {
    /// The secret.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    key: String,
}

fn out(api: &Shared, endpoint: Endpoint) -> Result<WebhookOut, Problem> {
    let (headers, sensitive_headers) = surface::headers_of(api, &endpoint)?;
    Ok(WebhookOut {
        id: endpoint.id,
        url: endpoint.url,
        description: Some(endpoint.description).filter(|text| !text.is_empty()),
        enabled: endpoint.disabled.is_none(),
        event_subscriptions: endpoint.event_types.unwrap_or_default(),
        headers,
        sensitive_headers,
        created_at: Stamp(endpoint.created_at),
        updated_at: Stamp(endpoint.updated_at),
    })
}

fn id_of(text: &str) -> Option<EndpointId> {
    text.parse().ok()
}

/// Create a webhook.
#[utoipa::path(
    post, path = "/api/connect/v1/webhooks", tag = "AllFly Connect", summary = "Create a webhook",
    request_body = NewWebhook,
    responses(Refusals, (status = 201, description = "Created", body = WebhookOut))
)]
async fn create(State(api): State<Shared>, home: Home, idempotent: Idempotent, body: NewWebhook) -> Result<Response, Problem> {
    home.create(&api, idempotent, (&body.bytes, body.value.wish()), |endpoint, _| out(&api, endpoint)).await
}

/// List the webhooks of the organization, oldest first.
#[utoipa::path(
    get, path = "/api/connect/v1/webhooks", tag = "AllFly Connect", summary = "List the webhooks of the organization",
    responses(Refusals, (status = 200, description = "The webhooks", body = [WebhookOut]))
)]
async fn list(State(api): State<Shared>, home: Home) -> Result<axum::Json<Vec<WebhookOut>>, Problem> {
    home.all(&api).await?.into_iter().map(|endpoint| out(&api, endpoint)).collect::<Result<_, _>>().map(axum::Json)
}

/// Get a webhook.
#[utoipa::path(
    get, path = "/api/connect/v1/webhooks/{webhook_id}", tag = "AllFly Connect", summary = "Get a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 200, description = "The webhook", body = WebhookOut))
)]
async fn get(State(api): State<Shared>, home: Home, Path(id): Path<String>) -> Result<axum::Json<WebhookOut>, Problem> {
    out(&api, home.one(&api, id_of(&id)).await?).map(axum::Json)
}

/// Update a webhook. What is left out stays.
#[utoipa::path(
    put, path = "/api/connect/v1/webhooks/{webhook_id}", tag = "AllFly Connect", summary = "Update a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")), request_body = WebhookIn,
    responses(Refusals, (status = 200, description = "Updated", body = WebhookOut))
)]
async fn update(
    State(api): State<Shared>,
    home: Home,
    Path(id): Path<String>,
    body: Json<WebhookIn>,
) -> Result<axum::Json<WebhookOut>, Problem> {
    out(&api, home.change(&api, id_of(&id), &body.value.wish()).await?).map(axum::Json)
}

/// Delete a webhook.
#[utoipa::path(
    delete, path = "/api/connect/v1/webhooks/{webhook_id}", tag = "AllFly Connect", summary = "Delete a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 204, description = "Deleted"))
)]
async fn delete(State(api): State<Shared>, home: Home, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    home.delete(&api, id_of(&id)).await
}

/// Get the signing secret.
#[utoipa::path(
    get, path = "/api/connect/v1/webhooks/{webhook_id}/secret", tag = "AllFly Connect", summary = "Get the signing secret",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 200, description = "The secret", body = SecretOut))
)]
async fn secret(State(api): State<Shared>, home: Home, Path(id): Path<String>) -> Result<axum::Json<SecretOut>, Problem> {
    let endpoint = home.one(&api, id_of(&id)).await?;
    Ok(axum::Json(SecretOut { key: surface::secret(&api, &endpoint)? }))
}

/// Rotate the signing secret. The old one stays valid for 24 hours: deliveries carry both signatures until then.
#[utoipa::path(
    post, path = "/api/connect/v1/webhooks/{webhook_id}/secret/rotate", tag = "AllFly Connect",
    summary = "Rotate the signing secret",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 200, description = "The new secret", body = SecretOut))
)]
async fn rotate(
    State(api): State<Shared>,
    home: Home,
    idempotent: Idempotent,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let endpoint = home.one(&api, id_of(&id)).await?;
    rotated_by_default(&api, endpoint.app, &endpoint.id.to_string(), idempotent).await
}
