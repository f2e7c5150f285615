//! The application that a message brings with it: made when the path names one that does not exist.

use crate::{
    api::{Api, Patch, Problem, application::ApplicationIn, body::parse_json, profile},
    model::{AppId, OrgId, Record},
    store::{Change, Conflict, StoreError},
};
use serde_json::value::RawValue;

/// Makes the application that the path names by uid. Somebody else may make it at the same moment: that is fine too.
///
/// # Errors
/// The path is an id, or another uid than the application's; a field breaks its rule; the store is away.
pub(super) async fn create(api: &Api, org: OrgId, path: &str, given: &RawValue) -> Result<(), Problem> {
    let mut given: ApplicationIn = parse_json(given.get().as_bytes())?;
    if path.parse::<AppId>().is_ok() {
        return Err(Problem::not_found("application"));
    }
    if given.uid.value().is_some_and(|uid| uid != path) {
        return Err(Problem::field(&["body", "application", "uid"], "mismatch", "The uid must be the one in the path."));
    }
    given.uid = Patch::Value(path.to_owned());
    given.check(&["body", "application"])?;
    profile::check_named(api, org, &given.profile)?;
    let application = Record::Application(given.make(api, org));
    match api.engine.change(vec![Change::Insert(application)]).await {
        Ok(()) | Err(StoreError::Conflict(Conflict::Record(_))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
