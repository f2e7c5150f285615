//! Reading the flow, and claiming from it.

use super::{
    link::Links,
    settle::trigger_number,
    wire::{self, Id, int},
};
use crate::{
    model::{AppId, Attempt, AttemptId, Delivery, EndpointId, Message, MsgId, Time, Trigger},
    store::{Claimed, Claims, Lease, PARKED, Stats, StoreError, Window},
};
use std::sync::Arc;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

const MINUTE_MS: u64 = 60_000;
pub(super) const MESSAGE: &str = "endpoints, expunged, head, payload";
const QUEUED: &str = "\
    WITH RECURSIVE first AS ( \
        (SELECT endpoint, due FROM postrider.queue WHERE NOT moot ORDER BY endpoint, due LIMIT 1) \
        UNION ALL \
        SELECT next.endpoint, next.due FROM first, LATERAL ( \
            SELECT q.endpoint, q.due FROM postrider.queue q WHERE q.endpoint > first.endpoint AND NOT q.moot \
            ORDER BY q.endpoint, q.due LIMIT 1) next) \
    SELECT endpoint, due FROM first";
/// Settled deliveries are counted as they change, pending ones have an entry of the schedule.
const STATS: &str = "\
    SELECT coalesce(sum(t.n) FILTER (WHERE t.state = 1), 0)::int8 AS delivered, \
        coalesce(sum(t.n) FILTER (WHERE t.state = 2), 0)::int8 AS exhausted, \
        coalesce(sum(t.n) FILTER (WHERE t.state = 3), 0)::int8 AS cancelled, \
        (SELECT count(*) FROM postrider.queue WHERE endpoint = $2 AND trigger = 1 AND NOT moot AND msg >= $3 AND msg < $4)::int8 \
            AS pending \
    FROM (SELECT state, n FROM postrider.tallies WHERE app = $1 AND endpoint = $2 AND minute >= $5 AND minute < $6 \
        UNION ALL \
        SELECT state, n FROM postrider.tally_news WHERE app = $1 AND endpoint = $2 AND minute >= $5 AND minute < $6) t";

/// Leases the endpoint's due deliveries and loads them.
pub(super) async fn claim(
    links: &Links,
    endpoint: EndpointId,
    lease: Lease,
    now: Time,
    limit: usize,
) -> Result<Claims, StoreError> {
    let params: [(&(dyn ToSql + Sync), Type); 5] = [
        (&Id(endpoint.0), Type::UUID),
        (&int(lease.token), Type::INT8),
        (&int(lease.until.0), Type::INT8),
        (&int(now.0), Type::INT8),
        (&i64::try_from(limit).unwrap_or(i64::MAX), Type::INT8),
    ];
    let rows = links.run("SELECT * FROM postrider.claim_1($1, $2, $3, $4, $5)", &params).await?;
    let mut claims = Claims::default();
    for row in &rows {
        match wire::get::<Option<Id>>(row, "msg")? {
            Some(msg) => claims.taken.push(claimed(row, endpoint, MsgId(msg.0), lease)?),
            None => claims.next_due = wire::time(row, "queued")?.filter(|due| *due < PARKED),
        }
    }
    Ok(claims)
}

fn claimed(row: &Row, endpoint: EndpointId, msg: MsgId, lease: Lease) -> Result<Claimed, StoreError> {
    let app = AppId(wire::get::<Id>(row, "app")?.0);
    let message = Arc::new(wire::message(row, app, msg)?);
    let delivery = match wire::get::<Option<i16>>(row, "state")? {
        Some(_) => wire::delivery(row, (app, endpoint, msg))?,
        None => Delivery::fresh(app, msg, endpoint, message.first_due()),
    };
    let manual = wire::get::<i16>(row, "trigger")? == trigger_number(Trigger::Manual);
    let trigger = if manual { Trigger::Manual } else { Trigger::Scheduled };
    Ok(Claimed { delivery, trigger, message, lease })
}

/// Endpoints with anything queued.
pub(super) async fn queued_endpoints(links: &Links) -> Result<Vec<(EndpointId, Time)>, StoreError> {
    let rows = links.read(QUEUED, &[]).await?;
    rows.iter()
        .map(|row| Ok((EndpointId(wire::get::<Id>(row, "endpoint")?.0), wire::time(row, "due")?.unwrap_or_default())))
        .collect()
}

/// A message.
pub(super) async fn message(links: &Links, app: AppId, msg: MsgId) -> Result<Option<Message>, StoreError> {
    let statement = format!("SELECT {MESSAGE} FROM postrider.messages WHERE app = $1 AND id = $2");
    let rows = links.read(&statement, &[(&Id(app.0), Type::UUID), (&Id(msg.0), Type::UUID)]).await?;
    rows.first().map(|row| wire::message(row, app, msg)).transpose()
}

/// The message with that event id.
pub(super) async fn message_by_event_id(links: &Links, app: AppId, event_id: &str) -> Result<Option<Message>, StoreError> {
    let statement = "SELECT msg FROM postrider.event_ids WHERE app = $1 AND event_id = $2";
    let rows = links.read(statement, &[(&Id(app.0), Type::UUID), (&event_id.as_bytes(), Type::BYTEA)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    message(links, app, MsgId(wire::get::<Id>(row, "msg")?.0)).await
}

/// Messages of an application.
pub(super) async fn messages(links: &Links, app: AppId, window: Window) -> Result<Vec<Message>, StoreError> {
    let app_id = Id(app.0);
    let rows = windowed(links, "messages_in_1", &[(&app_id, Type::UUID)], window).await?;
    rows.iter().map(|row| wire::message(row, app, MsgId(wire::get::<Id>(row, "id")?.0))).collect()
}

/// A delivery, attempted or not.
pub(super) async fn delivery(links: &Links, message: &Message, endpoint: EndpointId) -> Result<Option<Delivery>, StoreError> {
    let statement = "SELECT state, due, failed, attempts FROM postrider.deliveries WHERE app = $1 AND endpoint = $2 AND msg = $3";
    let params: [(&(dyn ToSql + Sync), Type); 3] =
        [(&Id(message.app.0), Type::UUID), (&Id(endpoint.0), Type::UUID), (&Id(message.id.0), Type::UUID)];
    let rows = links.read(statement, &params).await?;
    match rows.first() {
        Some(row) => wire::delivery(row, (message.app, endpoint, message.id)).map(Some),
        None => {
            let fresh = || Delivery::fresh(message.app, message.id, endpoint, message.first_due());
            Ok(message.endpoints.contains(&endpoint).then(fresh))
        }
    }
}

/// Attempted deliveries of an endpoint.
pub(super) async fn attempted(
    links: &Links,
    (app, endpoint): (AppId, EndpointId),
    window: Window,
) -> Result<Vec<Delivery>, StoreError> {
    let (app_id, endpoint_id) = (Id(app.0), Id(endpoint.0));
    let rows = windowed(links, "attempted_in_1", &[(&app_id, Type::UUID), (&endpoint_id, Type::UUID)], window).await?;
    rows.iter().map(|row| wire::delivery(row, (app, endpoint, MsgId(wire::get::<Id>(row, "msg")?.0)))).collect()
}

/// An attempt.
pub(super) async fn attempt(
    links: &Links,
    (app, endpoint): (AppId, EndpointId),
    attempt: AttemptId,
) -> Result<Option<Attempt>, StoreError> {
    let statement = "SELECT body FROM postrider.attempts WHERE app = $1 AND endpoint = $2 AND id = $3";
    let params: [(&(dyn ToSql + Sync), Type); 3] =
        [(&Id(app.0), Type::UUID), (&Id(endpoint.0), Type::UUID), (&Id(attempt.0), Type::UUID)];
    links.read(statement, &params).await?.first().map(|row| wire::read_attempt(wire::get(row, "body")?)).transpose()
}

/// Attempts of an endpoint.
pub(super) async fn attempts(
    links: &Links,
    (app, endpoint): (AppId, EndpointId),
    window: Window,
) -> Result<Vec<Attempt>, StoreError> {
    let (app_id, endpoint_id) = (Id(app.0), Id(endpoint.0));
    let rows = windowed(links, "attempts_in_1", &[(&app_id, Type::UUID), (&endpoint_id, Type::UUID)], window).await?;
    rows.iter().map(|row| wire::read_attempt(wire::get(row, "body")?)).collect()
}

/// Deliveries by state.
pub(super) async fn stats(
    links: &Links,
    (app, endpoint): (AppId, EndpointId),
    since: Time,
    until: Time,
) -> Result<Stats, StoreError> {
    let (first, end) = (since.0 / MINUTE_MS * MINUTE_MS, until.0.div_ceil(MINUTE_MS) * MINUTE_MS);
    if until <= since {
        return Ok(Stats::default());
    }
    let params: [(&(dyn ToSql + Sync), Type); 6] = [
        (&Id(app.0), Type::UUID),
        (&Id(endpoint.0), Type::UUID),
        (&Id(MsgId::lowest_at(Time(first)).0), Type::UUID),
        (&Id(MsgId::lowest_at(Time(end)).0), Type::UUID),
        (&int(first / MINUTE_MS), Type::INT8),
        (&int(end / MINUTE_MS), Type::INT8),
    ];
    let rows = links.read(STATS, &params).await?;
    let Some(row) = rows.first() else { return Ok(Stats::default()) };
    let count = |column| Ok::<_, StoreError>(wire::natural(wire::get(row, column)?));
    Ok(Stats {
        delivered: count("delivered")?,
        exhausted: count("exhausted")?,
        pending: count("pending")?,
        cancelled: count("cancelled")?,
    })
}

/// A page of what `whose` names, by a function of the database.
async fn windowed(
    links: &Links,
    function: &str,
    whose: &[(&(dyn ToSql + Sync), Type)],
    window: Window,
) -> Result<Vec<Row>, StoreError> {
    let (above, below) = (Id(window.above), Id(window.below));
    let limit = i64::try_from(window.limit).unwrap_or(i64::MAX);
    let mut params = whose.to_vec();
    params.extend::<[(&(dyn ToSql + Sync), Type); 4]>([
        (&above, Type::UUID),
        (&below, Type::UUID),
        (&limit, Type::INT8),
        (&window.newest_first, Type::BOOL),
    ]);
    let places: Vec<String> = (1..=params.len()).map(|n| format!("${n}")).collect();
    links.read(&format!("SELECT * FROM postrider.{function}({})", places.join(", ")), &params).await
}
