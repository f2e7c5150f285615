//! Receiving: third parties post to sources. Verify → deduplicate → record durably → answer → route.
//!
//! A source lives in a table in memory ([`Sources`]), compiled: its secrets open, its verifier ready. The table follows the
//! engine's changes of configuration, in their order.

mod admit;
mod arrival;
mod compiled;
mod confirm;
mod duplicates;
mod event;
mod handshake;
mod linger;
mod memory;
mod reason;
mod receive;
mod rejection;
mod state;
mod table;
mod throttle;

pub use arrival::{Arrival, Head};
pub use compiled::{Compiled, NotCompiled, Rules, SECRET_PURPOSE, SETTING_PURPOSE, TOKEN_PURPOSE};
pub use linger::linger;
pub use reason::Reason;
pub use receive::{Received, Recorded};
pub use state::State;
pub use table::Sources;

use confirm::Confirmations;
use duplicates::Repeated;
use memory::{Memory, Room};
use rejection::{Allowance, Rejections};
use throttle::Throttle;

use crate::{
    flow::Engine,
    model::{Kind, Record},
    store::StoreError,
};
use std::{fmt, sync::Arc, time::Duration};

/// What the steps of receiving share.
pub struct Inbound {
    /// The engine, which records and routes what is received.
    pub engine: Arc<Engine>,
    /// The sources in memory.
    pub sources: Arc<Sources>,
    rejections: Arc<Rejections>,
    confirmations: Confirmations,
    duplicates: Repeated,
    memory: Memory,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("sources", &self.sources).finish_non_exhaustive()
    }
}

impl Inbound {
    /// Loads the table, and lets it follow the engine's changes from then on. Once for an engine, before it serves.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(engine: Arc<Engine>) -> Result<Arc<Self>, StoreError> {
        let sources = Arc::new(Sources::new(engine.vault.clone()));
        engine.follow_sources(sources.clone());
        let load = |stored: crate::store::Stored| {
            if let Record::Source(source) = stored.record {
                crate::flow::SourceTable::put(&*sources, source);
            }
        };
        engine.store.each(Kind::Source, engine.clock.now(), &mut |stored| load(stored)).await?;
        let rejections = Arc::new(Rejections::new(engine.clone()));
        let confirmations = Confirmations::new(engine.clone(), rejections.clone());
        let (duplicates, memory) = (Repeated::default(), Memory::of_all());
        let inbound = Arc::new(Inbound { engine, sources, rejections, confirmations, duplicates, memory });
        tokio::spawn(duplicates::keep(inbound.clone()));
        Ok(inbound)
    }

    /// Waits until what receiving does in the background has ended, at most so long. When nothing is received any more, and
    /// before the engine ends.
    pub async fn drain(&self, within: Duration) {
        self.confirmations.drain(within).await;
        self.write_duplicates().await;
    }
}
