//! `/webhooks/logs`: every attempt, and what waits for its first.

use crate::{
    api::{Problem, Query, Shared, Stamp},
    flow::StandingWord,
    model::{DeliveryId, EndpointId},
    systems::{
        form::Refusals,
        home::Home,
        tries::{self, Asked, Try},
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

impl From<Try> for LogOut {
    fn from(tried: Try) -> Self {
        let (response_status, response_body) = tried.response.map(|answer| (answer.status_code, answer.body)).unzip();
        LogOut {
            delivery_id: tried.delivery,
            webhook_config_id: tried.endpoint,
            event: tried.event_type,
            url: tried.request.url,
            status: tried.status,
            attempt: tried.number,
            request_body: tried.request.body,
            response_status,
            response_body,
            error: tried.error,
            duration_ms: tried.took_us.map(|us| us.div_ceil(1000)),
            last_attempt_at: tried.begun,
            next_attempt_at: tried.next,
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
    home: Home,
    Query(of): Query<Of>,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<Log>, Problem> {
    let endpoint = match &of.config_id {
        Some(id) => Some(home.one(&api, id.parse().ok()).await?.id),
        None => None,
    };
    let (data, next_cursor) = tries::page(&api, &home.app, &asked.sought(endpoint, of.event)?).await?;
    Ok(axum::Json(Log { data, has_more: next_cursor.is_some(), next_cursor }))
}
