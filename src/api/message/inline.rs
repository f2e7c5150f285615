//! The application that a message brings with it: made when the path names one that does not exist.

use crate::{
    api::{Api, Patch, Problem, application::ApplicationIn, body::parse_json, profile},
    model::{AppId, OrgId, Record},
    store::{Change, Conflict, StoreError},
};
use serde_json::value::RawValue;

/// Where it is in the request.
const PLACE: [&str; 2] = ["body", "application"];

/// Reads the application. That is done also where there is one already: what is refused is so whatever was there before.
///
/// # Errors
/// It is no application, or a field breaks its rule.
pub(super) fn read(given: &RawValue) -> Result<ApplicationIn, Problem> {
    let given: ApplicationIn = parse_json(given.get().as_bytes()).map_err(within)?;
    given.check(&PLACE)?;
    Ok(given)
}

/// The problem of a part, its places being those of the whole.
fn within(problem: Problem) -> Problem {
    let Problem::Invalid(mut faults) = problem else { return problem };
    let [_, field] = PLACE;
    faults.iter_mut().for_each(|fault| fault.loc.insert(1, field.to_owned()));
    Problem::Invalid(faults)
}

/// Makes the application that the path names by uid. Somebody else may make it at the same moment: that is fine too.
///
/// # Errors
/// The path is an id, or another uid than the application's, or none that one may have; the store is away.
pub(super) async fn create(api: &Api, org: OrgId, path: &str, mut given: ApplicationIn) -> Result<(), Problem> {
    if path.parse::<AppId>().is_ok() {
        return Err(Problem::not_found("application"));
    }
    if given.uid.value().is_some_and(|uid| uid != path) {
        return Err(Problem::field(&["body", "application", "uid"], "mismatch", "The uid must be the one in the path."));
    }
    given.uid = Patch::Value(path.to_owned());
    given.check(&PLACE)?;
    profile::check_named(api, org, &given.profile)?;
    let application = Record::Application(given.make(api, org));
    match api.engine.change(vec![Change::Insert(application)]).await {
        Ok(()) | Err(StoreError::Conflict(Conflict::Record(_))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
