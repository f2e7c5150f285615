//! Paces: endpoints that are catching up, in memory.

use crate::model::{CatchUp, EndpointId};
use parking_lot::RwLock;
use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Endpoints that are catching up.
#[derive(Debug, Default)]
pub struct Paces {
    /// Whether there is any: mostly there is none, and then a lane takes no lock.
    any: AtomicBool,
    paces: RwLock<HashMap<EndpointId, CatchUp>>,
}

impl Paces {
    pub(super) fn put(&self, pace: CatchUp) {
        let mut paces = self.paces.write();
        paces.insert(pace.endpoint, pace);
        self.any.store(true, Relaxed);
    }

    pub(super) fn remove(&self, endpoint: EndpointId) {
        let mut paces = self.paces.write();
        paces.remove(&endpoint);
        self.any.store(!paces.is_empty(), Relaxed);
    }

    /// The endpoint's, if it is catching up.
    #[must_use]
    pub fn of(&self, endpoint: EndpointId) -> Option<CatchUp> {
        self.any.load(Relaxed).then(|| self.paces.read().get(&endpoint).copied())?
    }

    /// All.
    #[must_use]
    pub fn all(&self) -> Vec<CatchUp> {
        self.paces.read().values().copied().collect()
    }
}
