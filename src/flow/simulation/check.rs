//! What must hold when a schedule is over.

use super::{driver::Driver, referee::Facts};
use crate::model::{DeliveryState, EndpointId, Message, MsgId, Time, Trigger};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How soon a first attempt begins when nothing is in its way.
const SOON: Duration = Duration::from_secs(2);
/// Attempts to an endpoint below which it never waits for itself.
const FEW: u32 = 10;
/// How soon attempts go on after something stood still.
const RECOVERED: Duration = Duration::from_secs(90);

impl Driver {
    /// Everything that was wrong.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = self.referee.seen.lock().violations.clone();
        faults.extend(self.lost());
        faults.extend(self.badly_ended());
        faults.extend(self.made_up());
        faults.extend(self.delayed());
        faults.truncate(12);
        faults
    }

    /// Accepted, and gone.
    fn lost(&self) -> Vec<String> {
        let state = self.shared.state.lock();
        let acknowledged = self.acknowledged.lock();
        let gone = acknowledged.iter().filter(|one| !state.messages.contains_key(&(one.app, one.msg)));
        gone.map(|one| format!("lost: {} was accepted at {:?} and is gone", one.msg, one.at)).collect()
    }

    /// Deliveries that are neither done nor held, or say what is not so.
    fn badly_ended(&self) -> Vec<String> {
        let state = self.shared.state.lock();
        let seen = self.referee.seen.lock();
        let taken: BTreeSet<(EndpointId, MsgId)> =
            seen.sent.iter().filter(|sent| sent.taken).map(|sent| (sent.endpoint, sent.msg)).collect();
        let mut faults = Vec::new();
        let pairs = state.messages.values().flat_map(|message| message.endpoints.iter().map(move |endpoint| (message, *endpoint)));
        for (message, endpoint) in pairs {
            let Some(facts) = seen.facts.get(&endpoint) else { continue };
            let key = (endpoint, message.id);
            let queued = state.queue.get(&(endpoint, message.id, Trigger::Scheduled)).is_some_and(|owed| owed.over.is_none());
            let wrong = match state.deliveries.get(&key).map(|row| row.state) {
                _ if facts.deleted.is_some() => None,
                None => Some("has no delivery"),
                Some(DeliveryState::Delivered) if !taken.contains(&key) => Some("is delivered, and nobody took it"),
                Some(DeliveryState::Cancelled) => Some("is cancelled at an endpoint that is there"),
                Some(DeliveryState::Pending(_)) if facts.disabled.is_none() => Some("is pending still"),
                Some(DeliveryState::Pending(_)) if !queued => Some("is held, and not in the queue"),
                Some(DeliveryState::Delivered | DeliveryState::Exhausted) if queued => Some("is over, and in the queue"),
                Some(_) => None,
            };
            faults.extend(wrong.map(|wrong| format!("ended badly: {} to {endpoint} {wrong}", message.id)));
        }
        faults.extend(self.missing_recipients(state.messages.values().map(|message| &**message), &seen.facts));
        faults
    }

    /// Endpoints that should have been given a message and were not.
    fn missing_recipients<'m>(
        &self,
        messages: impl Iterator<Item = &'m Message>,
        facts: &BTreeMap<EndpointId, Facts>,
    ) -> Vec<String> {
        let margin = Duration::from_secs(3);
        let mut faults = Vec::new();
        for message in messages {
            let at = message.id.time();
            let there = |facts: &Facts| {
                let made = facts.policies.first().map_or(at, |(made, _)| *made);
                facts.app == message.app && made.plus(margin) < at && facts.deleted.is_none()
            };
            let missed = facts.iter().filter(|(id, facts)| there(facts) && !message.endpoints.contains(id));
            faults.extend(missed.map(|(id, _)| format!("lost: {} was never to go to {id}", message.id)));
        }
        faults
    }

    /// Attempts that are recorded and that no receiver saw; attempts that receivers saw and that are not recorded, although
    /// nothing went wrong.
    fn made_up(&self) -> Vec<String> {
        let state = self.shared.state.lock();
        let seen = self.referee.seen.lock();
        let mut came: BTreeMap<(EndpointId, MsgId), Vec<Time>> = BTreeMap::new();
        seen.sent.iter().for_each(|sent| came.entry((sent.endpoint, sent.msg)).or_default().push(sent.at));
        let mut faults = Vec::new();
        let mut recorded: BTreeMap<(EndpointId, MsgId), usize> = BTreeMap::new();
        for attempt in state.attempts.values() {
            let key = (attempt.endpoint, attempt.msg);
            *recorded.entry(key).or_default() += 1;
            if !came.get(&key).is_some_and(|times| times.contains(&attempt.id.time())) {
                faults.push(format!("made up: attempt {} of {} at {:?}", attempt.id, attempt.msg, attempt.id.time()));
            }
        }
        let counts = self.shared.counts.lock();
        if !["deaths", "answers lost"].iter().any(|fault| counts.contains_key(fault)) {
            let gone = |endpoint| seen.facts.get(endpoint).is_some_and(|facts: &Facts| facts.deleted.is_some());
            let lost = came.iter().filter(|((endpoint, msg), times)| {
                !gone(endpoint) && recorded.get(&(*endpoint, *msg)).copied().unwrap_or(0) != times.len()
            });
            faults.extend(lost.map(|((endpoint, msg), times)| format!("unrecorded: {msg} to {endpoint} came at {times:?}")));
        }
        faults
    }

    /// First attempts to endpoints that answer well, and that nobody touched, which others have delayed.
    fn delayed(&self) -> Vec<String> {
        let seen = self.referee.seen.lock();
        let manners = self.manners.0.lock();
        let bad = u32::try_from(manners.values().filter(|manner| !manner.is_good()).count()).unwrap();
        // A lane that is not known to be slow yet may take every slot until the deadline, and most of them once more.
        let crowded = self.plan.slots < 10 * (self.endpoints.len() + 1);
        let bound = SOON + if crowded { 2 * Duration::from_secs(self.plan.timeout_s) * bad } else { Duration::ZERO };
        if self.plan.refused + self.plan.unanswered > 0 {
            return Vec::new();
        }
        let unlimited = |endpoint: &EndpointId| {
            let is_free = |facts: &&Facts| facts.rates.iter().chain(&facts.concurrencies).all(|(_, most)| most.is_none());
            let facts = seen.facts.get(endpoint).filter(is_free);
            facts.is_some_and(|facts| !self.referee.app_rates.contains_key(&facts.app)) && !self.touched.contains(endpoint)
        };
        let mut attempts: BTreeMap<EndpointId, u32> = BTreeMap::new();
        seen.sent.iter().for_each(|sent| *attempts.entry(sent.endpoint).or_default() += 1);
        let late = seen.sent.iter().filter(|sent| sent.trigger == Trigger::Scheduled && unlimited(&sent.endpoint)).filter(|sent| {
            let from = sent.due.max(sent.msg.time());
            let good = manners.get(&sent.endpoint).is_some_and(|manner| manner.is_good());
            let disturbed = self.disturbed.iter().any(|(since, until)| *since <= sent.at && *until >= from);
            let attempts = attempts.get(&sent.endpoint).copied().unwrap_or(0);
            let hinders_itself = !good && (crowded || attempts >= FEW);
            let recovered = if disturbed { RECOVERED } else { Duration::ZERO };
            !hinders_itself && sent.at > from.plus(bound + recovered)
        });
        let late = late
            .map(|sent| format!("delayed: {} to {} was due at {:?} and came at {:?}", sent.msg, sent.endpoint, sent.due, sent.at));
        late.collect()
    }
}
