//! Alakazam: an application's outbound webhooks, managed with user sessions. Endpoints of the engine, with ids as UUIDs.

use super::{
    SessionCaller, Surface, catalogue,
    data::Data,
    form::{self, Refusals},
    home::Branded,
    uuid,
};
use crate::{
    api::{
        Idempotent, Json, Path, Problem, Shared, Stamp,
        endpoint::{BrandRules, Wish, surface},
    },
    model::{Endpoint, EndpointId, Record, System},
    store::Change,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Subscribes to every event, of today and to come.
const ALL: &str = "*";

/// The surface.
pub(super) const SURFACE: Surface = Surface {
    system: System::Alakazam,
    title: "Alakazam",
    about: "Outbound webhooks of an application, managed with a user session.",
    routes: |_| form::router().routes(routes!(list, create)).routes(routes!(delete)).routes(routes!(delete_by_post)),
    refused: form::by_rule,
    names: &[("eventTypes", "events")],
    token_header: None,
    noun: "webhook",
    brand: BrandRules { by_url: false, names_events: true, uncatalogued: |_| false },
    receivers: None,
};

/// An endpoint to be registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookIn {
    /// Where events go: `https`.
    #[schema(example = "https://example.com/hooks/alakazam")]
    url: String,
    /// The events it wants. Left out: those that are delivered today. `["*"]`: these and all to come.
    #[schema(example = json!(["world.generation.succeeded"]))]
    events: Option<Vec<String>>,
}

/// A registered endpoint.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookOut {
    /// Its id, a UUID.
    #[schema(format = "uuid")]
    id: String,
    /// Where events go.
    url: String,
    /// The events it wants.
    events: Vec<String>,
    /// Whether it gets any.
    enabled: bool,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// What deliveries are signed with. Shown when the endpoint is registered, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl From<Endpoint> for WebhookOut {
    fn from(endpoint: Endpoint) -> Self {
        WebhookOut {
            id: uuid::text(endpoint.id.0),
            url: endpoint.url,
            events: endpoint.event_types.unwrap_or_else(|| vec![ALL.to_owned()]),
            enabled: endpoint.disabled.is_none(),
            created_at: Stamp(endpoint.created_at),
            secret: None,
        }
    }
}

/// Register an endpoint.
///
/// The answer has the secret: it is shown this once.
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/webhooks", tag = "Alakazam", summary = "Register an endpoint",
    params(("app_id" = String, Path, description = "The application's id or uid")), request_body = WebhookIn,
    responses(Refusals, (status = 201, description = "Registered", body = WebhookOut))
)]
async fn create(
    State(api): State<Shared>,
    (caller, brand): (SessionCaller, Branded),
    mut idempotent: Idempotent,
    Path(app): Path<String>,
    body: Json<WebhookIn>,
) -> Result<Response, Problem> {
    let (SessionCaller(caller), Branded(brand)) = (caller, brand);
    let app = caller.application(&api, &app).await?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    catalogue::on_first_use(&api, caller.org, brand.system).await?;
    let WebhookIn { url, events } = body.value;
    let events = match events {
        None => catalogue::delivered(&api, caller.org, brand.system).await?,
        Some(events) if events.iter().any(|event| event == ALL) => vec![ALL.to_owned()],
        Some(events) => events,
    };
    let wish = Wish { url: Some(url), events: Some(events), ..Wish::default() };
    let (mut endpoint, made) = wish.make(&api, &app, &brand).await?;
    endpoint.id = EndpointId(uuid::marked(endpoint.id.0));
    let secret = made.map(|text| text.to_string());
    let out = WebhookOut { secret, ..WebhookOut::from(endpoint.clone()) };
    idempotent.commit_sealed(&api, vec![Change::Insert(Record::Endpoint(endpoint))], StatusCode::CREATED, &out).await
}

/// List an application's endpoints.
///
/// Without their secrets.
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/webhooks", tag = "Alakazam", summary = "List an application's endpoints",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    responses(Refusals, (status = 200, description = "The endpoints", body = Data<WebhookOut>))
)]
async fn list(
    State(api): State<Shared>,
    SessionCaller(caller): SessionCaller,
    Path(app): Path<String>,
) -> Result<axum::Json<Data<WebhookOut>>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let endpoints = surface::of(&api, app, System::Alakazam).await?;
    Data::shown(endpoints, |endpoint| Ok(WebhookOut::from(endpoint)))
}

/// Delete an endpoint.
///
/// Nothing is delivered to it any more, retries that are due included.
#[utoipa::path(
    delete, path = "/v1/apps/{app_id}/webhooks/{webhook_id}", tag = "Alakazam", summary = "Delete an endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("webhook_id" = String, Path, description = "The endpoint's id"),
    ),
    responses(Refusals, (status = 204, description = "Deleted"))
)]
async fn delete(
    State(api): State<Shared>,
    SessionCaller(caller): SessionCaller,
    Path((app, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let id = uuid::number(&id).map(EndpointId).ok_or_else(|| Problem::not_found("webhook"))?;
    surface::delete(&api, app, (System::Alakazam, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete an endpoint by POST.
///
/// For environments that cannot send `DELETE`.
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/webhooks/{webhook_id}/delete", tag = "Alakazam", summary = "Delete an endpoint by POST",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("webhook_id" = String, Path, description = "The endpoint's id"),
    ),
    responses(Refusals, (status = 204, description = "Deleted"))
)]
async fn delete_by_post(api: State<Shared>, caller: SessionCaller, path: Path<(String, String)>) -> Result<StatusCode, Problem> {
    delete(api, caller, path).await
}
