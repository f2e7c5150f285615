//! Memory of bodies whose senders nobody knows yet: one budget of bytes for all sources, and a share of it for each, taken
//! before the bytes are read. Two atomic additions a request; no lock.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that the bodies of all sources may hold at once: 128 MiB.
const ALL_BYTES: usize = 128 * 1024 * 1024;
/// Bytes that the bodies of one source may hold at once: a quarter, six bodies of the longest kind.
const SOURCE_BYTES: usize = ALL_BYTES / 4;

/// Bytes of which some are taken.
#[derive(Debug)]
pub(super) struct Memory {
    taken: AtomicUsize,
    limit: usize,
}

impl Memory {
    /// What all sources share.
    pub(super) fn of_all() -> Self {
        Self::of(ALL_BYTES)
    }

    /// What one source may take of it.
    pub(super) fn of_source() -> Self {
        Self::of(SOURCE_BYTES)
    }

    const fn of(limit: usize) -> Self {
        Memory { taken: AtomicUsize::new(0), limit }
    }

    fn take(&self, bytes: usize) -> bool {
        let free = self.taken.fetch_add(bytes, Relaxed).checked_add(bytes).is_some_and(|taken| taken <= self.limit);
        if !free {
            self.give_back(bytes);
        }
        free
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Relaxed);
    }
}

/// What one body has taken, of the source's share and of all. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room<'m> {
    from: [&'m Memory; 2],
    bytes: usize,
}

impl<'m> Room<'m> {
    /// Nothing yet.
    pub(super) fn new(own: &'m Memory, all: &'m Memory) -> Self {
        Room { from: [own, all], bytes: 0 }
    }

    /// Has at least so many bytes from now on; `false`: they are not free, and nothing has changed.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let [own, all] = self.from;
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return true };
        if !own.take(more) {
            return false;
        }
        if !all.take(more) {
            own.give_back(more);
            return false;
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.from.iter().for_each(|memory| memory.give_back(self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(memories: [&Memory; 3]) -> [usize; 3] {
        memories.map(|memory| memory.taken.load(Relaxed))
    }

    #[test]
    fn what_is_taken_is_bounded_and_given_back() {
        let (all, one, other) = (Memory::of(100), Memory::of(60), Memory::of(60));
        let (mut first, mut second) = (Room::new(&one, &all), Room::new(&one, &all));
        assert!(first.hold(40) && first.hold(30), "less than is held takes nothing more");
        assert!(!second.hold(21), "the source's share is used up");
        let mut third = Room::new(&other, &all);
        assert!(third.hold(60) && !second.hold(1), "nothing is free");
        assert_eq!(taken([&all, &one, &other]), [100, 40, 60], "what failed has changed nothing");
        drop(third);
        assert!(second.hold(20) && !second.hold(usize::MAX));
        drop((first, second));
        assert_eq!(taken([&all, &one, &other]), [0, 0, 0]);
    }

    #[test]
    fn one_source_cannot_take_all() {
        const { assert!(SOURCE_BYTES < ALL_BYTES) };
        let (all, greedy, other) = (Memory::of_all(), Memory::of_source(), Memory::of_source());
        let mut rooms: Vec<Room<'_>> = (0..100).map(|_| Room::new(&greedy, &all)).collect();
        let held = rooms.iter_mut().filter_map(|room| room.hold(5 << 20).then_some(())).count();
        assert_eq!(held, 6);
        assert!(Room::new(&other, &all).hold(5 << 20));
    }
}
