//! Applications in JSON, and their rules.

use crate::{
    api::{
        Api, Patch, Problem, Stamp,
        limits::{self, Limits},
        patch::given,
        rules::{Check, MAX_TEXT},
    },
    model::{AppId, Application, Metadata, OrgId, RetryPolicy},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// The rules below, for the description of the API.
pub(in crate::api) fn limits() -> Limits {
    let fields = json!({
        "name": limits::title(1, MAX_TEXT),
        "uid": limits::name(),
        "throttleRate": limits::rate(),
        "metadata": limits::metadata(),
        "retryPolicy": limits::retry_policy(),
    });
    // Of a patch, null takes away what may be absent.
    let given = json!({ "name": { "type": "string" }, "metadata": { "type": "object" } });
    vec![("ApplicationIn", fields.clone()), ("ApplicationPatch", fields), ("ApplicationPatch", given)]
}

/// An application to be made, or to take the place of what is there.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationIn {
    /// Application name for human consumption.
    #[schema(min_length = 1, max_length = 4096, example = "My first application")]
    pub name: String,
    /// Optional unique identifier for the application.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$", example = "unique-app-identifier")]
    pub uid: Patch<String>,
    /// Maximum messages per second to send to this application's endpoints.
    ///
    /// Outgoing messages will be throttled to this rate.
    #[schema(minimum = 1)]
    pub throttle_rate: Option<u16>,
    /// The owner's notes: at most 50, keys up to 40 characters, values up to 500.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    pub metadata: Option<Metadata>,
    /// How deliveries look and behave: the name of a profile (`standard`, `svix`, …); null: as the organization says.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "standard")]
    pub profile: Patch<String>,
    /// Retry policy of endpoints that name none: a list of delays in seconds, or
    /// `{max_retries, backoff: exponential|linear|fixed, initial, factor, max}`.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>, example = json!([5, 300, 1800]))]
    pub retry_policy: Patch<RetryPolicy>,
}

/// Changes to an application: what is left out stays.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationPatch {
    /// Application name for human consumption.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<String>,
    /// Optional unique identifier for the application.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$", example = "unique-app-identifier")]
    pub uid: Patch<String>,
    /// Maximum messages per second to send to this application's endpoints.
    #[serde(default)]
    #[schema(value_type = Option<u16>)]
    pub throttle_rate: Patch<u16>,
    /// The owner's notes; they take the place of all that are there.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    pub metadata: Option<Metadata>,
    /// How deliveries look and behave: the name of a profile; null: as the organization says.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "standard")]
    pub profile: Patch<String>,
    /// Retry policy of endpoints that name none.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub retry_policy: Patch<RetryPolicy>,
}

/// An application.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationOut {
    /// The application's ID.
    #[schema(value_type = String, example = "app_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub id: AppId,
    /// Optional unique identifier for the application.
    #[schema(example = "unique-app-identifier")]
    pub uid: Option<String>,
    /// Application name for human consumption.
    #[schema(example = "My first application")]
    pub name: String,
    /// Maximum messages per second to send to this application's endpoints.
    pub throttle_rate: Option<u16>,
    /// The owner's notes.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub metadata: Metadata,
    /// How deliveries look and behave; null: as the organization says.
    #[schema(example = "standard")]
    pub profile: Option<String>,
    /// Retry policy of endpoints that name none.
    #[schema(value_type = Option<serde_json::Value>)]
    pub retry_policy: Option<RetryPolicy>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Stamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Stamp,
}

impl From<&Application> for ApplicationOut {
    fn from(app: &Application) -> Self {
        ApplicationOut {
            id: app.id,
            uid: app.uid.clone(),
            name: app.name.clone(),
            throttle_rate: app.throttle_rate,
            metadata: app.metadata.clone(),
            profile: app.profile.clone(),
            retry_policy: app.retry_policy.clone(),
            created_at: Stamp(app.created_at),
            updated_at: Stamp(app.updated_at),
        }
    }
}

/// A uid follows the pattern of names; one in the form of an identifier could never be found.
fn check_uid(check: &mut Check, loc: &[&str], uid: &str) {
    check.name(loc, uid);
    check.rule(!AppId::looks_like(uid), loc, "pattern", "A uid may not have the form of an application's id.");
}

impl ApplicationIn {
    /// Checks the rules; `root` is where the object is in the request.
    ///
    /// # Errors
    /// 422 naming every field at fault.
    pub fn check(&self, root: &[&str]) -> Result<(), Problem> {
        let mut check = Check::new();
        let at = |field: &'static str| [root, &[field]].concat();
        check.title(&at("name"), &self.name, 1..=MAX_TEXT);
        self.uid.value().into_iter().for_each(|uid| check_uid(&mut check, &at("uid"), uid));
        self.throttle_rate.into_iter().for_each(|rate| check.rate(&at("throttleRate"), rate));
        self.metadata.iter().for_each(|metadata| check.metadata(&at("metadata"), metadata));
        self.retry_policy.value().into_iter().for_each(|policy| check.retry_policy(&at("retryPolicy"), policy));
        check.done()
    }

    /// A new application.
    #[must_use]
    pub fn make(self, api: &Api, org: OrgId) -> Application {
        let now = api.engine.clock.now();
        let mut app = Application {
            id: AppId(api.engine.random.id(now)),
            org,
            uid: None,
            name: String::new(),
            throttle_rate: None,
            metadata: Metadata::new(),
            profile: None,
            retry_policy: None,
            created_at: now,
            updated_at: now,
        };
        self.replace(&mut app);
        app
    }

    /// Takes the place of an application. What compatible clients do not know of stays when it is left out.
    pub fn replace(self, app: &mut Application) {
        app.name = self.name;
        app.uid = self.uid.value().cloned();
        app.throttle_rate = self.throttle_rate;
        app.metadata = self.metadata.unwrap_or_default();
        self.profile.apply(&mut app.profile);
        self.retry_policy.apply(&mut app.retry_policy);
    }
}

impl ApplicationPatch {
    /// Checks the rules.
    ///
    /// # Errors
    /// 422 naming every field at fault.
    pub fn check(&self) -> Result<(), Problem> {
        let mut check = Check::new();
        self.name.iter().for_each(|name| check.title(&["body", "name"], name, 1..=MAX_TEXT));
        self.uid.value().into_iter().for_each(|uid| check_uid(&mut check, &["body", "uid"], uid));
        self.throttle_rate.value().into_iter().for_each(|rate| check.rate(&["body", "throttleRate"], *rate));
        self.metadata.iter().for_each(|metadata| check.metadata(&["body", "metadata"], metadata));
        self.retry_policy.value().into_iter().for_each(|policy| check.retry_policy(&["body", "retryPolicy"], policy));
        check.done()
    }

    /// Applies it.
    pub fn apply(self, app: &mut Application) {
        app.name = self.name.unwrap_or_else(|| std::mem::take(&mut app.name));
        self.uid.apply(&mut app.uid);
        self.throttle_rate.apply(&mut app.throttle_rate);
        app.metadata = self.metadata.unwrap_or_else(|| std::mem::take(&mut app.metadata));
        self.profile.apply(&mut app.profile);
        self.retry_policy.apply(&mut app.retry_policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    fn app() -> Application {
        Application {
            id: AppId(7),
            org: OrgId(1),
            uid: Some("tenant".into()),
            name: "Tenant".into(),
            throttle_rate: Some(5),
            metadata: [("a".to_owned(), "b".to_owned())].into(),
            profile: Some("svix".into()),
            retry_policy: Some(RetryPolicy::Delays(vec![1])),
            created_at: Time(1),
            updated_at: Time(1),
        }
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let patch: ApplicationPatch = serde_json::from_str(r#"{"uid":null,"metadata":{}}"#).unwrap();
        let mut changed = app();
        patch.apply(&mut changed);
        assert_eq!(changed, Application { uid: None, metadata: Metadata::new(), ..app() });
        assert!(serde_json::from_str::<ApplicationPatch>(r#"{"name":null}"#).is_err());
    }

    #[test]
    fn a_replacement_keeps_what_older_clients_do_not_know() {
        let form: ApplicationIn = serde_json::from_str(r#"{"name":"New","newerField":1}"#).unwrap();
        let mut changed = app();
        form.replace(&mut changed);
        let expected = Application { uid: None, name: "New".into(), throttle_rate: None, metadata: Metadata::new(), ..app() };
        assert_eq!(changed, expected);
    }

    #[test]
    fn rules_are_checked() {
        let faults = |text: &str| serde_json::from_str::<ApplicationIn>(text).unwrap().check(&["body"]).is_err();
        assert!(!faults(r#"{"name":"x","uid":"a.b-c_D","throttleRate":1,"metadata":null,"retryPolicy":[1,2]}"#));
        let own = format!(r#"{{"name":"x","uid":"{}"}}"#, AppId(3));
        let long = format!(r#"{{"name":"{}"}}"#, "n".repeat(MAX_TEXT + 1));
        for bad in [r#"{"name":""}"#, r#"{"name":"x","uid":"a b"}"#, r#"{"name":"x","throttleRate":0}"#, &own, &long] {
            assert!(faults(bad), "{bad}");
        }
    }

    #[test]
    fn the_answer_has_the_contract_s_names() {
        let out = serde_json::to_value(ApplicationOut::from(&app())).unwrap();
        assert_eq!(out["createdAt"], "1970-01-01T00:00:00.001Z");
        assert_eq!((&out["throttleRate"], &out["uid"], &out["profile"]), (&5.into(), &"tenant".into(), &"svix".into()));
    }
}
