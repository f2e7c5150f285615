//! The referee: sees every change at the store and every request at the receivers, and says what should not have been.

use super::{
    order::{self, Posts},
    store::{Judge, Shared, State, Trouble},
};
use crate::{
    model::{
        AppId, Attempt, Cause, Delivery, DeliveryState, DisabledBy, Endpoint, EndpointId, Kind, Message, MsgId, Order, OrderKey,
        Record, RetryPolicy, Time, Trigger, Verdict,
    },
    store::{Change, Settlement},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

/// Attempts at once to an endpoint of which nothing is known.
const FIRST_CONCURRENCY: usize = 10;
/// Attempts at once to any endpoint.
const MOST_CONCURRENCY: usize = 100;
/// By how much a delay is moved at most, of its length.
const JITTER: f64 = 0.2;
/// Milliseconds by which two readings of the clock may differ.
const ROUNDING_MS: u64 = 2;
/// How long a change may take until every lane goes by it.
const SETTLES_IN: Duration = Duration::from_secs(2);
/// Violations after which no more are noted.
const ENOUGH: usize = 8;

/// What is known of an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) app: AppId,
    pub(super) policies: Vec<(Time, Option<RetryPolicy>)>,
    pub(super) rates: Vec<(Time, Option<u16>)>,
    pub(super) concurrencies: Vec<(Time, Option<u16>)>,
    pub(super) orderings: Vec<Option<Order>>,
    pub(super) disabled: Option<(Time, DisabledBy)>,
    pub(super) deleted: Option<Time>,
}

/// A request that came to a receiver.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at: Time,
    pub(super) node: u64,
    pub(super) endpoint: EndpointId,
    pub(super) msg: MsgId,
    pub(super) trigger: Trigger,
    /// When it was due.
    pub(super) due: Time,
    /// The receiver has taken it.
    pub(super) taken: bool,
}

/// How long an application's messages are kept: the shortest that it ever said, and what it says now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    shortest: Duration,
    pub(super) now: Duration,
    /// The shortest that it ever said of payloads.
    payloads: Option<Duration>,
}

/// What the receivers see of one node's attempts to one endpoint.
#[derive(Default)]
struct Stream {
    running: usize,
    has_succeeded: bool,
    arrivals: VecDeque<Time>,
}

/// What is seen, and what of it was wrong.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) facts: BTreeMap<EndpointId, Facts>,
    pub(super) sent: Vec<Sent>,
    pub(super) violations: Vec<String>,
    pub(super) posts: Posts,
    pub(super) deleted_apps: BTreeSet<AppId>,
    /// How long applications' messages are kept.
    pub(super) kept: BTreeMap<AppId, Kept>,
    pub(super) pruned: BTreeSet<MsgId>,
    /// What somebody has cancelled.
    pub(super) cancelled: BTreeSet<(EndpointId, MsgId)>,
    /// By which node it was, once that was answered.
    cancelled_by: BTreeMap<(EndpointId, MsgId), u64>,
    /// Of a key in strict order the message to which an endpoint has answered 410, until somebody enables it.
    pub(super) gone: BTreeMap<(EndpointId, OrderKey), MsgId>,
    streams: BTreeMap<(u64, EndpointId), Stream>,
    running: BTreeMap<u64, usize>,
}

/// The referee.
pub(super) struct Referee {
    pub(super) seen: Mutex<Seen>,
    pub(super) shared: Arc<Shared>,
    /// Attempts at once, over all endpoints of a node.
    pub(super) slots: usize,
    /// The policy of endpoints that have none.
    pub(super) policy: RetryPolicy,
    /// The rates of applications.
    pub(super) app_rates: BTreeMap<AppId, u16>,
}

impl Seen {
    pub(super) fn blame(&mut self, what: String) {
        if self.violations.len() < ENOUGH {
            self.violations.push(what);
        }
    }

    fn learn(&mut self, endpoint: &Endpoint, now: Time) {
        let Endpoint { app, disabled, .. } = *endpoint;
        let fresh = || Facts {
            app,
            policies: Vec::new(),
            rates: Vec::new(),
            concurrencies: Vec::new(),
            orderings: Vec::new(),
            disabled: None,
            deleted: None,
        };
        let facts = self.facts.entry(endpoint.id).or_insert_with(fresh);
        facts.policies.push((now, endpoint.retry_policy.clone()));
        if facts.rates.last().is_none_or(|(_, rate)| *rate != endpoint.throttle_rate) {
            facts.rates.push((now, endpoint.throttle_rate));
        }
        if facts.concurrencies.last().is_none_or(|(_, most)| *most != endpoint.concurrency) {
            facts.concurrencies.push((now, endpoint.concurrency));
        }
        if facts.orderings.last() != Some(&endpoint.ordering) {
            facts.orderings.push(endpoint.ordering.clone());
        }
        let is_enabled = disabled.is_none() && facts.disabled.is_some();
        facts.disabled = disabled.map(|by| facts.disabled.map_or((now, by), |(since, _)| (since, by)));
        if is_enabled {
            self.gone.retain(|(of, _), _| *of != endpoint.id);
        }
    }
}

impl Judge for Referee {
    fn moved(&self, before: DeliveryState, after: &Delivery) {
        if before == DeliveryState::Delivered && after.state != before {
            let what = format!("success taken back: {} to {} is {:?}", after.msg, after.endpoint, after.state);
            self.seen.lock().blame(what);
        }
    }

    fn changed(&self, changes: &[Change], now: Time) {
        let mut seen = self.seen.lock();
        for change in changes {
            match change {
                Change::Insert(Record::Endpoint(e)) | Change::Replace(Record::Endpoint(e), _) => seen.learn(e, now),
                Change::Delete(address) if address.kind == Kind::Endpoint => {
                    let facts = address.key.parse().ok().and_then(|endpoint| seen.facts.get_mut(&endpoint));
                    facts.into_iter().for_each(|facts| facts.deleted = facts.deleted.or(Some(now)));
                }
                Change::Delete(address) if address.kind == Kind::Application => {
                    self.shared.count("applications deleted");
                    seen.deleted_apps.extend(address.key.parse::<AppId>().ok());
                }
                Change::Write(Record::Retention(retention)) => {
                    if let (Some(app), Some(kept)) = (retention.app, retention.messages()) {
                        let known = seen.kept.entry(app).or_insert(Kept { shortest: kept, now: kept, payloads: None });
                        let payloads = known.payloads.into_iter().chain(retention.payloads()).min();
                        *known = Kept { shortest: kept.min(known.shortest), now: kept, payloads };
                    }
                }
                _ => {}
            }
        }
    }

    fn pruned(&self, app: AppId, messages: &[MsgId], now: Time) {
        let mut seen = self.seen.lock();
        let kept = seen.kept.get(&app).map(|kept| kept.shortest);
        for msg in messages {
            if kept.is_none_or(|kept| msg.time().plus(kept) > now) {
                seen.blame(format!("lost: {msg} was pruned at {now:?}, kept for {kept:?}"));
            }
            self.shared.count("messages pruned");
            seen.pruned.insert(*msg);
        }
    }

    fn expunged(&self, messages: &[Arc<Message>], now: Time) {
        let mut seen = self.seen.lock();
        for message in messages {
            let of_app = seen.kept.get(&message.app).and_then(|kept| kept.payloads).map(|kept| message.id.time().plus(kept));
            if seen.posts.payload_ends(message).or(of_app).is_none_or(|end| end > now) {
                seen.blame(format!("lost: the payload of {} was deleted at {now:?}", message.id));
            }
            self.shared.count("payloads deleted");
        }
    }

    fn cancelled(&self, endpoint: EndpointId, msg: MsgId) {
        self.seen.lock().cancelled.insert((endpoint, msg));
    }

    fn settles(&self, state: &State, settlement: &Settlement) {
        let Settlement { msg, endpoint, trigger, lease, verdict, ref attempt, .. } = *settlement;
        let held = state.queue.get(&(endpoint, msg, trigger)).and_then(|owed| owed.lease);
        if held.is_none_or(|held| held.token != lease.token) {
            return;
        }
        let mut seen = self.seen.lock();
        if let Some(attempt) = attempt.as_ref().filter(|attempt| state.attempts.contains_key(&(endpoint, attempt.id))) {
            seen.blame(format!("counted twice: attempt {} of {msg} to {endpoint}", attempt.id));
        }
        let is_expunged = |attempt: &Attempt| attempt.outcome.cause == Cause::Expunged;
        if attempt.as_ref().is_some_and(is_expunged) {
            self.shared.count("deliveries that ended without their payload");
            if state.messages.get(&(settlement.app, msg)).is_some_and(|message| !message.expunged) {
                seen.blame(format!("made up: {msg} to {endpoint} ends for want of a payload that is there"));
            }
        }
        let Some(facts) = seen.facts.get(&endpoint) else { return };
        let wrong = match attempt {
            None if verdict != Verdict::Cancelled => Some("a result without an attempt".to_owned()),
            None if facts.deleted.is_none() => Some("cancelled at an endpoint that is there".to_owned()),
            None => None,
            Some(attempt) => {
                let row = state.deliveries.get(&(endpoint, msg));
                let end = ended(attempt);
                let began = attempt.id.time();
                let is_told = |since: Time| since <= began && *self.shared.cut_off_until.lock() <= began;
                let current = facts.policies.iter().rposition(|(since, _)| is_told(*since)).unwrap_or(0);
                let policies =
                    facts.policies[current.saturating_sub(1)..].iter().map(|(_, own)| own.as_ref().unwrap_or(&self.policy));
                let mut policies = policies.peekable();
                let right = policies.any(|policy| is_right(attempt, row, policy, verdict, end));
                (!right).then(|| format!("{verdict:?} after {:?} at {end:?}, delivery {row:?}", attempt.outcome.cause))
            }
        };
        if let Some(wrong) = wrong {
            seen.blame(format!("schedule: {endpoint} {msg} {trigger:?}: {wrong}"));
        }
    }
}

/// When an attempt ended.
fn ended(attempt: &Attempt) -> Time {
    attempt.id.time().plus(Duration::from_micros(attempt.outcome.phases.total_us.into()))
}

/// Whether a verdict is what the policy wants, worked out anew.
fn is_right(attempt: &Attempt, row: Option<&Delivery>, policy: &RetryPolicy, verdict: Verdict, end: Time) -> bool {
    let outcome = &attempt.outcome;
    if outcome.cause == Cause::Success {
        return verdict == Verdict::Delivered;
    }
    let last = attempt.trigger == Trigger::Manual || outcome.status == Some(410) || outcome.cause == Cause::Expunged;
    let delay = match policy {
        _ if last => None,
        RetryPolicy::Delays(delays) => {
            row.and_then(|row| delays.get(row.failed as usize)).map(|seconds| Duration::from_secs((*seconds).into()))
        }
        computed => row.and_then(|row| computed.delay_after(row.failed + 1)),
    };
    match (delay, verdict) {
        (None, Verdict::Exhausted) => true,
        (Some(delay), Verdict::Retry(due)) => {
            let asked =
                outcome.retry_after.filter(|_| matches!(outcome.status, Some(429 | 503)) && outcome.cause == Cause::BadStatus);
            let asked = asked.unwrap_or_default();
            let early = end.plus(delay.mul_f64(1.0 - JITTER).max(asked));
            let late = end.plus(delay.mul_f64(1.0 + JITTER).max(asked));
            due.0 + ROUNDING_MS >= early.0 && due.0 <= late.0 + ROUNDING_MS
        }
        _ => false,
    }
}

/// An attempt that a receiver sees; over when dropped.
pub(super) struct Running {
    referee: Arc<Referee>,
    node: u64,
    endpoint: EndpointId,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut seen = self.referee.seen.lock();
        seen.streams.entry((self.node, self.endpoint)).or_default().running -= 1;
        *seen.running.entry(self.node).or_default() -= 1;
    }
}

impl Referee {
    /// A request has come; its place among all that came.
    pub(super) fn begins(self: &Arc<Self>, node: u64, (endpoint, msg): (EndpointId, MsgId), now: Time) -> (usize, Running) {
        let mut state = self.shared.state.lock();
        let begun = state.begin(node, (endpoint, msg), now);
        let mut seen = self.seen.lock();
        if begun.is_ok_and(|(trigger, _)| trigger == Trigger::Scheduled) {
            if seen.cancelled_by.get(&(endpoint, msg)) == Some(&node) {
                seen.blame(format!("cancelled: {msg} to {endpoint} is attempted at {now:?}"));
            }
            let early = order::before_its_turn(&state, &seen, endpoint, msg);
            early.into_iter().for_each(|what| seen.blame(format!("{what}, at {now:?}")));
            let late = order::after_its_end(&state, &mut seen, (endpoint, msg));
            let is_known = !self.shared.cluster.load(SeqCst) || self.shared.steady.load(SeqCst);
            late.filter(|_| is_known).into_iter().for_each(|what| seen.blame(format!("{what}, at {now:?}")));
        }
        drop(state);
        let (trigger, due) = begun.unwrap_or((Trigger::Manual, now));
        let is_deleted = seen.facts.get(&endpoint).is_some_and(|facts| facts.deleted.is_some());
        let excused = |trouble| match trouble {
            // Its rows are deleted before every process has heard of it.
            Trouble::NotLeased => is_deleted,
            // Its result is on its way from the store still, or that answer was lost: the process does not know yet.
            Trouble::AfterSuccess => self.shared.unheard.lock().contains(&(endpoint, msg)),
            _ => false,
        };
        if let Some(trouble) = begun.err().filter(|trouble| !excused(*trouble)) {
            let what = match trouble {
                Trouble::NotLeased => "an attempt without a lease",
                Trouble::BegunTwice => "two attempts under one lease",
                Trouble::TooEarly => "an attempt before it is due",
                Trouble::AfterSuccess => "an attempt after success",
            };
            seen.blame(format!("{what}: {endpoint} {msg} at {now:?} by node {node}"));
        }
        self.check_state(&mut seen, endpoint, now);
        self.check_limits(&mut seen, (node, endpoint), now);
        seen.sent.push(Sent { at: now, node, endpoint, msg, trigger, due, taken: false });
        (seen.sent.len() - 1, Running { referee: self.clone(), node, endpoint })
    }

    /// It was answered that a delivery is cancelled, by a node.
    pub(super) fn is_cancelled(&self, node: Option<u64>, delivery: (EndpointId, MsgId)) {
        if let Some(node) = node {
            self.seen.lock().cancelled_by.insert(delivery, node);
        }
    }

    /// When everybody goes by what was said at that time, also who was cut off.
    fn known(&self, since: Time) -> Time {
        since.max(*self.shared.cut_off_until.lock()).plus(SETTLES_IN)
    }

    /// A message is posted.
    pub(super) fn posts(&self, number: u64, payload_ends: Option<Time>) {
        self.seen.lock().posts.post(number, payload_ends);
    }

    /// It was answered that the message is accepted.
    pub(super) fn posted(&self, msg: MsgId) {
        self.seen.lock().posts.accepted(msg);
    }

    /// The receiver takes the message.
    pub(super) fn takes(&self, place: usize) {
        let mut seen = self.seen.lock();
        let sent = &mut seen.sent[place];
        sent.taken = true;
        let key = (sent.node, sent.endpoint);
        seen.streams.entry(key).or_default().has_succeeded = true;
    }

    /// The receiver answers that it is gone.
    pub(super) fn ends(&self, place: usize) {
        let state = self.shared.state.lock();
        let mut seen = self.seen.lock();
        let Sent { endpoint, msg, trigger, .. } = seen.sent[place];
        let is_open = seen.facts.get(&endpoint).is_some_and(|facts| facts.disabled.is_none());
        if let (Trigger::Scheduled, true, Some(key)) = (trigger, is_open, order::key_of(&state, (endpoint, msg))) {
            self.shared.count("answers 410 in strict order");
            seen.gone.insert((endpoint, key), msg);
        }
    }

    fn check_state(&self, seen: &mut Seen, endpoint: EndpointId, now: Time) {
        let Some(facts) = seen.facts.get(&endpoint) else { return };
        let closed = facts.disabled.map(|(since, _)| since).into_iter().chain(facts.deleted).min();
        // One that is cut off makes those attempts that are leased to it, and hears of what others did when it is back.
        if let Some(since) = closed.filter(|since| self.known(*since) < now) {
            seen.blame(format!("held: {endpoint} gets an attempt at {now:?}, closed since {since:?}"));
        }
    }

    fn check_limits(&self, seen: &mut Seen, key: (u64, EndpointId), now: Time) {
        let total = seen.running.entry(key.0).or_default();
        *total += 1;
        let total = *total;
        let stream = seen.streams.entry(key).or_default();
        stream.running += 1;
        let most = if stream.has_succeeded { MOST_CONCURRENCY } else { FIRST_CONCURRENCY };
        let running = stream.running;
        let concurrencies = seen.facts.get(&key.1).map(|facts| &facts.concurrencies[..]).unwrap_or_default();
        let since = concurrencies.iter().rposition(|(since, _)| self.known(*since) < now).unwrap_or(0);
        let most = concurrencies[since.min(concurrencies.len())..]
            .iter()
            .map(|(_, own)| own.map_or(most, usize::from))
            .max()
            .unwrap_or(most);
        if let ([(_, Some(fixed))], true) = (concurrencies, self.shared.steady.load(SeqCst)) {
            let fixed = usize::from(*fixed);
            let at_once: usize = seen.streams.iter().filter(|((_, endpoint), _)| *endpoint == key.1).map(|(_, s)| s.running).sum();
            if at_once > fixed {
                seen.blame(format!("limit: {at_once} attempts at once to {} over all processes at {now:?}, of {fixed}", key.1));
            }
        }
        if total > self.slots.max(2) {
            seen.blame(format!("limit: {total} attempts at once with {} slots, at {now:?}", self.slots));
        }
        if running > most {
            seen.blame(format!("limit: {running} attempts at once to {} at {now:?}, of {most}", key.1));
        }
        self.check_rate(seen, key, now);
    }

    /// Of a token bucket: at most what it holds, and what has come in since.
    fn check_rate(&self, seen: &mut Seen, key: (u64, EndpointId), now: Time) {
        let Some(facts) = seen.facts.get(&key.1) else { return };
        let Some((since, own)) = facts.rates.last() else { return };
        let Some(rate) = own.or_else(|| self.app_rates.get(&facts.app).copied()) else { return };
        let from = if facts.rates.len() > 1 { self.known(*since) } else { Time(0) };
        let stream = seen.streams.entry(key).or_default();
        while stream.arrivals.front().is_some_and(|first| *first < from || first.plus(Duration::from_secs(20)) < now) {
            stream.arrivals.pop_front();
        }
        if now < from {
            return;
        }
        stream.arrivals.push_back(now);
        let room = (f64::from(rate) * 0.1).max(1.0);
        let over = stream
            .arrivals
            .iter()
            .rev()
            .zip(1u32..)
            .find(|(first, count)| f64::from(*count) > room + f64::from(rate) * (now.since(**first).as_secs_f64() + 0.0015));
        if let Some((first, count)) = over.map(|(first, count)| (*first, count)) {
            seen.blame(format!("limit: {count} attempts from {first:?} to {now:?} to {} at {rate} a second", key.1));
        }
    }
}
