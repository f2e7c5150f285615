//! What happened: every try of an application's deliveries over all its endpoints, newest first, with those deliveries that
//! wait for their first try.
//!
//! The tries of each endpoint and the application's messages are lists of their own, each in the order of its ids; ids of
//! all kinds come from one counter, so that merging them by id is merging them by time. The work of one page is bounded.

use super::{Engine, signing};
use crate::{
    model::{AppId, Attempt, AttemptId, Delivery, DeliveryId, DeliveryState, EndpointId, Message, MsgId, Time},
    routing::AppRoutes,
    store::{StoreError, Window},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    str::FromStr,
    sync::Arc,
};

/// Rows that one page looks at; what lies beyond is for the next page.
const ROW_BUDGET: usize = 10_000;
/// Bytes of payloads and answers that one page reads.
const BYTE_BUDGET: usize = 32 << 20;
/// Rows fetched at once from all lists together.
const CHUNK: usize = 256;
/// Rows fetched at once from one list, at least.
const MIN_CHUNK: usize = 4;

/// How a try of a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There was no try yet. The first is due then; `None`: it is held, because the endpoint is disabled.
    Pending(Option<Time>),
    /// It succeeded.
    Delivered,
    /// It failed, and another was to follow. That is due then; `None`: it has been made, or is held.
    Retrying(Option<Time>),
    /// It failed, and none follows.
    Failed,
}

/// One word for a [`Standing`], to search by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StandingWord {
    /// [`Standing::Pending`]
    Pending,
    /// [`Standing::Delivered`]
    Delivered,
    /// [`Standing::Retrying`]
    Retrying,
    /// [`Standing::Failed`]
    Failed,
}

/// What to look for. Everything that is given must agree.
#[derive(Clone, Debug, Default)]
pub struct Sought {
    /// Of this endpoint only.
    pub endpoint: Option<EndpointId>,
    /// Of this event type only.
    pub event_type: Option<String>,
    /// With this standing only.
    pub standing: Option<StandingWord>,
    /// Begun at this instant or later.
    pub since: Option<Time>,
    /// Begun before this instant.
    pub until: Option<Time>,
    /// Behind this place.
    pub after: Option<Place>,
    /// Entries at most.
    pub limit: usize,
}

/// One try, or a delivery that waits for its first.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is in the list.
    pub place: Place,
    /// The message.
    pub message: Arc<Message>,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The try; `None` before the first.
    pub attempt: Option<Attempt>,
    /// How it stands.
    pub standing: Standing,
}

/// A page of entries, newest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where the next page starts; `None` when there is nothing more. A page with few entries, or none, may have one: the
    /// work of one request is bounded.
    pub next: Option<Place>,
}

/// A place in the list: a number, and which of the entries of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    id: u128,
    nth: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", AttemptId(self.id), self.nth)
    }
}

impl FromStr for Place {
    type Err = crate::model::NotAnId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, nth) = text.split_once('.').ok_or(crate::model::NotAnId)?;
        let nth = nth.parse().map_err(|_| crate::model::NotAnId)?;
        Ok(Place { id: id.parse::<AttemptId>()?.0, nth })
    }
}

impl Standing {
    /// Its word.
    #[must_use]
    pub fn word(self) -> StandingWord {
        match self {
            Standing::Pending(_) => StandingWord::Pending,
            Standing::Delivered => StandingWord::Delivered,
            Standing::Retrying(_) => StandingWord::Retrying,
            Standing::Failed => StandingWord::Failed,
        }
    }

    /// When the next try is due.
    #[must_use]
    pub fn next(self) -> Option<Time> {
        match self {
            Standing::Pending(due) | Standing::Retrying(due) => due,
            Standing::Delivered | Standing::Failed => None,
        }
    }

    /// Of a try of a delivery, or of a delivery without one, at an endpoint that is disabled or not.
    fn of(delivery: &Delivery, attempt: Option<&Attempt>, disabled: bool) -> Self {
        let due = match delivery.state {
            DeliveryState::Pending(due) if !disabled => Some(due),
            _ => None,
        };
        match attempt {
            None => Standing::Pending(due),
            Some(attempt) if attempt.outcome.succeeded() => Standing::Delivered,
            Some(attempt) if delivery.attempts.last() != Some(&attempt.id) => Standing::Retrying(None),
            Some(_) if matches!(delivery.state, DeliveryState::Pending(_)) => Standing::Retrying(due),
            Some(_) => Standing::Failed,
        }
    }
}

impl Entry {
    /// The body that the try carried, or that the first one will; made again as the endpoint's profile says now. `None`: the
    /// payload is deleted, or the endpoint is.
    #[must_use]
    pub fn body(&self, app: &AppRoutes) -> Option<Bytes> {
        let route = app.route(self.endpoint).filter(|_| !self.message.expunged)?;
        let (begun, number) = match &self.attempt {
            Some(attempt) => (attempt.id.time(), attempt.number),
            None => (self.message.first_due(), 1),
        };
        Some(signing::body(app, route, &self.message, (begun, number)))
    }

    /// The delivery's id, the same in each of its tries.
    #[must_use]
    pub fn delivery(&self) -> DeliveryId {
        DeliveryId::of(self.message.id, self.endpoint)
    }
}

impl Engine {
    /// A page of what happened to an application's deliveries, newest first.
    ///
    /// # Errors
    /// The store is away or damaged.
    pub async fn history(&self, app: &AppRoutes, sought: &Sought) -> Result<History, StoreError> {
        let mut reader = Reader::new(self, app, sought);
        let mut history = History::default();
        while let Some(row) = reader.next().await? {
            let id = row.id();
            for (nth, entry) in reader.entries(row).await?.into_iter().enumerate() {
                let place = Place { id, nth };
                let seen = sought.after.is_some_and(|after| after.id == id && nth <= after.nth);
                let Some(entry) = entry.filter(|_| !seen) else { continue };
                if history.entries.len() >= sought.limit {
                    history.next = history.entries.last().map(|last| last.place);
                    return Ok(history);
                }
                history.entries.push(Entry { place, ..entry });
            }
            if reader.spent() {
                history.next = Some(Place { id, nth: usize::MAX });
                return Ok(history);
            }
        }
        Ok(history)
    }
}

/// A row of one of the lists that are merged.
enum Row {
    Attempt(Attempt),
    Message(Message),
}

impl Row {
    fn id(&self) -> u128 {
        match self {
            Row::Attempt(attempt) => attempt.id.0,
            Row::Message(message) => message.id.0,
        }
    }
}

/// One of the lists: of an endpoint's tries, or of the messages.
struct List {
    endpoint: Option<EndpointId>,
    rest: Window,
    rows: VecDeque<Row>,
    ended: bool,
}

struct Reader<'a> {
    engine: &'a Engine,
    app: &'a AppRoutes,
    sought: &'a Sought,
    lists: Vec<List>,
    messages: HashMap<MsgId, Option<Arc<Message>>>,
    rows_left: usize,
    bytes_left: usize,
}

impl<'a> Reader<'a> {
    fn new(engine: &'a Engine, app: &'a AppRoutes, sought: &'a Sought) -> Self {
        let endpoints = app.routes.iter().map(|route| route.id).filter(|id| sought.endpoint.is_none_or(|only| only == *id));
        let tries = endpoints.filter(|_| sought.standing != Some(StandingWord::Pending)).map(Some);
        let waiting = sought.standing.is_none_or(|word| word == StandingWord::Pending).then_some(None);
        let sources: Vec<_> = tries.chain(waiting).collect();
        let limit = (CHUNK / sources.len().max(1)).max(MIN_CHUNK);
        let lowest = |time: Time| AttemptId::lowest_at(time).0;
        let from = sought.after.map_or(u128::MAX, |after| after.id.saturating_add(1));
        let rest = Window {
            above: sought.since.map_or(0, |since| lowest(since).saturating_sub(1)),
            below: sought.until.map_or(u128::MAX, lowest).min(from),
            newest_first: true,
            limit,
        };
        let list = |endpoint| List { endpoint, rest, rows: VecDeque::new(), ended: false };
        Reader {
            engine,
            app,
            sought,
            lists: sources.into_iter().map(list).collect(),
            messages: HashMap::new(),
            rows_left: ROW_BUDGET,
            bytes_left: BYTE_BUDGET,
        }
    }

    /// Whether this page has done its share of work.
    fn spent(&self) -> bool {
        self.rows_left == 0 || self.bytes_left == 0
    }

    /// The newest row of all lists.
    async fn next(&mut self) -> Result<Option<Row>, StoreError> {
        let app = self.app.application.id;
        for list in self.lists.iter_mut().filter(|list| list.rows.is_empty() && !list.ended) {
            list.fetch(self.engine, app).await?;
        }
        let newest = self.lists.iter_mut().max_by_key(|list| list.rows.front().map(Row::id));
        let row = newest.and_then(|list| list.rows.pop_front());
        self.rows_left = self.rows_left.saturating_sub(usize::from(row.is_some()));
        Ok(row)
    }

    /// What a row shows: one entry for a try, one for each endpoint that a message waits for. `None`: not looked for.
    async fn entries(&mut self, row: Row) -> Result<Vec<Option<Entry>>, StoreError> {
        match row {
            Row::Attempt(attempt) => Ok(vec![self.tried(attempt).await?]),
            Row::Message(message) => self.waiting(message).await,
        }
    }

    async fn tried(&mut self, attempt: Attempt) -> Result<Option<Entry>, StoreError> {
        self.bytes_left = self.bytes_left.saturating_sub(attempt.outcome.body.len());
        let Some(message) = self.message(attempt.msg).await? else { return Ok(None) };
        if !self.admits(&message) {
            return Ok(None);
        }
        let Some(delivery) = self.engine.store.delivery(&message, attempt.endpoint).await? else { return Ok(None) };
        let standing = Standing::of(&delivery, Some(&attempt), self.disabled(attempt.endpoint));
        Ok(self.entry(message, attempt.endpoint, Some(attempt), standing))
    }

    async fn waiting(&mut self, message: Message) -> Result<Vec<Option<Entry>>, StoreError> {
        let message = self.keep(message);
        let mut entries = Vec::with_capacity(message.endpoints.len());
        for endpoint in message.endpoints.iter().copied() {
            let wanted = self.admits(&message)
                && self.sought.endpoint.is_none_or(|only| only == endpoint)
                && self.app.route(endpoint).is_some();
            let delivery = match wanted {
                true => self.engine.store.delivery(&message, endpoint).await?,
                false => None,
            };
            let waits = delivery.filter(|d| d.attempts.is_empty() && matches!(d.state, DeliveryState::Pending(_)));
            entries.push(waits.and_then(|delivery| {
                let standing = Standing::of(&delivery, None, self.disabled(endpoint));
                self.entry(message.clone(), endpoint, None, standing)
            }));
        }
        Ok(entries)
    }

    fn entry(&self, message: Arc<Message>, endpoint: EndpointId, attempt: Option<Attempt>, standing: Standing) -> Option<Entry> {
        let wanted = self.sought.standing.is_none_or(|word| word == standing.word());
        wanted.then_some(Entry { place: Place { id: 0, nth: 0 }, message, endpoint, attempt, standing })
    }

    fn admits(&self, message: &Message) -> bool {
        self.sought.event_type.as_ref().is_none_or(|wanted| *wanted == message.event_type)
    }

    fn disabled(&self, endpoint: EndpointId) -> bool {
        self.app.route(endpoint).is_some_and(|route| route.disabled.is_some())
    }

    async fn message(&mut self, id: MsgId) -> Result<Option<Arc<Message>>, StoreError> {
        if let Some(known) = self.messages.get(&id) {
            return Ok(known.clone());
        }
        match self.engine.store.message(self.app.application.id, id).await? {
            Some(message) => Ok(Some(self.keep(message))),
            None => {
                self.messages.insert(id, None);
                Ok(None)
            }
        }
    }

    fn keep(&mut self, message: Message) -> Arc<Message> {
        if let Some(Some(known)) = self.messages.get(&message.id) {
            return known.clone();
        }
        self.bytes_left = self.bytes_left.saturating_sub(message.payload.len());
        let message = Arc::new(message);
        self.messages.insert(message.id, Some(message.clone()));
        message
    }
}

impl List {
    async fn fetch(&mut self, engine: &Engine, app: AppId) -> Result<(), StoreError> {
        self.rows = match self.endpoint {
            Some(endpoint) => engine.store.attempts(endpoint, self.rest).await?.into_iter().map(Row::Attempt).collect(),
            None => engine.store.messages(app, self.rest).await?.into_iter().map(Row::Message).collect(),
        };
        self.ended = self.rows.len() < self.rest.limit;
        if let Some(last) = self.rows.back() {
            self.rest.below = last.id();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cause, Headers, Outcome, Trigger};

    fn attempt(id: u128, cause: Cause) -> Attempt {
        Attempt {
            id: AttemptId(id),
            msg: MsgId(1),
            endpoint: EndpointId(2),
            app: AppId(3),
            trigger: Trigger::Scheduled,
            number: 1,
            url: String::new(),
            request_headers: Headers::default(),
            outcome: Outcome::failed(cause, ""),
        }
    }

    #[test]
    fn a_standing_says_what_follows() {
        let mut delivery = Delivery::fresh(AppId(3), MsgId(1), EndpointId(2), Time(9));
        assert_eq!(Standing::of(&delivery, None, false), Standing::Pending(Some(Time(9))));
        assert_eq!(Standing::of(&delivery, None, true), Standing::Pending(None), "held");
        delivery.attempts = vec![AttemptId(4), AttemptId(5)];
        let of = |delivery: &Delivery, id, cause| Standing::of(delivery, Some(&attempt(id, cause)), false);
        assert_eq!(of(&delivery, 4, Cause::BadStatus), Standing::Retrying(None), "the next has been made");
        assert_eq!(of(&delivery, 5, Cause::BadStatus), Standing::Retrying(Some(Time(9))));
        delivery.state = DeliveryState::Exhausted;
        assert_eq!(of(&delivery, 5, Cause::BadStatus), Standing::Failed);
        assert_eq!(of(&delivery, 5, Cause::Success), Standing::Delivered);
    }

    #[test]
    fn places_go_round() {
        let place = Place { id: 77 << 90, nth: 3 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for bad in ["", "x", "1.2", &format!("{}", AttemptId(5)), &format!("{}.x", AttemptId(5))] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
