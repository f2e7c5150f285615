//! A look at how endpoints do: their newest attempts and their counts. Bounded: the endpoints that are most likely to be
//! in trouble come first, and a survey takes so many of them and no more.

use super::{view::When, visitor::Visitor};
use crate::{
    api::Problem,
    flow::Engine,
    model::{Address, Attempt, AttemptId, Cause, EndpointId, Kind, Record, Time, Triage, TriageState},
    routing::{AppRoutes, Route},
    store::{ListPage, Stats, StoreError, Window},
};
use futures_util::{StreamExt, stream};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Endpoints of one survey.
pub(super) const SURVEYED: usize = 60;
/// Newest attempts that are read of each.
pub(super) const ATTEMPTS: usize = 40;
/// Endpoints that are looked at before those of one survey are chosen.
const CANDIDATES: usize = 5_000;
/// How far back counts go.
pub(super) const WINDOW: Duration = Duration::from_secs(86_400);
/// A failure that is younger keeps its issue open, whatever came after it.
const FRESH: Duration = Duration::from_secs(3600);
/// How long a survey goes on: counting a busy endpoint's day costs a store that counts rows tens of milliseconds.
const PATIENCE: Duration = Duration::from_millis(100);
/// The store is asked about so many endpoints at once.
const AT_ONCE: usize = 8;
/// What was said of issues, at most.
const MAX_TRIAGE: usize = 1_000;
/// Deliveries are counted by whole minutes: the one that is running counts.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// An endpoint with its application.
type Placed = (Arc<AppRoutes>, Arc<Route>);

/// An endpoint that was looked at.
pub(super) struct Surveyed {
    /// Its application.
    pub(super) app: Arc<AppRoutes>,
    /// The endpoint.
    pub(super) route: Arc<Route>,
    /// Its newest attempts, newest first.
    pub(super) attempts: Vec<Attempt>,
    /// Its deliveries of the last [`WINDOW`]; nothing when they were not to be counted.
    pub(super) stats: Stats,
    /// When the next of its queue is due, if anything is queued.
    pub(super) due: Option<Time>,
    /// Since when it has failed throughout.
    pub(super) failing_since: Option<Time>,
}

/// What a survey found.
pub(super) struct Survey {
    /// The endpoints.
    pub(super) rows: Vec<Surveyed>,
    /// How many there are in all.
    pub(super) endpoints: usize,
    /// Whether there are more behind these.
    pub(super) more: bool,
}

/// Failures of one endpoint for one cause.
pub(super) struct Issue {
    /// Its application.
    pub(super) app: Arc<AppRoutes>,
    /// The endpoint.
    pub(super) route: Arc<Route>,
    /// Cause and status as one word.
    pub(super) key: String,
    /// For people.
    pub(super) sentence: String,
    /// Among the attempts that were looked at.
    pub(super) count: usize,
    /// Whether all attempts that were looked at are failures of it, so that there may be more before.
    pub(super) at_least: bool,
    /// First seen.
    pub(super) first: When,
    /// Last seen.
    pub(super) last: When,
    /// The newest failure.
    pub(super) example: Attempt,
    /// `open`, `acknowledged`, `muted` or `recovered`.
    pub(super) state: &'static str,
    /// By whom it was acknowledged or muted.
    pub(super) by: Option<String>,
}

/// Looks at the endpoints of a visitor's organization, from the `skip`th on, and counts their deliveries if that is wanted.
/// It ends early when it takes long: how far it came is in its rows.
pub(super) async fn survey(visitor: &Visitor, skip: usize, counts: bool) -> Result<Survey, Problem> {
    let engine = &visitor.desk.api().engine;
    let failing: HashMap<EndpointId, Time> = engine.failing(CANDIDATES).into_iter().map(|f| (f.endpoint, f.since)).collect();
    let mut queued = engine.store.queued_endpoints().await?;
    queued.sort_unstable_by_key(|(_, due)| *due);
    let due: HashMap<EndpointId, Time> = queued.iter().copied().collect();
    let (chosen, endpoints) = candidates(visitor, &failing, &queued);
    let candidates = chosen.len();
    let now = visitor.now();
    let looks = chosen.into_iter().skip(skip).take(SURVEYED).map(|(app, route)| {
        let (due, failing_since) = (due.get(&route.id).copied(), failing.get(&route.id).copied());
        async move {
            let (attempts, stats) = look(engine, route.id, now, counts).await?;
            Ok::<_, StoreError>(Surveyed { app, route, attempts, stats, due, failing_since })
        }
    });
    let mut rows = Vec::new();
    let mut looks = stream::iter(looks).buffered(AT_ONCE);
    let until = Instant::now() + PATIENCE;
    while let Some(row) = looks.next().await {
        rows.push(row?);
        if Instant::now() >= until {
            break;
        }
    }
    drop(looks);
    let more = candidates > skip.saturating_add(rows.len());
    Ok(Survey { rows, endpoints, more })
}

async fn look(engine: &Engine, endpoint: EndpointId, now: Time, counts: bool) -> Result<(Vec<Attempt>, Stats), StoreError> {
    let newest = Window { above: 0, below: u128::MAX, newest_first: true, limit: ATTEMPTS };
    let attempts = engine.store.attempts(endpoint, newest).await?;
    let stats = match counts {
        true => engine.store.stats(endpoint, now.minus(WINDOW), now.plus(MINUTE)).await?,
        false => Stats::default(),
    };
    Ok((attempts, stats))
}

/// Endpoints in the order in which they deserve a look: failing, waiting, the rest; and how many there are.
fn candidates(visitor: &Visitor, failing: &HashMap<EndpointId, Time>, queued: &[(EndpointId, Time)]) -> (Vec<Placed>, usize) {
    let routing = &visitor.desk.api().engine.routing;
    let org = visitor.user.org;
    let mut seen = HashSet::new();
    let mut chosen = Vec::new();
    let mut troubled: Vec<_> = failing.iter().map(|(endpoint, since)| (*since, *endpoint)).collect();
    troubled.sort_unstable();
    for endpoint in troubled.into_iter().map(|(_, endpoint)| endpoint).chain(queued.iter().map(|(endpoint, _)| *endpoint)) {
        if chosen.len() < CANDIDATES
            && seen.insert(endpoint)
            && let Some((app, route)) = routing.endpoint(endpoint).filter(|(app, _)| app.application.org == org)
        {
            chosen.push((app, route));
        }
    }
    let mut apps = routing.apps_of(org);
    apps.sort_unstable();
    let mut endpoints = 0;
    for app in apps.into_iter().filter_map(|app| routing.by_id(app)) {
        endpoints += app.routes.len();
        for route in app.routes.iter() {
            if chosen.len() < CANDIDATES && seen.insert(route.id) {
                chosen.push((app.clone(), route.clone()));
            }
        }
    }
    (chosen, endpoints)
}

/// Groups failures by endpoint and cause, the last seen first.
pub(super) async fn issues(visitor: &Visitor, survey: &Survey) -> Result<Vec<Issue>, Problem> {
    let said = triage(visitor).await?;
    let now = visitor.now();
    let mut issues: Vec<Issue> = survey.rows.iter().flat_map(|row| of_endpoint(row, &said, now)).collect();
    issues.sort_by_key(|issue| std::cmp::Reverse(issue.last));
    Ok(issues)
}

fn of_endpoint(row: &Surveyed, said: &HashMap<String, Triage>, now: Time) -> Vec<Issue> {
    let succeeded = row.attempts.iter().find(|attempt| attempt.outcome.succeeded()).map(|attempt| attempt.id);
    let mut groups: BTreeMap<String, Vec<&Attempt>> = BTreeMap::new();
    for attempt in row.attempts.iter().filter(|attempt| !attempt.outcome.succeeded()) {
        groups.entry(key(attempt)).or_default().push(attempt);
    }
    let issue = |(key, attempts): (String, Vec<&Attempt>)| {
        let (newest, oldest) = (*attempts.first()?, *attempts.last()?);
        let triage = said.get(&format!("{}.{key}", row.route.id));
        let state = state(newest.id, succeeded, triage, now);
        Some(Issue {
            app: row.app.clone(),
            route: row.route.clone(),
            sentence: sentence(newest),
            count: attempts.len(),
            at_least: attempts.len() == ATTEMPTS,
            first: When(oldest.id.time()),
            last: When(newest.id.time()),
            example: newest.clone(),
            state,
            by: triage.map(|triage| triage.by.clone()),
            key,
        })
    };
    groups.into_iter().filter_map(issue).collect()
}

/// An issue that came back after a success is open again, unless nobody wants to hear of it.
fn state(failed: AttemptId, succeeded: Option<AttemptId>, triage: Option<&Triage>, now: Time) -> &'static str {
    let came_back = |triage: &Triage| succeeded.is_some_and(|success| success.time() > triage.at && failed > success);
    match triage {
        Some(triage) if triage.state == TriageState::Muted => "muted",
        Some(triage) if !came_back(triage) => "acknowledged",
        _ if succeeded.is_some_and(|success| success > failed) && now.since(failed.time()) > FRESH => "recovered",
        _ => "open",
    }
}

/// Cause and status as one word, for addresses.
pub(super) fn key(attempt: &Attempt) -> String {
    let cause = match serde_json::to_value(attempt.outcome.cause) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "blocked".to_owned(),
    };
    match attempt.outcome.status {
        Some(status) => format!("{cause}-{status}"),
        None => cause,
    }
}

/// What went wrong, for people.
pub(super) fn sentence(attempt: &Attempt) -> String {
    match (attempt.outcome.cause, attempt.outcome.status) {
        (Cause::BadStatus, Some(status)) => format!("The receiver answered {status}."),
        (cause, _) => cause.sentence().to_owned(),
    }
}

/// What was said of issues, by endpoint and cause.
async fn triage(visitor: &Visitor) -> Result<HashMap<String, Triage>, Problem> {
    let page = ListPage { after: None, backwards: false, limit: MAX_TRIAGE };
    let found = visitor.desk.api().engine.store.list(Kind::Triage, &visitor.user.org.to_string(), page, visitor.now()).await?;
    let said = found.into_iter().filter_map(|stored| if let Record::Triage(triage) = stored.record { Some(triage) } else { None });
    Ok(said.map(|triage| (format!("{}.{}", triage.endpoint, triage.cause), triage)).collect())
}

/// Where what was said of an issue is kept.
pub(super) fn triage_address(visitor: &Visitor, endpoint: EndpointId, cause: &str) -> Address {
    Address::new(Kind::Triage, visitor.user.org, format!("{endpoint}.{cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OrgId;

    fn at(time: u64) -> AttemptId {
        AttemptId::lowest_at(Time(time))
    }

    #[test]
    fn an_issue_closes_by_success_and_opens_by_coming_back() {
        let said = |state, time| Triage {
            org: OrgId(1),
            endpoint: EndpointId(2),
            cause: "x".into(),
            state,
            by: String::new(),
            at: Time(time),
        };
        let later = Time(10).plus(FRESH * 2);
        assert_eq!(state(at(10), None, None, later), "open");
        assert_eq!(state(at(10), Some(at(11)), None, later), "recovered");
        assert_eq!(state(at(10), Some(at(11)), None, Time(12)), "open", "too fresh to say");
        let known = said(TriageState::Acknowledged, 5);
        assert_eq!(state(at(10), None, Some(&known), later), "acknowledged");
        assert_eq!(state(at(10), Some(at(7)), Some(&known), later), "open", "it succeeded, and failed again");
        assert_eq!(state(at(10), Some(at(7)), Some(&said(TriageState::Muted, 5)), later), "muted");
    }
}
