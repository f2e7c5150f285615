//! Users in JSON.

use super::MAX_NAME;
use crate::{
    api::{
        Stamp,
        limits::{self, Limits},
    },
    model::{Role, User},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// The rules of users, for the description of the API.
pub(in crate::api) fn limits() -> Limits {
    let name = limits::title(0, MAX_NAME);
    let role = ["viewer", "operator", "admin"];
    vec![
        ("UserIn", json!({ "login": limits::title(1, MAX_NAME), "name": name, "role": { "enum": role } })),
        ("UserPatch", json!({ "name": name, "role": limits::words_or_null(&role) })),
    ]
}

/// A user to make.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserIn {
    /// The name to sign in with, or an address of e-mail.
    pub login: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(value_type = String)]
    pub role: Role,
}

/// A user.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserOut {
    /// Identifier.
    pub id: String,
    /// The name to sign in with.
    pub login: String,
    /// For people.
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(value_type = String)]
    pub role: Role,
    /// Whether they have a password; otherwise they sign in by links, or by the identity provider.
    pub has_password: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Stamp,
}

/// What may be changed of a user.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserPatch {
    /// For people.
    pub name: Option<String>,
    /// `viewer`, `operator` or `admin`.
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
}

/// A link that signs a user in once.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserLinkOut {
    /// The user.
    pub user: UserOut,
    /// The link; shown only here.
    pub url: String,
}

impl UserOut {
    /// A stored user for people.
    #[must_use]
    pub fn of(user: &User) -> Self {
        UserOut {
            id: user.id.to_string(),
            login: user.login.clone(),
            name: user.name.clone(),
            role: user.role,
            has_password: user.password.is_some(),
            created_at: Stamp(user.created_at),
        }
    }
}
