//! Who may walk through messages: a walk is long, and a store in this process never waits by itself. So walks take turns, an
//! organization has one preview at a time, and whatever walks lets others go on every now and then.

use crate::model::OrgId;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

/// Steps of replays and previews that are walked at once.
const STEPS_AT_ONCE: usize = 3;
/// Previews of one organization at once.
const PREVIEWS: usize = 1;
/// How long a preview waits for another of its organization.
const WAIT: Duration = Duration::from_secs(5);
/// How long a walk goes on before others have their turn.
const TURN: Duration = Duration::from_micros(500);

/// The room for walks.
#[derive(Debug)]
pub(in crate::flow) struct Room {
    steps: Semaphore,
    previews: Mutex<HashMap<OrgId, Weak<Semaphore>>>,
}

impl Default for Room {
    fn default() -> Self {
        Room { steps: Semaphore::new(STEPS_AT_ONCE), previews: Mutex::default() }
    }
}

impl Room {
    /// Waits, in order, until a step may be walked; until what is given back is dropped.
    pub(super) async fn step(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.steps.acquire().await.ok()
    }

    /// Waits, in order, until the organization may preview; `None`: that takes too long.
    pub(super) async fn preview(&self, org: OrgId) -> Option<OwnedSemaphorePermit> {
        let own = {
            let mut previews = self.previews.lock();
            previews.retain(|_, own| own.strong_count() > 0);
            let known = previews.get(&org).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let own = Arc::new(Semaphore::new(PREVIEWS));
                previews.insert(org, Arc::downgrade(&own));
                own
            })
        };
        timeout(WAIT, own.acquire_owned()).await.ok()?.ok()
    }
}

/// How long a walk has gone on.
#[derive(Debug)]
pub(super) struct Turn(Instant);

impl Turn {
    /// It begins.
    pub(super) fn new() -> Self {
        Turn(Instant::now())
    }

    /// Lets others go on when it is their turn.
    pub(super) async fn pass(&mut self) {
        if self.0.elapsed() >= TURN {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_organization_has_one_preview_at_a_time() {
        let room = Room::default();
        let first = room.preview(OrgId(1)).await.unwrap();
        assert!(room.preview(OrgId(2)).await.is_some());
        let asked = Instant::now();
        assert!(room.preview(OrgId(1)).await.is_none());
        assert!(asked.elapsed() >= WAIT);
        let (next, ()) = tokio::join!(room.preview(OrgId(1)), async { drop(first) });
        assert!(next.is_some());
        drop(next);
        assert!(room.preview(OrgId(3)).await.is_some());
        assert!(room.previews.lock().len() <= 1);
    }

    #[tokio::test]
    async fn steps_take_turns() {
        let room = Room::default();
        let mut held: Vec<_> = Vec::new();
        for _ in 0..STEPS_AT_ONCE {
            held.push(room.step().await);
        }
        assert!(futures_util::FutureExt::now_or_never(room.step()).is_none());
        held.pop();
        assert!(futures_util::FutureExt::now_or_never(room.step()).is_some());
    }
}
