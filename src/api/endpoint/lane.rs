//! `GET …/lane`: what waits for an endpoint, and why it waits.

use super::store;
use crate::{
    api::{Caller, Errors, Path, Problem, Shared, Stamp},
    lanes::{CircuitState, LaneView},
    model::{Order, Time},
};
use axum::extract::State;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// The store counts by the minute: the running one counts too.
const MINUTE: Duration = Duration::from_secs(60);

/// Whether an endpoint is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CircuitName {
    /// Attempts are made.
    Closed,
    /// It has kept failing: none before `until`.
    Open,
    /// One attempt finds out whether the endpoint is back.
    HalfOpen,
}

/// An endpoint's lane. Counts and limits are those of the process that answers; `depth` is of all.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LaneOut {
    /// Deliveries that are owed an attempt, in flight ones included.
    #[schema(value_type = i64)]
    depth: u64,
    /// Of those, how many wait in memory.
    in_memory: usize,
    /// Attempts that run now.
    in_flight: usize,
    /// Seconds since the oldest delivery that waits here was due; null when none waits.
    oldest_age_seconds: Option<f64>,
    /// When the next delivery in the store is due, or was; null when none is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_due: Option<Stamp>,
    /// Whether deliveries are held, because the endpoint is disabled.
    held: bool,
    circuit: CircuitName,
    /// Until when the circuit is open.
    #[schema(value_type = Option<String>, format = DateTime)]
    circuit_until: Option<Stamp>,
    /// Whether the endpoint fails, or takes so long to answer, that it gets slots only from the half that others can spare.
    slow: bool,
    limits: LaneLimits,
    /// In how many seconds what waits would be delivered at the pace of the last answers, within the limits in force: in strict
    /// order one at a time, or one of each key that is at hand. Null when nothing is known of that, or nothing goes out now.
    drain_seconds: Option<f64>,
    /// Deliveries a second of that pace, also while nothing goes out. Null when nothing is known of it.
    pace_per_second: Option<f64>,
}

/// Limits in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LaneLimits {
    /// Attempts at once; adapts to how the endpoint answers, unless the endpoint says how many.
    concurrency: usize,
    /// Deliveries a second; null when there is no limit.
    rate: Option<u16>,
}

/// What is known of an endpoint beside its lane.
#[derive(Clone, Copy, Debug)]
struct Around {
    depth: u64,
    held: bool,
    rate: Option<u16>,
    fixed: Option<u16>,
    ordering: Ordering,
    /// Deliveries a second while it catches up.
    catch_up: Option<u16>,
    now: Time,
}

/// How many deliveries strict order lets go at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ordering {
    /// As many as the lane does.
    Any,
    /// One of each key: as many as there are in memory, where of each key only the first is.
    Keys,
    /// One.
    One,
}

impl Ordering {
    fn of(order: Option<&Order>) -> Self {
        match order {
            None => Ordering::Any,
            Some(Order::Key | Order::Payload { .. }) => Ordering::Keys,
            Some(Order::All) => Ordering::One,
        }
    }

    /// Of so many at once, those that may go.
    fn bound(self, concurrency: usize, in_memory: usize) -> usize {
        match self {
            Ordering::Any => concurrency,
            Ordering::Keys => concurrency.min(in_memory.max(1)),
            Ordering::One => 1,
        }
    }
}

/// Attempts at once to an endpoint of which nothing is known.
const FIRST_CONCURRENCY: usize = 10;

impl LaneOut {
    fn new(view: Option<LaneView>, around: Around) -> Self {
        let Around { depth, held, rate, fixed, ordering, catch_up, now } = around;
        let state = view.map_or(CircuitState::Closed, |view| view.circuit);
        let (circuit, circuit_until) = match state {
            CircuitState::Closed => (CircuitName::Closed, None),
            CircuitState::Open(until) => (CircuitName::Open, Some(Stamp(until))),
            CircuitState::HalfOpen => (CircuitName::HalfOpen, None),
        };
        let fixed = fixed.map(usize::from);
        let limit = view.map_or(fixed.unwrap_or(FIRST_CONCURRENCY), |view| view.limit);
        // A lane hears of a fixed number with its next delivery.
        let concurrency = fixed.map_or(limit, |fixed| limit.min(fixed));
        let at_once = ordering.bound(concurrency, view.map_or(0, |view| view.fresh + view.claimed + view.running));
        let stored_due = view.and_then(|view| view.stored_due);
        // What is asked for by hand is due at no time of its own: the beginning of all.
        let stored_due = stored_due.filter(|due| due.0 > 0);
        let in_memory = view.and_then(|view| view.oldest).map(crate::model::MsgId::time);
        let oldest = in_memory.into_iter().chain(stored_due.filter(|due| *due <= now)).min().filter(|_| depth > 0);
        let pace = view.and_then(|view| view.mean_us).map(|mean_us| at_once as f64 * 1e6 / f64::from(mean_us.max(1.0)));
        let pace = pace.map(|pace| [rate, catch_up].into_iter().flatten().map(f64::from).fold(pace, f64::min));
        LaneOut {
            depth,
            in_memory: view.map_or(0, |view| view.fresh + view.claimed),
            in_flight: view.map_or(0, |view| view.running),
            oldest_age_seconds: oldest.map(|oldest| now.since(oldest).as_secs_f64()),
            next_due: stored_due.map(Stamp),
            held,
            circuit,
            circuit_until,
            slow: view.is_some_and(|view| view.slow),
            limits: LaneLimits { concurrency, rate },
            drain_seconds: pace.filter(|_| !held && circuit == CircuitName::Closed).map(|pace| depth as f64 / pace),
            pace_per_second: pace,
        }
    }
}

/// An endpoint's lane: how much waits and since when, what runs, the state of the circuit, the limits in force, and how long
/// it will take.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/lane",
    operation_id = "v1.endpoint.lane",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    responses(Errors, (status = 200, description = "The lane", body = LaneOut))
)]
pub(super) async fn lane(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<axum::Json<LaneOut>, Problem> {
    let app = caller.application(&api, &app).await?;
    let endpoint = store::find(&api, app.application.id, &endpoint).await?;
    let now = api.engine.clock.now();
    let depth = api.engine.store.stats(endpoint.id, Time(0), now.plus(MINUTE)).await?.pending;
    let ordering = Ordering::of(endpoint.ordering.as_ref());
    let catch_up = api.engine.paces.of(endpoint.id).map(|pace| pace.rate);
    let rate = endpoint.throttle_rate.or(app.application.throttle_rate);
    let around = Around { depth, held: endpoint.disabled.is_some(), rate, fixed: endpoint.concurrency, ordering, catch_up, now };
    Ok(axum::Json(LaneOut::new(api.engine.lane(endpoint.id), around)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MsgId;

    fn view() -> LaneView {
        LaneView {
            fresh: 3,
            claimed: 2,
            running: 4,
            limit: 20,
            slow: false,
            circuit: CircuitState::Closed,
            mean_us: Some(100_000.0),
            oldest: Some(MsgId::lowest_at(Time(4000))),
            stored_due: Some(Time(9000)),
        }
    }

    #[test]
    fn a_drain_is_estimated_from_answers_and_limits() {
        let ordering = Ordering::Any;
        let around = Around { depth: 100, held: false, rate: None, fixed: None, ordering, catch_up: None, now: Time(5000) };
        let shown = LaneOut::new(Some(view()), around);
        assert_eq!((shown.drain_seconds, shown.oldest_age_seconds), (Some(0.5), Some(1.0)));
        assert_eq!(LaneOut::new(Some(view()), Around { rate: Some(50), ..around }).drain_seconds, Some(2.0));
        let held = LaneOut::new(Some(view()), Around { held: true, ..around });
        assert_eq!((held.drain_seconds, held.pace_per_second), (None, shown.pace_per_second));
        assert!(held.pace_per_second.is_some());
        // One answer takes 0.1 s.
        let fixed = LaneOut::new(Some(view()), Around { fixed: Some(2), ..around });
        assert_eq!((fixed.drain_seconds, fixed.limits.concurrency), (Some(5.0), 2));
        assert_eq!(LaneOut::new(Some(view()), Around { ordering: Ordering::One, ..around }).drain_seconds, Some(10.0));
        let keys = Around { ordering: Ordering::Keys, depth: 90, ..around };
        assert_eq!(LaneOut::new(Some(view()), keys).drain_seconds, Some(1.0), "nine are at hand");
        assert_eq!(LaneOut::new(Some(view()), Around { catch_up: Some(4), ..around }).drain_seconds, Some(25.0));
        let open = LaneView { circuit: CircuitState::Open(Time(6000)), oldest: None, stored_due: Some(Time(1000)), ..view() };
        let shown = LaneOut::new(Some(open), around);
        assert_eq!((shown.circuit, shown.circuit_until, shown.drain_seconds), (CircuitName::Open, Some(Stamp(Time(6000))), None));
        assert_eq!(shown.oldest_age_seconds, Some(4.0), "what waits in the store counts too");
        let nothing = LaneOut::new(None, Around { depth: 0, ..around });
        assert_eq!((nothing.drain_seconds, nothing.limits.concurrency), (None, 10));
    }
}
