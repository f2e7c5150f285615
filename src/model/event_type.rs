//! An event type: an entry of the organization's catalogue.

use super::{OrgId, Time};
use serde::{Deserialize, Serialize};

/// One entry of the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventType {
    /// Owner.
    pub org: OrgId,
    /// Unique in the organization, `[a-zA-Z0-9\-_.]`, at most 256 characters.
    pub name: String,
    /// For people.
    pub description: String,
    /// No longer offered; messages of it are still accepted.
    pub archived: bool,
    /// Offered with a warning.
    pub deprecated: bool,
    /// May be subscribed to, and is not sent yet: a message of it is refused.
    pub reserved: bool,
    /// JSON schemas by version.
    pub schemas: Option<serde_json::Map<String, serde_json::Value>>,
    /// A heading to show it under.
    pub group_name: Option<String>,
    /// Shown only to portal links that carry one of these flags.
    pub feature_flags: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}
