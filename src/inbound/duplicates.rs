//! Duplicates: events that a source has had before are counted, in memory first and every few seconds in a record, so that
//! neither they nor what is new cost a write as they come. A crash loses the count of the last seconds.

use super::Inbound;
use crate::{
    model::{Address, Duplicates, Record, SourceId, Time},
    store::{Change, StoreError},
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Between two writes.
const ROUND: Duration = Duration::from_secs(5);
/// How long a count is kept after the last duplicate: 90 days.
const KEPT: Duration = Duration::from_secs(90 * 86_400);
/// Tries to change a count that other processes change at the same time.
const TRIES: usize = 20;

/// What was not written yet.
#[derive(Clone, Copy, Debug)]
struct Fresh {
    count: u64,
    last_at: Time,
}

/// Duplicates of all sources that were not written yet.
#[derive(Debug, Default)]
pub(super) struct Repeated(Mutex<HashMap<SourceId, Fresh>>);

impl Repeated {
    /// Counts that many duplicates.
    pub(super) fn note(&self, source: SourceId, count: usize, now: Time) {
        self.add(source, Fresh { count: count as u64, last_at: now });
    }

    fn add(&self, source: SourceId, more: Fresh) {
        let mut all = self.0.lock();
        let fresh = all.entry(source).or_insert(Fresh { count: 0, last_at: more.last_at });
        *fresh = Fresh { count: fresh.count + more.count, last_at: fresh.last_at.max(more.last_at) };
    }

    fn of(&self, source: SourceId) -> Option<Fresh> {
        self.0.lock().get(&source).copied()
    }

    fn take(&self) -> HashMap<SourceId, Fresh> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// Writes the counts until the engine stops.
pub(super) async fn keep(inbound: Arc<Inbound>) {
    while !inbound.engine.stopping() {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = inbound.engine.stopped() => return,
        }
        inbound.write_duplicates().await;
    }
}

impl Inbound {
    /// How many duplicates a source has had, and when the last one came; `None`: none in the last 90 days. What other
    /// processes have counted in the last seconds is missing.
    ///
    /// # Errors
    /// The store is away or damaged.
    pub async fn duplicates(&self, source: SourceId) -> Result<Option<(u64, Time)>, StoreError> {
        let fresh = self.duplicates.of(source);
        let written = self.written(source).await?.map(|(record, _)| record);
        Ok(match (written, fresh) {
            (None, None) => None,
            (Some(record), None) => Some((record.count, record.last_at)),
            (None, Some(fresh)) => Some((fresh.count, fresh.last_at)),
            (Some(record), Some(fresh)) => Some((record.count + fresh.count, record.last_at.max(fresh.last_at))),
        })
    }

    async fn written(&self, source: SourceId) -> Result<Option<(Duplicates, u64)>, StoreError> {
        let found = self.engine.store.find(&Address::duplicates(source), self.engine.clock.now()).await?;
        Ok(found.and_then(|found| match found.record {
            Record::Duplicates(record) => Some((record, found.revision)),
            _ => None,
        }))
    }

    /// Writes what was counted; what cannot be written waits for the next time.
    pub(super) async fn write_duplicates(&self) {
        for (source, fresh) in self.duplicates.take() {
            if let Err(error) = self.write_one(source, fresh).await {
                self.duplicates.add(source, fresh);
                tracing::warn!(%error, %source, "duplicates not counted in the store yet");
            }
        }
    }

    async fn write_one(&self, source: SourceId, fresh: Fresh) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let old = self.written(source).await?;
            let (count, last_at) = old.as_ref().map_or((0, fresh.last_at), |(old, _)| (old.count, old.last_at));
            let last_at = last_at.max(fresh.last_at);
            let record = Duplicates { source, count: count + fresh.count, last_at, expires_at: last_at.plus(KEPT) };
            let record = Record::Duplicates(record);
            let change = match old {
                Some((_, revision)) => Change::Replace(record, revision),
                None => Change::Insert(record),
            };
            match self.engine.store.change(vec![change], self.engine.clock.now()).await {
                Err(StoreError::Stale | StoreError::Conflict(_)) => {}
                written => return written,
            }
        }
        Err(StoreError::Stale)
    }
}
