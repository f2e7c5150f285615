//! `/v1/integrations/webhooks/{id}/logs` and `…/stats`: what came of a webhook's deliveries; and from where they come.

use super::{event_id, id_of, id_text};
use crate::{
    api::{Path, Problem, Query, Shared, Stamp},
    flow::StandingWord,
    systems::{
        form::Refusals,
        home::Home,
        options::Told,
        ranges::IpRanges,
        stats::{Span, WebhookStats},
        tries::{self, Asked, LogPage, LoggedRequest, LoggedResponse, Try},
    },
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which events the log is about.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// Of this event type only.
    #[serde(rename = "type")]
    event_type: Option<String>,
}

/// One attempt, or a delivery that waits for its first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookLogEntry)]
pub(super) struct LogOut {
    /// The event.
    event_id: String,
    /// Its type.
    #[serde(rename = "type")]
    event_type: String,
    /// `pending`: there was no attempt yet; `delivered`; `retrying`: it failed, and another was to follow; `failed`: none
    /// follows.
    #[schema(value_type = String, pattern = "pending|delivered|retrying|failed")]
    status: StandingWord,
    /// The number of the attempt, from 1; 0 before the first.
    delivery_attempt: u32,
    /// What was sent.
    request: LoggedRequest,
    /// What came back; null when nothing did.
    response: Option<LoggedResponse>,
    /// Why the attempt failed.
    error: Option<String>,
    /// How long the attempt took, in milliseconds.
    duration_ms: Option<f64>,
    /// When the attempt began; null before the first.
    #[schema(value_type = Option<String>, format = DateTime)]
    attempted_at: Option<Stamp>,
    /// When the next attempt is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Stamp>,
}

impl From<Try> for LogOut {
    fn from(tried: Try) -> Self {
        LogOut {
            event_id: event_id(tried.event),
            event_type: tried.event_type,
            status: tried.status,
            delivery_attempt: tried.number,
            request: tried.request,
            response: tried.response,
            error: tried.error,
            duration_ms: tried.took_us.map(|us| f64::from(us) / 1000.0),
            attempted_at: tried.begun,
            next_attempt_at: tried.next,
        }
    }
}

/// The delivery history of a webhook, newest first: every attempt with its full request and response.
#[utoipa::path(
    get, path = "/v1/integrations/webhooks/{id}/logs", operation_id = "listWebhookLogs", tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`"), Of, Asked),
    responses(Refusals, (status = 200, description = "A page of the log", body = LogPage<LogOut>))
)]
pub(super) async fn logs(
    State(api): State<Shared>,
    home: Home,
    Path(id): Path<String>,
    Query(of): Query<Of>,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<LogPage<LogOut>>, Problem> {
    let endpoint = home.one(&api, id_of(&id)).await?.id;
    tries::log(&api, &home.app, &asked.sought(Some(endpoint), of.event_type)?).await
}

/// A webhook's success rate and average latency.
#[utoipa::path(
    get, path = "/v1/integrations/webhooks/{id}/stats", operation_id = "getWebhookStats", tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`"), Span),
    responses(Refusals, (status = 200, description = "How the webhook does", body = WebhookStats))
)]
pub(super) async fn stats(
    State(api): State<Shared>,
    home: Home,
    Path(id): Path<String>,
    Query(span): Query<Span>,
) -> Result<axum::Json<WebhookStats>, Problem> {
    let endpoint = home.one(&api, id_of(&id)).await?.id;
    span.of(&api, endpoint, id_text(endpoint)).await.map(axum::Json)
}

/// The networks from which deliveries come.
#[utoipa::path(
    get, path = "/v1/integrations/webhooks/ip-ranges", operation_id = "listIpRanges", tag = "Ilara Webhooks",
    responses(Refusals, (status = 200, description = "The networks", body = IpRanges))
)]
pub(super) async fn ip_ranges(_caller: Home, Told(options): Told) -> axum::Json<IpRanges> {
    axum::Json(IpRanges::of(&options))
}
