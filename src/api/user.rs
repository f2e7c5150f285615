//! Users: people who may sign in to the dashboard, made, changed, deleted and given links. Ours, not of the compatible
//! contract.
//!
//! A name is unique within its organization: whether somebody elsewhere has it too is nobody's business here, and making a
//! user does not tell.

use super::{
    Api, Base, Caller, Errors, Json, Path, Problem, Query, Shared, Stamp,
    page::{FixedPageQuery, ListResponse, Ordering},
    rules::Check,
};
use crate::{
    crypto::fingerprint,
    model::{Address, Grant, Kind, Opens, OrgId, Record, Role, Session, SessionId, Time, User, UserId},
    random::Random,
    store::{Change, Conflict, ListPage, Store, StoreError, Stored},
};
use axum::{extract::State, http::StatusCode};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::Zeroizing;

/// How long a link to sign in works, once.
pub const LINK_LASTS: Duration = Duration::from_secs(24 * 3600);
/// What a session's text starts with, and a link's.
const TEXT_PREFIX: &str = "prs_";
/// Bytes of chance in a text.
const TEXT_BYTES: usize = 32;
/// The longest name, in characters.
const MAX_NAME: usize = 100;
/// Records that are read at once.
const AT_ONCE: usize = 200;
/// Tries to change a user that is being changed at the same time.
const TRIES: usize = 8;

/// The routes.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete)).routes(routes!(link))
}

/// A user to make.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserIn {
    /// The name to sign in with, or an address of e-mail.
    #[schema(min_length = 1, max_length = 100)]
    pub login: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(value_type = String, pattern = "viewer|operator|admin")]
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
    #[schema(value_type = Option<String>, pattern = "viewer|operator|admin")]
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

/// The path of a link with that text.
#[must_use]
pub fn link_path(text: &str) -> String {
    format!("/dashboard/enter?link={text}")
}

/// A session, and its text. It is not stored yet.
#[must_use]
pub fn begin(
    random: &Random,
    (now, end): (Time, Time),
    user: &User,
    (opens, agent): (Opens, String),
) -> (Session, Zeroizing<String>) {
    let mut text = Zeroizing::new(String::from(TEXT_PREFIX));
    URL_SAFE_NO_PAD.encode_string(*Zeroizing::new(random.bytes::<TEXT_BYTES>()), &mut text);
    let hash = fingerprint(text.as_bytes());
    let id = SessionId(random.id(now));
    let session =
        Session { id, org: user.org, user: user.id, hash, opens, agent, by_link: false, created_at: now, expires_at: end };
    (session, text)
}

/// A link to sign in once; what is stored of it, and its text.
#[must_use]
pub fn new_link(random: &Random, now: Time, user: &User) -> (Session, Zeroizing<String>) {
    begin(random, (now, now.plus(LINK_LASTS)), user, (Opens::Once, String::new()))
}

/// Makes a user, whom `write` stores; the path of their first link.
///
/// # Errors
/// 422 for a name that cannot be one, 409 when somebody has it.
pub async fn add<F>(
    write: impl FnOnce(Vec<Change>) -> F,
    random: &Random,
    now: Time,
    (org, wanted): (OrgId, UserIn),
) -> Result<(User, String), Problem>
where
    F: Future<Output = Result<(), StoreError>>,
{
    let login = wanted.login.trim().to_lowercase();
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    let mut check = Check::new();
    let fits = (1..=MAX_NAME).contains(&login.chars().count()) && login.chars().all(plain);
    check.rule(fits, &["body", "login"], "pattern", "It has 1 to 100 characters and no spaces.");
    check_name(&mut check, &wanted.name);
    check.done()?;
    let id = UserId(random.id(now));
    let (name, role) = (wanted.name.trim().to_owned(), wanted.role);
    let user = User { id, org, login, name, role, password: None, created_at: now, updated_at: now };
    let (session, text) = new_link(random, now, &user);
    let changes = vec![Change::Insert(Record::User(user.clone())), Change::Insert(Record::Session(session))];
    match write(changes).await {
        Err(StoreError::Conflict(Conflict::Record(Kind::User))) => Err(Problem::conflict("Somebody has this name already.")),
        other => Ok(other.map(|()| (user, link_path(&text)))?),
    }
}

/// The user with this name or id, and the path of a link for them, which `write` stores.
///
/// # Errors
/// 404.
pub async fn relink<F>(
    store: &dyn Store,
    write: impl FnOnce(Vec<Change>) -> F,
    random: &Random,
    now: Time,
    (org, who): (OrgId, &str),
) -> Result<(User, String), Problem>
where
    F: Future<Output = Result<(), StoreError>>,
{
    let address = match who.parse::<UserId>() {
        Ok(id) => Address::new(Kind::User, org, id),
        Err(_) => Address::new(Kind::User, org, who.to_lowercase()),
    };
    let found = store.find(&address, now).await?.map(|stored| stored.record);
    let Some(Record::User(user)) = found else { return Err(Problem::not_found("user")) };
    let (session, text) = new_link(random, now, &user);
    write(vec![Change::Insert(Record::Session(session))]).await?;
    Ok((user, link_path(&text)))
}

/// The users of an organization, oldest first.
///
/// # Errors
/// The store is away.
pub async fn all(store: &dyn Store, org: OrgId, now: Time) -> Result<Vec<User>, StoreError> {
    let mut users = Vec::new();
    each(store, (Kind::User, org, now), |record| {
        if let Record::User(user) = record {
            users.push(user);
        }
        true
    })
    .await?;
    Ok(users)
}

/// A user's sessions, and their links.
///
/// # Errors
/// The store is away.
pub async fn sessions_of(store: &dyn Store, user: &User, now: Time) -> Result<Vec<Session>, StoreError> {
    let mut sessions = Vec::new();
    each(store, (Kind::Session, user.org, now), |record| {
        if let Record::Session(session) = record
            && session.user == user.id
        {
            sessions.push(session);
        }
        true
    })
    .await?;
    sessions.reverse();
    Ok(sessions)
}

/// Shows records of an organization one by one, until `more` has enough.
async fn each(
    store: &dyn Store,
    (kind, org, now): (Kind, OrgId, Time),
    mut more: impl FnMut(Record) -> bool + Send,
) -> Result<(), StoreError> {
    let (scope, mut after) = (org.to_string(), None::<String>);
    loop {
        let page = ListPage { after: after.as_deref(), backwards: false, limit: AT_ONCE };
        let found = store.list(kind, &scope, page, now).await?;
        let last = found.last().map(|stored| stored.record.address().key).filter(|_| found.len() == AT_ONCE);
        for stored in found {
            if !more(stored.record) {
                return Ok(());
            }
        }
        match last {
            Some(key) => after = Some(key),
            None => return Ok(()),
        }
    }
}

/// An admin of the organization who is somebody else.
async fn other_admin(store: &dyn Store, user: &User, now: Time) -> Result<Option<UserId>, StoreError> {
    let mut other = None;
    each(store, (Kind::User, user.org, now), |record| {
        if let Record::User(found) = record
            && found.role == Role::Admin
            && found.id != user.id
        {
            other = Some(found.id);
        }
        other.is_none()
    })
    .await?;
    Ok(other)
}

/// Whether the organization would be without an admin if it were without this user.
///
/// # Errors
/// The store is away.
pub async fn last_admin(store: &dyn Store, user: &User, now: Time) -> Result<bool, StoreError> {
    Ok(user.role == Role::Admin && other_admin(store, user, now).await?.is_none())
}

/// What must be changed together with an admin who ceases to be one, so that another is left: that other one is put in place
/// of themselves, under their revision. Of two admins who take each other's role away at the same moment, one is too late.
///
/// # Errors
/// 409: there is no other.
pub async fn keeping_an_admin(store: &dyn Store, user: &User, now: Time) -> Result<Option<Change>, Problem> {
    if user.role != Role::Admin {
        return Ok(None);
    }
    let nobody = || Problem::conflict("This is the last admin. Make somebody else an admin first.");
    let other = other_admin(store, user, now).await?.ok_or_else(nobody)?;
    let found = store.find(&Address::new(Kind::User, user.org, other), now).await?.ok_or(StoreError::Stale)?;
    match &found.record {
        Record::User(still) if still.role == Role::Admin => Ok(Some(Change::Replace(found.record, found.revision))),
        _ => Err(StoreError::Stale.into()),
    }
}

fn check_name(check: &mut Check, name: &str) {
    check.rule(name.chars().count() <= MAX_NAME, &["body", "name"], "length", "It has at most 100 characters.");
    check.rule(!name.chars().any(char::is_control), &["body", "name"], "pattern", "It has no control characters.");
}

async fn find(store: &dyn Store, (org, who): (OrgId, &str), now: Time) -> Result<(User, u64), Problem> {
    let address = match who.parse::<UserId>() {
        Ok(id) => Address::new(Kind::User, org, id),
        Err(_) => Address::new(Kind::User, org, who.to_lowercase()),
    };
    match store.find(&address, now).await? {
        Some(Stored { record: Record::User(user), revision }) => Ok((user, revision)),
        _ => Err(Problem::not_found("user")),
    }
}

/// Changes a user; as they are then.
///
/// # Errors
/// 404; 409 when the organization would be without an admin; 422.
pub async fn change(api: &Api, (org, who): (OrgId, &str), wanted: &UserPatch) -> Result<User, Problem> {
    let mut check = Check::new();
    check_name(&mut check, wanted.name.as_deref().unwrap_or_default());
    check.done()?;
    let store = &*api.engine.store;
    for _ in 0..TRIES {
        let now = api.engine.clock.now();
        let (user, revision) = find(store, (org, who), now).await?;
        let role = wanted.role.unwrap_or(user.role);
        let mut changes = Vec::new();
        if role != Role::Admin {
            match keeping_an_admin(store, &user, now).await {
                Ok(kept) => changes.extend(kept),
                Err(Problem::Conflict(_)) if other_admin(store, &user, now).await?.is_some() => continue,
                Err(problem) => return Err(problem),
            }
        }
        let name = wanted.name.as_ref().map_or_else(|| user.name.clone(), |name| name.trim().to_owned());
        let changed = User { name, role, updated_at: now, ..user };
        changes.push(Change::Replace(Record::User(changed.clone()), revision));
        match api.engine.change(changes).await {
            Err(StoreError::Stale) => {}
            other => return Ok(other.map(|()| changed)?),
        }
    }
    Err(StoreError::Stale.into())
}

/// Deletes a user with all their sessions.
///
/// # Errors
/// 404; 409 when the organization would be without an admin.
pub async fn remove(api: &Api, (org, who): (OrgId, &str)) -> Result<(), Problem> {
    let store = &*api.engine.store;
    for _ in 0..TRIES {
        let now = api.engine.clock.now();
        let (user, revision) = find(store, (org, who), now).await?;
        let mut changes = Vec::new();
        match keeping_an_admin(store, &user, now).await {
            Ok(kept) => changes.extend(kept),
            Err(Problem::Conflict(_)) if other_admin(store, &user, now).await?.is_some() => continue,
            Err(problem) => return Err(problem),
        }
        let sessions = sessions_of(store, &user, now).await?;
        changes.extend(sessions.into_iter().map(|session| Change::Delete(Address::new(Kind::Session, org, session.id))));
        // As a viewer first, under the revision: somebody who was changed meanwhile is not deleted as they were.
        let (id, last) = (user.id, User { role: Role::Viewer, updated_at: now, ..user });
        changes.push(Change::Replace(Record::User(last), revision));
        match api.engine.change(changes).await {
            Ok(()) => return Ok(api.engine.change(vec![Change::Delete(Address::new(Kind::User, org, id))]).await?),
            Err(StoreError::Stale) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Stale.into())
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
