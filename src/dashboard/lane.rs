//! An endpoint's lane: what waits for it and why, as the API tells it, and the pace at which it catches up.

use super::{
    Dashboard,
    desk::Desk,
    endpoint::{after, api_path, back},
    error::Shown,
    fields::Filled,
    view::{Badge, When, grouped, noun, span},
};
use crate::{api::Problem, model::Time};
use axum::{Router, extract::Path, http::Method, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/applications/{app}/endpoints/{endpoint}/catch-up", post(begin))
        .route("/dashboard/applications/{app}/endpoints/{endpoint}/catch-up/end", post(end))
}

/// A lane, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LaneView {
    depth: u64,
    in_memory: usize,
    in_flight: usize,
    oldest_age_seconds: Option<f64>,
    next_due: Option<When>,
    held: bool,
    circuit: String,
    circuit_until: Option<When>,
    slow: bool,
    limits: Limits,
    drain_seconds: Option<f64>,
    pace_per_second: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Limits {
    concurrency: usize,
    rate: Option<u16>,
}

/// A catch-up, as the API shows it.
#[derive(Debug, Deserialize)]
pub(super) struct CatchUpView {
    /// Deliveries a second.
    pub(super) rate: u16,
    /// When it was asked for.
    pub(super) since: When,
}

impl CatchUpView {
    /// What its rate counts.
    pub(super) fn noun(&self) -> &'static str {
        noun(self.rate.into(), "delivery", "deliveries")
    }
}

/// A lane with its pace.
#[derive(Debug)]
pub(super) struct Lane {
    view: LaneView,
    now: Time,
    /// The pace, while it catches up.
    pub(super) pace: Option<CatchUpView>,
}

impl Lane {
    /// The lane of an endpoint.
    ///
    /// # Errors
    /// As the API's.
    pub(super) async fn of(desk: &Desk, path: &str) -> Result<Self, Problem> {
        let view = desk.get(&format!("{path}/lane")).await?;
        let pace = desk.find(&format!("{path}/catch-up")).await?;
        Ok(Lane { view, now: desk.now(), pace })
    }

    /// Deliveries that are owed an attempt.
    pub(super) fn depth(&self) -> String {
        grouped(self.view.depth)
    }

    /// Of those, how many wait in memory.
    pub(super) fn in_memory(&self) -> usize {
        self.view.in_memory
    }

    /// Attempts that run now.
    pub(super) fn in_flight(&self) -> usize {
        self.view.in_flight
    }

    /// For how long the oldest has waited.
    pub(super) fn oldest(&self) -> Option<String> {
        self.view.oldest_age_seconds.map(seconds)
    }

    /// How long it takes until nothing waits.
    pub(super) fn drain(&self) -> Option<String> {
        self.view.drain_seconds.filter(|_| self.view.depth > 0).map(seconds)
    }

    /// How long it takes until nothing waits, or why that is not known, and what is known instead.
    pub(super) fn drains(&self) -> String {
        let view = &self.view;
        let pace = view.pace_per_second.filter(|pace| *pace > 0.0);
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let then = pace.map(|pace| format!("about {} at {}", seconds(view.depth as f64 / pace), a_second(pace)));
        let unknown = || "as fast as the endpoint takes it, which is not known yet".to_owned();
        match (view.held, view.circuit.as_str(), self.drain()) {
            _ if view.depth == 0 => "nothing waits".to_owned(),
            (true, ..) => format!("not while deliveries are held; then {}", then.unwrap_or_else(unknown)),
            (_, "open", _) => {
                let until = view.circuit_until.map(|until| until.0).filter(|until| *until > self.now);
                let begins =
                    until.map_or("soon".to_owned(), |until| format!("in {}", seconds(until.since(self.now).as_secs_f64())));
                format!("starts again with the probe {begins}; then {}", then.unwrap_or_else(unknown))
            }
            (_, "half_open", _) => {
                format!("one attempt finds out now whether the endpoint is back; then {}", then.unwrap_or_else(unknown))
            }
            (_, _, Some(drain)) => format!("about {drain}"),
            _ => "not known yet: nothing was delivered lately".to_owned(),
        }
    }

    /// When the next attempt is made: not before an open circuit lets it, and not while deliveries are held.
    pub(super) fn next(&self) -> Option<When> {
        let due = self.view.next_due.filter(|_| !self.view.held)?;
        match (self.view.circuit.as_str(), self.view.circuit_until) {
            ("closed", _) => Some(due),
            ("open", Some(until)) if due > until => Some(due),
            _ => None,
        }
    }

    /// Whether attempts wait for the circuit.
    pub(super) fn interrupted(&self) -> bool {
        !self.view.held && self.view.circuit != "closed"
    }

    /// Whether deliveries are held.
    pub(super) fn held(&self) -> bool {
        self.view.held
    }

    /// Whether the endpoint gets fewer slots, since it fails.
    pub(super) fn slow(&self) -> bool {
        self.view.slow
    }

    /// Whether attempts are made, as a badge.
    pub(super) fn circuit(&self) -> Badge {
        match (self.view.held, self.view.circuit.as_str()) {
            (true, _) => Badge("held", "held"),
            (_, "open") => Badge("bad", "open"),
            (_, "half_open") => Badge("wait", "trying"),
            _ => Badge("ok", "closed"),
        }
    }

    /// The circuit's state as a sentence.
    pub(super) fn circuit_words(&self) -> &'static str {
        match (self.view.held, self.view.circuit.as_str()) {
            (true, _) => "the endpoint is disabled",
            (_, "open") => "it kept failing: no attempts until",
            (_, "half_open") => "one attempt finds out whether it is back",
            _ => "attempts are made",
        }
    }

    /// Until when no attempts are made.
    pub(super) fn circuit_until(&self) -> Option<When> {
        self.view.circuit_until.filter(|_| !self.view.held)
    }

    /// Attempts at once.
    pub(super) fn concurrency(&self) -> usize {
        self.view.limits.concurrency
    }

    /// Deliveries a second, in words.
    pub(super) fn rate(&self) -> Option<String> {
        self.view.limits.rate.map(|rate| format!("{rate} {}", noun(rate.into(), "delivery", "deliveries")))
    }
}

/// A pace for people.
fn a_second(pace: f64) -> String {
    if pace >= 10.0 { format!("{pace:.0}/s") } else { format!("{pace:.1}/s") }
}

/// A length of time for people; less than a second is one.
fn seconds(length: f64) -> String {
    let whole = Duration::try_from_secs_f64(length).map_or(u64::MAX, |length| length.as_secs());
    if whole == 0 { "less than 1 s".to_owned() } else { span(whole) }
}

async fn begin(Path((app, endpoint)): Path<(String, String)>, filled: Filled) -> Shown {
    let refused = |_| Problem::field(&["rate"], "type_error", "A number from 1 to 65,535.");
    let done = match filled.fields.text("rate").parse::<u16>().map_err(refused) {
        Ok(rate) => filled.change(Method::PUT, &format!("{}/catch-up", api_path(&app, &endpoint)), json!({ "rate": rate })).await,
        Err(problem) => Err(problem),
    };
    after((&app, &endpoint), filled, done, ("pace", "paced", &[])).await
}

async fn end(Path((app, endpoint)): Path<(String, String)>, filled: Filled) -> Shown {
    filled.change(Method::DELETE, &format!("{}/catch-up", api_path(&app, &endpoint)), Value::Null).await?;
    back(&app, &endpoint, "unpaced")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_attempt_waits_for_the_circuit() {
        let lane = |due: &str, held: bool, circuit: &str, until: Option<&str>| {
            let view = json!({
                "depth": 1, "inMemory": 0, "inFlight": 0, "oldestAgeSeconds": null, "nextDue": due, "held": held, "circuit": circuit,
                "circuitUntil": until, "slow": false, "limits": { "concurrency": 1, "rate": 1 }, "drainSeconds": null, "pacePerSecond": null,
            });
            Lane { view: serde_json::from_value(view).unwrap(), now: Time(0), pace: None }
        };
        let (early, late) = ("2026-01-01T00:00:01Z", "2026-01-01T00:00:09Z");
        let closed = lane(early, false, "closed", None);
        assert!(closed.next().is_some() && !closed.interrupted());
        assert_eq!(closed.rate().unwrap(), "1 delivery");
        let open = lane(early, false, "open", Some(late));
        assert!(open.next().is_none() && open.interrupted() && open.circuit_until().is_some());
        assert!(lane(late, false, "open", Some(early)).next().is_some());
        assert!(lane(early, false, "half_open", None).next().is_none());
        assert!(lane(early, true, "closed", None).next().is_none());
    }

    #[test]
    fn a_drain_that_is_not_known_says_why_and_what_is() {
        let now = Time::parse("2026-01-01T00:00:00Z").unwrap();
        let drains = |depth: u64, (held, circuit): (bool, &str), pace: Option<f64>| {
            let view = json!({
                "depth": depth, "inMemory": 0, "inFlight": 0, "oldestAgeSeconds": null, "nextDue": null, "held": held, "circuit": circuit,
                "circuitUntil": (circuit == "open").then_some("2026-01-01T00:00:40Z"), "slow": false,
                "limits": { "concurrency": 1, "rate": 1 }, "pacePerSecond": pace,
                "drainSeconds": pace.filter(|_| !held && circuit == "closed").map(|pace| 6000.0 / pace),
            });
            Lane { view: serde_json::from_value(view).unwrap(), now, pace: None }.drains()
        };
        let open = drains(6000, (false, "open"), Some(50.0));
        assert_eq!(open, "starts again with the probe in 40 s; then about 2 min at 50/s");
        let unknown = drains(6000, (false, "open"), None);
        assert!(
            unknown.starts_with("starts again with the probe in 40 s; then as fast as the endpoint takes it, which is not known"),
            "{unknown}"
        );
        assert!(drains(9, (false, "half_open"), Some(4.5)).ends_with("then about 2 s at 4.5/s"));
        assert!(drains(9, (true, "closed"), Some(9.0)).starts_with("not while deliveries are held; then about 1 s at 9.0/s"));
        assert_eq!(drains(6000, (false, "closed"), Some(50.0)), "about 2 min");
        assert_eq!(
            (drains(0, (false, "open"), None).as_str(), drains(1, (false, "closed"), None).is_empty()),
            ("nothing waits", false)
        );
    }

    #[test]
    fn lengths_are_for_people() {
        assert_eq!(
            (seconds(0.2), seconds(61.0), seconds(f64::INFINITY).is_empty()),
            ("less than 1 s".into(), "1 min 1 s".into(), false)
        );
    }
}
