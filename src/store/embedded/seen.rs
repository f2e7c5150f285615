//! Marks of events that sources have had, in a keyspace of their own: there is one for every event received, and none is
//! read but to find that it is not there. The random half of a key stands in front, so that keys differ within their first
//! bytes, which the tree compares without following a pointer.

use super::keys::{self, Pair};
use super::records::Chunk;
use super::spaces::{Space, Spaces, failure};
use super::writes::Writes;
use crate::model::{Address, Kind, Record, Seen, SourceId, Time};
use crate::store::{Change, Conflict, ListPage, StoreError, Stored};
use std::ops::Bound;

/// Marks never change, so that there is one revision.
const REVISION: u64 = 1;

/// The kind of record that a change is about.
pub(super) fn is_about(change: &Change) -> bool {
    match change {
        Change::Insert(record) | Change::Replace(record, _) | Change::Write(record) => matches!(record, Record::Seen(_)),
        Change::Delete(address) => address.kind == Kind::Seen,
    }
}

/// Applies a change of a mark.
pub(super) fn apply(writes: &mut Writes<'_>, change: &Change, now: Time) -> Result<(), StoreError> {
    let (record, address) = match change {
        Change::Insert(record) | Change::Replace(record, _) | Change::Write(record) => (Some(record), record.address()),
        Change::Delete(address) => (None, address.clone()),
    };
    let key = key(&address)?;
    let had = writes.get(Space::Seen, &key)?.map(|value| until(&value)).transpose()?;
    let live = had.is_some_and(|until| until > now);
    match change {
        Change::Insert(_) if live => return Err(StoreError::Conflict(Conflict::Record(Kind::Seen))),
        Change::Replace(_, revision) if !live || *revision != REVISION => return Err(StoreError::Stale),
        _ => {}
    }
    if let Some(until) = had {
        writes.remove(Space::Expiry, keys::expiry(until, keys::EXPIRING_MARK, &key));
        writes.remove(Space::Seen, key);
    }
    if let Some(until) = record.and_then(Record::expires_at) {
        writes.put(Space::Expiry, keys::expiry(until, keys::EXPIRING_MARK, &key), []);
        writes.put(Space::Seen, key, until.0.to_be_bytes());
    }
    Ok(())
}

/// Removes the mark when it has expired.
pub(super) fn expire(writes: &mut Writes<'_>, key: &[u8], now: Time) -> Result<bool, StoreError> {
    match writes.get(Space::Seen, key)? {
        Some(value) if until(&value)? <= now => {
            writes.remove(Space::Seen, key);
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// The live mark at that address.
pub(super) fn find(spaces: &Spaces, address: &Address, now: Time) -> Result<Option<Stored>, StoreError> {
    let key = key(address)?;
    let Some(value) = spaces.get(Space::Seen, &key)? else { return Ok(None) };
    read(&key, &value).map(|(stored, until)| (until > now).then_some(stored))
}

/// A page of a source's marks. Nobody asks for one, so it is looked for among all.
pub(super) fn list(spaces: &Spaces, scope: &str, page: ListPage<'_>, now: Time) -> Result<Vec<Stored>, StoreError> {
    let bound = |key: Pair| {
        if page.backwards { (Bound::Unbounded, Bound::Excluded(key)) } else { (Bound::Excluded(key), Bound::Unbounded) }
    };
    let after = page.after.map(|after| key(&Address::new(Kind::Seen, scope, after))).transpose()?;
    let mut range = spaces.of(Space::Seen).range::<Pair, _>(after.map_or((Bound::Unbounded, Bound::Unbounded), bound));
    let mut found = Vec::new();
    while found.len() < page.limit {
        let Some(guard) = (if page.backwards { range.next_back() } else { range.next() }) else { break };
        let (key, value) = guard.into_inner().map_err(failure)?;
        let (stored, until) = read(&key, &value)?;
        found.extend((until > now && stored.record.address().scope == scope).then_some(stored));
    }
    Ok(found)
}

/// Live marks whose keys lie behind `after`, reading at most `limit`; and where to go on, if anywhere.
pub(super) fn each(spaces: &Spaces, after: Option<Vec<u8>>, limit: usize, now: Time) -> Result<Chunk, StoreError> {
    let low = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut found = Vec::new();
    for (read_so_far, guard) in spaces.of(Space::Seen).range::<Vec<u8>, _>((low, Bound::Unbounded)).enumerate() {
        let (key, value) = guard.into_inner().map_err(failure)?;
        let (stored, until) = read(&key, &value)?;
        found.extend((until > now).then_some(stored));
        if read_so_far + 1 == limit {
            return Ok((found, Some(key.to_vec())));
        }
    }
    Ok((found, None))
}

fn damaged() -> StoreError {
    StoreError::Damaged("a mark".into())
}

/// The fingerprint of the event, then the source.
fn key(address: &Address) -> Result<Pair, StoreError> {
    let fingerprint = u128::from_str_radix(&address.key, 16).map_err(|_| damaged())?;
    let source: SourceId = address.scope.parse().map_err(|_| damaged())?;
    Ok(keys::pair(fingerprint, source.0))
}

fn until(value: &[u8]) -> Result<Time, StoreError> {
    value.first_chunk().map(|bytes| Time(u64::from_be_bytes(*bytes))).ok_or_else(damaged)
}

fn read(key: &[u8], value: &[u8]) -> Result<(Stored, Time), StoreError> {
    let fingerprint = key.first_chunk().map(|bytes| u128::from_be_bytes(*bytes)).ok_or_else(damaged)?;
    let source = SourceId(keys::second(key).ok_or_else(damaged)?);
    let expires_at = until(value)?;
    let record = Record::Seen(Seen { source, key: format!("{fingerprint:032x}"), expires_at });
    Ok((Stored { record, revision: REVISION }, expires_at))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;
    use crate::store::{Store, conformance::NOW};
    use std::time::Duration;

    fn mark(number: u128, expires_at: Time) -> Record {
        Record::Seen(Seen { source: SourceId(7), key: format!("{number:032x}"), expires_at })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn marks_are_kept_like_other_records() {
        let (folder, later) = (Folder::new(), NOW.plus(Duration::from_secs(9)));
        let store = folder.open().unwrap();
        let inserted = [mark(1, later), mark(2, later), mark(3, NOW)].map(Change::Insert);
        store.change(inserted.to_vec(), NOW).await.unwrap();
        let again = async |number| store.change(vec![Change::Insert(mark(number, later))], NOW).await;
        assert_eq!(again(1).await, Err(StoreError::Conflict(Conflict::Record(Kind::Seen))));
        assert_eq!(store.find(&mark(3, NOW).address(), NOW).await.unwrap(), None, "it has expired");
        assert_eq!(again(3).await, Ok(()));

        let found = store.find(&mark(3, NOW).address(), NOW).await.unwrap().unwrap();
        assert_eq!(found.record, mark(3, later));
        let stale = store.change(vec![Change::Replace(mark(3, NOW), found.revision + 1)], NOW).await;
        assert_eq!(stale, Err(StoreError::Stale));
        let of = SourceId(7).to_string();
        let page = |after, backwards| ListPage { after, backwards, limit: 2 };
        let keys = |found: Vec<Stored>| found.into_iter().map(|stored| stored.record.address().key).collect::<Vec<_>>();
        let [one, two, three] = [1, 2, 3].map(|number| mark(number, later).address().key);
        assert_eq!(keys(store.list(Kind::Seen, &of, page(Some(&one), false), NOW).await.unwrap()), [&*two, &*three]);
        assert_eq!(keys(store.list(Kind::Seen, &of, page(None, true), NOW).await.unwrap()), [&*three, &*two]);
        assert!(store.list(Kind::Seen, &SourceId(8).to_string(), page(None, false), NOW).await.unwrap().is_empty());

        store.change(vec![Change::Delete(mark(2, later).address())], NOW).await.unwrap();
        let mut left = 0;
        store.each(Kind::Seen, NOW, &mut |_| left += 1).await.unwrap();
        assert_eq!(left, 2);
        while store.expire(later, 100).await.unwrap() > 0 {}
        assert_eq!(store.spaces().unwrap().of(Space::Seen).iter().count(), 0);
        assert_eq!(store.spaces().unwrap().of(Space::Expiry).iter().count(), 0, "nothing points to what is gone");
    }
}
