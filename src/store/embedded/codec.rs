//! The values of every keyspace. Flow values start with a version byte, so that a later layout can tell itself apart.

use crate::model::{AppId, Attempt, Delivery, EndpointId, Message, MsgId, OrderKey, OrgId, Origin, Record, Time};
use crate::store::{StoreError, Stored};
use bytes::Bytes;
use byteview::ByteView;
use fjall::Slice;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// The layout of messages, deliveries, attempts and counters.
const VERSION: u8 = 1;
/// Bytes that a message's header takes, as a first guess.
const HEADER_GUESS: usize = 192;

/// A message without what its key says and without the payload, which follows as it came.
#[derive(Serialize)]
struct Header<'a> {
    org: OrgId,
    event_type: &'a str,
    event_id: Option<&'a str>,
    channels: &'a [String],
    tags: &'a [String],
    deliver_at: Option<Time>,
    payload_expires_at: Option<Time>,
    endpoints: &'a [EndpointId],
    expunged: bool,
    origin: Option<&'a Origin>,
    ordering_key: Option<&'a str>,
    ordered: &'a [(EndpointId, OrderKey)],
}

/// [`Header`], read.
#[derive(Deserialize)]
struct OwnedHeader {
    org: OrgId,
    event_type: String,
    event_id: Option<String>,
    channels: Vec<String>,
    tags: Vec<String>,
    deliver_at: Option<Time>,
    payload_expires_at: Option<Time>,
    endpoints: Vec<EndpointId>,
    expunged: bool,
    origin: Option<Origin>,
    ordering_key: Option<String>,
    ordered: Vec<(EndpointId, OrderKey)>,
}

/// Deliveries of an endpoint whose messages were made in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counters {
    /// All of them.
    pub(super) accepted: u64,
    /// Those delivered.
    pub(super) delivered: u64,
    /// Those exhausted.
    pub(super) exhausted: u64,
    /// Those cancelled.
    pub(super) cancelled: u64,
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("{what} cannot be decoded"))
}

fn write<T: Serialize>(value: &T, capacity: usize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(capacity);
    bytes.push(VERSION);
    postcard::to_extend(value, bytes).map_err(|error| StoreError::Damaged(error.to_string()))
}

fn body<'a>(bytes: &'a [u8], what: &str) -> Result<&'a [u8], StoreError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => Ok(body),
        _ => Err(damaged(what)),
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, StoreError> {
    postcard::from_bytes(body(bytes, what)?).map_err(|_| damaged(what))
}

/// A value of `messages`.
pub(super) fn write_message(message: &Message) -> Result<Slice, StoreError> {
    let header = Header {
        org: message.org,
        event_type: &message.event_type,
        event_id: message.event_id.as_deref(),
        channels: &message.channels,
        tags: &message.tags,
        deliver_at: message.deliver_at,
        payload_expires_at: message.payload_expires_at,
        endpoints: &message.endpoints,
        expunged: message.expunged,
        origin: message.origin.as_deref(),
        ordering_key: message.ordering_key.as_deref(),
        ordered: &message.ordered,
    };
    let header = write(&header, HEADER_GUESS)?;
    Ok(ByteView::fused(&header, &message.payload).into())
}

/// The message of a value of `messages`; its payload shares the value's memory.
pub(super) fn read_message(app: AppId, id: MsgId, value: Slice) -> Result<Message, StoreError> {
    let value = Bytes::from_owner(value);
    let (header, payload) =
        postcard::take_from_bytes::<OwnedHeader>(body(&value, "a message")?).map_err(|_| damaged("a message"))?;
    let payload = value.slice_ref(payload);
    Ok(Message {
        id,
        app,
        org: header.org,
        event_type: header.event_type,
        event_id: header.event_id,
        channels: header.channels,
        tags: header.tags,
        deliver_at: header.deliver_at,
        payload_expires_at: header.payload_expires_at,
        endpoints: header.endpoints,
        payload,
        expunged: header.expunged,
        origin: header.origin.map(Arc::new),
        ordering_key: header.ordering_key,
        ordered: header.ordered,
    })
}

/// A value of `deliveries`.
pub(super) fn write_delivery(delivery: &Delivery) -> Result<Slice, StoreError> {
    Ok(write(delivery, 128)?.into())
}

/// The delivery of a value of `deliveries`.
pub(super) fn read_delivery(value: &[u8]) -> Result<Delivery, StoreError> {
    read(value, "a delivery")
}

/// A value of `attempts`.
pub(super) fn write_attempt(attempt: &Attempt) -> Result<Slice, StoreError> {
    Ok(write(attempt, 1024)?.into())
}

/// The attempt of a value of `attempts`.
pub(super) fn read_attempt(value: &[u8]) -> Result<Attempt, StoreError> {
    read(value, "an attempt")
}

/// A value of `stats`.
pub(super) fn write_counters(counters: &Counters) -> Result<Slice, StoreError> {
    Ok(write(counters, 16)?.into())
}

/// The counters of a value of `stats`.
pub(super) fn read_counters(value: &[u8]) -> Result<Counters, StoreError> {
    read(value, "a counter")
}

/// A value of `records`: the revision, then JSON, in which fields may come and go without a new version.
pub(super) fn write_record(stored: &Stored) -> Result<Slice, StoreError> {
    let mut bytes = stored.revision.to_be_bytes().to_vec();
    serde_json::to_writer(&mut bytes, &stored.record).map_err(|error| StoreError::Damaged(error.to_string()))?;
    Ok(bytes.into())
}

/// The record of a value of `records`.
pub(super) fn read_record(value: &[u8]) -> Result<Stored, StoreError> {
    let (revision, json) = value.split_first_chunk::<8>().ok_or_else(|| damaged("a record"))?;
    let record: Record = serde_json::from_slice(json).map_err(|error| StoreError::Damaged(format!("a record: {error}")))?;
    Ok(Stored { record, revision: u64::from_be_bytes(*revision) })
}
