//! What has arrived: the first arrival of each delivery, and how many came twice.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Most messages of one round; later ones are not counted.
pub(super) const MESSAGES_MAX: u32 = 4_000_000;
/// How often a wait looks at the counts. Times come from the stamps, so this blurs none of them.
const LOOK: Duration = Duration::from_millis(2);

/// An instant in nanoseconds since the bench began, never zero: one clock for client and receiver.
pub(super) type Stamp = u64;

/// The arrivals of the current round.
#[derive(Debug)]
pub(super) struct Board {
    epoch: Instant,
    round: Mutex<Round>,
}

#[derive(Debug, Default)]
struct Round {
    id: u32,
    endpoints: u32,
    /// Numbers below this one are of the warm-up.
    from: u32,
    /// First arrivals by message and endpoint; zero: not yet.
    first: Vec<Stamp>,
    tally: Tally,
}

/// Counts of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Deliveries that arrived, each counted once.
    pub(super) arrived: u64,
    /// Arrivals of deliveries that had arrived before.
    pub(super) duplicates: u64,
    /// When the last first arrival was.
    pub(super) last: Stamp,
}

impl Board {
    /// An empty board; the clock starts here.
    pub(super) fn new() -> Self {
        Board { epoch: Instant::now(), round: Mutex::default() }
    }

    /// Now.
    pub(super) fn now(&self) -> Stamp {
        self.stamp(Instant::now())
    }

    /// That instant.
    pub(super) fn stamp(&self, instant: Instant) -> Stamp {
        u64::try_from(instant.duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// Opens a round for messages of so many deliveries each; its number. What still arrives for earlier rounds is not
    /// counted.
    pub(super) fn open(&self, endpoints: u32) -> u32 {
        let mut round = self.round.lock();
        *round = Round { id: round.id + 1, endpoints, ..Round::default() };
        round.id
    }

    /// Forgets what has arrived in this round: from now on only messages from that number onwards count.
    pub(super) fn restart(&self, from: u32) {
        let mut round = self.round.lock();
        *round = Round { id: round.id, endpoints: round.endpoints, from, ..Round::default() };
    }

    /// Notes an arrival.
    pub(super) fn note(&self, id: u32, endpoint: u32, message: u32) {
        let now = self.now();
        self.round.lock().note(id, endpoint, message, now);
    }

    /// The counts so far.
    pub(super) fn tally(&self) -> Tally {
        self.round.lock().tally
    }

    /// First arrivals, zero where there was none: those of the first message by endpoint, then those of the second, …
    pub(super) fn arrivals(&self) -> Vec<Stamp> {
        self.round.lock().first.clone()
    }

    /// Waits until so many deliveries have arrived, at most as long as `patience`; the counts then.
    pub(super) async fn wait(&self, arrived: u64, patience: Duration) -> Tally {
        let until = Instant::now() + patience;
        loop {
            let tally = self.tally();
            if tally.arrived >= arrived || Instant::now() >= until {
                return tally;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Round {
    fn note(&mut self, id: u32, endpoint: u32, message: u32, now: Stamp) {
        let Some(message) = message.checked_sub(self.from) else { return };
        if id != self.id || endpoint >= self.endpoints || message >= MESSAGES_MAX {
            return;
        }
        let Some(at) = self.slot(endpoint, message) else { return };
        if at >= self.first.len() {
            self.first.resize(at + 1, 0);
        }
        let Some(first) = self.first.get_mut(at) else { return };
        if *first == 0 {
            *first = now;
            self.tally.arrived += 1;
            self.tally.last = now;
        } else {
            self.tally.duplicates += 1;
        }
    }

    fn slot(&self, endpoint: u32, message: u32) -> Option<usize> {
        usize::try_from(u64::from(message) * u64::from(self.endpoints) + u64::from(endpoint)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_counted_apart() {
        let board = Board::new();
        let round = board.open(2);
        for (endpoint, message) in [(0, 0), (1, 0), (0, 5), (0, 0), (0, 0)] {
            board.note(round, endpoint, message);
        }
        let tally = board.tally();
        assert_eq!((tally.arrived, tally.duplicates), (3, 2));
        let arrivals = board.arrivals();
        assert_eq!(arrivals.iter().filter(|stamp| **stamp > 0).count(), 3);
        assert!(arrivals[0] > 0 && arrivals[1] > 0);
        assert_eq!(tally.last, arrivals[10]);
    }

    #[test]
    fn what_belongs_to_no_delivery_of_the_round_is_not_counted() {
        let board = Board::new();
        let old = board.open(1);
        let round = board.open(1);
        board.note(old, 0, 0);
        board.note(round, 1, 0);
        board.note(round, 0, MESSAGES_MAX);
        assert_eq!(board.tally(), Tally::default());
    }

    #[test]
    fn a_restart_forgets_the_warm_up() {
        let board = Board::new();
        let round = board.open(1);
        board.note(round, 0, 3);
        board.restart(4);
        board.note(round, 0, 3);
        assert_eq!(board.tally().arrived, 0);
        board.note(round, 0, 4);
        assert_eq!(board.tally().arrived, 1);
        assert_eq!(board.arrivals().len(), 1);
    }

    #[tokio::test]
    async fn a_wait_ends_with_its_patience() {
        let board = Board::new();
        board.open(1);
        assert_eq!(board.wait(1, Duration::from_millis(20)).await.arrived, 0);
    }
}
