//! `…/cancel`: deliveries that are owed still are not made. By the many it is a replay's walk: counted first, watched and
//! stopped as one.

use super::{
    crud::{previewed, start},
    shape::{ReplayOut, ReplayPreviewOut, ReplayRequest, ReplayStatusName},
};
use crate::{
    api::{Caller, Errors, Idempotent, Json, Path, Problem, Shared, Stamp, endpoint, message},
    flow::Cancel,
    model::{AuditAction, DeliveryState, EndpointId, Message, Replay, ReplayStatus, ReplayTask},
    routing::AppRoutes,
};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Deliveries a second when nothing is said: cancelling costs little, and is wanted soon.
const DEFAULT_RATE: u32 = 1000;

/// How a delivery stands that is to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum CancelStatusName {
    /// An attempt is owed; also of an endpoint that is disabled.
    Pending,
    /// An attempt is owed, and the endpoint is disabled.
    Held,
}

/// Which deliveries to cancel. Everything that is given must agree.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CancelRequest {
    /// The application, by id or uid.
    app_id: String,
    /// One endpoint of it, by id or uid. Absent: all.
    endpoint_id: Option<String>,
    /// Messages made at this instant or later; at most 90 days back.
    #[schema(value_type = String, format = DateTime)]
    since: Stamp,
    /// Messages made before this instant. Absent: until now.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Stamp>,
    /// Only these event types; at most 100.
    event_types: Option<Vec<String>>,
    /// Only messages with this channel.
    channel: Option<String>,
    /// Only messages with this tag.
    tag: Option<String>,
    /// Only messages whose payload meets this filter, as endpoints have them. Those whose payload is deleted are left out.
    #[schema(value_type = Option<Object>)]
    filter: Option<serde_json::Value>,
    /// Only deliveries that stand so, at least one. Absent: `pending`, which those that are held are too.
    #[schema(min_items = 1)]
    statuses: Option<Vec<CancelStatusName>>,
    /// Only deliveries whose last answer was of this class: 100, 200, …, 500; 0: there was no answer.
    status_code_class: Option<u16>,
    /// Deliveries a second at most, 1 to 10,000; 1,000 by default.
    rate: Option<u32>,
}

/// A cancellation chooses as a replay does, by the same rules.
impl From<CancelRequest> for ReplayRequest {
    fn from(asked: CancelRequest) -> Self {
        let named = |status| match status {
            CancelStatusName::Pending => ReplayStatusName::Pending,
            CancelStatusName::Held => ReplayStatusName::Held,
        };
        let statuses = asked.statuses.unwrap_or_else(|| vec![CancelStatusName::Pending]);
        ReplayRequest {
            app_id: asked.app_id,
            endpoint_id: asked.endpoint_id,
            since: asked.since,
            until: asked.until,
            event_types: asked.event_types,
            channel: asked.channel,
            tag: asked.tag,
            filter: asked.filter,
            statuses: Some(statuses.into_iter().map(named).collect()),
            status_code_class: asked.status_code_class,
            newest_per: None,
            newest_per_ordering_key: false,
            anew: false,
            rate: Some(asked.rate.unwrap_or(DEFAULT_RATE)),
        }
    }
}

/// How many deliveries were cancelled.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct CancelOut {
    /// Those that were pending.
    cancelled: u32,
}

/// What is asked for, and of which application.
async fn read(api: &Shared, caller: &Caller, asked: CancelRequest) -> Result<(Arc<AppRoutes>, Replay), Problem> {
    let app = caller.application(api, &asked.app_id).await?;
    let endpoint = match &asked.endpoint_id {
        Some(endpoint) => Some(endpoint::find(api, app.application.id, endpoint).await?.id),
        None => None,
    };
    let owner = (app.application.org, app.application.id);
    let mut cancel = ReplayRequest::from(asked).read(api, owner, endpoint)?;
    cancel.task = ReplayTask::Cancel;
    // Those that are held are pending too.
    let pending = cancel.selection.statuses.contains(&ReplayStatus::Pending);
    cancel.selection.statuses = vec![if pending { ReplayStatus::Pending } else { ReplayStatus::Held }];
    Ok((app, cancel))
}

/// Cancels deliveries that are pending, also those that are held, in the background and through restarts, until all are
/// cancelled or somebody aborts it. It is shown, listed and aborted as a replay, with the task `cancel`. An attempt that is
/// in flight is recorded: its success wins, its failure changes nothing. In strict order the next of the key goes on.
#[utoipa::path(
    post,
    path = "/api/v1/cancel",
    operation_id = "v1.cancel.create",
    tag = "Replay",
    params(("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer")),
    request_body = CancelRequest,
    responses(Errors, (status = 202, description = "It has begun", body = ReplayOut))
)]
pub(super) async fn create(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    body: Json<CancelRequest>,
) -> Result<Response, Problem> {
    caller.write()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let (_, cancel) = read(&api, &caller, body.value).await?;
    start(&api, &idempotent, cancel).await
}

/// Counts what would be cancelled, and does nothing.
#[utoipa::path(
    post,
    path = "/api/v1/cancel/preview",
    operation_id = "v1.cancel.preview",
    tag = "Replay",
    request_body = CancelRequest,
    responses(Errors, (status = 200, description = "What it would do", body = ReplayPreviewOut))
)]
pub(super) async fn preview(
    State(api): State<Shared>,
    caller: Caller,
    body: Json<CancelRequest>,
) -> Result<axum::Json<ReplayPreviewOut>, Problem> {
    let (app, cancel) = read(&api, &caller, body.value).await?;
    previewed(&api, &app, &cancel).await
}

/// Whether an attempt is owed. What it is not, is not cancelled, and nothing is noted of it.
async fn is_owed(api: &Shared, message: &Message, endpoint: EndpointId) -> Result<bool, Problem> {
    let delivery = api.engine.store.delivery(message, endpoint).await?;
    Ok(delivery.is_some_and(|delivery| matches!(delivery.state, DeliveryState::Pending(_))))
}

/// Notes who orders it, before it is done: as with the many, what was noted may have been delivered meanwhile.
async fn note(api: &Shared, message: &Message, endpoint: Option<EndpointId>) -> Result<(), Problem> {
    let of = endpoint.map_or(message.id.to_string(), |endpoint| format!("{}/{endpoint}", message.id));
    Ok(api.engine.note(AuditAction::Created, "cancel", Some((message.app, of))).await?)
}

async fn cancel(api: &Shared, message: &Message, endpoint: EndpointId) -> Result<u32, Problem> {
    let ordered = message.order(endpoint).is_some();
    let which = Cancel { app: message.app, endpoint, msg: message.id, ordered, of_many: false };
    Ok(u32::from(api.engine.cancel(which).await?))
}

/// Cancels a message's deliveries that are pending, also those that are held. Others stay as they are.
#[utoipa::path(
    post,
    path = "/api/v1/app/{app_id}/msg/{msg_id}/cancel",
    operation_id = "v1.message.cancel",
    tag = "Message",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
    ),
    responses(Errors, (status = 200, description = "How many were cancelled", body = CancelOut))
)]
pub(super) async fn message(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, msg)): Path<(String, String)>,
) -> Result<axum::Json<CancelOut>, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?;
    let message = message::find(&api, app.application.id, &msg).await?;
    let mut owed = Vec::new();
    for endpoint in message.endpoints.iter().filter(|endpoint| app.route(**endpoint).is_some()) {
        if is_owed(&api, &message, *endpoint).await? {
            owed.push(*endpoint);
        }
    }
    if !owed.is_empty() {
        note(&api, &message, None).await?;
    }
    let mut cancelled = 0;
    for endpoint in owed {
        cancelled += cancel(&api, &message, endpoint).await?;
    }
    Ok(axum::Json(CancelOut { cancelled }))
}

/// Cancels a message's delivery to one endpoint, if it is pending, also when it is held. Otherwise it stays as it is.
#[utoipa::path(
    post,
    path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/cancel",
    operation_id = "v1.message-attempt.cancel",
    tag = "Message Attempt",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    responses(Errors, (status = 200, description = "How many were cancelled: 1, or 0", body = CancelOut))
)]
pub(super) async fn delivery(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, msg, endpoint)): Path<(String, String, String)>,
) -> Result<axum::Json<CancelOut>, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?.application.id;
    let message = message::find(&api, app, &msg).await?;
    let endpoint = endpoint::find(&api, app, &endpoint).await?.id;
    if api.engine.store.delivery(&message, endpoint).await?.is_none() {
        return Err(Problem::not_found("delivery of this message to this endpoint"));
    }
    if !is_owed(&api, &message, endpoint).await? {
        return Ok(axum::Json(CancelOut { cancelled: 0 }));
    }
    note(&api, &message, Some(endpoint)).await?;
    Ok(axum::Json(CancelOut { cancelled: cancel(&api, &message, endpoint).await? }))
}
