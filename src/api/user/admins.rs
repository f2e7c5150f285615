//! An organization has an admin, whatever is done to its users.

use super::each;
use crate::{
    api::Problem,
    model::{Address, Kind, Record, Role, Time, User, UserId},
    store::{Change, Store, StoreError},
};

/// An admin of the organization who is somebody else.
pub(super) async fn other_admin(store: &dyn Store, user: &User, now: Time) -> Result<Option<UserId>, StoreError> {
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
