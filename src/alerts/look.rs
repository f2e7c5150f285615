//! Looking: for which endpoints a rule's condition holds now. Bounded: what is in memory says which endpoints are worth a
//! question to the store.

use super::state::Found;
use crate::{
    flow::Engine,
    model::{Alert, AttemptId, Condition, DisabledBy, Ended, EndpointId, Incident, Time, Trigger},
    routing::{AppRoutes, Route},
    store::{StoreError, Window},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Endpoints about which the store is asked in one look, at most: those in trouble for longest come first.
const MAX_ASKED: usize = 2_000;
/// Questions to the store at once.
const AT_ONCE: usize = 4;
/// The newest attempts of which a failure rate is made, at most.
const SAMPLE: usize = 200;
/// Deliveries are counted by whole minutes: the one that is running counts.
const MINUTE: Duration = Duration::from_secs(60);

/// An endpoint with its application.
type Placed = (Arc<AppRoutes>, Arc<Route>);

/// The endpoints for which the rule's condition holds.
pub(super) async fn look(engine: &Engine, rule: &Alert, known: &[Incident], now: Time) -> Result<Vec<Found>, StoreError> {
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    match rule.condition {
        Condition::Failing { seconds: lasting } => Ok(failing(
            engine,
            rule,
            |since| now >= since.plus(seconds(lasting)),
            |since| format!("Every attempt has failed since {since}."),
        )),
        Condition::DisableSoon { seconds: ahead } => {
            let end = |since: Time| since.plus(engine.settings.disable_after);
            let soon = |since: Time| now.plus(seconds(ahead)) >= end(since);
            let found = failing(engine, rule, soon, |since| {
                format!("It will be disabled at {} if it goes on failing; it has failed since {since}.", end(since))
            });
            Ok(found
                .into_iter()
                .filter(|found| placed(engine, rule, found.endpoint).is_some_and(|(_, r)| r.disabled.is_none()))
                .collect())
        }
        Condition::Disabled => Ok(disabled(engine, rule)),
        Condition::Held { count } => held(engine, rule, count, now).await,
        Condition::OldestAge { seconds: age } => old(engine, rule, now.minus(seconds(age)), age).await,
        Condition::FailureRate { percent, window_s, least } => {
            rate(engine, rule, (known, now.minus(seconds(window_s))), (percent, least)).await
        }
    }
}

/// How an incident of which nothing is found any more has ended.
pub(super) fn ending(engine: &Engine, rule: &Alert, incident: &Incident) -> Ended {
    let ends_with_disabling = !matches!(rule.condition, Condition::Held { .. } | Condition::Disabled | Condition::Failing { .. });
    match placed(engine, rule, incident.endpoint) {
        None => Ended::Gone,
        Some((_, route)) if route.disabled.is_some() && ends_with_disabling => Ended::Disabled,
        Some(_) => Ended::Recovered,
    }
}

/// The endpoint, if the rule is about it.
fn placed(engine: &Engine, rule: &Alert, endpoint: EndpointId) -> Option<Placed> {
    if rule.endpoint.is_some_and(|only| only != endpoint) {
        return None;
    }
    let found = engine.routing.endpoint(endpoint)?;
    let ours = found.0.application.org == rule.org && rule.app.is_none_or(|only| only == found.0.application.id);
    ours.then_some(found)
}

fn of(placed: &Placed, finding: String) -> Found {
    Found { app: placed.0.application.id, endpoint: placed.1.id, finding }
}

fn failing(engine: &Engine, rule: &Alert, holds: impl Fn(Time) -> bool, words: impl Fn(Time) -> String) -> Vec<Found> {
    let failing = engine.failing(usize::MAX).into_iter().filter(|failing| holds(failing.since));
    failing.filter_map(|failing| Some(of(&placed(engine, rule, failing.endpoint)?, words(failing.since)))).collect()
}

/// Every endpoint that the rule is about.
fn all(engine: &Engine, rule: &Alert) -> Vec<Placed> {
    if let Some(endpoint) = rule.endpoint {
        return placed(engine, rule, endpoint).into_iter().collect();
    }
    let apps = rule.app.map_or_else(|| engine.routing.apps_of(rule.org), |app| vec![app]);
    let apps = apps.into_iter().filter_map(|app| engine.routing.by_id(app)).filter(|app| app.application.org == rule.org);
    apps.flat_map(|app| app.routes.iter().map(|route| (app.clone(), route.clone())).collect::<Vec<_>>()).collect()
}

fn disabled(engine: &Engine, rule: &Alert) -> Vec<Found> {
    let why = |by| match by {
        DisabledBy::Failing => Some("It was disabled because it kept failing. Its deliveries are held."),
        DisabledBy::Gone => Some("It was disabled because it answered 410 Gone. Its deliveries are held."),
        DisabledBy::Owner => None,
    };
    let found = all(engine, rule);
    found.iter().filter_map(|placed| Some(of(placed, why(placed.1.disabled?)?.to_owned()))).collect()
}

/// Endpoints with anything queued that the rule is about, those due for longest first.
async fn queued(engine: &Engine, rule: &Alert, disabled: bool) -> Result<Vec<Placed>, StoreError> {
    let mut queued = engine.store.queued_endpoints().await?;
    queued.sort_unstable_by_key(|(_, due)| *due);
    let ours = queued.into_iter().filter_map(|(endpoint, _)| placed(engine, rule, endpoint));
    Ok(ours.filter(|(_, route)| route.disabled.is_some() == disabled).take(MAX_ASKED).collect())
}

async fn held(engine: &Engine, rule: &Alert, count: u64, now: Time) -> Result<Vec<Found>, StoreError> {
    let ask = queued(engine, rule, true).await?.into_iter().map(|placed| async move {
        let pending = engine.store.stats(placed.1.id, Time(0), now.plus(MINUTE)).await?.pending;
        Ok((pending >= count).then(|| {
            of(&placed, format!("It is disabled and holds {pending} {}.", if pending == 1 { "delivery" } else { "deliveries" }))
        }))
    });
    gather(ask).await
}

async fn old(engine: &Engine, rule: &Alert, before: Time, age: u32) -> Result<Vec<Found>, StoreError> {
    let ask = queued(engine, rule, false).await?.into_iter().map(|placed| async move {
        // Whole minutes count, so that one that is not over must not: its end would be within the age.
        let pending = engine.store.stats(placed.1.id, Time(0), before.minus(MINUTE)).await?.pending;
        let words = || match pending {
            1 => format!("A delivery has waited for longer than {age} seconds."),
            _ => format!("{pending} deliveries have waited for longer than {age} seconds."),
        };
        Ok((pending > 0).then(|| of(&placed, words())))
    });
    gather(ask).await
}

async fn rate(
    engine: &Engine,
    rule: &Alert,
    (known, since): (&[Incident], Time),
    (percent, least): (u8, u32),
) -> Result<Vec<Found>, StoreError> {
    let failing = engine.failing(usize::MAX).into_iter().map(|failing| failing.endpoint);
    let troubled: BTreeSet<EndpointId> =
        known.iter().map(|incident| incident.endpoint).chain(failing).chain(engine.began_to_fail(since)).collect();
    let ours = troubled.into_iter().filter_map(|endpoint| placed(engine, rule, endpoint));
    let ask = ours.filter(|(_, route)| route.disabled.is_none()).take(MAX_ASKED).map(|placed| async move {
        let (failed, made) = sample(engine, placed.1.id, since).await?;
        let holds = made >= u64::from(least) && failed * 100 >= u64::from(percent) * made;
        Ok(holds.then(|| of(&placed, format!("{failed} of its last {made} attempts failed."))))
    });
    gather(ask).await
}

/// Scheduled attempts since then, the newest: how many failed, and how many there were.
async fn sample(engine: &Engine, endpoint: EndpointId, since: Time) -> Result<(u64, u64), StoreError> {
    let above = AttemptId::lowest_at(since).0.saturating_sub(1);
    let newest = Window { above, below: u128::MAX, newest_first: true, limit: SAMPLE };
    let attempts = engine.store.attempts(endpoint, newest).await?;
    let scheduled = attempts.iter().filter(|attempt| attempt.trigger == Trigger::Scheduled);
    Ok(scheduled.fold((0, 0), |(failed, made), attempt| (failed + u64::from(!attempt.outcome.succeeded()), made + 1)))
}

async fn gather<F: Future<Output = Result<Option<Found>, StoreError>>>(
    ask: impl Iterator<Item = F>,
) -> Result<Vec<Found>, StoreError> {
    stream::iter(ask).buffered(AT_ONCE).try_filter_map(|found| std::future::ready(Ok(found))).try_collect().await
}
