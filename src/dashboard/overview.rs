//! Overview: how everything does, on one page.

use super::{
    Dashboard,
    chart::Latency,
    error::Shown,
    page::{Page, Shell},
    survey::{ATTEMPTS, Issue, MINUTE, Survey, Surveyed, WINDOW, issues, survey},
    view::{When, grouped, millis, percent, span},
    visitor::Visitor,
    volume::Volume,
};
use crate::model::Time;
use askama::Template;
use axum::{Router, response::IntoResponse, routing::get};
use std::sync::Arc;

/// Failing endpoints that are shown.
const TOP: usize = 8;
/// Issues that are shown.
const TOP_ISSUES: usize = 6;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard", get(overview))
}

#[derive(Template)]
#[template(path = "dashboard/overview.html")]
struct Overview {
    shell: Shell,
    figures: Figures,
    /// Deliveries over the last day.
    volume: Option<Volume>,
    /// Response times of the newest attempts.
    chart: Option<Latency>,
    /// Of how many endpoints these are, and how many attempts of each at most.
    charted: (u64, usize),
    failing: Vec<Row>,
    issues: Vec<Issue>,
    /// How many endpoints the figures are about, and how many there are.
    surveyed: (usize, usize),
    /// Whether nothing was ever sent.
    fresh: bool,
    public: String,
}

struct Figures {
    accepted: String,
    delivered: String,
    failed: String,
    pending: String,
    rate: Option<String>,
    percentiles: Option<[String; 3]>,
    /// How long the longest overdue delivery has waited.
    overdue: Option<String>,
    applications: String,
    endpoints: String,
}

struct Row {
    app: String,
    app_id: String,
    id: String,
    url: String,
    since: Option<When>,
    failed: String,
    pending: String,
    disabled: bool,
}

async fn overview(visitor: Visitor) -> Shown {
    let survey = survey(&visitor, 0, true).await?;
    let found = issues(&visitor, &survey).await?;
    let now = visitor.now();
    let applications = visitor.desk.api().engine.routing.apps_of(visitor.user.org).len();
    let page = Overview {
        shell: Shell::new(&visitor, "Overview", "overview"),
        figures: Figures::new(&survey, applications, now),
        failing: failing(&survey),
        volume: Volume::of(visitor.desk.engine(), &survey, now).await?,
        chart: chart(&survey, now),
        charted: (survey.rows.iter().filter(|row| !row.attempts.is_empty()).count() as u64, ATTEMPTS),
        issues: found.into_iter().filter(|issue| issue.state == "open").take(TOP_ISSUES).collect(),
        surveyed: (survey.rows.len(), survey.endpoints),
        fresh: survey.endpoints == 0,
        public: visitor.base.clone(),
    };
    Ok(Page(page).into_response())
}

impl Figures {
    fn new(survey: &Survey, applications: usize, now: Time) -> Self {
        let sum = |pick: fn(&Surveyed) -> u64| survey.rows.iter().map(pick).sum::<u64>();
        let (delivered, failed) = (sum(|row| row.stats.delivered), sum(|row| row.stats.exhausted));
        let mut took: Vec<u32> = survey.rows.iter().flat_map(|row| &row.attempts).filter_map(answered).collect();
        took.sort_unstable();
        let percentile = |part: usize| took.get((took.len() * part / 100).min(took.len().saturating_sub(1))).copied();
        let shown = |us: Option<u32>| us.map(|us| millis(f64::from(us) / 1000.0));
        let percentiles = shown(percentile(50)).zip(shown(percentile(95))).zip(shown(percentile(99)));
        let overdue = survey.rows.iter().filter_map(|row| row.due).filter(|due| *due < now).min();
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
        let rate = (delivered + failed > 0).then(|| percent(delivered as f64 / (delivered + failed) as f64));
        let cancelled = sum(|row| row.stats.cancelled);
        Figures {
            accepted: grouped(delivered + failed + cancelled + sum(|row| row.stats.pending)),
            delivered: grouped(delivered),
            failed: grouped(failed),
            pending: grouped(sum(|row| row.stats.pending)),
            rate,
            percentiles: percentiles.map(|((p50, p95), p99)| [p50, p95, p99]),
            overdue: overdue.map(|due| span(now.since(due).as_secs())),
            applications: grouped(applications as u64),
            endpoints: grouped(survey.endpoints as u64),
        }
    }
}

/// How long an answered attempt took, in microseconds.
fn answered(attempt: &crate::model::Attempt) -> Option<u32> {
    attempt.outcome.status.map(|_| attempt.outcome.phases.total_us)
}

/// Response times of the attempts that were looked at.
fn chart(survey: &Survey, now: Time) -> Option<Latency> {
    let attempts = || survey.rows.iter().flat_map(|row| &row.attempts);
    let first = attempts().map(|attempt| attempt.id.time()).min()?;
    Latency::of(attempts(), first.min(now.minus(MINUTE)).max(now.minus(WINDOW)), now)
}

/// The endpoints that fail most.
fn failing(survey: &Survey) -> Vec<Row> {
    let troubled = |row: &&Surveyed| row.failing_since.is_some() || row.stats.exhausted > 0;
    let mut rows: Vec<&Surveyed> = survey.rows.iter().filter(troubled).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.failing_since.is_some(), row.stats.exhausted, row.stats.pending)));
    let row = |row: &Surveyed| Row {
        app: row.app.application.name.clone(),
        app_id: row.app.application.id.to_string(),
        id: row.route.id.to_string(),
        url: row.route.url.to_string(),
        since: row.failing_since.map(When),
        failed: grouped(row.stats.exhausted),
        pending: grouped(row.stats.pending),
        disabled: row.route.disabled.is_some(),
    };
    rows.into_iter().take(TOP).map(row).collect()
}
