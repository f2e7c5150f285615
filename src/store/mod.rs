//! Where everything is kept: one trait of domain verbs, one conformance suite, one engine a folder.
//!
//! Atomicity is promised verb by verb and no transaction leaks. Two families:
//! *records* (configuration: small, cold, read-modify-write under a revision) and the *flow* (messages, deliveries,
//! attempts: grouped commits, time-ordered keys, results fenced by leases).

#[cfg(test)]
pub mod conformance;
pub mod embedded;
pub mod postgres;
pub mod transfer;

use crate::model::{
    Address, AppId, Attempt, AttemptId, Delivery, EndpointId, Kind, LATEST, Message, MsgId, OrderKey, OrgId, Record, Time, Trigger,
    Verdict,
};
use std::sync::Arc;

/// Why a verb did nothing. Every verb is all or nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A live record with this address or alias exists, or a message with this event id.
    #[error("{0:?} exists already")]
    Conflict(Conflict),
    /// The record changed, or went, since it was read.
    #[error("the record has changed since it was read")]
    Stale,
    /// The disk is full.
    #[error("the store has no space left")]
    Full,
    /// The store does not answer; it may again in a moment.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A write failed half-way, for want of space mostly: no more is written until the store is opened again.
    #[error("an earlier write failed, and the store takes no more until it is opened again")]
    Broken,
    /// What is stored cannot be understood.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// What a new object collided with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// A record of this kind, by address or alias.
    Record(Kind),
    /// A message of the same application with the same event id.
    EventId,
}

/// A record and the revision under which it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The record.
    pub record: Record,
    /// Grows with every change of the record.
    pub revision: u64,
}

/// One change of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A new record. Fails with [`StoreError::Conflict`] when a live one has its address or alias.
    Insert(Record),
    /// The record in place of the one read under that revision. Fails with [`StoreError::Stale`], or with
    /// [`StoreError::Conflict`] when its alias is taken.
    Replace(Record, u64),
    /// Inserts or overwrites, whatever is there; for records that only the engine writes.
    Write(Record),
    /// Removes the record; nothing happens when it is not there.
    Delete(Address),
}

/// A part of a list that is ordered by id. Bounds are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Ids above this number.
    pub above: u128,
    /// Ids below this number.
    pub below: u128,
    /// Newest (highest) first; otherwise oldest first.
    pub newest_first: bool,
    /// At most so many.
    pub limit: usize,
}

/// A fence: a result counts only while its delivery is leased under this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Unique among nodes and claims.
    pub token: u64,
    /// When others may claim the delivery.
    pub until: Time,
}

/// A message to be made durable, with its deliveries.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The message; `endpoints` names its deliveries.
    pub message: Arc<Message>,
    /// For each of `message.endpoints`, in that order: the lease of the accepting node, or `None` to leave the delivery
    /// in the queue for a claim. One in strict order ([`Message::order`]) has none: of those with its key that are owed, only
    /// the first that was accepted can be claimed, and once that one is no longer pending, the next.
    pub leases: Vec<Option<Lease>>,
    /// A record inserted with it (the answer to an idempotent request, the mark of an event that a source has had), by the
    /// rules of [`Change::Insert`].
    pub mark: Option<Record>,
}

/// A delivery taken from the queue.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The delivery.
    pub delivery: Delivery,
    /// What is to start: its schedule's attempt, or one that somebody asked for.
    pub trigger: Trigger,
    /// Its message, with the payload.
    pub message: Arc<Message>,
    /// The fence for its result.
    pub lease: Lease,
}

/// What a claim found.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Deliveries that are due, oldest due time first.
    pub taken: Vec<Claimed>,
    /// When the next delivery of the endpoint that nobody holds is due; `None` when there is none.
    /// At or before the claim's time when more were due than the limit allowed.
    pub next_due: Option<Time>,
}

/// The end of a claimed delivery's turn.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The message.
    pub msg: MsgId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The application.
    pub app: AppId,
    /// What had started the attempt.
    pub trigger: Trigger,
    /// The fence.
    pub lease: Lease,
    /// What the attempt means.
    pub verdict: Verdict,
    /// The attempt; `None` when there was none (the endpoint was gone).
    pub attempt: Option<Attempt>,
    /// Within which key the endpoint gets the message in strict order, as [`Message::order`] says.
    pub order: Option<OrderKey>,
    /// Records written with it (an endpoint's health).
    pub changes: Vec<Change>,
}

/// What came of a settlement.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// Recorded; the delivery as it is now.
    Recorded(Delivery),
    /// The lease had run out and somebody else holds the delivery: nothing was recorded.
    LeaseLost,
}

/// The due time of what waits for an earlier delivery with its key: never, until that one is no longer pending.
pub const PARKED: Time = Time(0x7fff_ffff_ffff_ffff);

/// Which deliveries of an endpoint to queue again. They stand outside of any order: they neither wait nor are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// One manual attempt of this message, whatever its state; the automatic schedule stays as it is.
    Once(MsgId),
    /// Exhausted deliveries of messages from one (included) to another (excluded): their schedule starts anew.
    Exhausted {
        /// From this message on.
        low: MsgId,
        /// Before this one.
        high: MsgId,
    },
}

/// Deliveries of an endpoint by state, for messages made in a time window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Delivered.
    pub delivered: u64,
    /// Exhausted.
    pub exhausted: u64,
    /// Waiting for an attempt, in flight ones included.
    pub pending: u64,
    /// Cancelled.
    pub cancelled: u64,
}

/// What is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expunge {
    /// What a pending delivery is owed: it is cancelled, and of its key in strict order the next goes on. The result of an
    /// attempt that somebody holds is recorded still: success wins, failure changes nothing.
    Owed(AppId, EndpointId, MsgId),
    /// A message's payload.
    Payload(AppId, MsgId),
    /// An attempt's answer body.
    AnswerBody(EndpointId, AttemptId),
    /// A message with all that came of it: deliveries, attempts, what is still owed. Results that come later are lost.
    Message(AppId, MsgId),
}

/// What a store has to tell of others that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A record was changed, or deleted; also those that this process changed itself.
    Record(Address),
    /// Deliveries may be free that somebody else held.
    Queue,
    /// So many processes deliver now, this one included. Until it is said, this one does alone.
    Processes(usize),
    /// Somebody left something due of an endpoint whose attempts are this process's to make.
    Due(EndpointId),
    /// A delivery was cancelled that some process held: if it waits in this one's memory, it is not to start.
    Cancelled(EndpointId, MsgId),
}

/// The verbs. Methods that change something return once the change is durable, unless they say otherwise.
#[async_trait::async_trait]
pub trait Store: Send + Sync + 'static {
    // Records

    /// Applies all changes or none. `now` decides which records have expired.
    async fn change(&self, changes: Vec<Change>, now: Time) -> Result<(), StoreError>;

    /// The live record with this address, or whose alias within `scope` is `key`.
    async fn find(&self, address: &Address, now: Time) -> Result<Option<Stored>, StoreError>;

    /// Records of a kind and scope in the order of their keys, `after` (exclusive) onwards, or backwards from it.
    /// Expired ones are left out.
    async fn list(&self, kind: Kind, scope: &str, page: ListPage<'_>, now: Time) -> Result<Vec<Stored>, StoreError>;

    /// Every live record of a kind, for the tables in memory: `visit` is called with each, in no particular order.
    async fn each(&self, kind: Kind, now: Time, visit: &mut (dyn for<'r> FnMut(Stored) + Send)) -> Result<(), StoreError>;

    // Others

    /// A lease that no other claim has, also not in another process, when `number` is used once. One that ends at [`LATEST`]
    /// says that no other process works on the store.
    fn lease(&self, number: u64) -> Lease {
        // A store of one process frees leases when the process ends, so they never run out.
        Lease { token: number, until: LATEST }
    }

    /// Whether a lease of this process is known to hold still: an attempt under one that does not is not begun.
    fn stands(&self, lease: Lease) -> bool {
        let _never_runs_out = lease;
        true
    }

    /// Whether attempts to an endpoint whose limits hold for all processes together are this one's to make. One process
    /// at a time is told so, but for moments in which processes come and go.
    fn owns(&self, endpoint: EndpointId) -> bool {
        let _all = endpoint;
        true
    }

    /// Tells the process whose endpoint it is, soon, that something is due.
    fn call(&self, endpoint: EndpointId) {
        let _nobody_else = endpoint;
    }

    /// Waits for news of other processes. A store of one process has none.
    async fn news(&self) -> News {
        std::future::pending().await
    }

    // Flow

    /// Makes the message durable with its deliveries, in one commit shared with others that come at the same time.
    async fn accept(&self, message: NewMessage) -> Result<(), StoreError>;

    /// Leases the endpoint's due deliveries, at most `limit`.
    async fn claim(&self, endpoint: EndpointId, lease: Lease, now: Time, limit: usize) -> Result<Claims, StoreError>;

    /// Endpoints with anything in the queue, each with its earliest due time. Cost grows with the number of such
    /// endpoints, not with the history.
    async fn queued_endpoints(&self) -> Result<Vec<(EndpointId, Time)>, StoreError>;

    /// Gives a leased delivery back unattempted; its due time stays.
    async fn release(&self, endpoint: EndpointId, msg: MsgId, trigger: Trigger, lease: Lease) -> Result<(), StoreError>;

    /// Records attempts and moves their deliveries: each wholly or not at all, and all in one commit. Returns, in their
    /// order, when the results can be read; they are durable with the next commit, at the latest after
    /// [`embedded::SETTLE_SYNC`] (a result lost with the power repeats an attempt, no more).
    async fn settle(&self, settlements: Arc<Vec<Settlement>>) -> Vec<Result<Settled, StoreError>>;

    /// Queues deliveries of an endpoint again; the number queued.
    async fn requeue(&self, app: AppId, endpoint: EndpointId, which: Requeue, now: Time) -> Result<u64, StoreError>;

    // Reading the flow

    /// A message.
    async fn message(&self, app: AppId, msg: MsgId) -> Result<Option<Message>, StoreError>;

    /// The message with that event id.
    async fn message_by_event_id(&self, app: AppId, event_id: &str) -> Result<Option<Message>, StoreError>;

    /// Messages of an application.
    async fn messages(&self, app: AppId, window: Window) -> Result<Vec<Message>, StoreError>;

    /// A delivery; `None` when the message never had one to this endpoint.
    async fn delivery(&self, message: &Message, endpoint: EndpointId) -> Result<Option<Delivery>, StoreError>;

    /// Deliveries of an endpoint that were attempted at least once, by message id.
    async fn attempted(&self, endpoint: EndpointId, window: Window) -> Result<Vec<Delivery>, StoreError>;

    /// An attempt.
    async fn attempt(&self, endpoint: EndpointId, attempt: AttemptId) -> Result<Option<Attempt>, StoreError>;

    /// Attempts of an endpoint.
    async fn attempts(&self, endpoint: EndpointId, window: Window) -> Result<Vec<Attempt>, StoreError>;

    /// Deliveries of an endpoint by state, for messages made in `[since, until)`; whole minutes count.
    async fn stats(&self, endpoint: EndpointId, since: Time, until: Time) -> Result<Stats, StoreError>;

    // Upkeep

    /// Deletes content, or what is owed; `false` when there is no such message or attempt, or nothing is owed.
    async fn expunge(&self, what: Expunge) -> Result<bool, StoreError>;

    /// Deletes payloads and records that have expired by `now`; the number deleted, at most `limit`.
    async fn expire(&self, now: Time, limit: usize) -> Result<usize, StoreError>;

    /// Deletes an application's messages made before `cutoff`, with their settled deliveries and attempts; the number
    /// of messages deleted, at most `limit`. A message with a delivery still pending stays.
    async fn prune(&self, app: AppId, cutoff: Time, limit: usize) -> Result<usize, StoreError>;

    /// Deletes at once a whole range of time in which everything was made before `cutoff` and no attempt is owed; `false` when
    /// there is none, or the engine has no such ranges.
    async fn retire(&self, cutoff: Time) -> Result<bool, StoreError> {
        let _no_ranges = cutoff;
        Ok(false)
    }

    /// Deletes all flowing data of an endpoint, or of an application with its messages; the number of rows deleted, at
    /// most `limit`. Zero: nothing is left.
    async fn purge(&self, app: AppId, endpoint: Option<EndpointId>, limit: usize) -> Result<usize, StoreError>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Finishes what was begun, makes all of it durable and refuses what comes later.
    async fn close(&self) -> Result<(), StoreError>;
}

/// A page of records.
#[derive(Clone, Copy, Debug)]
pub struct ListPage<'a> {
    /// Exclusive start. `None`: from the first, or from the last when `backwards`.
    pub after: Option<&'a str>,
    /// From high keys to low.
    pub backwards: bool,
    /// At most so many.
    pub limit: usize,
}

/// The organization that a fresh data folder gets.
pub const FIRST_ORG: OrgId = OrgId(1);
