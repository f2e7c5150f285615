//! The application that a message brings with it: made when the path names one that does not exist.

use crate::{
    api::{Api, Problem, body::parse_json, message::labels, rules::Check},
    model::{AppId, Application, Metadata, OrgId, ProfileName, Record},
    store::{Change, Conflict, StoreError},
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A new application.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApplicationIn {
    name: String,
    uid: Option<String>,
    throttle_rate: Option<u16>,
    #[serde(default)]
    metadata: Metadata,
}

/// Makes the application that the path names by uid. Somebody else may make it at the same moment: that is fine too.
///
/// # Errors
/// The path is an id, or another uid than the application's; a field breaks its rule; the store is away.
pub(super) async fn create(api: &Api, org: OrgId, path: &str, given: &RawValue) -> Result<(), Problem> {
    let given: ApplicationIn = parse_json(given.get().as_bytes())?;
    let loc = ["body", "application", "uid"];
    if path.parse::<AppId>().is_ok() {
        return Err(Problem::not_found("application"));
    }
    if given.uid.as_deref().is_some_and(|uid| uid != path) {
        return Err(Problem::field(&loc, "mismatch", "The uid must be the one in the path."));
    }
    labels::name(&loc, path)?;
    let mut check = Check::new();
    check.text(&["body", "application", "name"], &given.name, 1);
    check.metadata(&["body", "application", "metadata"], &given.metadata);
    given.throttle_rate.iter().for_each(|rate| check.rate(&["body", "application", "throttleRate"], *rate));
    check.done()?;
    let now = api.engine.clock.now();
    let application = Application {
        id: AppId(api.engine.random.id(now)),
        org,
        uid: Some(path.to_owned()),
        name: given.name,
        throttle_rate: given.throttle_rate,
        metadata: given.metadata,
        profile: ProfileName::default(),
        retry_policy: None,
        created_at: now,
        updated_at: now,
    };
    match api.engine.change(vec![Change::Insert(Record::Application(application))]).await {
        Ok(()) | Err(StoreError::Conflict(Conflict::Record(_))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
