//! What compatible clients ask for: `…/endpoint/{id}/recover`, `replay-missing` and `bulk-replay`. Each is a replay.

use super::{
    crud::start,
    shape::{ReplayOut, blank, check_class, check_labels, span},
};
use crate::{
    api::{Caller, Errors, Idempotent, Json, Path, Problem, Shared, Stamp, endpoint},
    model::{Replay, ReplayStatus, ReplayTask},
};
use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa::ToSchema;

/// Deliveries a second of a replay that names no rate.
const RATE: u32 = 500;
/// The contract's statuses and ours; those that run are pending to the store.
const STATUSES: [(u8, ReplayStatus); 5] = [
    (0, ReplayStatus::Delivered),
    (1, ReplayStatus::Pending),
    (2, ReplayStatus::Exhausted),
    (3, ReplayStatus::Pending),
    (4, ReplayStatus::Cancelled),
];

/// Which messages to recover.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub(super) struct RecoverIn {
    /// Messages made from this instant on.
    #[schema(value_type = String, format = DateTime)]
    since: Stamp,
    /// Messages made before this instant. Absent: until now.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Stamp>,
}

/// Which messages to replay.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub(super) struct ReplayIn {
    /// Messages made from this instant on.
    #[schema(value_type = String, format = DateTime)]
    since: Stamp,
    /// Messages made before this instant. Absent: until now.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Stamp>,
}

/// Which deliveries to make once more.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BulkReplayIn {
    /// Messages made from this instant on.
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
    /// Only deliveries with this status: success 0, pending 1, fail 2, sending 3, canceled 4.
    #[schema(minimum = 0, maximum = 4)]
    status: Option<u8>,
    /// Only deliveries whose last answer was of this class: 100, 200, …, 500; 0: there was no answer.
    status_code_class: Option<u16>,
}

/// A replay of one endpoint, before what makes it special.
async fn of_endpoint(
    api: &Shared,
    caller: &Caller,
    (app, endpoint): (&str, &str),
    (since, until): (Stamp, Option<Stamp>),
) -> Result<Replay, Problem> {
    let app = caller.application(api, app).await?;
    let endpoint = endpoint::find(api, app.application.id, endpoint).await?.id;
    let span = span(since, until, api.engine.clock.now())?;
    let mut replay = blank(api, (app.application.org, app.application.id), Some(endpoint), span);
    replay.rate = RATE;
    Ok(replay)
}

/// Queues the deliveries whose attempts have all failed once more, with a fresh schedule, for messages made in a window.
/// What was delivered, and what still has automatic attempts left, is left alone. It is a replay: `GET /api/v1/replay/{id}`
/// tells how far it is.
#[utoipa::path(
    post,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/recover",
    operation_id = "v1.endpoint.recover",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    request_body = RecoverIn,
    responses(Errors, (status = 202, description = "It has begun", body = ReplayOut))
)]
pub(super) async fn recover(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Path((app, endpoint)): Path<(String, String)>,
    body: Json<RecoverIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let mut replay = of_endpoint(&api, &caller, (&app, &endpoint), (body.value.since, body.value.until)).await?;
    replay.task = ReplayTask::Recover;
    replay.selection.statuses = vec![ReplayStatus::Exhausted];
    replay.anew = true;
    start(&api, &idempotent, replay).await
}

/// Sends an endpoint the messages of a window that it was never to get and would get now: those from before it was made, or
/// before it subscribed to them. What was sent to it is not sent again.
#[utoipa::path(
    post,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/replay-missing",
    operation_id = "v1.endpoint.replay-missing",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    request_body = ReplayIn,
    responses(Errors, (status = 202, description = "It has begun", body = ReplayOut))
)]
pub(super) async fn missing(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Path((app, endpoint)): Path<(String, String)>,
    body: Json<ReplayIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let mut replay = of_endpoint(&api, &caller, (&app, &endpoint), (body.value.since, body.value.until)).await?;
    replay.task = ReplayTask::Missing;
    replay.selection.statuses = vec![ReplayStatus::Missing];
    start(&api, &idempotent, replay).await
}

/// Makes an endpoint's deliveries of a window once more, chosen by what the messages and the last answers were like: one
/// attempt each.
#[utoipa::path(
    post,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/bulk-replay",
    operation_id = "v1.endpoint.bulk-replay",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    request_body = BulkReplayIn,
    responses(Errors, (status = 202, description = "It has begun", body = ReplayOut))
)]
pub(super) async fn bulk(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Path((app, endpoint)): Path<(String, String)>,
    body: Json<BulkReplayIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let asked = body.value;
    let mut replay = of_endpoint(&api, &caller, (&app, &endpoint), (asked.since, asked.until)).await?;
    // The contract's clients send an empty list for all.
    let event_types = asked.event_types.filter(|types| !types.is_empty());
    check_labels(event_types.as_deref(), asked.channel.as_deref(), asked.tag.as_deref())?;
    let event_types = event_types.unwrap_or_default();
    let refused = || Problem::field(&["body", "status"], "range", "A number from 0 to 4.");
    let meant = |number| STATUSES.iter().find(|(known, _)| *known == number).map(|(_, status)| *status).ok_or_else(refused);
    replay.task = ReplayTask::Bulk;
    replay.selection.statuses = asked.status.map(meant).transpose()?.into_iter().collect();
    replay.selection.code_class = check_class(asked.status_code_class)?;
    replay.selection.event_types = event_types;
    replay.selection.channel = asked.channel;
    replay.selection.tag = asked.tag;
    start(&api, &idempotent, replay).await
}
