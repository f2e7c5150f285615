//! `/webhooks/logs`: every attempt, and what waits for its first.

use super::{Admin, config_id};
use crate::{
    api::{Problem, Query, Shared, Stamp},
    flow::{Entry, StandingWord},
    model::{DeliveryId, EndpointId, Outcome},
    routing::AppRoutes,
    systems::{
        form::Refusals,
        tries::{Asked, answer, json_or_text},
    },
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

/// Whose attempts the log shows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(super) struct Of {
    /// Of this webhook configuration only.
    config_id: Option<String>,
    /// Of this event type only.
    event: Option<String>,
}

/// One attempt, or a delivery that waits for its first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryLogEntry)]
#[serde(rename_all = "camelCase")]
struct LogOut {
    /// The delivery, the same for all its attempts; `X-Nudj-Delivery-Id` carries it.
    #[schema(value_type = String)]
    delivery_id: DeliveryId,
    /// The webhook configuration.
    #[schema(value_type = String)]
    webhook_config_id: EndpointId,
    /// The event type.
    event: String,
    /// Where it went.
    url: String,
    /// `pending`: there was no attempt yet; `delivered`; `retrying`: it failed, and another was to follow; `failed`: none
    /// follows.
    #[schema(value_type = String, pattern = "pending|delivered|retrying|failed")]
    status: StandingWord,
    /// The number of the attempt, from 1; 0 before the first.
    attempt: u32,
    /// The outgoing payload; null when it is deleted by now.
    #[schema(value_type = Option<Object>)]
    request_body: Option<Box<RawValue>>,
    /// The status code of the answer; null when there was none.
    response_status: Option<u16>,
    /// The body of the answer.
    response_body: Option<String>,
    /// Why the attempt failed.
    error: Option<String>,
    /// How long the attempt took, in milliseconds.
    duration_ms: Option<u32>,
    /// When the attempt began; null before the first.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_attempt_at: Option<Stamp>,
    /// When the next attempt is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Stamp>,
}

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryLog)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    /// The entries, newest first.
    data: Vec<LogOut>,
    /// Asks for the next page; null when there is none.
    next_cursor: Option<String>,
    /// Whether there is more.
    has_more: bool,
}

impl LogOut {
    fn new(entry: &Entry, app: &AppRoutes) -> Self {
        let outcome = entry.attempt.as_ref().map(|attempt| &attempt.outcome);
        let route = app.route(entry.endpoint);
        LogOut {
            delivery_id: entry.delivery(),
            webhook_config_id: entry.endpoint,
            event: entry.message.event_type.clone(),
            url: match (&entry.attempt, route) {
                (Some(attempt), _) => attempt.url.clone(),
                (None, route) => route.map(|route| route.url.to_string()).unwrap_or_default(),
            },
            status: entry.standing.word(),
            attempt: entry.attempt.as_ref().map_or(0, |attempt| attempt.number),
            request_body: entry.body(app).and_then(|body| json_or_text(&body)),
            response_status: outcome.and_then(|outcome| outcome.status),
            response_body: outcome.and_then(answer),
            error: outcome.and_then(Outcome::error),
            duration_ms: outcome.map(|outcome| outcome.phases.total_us.div_ceil(1000)),
            last_attempt_at: entry.attempt.as_ref().map(|attempt| Stamp(attempt.id.time())),
            next_attempt_at: entry.standing.next().map(Stamp),
        }
    }
}

/// The delivery log: every attempt, newest first.
#[utoipa::path(
    get,
    path = "/webhooks/logs",
    operation_id = "listWebhookLogs",
    tag = "Nudj Admin API",
    params(Of, Asked),
    responses(Refusals, (status = 200, description = "A page of the log", body = Log))
)]
pub(super) async fn list(
    State(api): State<Shared>,
    admin: Admin,
    Query(of): Query<Of>,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<Log>, Problem> {
    let endpoint = match &of.config_id {
        Some(id) => Some(config_id(&api, &admin.app, id).await?),
        None => None,
    };
    let sought = asked.sought(endpoint, of.event)?;
    let history = api.engine.history(&admin.app, &sought).await?;
    let data = history.entries.iter().map(|entry| LogOut::new(entry, &admin.app)).collect();
    let next_cursor = history.next.map(|place| place.to_string());
    Ok(axum::Json(Log { data, has_more: next_cursor.is_some(), next_cursor }))
}
