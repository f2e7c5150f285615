//! The keyspaces, how each is tuned, and what the engine's failures mean.

use super::{EmbeddedOptions, journal};
use crate::store::StoreError;
use fjall::config::{BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, Slice};
use std::{io, path::PathBuf};

/// Bytes of journal kept before the engine flushes stragglers: bounds what a start has to replay.
const JOURNAL_BYTES: u64 = 192 << 20;
/// Bytes that the largest keyspaces (messages, attempts) gather in memory before they are written as a table.
const LARGE_MEMTABLE: u64 = 16 << 20;
/// The same for the others.
const SMALL_MEMTABLE: u64 = 8 << 20;
/// The same for keys in random order.
const CACHED_MEMTABLE: u64 = 2 << 20;
/// Values from this size on live outside of the tree, so that merging tables does not copy them.
const SEPARATE_FROM: u32 = 4096;
/// Files that the engine keeps open.
const OPEN_FILES: usize = 256;
/// Bits of Bloom filter a key: about one false hit in a hundred.
const BLOOM_BITS: f32 = 10.0;
/// The layout that this code reads and writes.
const FORMAT: u8 = 4;
/// Under which key `meta` keeps [`FORMAT`].
const FORMAT_KEY: &[u8] = b"format";

/// Names a keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Meta,
    Records,
    Aliases,
    Messages,
    EventIds,
    Open,
    Queue,
    Order,
    Deliveries,
    Attempts,
    Stats,
    Expiry,
    Seen,
}

impl Space {
    /// Every keyspace, in no particular order.
    pub(super) const ALL: [Space; 13] = [
        Space::Meta,
        Space::Records,
        Space::Aliases,
        Space::Messages,
        Space::EventIds,
        Space::Open,
        Space::Queue,
        Space::Order,
        Space::Deliveries,
        Space::Attempts,
        Space::Stats,
        Space::Expiry,
        Space::Seen,
    ];

    fn name(self) -> &'static str {
        match self {
            Space::Meta => "meta",
            Space::Records => "records",
            Space::Aliases => "aliases",
            Space::Messages => "messages",
            Space::EventIds => "event_ids",
            Space::Open => "open",
            Space::Queue => "queue",
            Space::Order => "order",
            Space::Deliveries => "deliveries",
            Space::Attempts => "attempts",
            Space::Stats => "stats",
            Space::Expiry => "expiry",
            Space::Seen => "seen",
        }
    }

    fn options(self) -> KeyspaceCreateOptions {
        let bloom = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(BLOOM_BITS));
        let plain = KeyspaceCreateOptions::default().filter_policy(FilterPolicy::all(bloom));
        match self {
            // Whoever asks for a message knows that it exists, so its last level needs no filter.
            Space::Messages => plain
                .max_memtable_size(LARGE_MEMTABLE)
                .expect_point_read_hits(true)
                .with_kv_separation(Some(KvSeparationOptions::default().separation_threshold(SEPARATE_FROM))),
            Space::Attempts => plain.max_memtable_size(LARGE_MEMTABLE).expect_point_read_hits(true),
            // Read by range, never by key alone.
            Space::Open | Space::Queue | Space::Stats | Space::Expiry => {
                plain.max_memtable_size(SMALL_MEMTABLE).filter_policy(FilterPolicy::disabled())
            }
            // Random keys: what gathers is small enough to stay in the processor's cache.
            Space::Seen => plain.max_memtable_size(CACHED_MEMTABLE),
            _ => plain.max_memtable_size(SMALL_MEMTABLE),
        }
    }
}

/// One thing for each keyspace.
#[derive(Clone, Debug, Default)]
pub(super) struct PerSpace<T> {
    meta: T,
    records: T,
    aliases: T,
    messages: T,
    event_ids: T,
    open: T,
    queue: T,
    order: T,
    deliveries: T,
    attempts: T,
    stats: T,
    expiry: T,
    seen: T,
}

impl<T> PerSpace<T> {
    fn make<E>(mut each: impl FnMut(Space) -> Result<T, E>) -> Result<Self, E> {
        Ok(PerSpace {
            meta: each(Space::Meta)?,
            records: each(Space::Records)?,
            aliases: each(Space::Aliases)?,
            messages: each(Space::Messages)?,
            event_ids: each(Space::EventIds)?,
            open: each(Space::Open)?,
            queue: each(Space::Queue)?,
            order: each(Space::Order)?,
            deliveries: each(Space::Deliveries)?,
            attempts: each(Space::Attempts)?,
            stats: each(Space::Stats)?,
            expiry: each(Space::Expiry)?,
            seen: each(Space::Seen)?,
        })
    }

    /// That keyspace's.
    pub(super) fn of(&self, space: Space) -> &T {
        match space {
            Space::Meta => &self.meta,
            Space::Records => &self.records,
            Space::Aliases => &self.aliases,
            Space::Messages => &self.messages,
            Space::EventIds => &self.event_ids,
            Space::Open => &self.open,
            Space::Queue => &self.queue,
            Space::Order => &self.order,
            Space::Deliveries => &self.deliveries,
            Space::Attempts => &self.attempts,
            Space::Stats => &self.stats,
            Space::Expiry => &self.expiry,
            Space::Seen => &self.seen,
        }
    }

    /// That keyspace's, to change.
    pub(super) fn of_mut(&mut self, space: Space) -> &mut T {
        match space {
            Space::Meta => &mut self.meta,
            Space::Records => &mut self.records,
            Space::Aliases => &mut self.aliases,
            Space::Messages => &mut self.messages,
            Space::EventIds => &mut self.event_ids,
            Space::Open => &mut self.open,
            Space::Queue => &mut self.queue,
            Space::Order => &mut self.order,
            Space::Deliveries => &mut self.deliveries,
            Space::Attempts => &mut self.attempts,
            Space::Stats => &mut self.stats,
            Space::Expiry => &mut self.expiry,
            Space::Seen => &mut self.seen,
        }
    }
}

/// An open database.
pub(super) struct Spaces {
    /// The engine.
    pub(super) db: Database,
    keyspaces: PerSpace<Keyspace>,
    /// Where its files are.
    pub(super) folder: PathBuf,
}

impl Spaces {
    /// Opens the folder, making it when it is not there.
    pub(super) fn open(options: &EmbeddedOptions) -> Result<Self, StoreError> {
        journal::check(&options.path)?;
        let db = Database::builder(&options.path)
            .cache_size(options.cache_bytes)
            .worker_threads(1)
            .max_cached_files(Some(OPEN_FILES))
            .max_journaling_size(JOURNAL_BYTES)
            .journal_compression(CompressionType::None)
            .open()
            .map_err(|error| match error {
                fjall::Error::Locked => {
                    StoreError::Unavailable(format!("another process has opened the folder {}", options.path.display()))
                }
                other => failure(other),
            })?;
        let keyspaces = PerSpace::make(|space| db.keyspace(space.name(), || space.options())).map_err(failure)?;
        let spaces = Spaces { db, keyspaces, folder: options.path.clone() };
        spaces.check_format()?;
        Ok(spaces)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        match self.get(Space::Meta, FORMAT_KEY)?.as_deref() {
            Some([FORMAT]) => Ok(()),
            Some(_) => Err(StoreError::Damaged("the folder was written by another version".into())),
            None => self.of(Space::Meta).insert(FORMAT_KEY, [FORMAT]).map_err(failure),
        }
    }

    /// The keyspace.
    pub(super) fn of(&self, space: Space) -> &Keyspace {
        self.keyspaces.of(space)
    }

    /// A committed value.
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, StoreError> {
        self.of(space).get(key).map_err(failure)
    }
}

/// What the engine's failure means to the caller.
pub(super) fn failure(error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(error) => io_failure(&error),
        fjall::Error::Storage(fjall::LsmError::Io(error)) => io_failure(&error),
        fjall::Error::Poisoned => StoreError::Broken,
        fjall::Error::Locked => StoreError::Unavailable("another process has opened the folder".into()),
        other => StoreError::Damaged(other.to_string()),
    }
}

fn io_failure(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Unavailable(error.to_string()),
    }
}
