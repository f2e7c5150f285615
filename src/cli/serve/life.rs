//! Whether anything goes on on a connection: its pings are not enough to keep it.

use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// When something last went on, and how much is being answered.
#[derive(Debug)]
pub(super) struct Life(Mutex<Moved>);

#[derive(Debug)]
struct Moved {
    at: Instant,
    asked: usize,
}

impl Life {
    /// Of a connection that begins.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Life(Mutex::new(Moved { at: Instant::now(), asked: 0 })))
    }

    /// Some of an answer was taken.
    pub(super) fn moved(&self) {
        self.0.lock().at = Instant::now();
    }

    /// Ends when for so long nobody asked, nothing was being answered, and nothing was taken of what was answered.
    pub(super) async fn ended(&self, after: Duration) {
        loop {
            let quiet = {
                let moved = self.0.lock();
                if moved.asked > 0 { Duration::ZERO } else { moved.at.elapsed() }
            };
            if quiet >= after {
                return;
            }
            tokio::time::sleep(after - quiet).await;
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Asked(Arc<Life>);

impl Asked {
    /// It has come.
    pub(super) fn new(life: &Arc<Life>) -> Self {
        let mut moved = life.0.lock();
        moved.asked += 1;
        moved.at = Instant::now();
        Asked(life.clone())
    }

    /// Its connection's.
    pub(super) fn life(&self) -> Arc<Life> {
        self.0.clone()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut moved = self.0.0.lock();
        moved.asked = moved.asked.saturating_sub(1);
        moved.at = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_when_nothing_goes_on() {
        let (life, after) = (Life::new(), Duration::from_secs(75));
        let started = Instant::now();
        let lives = async {
            let asked = Asked::new(&life);
            tokio::time::sleep(after * 3).await;
            drop(asked);
            tokio::time::sleep(after / 2).await;
            life.moved();
        };
        tokio::join!(lives, life.ended(after));
        let lived = started.elapsed();
        assert!(lived >= after * 9 / 2 && lived < after * 6, "{lived:?}");
    }
}
