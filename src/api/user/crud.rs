//! `/api/v1/user`: the operations.

use super::{
    people::{add, change, find, relink, remove},
    shape::{UserIn, UserLinkOut, UserOut, UserPatch},
};
use crate::{
    api::{
        Api, Base, Caller, Errors, Json, Path, Problem, Query, Shared,
        page::{FixedPageQuery, ListResponse, Ordering},
    },
    model::{Grant, Kind, Record, Time, User, UserId},
    random::Random,
    store::Store,
};
use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete)).routes(routes!(link))
}

/// A user may become an admin: whoever makes one, or lets one in, holds everything already.
fn whole_key(caller: &Caller) -> Result<(), Problem> {
    match caller.grant {
        Grant::Key => Ok(()),
        _ => Err(Problem::forbidden("Only an API key without limits may make users and their links.")),
    }
}

fn told(base: &Base, (user, path): (User, String)) -> UserLinkOut {
    UserLinkOut { user: UserOut::of(&user), url: format!("{}{path}", base.0) }
}

fn parts(api: &Api) -> (&dyn Store, &Random, Time) {
    (&*api.engine.store, &api.engine.random, api.engine.clock.now())
}

/// Create User.
///
/// Make a user of the dashboard, and the link with which they sign in first and choose a password.
#[utoipa::path(
    post, path = "/api/v1/user", operation_id = "v1.user.create", tag = "User", summary = "Create User",
    request_body = UserIn, responses(Errors, (status = 201, description = "The user, and a link that works once.", body = UserLinkOut))
)]
async fn create(
    State(api): State<Shared>,
    (caller, base): (Caller, Base),
    Json { value, .. }: Json<UserIn>,
) -> Result<(StatusCode, axum::Json<UserLinkOut>), Problem> {
    whole_key(&caller)?;
    let (_, random, now) = parts(&api);
    let made = add(|changes| api.engine.change(changes), random, now, (caller.org, value)).await?;
    Ok((StatusCode::CREATED, axum::Json(told(&base, made))))
}

/// List Users.
///
/// List the users of the dashboard, oldest first.
#[utoipa::path(
    get, path = "/api/v1/user", operation_id = "v1.user.list", tag = "User", summary = "List Users",
    params(FixedPageQuery), responses(Errors, (status = 200, description = "A page of users.", body = ListResponse<UserOut>))
)]
async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(page): Query<FixedPageQuery>,
) -> Result<axum::Json<ListResponse<UserOut>>, Problem> {
    caller.manage()?;
    let page = page.check(Ordering::Ascending, |id| id.parse::<UserId>().is_ok())?;
    let keep = |record| match record {
        Record::User(user) => Some(UserOut::of(&user)),
        _ => None,
    };
    let rows = page.records(&api.engine, Kind::User, &caller.org.to_string(), keep).await?;
    Ok(axum::Json(page.answer(rows, |user| user.id.clone(), |user| user)))
}

/// Get User.
///
/// A user of the dashboard.
#[utoipa::path(
    get, path = "/api/v1/user/{user}", operation_id = "v1.user.get", tag = "User", summary = "Get User",
    params(("user" = String, Path, description = "The user's id, or the name they sign in with")),
    responses(Errors, (status = 200, description = "The user.", body = UserOut))
)]
async fn get(State(api): State<Shared>, caller: Caller, Path(user): Path<String>) -> Result<axum::Json<UserOut>, Problem> {
    caller.manage()?;
    let (store, _, now) = parts(&api);
    Ok(axum::Json(UserOut::of(&find(store, (caller.org, &user), now).await?.0)))
}

/// Patch User.
///
/// Change a user's name or role. The last admin stays one.
#[utoipa::path(
    patch, path = "/api/v1/user/{user}", operation_id = "v1.user.patch", tag = "User", summary = "Patch User",
    params(("user" = String, Path, description = "The user's id, or the name they sign in with")), request_body = UserPatch,
    responses(Errors, (status = 200, description = "The user as they are now.", body = UserOut))
)]
async fn update(
    State(api): State<Shared>,
    caller: Caller,
    Path(user): Path<String>,
    Json { value, .. }: Json<UserPatch>,
) -> Result<axum::Json<UserOut>, Problem> {
    whole_key(&caller)?;
    Ok(axum::Json(UserOut::of(&change(&api, (caller.org, &user), &value).await?)))
}

/// Delete User.
///
/// Delete a user, and sign them out everywhere. The last admin stays.
#[utoipa::path(
    delete, path = "/api/v1/user/{user}", operation_id = "v1.user.delete", tag = "User", summary = "Delete User",
    params(("user" = String, Path, description = "The user's id, or the name they sign in with")),
    responses(Errors, (status = 204, description = "They are gone."))
)]
async fn delete(State(api): State<Shared>, caller: Caller, Path(user): Path<String>) -> Result<StatusCode, Problem> {
    whole_key(&caller)?;
    remove(&api, (caller.org, &user)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Create Sign-in Link.
///
/// Make a link that signs a user in once, within 24 hours.
#[utoipa::path(
    post, path = "/api/v1/user/{user}/link", operation_id = "v1.user.link", tag = "User", summary = "Create Sign-in Link",
    params(("user" = String, Path, description = "The user's id, or the name they sign in with")),
    responses(Errors, (status = 201, description = "The user, and the link.", body = UserLinkOut))
)]
async fn link(
    State(api): State<Shared>,
    (caller, base): (Caller, Base),
    Path(user): Path<String>,
) -> Result<(StatusCode, axum::Json<UserLinkOut>), Problem> {
    whole_key(&caller)?;
    let (store, random, now) = parts(&api);
    let made = relink(store, |changes| api.engine.change(changes), random, now, (caller.org, &user)).await?;
    Ok((StatusCode::CREATED, axum::Json(told(&base, made))))
}
