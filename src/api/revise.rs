//! Changing a record that others may change at the same moment: read, edit, replace under its revision, and again when
//! somebody else was first.

use super::problem::Problem;
use crate::{
    flow::Engine,
    model::{Address, Record},
    store::{Change, StoreError},
};
use std::sync::Arc;

/// How often it is tried.
const TRIES: usize = 8;

/// Edits a record; `None` when it is not there. The edit may run several times. An edit that changes nothing writes nothing.
///
/// # Errors
/// The edit's, or the commit's; 409 when others were first every time.
pub async fn revise<T>(
    engine: &Arc<Engine>,
    address: &Address,
    mut edit: impl FnMut(&mut Record) -> Result<T, Problem>,
) -> Result<Option<T>, Problem> {
    revise_with(engine, address, |record| edit(record).map(|done| (done, Vec::new()))).await
}

/// As [`revise`], with changes that are committed together with the edit (the answer to an idempotent request).
///
/// # Errors
/// As [`revise`]; [`Problem::Repeated`] when the answer is there already.
pub async fn revise_with<T>(
    engine: &Arc<Engine>,
    address: &Address,
    mut edit: impl FnMut(&mut Record) -> Result<(T, Vec<Change>), Problem>,
) -> Result<Option<T>, Problem> {
    for _ in 0..TRIES {
        let Some(stored) = engine.store.find(address, engine.clock.now()).await? else { return Ok(None) };
        let mut record = stored.record.clone();
        let (done, more) = edit(&mut record)?;
        let mut changes = Vec::with_capacity(1 + more.len());
        if record != stored.record {
            changes.push(Change::Replace(record, stored.revision));
        }
        changes.extend(more);
        if changes.is_empty() {
            return Ok(Some(done));
        }
        match engine.change(changes).await {
            Ok(()) => return Ok(Some(done)),
            Err(StoreError::Stale) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Stale.into())
}
