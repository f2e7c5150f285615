//! What goes over the wire: identifiers as `uuid`, times and tokens as `int8`, the rest of a message and attempts as bytes.

use crate::model::{
    Address, AppId, Attempt, Delivery, DeliveryState, EndpointId, Kind, Message, MsgId, OrderKey, OrgId, Origin, Record, Time,
};
use crate::store::{StoreError, Stored};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::{error::Error, sync::Arc};
use tokio_postgres::{
    Row,
    types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked},
};

/// The layout of a message's head and of an attempt.
const VERSION: u8 = 1;

/// An identifier's number, as a `uuid`: both sort alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(pub(super) u128);

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_u128(self.0);
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Id {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Id(u128::from_be_bytes(raw.try_into()?)))
    }

    accepts!(UUID);
}

/// A number as the database has it: without the 64th bit, which no time and no token uses.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that is never negative.
pub(super) fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A kind as its number.
pub(super) fn kind_number(kind: Kind) -> i16 {
    match kind {
        Kind::Organization => 0,
        Kind::Application => 1,
        Kind::Endpoint => 2,
        Kind::EventType => 3,
        Kind::Token => 4,
        Kind::Answered => 5,
        Kind::Failing => 6,
        Kind::Purge => 7,
        Kind::Source => 8,
        Kind::Seen => 9,
        Kind::Rejection => 10,
        Kind::Profile => 11,
        Kind::Replay => 12,
        Kind::Erasure => 13,
        Kind::Retention => 14,
        Kind::CatchUp => 15,
        Kind::Audit => 20,
        Kind::Rotation => 21,
        Kind::User => 30,
        Kind::Session => 31,
        Kind::Triage => 32,
        Kind::Identity => 33,
        Kind::Alert => 34,
        Kind::AlertState => 35,
        Kind::Notice => 36,
        Kind::Duplicates => 37,
        Kind::Branding => 38,
    }
}

/// The kind of a number.
pub(super) fn kind_of(number: i16) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|kind| kind_number(*kind) == number)
}

/// What cannot be understood.
pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("{what} cannot be decoded"))
}

/// A column's value.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| StoreError::Damaged(format!("column {column}: {error}")))
}

/// A column's time, if it has one.
pub(super) fn time(row: &Row, column: &str) -> Result<Option<Time>, StoreError> {
    Ok(get::<Option<i64>>(row, column)?.map(|ms| Time(natural(ms))))
}

/// A message without what has columns of its own.
#[derive(Serialize)]
struct Head<'a> {
    org: OrgId,
    event_type: &'a str,
    event_id: Option<&'a str>,
    channels: &'a [String],
    tags: &'a [String],
    deliver_at: Option<Time>,
    payload_expires_at: Option<Time>,
    origin: Option<&'a Origin>,
    ordering_key: Option<&'a str>,
    ordered: &'a [(EndpointId, OrderKey)],
}

/// [`Head`], read.
#[derive(Deserialize)]
struct OwnedHead {
    org: OrgId,
    event_type: String,
    event_id: Option<String>,
    channels: Vec<String>,
    tags: Vec<String>,
    deliver_at: Option<Time>,
    payload_expires_at: Option<Time>,
    origin: Option<Origin>,
    ordering_key: Option<String>,
    ordered: Vec<(EndpointId, OrderKey)>,
}

fn pack<T: Serialize>(value: &T, capacity: usize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(capacity);
    bytes.push(VERSION);
    postcard::to_extend(value, bytes).map_err(|error| StoreError::Damaged(error.to_string()))
}

fn unpack<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => postcard::from_bytes(body).map_err(|_| damaged(what)),
        _ => Err(damaged(what)),
    }
}

/// A message's head.
pub(super) fn head(message: &Message) -> Result<Vec<u8>, StoreError> {
    let head = Head {
        org: message.org,
        event_type: &message.event_type,
        event_id: message.event_id.as_deref(),
        channels: &message.channels,
        tags: &message.tags,
        deliver_at: message.deliver_at,
        payload_expires_at: message.payload_expires_at,
        origin: message.origin.as_deref(),
        ordering_key: message.ordering_key.as_deref(),
        ordered: &message.ordered,
    };
    pack(&head, 128)
}

/// A message of a row with `endpoints`, `expunged`, `head` and `payload`.
pub(super) fn message(row: &Row, app: AppId, id: MsgId) -> Result<Message, StoreError> {
    let head: OwnedHead = unpack(get(row, "head")?, "a message")?;
    let endpoints: Vec<Id> = get(row, "endpoints")?;
    Ok(Message {
        id,
        app,
        org: head.org,
        event_type: head.event_type,
        event_id: head.event_id,
        channels: head.channels,
        tags: head.tags,
        deliver_at: head.deliver_at,
        payload_expires_at: head.payload_expires_at,
        endpoints: endpoints.into_iter().map(|id| EndpointId(id.0)).collect(),
        payload: Bytes::copy_from_slice(get(row, "payload")?),
        expunged: get(row, "expunged")?,
        origin: head.origin.map(Arc::new),
        ordering_key: head.ordering_key,
        ordered: head.ordered,
    })
}

/// An attempt's bytes.
pub(super) fn write_attempt(attempt: &Attempt) -> Result<Vec<u8>, StoreError> {
    pack(attempt, 1024)
}

/// The attempt of such bytes.
pub(super) fn read_attempt(bytes: &[u8]) -> Result<Attempt, StoreError> {
    unpack(bytes, "an attempt")
}

/// A delivery of a row with `state`, `due`, `failed` and `attempts`.
pub(super) fn delivery(row: &Row, (app, endpoint, msg): (AppId, EndpointId, MsgId)) -> Result<Delivery, StoreError> {
    let state = match (get::<i16>(row, "state")?, time(row, "due")?) {
        (0, Some(due)) => DeliveryState::Pending(due),
        (1, None) => DeliveryState::Delivered,
        (2, None) => DeliveryState::Exhausted,
        (3, None) => DeliveryState::Cancelled,
        _ => return Err(damaged("a delivery")),
    };
    let attempts: Vec<Id> = get(row, "attempts")?;
    let failed = u32::try_from(get::<i32>(row, "failed")?).unwrap_or(0);
    let attempts = attempts.into_iter().map(|id| crate::model::AttemptId(id.0)).collect();
    Ok(Delivery { msg, endpoint, app, state, failed, attempts })
}

/// A record's text.
pub(super) fn write_record(record: &Record) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// A record of a row with `revision` and `body`.
pub(super) fn record(row: &Row) -> Result<Stored, StoreError> {
    let record = serde_json::from_str(get(row, "body")?).map_err(|error| StoreError::Damaged(format!("a record: {error}")))?;
    Ok(Stored { record, revision: natural(get(row, "revision")?) })
}

/// An address of a row with `kind`, `scope` and `key`.
pub(super) fn address(row: &Row) -> Result<Address, StoreError> {
    let kind = kind_of(get(row, "kind")?).ok_or_else(|| damaged("a kind"))?;
    Ok(Address { kind, scope: get(row, "scope")?, key: get(row, "key")? })
}
