//! Making, finding, changing and deleting users, for the API, the dashboard and the command line.

use super::{
    MAX_NAME,
    admins::{keeping_an_admin, other_admin},
    each, link_path, new_link, sessions_of,
    shape::{UserIn, UserPatch},
};
use crate::{
    api::{Api, Problem, rules::Check},
    model::{Address, Kind, OrgId, Record, Role, Time, User, UserId, is_unseen},
    random::Random,
    store::{Change, Conflict, Store, StoreError, Stored},
};

/// Tries to change a user that is being changed at the same time.
const TRIES: usize = 8;

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
    let plain = |c: char| !c.is_whitespace() && !is_unseen(c);
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

fn check_name(check: &mut Check, name: &str) {
    check.title(&["body", "name"], name, 0..=MAX_NAME);
}

/// The user with this name or id, and the revision under which they were read.
///
/// # Errors
/// 404.
pub(super) async fn find(store: &dyn Store, (org, who): (OrgId, &str), now: Time) -> Result<(User, u64), Problem> {
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
