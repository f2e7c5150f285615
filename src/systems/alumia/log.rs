//! What webhooks have received and refused, and the attempts to forward it.

use super::{form::Refusals, id_of};
use crate::{
    api::{Api, Path, Problem, Query, Shared, Stamp, source::surface as sources},
    model::{Attempt, Delivery, DeliveryState, IGNORED_TAG, Message, Rejection, Source, SourceId, System},
    store::Window,
    systems::{KeyCaller, home, uuid},
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// Entries of a list at most, and when nothing is said.
const MAX_ENTRIES: usize = 100;

/// How much of a list is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Shown {
    /// Entries at most
    #[param(minimum = 1, maximum = 100, default = 100)]
    limit: Option<usize>,
}

impl Shown {
    fn limit(&self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(MAX_ENTRIES);
        let rule = || Problem::field(&["query", "limit"], "range", format!("It is from 1 to {MAX_ENTRIES}."));
        if (1..=MAX_ENTRIES).contains(&limit) { Ok(limit) } else { Err(rule()) }
    }
}

/// What became of a request to a webhook.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum EventStatus {
    /// Recorded and routed.
    Received,
    /// Recorded; its type is not on the allow-list.
    Ignored,
    /// Refused, for the reason that is given.
    Rejected,
}

/// A request to a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventOut {
    /// Its id.
    id: String,
    /// The webhook's id.
    webhook_id: String,
    /// The webhook's name.
    webhook_name: String,
    /// The event's type, as the sender calls it; null when it was refused.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// The sender's id of the event.
    event_id: Option<String>,
    /// What became of it.
    status: EventStatus,
    /// Why it was refused: `mismatch`, `missing_header`, `closed`, `too_large`, …
    reason: Option<String>,
    /// Its body: as JSON when it is JSON, as text otherwise. Null when it was refused.
    #[schema(value_type = Object)]
    payload: Value,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    received_at: Stamp,
}

impl EventOut {
    fn of(message: &Message, webhook: &Source) -> Self {
        let text = || Value::String(String::from_utf8_lossy(&message.payload).into_owned());
        EventOut {
            id: message.id.to_string(),
            webhook_id: uuid::text(webhook.id.0),
            webhook_name: webhook.name.clone(),
            event_type: Some(message.event_type.clone()),
            event_id: message.origin.as_ref().and_then(|origin| origin.event_id.clone()),
            status: if message.tags.iter().any(|tag| tag == IGNORED_TAG) { EventStatus::Ignored } else { EventStatus::Received },
            reason: None,
            payload: serde_json::from_slice(&message.payload).unwrap_or_else(|_| text()),
            received_at: Stamp(message.id.time()),
        }
    }

    fn refused(rejection: &Rejection, webhook: &Source) -> Self {
        EventOut {
            id: rejection.id.to_string(),
            webhook_id: uuid::text(webhook.id.0),
            webhook_name: webhook.name.clone(),
            event_type: None,
            event_id: None,
            status: EventStatus::Rejected,
            reason: Some(rejection.reason.clone()),
            payload: Value::Null,
            received_at: Stamp(rejection.id.time()),
        }
    }
}

/// The newest requests to these webhooks, which are of one application.
async fn requests(api: &Api, webhooks: Vec<Source>, limit: usize) -> Result<Vec<EventOut>, Problem> {
    let Some(app) = webhooks.first().map(|webhook| webhook.app) else { return Ok(Vec::new()) };
    let named: HashMap<SourceId, Source> = webhooks.into_iter().map(|webhook| (webhook.id, webhook)).collect();
    let received = sources::received(api, app, limit, |source| named.contains_key(&source)).await?;
    let webhook = |message: &Message| message.origin.as_ref().and_then(|origin| named.get(&origin.source));
    let mut all: Vec<(u128, EventOut)> =
        received.iter().filter_map(|message| Some((message.id.0, EventOut::of(message, webhook(message)?)))).collect();
    for webhook in named.values() {
        let refused = sources::rejected(api, webhook.id, limit).await?;
        all.extend(refused.iter().map(|rejection| (rejection.id.0, EventOut::refused(rejection, webhook))));
    }
    all.sort_unstable_by_key(|(id, _)| std::cmp::Reverse(*id));
    all.truncate(limit);
    Ok(all.into_iter().map(|(_, event)| event).collect())
}

/// List a webhook's recorded events, the newest first, refused requests among them.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{webhook_id}/events", tag = "Alumia", summary = "List a webhook's events",
    params(("webhook_id" = String, Path, description = "The webhook's id"), Shown),
    responses(Refusals, (status = 200, description = "The events", body = [EventOut]))
)]
pub(super) async fn events(
    State(api): State<Shared>,
    KeyCaller(caller): KeyCaller,
    Path(id): Path<String>,
    Query(shown): Query<Shown>,
) -> Result<axum::Json<Vec<EventOut>>, Problem> {
    let limit = shown.limit()?;
    let webhook = sources::one(&api, caller.org, (System::Alumia, id_of(&id)?)).await?;
    requests(&api, vec![webhook], limit).await.map(axum::Json)
}

/// Recent events across all webhooks of the organization, each with its webhook's name.
#[utoipa::path(
    get, path = "/api/v1/webhooks/events", tag = "Alumia", summary = "Recent events across all webhooks", params(Shown),
    responses(Refusals, (status = 200, description = "The events", body = [EventOut]))
)]
pub(super) async fn all(
    State(api): State<Shared>,
    KeyCaller(caller): KeyCaller,
    Query(shown): Query<Shown>,
) -> Result<axum::Json<Vec<EventOut>>, Problem> {
    let limit = shown.limit()?;
    home(&api, caller.org).await?;
    requests(&api, sources::of(&api, caller.org, System::Alumia).await?, limit).await.map(axum::Json)
}

/// What a receiver answered.
#[derive(Debug, Serialize, ToSchema)]
struct ResponseOut {
    /// The status.
    status: u16,
    /// What was kept of the body.
    body: String,
}

/// An attempt to forward an event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveryOut {
    /// Its id.
    id: String,
    /// The webhook's id.
    webhook_id: String,
    /// The event's id, as in the list of events.
    event_id: String,
    /// Where it went.
    url: String,
    /// `delivered`, `retrying` (it failed, and another attempt is due) or `failed`.
    status: &'static str,
    /// How many attempts for this event were made before it.
    retry_count: u32,
    /// What the receiver answered; null when it did not.
    response: Option<ResponseOut>,
    /// Why it failed, in words.
    error: Option<String>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    attempted_at: Stamp,
    /// When the next one is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Stamp>,
}

impl DeliveryOut {
    fn of(attempt: Attempt, delivery: &Delivery, webhook: SourceId) -> Self {
        let outcome = attempt.outcome;
        let due = match delivery.state {
            DeliveryState::Pending(due) if delivery.attempts.last() == Some(&attempt.id) => Some(Stamp(due)),
            _ => None,
        };
        let succeeded = outcome.succeeded();
        let why = if outcome.detail.is_empty() { outcome.cause.sentence().to_owned() } else { outcome.detail.clone() };
        DeliveryOut {
            id: attempt.id.to_string(),
            webhook_id: uuid::text(webhook.0),
            event_id: attempt.msg.to_string(),
            url: attempt.url,
            status: match (succeeded, due.is_some()) {
                (true, _) => "delivered",
                (false, true) => "retrying",
                (false, false) => "failed",
            },
            retry_count: attempt.number.saturating_sub(1),
            response: outcome
                .status
                .map(|status| ResponseOut { status, body: String::from_utf8_lossy(&outcome.body).into_owned() }),
            error: (!succeeded).then_some(why),
            attempted_at: Stamp(attempt.id.time()),
            next_attempt_at: due.filter(|_| !succeeded),
        }
    }
}

/// List the attempts to forward a webhook's events, the newest first.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{webhook_id}/deliveries", tag = "Alumia", summary = "List a webhook's outbound attempts",
    params(("webhook_id" = String, Path, description = "The webhook's id"), Shown),
    responses(Refusals, (status = 200, description = "The attempts", body = [DeliveryOut]))
)]
pub(super) async fn deliveries(
    State(api): State<Shared>,
    KeyCaller(caller): KeyCaller,
    Path(id): Path<String>,
    Query(shown): Query<Shown>,
) -> Result<axum::Json<Vec<DeliveryOut>>, Problem> {
    let limit = shown.limit()?;
    let webhook = sources::one(&api, caller.org, (System::Alumia, id_of(&id)?)).await?;
    let Some(endpoint) = webhook.forward else { return Ok(axum::Json(Vec::new())) };
    let newest = Window { above: 0, below: u128::MAX, newest_first: true, limit };
    let mut all = Vec::new();
    for attempt in api.engine.store.attempts(endpoint, newest).await? {
        let Some(message) = api.engine.store.message(webhook.app, attempt.msg).await? else { continue };
        let Some(delivery) = api.engine.store.delivery(&message, endpoint).await? else { continue };
        all.push(DeliveryOut::of(attempt, &delivery, webhook.id));
    }
    Ok(axum::Json(all))
}
