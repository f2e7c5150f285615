//! What an organization's event types say of themselves: which are reserved, and in which category each is.

use crate::model::{EventType, OrgId};
use foldhash::HashMap;
use parking_lot::RwLock;
use std::sync::Arc;

/// What is known of an event type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Facts {
    /// It may be subscribed to, and nobody may send one yet.
    reserved: bool,
    /// Its category.
    category: Option<Arc<str>>,
}

/// Facts by organization and event type; one of which there is nothing to say has no entry.
#[derive(Debug, Default)]
pub(super) struct Catalogue(RwLock<HashMap<OrgId, HashMap<String, Facts>>>);

impl Catalogue {
    pub(super) fn is_reserved(&self, org: OrgId, name: &str) -> bool {
        self.0.read().get(&org).and_then(|types| types.get(name)).is_some_and(|facts| facts.reserved)
    }

    /// Whether an event type is in one of these categories.
    pub(super) fn is_in(&self, org: OrgId, name: &str, categories: &[String]) -> bool {
        let all = self.0.read();
        let category = all.get(&org).and_then(|types| types.get(name)).and_then(|facts| facts.category.as_deref());
        category.is_some_and(|category| categories.iter().any(|wanted| wanted == category))
    }

    /// Whether an event type of the organization has this category.
    pub(super) fn has_category(&self, org: OrgId, category: &str) -> bool {
        let all = self.0.read();
        all.get(&org).is_some_and(|types| types.values().any(|facts| facts.category.as_deref() == Some(category)))
    }

    pub(super) fn put(&self, event_type: &EventType) {
        let facts = Facts {
            reserved: event_type.reserved && !event_type.archived,
            category: event_type.group_name.as_deref().map(Into::into),
        };
        if facts == Facts::default() {
            return self.remove(event_type.org, &event_type.name);
        }
        self.0.write().entry(event_type.org).or_default().insert(event_type.name.clone(), facts);
    }

    pub(super) fn remove(&self, org: OrgId, name: &str) {
        let mut all = self.0.write();
        let Some(types) = all.get_mut(&org) else { return };
        types.remove(name);
        if types.is_empty() {
            all.remove(&org);
        }
    }
}
