//! Alerts: rules on how endpoints do, the incidents that rules have found, and the notices that tell of them.

use super::{AlertId, AppId, EndpointId, NoticeId, OrgId, Time};
use serde::{Deserialize, Serialize};

/// What a rule looks for, endpoint by endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The share of scheduled attempts that failed, of those that ended within the window.
    FailureRate {
        /// From 1 to 100.
        percent: u8,
        /// The window, in seconds.
        window_s: u32,
        /// Attempts below which nothing is said.
        least: u32,
    },
    /// Deliveries that a disabled endpoint holds.
    Held {
        /// So many or more.
        count: u64,
    },
    /// The oldest delivery that is still to be made, of an endpoint that is not disabled.
    OldestAge {
        /// Made so many seconds ago, or longer.
        seconds: u32,
    },
    /// It has failed throughout since its last success.
    Failing {
        /// For so many seconds or longer; 0: from the first failure on.
        seconds: u32,
    },
    /// It will be disabled if it goes on failing.
    DisableSoon {
        /// Within so many seconds.
        seconds: u32,
    },
    /// It was disabled for failing, or because it said that it is gone.
    Disabled,
}

impl Condition {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Condition::FailureRate { .. } => "failureRate",
            Condition::Held { .. } => "held",
            Condition::OldestAge { .. } => "oldestAge",
            Condition::Failing { .. } => "failing",
            Condition::DisableSoon { .. } => "disableSoon",
            Condition::Disabled => "disabled",
        }
    }
}

/// A rule: what to look for, where, and whom to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Identifier.
    pub id: AlertId,
    /// The organization.
    pub org: OrgId,
    /// For people.
    pub name: String,
    /// Endpoints of this application only.
    pub app: Option<AppId>,
    /// This endpoint only.
    pub endpoint: Option<EndpointId>,
    /// What to look for.
    pub condition: Condition,
    /// Who is told by e-mail.
    pub emails: Vec<String>,
    /// Whether an operational message tells of it too.
    pub operational: bool,
    /// The least time between two notices, in seconds: what happens meanwhile is gathered in the next.
    pub cooldown_s: u32,
    /// Whether it is silent until further notice.
    pub muted: bool,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// How an incident ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The condition holds no more.
    Recovered,
    /// The endpoint was disabled.
    Disabled,
    /// The endpoint is gone, or the rule is no longer about it.
    Gone,
}

/// One endpoint for which a rule's condition holds, or did until a moment ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The application.
    pub app: AppId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Since when.
    pub since: Time,
    /// What was found, in words.
    pub finding: String,
    /// Whether somebody was told.
    pub told: bool,
    /// Its end, not told yet.
    pub ended: Option<Ended>,
}

/// How a rule stands. Written under its revision, so that of several processes one finds and tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    /// The organization.
    pub org: OrgId,
    /// The rule.
    pub alert: AlertId,
    /// When it is looked at next.
    pub look_at: Time,
    /// No notice before.
    pub quiet_until: Time,
    /// What it has found, in the order of endpoints.
    pub incidents: Vec<Incident>,
    /// Endpoints for which the condition holds and that are not listed: there are too many.
    pub unlisted: u64,
    /// Notices that have not gone all their ways.
    pub open: Vec<NoticeId>,
}

/// A line of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeLine {
    /// The application.
    pub app: AppId,
    /// Its name.
    pub app_name: String,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Its URL, without its query; empty when it is gone.
    pub url: String,
    /// Since when.
    pub since: Time,
    /// What was found, in words.
    pub finding: String,
    /// How it ended. `None`: it goes on.
    pub ended: Option<Ended>,
}

/// How far a notice is on one of its ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Telling {
    /// It is not to go by this way.
    Unused,
    /// It waits for its turn, or its next try.
    Waiting {
        /// Why the last try failed.
        error: Option<String>,
    },
    /// It went.
    Sent(Time),
    /// It is given up.
    Failed(String),
}

impl Telling {
    /// Whether something is left to do.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Telling::Waiting { .. })
    }
}

/// A letter to one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// How far it is.
    pub telling: Telling,
}

/// What a rule has to tell, and how far that has come. Kept for a while to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Identifier.
    pub id: NoticeId,
    /// The organization.
    pub org: OrgId,
    /// The rule.
    pub alert: AlertId,
    /// The rule's name when it was made.
    pub name: String,
    /// The first of what is told.
    pub lines: Vec<NoticeLine>,
    /// How many began, those without a line included.
    pub began: u64,
    /// How many ended.
    pub over: u64,
    /// Letters, one for each address.
    pub mails: Vec<Mail>,
    /// By an operational message.
    pub message: Telling,
    /// Tries so far.
    pub tries: u32,
    /// When it is tried next; while it is being tried, when another process may.
    pub due_at: Time,
    /// When it is deleted.
    pub expires_at: Time,
}

impl Notice {
    /// Whether something is left to do.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.message.is_open() || self.mails.iter().any(|mail| mail.telling.is_open())
    }
}
