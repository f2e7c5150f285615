//! Users: people who may sign in to the dashboard, made, changed, deleted and given links. Ours, not of the compatible
//! contract.
//!
//! A name is unique within its organization: whether somebody elsewhere has it too is nobody's business here, and making a
//! user does not tell.

mod admins;
mod crud;
mod people;
mod sessions;
mod shape;

pub use admins::{keeping_an_admin, last_admin};
pub use people::{add, all, change, relink, remove};
pub use sessions::{LINK_LASTS, begin, link_path, new_link, sessions_of};
pub(super) use shape::limits;
pub use shape::{UserIn, UserLinkOut, UserOut, UserPatch};

use super::Shared;
use crate::{
    model::{Kind, OrgId, Record, Time},
    store::{ListPage, Store, StoreError},
};
use utoipa_axum::router::OpenApiRouter;

/// The longest name, in characters.
const MAX_NAME: usize = 100;
/// Records that are read at once.
const AT_ONCE: usize = 200;

/// The routes.
pub fn routes() -> OpenApiRouter<Shared> {
    crud::routes()
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
