//! A retention: how long an organization, or one application of it, keeps messages and their payloads.

use super::{AppId, OrgId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long messages and payloads are kept. What an application does not say, its organization does, else the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// The organization.
    pub org: OrgId,
    /// Of this application only.
    pub app: Option<AppId>,
    /// Messages, with deliveries and attempts: deleted after so many hours, once no attempt is owed.
    pub message_hours: Option<u32>,
    /// Payloads of messages that do not say so themselves: deleted after so many hours, whatever is owed.
    pub payload_hours: Option<u32>,
}

impl Retention {
    /// How long messages are kept.
    #[must_use]
    pub fn messages(&self) -> Option<Duration> {
        self.message_hours.map(hours)
    }

    /// How long payloads are kept.
    #[must_use]
    pub fn payloads(&self) -> Option<Duration> {
        self.payload_hours.map(hours)
    }
}

fn hours(hours: u32) -> Duration {
    Duration::from_secs(u64::from(hours) * 3600)
}
