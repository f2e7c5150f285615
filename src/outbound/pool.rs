//! Connections at rest and connections shared, by origin. Each was dialled to a vetted address and lives so briefly that
//! changes of its name are followed.

use super::{http1::Http1, http2::Http2, target::Origin};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// From then on a connection takes no further request, so that its name is resolved, and vetted, again.
const MAX_AGE: Duration = Duration::from_secs(300);
/// How often what has expired is dropped.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Parts of the pool, each with its own lock: a sweep holds up a fraction of the requests, and briefly.
const SHARDS: usize = 32;

/// Limits of the pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) idle_per_origin: usize,
    pub(super) idle_total: usize,
    pub(super) idle_timeout: Duration,
}

/// A connection that can take a request.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(Box<Http1>),
    Http2(Http2),
}

/// One dial at a time: its turn.
pub(super) type Turn = Arc<tokio::sync::Mutex<()>>;

#[derive(Debug)]
pub(super) struct Pool {
    shards: [Mutex<HashMap<Arc<Origin>, Slot>>; SHARDS],
    hasher: RandomState,
    limits: Limits,
    idle: AtomicUsize,
    swept: AtomicBool,
}

#[derive(Debug, Default)]
struct Slot {
    /// The last one in is the first one out: what is not needed grows old and goes.
    #[expect(clippy::vec_box, reason = "taken and put back for each request: a pointer moves, not the connection's state")]
    http1: Vec<Box<Http1>>,
    http2: Option<Http2>,
    /// It has answered by HTTP/1.1, of which dials need not wait for each other.
    speaks_http1: bool,
    /// Held while an origin is dialled that may speak HTTP/2, so that one connection is made and not one for each request.
    turn: Turn,
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Self {
        Pool {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            limits,
            idle: AtomicUsize::new(0),
            swept: AtomicBool::new(false),
        }
    }

    /// A connection for a request that begins now.
    pub(super) fn take(&self, origin: &Origin, now: Instant) -> Option<Connection> {
        // Declared before the lock is taken, so that they are closed after it is released.
        let mut expired = Vec::new();
        let mut shard = self.shard(origin)?.lock();
        let slot = shard.get_mut(origin)?;
        if let Some(shared) = slot.http2.as_mut().filter(|shared| shared.is_open() && now < shared.dialled + MAX_AGE) {
            shared.used = now;
            return Some(Connection::Http2(shared.clone()));
        }
        while let Some(resting) = slot.http1.pop() {
            self.idle.fetch_sub(1, Ordering::Relaxed);
            if now < resting.idle_until {
                return Some(Connection::Http1(resting));
            }
            expired.push(resting);
        }
        None
    }

    /// Takes back a connection at rest, unless there are enough. `keep_alive`: how long the receiver promises to keep it.
    pub(super) fn put(&self, origin: &Arc<Origin>, mut resting: Box<Http1>, keep_alive: Option<Duration>) {
        let promised = keep_alive.map_or(self.limits.idle_timeout, |time| time.saturating_sub(Duration::from_secs(1)));
        let now = Instant::now();
        resting.idle_until = (now + promised.min(self.limits.idle_timeout)).min(resting.dialled + MAX_AGE);
        let Some(shard) = self.shard(origin).filter(|_| now < resting.idle_until) else { return };
        let mut shard = shard.lock();
        let slot = match shard.get_mut(origin) {
            Some(slot) => slot,
            None => shard.entry(Arc::clone(origin)).or_default(),
        };
        let full = slot.http1.len() >= self.limits.idle_per_origin || self.idle.load(Ordering::Relaxed) >= self.limits.idle_total;
        if full {
            drop(shard);
            drop(resting);
        } else {
            self.idle.fetch_add(1, Ordering::Relaxed);
            slot.http1.push(resting);
        }
    }

    /// Shares a fresh connection with the requests that follow.
    pub(super) fn share(&self, origin: &Arc<Origin>, fresh: &Http2) {
        if let Some(shard) = self.shard(origin) {
            let before = shard.lock().entry(Arc::clone(origin)).or_default().http2.replace(fresh.clone());
            drop(before);
        }
    }

    /// Forgets a shared connection that took no request.
    pub(super) fn forget(&self, origin: &Origin, shared: &Http2) {
        let Some(shard) = self.shard(origin) else { return };
        let forgotten = shard.lock().get_mut(origin).and_then(|slot| slot.http2.take_if(|now| now.dialled == shared.dialled));
        drop(forgotten);
    }

    /// Whose turn it is to dial an origin that may speak HTTP/2. `None`: nobody need wait.
    pub(super) fn turn(&self, origin: &Arc<Origin>) -> Option<Turn> {
        origin.tls.as_ref()?;
        let mut shard = self.shard(origin)?.lock();
        let slot = shard.entry(Arc::clone(origin)).or_default();
        (!slot.speaks_http1).then(|| Arc::clone(&slot.turn))
    }

    /// Notes which protocol the origin has chosen.
    pub(super) fn learn(&self, origin: &Arc<Origin>, speaks_http1: bool) {
        if origin.tls.is_some()
            && let Some(shard) = self.shard(origin)
        {
            shard.lock().entry(Arc::clone(origin)).or_default().speaks_http1 = speaks_http1;
        }
    }

    /// Starts the sweeping of expired connections, once. It ends with the pool.
    pub(super) fn keep_swept(self: &Arc<Self>) {
        if self.swept.swap(true, Ordering::Relaxed) {
            return;
        }
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                match pool.upgrade() {
                    Some(pool) => pool.sweep(Instant::now()),
                    None => return,
                }
            }
        });
    }

    /// Drops what has expired, and origins with nothing left.
    pub(super) fn sweep(&self, now: Instant) {
        for shard in &self.shards {
            let mut expired = Vec::new();
            let mut forgotten = Vec::new();
            let mut shard = shard.lock();
            shard.retain(|_, slot| {
                expired.extend(slot.http1.extract_if(.., |resting| resting.idle_until <= now));
                forgotten.extend(slot.http2.take_if(|shared| self.is_over(shared, now)));
                !slot.http1.is_empty() || slot.http2.is_some() || Arc::strong_count(&slot.turn) > 1
            });
            if shard.len() < shard.capacity() / 4 {
                shard.shrink_to_fit();
            }
            drop(shard);
            self.idle.fetch_sub(expired.len(), Ordering::Relaxed);
        }
    }

    fn is_over(&self, shared: &Http2, now: Instant) -> bool {
        !shared.is_open() || now >= shared.dialled + MAX_AGE || (shared.is_idle() && now >= shared.used + self.limits.idle_timeout)
    }

    fn shard(&self, origin: &Origin) -> Option<&Mutex<HashMap<Arc<Origin>, Slot>>> {
        let hash = usize::try_from(self.hasher.hash_one(origin) % SHARDS as u64).unwrap_or(0);
        self.shards.get(hash)
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.shards.iter().map(|shard| shard.lock().len()).sum(), self.idle.load(Ordering::Relaxed))
    }
}
