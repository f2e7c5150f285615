//! The keys of every keyspace: fixed-width big-endian numbers, so that bytes sort as the numbers do.

use crate::model::{Address, AppId, AttemptId, EndpointId, Kind, MsgId, OrderKey, Time, Trigger};
use std::ops::Bound;

/// Milliseconds in a bucket of the statistics.
pub(super) const MINUTE_MS: u64 = 60_000;
/// What an entry of `expiry` is about.
pub(super) const EXPIRING_RECORD: u8 = 0;
/// A message's payload.
pub(super) const EXPIRING_PAYLOAD: u8 = 1;
/// The mark of an event that a source has had.
pub(super) const EXPIRING_MARK: u8 = 2;

/// Two identifiers in a row.
pub(super) type Pair = [u8; 32];
/// A key of `queue`.
pub(super) type QueueKey = [u8; 41];
/// A key of `order`.
pub(super) type OrderEntryKey = [u8; 40];
/// A key of `stats`.
pub(super) type StatsKey = [u8; 24];

/// A place in one section (trigger) of an endpoint's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// When the attempt is due; zero for manual ones, so that each delivery has one place for them.
    pub(super) due: Time,
    /// The message.
    pub(super) msg: MsgId,
}

impl Place {
    /// The first of all.
    pub(super) const FIRST: Place = Place { due: Time(0), msg: MsgId(0) };
    /// The last of all.
    pub(super) const LAST: Place = Place { due: Time(u64::MAX), msg: MsgId(u128::MAX) };

    /// Where an attempt that somebody asked for waits.
    pub(super) fn manual(msg: MsgId) -> Self {
        Place { due: Time(0), msg }
    }
}

fn concat<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut key = [0; N];
    for (slot, byte) in key.iter_mut().zip(parts.iter().copied().flatten()) {
        *slot = *byte;
    }
    key
}

/// Two numbers in a row.
pub(super) fn pair(first: u128, second: u128) -> Pair {
    concat(&[&first.to_be_bytes(), &second.to_be_bytes()])
}

/// A key of `messages`.
pub(super) fn message(app: AppId, msg: MsgId) -> Pair {
    pair(app.0, msg.0)
}

/// A key of `deliveries`.
pub(super) fn delivery(endpoint: EndpointId, msg: MsgId) -> Pair {
    pair(endpoint.0, msg.0)
}

/// A key of `attempts`.
pub(super) fn attempt(endpoint: EndpointId, attempt: AttemptId) -> Pair {
    pair(endpoint.0, attempt.0)
}

/// The second number of a pair.
pub(super) fn second(key: &[u8]) -> Option<u128> {
    key.get(16..)?.first_chunk().map(|bytes| u128::from_be_bytes(*bytes))
}

/// Pairs with this first number whose second lies between the bounds, both exclusive.
pub(super) fn between(first: u128, above: u128, below: u128) -> (Bound<Pair>, Bound<Pair>) {
    (Bound::Excluded(pair(first, above)), Bound::Excluded(pair(first, below)))
}

/// A key of `queue`.
pub(super) fn queue(endpoint: EndpointId, trigger: Trigger, place: Place) -> QueueKey {
    let section = match trigger {
        Trigger::Manual => 0,
        Trigger::Scheduled => 1,
    };
    concat(&[&endpoint.bytes(), &[section], &place.due.0.to_be_bytes(), &place.msg.bytes()])
}

/// The parts of a key of `queue`.
pub(super) fn read_queue(key: &[u8]) -> Option<(EndpointId, Trigger, Place)> {
    let (endpoint, rest) = key.split_first_chunk::<16>()?;
    let (section, rest) = rest.split_first()?;
    let (due, msg) = rest.split_first_chunk::<8>()?;
    let trigger = match section {
        0 => Trigger::Manual,
        1 => Trigger::Scheduled,
        _ => return None,
    };
    let place = Place { due: Time(u64::from_be_bytes(*due)), msg: MsgId::from_bytes(msg)? };
    Some((EndpointId(u128::from_be_bytes(*endpoint)), trigger, place))
}

/// A place in one key of an endpoint's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OrderPlace {
    /// Where its head is named.
    Head,
    /// Behind it, by a number that grows; never zero.
    Waiting(u64),
}

/// A key of `order`.
pub(super) fn order(endpoint: EndpointId, key: OrderKey, place: OrderPlace) -> OrderEntryKey {
    let seq = match place {
        OrderPlace::Head => 0,
        OrderPlace::Waiting(seq) => seq,
    };
    concat(&[&endpoint.bytes(), &key.0.to_be_bytes(), &seq.to_be_bytes()])
}

/// The parts of a key of `order`.
pub(super) fn read_order(key: &[u8]) -> Option<(EndpointId, OrderPlace)> {
    let endpoint = EndpointId::from_bytes(key)?;
    let place = match u64::from_be_bytes(*key.get(32..)?.first_chunk()?) {
        0 => OrderPlace::Head,
        seq => OrderPlace::Waiting(seq),
    };
    Some((endpoint, place))
}

/// A key of `stats`.
pub(super) fn stats(endpoint: EndpointId, minute: u64) -> StatsKey {
    concat(&[&endpoint.bytes(), &minute.to_be_bytes()])
}

/// The bucket of messages made at that time.
pub(super) fn minute(made: Time) -> u64 {
    made.0 / MINUTE_MS
}

/// A key of `event_ids`.
pub(super) fn event_id(app: AppId, event_id: &str) -> Vec<u8> {
    [&app.bytes(), event_id.as_bytes()].concat()
}

/// How a kind is written; never to be renumbered.
fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Organization => 1,
        Kind::Application => 2,
        Kind::Endpoint => 3,
        Kind::EventType => 4,
        Kind::Token => 5,
        Kind::Answered => 6,
        Kind::Failing => 7,
        Kind::Purge => 8,
        Kind::Source => 9,
        Kind::Seen => 10,
        Kind::Rejection => 11,
        Kind::Profile => 12,
        Kind::Replay => 13,
        Kind::Erasure => 14,
        Kind::Retention => 15,
        Kind::CatchUp => 16,
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

/// Keys of `records` of one kind, as a half-open range.
pub(super) fn kind(kind: Kind) -> (Vec<u8>, Vec<u8>) {
    (vec![kind_byte(kind)], vec![kind_byte(kind) + 1])
}

/// Keys of `records` of one kind and scope, as a half-open range.
pub(super) fn scope(kind: Kind, scope: &str) -> (Vec<u8>, Vec<u8>) {
    let range = |end: u8| [&[kind_byte(kind)], scope.as_bytes(), &[end]].concat();
    (range(0), range(1))
}

/// A key of `records` or `aliases`.
pub(super) fn named(kind: Kind, scope: &str, name: &str) -> Vec<u8> {
    [&[kind_byte(kind)], scope.as_bytes(), &[0], name.as_bytes()].concat()
}

/// A key of `records`.
pub(super) fn record(address: &Address) -> Vec<u8> {
    named(address.kind, &address.scope, &address.key)
}

/// A key of `expiry`: what expires at that time.
pub(super) fn expiry(at: Time, what: u8, key: &[u8]) -> Vec<u8> {
    [&at.0.to_be_bytes(), [what].as_slice(), key].concat()
}

/// The parts of a key of `expiry` behind the time.
pub(super) fn read_expiry(key: &[u8]) -> Option<(u8, &[u8])> {
    let (what, key) = key.get(8..)?.split_first()?;
    Some((*what, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_keys_sort_by_due_time_and_go_round() {
        let key = |trigger, due, msg| queue(EndpointId(7), trigger, Place { due: Time(due), msg: MsgId(msg) });
        let sorted = [
            key(Trigger::Manual, 0, 9),
            key(Trigger::Scheduled, 1, u128::MAX),
            key(Trigger::Scheduled, 256, 1),
            key(Trigger::Scheduled, 256, 2),
        ];
        assert!(sorted.is_sorted());
        let place = Place { due: Time(256), msg: MsgId(2) };
        assert_eq!(read_queue(&sorted[3]), Some((EndpointId(7), Trigger::Scheduled, place)));
        assert_eq!(read_queue(&sorted[3][..40]), None);
    }

    #[test]
    fn a_head_stands_before_all_that_waits() {
        let key = |key, place| order(EndpointId(7), OrderKey(key), place);
        let sorted =
            [key(1, OrderPlace::Head), key(1, OrderPlace::Waiting(1)), key(1, OrderPlace::Waiting(256)), key(2, OrderPlace::Head)];
        assert!(sorted.is_sorted());
        assert_eq!(read_order(&sorted[2]), Some((EndpointId(7), OrderPlace::Waiting(256))));
        assert_eq!(read_order(&sorted[3]), Some((EndpointId(7), OrderPlace::Head)));
    }

    #[test]
    fn a_scope_never_reaches_into_the_next() {
        let (start, end) = scope(Kind::Endpoint, "app_1");
        let inside = named(Kind::Endpoint, "app_1", "\u{10ffff}");
        let outside = named(Kind::Endpoint, "app_10", "");
        assert!(start < inside && inside < end && outside >= end);
    }
}
