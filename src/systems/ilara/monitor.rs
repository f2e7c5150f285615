//! `/v1/integrations/webhooks/{id}/logs` and `…/stats`: what came of a webhook's deliveries.

use super::{Home, event_id, find, id_text};
use crate::{
    api::{Path, Problem, Query, Shared, Stamp},
    flow::{Entry, Performance, StandingWord},
    model::{Headers, Time},
    routing::AppRoutes,
    systems::{
        form::Refusals,
        tries::{Asked, answer, json_or_text},
    },
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, time::Duration};
use utoipa::{IntoParams, ToSchema};

/// How far back statistics go unless told otherwise.
const STATS_WINDOW: Duration = Duration::from_secs(7 * 86_400);
/// Deliveries are counted by whole minutes: the one that is running counts.
const MINUTE: Duration = Duration::from_secs(60);

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
struct LogOut {
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
    request: RequestOut,
    /// What came back; null when nothing did.
    response: Option<ResponseOut>,
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

/// A request that was sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LoggedRequest)]
struct RequestOut {
    method: String,
    url: String,
    /// Its headers; the values of the webhook's own are not shown.
    headers: BTreeMap<String, String>,
    /// Its body; null when the event's data is deleted by now.
    #[schema(value_type = Option<Object>)]
    body: Option<Box<RawValue>>,
}

/// An answer that came back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LoggedResponse)]
struct ResponseOut {
    status_code: u16,
    headers: BTreeMap<String, String>,
    /// Its body, as far as it is kept.
    body: String,
}

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookLog)]
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
        let (attempt, route) = (entry.attempt.as_ref(), app.route(entry.endpoint));
        let outcome = attempt.map(|attempt| &attempt.outcome);
        let url = attempt.map(|attempt| attempt.url.clone()).or_else(|| Some(route?.url.to_string()));
        let response = outcome.and_then(|outcome| {
            let status_code = outcome.status?;
            Some(ResponseOut { status_code, headers: map(&outcome.headers), body: answer(outcome)? })
        });
        LogOut {
            event_id: event_id(entry.message.id),
            event_type: entry.message.event_type.clone(),
            status: entry.standing.word(),
            delivery_attempt: attempt.map_or(0, |attempt| attempt.number),
            request: RequestOut {
                method: route.map(|route| route.method.to_string()).unwrap_or_default(),
                url: url.unwrap_or_default(),
                headers: attempt.map(|attempt| map(&attempt.request_headers)).unwrap_or_default(),
                body: entry.body(app).and_then(|body| json_or_text(&body)),
            },
            response,
            error: outcome.and_then(crate::model::Outcome::error),
            duration_ms: outcome.map(|outcome| f64::from(outcome.phases.total_us) / 1000.0),
            attempted_at: attempt.map(|attempt| Stamp(attempt.id.time())),
            next_attempt_at: entry.standing.next().map(Stamp),
        }
    }
}

/// Headers by name; several of one name with commas between them.
fn map(headers: &Headers) -> BTreeMap<String, String> {
    let mut map = BTreeMap::<String, String>::new();
    for (name, value) in headers.iter() {
        map.entry(name.to_owned())
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    map
}

/// The delivery history of a webhook, newest first: every attempt with its full request and response.
#[utoipa::path(
    get,
    path = "/v1/integrations/webhooks/{id}/logs",
    operation_id = "listWebhookLogs",
    tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`"), Of, Asked),
    responses(Refusals, (status = 200, description = "A page of the log", body = Log))
)]
pub(super) async fn logs(
    State(api): State<Shared>,
    Home(app): Home,
    Path(id): Path<String>,
    Query(of): Query<Of>,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<Log>, Problem> {
    let sought = asked.sought(Some(find(&api, &app, &id).await?.id), of.event_type)?;
    let history = api.engine.history(&app, &sought).await?;
    let data = history.entries.iter().map(|entry| LogOut::new(entry, &app)).collect();
    let next_cursor = history.next.map(|place| place.to_string());
    Ok(axum::Json(Log { data, has_more: next_cursor.is_some(), next_cursor }))
}

/// The time that statistics are about.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsQuery {
    /// From this instant on; whole minutes count. Seven days ago unless given.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Stamp>,
    /// Before this instant. Now unless given.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Stamp>,
}

/// How a webhook does.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookStats)]
pub(super) struct StatsOut {
    /// The webhook.
    webhook_id: String,
    /// The beginning of the time.
    #[schema(value_type = String, format = DateTime)]
    since: Stamp,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    until: Stamp,
    /// Deliveries of events of that time.
    total: u64,
    /// Those that succeeded.
    delivered: u64,
    /// Those that failed for good.
    failed: u64,
    /// Those that wait for an attempt.
    pending: u64,
    /// Percentage of deliveries that succeeded, of those that have ended; null when none has.
    success_rate: Option<f64>,
    /// How long the endpoint took to answer on average, in milliseconds; over the newest 1,000 attempts of that time.
    average_latency_ms: Option<f64>,
}

impl StatsOut {
    fn new(webhook_id: String, (since, until): (Time, Time), performance: &Performance) -> Self {
        let of = performance.deliveries;
        StatsOut {
            webhook_id,
            since: Stamp(since),
            until: Stamp(until),
            total: of.delivered + of.exhausted + of.pending + of.cancelled,
            delivered: of.delivered,
            failed: of.exhausted,
            pending: of.pending,
            success_rate: performance.success_rate().map(|rate| rate * 100.0),
            average_latency_ms: performance.latency.map(|latency| latency.as_secs_f64() * 1000.0),
        }
    }
}

/// A webhook's success rate and average latency.
#[utoipa::path(
    get,
    path = "/v1/integrations/webhooks/{id}/stats",
    operation_id = "getWebhookStats",
    tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`"), StatsQuery),
    responses(Refusals, (status = 200, description = "How the webhook does", body = StatsOut))
)]
pub(super) async fn stats(
    State(api): State<Shared>,
    Home(app): Home,
    Path(id): Path<String>,
    Query(query): Query<StatsQuery>,
) -> Result<axum::Json<StatsOut>, Problem> {
    let endpoint = find(&api, &app, &id).await?.id;
    let now = api.engine.clock.now();
    let until = query.until.map_or(now.plus(MINUTE), |until| until.0);
    let since = query.since.map_or(now.minus(STATS_WINDOW), |since| since.0);
    if until < since {
        return Err(Problem::field(&["query", "until"], "range", "Not before `since`."));
    }
    let performance = api.engine.performance(endpoint, since, until).await?;
    Ok(axum::Json(StatsOut::new(id_text(endpoint), (since, until), &performance)))
}
