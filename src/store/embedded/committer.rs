//! Group commit: one thread owns all writes. It takes everything that waits, builds one batch of it, commits, syncs
//! once when anything in it must be durable, then answers all; while it commits, others gather.

use super::SETTLE_SYNC;
use super::ahead::Ahead;
use super::lanes::Lanes;
use super::spaces::{Spaces, failure};
use super::writes::{Built, Memory, Writes};
use crate::store::StoreError;
use fjall::PersistMode;
use parking_lot::{Condvar, Mutex};
use std::{mem, sync::Arc, thread, time::Duration};
use tokio::{runtime::Handle, sync::oneshot, time::Instant};

/// How long jobs gather that nobody waits for: a commit costs the same for one as for many.
const GATHER: Duration = Duration::from_millis(1);
/// So many jobs gather at most.
const GATHERED: usize = 64;
/// A batch of so many jobs says that the store is busy: the next ones gather too, although their callers wait. They would
/// wait for the processor anyway, and fewer syncs leave more of it.
const BUSY: usize = 8;
/// How long jobs gather while the store is busy.
const BUSY_GATHER: Duration = Duration::from_micros(250);
/// So many jobs gather at most while the store is busy.
const BUSY_GATHERED: usize = 32;

/// Tells a verb's caller what came of the commit.
type Reply = Box<dyn FnOnce(&Result<(), StoreError>) + Send>;
/// A verb, waiting.
type Job = Box<dyn FnOnce(&mut Writes<'_>) -> Reply + Send>;

/// Whether a verb is answered before its writes are on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Once they are on the disk.
    Now,
    /// Once they can be read; they are on the disk within [`SETTLE_SYNC`].
    Soon,
}

#[derive(Default)]
struct Inbox {
    jobs: Vec<Job>,
    /// When the first of them came.
    since: Option<Instant>,
    sync: bool,
    /// The last batch was a large one.
    busy: bool,
    asleep: bool,
    closed: bool,
}

impl Inbox {
    /// How long the jobs that wait may gather still; zero: they are to be committed now.
    fn ripens(&self) -> Duration {
        let (time, count) = match (self.sync, self.busy) {
            (false, _) => (GATHER, GATHERED),
            (true, true) => (BUSY_GATHER, BUSY_GATHERED),
            (true, false) => return Duration::ZERO,
        };
        if self.closed || self.jobs.len() >= count {
            return Duration::ZERO;
        }
        self.since.map_or(Duration::ZERO, |since| time.saturating_sub(since.elapsed()))
    }
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    wake: Condvar,
}

/// The way to the committing thread.
pub(super) struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<thread::JoinHandle<Result<(), StoreError>>>>,
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

impl Committer {
    /// Starts the thread.
    pub(super) fn start(spaces: Arc<Spaces>, lanes: Arc<Mutex<Lanes>>) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared::default());
        let worker = Worker {
            shared: Arc::clone(&shared),
            ahead: Ahead::of(spaces.folder.clone()),
            spaces,
            lanes,
            memory: Memory::default(),
            runtime: Handle::try_current().ok(),
            unsynced: None,
        };
        let thread = thread::Builder::new()
            .name("store-commit".into())
            .spawn(move || worker.run())
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Committer { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Has the verb run in the next batch, and waits for its commit.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        durability: Durability,
        verb: impl FnOnce(&mut Writes<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.push(
            durability,
            Box::new(move |writes| {
                let result = writes.run(verb);
                Box::new(move |committed| {
                    // The caller may have gone; then nobody wants the answer.
                    let _ = answer.send(committed.clone().and(result));
                })
            }),
        )?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    fn push(&self, durability: Durability, job: Job) -> Result<(), StoreError> {
        let mut inbox = self.shared.inbox.lock();
        if inbox.closed {
            return Err(closed());
        }
        inbox.jobs.push(job);
        inbox.sync |= durability == Durability::Now;
        // The first one starts the time in which others gather, and only the one that ends it wakes the thread again.
        let first = inbox.since.is_none();
        inbox.since.get_or_insert_with(Instant::now);
        let wake = (first || inbox.ripens().is_zero()) && mem::take(&mut inbox.asleep);
        drop(inbox);
        if wake {
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    /// Refuses new verbs, finishes those that wait, syncs and ends the thread. Blocks.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        self.shared.inbox.lock().closed = true;
        self.shared.wake.notify_one();
        match self.thread.lock().take() {
            Some(thread) => thread.join().unwrap_or_else(|_| Err(StoreError::Unavailable("the committing thread died".into()))),
            None => Ok(()),
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    spaces: Arc<Spaces>,
    lanes: Arc<Mutex<Lanes>>,
    memory: Memory,
    ahead: Ahead,
    /// Where the callers wait.
    runtime: Option<Handle>,
    /// When the oldest commit that is not on the disk yet was made.
    unsynced: Option<Instant>,
}

/// Refuses later verbs and drops waiting ones, however the thread ends.
struct CloseOnExit(Arc<Shared>);

impl Drop for CloseOnExit {
    fn drop(&mut self) {
        let mut inbox = self.0.inbox.lock();
        inbox.closed = true;
        inbox.jobs.clear();
    }
}

impl Worker {
    fn run(mut self) -> Result<(), StoreError> {
        let _close = CloseOnExit(Arc::clone(&self.shared));
        let mut jobs = Vec::new();
        while let Some(sync) = self.next(&mut jobs) {
            self.commit(&mut jobs, sync);
        }
        self.spaces.db.persist(PersistMode::SyncAll).map_err(failure)
    }

    /// Waits for jobs, at most until a sync is owed; whether to sync. `None`: closed and nothing is left.
    fn next(&mut self, jobs: &mut Vec<Job>) -> Option<bool> {
        let mut inbox = self.shared.inbox.lock();
        loop {
            let owed = self.unsynced.map(|since| SETTLE_SYNC.saturating_sub(since.elapsed()));
            let ripens = (!inbox.jobs.is_empty()).then(|| inbox.ripens());
            if ripens.is_some_and(|wait| wait.is_zero()) {
                inbox.busy = inbox.jobs.len() >= BUSY;
                mem::swap(&mut inbox.jobs, jobs);
                inbox.since = None;
                return Some(mem::take(&mut inbox.sync) || owed.is_some_and(|wait| wait.is_zero()));
            }
            if inbox.closed {
                return None;
            }
            inbox.asleep = true;
            match owed.into_iter().chain(ripens).min() {
                None => self.shared.wake.wait(&mut inbox),
                Some(wait) if wait.is_zero() => return Some(true),
                Some(wait) => {
                    self.shared.wake.wait_for(&mut inbox, wait);
                }
            }
        }
    }

    fn commit(&mut self, jobs: &mut Vec<Job>, sync: bool) {
        let mut writes = Writes::new(&self.spaces, &mut self.memory, self.lanes.lock());
        let replies: Vec<Reply> = jobs.drain(..).map(|job| job(&mut writes)).collect();
        let built = writes.finish();
        let committed = self.write(&built, sync);
        if committed.is_ok() {
            built.publish(&mut self.memory, &mut self.lanes.lock());
        }
        let answer = move || replies.into_iter().for_each(|reply| reply(&committed));
        match &self.runtime {
            // Wakes inside of the runtime cost a fraction of wakes from a foreign thread: one of those for the whole batch.
            Some(runtime) => drop(runtime.spawn(async move { answer() })),
            None => answer(),
        }
    }

    fn write(&mut self, built: &Built, sync: bool) -> Result<(), StoreError> {
        // Forgotten even when the sync fails: the engine then refuses all writes, and there is no point in trying again.
        let owed = if sync { self.unsynced.take() } else { self.unsynced };
        if built.is_empty() {
            return if sync && owed.is_some() { self.spaces.db.persist(PersistMode::SyncData).map_err(failure) } else { Ok(()) };
        }
        built.commit(&self.spaces, sync)?;
        self.ahead.wrote(built.bytes());
        if !sync {
            self.unsynced = owed.or_else(|| Some(Instant::now()));
        }
        Ok(())
    }
}
