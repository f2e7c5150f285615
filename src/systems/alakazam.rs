//! Alakazam: an application's outbound webhooks, managed with user sessions. Endpoints of the engine, with ids as UUIDs.

use super::{
    Seed, SessionCaller, Surface, catalogue,
    form::{self, Refusals},
    options::Told,
    refusal::renamed,
    rules, uuid,
};
use crate::{
    api::{
        Api, Idempotent, Json, Path, Problem, Shared, Stamp,
        endpoint::surface::{self, Wanted},
    },
    model::{Endpoint, EndpointId, OrgId, Record, System},
    store::Change,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Subscribes to every event, of today and to come.
const ALL: &str = "*";
/// The heading of its event types in the catalogue.
const GROUP: &str = "alakazam";

/// The event types of its document.
const CATALOGUE: &[Seed] = &[
    Seed {
        name: "world.generation.succeeded",
        description: "An async world generation job finishes and a playable world is ready.",
        group: GROUP,
        reserved: false,
        example: r#"{"worldId": "wld_9f2c", "jobId": "job_41d7"}"#,
    },
    Seed {
        name: "world.generation.failed",
        description: "An async generation job exhausts its retries.",
        group: GROUP,
        reserved: false,
        example: r#"{"jobId": "job_41d7", "error": "The model ran out of time."}"#,
    },
    Seed {
        name: "session.ended",
        description: "A session has ended. Planned for a future release and not delivered yet.",
        group: GROUP,
        reserved: true,
        example: "",
    },
];

/// The surface.
pub(super) const SURFACE: Surface = Surface {
    system: System::Alakazam,
    title: "Alakazam",
    about: "Outbound webhooks of an application, managed with a user session.",
    routes: |_| form::router().routes(routes!(list, create)).routes(routes!(delete)).routes(routes!(delete_by_post)),
    refused: form::refused,
    catalogue: CATALOGUE,
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

/// The endpoints of an application.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookListOut {
    /// The endpoints, oldest first.
    data: Vec<WebhookOut>,
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
    (caller, told): (SessionCaller, Told),
    mut idempotent: Idempotent,
    Path(app): Path<String>,
    body: Json<WebhookIn>,
) -> Result<Response, Problem> {
    let caller = caller.0;
    let app = caller.application(&api, &app).await?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    catalogue::on_first_use(&api, caller.org, CATALOGUE).await?;
    let WebhookIn { url, events } = body.value;
    rules::https(&url)?;
    let event_types = match events {
        None => today(&api, caller.org).await?,
        Some(events) if events.iter().any(|event| event == ALL) => vec![ALL.to_owned()],
        Some(events) if events.is_empty() => {
            let rule = "At least one; left out, it means every event that is delivered today.";
            return Err(Problem::field(&["body", "events"], "length", rule));
        }
        Some(events) => events,
    };
    let wanted = Wanted { url: Some(url), event_types: Some(Some(event_types)), ..Wanted::default() };
    let profile = told.0.profile(System::Alakazam);
    let made = surface::make(&api, &app, (System::Alakazam, profile), wanted).await;
    let mut endpoint = made.map_err(|problem| renamed(problem, &[("eventTypes", "events")]))?;
    endpoint.id = EndpointId(uuid::marked(endpoint.id.0));
    let secret = Some(surface::secret(&api, &endpoint)?);
    let out = WebhookOut { secret, ..WebhookOut::from(endpoint.clone()) };
    idempotent.commit_sealed(&api, vec![Change::Insert(Record::Endpoint(endpoint))], StatusCode::CREATED, &out).await
}

/// The events that are delivered today: those under the system's heading in the catalogue, and those under none.
async fn today(api: &Api, org: OrgId) -> Result<Vec<String>, Problem> {
    let all = catalogue::delivered(api, org).await?;
    let ours = all.into_iter().filter(|entry| entry.group_name.as_deref().is_none_or(|group| group == GROUP));
    Ok(ours.map(|entry| entry.name).collect())
}

/// List an application's endpoints.
///
/// Without their secrets.
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/webhooks", tag = "Alakazam", summary = "List an application's endpoints",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    responses(Refusals, (status = 200, description = "The endpoints", body = WebhookListOut))
)]
async fn list(
    State(api): State<Shared>,
    SessionCaller(caller): SessionCaller,
    Path(app): Path<String>,
) -> Result<axum::Json<WebhookListOut>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let endpoints = surface::of(&api, app, System::Alakazam).await?;
    Ok(axum::Json(WebhookListOut { data: endpoints.into_iter().map(WebhookOut::from).collect() }))
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
