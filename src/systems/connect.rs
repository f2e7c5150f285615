//! AllFly Connect: an organization's webhooks with secrets that can be read again and rotate with a day of overlap.

use super::{
    KeyCaller, Seed, Surface, catalogue,
    form::{self, Refusals},
    home,
    options::Told,
    refusal::renamed,
    rules,
};
use crate::{
    api::{
        Caller, Idempotent, Json, Patch, Path, Problem, Shared, Stamp,
        endpoint::{
            rotated_by_default,
            surface::{self, Wanted},
        },
        patch::given,
    },
    model::{Endpoint, EndpointId, Record, System},
    routing::AppRoutes,
    store::Change,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;
use utoipa_axum::routes;

/// The heading of its event types in the catalogue.
const GROUP: &str = "event_attendee";
/// Fields by their names in the API and here.
const FIELDS: [(&str, &str); 1] = [("eventTypes", "event_subscriptions")];

/// The event types of its document.
const CATALOGUE: &[Seed] = &[
    Seed {
        name: "event_attendee.joined_event",
        description: "An attendee has been added to an event.",
        group: GROUP,
        reserved: false,
        example: r#"{"event_id": "evt_77", "attendee_id": "att_12", "joined_at": "2026-01-05T09:30:00Z"}"#,
    },
    Seed {
        name: "event_attendee.ticket_success",
        description: "A ticket has been successfully issued to an attendee.",
        group: GROUP,
        reserved: false,
        example: r#"{"event_id": "evt_77", "attendee_id": "att_12", "ticket_number": "0161234567890"}"#,
    },
];

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
    refused: form::refused,
    catalogue: CATALOGUE,
};

/// A webhook to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookIn {
    /// Where events go: `https`.
    #[schema(example = "https://example.com/webhooks/allfly")]
    url: String,
    /// The event types to subscribe to, at least one.
    #[schema(min_items = 1, example = json!(["event_attendee.joined_event"]))]
    event_subscriptions: Vec<String>,
    /// A label to keep webhooks organized.
    description: Option<String>,
    /// Whether events are delivered.
    #[schema(default = false)]
    enabled: Option<bool>,
    /// Static headers of every delivery.
    headers: Option<BTreeMap<String, String>>,
}

/// Changes to a webhook: what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookUpdate {
    /// Where events go: `https`.
    #[serde(default, deserialize_with = "given")]
    url: Option<String>,
    /// The event types to subscribe to, at least one.
    #[serde(default, deserialize_with = "given")]
    event_subscriptions: Option<Vec<String>>,
    /// A label to keep webhooks organized; null takes it away.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
    /// Whether events are delivered.
    #[serde(default, deserialize_with = "given")]
    enabled: Option<bool>,
    /// Static headers of every delivery, all of them; null takes them away.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    headers: Patch<BTreeMap<String, String>>,
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

/// The application of the caller's webhooks, and the id in the path.
async fn named(api: &Shared, caller: &Caller, id: &str) -> Result<(Arc<AppRoutes>, EndpointId), Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("webhook"))?;
    Ok((home(api, caller.org).await?, id))
}

fn subscriptions(list: &[String]) -> Result<(), Problem> {
    let rule = || Problem::field(&["body", "event_subscriptions"], "length", "At least one event type.");
    if list.is_empty() { Err(rule()) } else { Ok(()) }
}

/// Create a webhook.
#[utoipa::path(
    post, path = "/api/connect/v1/webhooks", tag = "AllFly Connect", summary = "Create a webhook", request_body = WebhookIn,
    responses(Refusals, (status = 201, description = "Created", body = WebhookOut))
)]
async fn create(
    State(api): State<Shared>,
    (caller, told): (KeyCaller, Told),
    mut idempotent: Idempotent,
    body: Json<WebhookIn>,
) -> Result<Response, Problem> {
    let caller = caller.0;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    catalogue::on_first_use(&api, caller.org, CATALOGUE).await?;
    let app = home(&api, caller.org).await?;
    let body = body.value;
    rules::https(&body.url)?;
    subscriptions(&body.event_subscriptions)?;
    let wanted = Wanted {
        url: Some(body.url),
        description: body.description,
        event_types: Some(Some(body.event_subscriptions)),
        enabled: Some(body.enabled.unwrap_or(false)),
        headers: body.headers,
        ..Wanted::default()
    };
    let made = surface::make(&api, &app, (System::Connect, told.0.profile(System::Connect)), wanted).await;
    let endpoint = made.map_err(|problem| renamed(problem, &FIELDS))?;
    let out = out(&api, endpoint.clone())?;
    idempotent.commit(&api, vec![Change::Insert(Record::Endpoint(endpoint))], StatusCode::CREATED, &out).await
}

/// List the webhooks of the organization, oldest first.
#[utoipa::path(
    get, path = "/api/connect/v1/webhooks", tag = "AllFly Connect", summary = "List the webhooks of the organization",
    responses(Refusals, (status = 200, description = "The webhooks", body = [WebhookOut]))
)]
async fn list(State(api): State<Shared>, KeyCaller(caller): KeyCaller) -> Result<axum::Json<Vec<WebhookOut>>, Problem> {
    let app = home(&api, caller.org).await?.application.id;
    let endpoints = surface::of(&api, app, System::Connect).await?;
    endpoints.into_iter().map(|endpoint| out(&api, endpoint)).collect::<Result<_, _>>().map(axum::Json)
}

/// Get a webhook.
#[utoipa::path(
    get, path = "/api/connect/v1/webhooks/{webhook_id}", tag = "AllFly Connect", summary = "Get a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 200, description = "The webhook", body = WebhookOut))
)]
async fn get(
    State(api): State<Shared>,
    KeyCaller(caller): KeyCaller,
    Path(id): Path<String>,
) -> Result<axum::Json<WebhookOut>, Problem> {
    let (app, id) = named(&api, &caller, &id).await?;
    out(&api, surface::one(&api, app.application.id, (System::Connect, id)).await?).map(axum::Json)
}

/// Update a webhook. What is left out stays.
#[utoipa::path(
    put, path = "/api/connect/v1/webhooks/{webhook_id}", tag = "AllFly Connect", summary = "Update a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")), request_body = WebhookUpdate,
    responses(Refusals, (status = 200, description = "Updated", body = WebhookOut))
)]
async fn update(
    State(api): State<Shared>,
    KeyCaller(caller): KeyCaller,
    Path(id): Path<String>,
    body: Json<WebhookUpdate>,
) -> Result<axum::Json<WebhookOut>, Problem> {
    let (app, id) = named(&api, &caller, &id).await?;
    let body = body.value;
    body.url.iter().try_for_each(|url| rules::https(url))?;
    body.event_subscriptions.iter().try_for_each(|list| subscriptions(list))?;
    let wanted = Wanted {
        url: body.url,
        description: or_empty(body.description),
        event_types: body.event_subscriptions.map(Some),
        enabled: body.enabled,
        headers: or_empty(body.headers),
        ..Wanted::default()
    };
    let changed = surface::change(&api, &app, (System::Connect, id), wanted).await;
    out(&api, changed.map_err(|problem| renamed(problem, &FIELDS))?).map(axum::Json)
}

fn or_empty<T: Default>(patch: Patch<T>) -> Option<T> {
    match patch {
        Patch::Absent => None,
        Patch::Null => Some(T::default()),
        Patch::Value(value) => Some(value),
    }
}

/// Delete a webhook.
#[utoipa::path(
    delete, path = "/api/connect/v1/webhooks/{webhook_id}", tag = "AllFly Connect", summary = "Delete a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 204, description = "Deleted"))
)]
async fn delete(State(api): State<Shared>, KeyCaller(caller): KeyCaller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let (app, id) = named(&api, &caller, &id).await?;
    surface::delete(&api, app.application.id, (System::Connect, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get the signing secret.
#[utoipa::path(
    get, path = "/api/connect/v1/webhooks/{webhook_id}/secret", tag = "AllFly Connect", summary = "Get the signing secret",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 200, description = "The secret", body = SecretOut))
)]
async fn secret(
    State(api): State<Shared>,
    KeyCaller(caller): KeyCaller,
    Path(id): Path<String>,
) -> Result<axum::Json<SecretOut>, Problem> {
    let (app, id) = named(&api, &caller, &id).await?;
    let endpoint = surface::one(&api, app.application.id, (System::Connect, id)).await?;
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
    KeyCaller(caller): KeyCaller,
    idempotent: Idempotent,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (app, id) = named(&api, &caller, &id).await?;
    let app = app.application.id;
    surface::one(&api, app, (System::Connect, id)).await?;
    rotated_by_default(&api, app, &id.to_string(), idempotent).await
}
