//! The audit log: who changed what of the configuration, when and from where. Names of fields are kept, never values.

use super::{AppId, AuditId, KeyId, OrgId, Time, UserId};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted, or revoked.
    Deleted,
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditActor {
    /// An API key.
    Key,
    /// A user session.
    Session,
    /// A portal link.
    Portal,
    /// A signed token (JWT).
    Jwt,
    /// A person, in the dashboard.
    User,
}

/// A person who did it. The name stays when the user is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditUser {
    /// The user.
    pub id: UserId,
    /// The name under which they signed in.
    pub login: String,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Identifier; carries the time.
    pub id: AuditId,
    /// Whose configuration it is.
    pub org: OrgId,
    /// What kind of token asked for it.
    pub actor: AuditActor,
    /// Which one; `None` for a JWT and for a person.
    pub key: Option<KeyId>,
    /// The person, for [`AuditActor::User`].
    pub user: Option<AuditUser>,
    /// From where, past trusted proxies. `None`: it is not known.
    pub from: Option<IpAddr>,
    /// What was done.
    pub action: AuditAction,
    /// To what: `endpoint`, `application`, …
    pub what: String,
    /// Its id, or its name where it has none.
    pub id_of: String,
    /// The application that it belongs to.
    pub app: Option<AppId>,
    /// The names of the fields that changed.
    pub fields: Vec<String>,
    /// When the entry goes.
    pub expires_at: Time,
}
