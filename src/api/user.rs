//! Users: people who may sign in to the dashboard, made and given links. Ours, not of the compatible contract.

use super::{Api, Base, Caller, Errors, Json, Path, Problem, Shared, page::ListResponse, rules::Check};
use crate::{
    crypto::fingerprint,
    model::{Address, Grant, Kind, Opens, OrgId, Record, Role, Session, SessionId, Time, User, UserId},
    random::Random,
    store::{Change, Conflict, ListPage, Store, StoreError},
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
/// Users that are listed.
const MAX_USERS: usize = 500;

/// The routes.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(link))
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
    /// Whether they have a password; otherwise they sign in by links.
    pub has_password: bool,
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
    let session = Session { id, org: user.org, user: user.id, hash, opens, agent, created_at: now, expires_at: end };
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
    check.rule(wanted.name.chars().count() <= MAX_NAME, &["body", "name"], "length", "It has at most 100 characters.");
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
        Err(_) => Address::new(Kind::User, "", who.to_lowercase()),
    };
    let found = store.find(&address, now).await?.map(|stored| stored.record);
    let Some(Record::User(user)) = found else { return Err(Problem::not_found("user")) };
    if user.org != org {
        return Err(Problem::not_found("user"));
    }
    let (session, text) = new_link(random, now, &user);
    write(vec![Change::Insert(Record::Session(session))]).await?;
    Ok((user, link_path(&text)))
}

/// The users of an organization, oldest first; at most 500.
///
/// # Errors
/// The store is away.
pub async fn all(store: &dyn Store, org: OrgId, now: Time) -> Result<Vec<User>, StoreError> {
    let page = ListPage { after: None, backwards: false, limit: MAX_USERS };
    let found = store.list(Kind::User, &org.to_string(), page, now).await?;
    Ok(found.into_iter().filter_map(|stored| if let Record::User(user) = stored.record { Some(user) } else { None }).collect())
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
    responses(Errors, (status = 200, description = "At most 500 users.", body = ListResponse<UserOut>))
)]
async fn list(State(api): State<Shared>, caller: Caller) -> Result<axum::Json<ListResponse<UserOut>>, Problem> {
    caller.manage()?;
    let (store, _, now) = parts(&api);
    let data = all(store, caller.org, now).await?.iter().map(UserOut::of).collect();
    Ok(axum::Json(ListResponse { data, iterator: None, prev_iterator: None, done: true }))
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
