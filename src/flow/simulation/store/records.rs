//! Records, by the rules of the trait.

use crate::{
    model::{Address, Kind, Record, Time},
    store::{Change, Conflict, ListPage, StoreError, Stored},
};
use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

/// All records, with revisions that are never used twice.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Records {
    rows: BTreeMap<Address, (Arc<Record>, u64)>,
    revision: u64,
}

fn lives(record: &Record, now: Time) -> bool {
    record.expires_at().is_none_or(|end| end > now)
}

fn stored((record, revision): &(Arc<Record>, u64)) -> Stored {
    Stored { record: (**record).clone(), revision: *revision }
}

impl Records {
    pub(super) fn change(&mut self, changes: &[Change], now: Time) -> Result<(), StoreError> {
        if let [change] = changes {
            return self.apply(change, now);
        }
        let mut new = self.clone();
        for change in changes {
            new.apply(change, now)?;
        }
        *self = new;
        Ok(())
    }

    fn apply(&mut self, change: &Change, now: Time) -> Result<(), StoreError> {
        match change {
            Change::Insert(record) => {
                let taken = self.rows.get(&record.address()).is_some_and(|(old, _)| lives(old, now));
                if taken || self.alias_is_taken(record, now) {
                    return Err(StoreError::Conflict(Conflict::Record(record.address().kind)));
                }
                self.put(record);
            }
            Change::Replace(record, revision) => {
                let found = self.rows.get(&record.address()).filter(|(old, _)| lives(old, now));
                if found.map(|(_, at)| at) != Some(revision) {
                    return Err(StoreError::Stale);
                }
                if self.alias_is_taken(record, now) {
                    return Err(StoreError::Conflict(Conflict::Record(record.address().kind)));
                }
                self.put(record);
            }
            Change::Write(record) => self.put(record),
            Change::Delete(address) => drop(self.rows.remove(address)),
        }
        Ok(())
    }

    fn put(&mut self, record: &Record) {
        self.revision += 1;
        self.rows.insert(record.address(), (Arc::new(record.clone()), self.revision));
    }

    fn alias_is_taken(&self, record: &Record, now: Time) -> bool {
        let Some(alias) = record.alias() else { return false };
        let address = record.address();
        let others = self.kind(address.kind).filter(|(at, (other, _))| **at != address && lives(other, now));
        others.into_iter().any(|(_, (other, _))| other.alias().as_ref() == Some(&alias))
    }

    fn kind(&self, kind: Kind) -> impl Iterator<Item = (&Address, &(Arc<Record>, u64))> {
        self.rows.range(Address::new(kind, "", "")..).take_while(move |(address, _)| address.kind == kind)
    }

    pub(super) fn find(&self, address: &Address, now: Time) -> Option<Stored> {
        let named = self.rows.get(address).filter(|(record, _)| lives(record, now));
        let is_alias = |record: &Record| record.alias().is_some_and(|(scope, key)| scope == address.scope && key == address.key);
        named
            .or_else(|| {
                let by_alias = self.kind(address.kind).find(|(_, (record, _))| lives(record, now) && is_alias(record));
                by_alias.map(|(_, row)| row)
            })
            .map(stored)
    }

    /// The record at exactly this address.
    pub(in super::super) fn get(&self, address: &Address) -> Option<&Record> {
        self.rows.get(address).map(|(record, _)| &**record)
    }

    pub(super) fn list(&self, kind: Kind, scope: &str, page: ListPage<'_>, now: Time) -> Vec<Stored> {
        let in_scope = |address: &Address| address.kind == kind && address.scope == scope;
        let after = page.after.map(|key| Address::new(kind, scope, key));
        let live = |(_, row): (&Address, &(Arc<Record>, u64))| lives(&row.0, now).then(|| stored(row));
        if page.backwards {
            let below = self.rows.range((Unbounded, after.map_or(Unbounded, Excluded))).rev();
            below.filter(|(address, _)| in_scope(address)).filter_map(live).take(page.limit).collect()
        } else {
            let above = self.rows.range((after.map_or(Unbounded, Excluded), Unbounded));
            above.filter(|(address, _)| in_scope(address)).filter_map(live).take(page.limit).collect()
        }
    }

    pub(super) fn each(&self, kind: Kind, now: Time) -> Vec<Stored> {
        self.kind(kind).filter(|(_, (record, _))| lives(record, now)).map(|(_, row)| stored(row)).collect()
    }

    pub(super) fn expire(&mut self, now: Time, limit: usize) -> usize {
        let over: Vec<Address> =
            self.rows.iter().filter(|(_, (record, _))| !lives(record, now)).map(|(at, _)| at.clone()).take(limit).collect();
        over.iter().for_each(|address| drop(self.rows.remove(address)));
        over.len()
    }
}
