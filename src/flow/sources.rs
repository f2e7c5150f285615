//! What the engine tells the table of sources. Receiving is built upon the flow, so the flow knows its table only as this.

use super::Engine;
use crate::model::{Address, AppId, Source, SourceId};
use std::sync::Arc;

/// A table of sources that follows the engine's changes of configuration.
pub trait SourceTable: Send + Sync {
    /// Adds a source or takes over its new form.
    fn put(&self, source: Source);

    /// Forgets a source.
    fn remove(&self, id: SourceId);

    /// Where the messages of a source go.
    fn app_of(&self, id: SourceId) -> Option<AppId>;

    /// The sources whose messages go to an application.
    fn addresses(&self, app: AppId) -> Vec<Address>;
}

impl Engine {
    /// Lets a table follow the changes of sources from now on. The first one that asks is the only one.
    pub fn follow_sources(&self, table: Arc<dyn SourceTable>) {
        if self.sources.set(table).is_err() {
            tracing::error!("a second table of sources is not followed");
        }
    }
}
