//! A token: an opaque key, a user session or a portal link, stored as a hash.

use super::{AppId, KeyId, OrgId, Time};
use serde::{Deserialize, Serialize};

/// A part of what an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at everything but secrets.
    Read,
    /// Send messages.
    Send,
    /// Look at everything and change everything but keys.
    Manage,
    /// Make and revoke portal links.
    Portal,
}

impl Scope {
    /// The scope of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "read" => Some(Scope::Read),
            "send" => Some(Scope::Send),
            "manage" => Some(Scope::Manage),
            "portal" => Some(Scope::Portal),
            _ => None,
        }
    }

    /// Whether holding it allows what needs the other.
    #[must_use]
    pub fn covers(self, needed: Scope) -> bool {
        self == needed || (self == Scope::Manage && needed == Scope::Read)
    }
}

/// What a token may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Grant {
    /// An API key (`pr_…`): everything of its organization.
    Key,
    /// An API key that may do less.
    Limited {
        /// What it may do.
        scopes: Vec<Scope>,
    },
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
