//! `GET …/msg/{id}/ledger`: what became of a message at every endpoint of its application, and why.

use super::limit;
use crate::{
    api::{Caller, Errors, Path, Problem, Query, Shared, Stamp, attempt::Standing, message},
    flow::{Engine, Fate, Why},
    model::{EndpointId, MsgId},
    routing::AppRoutes,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which part of the ledger to show.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct MessageLedgerQuery {
    /// Endpoints behind this one: `next` of the page before.
    after: Option<String>,
    /// Entries at most; 100 by default
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

/// What became of a message at the endpoints of its application.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageLedgerOut {
    /// The message.
    #[schema(value_type = String)]
    msg_id: MsgId,
    /// Its place in the feeds of its endpoints (`…/endpoint/{id}/ledger`).
    sequence: String,
    /// One entry an endpoint, in the order in which the endpoints were made.
    data: Vec<FateOut>,
    /// Where to go on; null at the end.
    #[schema(value_type = Option<String>)]
    next: Option<EndpointId>,
    /// Whether this is the end.
    done: bool,
}

/// What became of a message at one endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FateOut {
    /// The endpoint.
    #[schema(value_type = String)]
    endpoint_id: EndpointId,
    /// Its URL; null when it was deleted.
    url: Option<String>,
    /// `delivered`, `pending`, `in_flight`, `held` (the endpoint is disabled: kept for it), `exhausted`, `cancelled`, or
    /// `skipped`.
    state: &'static str,
    /// Why it was skipped: `event_type`, `channel`, `filter`, `made_later` (the endpoint is younger than the message),
    /// `expunged` (the payload is deleted, so that the filter cannot be asked), `not_then` (it would match now, and did not
    /// then). Why it was cancelled: `endpoint_deleted`. Why it is held: `disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Attempts made so far.
    attempts: usize,
    /// When the next attempt is due; null when none is, or it is held.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt: Option<Stamp>,
}

/// What became of a message at every endpoint of its application: delivered, pending, in flight, held, exhausted,
/// cancelled, or skipped and why. Nothing is left out.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/msg/{msg_id}/ledger",
    operation_id = "v1.message.ledger",
    tag = "Ledger",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
        MessageLedgerQuery,
    ),
    responses(Errors, (status = 200, description = "One entry an endpoint", body = MessageLedgerOut))
)]
pub(super) async fn ledger(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, msg)): Path<(String, String)>,
    Query(query): Query<MessageLedgerQuery>,
) -> Result<axum::Json<MessageLedgerOut>, Problem> {
    let app = caller.application(&api, &app).await?;
    let limit = limit(query.limit)?;
    let after = query.after.as_deref().map(str::parse::<EndpointId>).transpose();
    let after =
        after.map_err(|_| Problem::field(&["query", "after"], "pattern", "`next` of a page before, or an endpoint's id."))?;
    let message = message::find(&api, app.application.id, &msg).await?;
    let mut fates = api.engine.fates(&app, &message, after.unwrap_or(EndpointId(0)), limit + 1).await?;
    let done = fates.len() <= limit;
    fates.truncate(limit);
    let next = fates.last().map(|(endpoint, _)| *endpoint).filter(|_| !done);
    let data = fates.into_iter().map(|(endpoint, fate)| FateOut::new(&api.engine, &app, endpoint, &fate)).collect();
    Ok(axum::Json(MessageLedgerOut { msg_id: message.id, sequence: super::endpoint::sequence(message.id), data, next, done }))
}

impl FateOut {
    fn new(engine: &Engine, app: &AppRoutes, endpoint: EndpointId, fate: &Fate) -> Self {
        let route = app.route(endpoint);
        let url = route.map(|route| route.url.to_string());
        let blank = FateOut { endpoint_id: endpoint, url, state: "skipped", reason: None, attempts: 0, next_attempt: None };
        match fate {
            Fate::Skipped(why) => FateOut { reason: Some(word(*why)), ..blank },
            Fate::EndpointDeleted => FateOut { state: "cancelled", reason: Some("endpoint_deleted"), ..blank },
            Fate::Delivery(delivery) => {
                let standing = Standing::of(engine, delivery, route.is_some_and(|route| route.disabled.is_some()));
                FateOut {
                    state: standing.state,
                    reason: (standing.state == "held").then_some("disabled"),
                    attempts: delivery.attempts.len(),
                    next_attempt: standing.next_attempt.map(Stamp),
                    ..blank
                }
            }
        }
    }
}

fn word(why: Why) -> &'static str {
    match why {
        Why::EventType => "event_type",
        Why::Channel => "channel",
        Why::Filter => "filter",
        Why::MadeLater => "made_later",
        Why::Expunged => "expunged",
        Why::NotThen => "not_then",
    }
}
