//! Alerts: rules on how endpoints do, listed, made, changed, muted and tried; what each has found, and what it has told.

use super::{
    Dashboard,
    error::Shown,
    fields::{Fields, Filled, segment},
    messages::{Choices, names},
    page::{Page, Shell},
    refused::Refused,
    sift::{Sifted, has},
    view::{Badge, Pager, When, span},
    visitor::Visitor,
};
use crate::{api::Problem, model::Role};
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Rules of a page.
const LIMIT: usize = 50;
/// Notices of a page.
const NOTICES: usize = 10;
/// The unit of a form whose rule is not of whole minutes.
const SECONDS: &str = "s";
/// What can be looked for, with its words in the form.
const CONDITIONS: [(&str, &str); 6] = [
    ("failing", "An endpoint fails"),
    ("disableSoon", "An endpoint will be disabled"),
    ("disabled", "An endpoint was disabled"),
    ("failureRate", "The failure rate is high"),
    ("held", "Deliveries are held"),
    ("oldestAge", "Deliveries are late"),
];

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/alerts", get(list).post(make))
        .route("/dashboard/alerts/new", get(fresh))
        .route("/dashboard/alerts/{alert}", get(show).post(save))
        .route("/dashboard/alerts/{alert}/act", post(act))
}

/// A rule, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertView {
    id: String,
    name: String,
    app_id: Option<String>,
    endpoint_id: Option<String>,
    condition: Value,
    emails: Vec<String>,
    operational: bool,
    cooldown_seconds: u64,
    muted: bool,
    holding: u64,
    incidents: Vec<IncidentView>,
    mail_configured: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IncidentView {
    app_id: String,
    endpoint_id: String,
    since: When,
    finding: String,
    /// The endpoint's URL; its id once it is deleted.
    #[serde(skip)]
    url: String,
}

/// A notice, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NoticeView {
    id: String,
    created_at: When,
    began: u64,
    ended: u64,
    emails: Vec<MailView>,
    operational: TellingView,
    next_try: Option<When>,
}

impl NoticeView {
    /// Whether any of its ways stands so: `sent`, `waiting` or `failed`.
    fn is(&self, state: &str) -> bool {
        self.operational.state == state || self.emails.iter().any(|mail| mail.telling.state == state)
    }
}

#[derive(Debug, Deserialize)]
struct MailView {
    to: String,
    #[serde(flatten)]
    telling: TellingView,
}

#[derive(Debug, Deserialize)]
struct TellingView {
    state: String,
    error: Option<String>,
}

impl TellingView {
    fn badge(&self) -> Badge {
        match self.state.as_str() {
            "sent" => Badge("ok", "sent"),
            "waiting" => Badge("wait", "waiting"),
            "failed" => Badge("bad", "failed"),
            _ => Badge("dim", "not used"),
        }
    }

    fn used(&self) -> bool {
        self.state != "unused"
    }
}

impl AlertView {
    fn number(&self, name: &str) -> u64 {
        self.condition.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// What it looks for, in a sentence.
    fn sentence(&self) -> String {
        let seconds = self.number("seconds");
        match self.condition.get("type").and_then(Value::as_str).unwrap_or_default() {
            "failureRate" => format!(
                "{} % or more of the attempts within {} failed, of {} at least",
                self.number("percent"),
                span(self.number("windowSeconds")),
                self.number("minimumAttempts")
            ),
            "held" => format!("{} or more deliveries are held", self.number("count")),
            "oldestAge" => format!("a delivery has waited for {}", span(seconds)),
            "failing" if seconds == 0 => "an endpoint fails, from the first time on".to_owned(),
            "failing" => format!("an endpoint has failed for {}", span(seconds)),
            "disableSoon" => format!("an endpoint will be disabled within {}", span(seconds)),
            _ => "an endpoint was disabled".to_owned(),
        }
    }

    /// It as the form has it.
    fn fields(&self) -> Fields {
        let length = self.number(if self.condition.get("windowSeconds").is_some() { "windowSeconds" } else { "seconds" });
        let (unit, size) = if length.is_multiple_of(60) { ("", 60) } else { (SECONDS, 1) };
        let length = (length / size).to_string();
        let kind = self.condition.get("type").and_then(Value::as_str).unwrap_or_default();
        let mut fields = vec![
            ("name", self.name.clone()),
            ("app", self.app_id.clone().unwrap_or_default()),
            ("endpoint", self.endpoint_id.clone().unwrap_or_default()),
            ("type", kind.to_owned()),
            ("emails", self.emails.join("\n")),
            ("operational", if self.operational { "1".into() } else { String::new() }),
            ("cooldown", self.cooldown_seconds.to_string()),
            ("muted", if self.muted { "1".into() } else { String::new() }),
            ("unit", unit.to_owned()),
        ];
        match kind {
            "failureRate" => fields.extend([
                ("percent", self.number("percent").to_string()),
                ("window", length),
                ("attempts", self.number("minimumAttempts").to_string()),
            ]),
            "held" => fields.push(("count", self.number("count").to_string())),
            _ => fields.push(("minutes", length)),
        }
        Fields(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

#[derive(Template)]
#[template(path = "dashboard/alerts.html")]
struct Alerts {
    shell: Shell,
    rows: Vec<AlertView>,
    pager: Pager,
    asked: Fields,
    refused: Refused,
}

#[derive(Template)]
#[template(path = "dashboard/alert.html")]
struct AlertPage {
    shell: Shell,
    /// The rule as it is. `None`: it is being made.
    alert: Option<AlertView>,
    conditions: [(&'static str, &'static str); 6],
    given: Fields,
    refused: Refused,
    notices: Vec<NoticeView>,
    pager: Pager,
    asked: Fields,
    apps: Choices,
    /// The URL of the endpoint that is chosen.
    endpoint: Option<String>,
    /// What came of a test.
    tested: Vec<MailView>,
}

impl AlertPage {
    /// The unit of lengths of time.
    fn unit(&self) -> &'static str {
        if self.given.text("unit") == SECONDS { "seconds" } else { "minutes" }
    }

    fn value<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.given.given(name).unwrap_or(default)
    }
}

async fn list(visitor: Visitor) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let sifted = Sifted { path: "/api/v1/alert?", from: asked.text("iterator"), limit: LIMIT, id: |row: &AlertView| &row.id };
    let (part, state) = (asked.text("q"), asked.text("state"));
    let in_state = |row: &AlertView| match state {
        "muted" => row.muted,
        "firing" => !row.muted && row.holding > 0,
        "quiet" => !row.muted && row.holding == 0,
        _ => true,
    };
    let found = match asked.one_of("state", &["muted", "firing", "quiet"]) {
        Ok(()) => sifted.rows(&visitor.desk, |row| has(&row.name, part) && in_state(row)).await,
        Err(problem) => Err(problem),
    };
    let (listed, refused) = Refused::filters(found, &asked, &[])?;
    let pager = listed.pager(&visitor.query);
    let page = Alerts { shell: Shell::new(&visitor, "Alerts", "alerts"), rows: listed.data, pager, asked, refused };
    Ok((page.refused.status(), Page(page)).into_response())
}

async fn fresh(visitor: Visitor) -> Shown {
    visitor.need(Role::Operator)?;
    form(visitor, None, (Fields(vec![("operational".into(), "1".into())]), Refused::default()), Vec::new()).await
}

/// The form, filled as it was given or as the rule is.
async fn form(visitor: Visitor, id: Option<&str>, (given, refused): (Fields, Refused), tested: Vec<MailView>) -> Shown {
    let mut alert: Option<AlertView> = match id {
        Some(id) => Some(visitor.desk.get(&format!("/api/v1/alert/{}", segment(id))).await?),
        None => None,
    };
    for row in alert.iter_mut().flat_map(|alert| &mut alert.incidents) {
        let placed = row.endpoint_id.parse().ok().and_then(|id| visitor.desk.engine().routing.endpoint(id));
        row.url = placed.map_or_else(|| row.endpoint_id.clone(), |(_, route)| route.url.to_string());
    }
    let asked = Fields::parse(visitor.query.as_bytes());
    let (notices, pager) = match &alert {
        Some(alert) => {
            let path = format!("/api/v1/alert/{}/notice?", alert.id);
            let sifted = Sifted { path: &path, from: asked.text("iterator"), limit: NOTICES, id: |row: &NoticeView| &row.id };
            let state = asked.given("told");
            let listed = sifted.rows(&visitor.desk, |row| state.is_none_or(|state| row.is(state))).await?;
            let pager = listed.pager(&visitor.query);
            (listed.data, pager)
        }
        None => (Vec::new(), Pager::default()),
    };
    let given = match &alert {
        Some(alert) if !refused.any() => alert.fields(),
        _ => given,
    };
    let apps = names(&visitor, &given);
    let endpoint = given.text("endpoint").parse().ok().and_then(|id| visitor.desk.engine().routing.endpoint(id));
    let endpoint = endpoint.map(|(_, route)| route.url.to_string());
    let title = alert.as_ref().map_or("New alert".to_owned(), |alert| alert.name.clone());
    let shell = Shell::new(&visitor, title, "alerts");
    let page = AlertPage { shell, alert, conditions: CONDITIONS, given, refused, notices, pager, asked, apps, endpoint, tested };
    Ok((page.refused.status(), Page(page)).into_response())
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Shown {
    form(visitor, Some(&id), (Fields::default(), Refused::default()), Vec::new()).await
}

/// The form once more, with why it was refused.
async fn again(filled: Filled, id: Option<&str>, problem: Problem) -> Shown {
    const NAMES: [(&str, &str); 7] = [
        ("appId", "app"),
        ("endpointId", "endpoint"),
        ("windowSeconds", "window"),
        ("minimumAttempts", "attempts"),
        ("seconds", "minutes"),
        ("cooldownSeconds", "cooldown"),
        ("type", "type"),
    ];
    let given = filled.fields.clone();
    form(filled.visitor, id, (given, Refused::new("alert", problem, filled.fields, &NAMES)?), Vec::new()).await
}

/// What a form asks for, in the API's words.
pub(super) fn asked(fields: &Fields) -> Result<Value, Problem> {
    let number = |name: &'static str, default: u64| match fields.given(name) {
        None => Ok(default),
        Some(text) => text.parse::<u64>().map_err(|_| Problem::field(&[name], "type_error", "This is not a number.")),
    };
    let size = if fields.text("unit") == SECONDS { 1 } else { 60 };
    let seconds = |name, minutes: u64| match fields.given(name) {
        None => Ok(minutes.saturating_mul(60)),
        Some(_) => number(name, 0).map(|length| length.saturating_mul(size)),
    };
    let kind = fields.text("type");
    let condition = match kind {
        "failureRate" => json!({
            "type": kind, "percent": number("percent", 50)?, "windowSeconds": seconds("window", 10)?,
            "minimumAttempts": number("attempts", 10)?,
        }),
        "held" => json!({ "type": kind, "count": number("count", 100)? }),
        "oldestAge" => json!({ "type": kind, "seconds": seconds("minutes", 60)? }),
        "failing" => json!({ "type": kind, "seconds": seconds("minutes", 0)? }),
        "disableSoon" => json!({ "type": kind, "seconds": seconds("minutes", 1_440)? }),
        _ => json!({ "type": kind }),
    };
    Ok(json!({
        "name": fields.text("name"), "appId": fields.given("app"), "endpointId": fields.given("endpoint"), "condition": condition,
        "emails": fields.words("emails").unwrap_or_default(), "operational": fields.ticked("operational"),
        "cooldownSeconds": number("cooldown", 300)?, "muted": fields.ticked("muted"),
    }))
}

async fn make(filled: Filled) -> Shown {
    #[derive(Deserialize)]
    struct Made {
        id: String,
    }
    let made = match asked(&filled.fields) {
        Ok(body) => filled.send::<Made>(Method::POST, "/api/v1/alert", body).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(made) => Ok(Redirect::to(&format!("/dashboard/alerts/{}?note=made", made.id)).into_response()),
        Err(problem) => again(filled, None, problem).await,
    }
}

async fn save(Path(id): Path<String>, filled: Filled) -> Shown {
    let path = format!("/api/v1/alert/{}", segment(&id));
    let saved = match asked(&filled.fields) {
        Ok(body) => filled.change(Method::PUT, &path, body).await,
        Err(problem) => Err(problem),
    };
    match saved {
        Ok(()) => Ok(Redirect::to(&format!("/dashboard/alerts/{}?note=saved", segment(&id))).into_response()),
        Err(problem) => again(filled, Some(&id), problem).await,
    }
}

/// Mutes, tries, or deletes.
async fn act(Path(id): Path<String>, filled: Filled) -> Shown {
    #[derive(Deserialize)]
    struct Tested {
        emails: Vec<MailView>,
    }
    let path = format!("/api/v1/alert/{}", segment(&id));
    match filled.fields.text("act") {
        "test" => match filled.send::<Tested>(Method::POST, &format!("{path}/test"), Value::Null).await {
            Ok(tested) => form(filled.visitor, Some(&id), (Fields::default(), Refused::default()), tested.emails).await,
            Err(problem) => Err(problem.into()),
        },
        "delete" => {
            filled.change(Method::DELETE, &path, Value::Null).await?;
            Ok(Redirect::to("/dashboard/alerts?note=deleted").into_response())
        }
        act @ ("mute" | "unmute") => {
            let alert: AlertView = filled.visitor.desk.get(&path).await?;
            let body = json!({
                "name": alert.name, "appId": alert.app_id, "endpointId": alert.endpoint_id, "condition": alert.condition,
                "emails": alert.emails, "operational": alert.operational, "cooldownSeconds": alert.cooldown_seconds,
                "muted": act == "mute",
            });
            filled.change(Method::PUT, &path, body).await?;
            Ok(Redirect::to(&format!("/dashboard/alerts/{}?note={act}d", segment(&id))).into_response())
        }
        _ => Err(Problem::not_found("action").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_the_rule_says() {
        let conditions = [
            json!({"type": "failureRate", "percent": 20, "windowSeconds": 300, "minimumAttempts": 5}),
            json!({"type": "held", "count": 7}),
            json!({"type": "oldestAge", "seconds": 120}),
            json!({"type": "failing", "seconds": 0}),
            json!({"type": "disableSoon", "seconds": 3600}),
            json!({"type": "oldestAge", "seconds": 90}),
            json!({"type": "failing", "seconds": 30}),
            json!({"type": "failureRate", "percent": 20, "windowSeconds": 61, "minimumAttempts": 5}),
            json!({"type": "disabled"}),
        ];
        for condition in conditions {
            let rule = json!({
                "id": "alert_1", "name": "x", "appId": "app_1", "endpointId": null, "condition": condition, "emails": ["a@b.c", "d@e.f"],
                "operational": false, "cooldownSeconds": 90, "muted": true, "holding": 0, "incidents": [], "mailConfigured": true,
            });
            let view: AlertView = serde_json::from_value(rule.clone()).unwrap();
            let again = asked(&view.fields()).unwrap();
            for name in ["name", "appId", "endpointId", "condition", "emails", "operational", "cooldownSeconds", "muted"] {
                assert_eq!(again[name], rule[name], "{name} of {condition}");
            }
            assert!(!view.sentence().is_empty());
        }
        assert!(asked(&Fields::parse(b"type=held&count=many")).is_err());
    }

    #[test]
    fn notices_are_filtered_by_how_they_went() {
        let mails = json!([{"to": "a@b.c", "state": "sent", "error": null}, {"to": "d@e.f", "state": "failed", "error": "x"}]);
        let notice = json!({
            "id": "notice_1", "createdAt": "2026-01-01T00:00:00Z", "began": 1, "ended": 0, "emails": mails,
            "operational": {"state": "unused", "error": null}, "nextTry": null,
        });
        let notice: NoticeView = serde_json::from_value(notice).unwrap();
        assert!(notice.is("sent") && notice.is("failed") && !notice.is("waiting"));
    }
}
