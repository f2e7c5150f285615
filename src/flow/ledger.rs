//! The ledger: for a message, what became of it at every endpoint of its application; for an endpoint, every message that
//! is its, in an order that never changes.
//!
//! A *sequence* is the number of the message's id, so it costs no write: it never changes, not by a restart, a deletion or
//! another node. Sequences go up and are not consecutive; what says that nothing lies between two entries is the entry's
//! `previous`. The feed ends a little before now ([`SETTLED_AFTER`]), so that nothing can come later below what it has shown.

use super::{
    Engine,
    matching::{self, Skip, Subject},
};
use crate::{
    model::{Delivery, EndpointId, Message, MsgId, Time},
    routing::{AppRoutes, Route},
    store::{StoreError, Window},
};
use serde::Serialize;
use std::{collections::HashMap, time::Duration};

/// How old a message is before the feed shows it: one with a lower number that was being accepted at the same time has
/// become durable by then.
pub const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// Messages of the application that one page looks at.
const ROW_BUDGET: usize = 10_000;
/// Bytes of payloads that one page reads.
const BYTE_BUDGET: usize = 32 << 20;
/// Messages read at once.
const CHUNK: usize = 256;

/// Why a message has no delivery to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The endpoint does not subscribe to its event type, or its category.
    EventType,
    /// The endpoint wants channels that the message does not carry.
    Channel,
    /// The payload does not meet the endpoint's filter.
    Filter,
    /// The endpoint was made after the message.
    MadeLater,
    /// The payload was deleted, so that the endpoint's filter can no longer be asked.
    Expunged,
    /// The endpoint would get it today: its subscription was another then, or the message was not meant for everybody (an
    /// example, an event of a paused source).
    NotThen,
}

/// Why a message has no delivery to this endpoint, as far as it can be told now.
#[must_use]
pub fn why_skipped(route: &Route, message: &Message) -> Why {
    if route.id.time() > message.id.time() {
        return Why::MadeLater;
    }
    let subject = Subject::new(&message.event_type, &message.channels, &message.payload);
    match matching::judge(route, &subject) {
        Err(Skip::EventType) => Why::EventType,
        Err(Skip::Channel) => Why::Channel,
        Err(Skip::Filter) if message.expunged => Why::Expunged,
        Err(Skip::Filter) => Why::Filter,
        Ok(()) => Why::NotThen,
    }
}

/// What became of a message at one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It has a delivery.
    Delivery(Delivery),
    /// It was its, and the endpoint was deleted since.
    EndpointDeleted,
    /// It has none.
    Skipped(Why),
}

/// One message of an endpoint.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// The message.
    pub message: Message,
    /// Its delivery.
    pub delivery: Delivery,
    /// The entry before it: nothing lies between. `None`: it is the first that is kept.
    pub previous: Option<MsgId>,
}

/// A place in an endpoint's feed: behind which message to go on, and which entry was the last before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerPlace {
    /// Messages up to this one have been looked at.
    pub seen: MsgId,
    /// The last of them that was an entry.
    pub last: Option<MsgId>,
}

/// A part of an endpoint's feed.
#[derive(Clone, Debug)]
pub struct LedgerPage {
    /// Entries, the oldest first.
    pub entries: Vec<LedgerEntry>,
    /// Where to go on.
    pub next: LedgerPlace,
    /// Whether the feed's end is reached; what comes later follows it.
    pub done: bool,
    /// Everything made before is in the feed.
    pub until: Time,
}

impl Engine {
    /// What became of a message at some of its application's endpoints: those behind `after`, in the order of their ids.
    ///
    /// # Errors
    /// The store is away or damaged.
    pub async fn fates(
        &self,
        app: &AppRoutes,
        message: &Message,
        after: EndpointId,
        limit: usize,
    ) -> Result<Vec<(EndpointId, Fate)>, StoreError> {
        let mut endpoints: Vec<EndpointId> = app.routes.iter().map(|route| route.id).chain(message.endpoints.clone()).collect();
        endpoints.retain(|endpoint| *endpoint > after);
        endpoints.sort_unstable();
        endpoints.dedup();
        let mut fates = Vec::with_capacity(limit.min(endpoints.len()));
        for endpoint in endpoints.into_iter().take(limit) {
            let fate = match (self.store.delivery(message, endpoint).await?, app.route(endpoint)) {
                (_, None) => Fate::EndpointDeleted,
                (Some(delivery), Some(_)) => Fate::Delivery(delivery),
                (None, Some(route)) => Fate::Skipped(why_skipped(route, message)),
            };
            fates.push((endpoint, fate));
        }
        Ok(fates)
    }

    /// A part of an endpoint's feed, of at most `limit` entries. A page may have few, or none, and not be the last: the work
    /// of one is bounded.
    ///
    /// # Errors
    /// The store is away or damaged.
    pub async fn ledger(
        &self,
        app: &AppRoutes,
        endpoint: EndpointId,
        from: LedgerPlace,
        limit: usize,
    ) -> Result<LedgerPage, StoreError> {
        let until = self.clock.now().minus(SETTLED_AFTER);
        let below = MsgId::lowest_at(until).0;
        let mut page = LedgerPage { entries: Vec::new(), next: from, done: false, until };
        let (mut rows_left, mut bytes_left) = (ROW_BUDGET, BYTE_BUDGET);
        while rows_left > 0 && bytes_left > 0 {
            let window = Window { above: page.next.seen.0, below, newest_first: false, limit: CHUNK.min(rows_left) };
            let rows = self.store.messages(app.application.id, window).await?;
            let count = rows.len();
            rows_left -= count;
            let Some(last) = rows.last().map(|message| message.id) else {
                page.done = true;
                break;
            };
            let mut deliveries = self.attempted_between(endpoint, window, last).await?;
            for message in rows {
                bytes_left = bytes_left.saturating_sub(message.payload.len());
                if message.endpoints.contains(&endpoint) {
                    if page.entries.len() == limit {
                        return Ok(page);
                    }
                    let known = deliveries.remove(&message.id);
                    let delivery = match known {
                        Some(delivery) => Some(delivery),
                        None => self.store.delivery(&message, endpoint).await?,
                    };
                    let previous = page.next.last;
                    page.next.last = Some(message.id);
                    page.next.seen = message.id;
                    page.entries.extend(delivery.map(|delivery| LedgerEntry { message, delivery, previous }));
                } else {
                    page.next.seen = message.id;
                }
            }
            if count < window.limit {
                page.done = true;
                break;
            }
        }
        Ok(page)
    }

    /// The endpoint's attempted deliveries of messages in the window, up to `last`.
    async fn attempted_between(
        &self,
        endpoint: EndpointId,
        window: Window,
        last: MsgId,
    ) -> Result<HashMap<MsgId, Delivery>, StoreError> {
        let window = Window { below: last.0.saturating_add(1), ..window };
        let found = self.store.attempted(endpoint, window).await?;
        Ok(found.into_iter().map(|delivery| (delivery.msg, delivery)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{AppId, Endpoint, Filter, OrgId},
        routing::tests::{app, endpoint},
    };
    use serde_json::json;

    fn message(made: u64, expunged: bool) -> Message {
        Message {
            id: MsgId::lowest_at(Time(made)),
            app: AppId(1),
            org: OrgId(1),
            event_type: "a.b".into(),
            event_id: None,
            channels: vec!["eu".into()],
            tags: vec![],
            deliver_at: None,
            payload_expires_at: None,
            endpoints: vec![],
            payload: if expunged { "".into() } else { r#"{"amount": 5}"#.into() },
            expunged,
            origin: None,
            ordering_key: None,
            ordered: Vec::new(),
        }
    }

    #[test]
    fn a_skip_has_one_reason() {
        let filtered = Endpoint { filter: Some(Filter::parse(json!({"amount": {"gte": 9}})).unwrap()), ..endpoint(4, None, None) };
        let later = EndpointId::lowest_at(Time(900)).0;
        let endpoints = [
            endpoint(1, Some(&["c.*"]), None),
            endpoint(2, None, Some(&["us"])),
            endpoint(3, None, None),
            filtered,
            endpoint(later, Some(&["c.d"]), None),
        ];
        let app = app(&endpoints);
        let why = |message: &Message| app.routes.iter().map(|route| why_skipped(route, message)).collect::<Vec<_>>();
        assert_eq!(why(&message(500, false)), [Why::EventType, Why::Channel, Why::NotThen, Why::Filter, Why::MadeLater]);
        assert_eq!(why(&message(500, true))[3], Why::Expunged);
        assert_eq!(why(&message(901, false))[4], Why::EventType);
    }
}
