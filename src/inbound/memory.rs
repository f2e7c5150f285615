//! Memory of bodies whose senders nobody knows yet: one budget of bytes for all sources, a share of it for each source, and
//! one for all sources of an application, taken before the bytes are read. A few atomic additions a request; no lock.
//!
//! An application's share is as much as it leaves free. So one alone takes half at most, two that come together a third each, and
//! who comes when others hold all of theirs still finds half of the rest, however many sources they have.

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

    /// What the sources of one application have taken of it. How much that may be depends on what is left.
    pub(super) fn of_application() -> Self {
        Self::of(ALL_BYTES)
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

    fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    fn free(&self) -> usize {
        self.limit.saturating_sub(self.taken())
    }
}

/// What one body has taken: of its source's share, of its application's and of all. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room<'m> {
    from: [&'m Memory; 3],
    bytes: usize,
}

impl<'m> Room<'m> {
    /// Nothing yet.
    pub(super) fn new(source: &'m Memory, application: &'m Memory, all: &'m Memory) -> Self {
        Room { from: [source, application, all], bytes: 0 }
    }

    /// Has at least so many bytes from now on; `false`: they are not free, and nothing has changed.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return true };
        for (at, memory) in self.from.iter().enumerate() {
            if !memory.take(more) {
                self.from.iter().take(at).for_each(|taken| taken.give_back(more));
                return false;
            }
        }
        let [_, application, all] = self.from;
        if application.taken() > all.free() {
            self.from.iter().for_each(|taken| taken.give_back(more));
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

    const MIB: usize = 1 << 20;

    fn taken(memories: [&Memory; 4]) -> [usize; 4] {
        memories.map(Memory::taken)
    }

    /// How many bodies of so many bytes find room, one after the other.
    fn fill<'m>(rooms: &mut Vec<Room<'m>>, [source, application, all]: [&'m Memory; 3], bytes: usize) -> usize {
        let before = rooms.len();
        loop {
            let mut room = Room::new(source, application, all);
            if !room.hold(bytes) {
                return rooms.len() - before;
            }
            rooms.push(room);
        }
    }

    #[test]
    fn what_is_taken_is_bounded_and_given_back() {
        let (all, one, other) = (Memory::of(100), Memory::of(40), Memory::of(40));
        let (own, others) = (Memory::of(100), Memory::of(100));
        let (mut first, mut second) = (Room::new(&one, &own, &all), Room::new(&one, &own, &all));
        assert!(first.hold(30) && first.hold(20), "less than is held takes nothing more");
        assert!(!second.hold(11), "the source's share is used up");
        let mut third = Room::new(&other, &others, &all);
        assert!(third.hold(35) && !third.hold(36), "nothing more is free than the application has");
        assert!(!second.hold(6), "nor for the other one: 36 of 29");
        assert_eq!(taken([&all, &one, &other, &own]), [65, 30, 35, 30], "what failed has changed nothing");
        drop(third);
        assert!(second.hold(10) && !second.hold(usize::MAX));
        drop((first, second));
        assert_eq!(taken([&all, &one, &other, &own]), [0, 0, 0, 0]);
    }

    #[test]
    fn one_source_takes_a_quarter_at_most() {
        const { assert!(SOURCE_BYTES < ALL_BYTES) };
        let (all, greedy, own) = (Memory::of_all(), Memory::of_source(), Memory::of_application());
        let mut rooms = Vec::new();
        assert_eq!(fill(&mut rooms, [&greedy, &own, &all], 5 * MIB), 6);
        let other = Memory::of_source();
        assert!(Room::new(&other, &own, &all).hold(5 * MIB), "another one of the application has room");
    }

    #[test]
    fn an_application_takes_no_more_than_it_leaves_however_many_sources_it_has() {
        let all = Memory::of_all();
        let applications: Vec<(Memory, Vec<Memory>)> =
            std::iter::repeat_with(|| (Memory::of_application(), std::iter::repeat_with(Memory::of_source).take(10).collect()))
                .take(9)
                .collect();
        let (mut rooms, mut held) = (Vec::new(), Vec::new());
        for (own, sources) in &applications {
            let bodies: usize = sources.iter().map(|source| fill(&mut rooms, [source, own, &all], MIB)).sum();
            held.push(bodies);
        }
        assert_eq!(held[..4], [64, 32, 16, 8], "each came when the ones before had all of theirs");
        let (own, source) = (Memory::of_application(), Memory::of_source());
        assert!(Room::new(&source, &own, &all).hold(64 * 1024), "and who comes with little finds room");
    }
}
