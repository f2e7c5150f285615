//! The time, handed in and never ambient, so that tests can turn it.

use crate::model::Time;
use std::{fmt::Debug, time::Duration};

/// Tells the time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The wall-clock instant.
    fn now(&self) -> Time;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A clock that follows the runtime's timers from a fixed start: with tokio's clock paused, both are virtual.
#[derive(Debug)]
pub struct VirtualClock {
    start: Time,
    born: tokio::time::Instant,
}

impl VirtualClock {
    /// A clock that shows `start` now.
    #[must_use]
    pub fn starting_at(start: Time) -> Self {
        VirtualClock { start, born: tokio::time::Instant::now() }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        self.start.plus(self.born.elapsed())
    }
}
