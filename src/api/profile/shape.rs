//! Profiles as requests and answers carry them.

use crate::{
    api::{
        Problem,
        body::Stamp,
        limits::{self, Limits},
    },
    model::{MAX_PROFILE_NAME, OwnProfile, PROFILE_NAME_PATTERN, Profile},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// The rules of names, for the description of the API.
pub(in crate::api) fn limits() -> Limits {
    let name = json!({ "minLength": 1, "maxLength": MAX_PROFILE_NAME, "pattern": PROFILE_NAME_PATTERN });
    let url = limits::url();
    vec![
        ("ProfileIn", json!({ "name": name })),
        ("ProfileCloneIn", json!({ "name": name })),
        ("ProfilePreviewIn", json!({ "url": url, "profile": { "type": ["string", "object"] } })),
    ]
}

/// A profile of the organization's own.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileIn {
    /// Its name: 1 to 64 lower-case letters, digits and hyphens; none of the built-in ones.
    #[schema(example = "acme", min_length = 1, max_length = 64)]
    pub name: String,
    /// What it says. `GET /api/v1/profile/standard` shows the form.
    #[schema(value_type = Object)]
    pub profile: Value,
}

/// A profile's new form, or changes to it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfileUpdate {
    /// What it says: all of it for PUT; for PATCH what is to change, where null takes a field away (RFC 7396).
    #[schema(value_type = Object)]
    pub(super) profile: Value,
}

/// A copy of a profile under another name.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfileCloneIn {
    /// The copy's name.
    #[schema(example = "acme")]
    pub(super) name: String,
    /// What the copy says otherwise, where null takes a field away (RFC 7396).
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(super) changes: Value,
}

/// A profile.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileOut {
    /// Its name.
    #[schema(example = "standard")]
    pub name: String,
    /// Whether every organization has it, and nobody can change it.
    pub built_in: bool,
    /// What it says.
    #[schema(value_type = Object)]
    pub profile: Profile,
    /// When it was made; null for a built-in one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Stamp>,
    /// When it was last changed; null for a built-in one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Stamp>,
}

/// A list of profiles.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ProfilesOut {
    /// The built-in ones first, then the organization's own by name.
    pub(super) data: Vec<ProfileOut>,
}

impl ProfileOut {
    /// A built-in profile.
    #[must_use]
    pub fn built_in(name: &str, profile: &Profile) -> Self {
        ProfileOut { name: name.to_owned(), built_in: true, profile: profile.clone(), created_at: None, updated_at: None }
    }
}

impl From<OwnProfile> for ProfileOut {
    fn from(own: OwnProfile) -> Self {
        ProfileOut {
            name: own.name,
            built_in: false,
            profile: own.profile,
            created_at: Some(Stamp(own.created_at)),
            updated_at: Some(Stamp(own.updated_at)),
        }
    }
}

/// Reads a profile and checks all of it.
///
/// # Errors
/// 422 naming the field, below `field` of the body.
pub(super) fn read(field: &str, value: Value) -> Result<Profile, Problem> {
    let read: Result<Profile, _> = serde_path_to_error::deserialize(value);
    let profile = read.map_err(|error| {
        let path = error.path().to_string();
        let place: Vec<&str> = path.split('.').filter(|part| !matches!(*part, "" | "?")).collect();
        Problem::field(&[&["body", field], place.as_slice()].concat(), "profile", error.inner().to_string())
    })?;
    profile.check().map_err(|error| {
        let place: Vec<&str> = error.field.split('.').collect();
        Problem::field(&[&["body", field], place.as_slice()].concat(), "profile", error.rule.clone())
    })?;
    Ok(profile)
}

/// Applies changes to a profile.
///
/// # Errors
/// 422 naming the field, below `field` of the body.
pub(super) fn changed(profile: &Profile, field: &str, changes: Value) -> Result<Profile, Problem> {
    let mut value = serde_json::to_value(profile).map_err(|_| Problem::Internal)?;
    match changes {
        Value::Null => {}
        Value::Object(_) => merge(&mut value, changes),
        _ => return Err(Problem::field(&["body", field], "type_error", "It is an object.")),
    }
    read(field, value)
}

/// RFC 7396. How deep it goes is bounded by the parser that read the changes.
fn merge(target: &mut Value, changes: Value) {
    let Value::Object(changes) = changes else {
        *target = changes;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::built_in;
    use serde_json::json;

    #[test]
    fn changes_replace_add_and_take_away() {
        let base = built_in("ilara").unwrap();
        let changes = json!({
            "scheme": {"signature": {"in": "header:X-Acme-Signature", "prefix": null}},
            "headers": {"X-Acme-Event": "{type}"},
            "envelope": null,
            "timeoutSeconds": 5,
        });
        let profile = changed(base, "changes", changes).unwrap();
        assert_eq!(profile.signature_headers(), ["X-Acme-Signature"]);
        assert!(profile.envelope.is_none() && profile.headers.len() == 1);
        assert_eq!((profile.timeout_seconds, &profile.retry_policy), (Some(5), &base.retry_policy));
        assert_eq!(changed(base, "changes", Value::Null).unwrap(), *base);
        assert!(changed(base, "changes", json!([])).is_err());
    }

    #[test]
    fn faults_are_named_where_they_are() {
        let loc = |value: Value| match changed(built_in("ilara").unwrap(), "changes", value) {
            Err(Problem::Invalid(faults)) => faults[0].loc.join("/"),
            other => panic!("{other:?}"),
        };
        assert_eq!(loc(json!({"timeoutSeconds": "x"})), "body/changes/timeoutSeconds");
        assert_eq!(loc(json!({"headers": {"Host": "x"}})), "body/changes/headers/Host");
        assert_eq!(loc(json!({"envelope": "{\"a\":\"{b}\"}"})), "body/changes/envelope");
        assert_eq!(loc(json!({"scheme": {"algorithm": "md5"}})), "body/changes/scheme/algorithm");
    }
}
