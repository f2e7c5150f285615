//! Connections kept for the next delivery to the same origin.

use super::target::{Origin, Target, TargetHost};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a connection is used at most: then the name is resolved and vetted anew.
const MAX_AGE: Duration = Duration::from_secs(300);
/// How long a connection waits for its next request. Below what common servers allow (60 s and more).
const MAX_IDLE: Duration = Duration::from_secs(50);
/// Idle connections an origin keeps.
const PER_ORIGIN: usize = 128;
/// Origins after which those without a usable connection are looked for and forgotten.
const SWEEP_ABOVE: usize = 256;
/// Locks over which the origins are spread.
const SHARDS: usize = 16;

pub(super) type Sender1 = http1::SendRequest<Full<Bytes>>;
pub(super) type Sender2 = http2::SendRequest<Full<Bytes>>;

/// A connection that is nobody's right now.
pub(super) struct Idle<S> {
    pub(super) sender: S,
    pub(super) born: Instant,
    since: Instant,
}

#[derive(Default)]
struct Kept {
    http1: Vec<Idle<Sender1>>,
    http2: Option<Idle<Sender2>>,
}

/// A connection for one request.
pub(super) enum Lease {
    Http1(Sender1, Instant),
    Http2(Sender2),
}

/// Idle HTTP/1.1 connections and shared HTTP/2 ones, by origin.
pub(super) struct Pool(Vec<Mutex<HashMap<Arc<Origin>, Kept>>>);

impl Pool {
    pub(super) fn new() -> Self {
        Pool(std::iter::repeat_with(Mutex::default).take(SHARDS).collect())
    }

    fn shard(&self, target: &Target) -> Option<&Mutex<HashMap<Arc<Origin>, Kept>>> {
        let name = match &target.origin.host {
            TargetHost::Name(name) => name.bytes().fold(0usize, |h, b| h.wrapping_mul(31).wrapping_add(b.into())),
            TargetHost::Address(_) => 0,
        };
        self.0.get(name.wrapping_add(target.origin.port.into()) % SHARDS)
    }

    /// A connection that was open when last seen: the most recently used one, so that the others can age.
    pub(super) fn take(&self, target: &Target, now: Instant) -> Option<Lease> {
        let mut shard = self.shard(target)?.lock();
        let kept = shard.get_mut(&target.origin)?;
        if let Some(shared) = &kept.http2 {
            if !shared.sender.is_closed() && now - shared.born < MAX_AGE {
                return Some(Lease::Http2(shared.sender.clone()));
            }
            kept.http2 = None;
        }
        while let Some(idle) = kept.http1.pop() {
            if idle.is_usable(now) && !idle.sender.is_closed() {
                return Some(Lease::Http1(idle.sender, idle.born));
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, target: &Target, sender: Sender1, born: Instant, now: Instant) {
        let Some(shard) = self.shard(target) else { return };
        if sender.is_closed() || now - born >= MAX_AGE {
            return;
        }
        let mut shard = shard.lock();
        if shard.len() > SWEEP_ABOVE {
            sweep(&mut shard, now);
        }
        let kept = shard.entry(target.origin.clone()).or_default();
        if kept.http1.len() < PER_ORIGIN {
            kept.http1.push(Idle { sender, born, since: now });
        }
    }

    /// Shares an HTTP/2 connection.
    pub(super) fn share(&self, target: &Target, sender: Sender2, now: Instant) {
        if let Some(shard) = self.shard(target) {
            shard.lock().entry(target.origin.clone()).or_default().http2 = Some(Idle { sender, born: now, since: now });
        }
    }

    /// Forgets connections that nobody has used for a while.
    pub(super) fn sweep(&self, now: Instant) {
        self.0.iter().for_each(|shard| sweep(&mut shard.lock(), now));
    }
}

impl<S> Idle<S> {
    fn is_usable(&self, now: Instant) -> bool {
        now - self.since < MAX_IDLE && now - self.born < MAX_AGE
    }
}

fn sweep(shard: &mut HashMap<Arc<Origin>, Kept>, now: Instant) {
    shard.retain(|_, kept| {
        kept.http1.retain(|idle| idle.is_usable(now) && !idle.sender.is_closed());
        if kept.http2.as_ref().is_some_and(|shared| shared.sender.is_closed() || now - shared.born >= MAX_AGE) {
            kept.http2 = None;
        }
        !kept.http1.is_empty() || kept.http2.is_some()
    });
}
