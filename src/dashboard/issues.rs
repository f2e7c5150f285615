//! Issues: failures grouped by endpoint and cause; acknowledged, muted, and fixed by replaying.

use super::{
    Dashboard, HOME,
    error::Shown,
    fields::{Fields, Filled},
    page::{Page, Shell},
    survey::{ATTEMPTS, Issue, SURVEYED, issues, survey, triage_address},
    view::{Pager, with},
    visitor::Visitor,
};
use crate::{
    api::Problem,
    model::{EndpointId, Record, Triage, TriageState},
    store::Change,
};
use askama::Template;
use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::get,
};
use std::sync::Arc;

/// Where the list is.
const LIST: &str = "/dashboard/issues";
/// The longest word of a cause.
const MAX_CAUSE: usize = 64;
/// What can be asked for.
const STATES: [&str; 5] = ["open", "acknowledged", "muted", "recovered", "all"];

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard/issues", get(list).post(triage))
}

#[derive(Template)]
#[template(path = "dashboard/issues.html")]
struct Issues {
    shell: Shell,
    issues: Vec<Issue>,
    states: [&'static str; 5],
    state: &'static str,
    app: String,
    surveyed: usize,
    endpoints: usize,
    attempts: usize,
    pager: Pager,
}

impl Issues {
    /// Whether this state is asked for.
    fn asks(&self, word: &str) -> bool {
        self.state == word
    }
}

async fn list(visitor: Visitor) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let state = STATES.into_iter().find(|state| *state == asked.text("state")).unwrap_or("open");
    let app = asked.text("app").to_owned();
    let from: usize = asked.text("from").parse().unwrap_or(0);
    let survey = survey(&visitor, from, false).await?;
    let mut found = issues(&visitor, &survey).await?;
    found.retain(|issue| state == "all" || issue.state == state);
    let of_app = |issue: &Issue| {
        let application = &issue.app.application;
        app.is_empty() || application.id.to_string() == app || application.uid.as_deref() == Some(&app) || application.name == app
    };
    found.retain(of_app);
    let to = |from: usize| with(&visitor.query, "from", &if from == 0 { String::new() } else { from.to_string() });
    let pager = Pager {
        previous: (from > 0).then(|| to(from.saturating_sub(SURVEYED))),
        next: survey.more.then(|| to(from.saturating_add(survey.rows.len()))),
    };
    let page = Issues {
        shell: Shell::new(&visitor, "Issues", "issues"),
        issues: found,
        states: STATES,
        state,
        app,
        surveyed: survey.rows.len(),
        endpoints: survey.endpoints,
        attempts: ATTEMPTS,
        pager,
    };
    Ok(Page(page).into_response())
}

/// Acknowledges, mutes or reopens.
async fn triage(Filled { visitor, fields }: Filled) -> Shown {
    let engine = &visitor.desk.api().engine;
    let endpoint: EndpointId = fields.text("endpoint").parse().map_err(|_| Problem::not_found("endpoint"))?;
    let ours = engine.routing.endpoint(endpoint).is_some_and(|(app, _)| app.application.org == visitor.user.org);
    let cause = fields.text("cause");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !ours || cause.is_empty() || cause.len() > MAX_CAUSE || !cause.chars().all(plain) {
        return Err(Problem::not_found("issue").into());
    }
    let said = |state| {
        Change::Write(Record::Triage(Triage {
            org: visitor.user.org,
            endpoint,
            cause: cause.to_owned(),
            state,
            by: visitor.user.login.clone(),
            at: visitor.now(),
        }))
    };
    let (change, note) = match fields.text("say") {
        "acknowledge" => (said(TriageState::Acknowledged), "acknowledged"),
        "mute" => (said(TriageState::Muted), "muted"),
        "reopen" => (Change::Delete(triage_address(&visitor, endpoint, cause)), "reopened"),
        _ => return Err(Problem::field(&["say"], "enum", "acknowledge, mute or reopen.").into()),
    };
    engine.change(vec![change]).await?;
    Ok(Redirect::to(&back(fields.text("back"), note)).into_response())
}

/// Back to the list as it was: its state, application and page; or to the overview, which shows issues too.
fn back(page: &str, note: &str) -> String {
    let (path, query) = page.split_once('?').unwrap_or((page, ""));
    let path = if path == HOME { HOME } else { LIST };
    let query = if page.starts_with(path) { query } else { "" };
    format!("{path}{}", with(query, "note", note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triage_leads_back_to_the_list_and_nowhere_else() {
        let list = "/dashboard/issues?state=muted&app=Acme&from=9&note=muted";
        assert_eq!(back(list, "reopened"), "/dashboard/issues?state=muted&app=Acme&from=9&note=reopened");
        assert_eq!(back("/dashboard", "muted"), "/dashboard?note=muted");
        for other in ["", "https://evil.example/dashboard/issues?a=b", "//evil.example", "/dashboard/keys?a=b"] {
            assert_eq!(back(other, "muted"), "/dashboard/issues?note=muted", "{other}");
        }
    }
}
