//! Shapes: a rule as it is given and shown, with what it has found.

use crate::{
    api::{
        Api, Caller, Problem, Stamp, endpoint,
        limits::{self, Limits},
        rules::Check,
    },
    mail::is_address,
    model::{Alert, AlertId, AlertState, AppId, Condition, EndpointId},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::ops::RangeInclusive;
use utoipa::ToSchema;

/// Addresses of one rule at most.
const MAX_EMAILS: usize = 20;
/// Characters of a name at most.
const MAX_NAME: usize = 100;
/// Seconds between two notices: up to a week.
const COOLDOWN_S: RangeInclusive<u32> = 1..=604_800;
/// The window of a failure rate, in seconds: a minute to a day.
const WINDOW_S: RangeInclusive<u64> = 60..=86_400;
/// Attempts that a failure rate needs at least.
const LEAST: RangeInclusive<u64> = 1..=200;
/// An age, in seconds: a minute to 90 days.
const AGE_S: RangeInclusive<u64> = 60..=7_776_000;
/// Deliveries that are held: what fits 32 bits.
const HELD: RangeInclusive<u64> = 1..=4_294_967_295;
/// Incidents that are shown.
const SHOWN: usize = 100;
/// The least time between two notices, in seconds, when nothing is said.
const COOLDOWN_DEFAULT_S: u32 = 300;

/// The rules below, for the description of the API.
pub(in crate::api) fn limits() -> Limits {
    vec![("AlertIn", json!({ "name": limits::title(1, MAX_NAME), "emails": { "items": { "format": "email" } } }))]
}

/// What a rule looks for, endpoint by endpoint.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum ConditionIn {
    /// The share of scheduled attempts that failed, of the newest (at most 200) that were begun within the window.
    #[serde(rename_all = "camelCase")]
    FailureRate {
        /// So many in a hundred, or more.
        #[schema(minimum = 1, maximum = 100)]
        percent: u8,
        /// The window.
        #[schema(minimum = 60, maximum = 86400)]
        window_seconds: u32,
        /// With fewer attempts nothing is said.
        #[serde(default = "ten")]
        #[schema(minimum = 1, maximum = 200, default = 10)]
        minimum_attempts: u32,
    },
    /// Deliveries that a disabled endpoint holds.
    #[serde(rename_all = "camelCase")]
    Held {
        /// So many, or more.
        #[schema(minimum = 1, maximum = 4_294_967_295_i64)]
        count: u64,
    },
    /// The oldest delivery that is still to be made, of an endpoint that is not disabled.
    #[serde(rename_all = "camelCase")]
    OldestAge {
        /// Its message was made so many seconds ago, or longer.
        #[schema(minimum = 60, maximum = 7776000)]
        seconds: u32,
    },
    /// Every attempt has failed since the last success.
    #[serde(rename_all = "camelCase")]
    Failing {
        /// For so many seconds, or longer; 0: from the first failure on.
        #[serde(default)]
        #[schema(maximum = 7776000, default = 0)]
        seconds: u32,
    },
    /// The endpoint will be disabled if it goes on failing.
    #[serde(rename_all = "camelCase")]
    DisableSoon {
        /// Within so many seconds.
        #[serde(default = "day")]
        #[schema(minimum = 60, maximum = 7776000, default = 86400)]
        seconds: u32,
    },
    /// The endpoint was disabled for failing, or because it answered 410 Gone.
    Disabled {},
}

fn ten() -> u32 {
    10
}

fn day() -> u32 {
    86_400
}

fn yes() -> bool {
    true
}

fn cooldown() -> u32 {
    COOLDOWN_DEFAULT_S
}

/// A rule.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AlertIn {
    /// For people.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Endpoints of this application only (its id or uid).
    app_id: Option<String>,
    /// This endpoint of that application only (its id or uid).
    endpoint_id: Option<String>,
    /// What to look for.
    condition: ConditionIn,
    /// Who is told by e-mail, one letter each.
    #[serde(default)]
    #[schema(max_items = 20)]
    emails: Vec<String>,
    /// Whether the operational webhook endpoints are told too (`alert.triggered`, `alert.recovered`).
    #[serde(default = "yes")]
    #[schema(default = true)]
    operational: bool,
    /// The least time between two notices: what happens meanwhile is gathered in the next.
    #[serde(default = "cooldown")]
    #[schema(minimum = 1, maximum = 604800, default = 300)]
    cooldown_seconds: u32,
    /// Whether it is silent until further notice.
    #[serde(default)]
    muted: bool,
}

/// A rule, checked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) app: Option<AppId>,
    pub(super) endpoint: Option<EndpointId>,
    pub(super) condition: Condition,
    pub(super) emails: Vec<String>,
    pub(super) operational: bool,
    pub(super) cooldown_s: u32,
    pub(super) muted: bool,
}

impl AlertIn {
    /// Checks it, and finds what it is about.
    pub(super) async fn read(self, api: &Api, caller: &Caller) -> Result<Asked, Problem> {
        let mut check = Check::new();
        let name = self.name.trim().to_owned();
        check.title(&["body", "name"], &name, 1..=MAX_NAME);
        let emails: Vec<String> = self.emails.iter().map(|email| email.trim().to_owned()).collect();
        check.rule(emails.len() <= MAX_EMAILS, &["body", "emails"], "length", format!("At most {MAX_EMAILS} addresses."));
        for (at, email) in emails.iter().enumerate().take(MAX_EMAILS) {
            let at = at.to_string();
            check.rule(is_address(email), &["body", "emails", &at], "email", "This is not an e-mail address alone.");
            let first = emails.iter().position(|other| other == email);
            check.rule(first == at.parse().ok(), &["body", "emails", &at], "unique", "No address may be repeated.");
        }
        let somebody = self.operational || !emails.is_empty();
        check.rule(somebody, &["body", "emails"], "missing", "Somebody must be told: by e-mail, or by operational messages.");
        let range = format!("It is from {} to {} seconds.", COOLDOWN_S.start(), COOLDOWN_S.end());
        check.rule(COOLDOWN_S.contains(&self.cooldown_seconds), &["body", "cooldownSeconds"], "range", range);
        let with_app = self.endpoint_id.is_none() || self.app_id.is_some();
        check.rule(with_app, &["body", "appId"], "missing", "An endpoint needs its application.");
        let condition = self.condition.read(&mut check);
        check.done()?;
        let app = match &self.app_id {
            Some(app) => Some(caller.application(api, app).await?.application.id),
            None => None,
        };
        let endpoint = match (app, &self.endpoint_id) {
            (Some(app), Some(endpoint)) => Some(endpoint::find(api, app, endpoint).await?.id),
            _ => None,
        };
        let (operational, cooldown_s, muted) = (self.operational, self.cooldown_seconds, self.muted);
        Ok(Asked { name, app, endpoint, condition, emails, operational, cooldown_s, muted })
    }
}

impl ConditionIn {
    fn read(self, check: &mut Check) -> Condition {
        let mut range = |name: &str, value: u64, range: RangeInclusive<u64>| {
            let rule = format!("It is from {} to {}.", range.start(), range.end());
            check.rule(range.contains(&value), &["body", "condition", name], "range", rule);
        };
        match self {
            ConditionIn::FailureRate { percent, window_seconds, minimum_attempts } => {
                range("percent", percent.into(), 1..=100);
                range("windowSeconds", window_seconds.into(), WINDOW_S);
                range("minimumAttempts", minimum_attempts.into(), LEAST);
                Condition::FailureRate { percent, window_s: window_seconds, least: minimum_attempts }
            }
            ConditionIn::Held { count } => {
                range("count", count, HELD);
                Condition::Held { count }
            }
            ConditionIn::OldestAge { seconds } => {
                range("seconds", seconds.into(), AGE_S);
                Condition::OldestAge { seconds }
            }
            ConditionIn::Failing { seconds } => {
                range("seconds", seconds.into(), 0..=*AGE_S.end());
                Condition::Failing { seconds }
            }
            ConditionIn::DisableSoon { seconds } => {
                range("seconds", seconds.into(), AGE_S);
                Condition::DisableSoon { seconds }
            }
            ConditionIn::Disabled {} => Condition::Disabled,
        }
    }

    fn of(condition: Condition) -> Self {
        match condition {
            Condition::FailureRate { percent, window_s, least } => {
                ConditionIn::FailureRate { percent, window_seconds: window_s, minimum_attempts: least }
            }
            Condition::Held { count } => ConditionIn::Held { count },
            Condition::OldestAge { seconds } => ConditionIn::OldestAge { seconds },
            Condition::Failing { seconds } => ConditionIn::Failing { seconds },
            Condition::DisableSoon { seconds } => ConditionIn::DisableSoon { seconds },
            Condition::Disabled => ConditionIn::Disabled {},
        }
    }
}

/// An endpoint for which the condition holds.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AlertIncidentOut {
    /// The application.
    #[schema(value_type = String)]
    app_id: AppId,
    /// The endpoint.
    #[schema(value_type = String)]
    endpoint_id: EndpointId,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Stamp,
    /// What was found, in words.
    finding: String,
    /// Whether somebody was told.
    told: bool,
}

/// A rule, and how it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertOut {
    /// Identifier.
    #[schema(value_type = String)]
    pub(super) id: AlertId,
    /// For people.
    name: String,
    /// Endpoints of this application only.
    #[schema(value_type = Option<String>)]
    app_id: Option<AppId>,
    /// This endpoint only.
    #[schema(value_type = Option<String>)]
    endpoint_id: Option<EndpointId>,
    /// What it looks for.
    condition: ConditionIn,
    /// Who is told by e-mail.
    emails: Vec<String>,
    /// Whether the operational webhook endpoints are told too.
    operational: bool,
    /// The least time between two notices.
    cooldown_seconds: u32,
    /// Whether it is silent until further notice.
    muted: bool,
    /// For how many endpoints the condition holds, as far as it was looked at last.
    #[schema(value_type = i64)]
    holding: u64,
    /// The first hundred of them.
    incidents: Vec<AlertIncidentOut>,
    /// Whether the server has a mail server; without one nothing goes by e-mail.
    mail_configured: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Stamp,
}

impl AlertOut {
    /// A rule, with its state if it was looked at.
    pub(super) fn new(api: &Api, alert: &Alert, state: Option<&AlertState>) -> Self {
        let holding = |state: &AlertState| state.incidents.iter().filter(|incident| incident.ended.is_none()).count() as u64;
        let incidents = state.iter().flat_map(|state| &state.incidents).filter(|incident| incident.ended.is_none());
        AlertOut {
            id: alert.id,
            name: alert.name.clone(),
            app_id: alert.app,
            endpoint_id: alert.endpoint,
            condition: ConditionIn::of(alert.condition),
            emails: alert.emails.clone(),
            operational: alert.operational,
            cooldown_seconds: alert.cooldown_s,
            muted: alert.muted,
            holding: state.map_or(0, |state| holding(state) + state.unlisted),
            incidents: incidents
                .take(SHOWN)
                .map(|incident| AlertIncidentOut {
                    app_id: incident.app,
                    endpoint_id: incident.endpoint,
                    since: Stamp(incident.since),
                    finding: incident.finding.clone(),
                    told: incident.told,
                })
                .collect(),
            mail_configured: api.options.mailer.is_some(),
            created_at: Stamp(alert.created_at),
            updated_at: Stamp(alert.updated_at),
        }
    }
}
