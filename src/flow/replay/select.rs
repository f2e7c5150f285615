//! Choosing: which deliveries of the next messages a replay makes once more.

use super::{
    super::{
        Engine,
        matching::{self, Subject},
    },
    room::Turn,
};
use crate::{
    model::{AttemptId, Delivery, DeliveryState, EndpointId, Message, MsgId, Replay, ReplayStatus, Selection},
    routing::AppRoutes,
    store::{StoreError, Window},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Messages read at once.
const CHUNK: usize = 64;
/// Bytes of payloads that one step reads.
const STEP_BYTES: usize = 8 << 20;
/// Messages that one step looks at.
const STEP_ROWS: usize = 2048;
/// Deliveries that are looked up at once.
const LOOKUPS: usize = 16;
/// Messages that a preview looks at.
const PREVIEW_ROWS: u64 = 100_000;
/// How long a preview goes on, waiting for its turns included.
const PREVIEW_TIME: Duration = Duration::from_secs(10);
/// Values of `newestPer`, or ordering keys, that one replay remembers, 16 bytes each and endpoint.
const MAX_KEYS: usize = 1_000_000;
/// Said of a replay with more.
const TOO_MANY_KEYS: &str =
    "More than 1,000,000 different values of newestPer, or ordering keys, lie in the span: ask for a shorter one.";

/// What is to be done with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// One attempt.
    Once,
    /// Its schedule starts anew.
    Anew,
    /// None: it is cancelled.
    Never {
        /// As in [`crate::flow::Cancel`].
        ordered: bool,
    },
}

/// A delivery to be made once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) msg: MsgId,
    pub(super) endpoint: EndpointId,
    pub(super) again: Again,
}

/// What one step found.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) chosen: Vec<Chosen>,
    pub(super) cursor: MsgId,
    pub(super) scanned: u64,
    pub(super) expunged: u64,
    pub(super) ended: bool,
}

/// What a preview counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Messages looked at.
    pub scanned: u64,
    /// Messages with a delivery that would be made once more.
    pub messages: u64,
    /// Deliveries that would be made once more.
    pub deliveries: u64,
    /// Matching messages that would be left out because their payloads are deleted.
    pub expunged: u64,
    /// Whether all of the span was looked at.
    pub complete: bool,
}

/// Values of `newestPer`, or ordering keys, that a delivery was chosen for, by endpoint.
#[derive(Debug, Default)]
pub(super) struct Keys(HashSet<u128>);

/// Too many values of `newestPer`.
#[derive(Debug)]
pub(super) struct TooManyKeys;

impl TooManyKeys {
    pub(super) fn sentence(&self) -> &'static str {
        TOO_MANY_KEYS
    }
}

impl Keys {
    /// Whether a newer delivery to the endpoint was chosen for the value.
    fn knows(&self, endpoint: EndpointId, value: Option<&str>) -> bool {
        value.is_some_and(|value| self.0.contains(&digest(endpoint, value)))
    }

    /// A delivery to the endpoint is chosen, the newest for the value.
    fn learn(&mut self, endpoint: EndpointId, value: Option<&str>) -> Result<(), TooManyKeys> {
        let Some(value) = value else { return Ok(()) };
        self.0.insert(digest(endpoint, value));
        if self.0.len() > MAX_KEYS { Err(TooManyKeys) } else { Ok(()) }
    }
}

fn digest(endpoint: EndpointId, value: &str) -> u128 {
    let digest: [u8; 32] = Sha256::new().chain_update(endpoint.bytes()).chain_update(value).finalize().into();
    digest.first_chunk().map_or(0, |half| u128::from_be_bytes(*half))
}

/// Of the messages with the same value only the newest that is chosen is delivered. `None`: every one is.
fn newest_of(selection: &Selection, message: &Message, payload: &Value) -> Option<String> {
    match &selection.newest_per {
        Some(path) => path.value(payload),
        None => message.ordering_key.clone().filter(|_| selection.newest_per_key),
    }
}

/// Whether a message cannot be chosen because its payload is deleted: it cannot be sent, nor judged by a filter. But what is
/// owed of it can be cancelled.
fn is_beyond(replay: &Replay, message: &Message) -> bool {
    message.expunged && (!replay.cancels() || replay.selection.filter.is_some())
}

/// What a message must be like, whatever the endpoint. A deleted payload meets a filter: it is left out, and counted.
pub(super) fn admits(selection: &Selection, message: &Message, payload: &Value) -> bool {
    let carries = |wanted: &Option<String>, labels: &[String]| wanted.as_ref().is_none_or(|label| labels.contains(label));
    (selection.event_types.is_empty() || selection.event_types.contains(&message.event_type))
        && carries(&selection.channel, &message.channels)
        && carries(&selection.tag, &message.tags)
        && selection.filter.as_ref().is_none_or(|filter| message.expunged || filter.holds(payload))
}

/// How a delivery stands; `None`: it only waits for an attempt that was asked for already.
pub(super) fn status(delivery: &Delivery) -> Option<ReplayStatus> {
    match delivery.state {
        DeliveryState::Delivered => Some(ReplayStatus::Delivered),
        DeliveryState::Exhausted if delivery.attempts.is_empty() => None,
        DeliveryState::Exhausted => Some(ReplayStatus::Exhausted),
        DeliveryState::Pending(_) => Some(ReplayStatus::Pending),
        DeliveryState::Cancelled => Some(ReplayStatus::Cancelled),
    }
}

impl Engine {
    /// Counts what a replay would make once more now, as far as the work of one request may go. `None`: the organization has
    /// previews enough.
    ///
    /// # Errors
    /// The store is away or damaged. Too many values of `newestPer`: what was counted until then.
    pub async fn preview_replay(&self, app: &Arc<AppRoutes>, replay: &Replay) -> Result<Option<Counted>, StoreError> {
        let Some(_room) = self.room.preview(app.application.org).await else { return Ok(None) };
        self.count_replay(app, replay, PREVIEW_ROWS).await.map(Some)
    }

    /// Counts what a replay would make once more now, looking at about so many messages, and not for too long.
    pub(super) async fn count_replay(&self, app: &Arc<AppRoutes>, replay: &Replay, rows: u64) -> Result<Counted, StoreError> {
        let (mut counted, mut keys, mut replay) = (Counted::default(), Keys::default(), replay.clone());
        let until = Instant::now() + PREVIEW_TIME;
        while counted.scanned < rows && Instant::now() < until {
            let Ok(step) = self.step(app, &replay, &mut keys, usize::MAX).await? else { return Ok(counted) };
            counted.scanned += step.scanned;
            counted.expunged += step.expunged;
            counted.deliveries += step.chosen.len() as u64;
            counted.messages += step.chosen.chunk_by(|one, next| one.msg == next.msg).count() as u64;
            if step.ended {
                counted.complete = true;
                break;
            }
            replay.cursor = step.cursor;
        }
        Ok(counted)
    }

    /// The next deliveries of a replay: at least `wanted` when there are so many, unless the step has looked at enough.
    pub(super) async fn step(
        &self,
        app: &Arc<AppRoutes>,
        replay: &Replay,
        keys: &mut Keys,
        wanted: usize,
    ) -> Result<Result<Step, TooManyKeys>, StoreError> {
        let _room = self.room.step().await;
        let mut step = Step { cursor: replay.cursor, ..Step::default() };
        let (mut rows_left, mut bytes_left) = (STEP_ROWS, STEP_BYTES);
        let mut turn = Turn::new();
        while rows_left > 0 && bytes_left > 0 {
            let rows = self.store.messages(app.application.id, window(replay, step.cursor)).await?;
            rows_left = rows_left.saturating_sub(rows.len());
            if rows.is_empty() {
                step.ended = true;
                return Ok(Ok(step));
            }
            for message in rows {
                if step.chosen.len() >= wanted {
                    return Ok(Ok(step));
                }
                turn.pass().await;
                step.cursor = message.id;
                step.scanned += 1;
                bytes_left = bytes_left.saturating_sub(message.payload.len());
                let payload = payload(&replay.selection, &message);
                if !admits(&replay.selection, &message, &payload) {
                    continue;
                }
                let value = newest_of(&replay.selection, &message, &payload);
                let mut endpoints = candidates(app, replay, &message);
                endpoints.retain(|endpoint| !keys.knows(*endpoint, value.as_deref()));
                let chosen = self.chosen(replay, &message, endpoints).await?;
                if is_beyond(replay, &message) {
                    step.expunged += u64::from(!chosen.is_empty());
                    continue;
                }
                for chosen in &chosen {
                    if let Err(error) = keys.learn(chosen.endpoint, value.as_deref()) {
                        return Ok(Err(error));
                    }
                }
                step.chosen.extend(chosen);
            }
        }
        Ok(Ok(step))
    }

    /// Learns the values of `newestPer` down to the replay's cursor, as the process that was there before had: of deliveries
    /// that would be chosen now, and of those that changed since the replay was asked for, mostly because they were chosen.
    pub(super) async fn learn_keys(&self, app: &Arc<AppRoutes>, replay: &Replay) -> Result<Result<Keys, TooManyKeys>, StoreError> {
        let mut keys = Keys::default();
        if !replay.newest_first() || replay.cursor == MsgId(0) {
            return Ok(Ok(keys));
        }
        let (mut at, mut turn) = (MsgId(0), Turn::new());
        loop {
            let rows = self.store.messages(app.application.id, window(replay, at)).await?;
            let Some(last) = rows.last().map(|message| message.id) else { return Ok(Ok(keys)) };
            for message in rows.iter().filter(|message| message.id >= replay.cursor && !is_beyond(replay, message)) {
                turn.pass().await;
                let payload = payload(&replay.selection, message);
                if !admits(&replay.selection, message, &payload) {
                    continue;
                }
                let Some(value) = newest_of(&replay.selection, message, &payload) else { continue };
                for endpoint in candidates(app, replay, message) {
                    if !keys.knows(endpoint, Some(&value))
                        && self.was_chosen(replay, message, endpoint).await?
                        && let Err(error) = keys.learn(endpoint, Some(&value))
                    {
                        return Ok(Err(error));
                    }
                }
            }
            if last <= replay.cursor {
                return Ok(Ok(keys));
            }
            at = last;
        }
    }

    async fn was_chosen(&self, replay: &Replay, message: &Message, endpoint: EndpointId) -> Result<bool, StoreError> {
        if self.judge_delivery(replay, message, endpoint).await?.is_some() {
            return Ok(true);
        }
        let Some(delivery) = self.store.delivery(message, endpoint).await? else { return Ok(false) };
        let since = AttemptId::lowest_at(replay.created_at);
        Ok(status(&delivery).is_none() || delivery.attempts.last().is_some_and(|last| *last >= since))
    }

    async fn chosen(&self, replay: &Replay, message: &Message, endpoints: Vec<EndpointId>) -> Result<Vec<Chosen>, StoreError> {
        let judged = endpoints.into_iter().map(|endpoint| self.judge_delivery(replay, message, endpoint));
        let judged: Vec<Option<Chosen>> = stream::iter(judged).buffered(LOOKUPS).try_collect().await?;
        Ok(judged.into_iter().flatten().collect())
    }

    async fn judge_delivery(&self, replay: &Replay, message: &Message, endpoint: EndpointId) -> Result<Option<Chosen>, StoreError> {
        let delivery = self.store.delivery(message, endpoint).await?;
        let status = match &delivery {
            Some(delivery) => status(delivery),
            None => Some(ReplayStatus::Missing),
        };
        let Selection { statuses, code_class, .. } = &replay.selection;
        let is_held = || self.routing.endpoint(endpoint).is_some_and(|(_, route)| route.disabled.is_some());
        let is_asked = |status: &ReplayStatus| {
            statuses.is_empty()
                || statuses.contains(status)
                || (*status == ReplayStatus::Pending && statuses.contains(&ReplayStatus::Held) && is_held())
        };
        let Some(status) = status.filter(is_asked) else { return Ok(None) };
        if let Some(class) = *code_class {
            let last = delivery.as_ref().and_then(|delivery| delivery.attempts.last().copied());
            let answered = match last {
                Some(last) => self.store.attempt(endpoint, last).await?.map(|attempt| attempt.outcome.status),
                None => None,
            };
            if answered.map(|status| status.unwrap_or(0) / 100 * 100) != Some(class) {
                return Ok(None);
            }
        }
        let again = match status {
            _ if replay.cancels() => Again::Never { ordered: message.order(endpoint).is_some() },
            ReplayStatus::Exhausted if replay.anew => Again::Anew,
            _ => Again::Once,
        };
        Ok(Some(Chosen { msg: message.id, endpoint, again }))
    }
}

/// The replay's endpoints that were to get the message, or would be now if that is asked for.
fn candidates(app: &Arc<AppRoutes>, replay: &Replay, message: &Message) -> Vec<EndpointId> {
    let endpoints: Vec<EndpointId> = match replay.endpoint {
        Some(endpoint) => vec![endpoint],
        None => app.routes.iter().map(|route| route.id).collect(),
    };
    let subject = Subject::new(&message.event_type, &message.channels, &message.payload);
    let asks_missing = replay.selection.statuses.contains(&ReplayStatus::Missing);
    let is_candidate = |endpoint: &EndpointId| match message.endpoints.contains(endpoint) {
        true => app.route(*endpoint).is_some(),
        false => asks_missing && app.route(*endpoint).is_some_and(|route| matching::judge(route, &subject).is_ok()),
    };
    endpoints.into_iter().filter(is_candidate).collect()
}

/// The messages behind `cursor`, in the replay's order.
fn window(replay: &Replay, cursor: MsgId) -> Window {
    let Selection { since, until, .. } = replay.selection;
    let (lowest, highest) = (MsgId::lowest_at(since).0.saturating_sub(1), MsgId::lowest_at(until).0);
    let newest_first = replay.newest_first();
    let (above, below) = match (cursor, newest_first) {
        (MsgId(0), _) => (lowest, highest),
        (cursor, true) => (lowest, highest.min(cursor.0)),
        (cursor, false) => (lowest.max(cursor.0), highest),
    };
    Window { above, below, newest_first, limit: CHUNK }
}

/// The payload's value, where it matters.
fn payload(selection: &Selection, message: &Message) -> Value {
    match selection.filter.is_some() || selection.newest_per.is_some() {
        true => serde_json::from_slice(&message.payload).unwrap_or_default(),
        false => Value::Null,
    }
}
