//! Event types that are reserved: they may be subscribed to, and nobody may send one yet.

use crate::model::{EventType, OrgId};
use foldhash::{HashMap, HashSet};
use parking_lot::RwLock;

/// Names of reserved event types by organization; one without any has no entry.
#[derive(Debug, Default)]
pub(super) struct Reserved(RwLock<HashMap<OrgId, HashSet<String>>>);

impl Reserved {
    pub(super) fn holds(&self, org: OrgId, name: &str) -> bool {
        self.0.read().get(&org).is_some_and(|names| names.contains(name))
    }

    pub(super) fn put(&self, event_type: &EventType) {
        if event_type.reserved && !event_type.archived {
            self.0.write().entry(event_type.org).or_default().insert(event_type.name.clone());
        } else {
            self.remove(event_type.org, &event_type.name);
        }
    }

    pub(super) fn remove(&self, org: OrgId, name: &str) {
        let mut all = self.0.write();
        let Some(names) = all.get_mut(&org) else { return };
        names.remove(name);
        if names.is_empty() {
            all.remove(&org);
        }
    }
}
