//! What must hold when a schedule is over.

use super::{
    driver::{Acknowledged, Driver},
    referee::Facts,
};
use crate::model::{AppId, Cause, DeliveryState, EndpointId, Message, MsgId, Time, Trigger};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// How soon a first attempt begins when nothing is in its way.
const SOON: Duration = Duration::from_secs(2);
/// Attempts to an endpoint below which it never waits for itself.
const FEW: u32 = 10;
/// Between two rounds in which upkeep prunes, and a little.
const LONG_ROUND: Duration = Duration::from_secs(600 + 31);
/// Between two rounds in which upkeep deletes payloads, and a little.
const EXPIRES_IN: Duration = Duration::from_secs(30 + 5);
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
        faults.extend(self.left_over());
        faults.extend(self.accepted_twice());
        faults.truncate(12);
        faults
    }

    /// Accepted, and gone.
    fn lost(&self) -> Vec<String> {
        let state = self.shared.state.lock();
        let acknowledged = self.acknowledged.lock();
        let seen = self.referee.seen.lock();
        let was_deleted = |one: &&Acknowledged| seen.deleted_apps.contains(&one.app) || seen.pruned.contains(&one.msg);
        let gone = acknowledged.iter().filter(|one| !state.messages.contains_key(&(one.app, one.msg)) && !was_deleted(one));
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
                Some(DeliveryState::Cancelled) if !seen.cancelled.contains(&key) => Some("is cancelled, and nobody asked for that"),
                Some(DeliveryState::Pending(_)) if facts.disabled.is_none() => Some("is pending still"),
                Some(DeliveryState::Pending(_)) if !queued => Some("is held, and not in the queue"),
                Some(DeliveryState::Delivered | DeliveryState::Exhausted | DeliveryState::Cancelled) if queued => {
                    Some("is over, and in the queue")
                }
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
        // A node that is cut off does not hear of new endpoints.
        let is_out = |at: Time| self.cut_off.iter().any(|(since, until)| *since <= at && at <= until.plus(margin));
        for message in messages.filter(|message| !is_out(message.id.time())) {
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
            if attempt.outcome.cause == Cause::Expunged {
                continue;
            }
            *recorded.entry(key).or_default() += 1;
            if !came.get(&key).is_some_and(|times| times.contains(&attempt.id.time())) {
                faults.push(format!("made up: attempt {} of {} at {:?}", attempt.id, attempt.msg, attempt.id.time()));
            }
        }
        let counts = self.shared.counts.lock();
        if !["deaths", "answers lost", "times that a node was cut off"].iter().any(|fault| counts.contains_key(fault)) {
            let gone = |endpoint| seen.facts.get(endpoint).is_some_and(|facts: &Facts| facts.deleted.is_some());
            let lost = came.iter().filter(|((endpoint, msg), times)| {
                !gone(endpoint)
                    && !seen.pruned.contains(msg)
                    && recorded.get(&(*endpoint, *msg)).copied().unwrap_or(0) != times.len()
            });
            faults.extend(lost.map(|((endpoint, msg), times)| format!("unrecorded: {msg} to {endpoint} came at {times:?}")));
        }
        faults
    }

    /// What is there still of what was deleted, or is too old.
    fn left_over(&self) -> Vec<String> {
        if !self.cleared {
            return Vec::new();
        }
        let state = self.shared.state.lock();
        let seen = self.referee.seen.lock();
        let now = self.clock.now();
        let is_old = |message: &&Arc<Message>| {
            let end = seen.posts.payload_ends(message).or(message.payload_expires_at);
            !message.expunged && end.is_some_and(|end| end.plus(EXPIRES_IN) < now)
        };
        let is_gone = |endpoint: &EndpointId| seen.facts.get(endpoint).is_some_and(|facts| facts.deleted.is_some());
        let mut faults = Vec::new();
        let mut blame = |what: String| faults.push(format!("left over: {what}"));
        let orphans = seen.facts.iter().filter(|(_, facts)| seen.deleted_apps.contains(&facts.app) && facts.deleted.is_none());
        orphans.for_each(|(endpoint, _)| blame(format!("{endpoint}, whose application is deleted")));
        let rows = state.deliveries.keys().map(|(endpoint, msg)| (endpoint, msg));
        let rows = rows.chain(state.attempts.values().map(|attempt| (&attempt.endpoint, &attempt.msg)));
        // Who is back after longer than an order to purge stays may accept for what it does not know to be deleted: such deliveries
        // are withdrawn, and go with their messages.
        let rows = rows.filter(|_| self.cut_off.is_empty());
        let rows = rows.chain(state.queue.keys().map(|(endpoint, msg, _)| (endpoint, msg)));
        rows.filter(|(endpoint, _)| is_gone(endpoint))
            .for_each(|(endpoint, msg)| blame(format!("{msg} to {endpoint}, which is deleted")));
        state.messages.values().filter(is_old).for_each(|message| blame(format!("the payload of {}, at {now:?}", message.id)));
        for (app, msg) in state.messages.keys() {
            let owed = state.queue.keys().any(|(_, other, _)| other == msg);
            let old = seen.kept.get(app).is_some_and(|kept| msg.time().plus(kept.now + SOON) < now.minus(LONG_ROUND));
            if seen.deleted_apps.contains(app) || (old && !owed) {
                blame(format!("{msg} of {app}, at {now:?}"));
            }
        }
        faults
    }

    /// Messages that were accepted twice under one event id.
    fn accepted_twice(&self) -> Vec<String> {
        let state = self.shared.state.lock();
        let mut known: BTreeMap<(AppId, &str), MsgId> = BTreeMap::new();
        let named = state.messages.values().filter_map(|message| Some((message, message.event_id.as_deref()?)));
        let twice = named.filter_map(|(message, event_id)| {
            let other = known.insert((message.app, event_id), message.id)?;
            Some(format!("accepted twice: {other} and {} have the event id {event_id:?}", message.id))
        });
        twice.collect()
    }

    /// First attempts to endpoints that answer well, and that nobody touched, which others have delayed.
    fn delayed(&self) -> Vec<String> {
        let seen = self.referee.seen.lock();
        let manners = self.manners.0.lock();
        let bad = u32::try_from(manners.values().filter(|manner| !manner.is_good()).count()).unwrap();
        // With S slots, lanes of an application get at least S/2 by turns, and each attempt ends by its deadline T: in every T those
        // pass on. A lane that only fails is slow after 3 failures (`SLOW_AFTER`), whatever it holds counts as slow from then on, and
        // slow lanes together take no more than S/2, so that a slot that others have got stays with others. With n such lanes that
        // is so after 3n failures, in ceil(3n/(S/2)) T; S is 3 at least here, which gives 2 slots, so that is 2n T at most. Lanes that
        // fail now and then are no worse: they never hold a slot for longer than T, and it passes on in turn.
        let crowded = self.plan.slots < 10 * (self.endpoints.len() + 1);
        let bound = SOON + if crowded { Duration::from_secs(self.plan.timeout_s) * 2 * bad } else { Duration::ZERO };
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
