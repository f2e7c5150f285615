//! Queueing again, and deleting: each a call that does a bounded step.

use super::{
    link::{Links, Params},
    wire::{self, Id, int, natural},
};
use crate::{
    model::{AppId, AttemptId, EndpointId, MsgId, Time},
    store::{Requeue, StoreError},
};
use bytes::Bytes;
use tokio_postgres::types::{FromSql, Type};

/// Deliveries whose schedule one step starts anew.
const STEP: i64 = 1000;

/// The one value that a call answers.
async fn value<T: for<'a> FromSql<'a>>(links: &Links, statement: &str, params: Params<'_>) -> Result<T, StoreError> {
    let rows = links.run(statement, params).await?;
    wire::get(rows.first().ok_or_else(|| wire::damaged("an answer"))?, "value")
}

fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Queues deliveries of an endpoint again; the number queued.
pub(super) async fn requeue(
    links: &Links,
    (app, endpoint): (AppId, EndpointId),
    which: Requeue,
    now: Time,
) -> Result<u64, StoreError> {
    let (app, endpoint) = (Id(app.0), Id(endpoint.0));
    match which {
        Requeue::Once(msg) => {
            let statement = "SELECT postrider.once_1($1, $2, $3) AS value";
            let params: Params<'_> = &[(&app, Type::UUID), (&endpoint, Type::UUID), (&Id(msg.0), Type::UUID)];
            Ok(u64::from(value::<bool>(links, statement, params).await?))
        }
        Requeue::Exhausted { low, high } => {
            let statement = "SELECT postrider.restart_1($1, $2, $3, $4, $5, $6) AS value";
            let params: Params<'_> = &[
                (&app, Type::UUID),
                (&endpoint, Type::UUID),
                (&Id(low.0), Type::UUID),
                (&Id(high.0), Type::UUID),
                (&int(now.0), Type::INT8),
                (&STEP, Type::INT8),
            ];
            let mut restarted = 0;
            loop {
                let step: i64 = value(links, statement, params).await?;
                restarted += natural(step);
                if step < STEP {
                    return Ok(restarted);
                }
            }
        }
    }
}

/// Deletes a payload; `false` when there is no such message.
pub(super) async fn expunge_payload(links: &Links, app: AppId, msg: MsgId) -> Result<bool, StoreError> {
    let statement = "UPDATE postrider.messages SET payload = '', expunged = true, expires_at = NULL \
                     WHERE app = $1 AND id = $2 RETURNING true";
    let rows = links.run(statement, &[(&Id(app.0), Type::UUID), (&Id(msg.0), Type::UUID)]).await?;
    Ok(!rows.is_empty())
}

/// Cancels a delivery that is pending; `false` when it is not.
pub(super) async fn cancel(links: &Links, (app, endpoint, msg): (AppId, EndpointId, MsgId), now: Time) -> Result<bool, StoreError> {
    let params: Params<'_> =
        &[(&Id(app.0), Type::UUID), (&Id(endpoint.0), Type::UUID), (&Id(msg.0), Type::UUID), (&int(now.0), Type::INT8)];
    value(links, "SELECT postrider.cancel_1($1, $2, $3, $4) AS value", params).await
}

/// Deletes a message with all that came of it; `false` when there is no such message.
pub(super) async fn erase(links: &Links, app: AppId, msg: MsgId, now: Time) -> Result<bool, StoreError> {
    let params: Params<'_> = &[(&Id(app.0), Type::UUID), (&Id(msg.0), Type::UUID), (&int(now.0), Type::INT8)];
    value(links, "SELECT postrider.erase_ordered_1($1, $2, $3) AS value", params).await
}

/// Deletes an answer's body; `false` when there is no such attempt.
pub(super) async fn expunge_answer(
    links: &Links,
    (app, endpoint): (AppId, EndpointId),
    attempt: AttemptId,
) -> Result<bool, StoreError> {
    let Some(mut known) = super::read::attempt(links, (app, endpoint), attempt).await? else { return Ok(false) };
    known.outcome.body = Bytes::new();
    let body = wire::write_attempt(&known)?;
    let statement = "UPDATE postrider.attempts SET body = $4 WHERE app = $1 AND endpoint = $2 AND id = $3 RETURNING true";
    let params: Params<'_> =
        &[(&Id(app.0), Type::UUID), (&Id(endpoint.0), Type::UUID), (&Id(attempt.0), Type::UUID), (&body, Type::BYTEA)];
    Ok(!links.run(statement, params).await?.is_empty())
}

/// Deletes payloads and records that have expired; how many.
pub(super) async fn expire(links: &Links, now: Time, limit: usize) -> Result<usize, StoreError> {
    let params: Params<'_> = &[(&int(now.0), Type::INT8), (&limit_of(limit), Type::INT8)];
    value(links, "SELECT postrider.expire_1($1, $2) AS value", params).await.map(size)
}

/// Deletes an application's settled messages made before `cutoff`; how many.
pub(super) async fn prune(links: &Links, app: AppId, cutoff: Time, limit: usize) -> Result<usize, StoreError> {
    let high = Id(MsgId::lowest_at(cutoff).0);
    let params: Params<'_> = &[(&Id(app.0), Type::UUID), (&high, Type::UUID), (&limit_of(limit), Type::INT8)];
    value(links, "SELECT postrider.prune_1($1, $2, $3) AS value", params).await.map(size)
}

/// Drops the oldest partitions if all in them was made before `cutoff`; whether there was one.
pub(super) async fn retire(links: &Links, cutoff: Time) -> Result<bool, StoreError> {
    value(links, "SELECT postrider.retire_2($1) AS value", &[(&int(cutoff.0), Type::INT8)]).await
}

/// Deletes what flowed through an endpoint, or an application's messages; how many rows.
pub(super) async fn purge(links: &Links, app: AppId, endpoint: Option<EndpointId>, limit: usize) -> Result<usize, StoreError> {
    let (app, limit) = (Id(app.0), limit_of(limit));
    let gone = match endpoint {
        Some(endpoint) => {
            let params: Params<'_> = &[(&app, Type::UUID), (&Id(endpoint.0), Type::UUID), (&limit, Type::INT8)];
            value(links, "SELECT postrider.purge_endpoint_ordered_1($1, $2, $3) AS value", params).await
        }
        None => {
            let params: Params<'_> = &[(&app, Type::UUID), (&limit, Type::INT8)];
            value(links, "SELECT postrider.purge_app_1($1, $2) AS value", params).await
        }
    };
    gone.map(size)
}
