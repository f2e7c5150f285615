//! A token: an opaque key, a user session or a portal link, stored as a hash.

use super::{AppId, KeyId, OrgId, Time};
use serde::{Deserialize, Serialize};

/// What a token may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Grant {
    /// An API key (`pr_…`): everything of its organization.
    Key,
    /// A user session (`prs_…`).
    Session,
    /// A portal link: one application's endpoints, messages and attempts.
    Portal {
        /// The application.
        app: AppId,
        /// Whether it may only look.
        read_only: bool,
        /// Feature flags: event types that carry a flag are shown only with it.
        feature_flags: Vec<String>,
        /// Whose link it is, in the owner's words: links can be revoked by it.
        #[serde(default)]
        session: Option<String>,
    },
}

/// A token, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its public name.
    pub id: KeyId,
    /// Owner.
    pub org: OrgId,
    /// For people.
    pub name: String,
    /// SHA-256 of the token's text, hex.
    pub hash: String,
    /// What it may do.
    pub grant: Grant,
    /// When it was made.
    pub created_at: Time,
    /// From when on it is refused.
    pub expires_at: Option<Time>,
}
