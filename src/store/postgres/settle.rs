//! Settling: a group of results in one call, each judged by its own lease. A result with changes of records goes in a
//! call of its own, since either both are written or neither.

use super::{
    gather::Waiting,
    link::Links,
    records,
    wire::{self, Id, int},
};
use crate::{
    clock::Clock,
    model::{Delivery, Time, Trigger, Verdict},
    store::{Settled, Settlement, StoreError},
};
use futures_util::future::join_all;
use std::{collections::HashSet, sync::Arc};
use tokio_postgres::{Row, types::Type};

const STATEMENT: &str = "SELECT * FROM postrider.settle_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const CHANGING: &str = "SELECT * FROM postrider.settle_changing_1(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";

const ORDERED: &str = "SELECT * FROM postrider.settle_ordered_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const CHANGING_ORDERED: &str = "SELECT * FROM postrider.settle_changing_ordered_1(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";

type Result<T> = std::result::Result<T, StoreError>;
pub(super) type Settling = Waiting<Arc<Vec<Settlement>>, Vec<Result<Settled>>>;

/// A settlement and its place in the answer.
type Placed<'a> = (usize, &'a Settlement);

/// Columns of the call.
#[derive(Default)]
struct Columns {
    app: Vec<Id>,
    msg: Vec<Id>,
    endpoint: Vec<Id>,
    trigger: Vec<i16>,
    token: Vec<i64>,
    verdict: Vec<i16>,
    due: Vec<Option<i64>>,
    first: Vec<i64>,
    attempt: Vec<Option<Id>>,
    body: Vec<Option<Vec<u8>>>,
}

/// Takes a group to the database and answers everybody.
pub(super) async fn send(links: Arc<Links>, clock: Arc<dyn Clock>, group: Vec<Settling>) {
    let all: Vec<&Settlement> = group.iter().flat_map(|settling| settling.given.iter()).collect();
    let mut results: Vec<Option<Result<Settled>>> = all.iter().map(|_| None).collect();
    let mut left: Vec<Placed<'_>> = all.into_iter().enumerate().collect();
    while !left.is_empty() {
        let (these, later) = apart(left);
        let (changing, plain): (Vec<_>, Vec<_>) = these.into_iter().partition(|(_, settlement)| !settlement.changes.is_empty());
        let now = clock.now();
        let changing = join_all(changing.into_iter().map(|one| {
            let links = &links;
            async move { (one.0, settle_changing(links, one.1, now).await) }
        }));
        // Those in order apart: the others need not be asked whether anything waits for them.
        let (ordered, plain): (Vec<_>, Vec<_>) = plain.into_iter().partition(|(_, settlement)| settlement.order.is_some());
        let (plain, ordered, changing) = tokio::join!(settle(&links, &plain, now), settle(&links, &ordered, now), changing);
        for (at, result) in plain.into_iter().chain(ordered).chain(changing) {
            results.get_mut(at).into_iter().for_each(|slot| *slot = Some(result.clone()));
        }
        left = later;
    }
    let mut results = results.into_iter().map(|result| result.unwrap_or(Ok(Settled::LeaseLost)));
    for settling in group {
        let count = settling.given.len();
        let _caller_gone = settling.answer.send(results.by_ref().take(count).collect());
    }
}

/// Results of one delivery go one after the other.
fn apart(group: Vec<Placed<'_>>) -> (Vec<Placed<'_>>, Vec<Placed<'_>>) {
    let mut known = HashSet::with_capacity(group.len());
    group.into_iter().partition(|(_, settlement)| known.insert((settlement.endpoint, settlement.msg)))
}

async fn settle(links: &Links, group: &[Placed<'_>], now: Time) -> Vec<(usize, Result<Settled>)> {
    if group.is_empty() {
        return Vec::new();
    }
    match call(links, group, now).await {
        Ok(settled) => group.iter().zip(settled).map(|((at, _), settled)| (*at, Ok(settled))).collect(),
        // One of them may be at fault: each for itself.
        Err(StoreError::Damaged(_)) if group.len() > 1 => {
            let each = group.iter().map(|one| async {
                let settled = call(links, std::slice::from_ref(one), now).await;
                (one.0, settled.and_then(|mut settled| settled.pop().ok_or_else(|| wire::damaged("a result"))))
            });
            join_all(each).await
        }
        Err(error) => group.iter().map(|(at, _)| (*at, Err(error.clone()))).collect(),
    }
}

/// Of settlements that are all in order, or none of them.
async fn call(links: &Links, group: &[Placed<'_>], now: Time) -> Result<Vec<Settled>> {
    let mut columns = Columns::default();
    group.iter().try_for_each(|(_, settlement)| columns.add(settlement))?;
    let ordered = group.iter().any(|(_, settlement)| settlement.order.is_some());
    let rows = match ordered {
        false => links.run(STATEMENT, &columns.params()).await?,
        true => {
            let now = int(now.0);
            let mut params = columns.params().to_vec();
            params.push((&now, Type::INT8));
            links.run(ORDERED, &params).await?
        }
    };
    read(group, &rows)
}

async fn settle_changing(links: &Links, settlement: &Settlement, now: Time) -> Result<Settled> {
    let mut columns = Columns::default();
    columns.add(settlement)?;
    let changes = records::Columns::of(&settlement.changes)?;
    let now = int(now.0);
    let mut params = columns.params().to_vec();
    params.extend(changes.params(&now));
    let statement = if settlement.order.is_some() { CHANGING_ORDERED } else { CHANGING };
    let rows = links.run(statement, &params).await?;
    read(&[(0, settlement)], &rows)?.pop().ok_or_else(|| wire::damaged("a result"))
}

fn read(group: &[Placed<'_>], rows: &[Row]) -> Result<Vec<Settled>> {
    let mut settled = vec![Settled::LeaseLost; group.len()];
    for row in rows {
        let at = usize::try_from(wire::get::<i64>(row, "n")? - 1).unwrap_or(usize::MAX);
        let Some(((_, s), slot)) = group.get(at).zip(settled.get_mut(at)) else { continue };
        let delivery: Delivery = wire::delivery(row, (s.app, s.endpoint, s.msg))?;
        *slot = Settled::Recorded(delivery);
    }
    Ok(settled)
}

impl Columns {
    fn add(&mut self, settlement: &Settlement) -> Result<()> {
        let (verdict, due) = match settlement.verdict {
            Verdict::Retry(due) => (0, Some(int(due.0))),
            Verdict::Delivered => (1, None),
            Verdict::Exhausted => (2, None),
            Verdict::Cancelled => (3, None),
        };
        self.app.push(Id(settlement.app.0));
        self.msg.push(Id(settlement.msg.0));
        self.endpoint.push(Id(settlement.endpoint.0));
        self.trigger.push(trigger_number(settlement.trigger));
        self.token.push(int(settlement.lease.token));
        self.verdict.push(verdict);
        self.due.push(due);
        self.first.push(int(settlement.msg.time().0));
        self.attempt.push(settlement.attempt.as_ref().map(|attempt| Id(attempt.id.0)));
        self.body.push(settlement.attempt.as_ref().map(wire::write_attempt).transpose()?);
        Ok(())
    }

    fn params(&self) -> [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 10] {
        [
            (&self.app, Type::UUID_ARRAY),
            (&self.msg, Type::UUID_ARRAY),
            (&self.endpoint, Type::UUID_ARRAY),
            (&self.trigger, Type::INT2_ARRAY),
            (&self.token, Type::INT8_ARRAY),
            (&self.verdict, Type::INT2_ARRAY),
            (&self.due, Type::INT8_ARRAY),
            (&self.first, Type::INT8_ARRAY),
            (&self.attempt, Type::UUID_ARRAY),
            (&self.body, Type::BYTEA_ARRAY),
        ]
    }
}

/// A trigger as the queue has it.
pub(super) fn trigger_number(trigger: Trigger) -> i16 {
    match trigger {
        Trigger::Manual => 0,
        Trigger::Scheduled => 1,
    }
}
