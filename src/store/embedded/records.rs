//! Records: changed under a revision, found by address or alias, listed by key.

use super::spaces::{Space, Spaces, failure};
use super::writes::Writes;
use super::{codec, keys, seen};
use crate::model::{Address, Kind, Record, Time};
use crate::store::{Change, Conflict, ListPage, StoreError, Stored};
use std::ops::Bound;

/// Applies one change.
pub(super) fn apply(writes: &mut Writes<'_>, change: Change, now: Time) -> Result<(), StoreError> {
    match change {
        change if seen::is_about(&change) => seen::apply(writes, &change, now),
        Change::Insert(record) => {
            let key = keys::record(&record.address());
            if live(current(writes, &key)?, now).is_some() {
                return Err(StoreError::Conflict(Conflict::Record(record.address().kind)));
            }
            put(writes, &key, record, now)
        }
        Change::Replace(record, revision) => {
            let key = keys::record(&record.address());
            match live(current(writes, &key)?, now) {
                Some(stored) if stored.revision == revision => put(writes, &key, record, now),
                _ => Err(StoreError::Stale),
            }
        }
        Change::Write(record) => put(writes, &keys::record(&record.address()), record, now),
        Change::Delete(address) => erase(writes, &keys::record(&address)),
    }
}

fn current(writes: &Writes<'_>, key: &[u8]) -> Result<Option<Stored>, StoreError> {
    writes.get(Space::Records, key)?.map(|value| codec::read_record(&value)).transpose()
}

fn live(stored: Option<Stored>, now: Time) -> Option<Stored> {
    stored.filter(|stored| stored.record.expires_at().is_none_or(|at| at > now))
}

fn alias_key(record: &Record) -> Option<Vec<u8>> {
    record.alias().map(|(scope, name)| keys::named(record.address().kind, &scope, name))
}

/// Writes a record in place of whatever is at its key.
fn put(writes: &mut Writes<'_>, key: &[u8], record: Record, now: Time) -> Result<(), StoreError> {
    erase(writes, key)?;
    let alias = alias_key(&record);
    if let Some(alias) = &alias
        && let Some(owner) = writes.get(Space::Aliases, alias)?
        && *owner != *key
    {
        if live(current(writes, &owner)?, now).is_some() {
            return Err(StoreError::Conflict(Conflict::Record(record.address().kind)));
        }
        erase(writes, &owner)?;
    }
    if let Some(at) = record.expires_at() {
        writes.put(Space::Expiry, keys::expiry(at, keys::EXPIRING_RECORD, key), []);
    }
    if let Some(alias) = alias {
        writes.put(Space::Aliases, alias, key);
    }
    let revision = writes.revision()?;
    writes.put(Space::Records, key, codec::write_record(&Stored { record, revision })?);
    Ok(())
}

/// Removes a record with its alias and its expiry.
fn erase(writes: &mut Writes<'_>, key: &[u8]) -> Result<(), StoreError> {
    let Some(Stored { record, .. }) = current(writes, key)? else { return Ok(()) };
    if let Some(at) = record.expires_at() {
        writes.remove(Space::Expiry, keys::expiry(at, keys::EXPIRING_RECORD, key));
    }
    if let Some(alias) = alias_key(&record) {
        writes.remove(Space::Aliases, alias);
    }
    writes.remove(Space::Records, key);
    Ok(())
}

/// Removes the record when it has expired.
pub(super) fn expire(writes: &mut Writes<'_>, key: &[u8], now: Time) -> Result<bool, StoreError> {
    match current(writes, key)? {
        Some(stored) if stored.record.expires_at().is_some_and(|at| at <= now) => erase(writes, key).map(|()| true),
        _ => Ok(false),
    }
}

/// The live record of that address or alias.
pub(super) fn find(spaces: &Spaces, address: &Address, now: Time) -> Result<Option<Stored>, StoreError> {
    if address.kind == Kind::Seen {
        return seen::find(spaces, address, now);
    }
    let key = keys::record(address);
    let at = |key: &[u8]| -> Result<Option<Stored>, StoreError> {
        Ok(live(spaces.get(Space::Records, key)?.map(|value| codec::read_record(&value)).transpose()?, now))
    };
    if let Some(found) = at(&key)? {
        return Ok(Some(found));
    }
    match spaces.get(Space::Aliases, &key)? {
        Some(owner) => at(&owner),
        None => Ok(None),
    }
}

/// A page of a kind and scope.
pub(super) fn list(spaces: &Spaces, kind: Kind, scope: &str, page: ListPage<'_>, now: Time) -> Result<Vec<Stored>, StoreError> {
    if kind == Kind::Seen {
        return seen::list(spaces, scope, page, now);
    }
    let (start, end) = keys::scope(kind, scope);
    let after = page.after.map(|after| keys::named(kind, scope, after));
    let (low, high) = match (after, page.backwards) {
        (None, _) => (Bound::Included(start), Bound::Excluded(end)),
        (Some(after), false) => (Bound::Excluded(after), Bound::Excluded(end)),
        (Some(after), true) => (Bound::Included(start), Bound::Excluded(after)),
    };
    let mut range = spaces.of(Space::Records).range::<Vec<u8>, _>((low, high));
    let mut found = Vec::new();
    while found.len() < page.limit {
        let Some(guard) = (if page.backwards { range.next_back() } else { range.next() }) else { break };
        let stored = codec::read_record(&guard.value().map_err(failure)?)?;
        found.extend(live(Some(stored), now));
    }
    Ok(found)
}

/// Live records of a kind whose keys lie behind `after`, reading at most `limit`; and where to go on, if anywhere.
pub(super) fn each(spaces: &Spaces, kind: Kind, after: Option<Vec<u8>>, limit: usize, now: Time) -> Result<Chunk, StoreError> {
    if kind == Kind::Seen {
        return seen::each(spaces, after, limit, now);
    }
    let (start, end) = keys::kind(kind);
    let low = after.map_or(Bound::Included(start), Bound::Excluded);
    let mut found = Vec::new();
    let mut read = 0;
    for guard in spaces.of(Space::Records).range::<Vec<u8>, _>((low, Bound::Excluded(end))) {
        let (key, value) = guard.into_inner().map_err(failure)?;
        found.extend(live(Some(codec::read_record(&value)?), now));
        read += 1;
        if read == limit {
            return Ok((found, Some(key.to_vec())));
        }
    }
    Ok((found, None))
}

/// Records, and the key behind which there may be more.
pub(super) type Chunk = (Vec<Stored>, Option<Vec<u8>>);
