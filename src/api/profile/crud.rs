//! Making, reading, changing and deleting the organization's own profiles.

use super::{
    shape::{ProfileCloneIn, ProfileIn, ProfileOut, ProfileUpdate, ProfilesOut, changed, read},
    worn::{check_new_form, worn_by},
};
use crate::{
    api::{Api, Caller, Errors, Json, Path, Problem, Shared, revise::revise},
    model::{Address, BUILT_IN_PROFILES, Kind, OrgId, OwnProfile, Profile, Record, built_in, check_profile_name},
    store::{Change, ListPage},
};
use axum::{extract::State, http::StatusCode};
use serde_json::Value;

/// Profiles that an organization has of its own at most.
const MAX_OWN: usize = 200;
/// Names that mean something else in the paths of this resource.
const TAKEN: [&str; 2] = ["default", "preview"];

fn missing() -> Problem {
    Problem::not_found("profile")
}

/// All profiles: the built-in ones first, then the organization's own.
#[utoipa::path(
    get,
    path = "/api/v1/profile",
    operation_id = "v1.profile.list",
    tag = "Profile",
    responses(Errors, (status = 200, description = "All profiles", body = ProfilesOut))
)]
pub(super) async fn list(State(api): State<Shared>, caller: Caller) -> Result<axum::Json<ProfilesOut>, Problem> {
    caller.manage()?;
    let page = ListPage { after: None, backwards: false, limit: MAX_OWN };
    let own = api.engine.store.list(Kind::Profile, &caller.org.to_string(), page, api.engine.clock.now()).await?;
    let own = own.into_iter().filter_map(|stored| match stored.record {
        Record::Profile(own) => Some(ProfileOut::from(*own)),
        _ => None,
    });
    let all = BUILT_IN_PROFILES.iter().filter_map(|name| Some(ProfileOut::built_in(name, built_in(name)?)));
    Ok(axum::Json(ProfilesOut { data: all.chain(own).collect() }))
}

/// Makes a profile.
#[utoipa::path(
    post,
    path = "/api/v1/profile",
    operation_id = "v1.profile.create",
    tag = "Profile",
    request_body = ProfileIn,
    responses(Errors, (status = 201, description = "Made", body = ProfileOut))
)]
pub(super) async fn create(
    State(api): State<Shared>,
    caller: Caller,
    body: Json<ProfileIn>,
) -> Result<(StatusCode, axum::Json<ProfileOut>), Problem> {
    caller.manage()?;
    let profile = read("profile", body.value.profile)?;
    insert(&api, caller.org, body.value.name, profile).await
}

/// Copies a profile, built-in or the organization's own, under another name and with changes.
#[utoipa::path(
    post,
    path = "/api/v1/profile/{profile_name}/clone",
    operation_id = "v1.profile.clone",
    tag = "Profile",
    params(("profile_name" = String, Path, description = "The profile to copy")),
    request_body = ProfileCloneIn,
    responses(Errors, (status = 201, description = "Made", body = ProfileOut))
)]
pub(super) async fn clone(
    State(api): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    body: Json<ProfileCloneIn>,
) -> Result<(StatusCode, axum::Json<ProfileOut>), Problem> {
    caller.manage()?;
    let base = find(&api, caller.org, &name).await?.profile;
    let profile = changed(&base, "changes", body.value.changes)?;
    insert(&api, caller.org, body.value.name, profile).await
}

async fn insert(api: &Api, org: OrgId, name: String, profile: Profile) -> Result<(StatusCode, axum::Json<ProfileOut>), Problem> {
    check_profile_name(&name).map_err(|rule| Problem::field(&["body", "name"], "pattern", rule))?;
    if built_in(&name).is_some() || TAKEN.contains(&name.as_str()) {
        return Err(Problem::conflict("A built-in profile has this name, or the API means something else by it."));
    }
    if api.engine.routing.own_profiles(org).len() >= MAX_OWN {
        let rule = format!("An organization has at most {MAX_OWN} profiles of its own.");
        return Err(Problem::bad_request("limit_reached", rule));
    }
    let now = api.engine.clock.now();
    let own = OwnProfile { org, name, profile, created_at: now, updated_at: now };
    api.engine.change(vec![Change::Insert(Record::Profile(Box::new(own.clone())))]).await?;
    Ok((StatusCode::CREATED, axum::Json(own.into())))
}

async fn find(api: &Api, org: OrgId, name: &str) -> Result<ProfileOut, Problem> {
    if let Some(profile) = built_in(name) {
        return Ok(ProfileOut::built_in(name, profile));
    }
    match api.engine.store.find(&Address::profile(org, name), api.engine.clock.now()).await?.map(|stored| stored.record) {
        Some(Record::Profile(own)) => Ok((*own).into()),
        _ => Err(missing()),
    }
}

/// A profile.
#[utoipa::path(
    get,
    path = "/api/v1/profile/{profile_name}",
    operation_id = "v1.profile.get",
    tag = "Profile",
    params(("profile_name" = String, Path, description = "The profile's name")),
    responses(Errors, (status = 200, description = "The profile", body = ProfileOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<axum::Json<ProfileOut>, Problem> {
    caller.manage()?;
    find(&api, caller.org, &name).await.map(axum::Json)
}

/// Puts a profile's new form in place. Endpoints that wear it are sent to accordingly from the next attempt on.
#[utoipa::path(
    put,
    path = "/api/v1/profile/{profile_name}",
    operation_id = "v1.profile.update",
    tag = "Profile",
    params(("profile_name" = String, Path, description = "The profile's name")),
    request_body = ProfileUpdate,
    responses(Errors, (status = 200, description = "Updated", body = ProfileOut))
)]
pub(super) async fn update(
    State(api): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    body: Json<ProfileUpdate>,
) -> Result<axum::Json<ProfileOut>, Problem> {
    caller.manage()?;
    edit(&api, caller.org, &name, |_| read("profile", body.value.profile.clone())).await
}

/// Changes what is named; null takes a field away.
#[utoipa::path(
    patch,
    path = "/api/v1/profile/{profile_name}",
    operation_id = "v1.profile.patch",
    tag = "Profile",
    params(("profile_name" = String, Path, description = "The profile's name")),
    request_body = ProfileUpdate,
    responses(Errors, (status = 200, description = "Changed", body = ProfileOut))
)]
pub(super) async fn patch(
    State(api): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    body: Json<ProfileUpdate>,
) -> Result<axum::Json<ProfileOut>, Problem> {
    caller.manage()?;
    let changes: Value = body.value.profile;
    edit(&api, caller.org, &name, |profile| changed(profile, "profile", changes.clone())).await
}

async fn edit(
    api: &Api,
    org: OrgId,
    name: &str,
    change: impl Fn(&Profile) -> Result<Profile, Problem>,
) -> Result<axum::Json<ProfileOut>, Problem> {
    let before = find(api, org, name).await?;
    if before.built_in {
        return Err(Problem::conflict("A built-in profile cannot be changed: clone it."));
    }
    check_new_form(api, org, name, &change(&before.profile)?).await?;
    let now = api.engine.clock.now();
    let address = Address::profile(org, name);
    let revised = revise(&api.engine, &address, |record| {
        let Record::Profile(own) = record else { return Err(Problem::Internal) };
        own.profile = change(&own.profile)?;
        own.updated_at = now;
        Ok(ProfileOut::from((**own).clone()))
    });
    revised.await?.map(axum::Json).ok_or_else(missing)
}

/// Deletes a profile that nobody wears.
#[utoipa::path(
    delete,
    path = "/api/v1/profile/{profile_name}",
    operation_id = "v1.profile.delete",
    tag = "Profile",
    params(("profile_name" = String, Path, description = "The profile's name")),
    responses(Errors, (status = 204, description = "Deleted"))
)]
pub(super) async fn delete(State(api): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    caller.manage()?;
    if find(&api, caller.org, &name).await?.built_in {
        return Err(Problem::conflict("A built-in profile cannot be deleted."));
    }
    if let Some(wearer) = worn_by(&api, caller.org, &name) {
        return Err(Problem::conflict(format!("The profile is in use: {wearer}.")));
    }
    api.engine.change(vec![Change::Delete(Address::profile(caller.org, &name))]).await?;
    Ok(StatusCode::NO_CONTENT)
}
