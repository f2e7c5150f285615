//! Replays: deliveries are made once more, in the background, at a pace, behind live traffic.
//!
//! The record of a replay ([`crate::model::Replay`]) holds what is asked for and how far it is. A step looks at the next
//! messages, queues the deliveries that match as manual attempts (or starts exhausted schedules anew), and then writes the
//! record, under its revision: so a restart goes on where the last step ended, at most one step is done twice, and a process
//! that has lost the replay to another, or to an abort, learns it at its next write. Of processes on one store, the one that
//! the record names works on it; when it has not written for [`TURN`], another takes over. Where the store is one process's alone,
//! what another has begun is gone on with at once.
//!
//! Cancelling by the many ([`crate::model::ReplayTask::Cancel`]) is the same walk, with the same count first; what it chooses
//! is cancelled ([`super::cancel`]), and it waits for no lane.
//!
//! A manual attempt never counts in an endpoint's health, whatever becomes of it. What was asked for never goes before fresh
//! messages: a step waits while the lanes of its endpoints are crowded.

mod room;
mod run;
mod select;

pub use select::Counted;

use super::Engine;
use crate::{
    model::{Address, OrgId, Record, Replay, ReplayState, TaskId},
    store::{Change, StoreError},
};
use std::{sync::Arc, time::Duration};

pub(super) use room::Room;
pub(super) use run::watch;

/// How long a process that works on a replay may be silent before another takes over.
const TURN: Duration = Duration::from_secs(10);
/// How long the record of a replay that has ended is kept.
const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// Tries to change a record that is being changed at the same time.
const TRIES: usize = 20;

impl Engine {
    /// Makes this replay go on, together with other changes (the answer to an idempotent request): all or nothing.
    ///
    /// # Errors
    /// As [`crate::store::Store::change`].
    pub async fn start_replay(self: &Arc<Self>, replay: Replay, mut with: Vec<Change>) -> Result<(), StoreError> {
        with.insert(0, Change::Insert(Record::Replay(Box::new(replay))));
        self.change(with).await?;
        self.replays.notify_one();
        Ok(())
    }

    /// The replay with this id.
    ///
    /// # Errors
    /// The store is away or damaged.
    pub async fn replay(&self, org: OrgId, id: TaskId) -> Result<Option<Replay>, StoreError> {
        Ok(self.find_replay(org, id).await?.map(|(replay, _)| replay))
    }

    async fn find_replay(&self, org: OrgId, id: TaskId) -> Result<Option<(Replay, u64)>, StoreError> {
        let found = self.store.find(&Address::replay(org, id), self.clock.now()).await?;
        Ok(found.and_then(|found| match found.record {
            Record::Replay(replay) => Some((*replay, found.revision)),
            _ => None,
        }))
    }

    /// Stops a replay that runs; what it has queued is delivered still. Nothing happens to one that has ended. `None`: there
    /// is none.
    ///
    /// # Errors
    /// The store is away or damaged.
    pub async fn abort_replay(self: &Arc<Self>, org: OrgId, id: TaskId) -> Result<Option<Replay>, StoreError> {
        for _ in 0..TRIES {
            let Some((mut replay, revision)) = self.find_replay(org, id).await? else { return Ok(None) };
            if replay.state != ReplayState::Running {
                return Ok(Some(replay));
            }
            self.end(&mut replay, ReplayState::Aborted, None);
            match self.change(vec![Change::Replace(Record::Replay(Box::new(replay.clone())), revision)]).await {
                Err(StoreError::Stale) => {}
                written => return written.map(|()| Some(replay)),
            }
        }
        Err(StoreError::Stale)
    }

    fn end(&self, replay: &mut Replay, state: ReplayState, error: Option<String>) {
        let now = self.clock.now();
        replay.state = state;
        replay.error = error;
        replay.updated_at = now;
        replay.expires_at = Some(now.plus(KEPT));
    }

    async fn write_replay(&self, replay: &Replay, revision: u64) -> Result<(), StoreError> {
        let change = Change::Replace(Record::Replay(Box::new(replay.clone())), revision);
        self.store.change(vec![change], self.clock.now()).await
    }
}
