//! Publishing by INSERT: rows of an outbox become messages, each exactly once.
//!
//! A round picks rows up under locks, accepts their messages all at the same time (they share commits), and deletes the
//! rows in the transaction that holds the locks. Whatever ends a round in the middle leaves rows whose messages may be
//! accepted already: their event ids are taken then, by a message that is the same, and the row is only deleted.

mod row;

pub use row::is_valid;

use crate::{
    api::DEFAULT_MAX_PAYLOAD,
    flow::Engine,
    model::OrgId,
    store::{
        StoreError,
        postgres::{Outbox, OutboxBell, OutboxRefusal, OutboxRow, OutboxSession},
    },
};
use futures_util::future::join_all;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// Between two looks when nothing is notified.
const LOOK: Duration = Duration::from_secs(1);
/// Between two tries to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);

/// What rows are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The largest payload, in bytes.
    pub max_payload: usize,
    /// Whose an application is when the row names no organization.
    pub first_org: OrgId,
}

impl Rules {
    /// The defaults.
    #[must_use]
    pub fn new(first_org: OrgId) -> Self {
        Rules { max_payload: DEFAULT_MAX_PAYLOAD, first_org }
    }
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// Its message is accepted now.
    Accepted,
    /// Its message had been accepted before.
    Repeated,
    /// It breaks a rule.
    Refused(OutboxRefusal),
    /// The store could not take it yet: it stays.
    Left,
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Round {
    accepted: usize,
    repeated: usize,
    refused: usize,
    left: usize,
}

impl Round {
    /// Whether the next one need not wait.
    fn goes_on(self) -> bool {
        self.left == 0 && self.accepted + self.repeated + self.refused > 0
    }
}

/// Picks up what comes, until the engine stops.
pub async fn run(engine: Arc<Engine>, outbox: Outbox, rules: Rules) {
    let bell = Arc::new(Notify::new());
    let (mut listening, mut listen_at): (Option<OutboxBell>, _) = (None, Instant::now());
    let (mut session, mut failing) = (None, false);
    while !engine.stopping() {
        if listening.as_ref().is_none_or(OutboxBell::is_gone) && Instant::now() >= listen_at {
            listening = outbox.listen(bell.clone()).await.ok();
            listen_at = Instant::now() + LISTEN_AGAIN;
        }
        match round(&engine, (&outbox, &mut session), rules).await {
            Ok(round) => {
                if std::mem::take(&mut failing) {
                    tracing::info!(outbox = outbox.shown(), "the outbox is read again");
                }
                if round != Round::default() {
                    let Round { accepted, repeated, refused, left } = round;
                    tracing::debug!(outbox = outbox.shown(), accepted, repeated, refused, left, "picked up");
                }
                if round.goes_on() {
                    continue;
                }
            }
            Err(error) => {
                // Its locks go with the connection.
                session = None;
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(outbox = outbox.shown(), %error, "the outbox cannot be read; trying on");
                }
            }
        }
        tokio::select! {
            () = bell.notified() => {}
            () = sleep(LOOK) => {}
            () = engine.stopped() => {}
        }
    }
}

async fn round(
    engine: &Arc<Engine>,
    (outbox, kept): (&Outbox, &mut Option<OutboxSession>),
    rules: Rules,
) -> Result<Round, StoreError> {
    let session = match kept {
        Some(session) => session,
        None => kept.insert(outbox.session().await?),
    };
    let rows = session.take(rules.max_payload).await?;
    let (mut good, mut fates) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Ok(row) => good.push(row),
            Err(refusal) => fates.push((refusal.seq, Fate::Refused(refusal))),
        }
    }
    fates.extend(accept(engine, good, rules).await);
    let (mut round, mut done, mut refused) = (Round::default(), Vec::new(), Vec::new());
    for (seq, fate) in fates {
        match fate {
            Fate::Accepted => round.accepted += 1,
            Fate::Repeated => round.repeated += 1,
            Fate::Left => {
                round.left += 1;
                continue;
            }
            Fate::Refused(refusal) => {
                tracing::warn!(outbox = outbox.shown(), seq, field = refusal.field, rule = refusal.rule, "a row is refused");
                round.refused += 1;
                refused.push(refusal);
                continue;
            }
        }
        done.push(seq);
    }
    session.finish(&done, &refused).await?;
    Ok(round)
}

/// Accepts the rows' messages, all at the same time and in their order; those with the same ordering key one after the other,
/// and none behind one that stays.
async fn accept(engine: &Arc<Engine>, rows: Vec<OutboxRow>, rules: Rules) -> Vec<(i64, Fate)> {
    let mut apps = HashMap::new();
    for row in &rows {
        let name = (row.organization.clone(), row.application.clone());
        if let Entry::Vacant(unknown) = apps.entry(name) {
            unknown.insert(row::application(engine, row, rules).await);
        }
    }
    let apps = &apps;
    let fates = in_order(rows).into_iter().map(|rows| async move {
        let (mut fates, mut waits) = (Vec::with_capacity(rows.len()), false);
        for row in rows {
            let app = apps.get(&(row.organization.clone(), row.application.clone())).cloned();
            let seq = row.seq;
            let fate = if waits { Fate::Left } else { row::fate(engine, row, app, rules).await };
            waits |= fate == Fate::Left;
            fates.push((seq, fate));
        }
        fates
    });
    join_all(fates).await.into_iter().flatten().collect()
}

/// The rows, those of an application with the same ordering key together.
fn in_order(rows: Vec<OutboxRow>) -> Vec<Vec<OutboxRow>> {
    let (mut groups, mut places) = (Vec::<Vec<OutboxRow>>::new(), HashMap::new());
    for row in rows {
        let name = row.ordering_key.clone().map(|key| (row.application.clone(), key));
        let place = name.and_then(|name| match places.entry(name) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(new) => {
                new.insert(groups.len());
                None
            }
        });
        match place.and_then(|place: usize| groups.get_mut(place)) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_a_key_go_one_after_the_other() {
        let row = |seq, application: &str, key: Option<&str>| OutboxRow {
            seq,
            application: application.into(),
            ordering_key: key.map(Into::into),
            ..OutboxRow::default()
        };
        let rows = vec![
            row(1, "a", Some("k")),
            row(2, "a", None),
            row(3, "b", Some("k")),
            row(4, "a", Some("k")),
            row(5, "a", None),
            row(6, "a", Some("other")),
        ];
        let seqs: Vec<Vec<i64>> = in_order(rows).iter().map(|group| group.iter().map(|row| row.seq).collect()).collect();
        assert_eq!(seqs, [vec![1, 4], vec![2], vec![3], vec![5], vec![6]]);
    }
}
