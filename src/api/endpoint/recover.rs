//! `POST …/recover`: queues what an endpoint has not got, once more.

use super::store;
use crate::{
    api::{Caller, Errors, Idempotent, Json, Path, Problem, Shared, Stamp},
    model::{TaskId, Time},
    store::Requeue,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// How far back a recovery may reach: nothing older is kept by default.
const MAX_REACH: Duration = Duration::from_secs(90 * 86_400);

/// Which messages to recover.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(super) struct RecoverIn {
    /// Messages made from this instant on.
    #[schema(value_type = String, format = DateTime)]
    since: Stamp,
    /// Messages made before this instant. Absent: until now.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Stamp>,
}

/// How a background task stands.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum BackgroundTaskStatus {
    /// Its deliveries are on their way.
    Running,
}

/// What a background task does.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) enum BackgroundTaskType {
    /// Recovers an endpoint.
    #[serde(rename = "endpoint.recover")]
    EndpointRecover,
}

/// A recovery that has begun.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecoverOut {
    /// Identifier of the task.
    #[schema(value_type = String)]
    id: TaskId,
    status: BackgroundTaskStatus,
    task: BackgroundTaskType,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Stamp,
    data: RecoverData,
}

/// What a recovery found. Not in the compatible contract.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecoverData {
    /// Deliveries that were queued again.
    messages_queued: u64,
}

/// Queues the deliveries whose attempts have all failed once more, with a fresh schedule, for messages made in a window.
/// What was delivered, and what still has automatic attempts left, is left alone.
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
    responses(Errors, (status = 202, description = "Queued", body = RecoverOut))
)]
pub(super) async fn recover(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Path((app, endpoint)): Path<(String, String)>,
    body: Json<RecoverIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?.application.id;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let now = api.engine.clock.now();
    let (since, until) = window(&body.value, now)?;
    let endpoint = store::find(&api, app, &endpoint).await?.id;
    let messages_queued = api.engine.requeue(app, endpoint, Requeue::Exhausted { since, until }).await?;
    let out = RecoverOut {
        id: TaskId(api.engine.random.id(now)),
        status: BackgroundTaskStatus::Running,
        task: BackgroundTaskType::EndpointRecover,
        updated_at: Stamp(now),
        data: RecoverData { messages_queued },
    };
    // The answer is stored after the deed: a crash in between lets the repetition recover again, which finds nothing more.
    idempotent.commit(&api, Vec::new(), StatusCode::ACCEPTED, &out).await
}

fn window(body: &RecoverIn, now: Time) -> Result<(Time, Time), Problem> {
    let since = body.since.0;
    // Messages of this very millisecond count when no end is given.
    let until = body.until.map_or(Time(now.0.saturating_add(1)), |until| until.0);
    if since > now {
        return Err(Problem::field(&["body", "since"], "range", "Not in the future."));
    }
    if since < now.minus(MAX_REACH) {
        return Err(Problem::field(&["body", "since"], "range", "At most 90 days back."));
    }
    if until <= since {
        return Err(Problem::field(&["body", "until"], "range", "After `since`."));
    }
    Ok((since, until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_in_the_last_ninety_days() {
        let now = Time(100 * 86_400_000);
        let ask = |since: u64, until: Option<u64>| {
            window(&RecoverIn { since: Stamp(Time(since)), until: until.map(|ms| Stamp(Time(ms))) }, now).ok()
        };
        assert_eq!(ask(now.0, None), Some((now, Time(now.0 + 1))));
        assert_eq!(ask(now.0 - 5, Some(now.0)), Some((Time(now.0 - 5), now)));
        assert_eq!(ask(now.0 + 1, None), None);
        assert_eq!(ask(10 * 86_400_000, None), Some((Time(10 * 86_400_000), Time(now.0 + 1))));
        assert_eq!(ask(10 * 86_400_000 - 1, None), None);
        assert_eq!(ask(now.0 - 5, Some(now.0 - 5)), None);
    }
}
