//! `GET …/stats`: how an endpoint's deliveries stand.

use super::store;
use crate::{
    api::{Caller, Errors, Path, Problem, Query, Shared, Stamp},
    model::Time,
    store::Stats,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// The store counts by the minute: without an end, the running one counts too.
const MINUTE: Duration = Duration::from_secs(60);

/// Which messages to count.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsQuery {
    /// Only messages made from this instant on; the minute it lies in counts whole.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Stamp>,
    /// Only messages made before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Stamp>,
}

/// Deliveries of an endpoint by status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct EndpointStats {
    /// Delivered.
    #[schema(value_type = i64)]
    success: u64,
    /// Waiting for an attempt.
    #[schema(value_type = i64)]
    pending: u64,
    /// In an attempt now.
    #[schema(value_type = i64)]
    sending: u64,
    /// Failed for good.
    #[schema(value_type = i64)]
    fail: u64,
    /// Withdrawn.
    #[schema(value_type = i64)]
    canceled: u64,
}

impl EndpointStats {
    /// From the store's count, whose pending ones include those in flight, and from what is in flight now.
    fn new(stats: Stats, in_flight: usize) -> Self {
        let sending = u64::try_from(in_flight).unwrap_or(u64::MAX).min(stats.pending);
        EndpointStats {
            success: stats.delivered,
            pending: stats.pending - sending,
            sending,
            fail: stats.exhausted,
            canceled: stats.cancelled,
        }
    }
}

/// How an endpoint's deliveries stand, for messages made in a window, or for all that are kept.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/stats",
    operation_id = "v1.endpoint.get-stats",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
        StatsQuery,
    ),
    responses(Errors, (status = 200, description = "Counts", body = EndpointStats))
)]
pub(super) async fn stats(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
    Query(query): Query<StatsQuery>,
) -> Result<axum::Json<EndpointStats>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let endpoint = store::find(&api, app, &endpoint).await?.id;
    let since = query.since.map_or(Time(0), |since| since.0);
    let until = query.until.map_or(api.engine.clock.now().plus(MINUTE), |until| until.0);
    if until < since {
        return Err(Problem::field(&["query", "until"], "range", "Not before `since`."));
    }
    let stats = api.engine.store.stats(endpoint, since, until).await?;
    Ok(axum::Json(EndpointStats::new(stats, api.engine.in_flight_count(endpoint))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_flight_is_not_pending() {
        let stats = Stats { delivered: 5, exhausted: 2, pending: 3, cancelled: 1 };
        let shown = EndpointStats::new(stats, 2);
        assert_eq!((shown.success, shown.pending, shown.sending, shown.fail, shown.canceled), (5, 1, 2, 2, 1));
        assert_eq!(EndpointStats::new(stats, 9).pending, 0, "manual attempts run beside what is pending");
    }
}
