//! Event types in JSON, and their rules.

use crate::{
    api::{
        Patch, Problem, Stamp,
        limits::{self, Limits},
        patch::given,
        rules::{Check, MAX_LIST},
    },
    model::{EventType, OrgId, Time},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// JSON schemas of an event type by version.
type Schemas = Map<String, Value>;

/// The longest set of schemas, in bytes of JSON.
const MAX_SCHEMAS_BYTES: usize = 256 * 1024;

/// The rules below, for the description of the API.
pub(in crate::api) fn limits() -> Limits {
    let fields = json!({
        "description": limits::text(),
        "groupName": limits::name(),
        "featureFlag": limits::name(),
        "featureFlags": limits::names(0, MAX_LIST),
        "schemas": { "maxProperties": MAX_LIST },
    });
    let flag = json!({ "type": "boolean" });
    // Of a patch, null takes away what may be absent.
    let given = json!({ "description": { "type": "string" }, "archived": flag, "deprecated": flag, "reserved": flag });
    vec![
        ("EventTypeIn", fields.clone()),
        ("EventTypeIn", json!({ "name": limits::name() })),
        ("EventTypeUpdate", fields.clone()),
        ("EventTypePatch", fields),
        ("EventTypePatch", given),
        ("EventExampleIn", json!({ "eventType": limits::name(), "exampleIndex": limits::range(0_u64, u32::MAX) })),
    ]
}

/// What an event type says of itself: all of it but the name.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeUpdate {
    /// What happened, for people.
    #[schema(example = "A user has signed up")]
    pub description: String,
    /// No longer offered.
    #[serde(default)]
    #[schema(value_type = Option<bool>, default = false)]
    pub archived: Option<bool>,
    /// Offered with a warning.
    #[serde(default)]
    #[schema(value_type = Option<bool>, default = false)]
    pub deprecated: Option<bool>,
    /// May be subscribed to, and is not sent yet: a message of it is refused. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<bool>, default = false)]
    pub reserved: Option<bool>,
    /// The schema for the event type for a specific version as a JSON schema.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Object>>)]
    pub schemas: Option<Schemas>,
    /// The event type group's name
    #[schema(max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$", example = "user")]
    pub group_name: Option<String>,
    /// Shown only to portal links that carry one of these flags.
    #[schema(example = json!(["cool-new-feature"]))]
    pub feature_flags: Option<Vec<String>>,
    /// As `featureFlags`, for one; older clients send it.
    #[schema(max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$", example = "cool-new-feature")]
    pub feature_flag: Option<String>,
}

/// An event type to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeIn {
    /// The event type's name
    #[schema(max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$", example = "user.signup")]
    pub name: String,
    /// What happened, for people.
    #[schema(example = "A user has signed up")]
    pub description: String,
    /// No longer offered.
    #[serde(default)]
    #[schema(value_type = Option<bool>, default = false)]
    pub archived: Option<bool>,
    /// Offered with a warning.
    #[serde(default)]
    #[schema(value_type = Option<bool>, default = false)]
    pub deprecated: Option<bool>,
    /// May be subscribed to, and is not sent yet: a message of it is refused. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<bool>, default = false)]
    pub reserved: Option<bool>,
    /// The schema for the event type for a specific version as a JSON schema.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Object>>)]
    pub schemas: Option<Schemas>,
    /// The event type group's name
    #[schema(max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$", example = "user")]
    pub group_name: Option<String>,
    /// Shown only to portal links that carry one of these flags.
    #[schema(example = json!(["cool-new-feature"]))]
    pub feature_flags: Option<Vec<String>>,
    /// As `featureFlags`, for one; older clients send it.
    #[schema(max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$", example = "cool-new-feature")]
    pub feature_flag: Option<String>,
}

/// Changes to an event type: what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypePatch {
    /// What happened, for people.
    #[serde(default, deserialize_with = "given")]
    pub description: Option<String>,
    /// No longer offered.
    #[serde(default, deserialize_with = "given")]
    pub archived: Option<bool>,
    /// Offered with a warning.
    #[serde(default, deserialize_with = "given")]
    pub deprecated: Option<bool>,
    /// May be subscribed to, and is not sent yet: a message of it is refused. Not in the compatible contract.
    #[serde(default, deserialize_with = "given")]
    pub reserved: Option<bool>,
    /// The schema for the event type for a specific version as a JSON schema.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Object>>)]
    pub schemas: Patch<Schemas>,
    /// The event type group's name
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$", example = "user")]
    pub group_name: Patch<String>,
    /// Shown only to portal links that carry one of these flags.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["cool-new-feature"]))]
    pub feature_flags: Patch<Vec<String>>,
    /// As `featureFlags`, for one; older clients send it.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$", example = "cool-new-feature")]
    pub feature_flag: Patch<String>,
}

/// An event type.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeOut {
    /// The event type's name
    #[schema(max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$", example = "user.signup")]
    pub name: String,
    /// What happened, for people.
    #[schema(example = "A user has signed up")]
    pub description: String,
    /// No longer offered.
    pub archived: bool,
    /// Offered with a warning.
    pub deprecated: bool,
    /// May be subscribed to, and is not sent yet. Not in the compatible contract.
    pub reserved: bool,
    /// The schema for the event type for a specific version as a JSON schema.
    #[schema(value_type = Option<std::collections::BTreeMap<String, Object>>)]
    pub schemas: Option<Schemas>,
    /// The event type group's name
    pub group_name: Option<String>,
    /// Shown only to portal links that carry one of these flags.
    pub feature_flags: Option<Vec<String>>,
    /// The first of `featureFlags`; older clients read it.
    pub feature_flag: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Stamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Stamp,
}

impl EventTypeOut {
    /// As it is shown; lists leave the schemas out unless they are asked for.
    #[must_use]
    pub fn of(event_type: EventType, with_schemas: bool) -> Self {
        EventTypeOut {
            name: event_type.name,
            description: event_type.description,
            archived: event_type.archived,
            deprecated: event_type.deprecated,
            reserved: event_type.reserved,
            schemas: event_type.schemas.filter(|_| with_schemas),
            group_name: event_type.group_name,
            feature_flag: event_type.feature_flags.as_ref().and_then(|flags| flags.first().cloned()),
            feature_flags: event_type.feature_flags,
            created_at: Stamp(event_type.created_at),
            updated_at: Stamp(event_type.updated_at),
        }
    }
}

impl EventTypeIn {
    /// The name, and what is said of it.
    #[must_use]
    pub fn split(self) -> (String, EventTypeUpdate) {
        let rest = EventTypeUpdate {
            description: self.description,
            archived: self.archived,
            deprecated: self.deprecated,
            reserved: self.reserved,
            schemas: self.schemas,
            group_name: self.group_name,
            feature_flags: self.feature_flags,
            feature_flag: self.feature_flag,
        };
        (self.name, rest)
    }
}

/// The flags that a request asks for, by the newer field or else by the older one.
fn flags(list: Option<Vec<String>>, one: Option<String>) -> Option<Vec<String>> {
    list.or_else(|| one.map(|flag| vec![flag])).filter(|list| !list.is_empty())
}

fn check_schemas(check: &mut Check, schemas: &Schemas) {
    let loc = ["body", "schemas"];
    let long = serde_json::to_string(schemas).map_or(true, |text| text.len() > MAX_SCHEMAS_BYTES);
    check.rule(!long, &loc, "length", format!("It is at most {MAX_SCHEMAS_BYTES} bytes of JSON."));
    check.rule(schemas.len() <= MAX_LIST, &loc, "length", format!("It has at most {MAX_LIST} versions."));
    let objects = schemas.values().all(|schema| schema.is_object());
    check.rule(objects, &loc, "type_error", "Every version's schema is an object.");
}

fn check_flags(check: &mut Check, list: Option<&Vec<String>>, one: Option<&String>) {
    list.into_iter().for_each(|list| check.names(&["body", "featureFlags"], list, 0));
    one.into_iter().for_each(|flag| check.name(&["body", "featureFlag"], flag));
}

impl EventTypeUpdate {
    /// Checks the rules.
    ///
    /// # Errors
    /// 422 naming every field at fault.
    pub fn check(&self) -> Result<(), Problem> {
        let mut check = Check::new();
        check.text(&["body", "description"], &self.description, 0);
        self.schemas.iter().for_each(|schemas| check_schemas(&mut check, schemas));
        self.group_name.iter().for_each(|group| check.name(&["body", "groupName"], group));
        check_flags(&mut check, self.feature_flags.as_ref(), self.feature_flag.as_ref());
        check.done()
    }

    /// A new event type.
    #[must_use]
    pub fn make(self, org: OrgId, name: String, now: Time) -> EventType {
        EventType {
            org,
            name,
            description: self.description,
            archived: self.archived.unwrap_or(false),
            deprecated: self.deprecated.unwrap_or(false),
            reserved: self.reserved.unwrap_or(false),
            schemas: self.schemas,
            group_name: self.group_name,
            feature_flags: flags(self.feature_flags, self.feature_flag),
            created_at: now,
            updated_at: now,
        }
    }

    /// Takes the place of what an event type says.
    pub fn replace(self, event_type: &mut EventType, now: Time) {
        let made = self.make(event_type.org, std::mem::take(&mut event_type.name), now);
        *event_type = EventType { created_at: event_type.created_at, ..made };
    }
}

impl EventTypePatch {
    /// Checks the rules.
    ///
    /// # Errors
    /// 422 naming every field at fault.
    pub fn check(&self) -> Result<(), Problem> {
        let mut check = Check::new();
        self.description.iter().for_each(|text| check.text(&["body", "description"], text, 0));
        self.schemas.value().into_iter().for_each(|schemas| check_schemas(&mut check, schemas));
        self.group_name.value().into_iter().for_each(|group| check.name(&["body", "groupName"], group));
        check_flags(&mut check, self.feature_flags.value(), self.feature_flag.value());
        check.done()
    }

    /// Applies it.
    pub fn apply(self, event_type: &mut EventType, now: Time) {
        event_type.description = self.description.unwrap_or_else(|| std::mem::take(&mut event_type.description));
        event_type.archived = self.archived.unwrap_or(event_type.archived);
        event_type.reserved = self.reserved.unwrap_or(event_type.reserved);
        event_type.deprecated = self.deprecated.unwrap_or(event_type.deprecated);
        self.schemas.apply(&mut event_type.schemas);
        self.group_name.apply(&mut event_type.group_name);
        let asked = match self.feature_flags {
            Patch::Absent => self.feature_flag.map(|flag| vec![flag]),
            list => list,
        };
        asked.apply(&mut event_type.feature_flags);
        event_type.feature_flags = event_type.feature_flags.take().filter(|list| !list.is_empty());
        event_type.updated_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> EventType {
        let form: EventTypeIn = crate::api::body::parse_json(text.as_bytes()).unwrap();
        let (name, rest) = form.split();
        rest.check().unwrap();
        rest.make(OrgId(1), name, Time(5))
    }

    #[test]
    fn old_and_new_clients_name_flags_their_way() {
        let both = r#"{"name":"a","description":"","featureFlag":"x","featureFlags":["y","z"]}"#;
        assert_eq!(made(both).feature_flags, Some(vec!["y".into(), "z".into()]));
        let old = made(r#"{"name":"a","description":"","featureFlag":"x"}"#);
        assert_eq!(old.feature_flags, Some(vec!["x".into()]));
        let out = EventTypeOut::of(old, true);
        assert_eq!((out.feature_flag.as_deref(), out.feature_flags.as_deref()), (Some("x"), Some(&["x".to_owned()][..])));
        assert_eq!(made(r#"{"name":"a","description":"","featureFlags":[],"archived":null}"#).feature_flags, None);
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let mut event_type = made(r#"{"name":"a","description":"d","featureFlags":["y"],"schemas":{"1":{}},"groupName":"g"}"#);
        let patch: EventTypePatch = serde_json::from_str(r#"{"schemas":null,"featureFlag":null,"archived":true}"#).unwrap();
        patch.check().unwrap();
        patch.apply(&mut event_type, Time(9));
        assert_eq!((event_type.schemas.is_none(), event_type.feature_flags.is_none(), event_type.archived), (true, true, true));
        assert_eq!((event_type.group_name.as_deref(), event_type.description.as_str()), (Some("g"), "d"));
        assert_eq!((event_type.created_at, event_type.updated_at), (Time(5), Time(9)));
        assert!(serde_json::from_str::<EventTypePatch>(r#"{"description":null}"#).is_err());
    }

    #[test]
    fn rules_are_checked() {
        let fault = |text: &str| serde_json::from_str::<EventTypeUpdate>(text).unwrap().check().is_err();
        assert!(fault(r#"{"description":"d","groupName":"a b"}"#));
        assert!(fault(r#"{"description":"d","featureFlags":["x","x"]}"#));
        assert!(fault(r#"{"description":"d","schemas":{"1":[]}}"#));
        assert!(!fault(r#"{"description":"","schemas":{"1":{"type":"object"}}}"#));
    }
}
