//! The embedded engine: fjall, an LSM tree with a journal and atomic batches across keyspaces.
//!
//! # Layout
//! Numbers are big-endian, identifiers are their 16 bytes.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `meta` | name | the format's version; the first revision not reserved; the note of a transfer |
//! | `records` | kind, scope, 0, key | revision, JSON |
//! | `aliases` | kind, scope, 0, alias | key in `records` |
//! | `messages` | application, message | version, header (postcard), payload as it came |
//! | `event_ids` | application, event id | message |
//! | `open` | message | application |
//! | `queue` | endpoint, trigger (0 manual, 1 scheduled), due ms (0 for manual), message | application |
//! | `order` | endpoint, ordering key, 0 | place in the sequence, message: the head of the key |
//! | `order` | endpoint, ordering key, place in the sequence | message, application, earliest due ms: waits behind the head |
//! | `deliveries` | endpoint, message | version, `Delivery` (postcard) |
//! | `attempts` | endpoint, attempt | version, `Attempt` (postcard) |
//! | `stats` | endpoint, minute in which the message was made | version, counters (postcard) |
//! | `expiry` | ms, what (0 record, 1 payload), its key | nothing |
//!
//! An attempt is owed exactly while there is an entry of `queue` for it, or while its message is open and the delivery was
//! leased as that was accepted: such deliveries are mostly settled within milliseconds, and share that one entry. The lanes
//! know which they are; at the start, when nothing is leased, what is left of them is queued (`open`). The trigger stands before the due time, and manual
//! entries have none, so that each delivery has one place for a manual entry (asking twice queues once, without a
//! search) and old messages sent again do not pull the scan of the schedule back over what has long been deleted.
//! What waits in strict order has no entry of `queue`: see `order`.
//! A delivery has a row from its first attempt on; before that it follows from its message. A message to one endpoint
//! costs five writes from acceptance to success (message, open and closed, delivery, attempt), each further endpoint two
//! more, and one counter an endpoint and minute with each commit.
//!
//! # Writing
//! One thread commits (`committer`); verbs that wait at the same time share a batch (`writes`) and a sync. Leases are
//! in memory (`lanes`): the folder belongs to one process, and its end ends them all.
//!
//! Requeueing what is exhausted, expiry, pruning and purging go step by step (`STEP`), each step all or nothing, so
//! that the committing thread is never kept from accepting.
//!
//! What is absent: the engine's weak tombstones for settled queue entries (they may bring back an older entry when one
//! key is written twice, which a retry due at the same millisecond does); its transactions (one writer needs none);
//! threads of their own for reads of single keys and small windows, which take microseconds; but whoever loops over them lets
//! others go on: after each window, and after about a hundred single reads.

mod accept;
mod ahead;
mod claim;
mod codec;
mod committer;
#[cfg(test)]
mod growth_tests;
mod journal;
mod keys;
mod lanes;
mod open;
mod order;
#[cfg(test)]
mod queue_tests;
mod read;
mod records;
mod seen;
mod settle;
mod spaces;
#[cfg(test)]
mod tests;
mod transfer;
mod upkeep;
mod writes;

use super::{
    Change, Claims, Expunge, Lease, ListPage, NewMessage, Requeue, Settled, Settlement, Stats, Store, StoreError, Stored, Window,
};
use crate::clock::Clock;
use crate::model::{Address, AppId, Attempt, AttemptId, Delivery, EndpointId, Kind, Message, MsgId, Time, Trigger};
use arc_swap::ArcSwapOption;
use committer::{Committer, Durability};
use lanes::Lanes;
use parking_lot::Mutex;
use spaces::Spaces;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::task::{coop::consume_budget, yield_now};

/// How long a result may be readable before it is on the disk.
pub const SETTLE_SYNC: Duration = Duration::from_millis(50);
/// Bytes of tables kept in memory, unless the options say otherwise.
pub const DEFAULT_CACHE_BYTES: u64 = 32 << 20;
/// Items of a window that are read on the caller's thread; more go to a thread that may block.
const SMALL_WINDOW: usize = 256;
/// Minutes of statistics that are read on the caller's thread: one day.
const SMALL_STATS: u64 = 24 * 60;
/// Records read at once for [`Store::each`].
const EACH_CHUNK: usize = 1024;
/// Rows that one step of upkeep deletes or requeues: about a millisecond of the committing thread.
const STEP: usize = 128;

/// Where the store is and what it may use.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// The folder; made when it is not there.
    pub path: PathBuf,
    /// Bytes of tables kept in memory.
    pub cache_bytes: u64,
}

impl EmbeddedOptions {
    /// The defaults for a folder.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        EmbeddedOptions { path: path.into(), cache_bytes: DEFAULT_CACHE_BYTES }
    }
}

/// The engine, open.
pub struct EmbeddedStore {
    spaces: ArcSwapOption<Spaces>,
    lanes: Arc<Mutex<Lanes>>,
    committer: Arc<Committer>,
    clock: Arc<dyn Clock>,
}

impl EmbeddedStore {
    /// Opens a folder. Blocks while the journal is replayed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when another process has the folder open or the file system refuses,
    /// [`StoreError::Damaged`] when what is there cannot be understood.
    pub fn open(options: &EmbeddedOptions, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
        let spaces = Arc::new(Spaces::open(options)?);
        open::queue(&spaces)?;
        let lanes = Arc::<Mutex<Lanes>>::default();
        let committer = Arc::new(Committer::start(Arc::clone(&spaces), Arc::clone(&lanes))?);
        Ok(Arc::new(EmbeddedStore { spaces: ArcSwapOption::from(Some(spaces)), lanes, committer, clock }))
    }

    fn spaces(&self) -> Result<Arc<Spaces>, StoreError> {
        self.spaces.load_full().ok_or_else(|| StoreError::Unavailable("the store is closed".into()))
    }

    /// Reads on this thread when it is little, else on one that may block.
    async fn read<T: Send + 'static>(
        &self,
        little: bool,
        read: impl FnOnce(&Spaces) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let spaces = self.spaces()?;
        if little {
            // Whoever reads window after window never waits for anything else.
            yield_now().await;
            return read(&spaces);
        }
        tokio::task::spawn_blocking(move || read(&spaces))
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    async fn restart(&self, endpoint: EndpointId, low: MsgId, high: MsgId, now: Time) -> Result<u64, StoreError> {
        let mut window = Window { above: low.0.saturating_sub(1), below: high.0, newest_first: false, limit: STEP };
        let mut restarted = 0;
        loop {
            let msgs = self.read(false, move |spaces| read::exhausted(spaces, endpoint, window)).await?;
            let Some(last) = msgs.last() else { return Ok(restarted) };
            window.above = last.0;
            restarted += self.committer.run(Durability::Now, move |writes| settle::restart(writes, endpoint, &msgs, now)).await?;
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // Nothing to report to: whoever wants to know calls `close`.
        let _ = self.committer.close();
    }
}

#[async_trait::async_trait]
impl Store for EmbeddedStore {
    async fn change(&self, changes: Vec<Change>, now: Time) -> Result<(), StoreError> {
        let apply =
            move |writes: &mut writes::Writes<'_>| changes.into_iter().try_for_each(|change| records::apply(writes, change, now));
        self.committer.run(Durability::Now, apply).await
    }

    async fn find(&self, address: &Address, now: Time) -> Result<Option<Stored>, StoreError> {
        records::find(&*self.spaces()?, address, now)
    }

    async fn list(&self, kind: Kind, scope: &str, page: ListPage<'_>, now: Time) -> Result<Vec<Stored>, StoreError> {
        records::list(&*self.spaces()?, kind, scope, page, now)
    }

    async fn each(&self, kind: Kind, now: Time, visit: &mut (dyn for<'r> FnMut(Stored) + Send)) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let from = after.take();
            let (found, next) = self.read(false, move |spaces| records::each(spaces, kind, from, EACH_CHUNK, now)).await?;
            found.into_iter().for_each(&mut *visit);
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn accept(&self, message: NewMessage) -> Result<(), StoreError> {
        let encoded = accept::encode(&message)?;
        self.committer.run(Durability::Now, move |writes| accept::accept(writes, message, encoded)).await
    }

    async fn claim(&self, endpoint: EndpointId, lease: Lease, now: Time, limit: usize) -> Result<Claims, StoreError> {
        claim::claim(&*self.spaces()?, &self.lanes, claim::Claim { endpoint, lease, now, limit })
    }

    async fn queued_endpoints(&self) -> Result<Vec<(EndpointId, Time)>, StoreError> {
        let lanes = Arc::clone(&self.lanes);
        self.read(false, move |spaces| claim::queued_endpoints(spaces, &lanes)).await
    }

    async fn release(&self, endpoint: EndpointId, msg: MsgId, trigger: Trigger, lease: Lease) -> Result<(), StoreError> {
        self.spaces()?;
        let mut lanes = self.lanes.lock();
        if lanes.held(endpoint, msg, trigger, lease).is_some() {
            lanes.lane(endpoint).give_back(msg, trigger);
        }
        Ok(())
    }

    async fn settle(&self, settlements: Arc<Vec<Settlement>>) -> Vec<Result<Settled, StoreError>> {
        let (now, count) = (self.clock.now(), settlements.len());
        let encoded: Vec<_> = settlements.iter().map(settle::encode).collect();
        let all = move |writes: &mut writes::Writes<'_>| {
            let each = settlements.iter().zip(encoded);
            Ok(each.map(|(one, encoded)| writes.run(|writes| settle::settle(writes, one, encoded?, now))).collect())
        };
        self.committer.run(Durability::Soon, all).await.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn requeue(&self, app: AppId, endpoint: EndpointId, which: Requeue, now: Time) -> Result<u64, StoreError> {
        match which {
            Requeue::Once(msg) => {
                let once = move |writes: &mut writes::Writes<'_>| settle::once(writes, app, endpoint, msg);
                Ok(u64::from(self.committer.run(Durability::Now, once).await?))
            }
            Requeue::Exhausted { low, high } => self.restart(endpoint, low, high, now).await,
        }
    }

    async fn message(&self, app: AppId, msg: MsgId) -> Result<Option<Message>, StoreError> {
        consume_budget().await;
        read::message(&*self.spaces()?, app, msg)
    }

    async fn message_by_event_id(&self, app: AppId, event_id: &str) -> Result<Option<Message>, StoreError> {
        read::message_by_event_id(&*self.spaces()?, app, event_id)
    }

    async fn messages(&self, app: AppId, window: Window) -> Result<Vec<Message>, StoreError> {
        self.read(window.limit <= SMALL_WINDOW, move |spaces| read::messages(spaces, app, window)).await
    }

    async fn delivery(&self, message: &Message, endpoint: EndpointId) -> Result<Option<Delivery>, StoreError> {
        consume_budget().await;
        read::delivery(&*self.spaces()?, message, endpoint)
    }

    async fn attempted(&self, endpoint: EndpointId, window: Window) -> Result<Vec<Delivery>, StoreError> {
        self.read(window.limit <= SMALL_WINDOW, move |spaces| read::attempted(spaces, endpoint, window)).await
    }

    async fn attempt(&self, endpoint: EndpointId, attempt: AttemptId) -> Result<Option<Attempt>, StoreError> {
        consume_budget().await;
        read::attempt(&*self.spaces()?, endpoint, attempt)
    }

    async fn attempts(&self, endpoint: EndpointId, window: Window) -> Result<Vec<Attempt>, StoreError> {
        self.read(window.limit <= SMALL_WINDOW, move |spaces| read::attempts(spaces, endpoint, window)).await
    }

    async fn stats(&self, endpoint: EndpointId, since: Time, until: Time) -> Result<Stats, StoreError> {
        let minutes = until.0.saturating_sub(since.0) / keys::MINUTE_MS;
        self.read(minutes <= SMALL_STATS, move |spaces| read::stats(spaces, endpoint, since, until)).await
    }

    async fn expunge(&self, what: Expunge) -> Result<bool, StoreError> {
        let now = self.clock.now();
        self.committer.run(Durability::Now, move |writes| upkeep::expunge(writes, &what, now)).await
    }

    async fn expire(&self, now: Time, limit: usize) -> Result<usize, StoreError> {
        let mut deleted = 0;
        while deleted < limit {
            let step = STEP.min(limit - deleted);
            let expired = self.read(false, move |spaces| upkeep::expired(spaces, now, step)).await?;
            if expired.is_empty() {
                break;
            }
            deleted += self.committer.run(Durability::Now, move |writes| upkeep::expire(writes, expired, now)).await?;
        }
        Ok(deleted)
    }

    async fn prune(&self, app: AppId, cutoff: Time, limit: usize) -> Result<usize, StoreError> {
        let (mut pruned, mut after) = (0, None);
        while pruned < limit {
            let from = after.take();
            let messages = self.read(false, move |spaces| upkeep::old_messages(spaces, app, cutoff, from, STEP)).await?;
            let Some(last) = messages.last() else { break };
            after = Some(last.clone());
            let left = limit - pruned;
            pruned += self.committer.run(Durability::Soon, move |writes| upkeep::prune(writes, messages, cutoff, left)).await?;
        }
        Ok(pruned)
    }

    async fn purge(&self, app: AppId, endpoint: Option<EndpointId>, limit: usize) -> Result<usize, StoreError> {
        let mut deleted = 0;
        while deleted < limit {
            let step = STEP.min(limit - deleted);
            let gone = match endpoint {
                Some(endpoint) => {
                    let rows = self.read(false, move |spaces| upkeep::endpoint_rows(spaces, endpoint, step)).await?;
                    let count = rows.len();
                    let purge = move |writes: &mut writes::Writes<'_>| {
                        upkeep::purge_endpoint(writes, endpoint, rows);
                        Ok(count)
                    };
                    self.committer.run(Durability::Now, purge).await?
                }
                None => {
                    let messages = self.read(false, move |spaces| upkeep::app_messages(spaces, app, step)).await?;
                    self.committer.run(Durability::Now, move |writes| upkeep::purge_messages(writes, messages)).await?
                }
            };
            if gone == 0 {
                break;
            }
            deleted += gone;
        }
        Ok(deleted)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(false, |spaces| spaces.db.persist(fjall::PersistMode::Buffer).map_err(spaces::failure)).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        let committer = Arc::clone(&self.committer);
        let closed = tokio::task::spawn_blocking(move || committer.close()).await;
        self.spaces.store(None);
        closed.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }
}
