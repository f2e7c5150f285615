//! The table of sources in memory: by id, and by the hash of a token of the receive URL. Receiving reads nothing from the
//! store to find its source.

use super::{
    Memory, State,
    compiled::{Compiled, Hash, hash_of},
};
use crate::{
    crypto::Vault,
    flow::SourceTable,
    model::{Address, AppId, OrgId, Source, SourceId, Time},
};
use parking_lot::RwLock;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Weak},
};

/// All sources, compiled.
pub struct Sources {
    vault: Arc<Vault>,
    maps: RwLock<Maps>,
}

#[derive(Default)]
struct Maps {
    ids: HashMap<SourceId, Arc<Compiled>>,
    tokens: HashMap<Hash, Arc<Compiled>>,
    /// Whose they are, also of those that cannot be compiled.
    owners: HashMap<SourceId, Owned>,
    /// The memory that an application's sources share, as long as it has any.
    memories: HashMap<AppId, Weak<Memory>>,
}

/// Whose a source is, and what that one calls it.
#[derive(Debug)]
struct Owned {
    org: OrgId,
    app: AppId,
    by_app: bool,
    uid: Option<String>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sources({})", self.maps.read().ids.len())
    }
}

impl Sources {
    /// An empty table. Secrets are opened with the vault.
    #[must_use]
    pub fn new(vault: Arc<Vault>) -> Self {
        Sources { vault, maps: RwLock::default() }
    }

    /// The source to whose URL the token belongs now. A token that is unknown costs what a known one does: it is looked up
    /// by its hash, never compared.
    #[must_use]
    pub fn by_token(&self, token: &str, now: Time) -> Option<Arc<Compiled>> {
        let hash = hash_of(token);
        let found = self.maps.read().tokens.get(&hash).cloned();
        found.filter(|source| source.answers_to(&hash, now))
    }

    /// The source with this id.
    #[must_use]
    pub fn by_id(&self, id: SourceId) -> Option<Arc<Compiled>> {
        self.maps.read().ids.get(&id).cloned()
    }

    /// Other sources beside this one: of the same application, owned by the same, at most so many.
    #[must_use]
    pub fn of_app(&self, beside: &Source, limit: usize) -> Vec<Arc<Compiled>> {
        let maps = self.maps.read();
        let like = |other: &&Arc<Compiled>| {
            let other = &other.source;
            other.id != beside.id && (other.org, other.app, other.app_owned) == (beside.org, beside.app, beside.app_owned)
        };
        let mut others: Vec<Arc<Compiled>> = maps.ids.values().filter(like).cloned().collect();
        others.sort_unstable_by_key(|other| other.source.id);
        others.truncate(limit);
        others
    }

    /// How many sources send their messages to an application.
    #[must_use]
    pub fn count(&self, app: AppId) -> usize {
        self.maps.read().owners.values().filter(|owned| owned.app == app).count()
    }

    /// Whether the organization itself owns sources whose messages go to that application.
    #[must_use]
    pub fn holds_own(&self, app: AppId) -> bool {
        self.maps.read().owners.values().any(|owned| owned.app == app && !owned.by_app)
    }

    /// The sources of an organization that have this uid, and whether an application owns them: at most one of the
    /// organization's own, which comes first, and one of each application.
    #[must_use]
    pub fn named(&self, org: OrgId, uid: &str) -> Vec<(bool, SourceId)> {
        let maps = self.maps.read();
        let named = maps.owners.iter().filter(|(_, owned)| owned.org == org && owned.uid.as_deref() == Some(uid));
        let mut named: Vec<(bool, SourceId)> = named.map(|(id, owned)| (owned.by_app, *id)).collect();
        named.sort_unstable();
        named
    }
}

impl SourceTable for Sources {
    fn put(&self, source: Source) {
        let id = source.id;
        let owner = Owned { org: source.org, app: source.app, by_app: source.app_owned, uid: source.uid.clone() };
        let state = match self.by_id(id) {
            Some(known) => known.state.clone(),
            None => Arc::new(State::of(self.maps.write().memory_of(source.app))),
        };
        let compiled = Compiled::new(source, &self.vault, state);
        let mut maps = self.maps.write();
        maps.forget(id);
        maps.owners.insert(id, owner);
        match compiled {
            Ok(compiled) => maps.put(Arc::new(compiled)),
            Err(error) => tracing::error!(%error, source = %id, "source left out: it answers nobody"),
        }
    }

    fn remove(&self, id: SourceId) {
        self.maps.write().forget(id);
    }

    fn app_of(&self, id: SourceId) -> Option<AppId> {
        self.maps.read().owners.get(&id).map(|owned| owned.app)
    }

    fn addresses(&self, app: AppId) -> Vec<Address> {
        let maps = self.maps.read();
        let own = maps.owners.iter().filter(|(_, owned)| owned.app == app);
        own.map(|(id, owned)| Address::source(owned.org, *id)).collect()
    }
}

impl Maps {
    /// What the sources of an application share.
    fn memory_of(&mut self, app: AppId) -> Arc<Memory> {
        if let Some(memory) = self.memories.get(&app).and_then(Weak::upgrade) {
            return memory;
        }
        if self.memories.len() > self.owners.len() {
            // Of applications that have none any more.
            self.memories.retain(|_, memory| memory.strong_count() > 0);
        }
        let memory = Arc::new(Memory::of_application());
        self.memories.insert(app, Arc::downgrade(&memory));
        memory
    }

    fn put(&mut self, compiled: Arc<Compiled>) {
        for hash in compiled.hashes() {
            self.tokens.insert(hash, compiled.clone());
        }
        self.ids.insert(compiled.source.id, compiled);
    }

    fn forget(&mut self, id: SourceId) {
        self.owners.remove(&id);
        if let Some(old) = self.ids.remove(&id) {
            for hash in old.hashes() {
                self.tokens.remove(&hash);
            }
        }
    }
}

#[cfg(test)]
mod tests;
