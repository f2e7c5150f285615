//! What is due, and in nobody's hands, is looked for by a lane. Upkeep finds after ten minutes what none looks for, so that
//! nothing is lost; but it should never have to.

use super::driver::Driver;
use crate::model::{EndpointId, MsgId, Time, Trigger};
use std::{collections::BTreeMap, sync::atomic::Ordering::SeqCst, time::Duration};

/// How long something may be due before anybody has to look for it: as long as a change takes to be known everywhere.
const SOON: Duration = Duration::from_secs(2);
/// For how long it may be that no lane looks for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is due although no lane looks for it, and since when that was seen.
pub(super) type Suspects = BTreeMap<(EndpointId, MsgId, Trigger), Time>;

impl Driver {
    /// Blames the engine for what it has forgotten. While a process is away nothing is said, nor for a
    /// while after that: others hear later of what it held.
    pub(super) fn look_for_forgotten(&mut self) {
        let now = self.clock.now();
        let is_away = |running: &super::driver::Running| running.node.is_cut_off() || running.node.dead.load(SeqCst);
        let is_disturbed = self.disturbed.iter().any(|(since, until)| *since <= now && now <= *until);
        if is_disturbed || self.engines().count() < self.plan.nodes || self.engines().any(is_away) {
            return self.suspects.clear();
        }
        let mut free = self.shared.free_since(now.minus(SOON));
        free.retain(|(endpoint, ..)| self.is_open(*endpoint) && !self.is_looked_for(*endpoint, now));
        let before = std::mem::take(&mut self.suspects);
        for key in free {
            let since = before.get(&key).copied().unwrap_or(now);
            if since.plus(PATIENCE) <= now && before.contains_key(&key) {
                let (endpoint, msg, trigger) = key;
                self.referee.seen.lock().blame(format!("forgotten: {trigger:?} of {msg} to {endpoint} is due, at {now:?}"));
            }
            self.suspects.insert(key, since);
        }
    }

    fn is_open(&self, endpoint: EndpointId) -> bool {
        let seen = self.referee.seen.lock();
        seen.facts.get(&endpoint).is_some_and(|facts| facts.disabled.is_none() && facts.deleted.is_none())
    }

    fn is_looked_for(&self, endpoint: EndpointId, now: Time) -> bool {
        let due = |running: &super::driver::Running| running.engine.lane(endpoint).and_then(|lane| lane.stored_due);
        self.engines().filter_map(due).any(|due| due <= now)
    }
}
