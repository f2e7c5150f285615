//! Erasing: every trace of the messages that somebody wants gone.
//!
//! A step finds the next messages, writes into the record which they are, and only then deletes them: so a crash repeats
//! deletions, which is harmless, and never loses one from the count. The record is written under its revision: of two
//! processes at the same erasure, the second stops.

use super::breathe;
use crate::{
    crypto::hex,
    flow::Engine,
    model::{AppId, Doomed, Erasure, Kind, Message, MsgId, Record, Time},
    store::{Change, Expunge, StoreError, Stored, Window},
};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Messages looked at in one step.
const ROWS: usize = 128;

/// Goes on with every erasure that is not done.
pub(super) async fn erase(engine: &Engine, now: Time) -> Result<(), StoreError> {
    let mut open: Vec<(Erasure, u64)> = Vec::new();
    let mut collect = |stored: Stored| {
        if let Record::Erasure(erasure) = stored.record
            && erasure.finished_at.is_none()
        {
            open.push((*erasure, stored.revision));
        }
    };
    engine.store.each(Kind::Erasure, now, &mut collect).await?;
    for (erasure, revision) in open {
        match work(engine, erasure, revision).await {
            // Another process is at it.
            Ok(()) | Err(StoreError::Stale) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn work(engine: &Engine, mut erasure: Erasure, mut revision: u64) -> Result<(), StoreError> {
    loop {
        delete(engine, &mut erasure).await?;
        find(engine, &mut erasure).await?;
        if erasure.apps.is_empty() && erasure.doing.is_empty() {
            erasure.finished_at = Some(engine.clock.now());
            erasure.doomed = None;
        }
        let change = Change::Replace(Record::Erasure(Box::new(erasure.clone())), revision);
        engine.store.change(vec![change], engine.clock.now()).await?;
        if erasure.finished_at.is_some() {
            tracing::info!(erasure = %erasure.id, count = erasure.count, "erased");
            return Ok(());
        }
        let address = Record::Erasure(Box::new(erasure.clone())).address();
        match engine.store.find(&address, engine.clock.now()).await? {
            Some(stored) if stored.record == Record::Erasure(Box::new(erasure.clone())) => revision = stored.revision,
            _ => return Err(StoreError::Stale),
        }
        breathe(engine).await?;
    }
}

/// Deletes what the record names, and counts it.
async fn delete(engine: &Engine, erasure: &mut Erasure) -> Result<(), StoreError> {
    let mut erased = BTreeSet::new();
    for (app, msg) in std::mem::take(&mut erasure.doing) {
        erased.insert(app);
        let _gone_already = !engine.store.expunge(Expunge::Message(app, msg)).await?;
        erasure.count += 1;
        erasure.digest = digest(&erasure.digest, msg);
    }
    // What waited in order behind what is gone may go now.
    for app in erased.into_iter().filter_map(|app| engine.routing.by_id(app)) {
        app.routes.iter().filter(|route| route.ordering.is_some()).for_each(|route| engine.wake(route.id));
    }
    Ok(())
}

/// The digest after one more message.
fn digest(before: &str, msg: MsgId) -> String {
    hex(&Sha256::new().chain_update(before).chain_update(msg.to_string()).finalize())
}

/// Finds the next messages to delete.
async fn find(engine: &Engine, erasure: &mut Erasure) -> Result<(), StoreError> {
    let Some(doomed) = erasure.doomed.clone() else { return Ok(()) };
    while let Some(app) = erasure.apps.first().copied() {
        let below = MsgId::lowest_at(erasure.until).0;
        let window = Window { above: erasure.cursor.0, below, newest_first: false, limit: ROWS };
        let rows = engine.store.messages(app, window).await?;
        match rows.last() {
            Some(last) => erasure.cursor = last.id,
            None => {
                erasure.apps.remove(0);
                erasure.cursor = MsgId(0);
            }
        }
        erasure.unreadable += rows.iter().filter(|message| is_unreadable(&doomed, message)).count() as u64;
        erasure.doing = rows.iter().filter(|message| is_doomed(&doomed, message)).map(|message| (app, message.id)).collect();
        if !erasure.doing.is_empty() {
            return Ok(());
        }
        if erasure.cursor.0 != 0 {
            breathe(engine).await?;
        }
    }
    Ok(())
}

fn is_doomed(doomed: &Doomed, message: &Message) -> bool {
    let Doomed { tag, filter } = doomed;
    tag.as_ref().is_none_or(|tag| message.tags.contains(tag))
        && filter.as_ref().is_none_or(|filter| serde_json::from_slice(&message.payload).is_ok_and(|payload| filter.holds(&payload)))
}

/// Whether nobody can tell any more if the message is meant.
fn is_unreadable(doomed: &Doomed, message: &Message) -> bool {
    doomed.filter.is_some() && message.expunged && doomed.tag.as_ref().is_none_or(|tag| message.tags.contains(tag))
}

/// The applications of an erasure, as they are when it is asked for.
#[must_use]
pub fn apps_of(engine: &Engine, org: crate::model::OrgId, app: Option<AppId>) -> Vec<AppId> {
    app.map_or_else(|| engine.routing.apps_of(org), |app| vec![app])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_depends_on_every_id_and_their_order() {
        let all = |ids: &[u128]| ids.iter().fold(String::new(), |before, id| digest(&before, MsgId(*id)));
        assert_eq!(all(&[1, 2]), all(&[1, 2]));
        assert_ne!(all(&[1, 2]), all(&[2, 1]));
        assert_ne!(all(&[1]), all(&[1, 2]));
        assert_eq!(all(&[1]).len(), 64);
    }
}
