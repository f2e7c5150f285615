//! Which application an endpoint belongs to. Keys start with the application, and most questions name the endpoint alone;
//! an endpoint never changes hands, so what is known stays true.

use super::{
    link::Links,
    wire::{self, Id},
};
use crate::{
    model::{AppId, EndpointId},
    store::StoreError,
};
use foldhash::HashMap;
use parking_lot::RwLock;
use tokio_postgres::types::Type;

/// What is known.
#[derive(Default)]
pub(super) struct Owners(RwLock<HashMap<EndpointId, AppId>>);

impl Owners {
    /// The owner, if it is known here.
    pub(super) fn known(&self, endpoint: EndpointId) -> Option<AppId> {
        self.0.read().get(&endpoint).copied()
    }

    /// Remembers owners that the database has now.
    pub(super) fn learn(&self, owners: impl IntoIterator<Item = (EndpointId, AppId)>) {
        let mut owners = owners.into_iter().peekable();
        if owners.peek().is_some() {
            self.0.write().extend(owners);
        }
    }

    /// Forgets one: it was purged.
    pub(super) fn forget(&self, endpoint: EndpointId) {
        self.0.write().remove(&endpoint);
    }

    /// The owner; `None` when nothing was ever sent to the endpoint.
    pub(super) async fn of(&self, links: &Links, endpoint: EndpointId) -> Result<Option<AppId>, StoreError> {
        if let Some(app) = self.known(endpoint) {
            return Ok(Some(app));
        }
        let rows =
            links.read("SELECT app FROM postrider.lanes WHERE endpoint = $1 LIMIT 1", &[(&Id(endpoint.0), Type::UUID)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let app = AppId(wire::get::<Id>(row, "app")?.0);
        self.learn([(endpoint, app)]);
        Ok(Some(app))
    }
}
