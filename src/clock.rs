//! The time, handed in and never ambient, so that tests can turn it.

use crate::model::Time;
use std::{
    fmt::Debug,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Tells the time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The instant by which work is planned and numbered. The server's never goes back ([`SteadyClock`]).
    fn now(&self) -> Time;

    /// The instant as others know it: what is signed with, and what others' signatures and dates are judged by.
    fn wall(&self) -> Time {
        self.now()
    }
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

/// A wall clock made steady: it goes on from where it was when the wall clock is set back, and follows when that is set
/// forward. What is due in a minute is due in a minute, and what came later has the later number, whoever sets the clock.
/// After a wall clock was set back, it stays ahead of it by as much until the process ends.
#[derive(Debug)]
pub struct SteadyClock<W> {
    wall: W,
    born: tokio::time::Instant,
    /// The most, in milliseconds, that the wall clock has ever shown more than has passed since `born`.
    ahead: AtomicU64,
}

impl<W: Clock> SteadyClock<W> {
    /// Over a wall clock.
    pub fn over(wall: W) -> Self {
        SteadyClock { ahead: AtomicU64::new(wall.now().0), wall, born: tokio::time::Instant::now() }
    }
}

impl<W: Clock> Clock for SteadyClock<W> {
    fn now(&self) -> Time {
        let passed = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        let ahead = self.wall.now().0.saturating_sub(passed);
        let known = self.ahead.load(Relaxed);
        // Written to only when the wall clock has gained, so that threads do not fight over it.
        let ahead = if ahead > known { self.ahead.fetch_max(ahead, Relaxed).max(ahead) } else { known };
        Time(ahead.saturating_add(passed))
    }

    fn wall(&self) -> Time {
        self.wall.now()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Set(Arc<AtomicU64>);

    impl Clock for Set {
        fn now(&self) -> Time {
            Time(self.0.load(Relaxed))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_clock_follows_forward_and_goes_on_when_the_wall_clock_is_set_back() {
        let shown = Arc::new(AtomicU64::new(1_000_000));
        let clock = SteadyClock::over(Set(shown.clone()));
        assert_eq!(clock.now(), Time(1_000_000));
        tokio::time::advance(Duration::from_secs(1)).await;
        shown.store(1_001_000, Relaxed);
        assert_eq!(clock.now(), Time(1_001_000));
        shown.store(9_001_000, Relaxed);
        assert_eq!((clock.now(), clock.wall()), (Time(9_001_000), Time(9_001_000)));
        shown.store(5, Relaxed);
        assert_eq!((clock.now(), clock.wall()), (Time(9_001_000), Time(5)));
        tokio::time::advance(Duration::from_secs(2)).await;
        shown.store(2_005, Relaxed);
        assert_eq!(clock.now(), Time(9_003_000));
    }
}
