//! Who wears a profile: applications and endpoints that name it, and the organization that wants it for all.

use super::shape::read;
use crate::{
    api::{
        Api, Caller, Errors, Json, Patch, Problem, Shared,
        endpoint::{known_profile, refused},
        revise::revise,
    },
    model::{Address, Application, DEFAULT_PROFILE, Endpoint, Kind, OrgId, Profile, Record},
    routing::CompiledProfile,
    store::ListPage,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Endpoints that are read at once.
const PAGE: usize = 500;

/// The profile that an organization wants where nobody says otherwise.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(super) struct DefaultProfile {
    /// Its name; null: `standard`.
    profile: Option<String>,
}

/// Checks that the profile that is named is there.
///
/// # Errors
/// 422.
pub(in crate::api) fn check_named(api: &Api, org: OrgId, named: &Patch<String>) -> Result<(), Problem> {
    named.value().map_or(Ok(()), |name| known_profile(api, org, name).map(drop))
}

/// Checks that the endpoints of an application can be delivered to once it has that profile.
///
/// # Errors
/// 422 naming the first that cannot; the store is away.
pub(in crate::api) async fn check_worn(api: &Api, application: &Application, named: &Patch<String>) -> Result<(), Problem> {
    let name = match named {
        Patch::Absent => return Ok(()),
        Patch::Null => None,
        Patch::Value(name) => Some(name.clone()),
    };
    if name == application.profile {
        return Ok(());
    }
    let org = application.org;
    let name = name.or_else(|| api.engine.routing.wanted_profile(org)).unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
    let profile = known_profile(api, org, &name)?;
    check_endpoints(api, application, &profile, |endpoint| endpoint.profile.is_none()).await
}

/// Checks that every endpoint that wears a profile could also wear its new form.
///
/// # Errors
/// 422 naming the first that could not; the store is away.
pub(super) async fn check_new_form(api: &Api, org: OrgId, name: &str, profile: &Profile) -> Result<(), Problem> {
    let compiled = Arc::new(CompiledProfile::compile(name, profile));
    for app in api.engine.routing.apps_of(org) {
        let Some(app) = api.engine.routing.by_id(app) else { continue };
        let worn: Vec<_> = app.routes.iter().filter(|route| *route.profile.name == *name).map(|route| route.id).collect();
        if !worn.is_empty() {
            check_endpoints(api, &app.application, &compiled, |endpoint| worn.contains(&endpoint.id)).await?;
        }
    }
    Ok(())
}

async fn check_endpoints(
    api: &Api,
    application: &Application,
    profile: &Arc<CompiledProfile>,
    wears: impl Fn(&Endpoint) -> bool,
) -> Result<(), Problem> {
    let (scope, mut after) = (application.id.to_string(), None::<String>);
    loop {
        let page = ListPage { after: after.as_deref(), backwards: false, limit: PAGE };
        let found = api.engine.store.list(Kind::Endpoint, &scope, page, api.engine.clock.now()).await?;
        after = found.last().map(|stored| stored.record.address().key);
        let last = found.len() < PAGE;
        for stored in found {
            let Record::Endpoint(endpoint) = stored.record else { continue };
            if wears(&endpoint)
                && let Err(error) = api.engine.routing.compile_as(&endpoint, profile.clone(), &api.engine.vault)
            {
                let rule = format!("The endpoint {} could not wear it: {error}.", endpoint.id);
                return Err(Problem::field(&["body", "profile"], "worn", rule));
            }
        }
        if last {
            return Ok(());
        }
    }
}

/// Who names a profile, in words; `None`: nobody.
pub(super) fn worn_by(api: &Api, org: OrgId, name: &str) -> Option<String> {
    if api.engine.routing.wanted_profile(org).as_deref() == Some(name) {
        return Some("the organization wants it by default".to_owned());
    }
    let apps = api.engine.routing.apps_of(org).into_iter().filter_map(|app| api.engine.routing.by_id(app));
    apps.into_iter().find_map(|app| {
        if app.application.profile.as_deref() == Some(name) {
            return Some(format!("the application {} has it", app.application.id));
        }
        let route = app.routes.iter().find(|route| *route.profile.name == *name)?;
        Some(format!("the endpoint {} has it", route.id))
    })
}

/// The profile that the organization wants where neither an endpoint nor its application says otherwise.
#[utoipa::path(
    get,
    path = "/api/v1/profile/default",
    operation_id = "v1.profile.get-default",
    tag = "Profile",
    responses(Errors, (status = 200, description = "Its name", body = DefaultProfile))
)]
pub(super) async fn get_default(State(api): State<Shared>, caller: Caller) -> Result<axum::Json<DefaultProfile>, Problem> {
    caller.manage()?;
    Ok(axum::Json(DefaultProfile { profile: api.engine.routing.wanted_profile(caller.org) }))
}

/// Sets the profile that the organization wants where neither an endpoint nor its application says otherwise.
#[utoipa::path(
    put,
    path = "/api/v1/profile/default",
    operation_id = "v1.profile.set-default",
    tag = "Profile",
    request_body = DefaultProfile,
    responses(Errors, (status = 200, description = "Its name", body = DefaultProfile))
)]
pub(super) async fn set_default(
    State(api): State<Shared>,
    caller: Caller,
    body: Json<DefaultProfile>,
) -> Result<axum::Json<DefaultProfile>, Problem> {
    caller.manage()?;
    let wanted = body.value.profile;
    let profile = known_profile(&api, caller.org, wanted.as_deref().unwrap_or(DEFAULT_PROFILE))?;
    for app in api.engine.routing.apps_of(caller.org) {
        let Some(app) = api.engine.routing.by_id(app) else { continue };
        if app.application.profile.is_none() {
            check_endpoints(&api, &app.application, &profile, |endpoint| endpoint.profile.is_none()).await?;
        }
    }
    let address = Address::new(Kind::Organization, "", caller.org);
    let revised = revise(&api.engine, &address, |record| {
        let Record::Organization(organization) = record else { return Err(Problem::Internal) };
        organization.profile.clone_from(&wanted);
        Ok(())
    });
    revised.await?.ok_or_else(|| Problem::not_found("organization"))?;
    Ok(axum::Json(DefaultProfile { profile: wanted }))
}

/// A profile that a request brings by name or in full.
///
/// # Errors
/// 422: there is none of that name, or a field breaks its rule.
pub(super) fn named_or_given(api: &Api, org: OrgId, value: serde_json::Value) -> Result<Arc<CompiledProfile>, Problem> {
    match value {
        serde_json::Value::String(name) => known_profile(api, org, &name),
        given => {
            let profile = Arc::new(CompiledProfile::compile("preview", &read("profile", given)?));
            Ok(profile)
        }
    }
}

/// What is said of an endpoint that cannot wear a profile.
pub(super) fn unwearable(error: crate::routing::RouteError) -> Problem {
    refused(error)
}
