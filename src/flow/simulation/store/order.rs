//! Strict order, said plainly: of what is owed with one key, all but one is parked, and that one is the first that was
//! accepted of those that have not come to an end.

use super::state::{Owed, State, entries};
use crate::{
    model::{EndpointId, MsgId, OrderKey, Time, Trigger},
    store::PARKED,
};

/// A place within a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Turn {
    pub(in super::super) key: OrderKey,
    place: u64,
}

impl State {
    /// What is owed of a key, in the sequence of acceptance.
    fn of_key(&self, endpoint: EndpointId, key: OrderKey) -> Vec<(u64, MsgId, Time)> {
        let own = entries(&self.queue, endpoint).filter(|(_, trigger, owed)| *trigger == Trigger::Scheduled && owed.over.is_none());
        let mut of_key: Vec<_> = own
            .filter_map(|(msg, _, owed)| owed.turn.filter(|turn| turn.key == key).map(|turn| (turn.place, msg, owed.due)))
            .collect();
        of_key.sort_unstable();
        of_key
    }

    /// Takes something in at the end of its key: nobody leases it before the store knows whose turn it is.
    pub(super) fn join(&mut self, (endpoint, key): (EndpointId, OrderKey), owed: Owed) -> Owed {
        self.places += 1;
        let due = if self.of_key(endpoint, key).is_empty() { owed.due } else { PARKED };
        Owed { due, turn: Some(Turn { key, place: self.places }), ..owed }
    }

    /// Something of the key has come to an end: if nothing else of it may go, the next one may.
    pub(super) fn pass_on(&mut self, (endpoint, key): (EndpointId, OrderKey), now: Time) {
        let of_key = self.of_key(endpoint, key);
        if of_key.iter().any(|(.., due)| *due < PARKED) {
            return;
        }
        let Some((_, msg, _)) = of_key.first().copied() else { return };
        let Some(owed) = self.queue.get_mut(&(endpoint, msg, Trigger::Scheduled)) else { return };
        let first_due = self.messages.get(&(owed.app, msg)).map_or(now, |message| message.first_due());
        owed.due = first_due.max(now);
    }
}
