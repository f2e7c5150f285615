//! Slots for running attempts: who gets one, and who is next when there are fewer than are wanted.
//!
//! Three rules, none of which costs anything while slots are plenty:
//!
//! - An application may hold as many slots as are free. One that takes what it can gets half of all, two get a third each,
//!   and something is always left for one that comes.
//! - A lane may hold as many as its application may still take, and one in any case: of a thousand endpoints that hang, none
//!   takes the place of the one that does not.
//! - Lanes that are slow together hold half of all at most, and each application's as many as are left of that half.
//!
//! Whoever gets none waits, and the application that holds least is called first; among its lanes, the one that came first.

use crate::model::{AppId, EndpointId};
use foldhash::HashMap;
use std::collections::{BTreeSet, VecDeque};

/// What came of asking for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// It is taken.
    Taken,
    /// The lane stands in line, and will be called.
    Waits,
    /// The lane holds its part already: the end of one of its own attempts is when to ask again.
    Enough,
}

/// Who asks for a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asks {
    pub(super) app: AppId,
    pub(super) endpoint: EndpointId,
    /// Whether the lane is slow.
    pub(super) slow: bool,
    /// Slots that it holds.
    pub(super) running: usize,
    /// Whether it stands in the line of its kind already.
    pub(super) in_line: bool,
}

/// The slots, and the lines before them.
#[derive(Debug)]
pub(super) struct Slots {
    all: usize,
    used: usize,
    slow: usize,
    /// Applications that hold any, or wait.
    apps: HashMap<AppId, Share>,
    /// Applications with lanes that wait, by what they hold and by when the first of those lanes came.
    lines: [BTreeSet<(usize, u64, AppId)>; 2],
    /// How many have ever waited.
    came: u64,
}

/// What one application holds, and which of its lanes wait.
#[derive(Debug, Default)]
struct Share {
    used: usize,
    slow: usize,
    lines: [VecDeque<(u64, EndpointId)>; 2],
}

impl Share {
    /// Slow lanes stand apart, or a healthy one would wait behind those that may have none.
    fn line(&mut self, slow: bool) -> &mut VecDeque<(u64, EndpointId)> {
        let [healthy, slow_ones] = &mut self.lines;
        if slow { slow_ones } else { healthy }
    }

    /// Its places in the order of each line.
    fn places(&self) -> [Option<(usize, u64)>; 2] {
        let [healthy, slow] = &self.lines;
        [healthy.front().map(|(came, _)| (self.used, *came)), slow.front().map(|(came, _)| (self.slow, *came))]
    }

    fn is_nothing(&self) -> bool {
        self.used == 0 && self.lines.iter().all(VecDeque::is_empty)
    }
}

impl Slots {
    pub(super) fn new(all: usize) -> Self {
        Slots { all, used: 0, slow: 0, apps: HashMap::default(), lines: Default::default(), came: 0 }
    }

    /// Attempts that run.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    fn free(&self) -> usize {
        self.all.saturating_sub(self.used)
    }

    /// What is left of the half of slow lanes.
    fn free_for_slow(&self) -> usize {
        (self.all / 2).saturating_sub(self.slow)
    }

    /// Whether an application that holds so many, of which so many by slow lanes, may have one more.
    fn may(&self, used: usize, used_by_slow: usize, slow: bool) -> bool {
        used < self.free() && (!slow || used_by_slow < self.free_for_slow())
    }

    /// Takes a slot, or stands in line for one.
    pub(super) fn ask(&mut self, asks: Asks) -> Slot {
        let (used, used_by_slow) = self.apps.get(&asks.app).map_or((0, 0), |share| (share.used, share.slow));
        if self.may(used, used_by_slow, asks.slow) {
            if asks.running > 0 && asks.running >= self.free() - used {
                return Slot::Enough;
            }
            self.used += 1;
            self.slow += usize::from(asks.slow);
            self.change(asks.app, |share| {
                share.used += 1;
                share.slow += usize::from(asks.slow);
            });
            return Slot::Taken;
        }
        if !asks.in_line {
            let place = (self.came, asks.endpoint);
            self.came += 1;
            self.change(asks.app, |share| share.line(asks.slow).push_back(place));
        }
        Slot::Waits
    }

    /// Gives a slot back, as it was taken.
    pub(super) fn give_back(&mut self, app: AppId, slow: bool) {
        self.used = self.used.saturating_sub(1);
        self.slow = self.slow.saturating_sub(usize::from(slow));
        self.change(app, |share| {
            share.used = share.used.saturating_sub(1);
            share.slow = share.slow.saturating_sub(usize::from(slow));
        });
    }

    /// A lane that holds so many slots is slow from now on, or no longer: they count as what it is.
    pub(super) fn recount(&mut self, app: AppId, slots: usize, slow: bool) {
        let count = |held: usize| if slow { held + slots } else { held.saturating_sub(slots) };
        self.slow = count(self.slow);
        self.change(app, |share| share.slow = count(share.slow));
    }

    /// Calls the lane whose turn it is; `None` when none that waits may have a slot.
    pub(super) fn call(&mut self) -> Option<EndpointId> {
        let [healthy, slow] = &self.lines;
        let held = |app: &AppId| self.apps.get(app).map_or((0, 0), |share| (share.used, share.slow));
        // Who holds least is first: if that one may not, none may.
        let first = |line: &BTreeSet<(usize, u64, AppId)>, is_slow| {
            let (holds, came, app) = line.first()?;
            let (used, used_by_slow) = held(app);
            self.may(used, used_by_slow, is_slow).then_some((*holds, *came, *app, is_slow))
        };
        let (_, _, app, slow) = first(healthy, false).into_iter().chain(first(slow, true)).min()?;
        self.change(app, |share| share.line(slow).pop_front()).map(|(_, endpoint)| endpoint)
    }

    /// Changes an application's share, and its places in the lines with it.
    fn change<R>(&mut self, app: AppId, change: impl FnOnce(&mut Share) -> R) -> R {
        let share = self.apps.entry(app).or_default();
        let before = share.places();
        let result = change(share);
        let after = share.places();
        if share.is_nothing() {
            self.apps.remove(&app);
        }
        for ((line, before), after) in self.lines.iter_mut().zip(before).zip(after).filter(|((_, before), after)| before != after) {
            let _was_there = before.map(|(holds, came)| line.remove(&(holds, came, app)));
            let _is_new = after.map(|(holds, came)| line.insert((holds, came, app)));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asks(app: u128, endpoint: u128, slow: bool, running: usize) -> Asks {
        Asks { app: AppId(app), endpoint: EndpointId(endpoint), slow, running, in_line: false }
    }

    /// How many slots so many lanes of an application get, each as many as it can.
    fn grab(slots: &mut Slots, app: u128, lanes: u128, slow: bool) -> usize {
        let taken = |slots: &mut Slots, lane: u128| {
            (0..).take_while(|running| slots.ask(asks(app, app * 1000 + lane, slow, *running)) == Slot::Taken).count()
        };
        (0..lanes).map(|lane| taken(slots, lane)).sum()
    }

    #[test]
    fn who_takes_all_it_can_leaves_half_and_the_next_a_third_of_that() {
        let mut slots = Slots::new(1200);
        assert_eq!(grab(&mut slots, 1, 400, false), 600);
        assert_eq!(grab(&mut slots, 2, 400, false), 300);
        assert_eq!(grab(&mut slots, 3, 400, false), 150);
        assert_eq!(slots.ask(asks(4, 4000, false, 0)), Slot::Taken, "something is always left");
    }

    #[test]
    fn of_many_lanes_none_is_kept_out_by_those_that_came_first() {
        let mut slots = Slots::new(1200);
        let first = grab(&mut slots, 1, 1, false);
        assert_eq!(first, 400, "alone it gets a third");
        assert_eq!(grab(&mut slots, 1, 20, false), 200);
        assert!(grab(&mut Slots::new(1200), 1, 100, false) == 600);
    }

    #[test]
    fn slow_lanes_leave_half_of_all_and_one_another_some_of_theirs() {
        let mut slots = Slots::new(1200);
        assert_eq!(grab(&mut slots, 1, 500, true), 300);
        assert_eq!(grab(&mut slots, 2, 500, true), 150);
        assert_eq!(grab(&mut slots, 2, 1, false), 200, "what is not slow");
    }

    #[test]
    fn who_holds_least_is_called_first_and_in_the_order_of_coming() {
        let mut slots = Slots::new(8);
        assert_eq!(grab(&mut slots, 1, 9, false), 4);
        assert_eq!(grab(&mut slots, 2, 9, false), 2);
        assert_eq!(grab(&mut slots, 3, 1, false), 1);
        // What grabbed stands in line: nine lanes of each, and the one.
        assert_eq!(slots.call(), None);
        assert_eq!(slots.ask(asks(3, 3009, false, 0)), Slot::Waits);
        slots.give_back(AppId(1), false);
        slots.give_back(AppId(1), false);
        assert_eq!(slots.call(), Some(EndpointId(3000)), "its application holds one, the others two");
        assert_eq!(slots.ask(asks(3, 3000, false, 1)), Slot::Taken);
        slots.give_back(AppId(2), false);
        assert_eq!(slots.call(), Some(EndpointId(2000)), "it came before");
        assert_eq!(slots.ask(asks(2, 2000, false, 0)), Slot::Taken);
        assert_eq!(slots.call(), None, "two are free, and all hold two");
        assert_eq!(slots.ask(asks(4, 4000, false, 0)), Slot::Taken);
    }

    #[test]
    fn a_healthy_lane_waits_behind_no_slow_one_that_may_have_no_slot() {
        let mut slots = Slots::new(8);
        assert_eq!(grab(&mut slots, 1, 20, true), 2);
        assert_eq!(grab(&mut slots, 2, 20, true), 1);
        assert_eq!(slots.ask(asks(1, 50, false, 0)), Slot::Taken);
        assert_eq!(slots.call(), None, "of slow ones, nobody may have one");
        slots.give_back(AppId(1), true);
        assert_eq!(slots.call(), Some(EndpointId(1000)));
    }

    proptest! {
        /// Whatever is asked and given back: no more than there are, and when nothing runs, whoever waits is called.
        #[test]
        fn nobody_waits_while_nothing_runs(all in 2..40_usize, steps: Vec<(u8, u8, bool, bool)>) {
            let mut slots = Slots::new(all);
            let mut running: Vec<(u128, u128, bool)> = Vec::new();
            let mut waiting: Vec<(u128, u128, bool)> = Vec::new();
            for (app, lane, slow, ends) in steps {
                let (app, lane) = (u128::from(app % 5), u128::from(lane % 7));
                let held = |running: &[(u128, u128, bool)]| running.iter().filter(|(a, l, _)| (*a, *l) == (app, lane)).count();
                if ends && !running.is_empty() {
                    let (app, _, slow) = running.swap_remove(lane as usize % running.len());
                    slots.give_back(AppId(app), slow);
                } else {
                    let in_line = waiting.contains(&(app, lane, slow));
                    let asks = Asks { in_line, ..asks(app, app * 1000 + lane, slow, held(&running)) };
                    match slots.ask(asks) {
                        Slot::Taken => running.push((app, lane, slow)),
                        Slot::Waits if !in_line => waiting.push((app, lane, slow)),
                        Slot::Waits => {}
                        Slot::Enough => prop_assert!(asks.running > 0, "its own end looks again"),
                    }
                }
                prop_assert!(running.len() <= all && slots.used() == running.len());
                prop_assert!(running.iter().filter(|(_, _, slow)| *slow).count() <= all / 2);
            }
            running.drain(..).for_each(|(app, _, slow)| slots.give_back(AppId(app), slow));
            let called = std::iter::from_fn(|| slots.call()).count();
            prop_assert_eq!(called, waiting.len());
            prop_assert!(slots.apps.is_empty() && slots.lines.iter().all(BTreeSet::is_empty));
        }
    }
}
