//! People: users who sign in to the dashboard, their sessions, and what they have said of issues.

use super::{EndpointId, OrgId, SessionId, Time, UserId};
use serde::{Deserialize, Serialize};

/// What a user may do. Each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks, and changes nothing.
    Viewer,
    /// Works: endpoints, messages, sources, event types.
    Operator,
    /// Everything: also users, keys and what holds for the whole organization.
    Admin,
}

impl Role {
    /// All of them, lowest first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    /// The role of a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// A person who may sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Identifier.
    pub id: UserId,
    /// The organization.
    pub org: OrgId,
    /// The name under which they sign in, in lower case; unique in the
    /// organization. An address of e-mail, mostly.
    pub login: String,
    /// For people.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Argon2id, in the PHC format. `None`: only by a link.
    pub password: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// What a session's text opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opens {
    /// The dashboard, again and again.
    Dashboard,
    /// One session: a link to sign in.
    Once,
}

/// A user who is signed in, or may do so once by a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Identifier.
    pub id: SessionId,
    /// The organization.
    pub org: OrgId,
    /// Who.
    pub user: UserId,
    /// SHA-256 of its text, hex.
    pub hash: String,
    /// What its text opens.
    pub opens: Opens,
    /// What was signed in with, in the words of the browser; for people.
    pub agent: String,
    /// Whether it was begun by a link, and no password was set since: whoever forgot theirs sets a new one then.
    #[serde(default)]
    pub by_link: bool,
    /// When it began.
    pub created_at: Time,
    /// From when on it is refused.
    pub expires_at: Time,
}

/// A user as an identity provider knows them: whoever signs in there as this subject is this user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// SHA-256 over the issuer and the subject, hex.
    pub key: String,
    /// The organization.
    pub org: OrgId,
    /// Who.
    pub user: UserId,
    /// When it was first seen.
    pub created_at: Time,
}

/// What somebody said of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriageState {
    /// Somebody knows and works on it; it is open again when it comes back after a success.
    Acknowledged,
    /// Nobody wants to hear of it.
    Muted,
}

/// An issue that was acknowledged or muted: failures of one endpoint for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triage {
    /// The organization.
    pub org: OrgId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The cause, with the status of the answer if there was one.
    pub cause: String,
    /// What was said.
    pub state: TriageState,
    /// By whom.
    pub by: String,
    /// When.
    pub at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_grow_and_go_round() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        for role in Role::ALL {
            assert_eq!(Role::named(role.word()), Some(role));
        }
        assert_eq!(Role::named("root"), None);
    }
}
