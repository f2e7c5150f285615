//! How an endpoint does, as systems that have statistics show it.

use crate::{
    api::{Problem, Shared, Stamp},
    model::EndpointId,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// How far back statistics go unless told otherwise.
const WINDOW: Duration = Duration::from_secs(7 * 86_400);
/// Deliveries are counted by whole minutes: the one that is running counts.
const MINUTE: Duration = Duration::from_secs(60);

/// The time that statistics are about.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// From this instant on; whole minutes count. Seven days ago unless given.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Stamp>,
    /// Before this instant. Now unless given.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Stamp>,
}

/// How a webhook does.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookStats {
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

impl Span {
    /// How an endpoint did in that time.
    ///
    /// # Errors
    /// It ends before it begins; the store is away.
    pub(super) async fn of(self, api: &Shared, endpoint: EndpointId, webhook_id: String) -> Result<WebhookStats, Problem> {
        let now = api.engine.clock.now();
        let until = self.until.map_or(now.plus(MINUTE), |until| until.0);
        let since = self.since.map_or(now.minus(WINDOW), |since| since.0);
        if until < since {
            return Err(Problem::field(&["query", "until"], "range", "Not before `since`."));
        }
        let performance = api.engine.performance(endpoint, since, until).await?;
        let of = performance.deliveries;
        Ok(WebhookStats {
            webhook_id,
            since: Stamp(since),
            until: Stamp(until),
            total: of.delivered + of.exhausted + of.pending + of.cancelled,
            delivered: of.delivered,
            failed: of.exhausted,
            pending: of.pending,
            success_rate: performance.success_rate().map(|rate| rate * 100.0),
            average_latency_ms: performance.latency.map(|latency| latency.as_secs_f64() * 1000.0),
        })
    }
}
