//! Upkeep: what has to be done from time to time, in small pieces that the hot path does not feel.

mod erase;

pub use erase::apps_of;

use crate::{
    flow::Engine,
    model::{Address, AppId, CatchUp, Kind, Purge, Record, Time},
    store::{Change, ListPage, StoreError},
};
use std::{sync::Arc, time::Duration};

/// Between two rounds of expiry, purging and sweeping.
const ROUND: Duration = Duration::from_secs(30);
/// Between two looks for old messages, and for queued deliveries that no lane waits for.
const LONG_ROUND: Duration = Duration::from_secs(600);
/// How long an order to purge stays: a message that was being accepted when its application was deleted, or an attempt that
/// was running, leaves its rows behind later.
const LINGER: Duration = Duration::from_secs(60);
/// Rows that one call deletes.
const CHUNK: usize = 500;
/// Between two chunks.
const BREATH: Duration = Duration::from_millis(20);

/// Does the upkeep until the engine stops.
pub async fn run(engine: Arc<Engine>) {
    let mut long_due = engine.clock.now().plus(LONG_ROUND);
    while !engine.stopping() {
        let now = engine.clock.now();
        let round = async {
            expire(&engine, now).await?;
            purge(&engine, now).await?;
            erase::erase(&engine, now).await?;
            caught_up(&engine).await?;
            if now >= long_due {
                long_due = now.plus(LONG_ROUND);
                rescue(&engine).await?;
                prune(&engine, now).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = round.await
            && !engine.stopping()
        {
            tracing::error!(%error, "upkeep goes on in the next round");
        }
        engine.lanes.sweep(engine.clock.now());
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = engine.purge_asked() => {}
            () = engine.stopped() => {}
        }
    }
}

/// Payloads, tokens and kept answers whose time is over.
async fn expire(engine: &Engine, now: Time) -> Result<(), StoreError> {
    while engine.store.expire(now, CHUNK).await? == CHUNK {
        breathe(engine).await?;
    }
    Ok(())
}

/// What flowed through deleted endpoints and applications. The order to do so is a record, so that a restart goes on.
async fn purge(engine: &Arc<Engine>, now: Time) -> Result<(), StoreError> {
    let mut orders: Vec<Purge> = Vec::new();
    let mut collect = |stored: crate::store::Stored| {
        if let Record::Purge(order) = stored.record {
            orders.push(order);
        }
    };
    engine.store.each(Kind::Purge, now, &mut collect).await?;
    for order in orders {
        if order.endpoint.is_none() {
            delete_endpoints(engine, order.app, now).await?;
        }
        while engine.store.purge(order.app, order.endpoint, CHUNK).await? > 0 {
            breathe(engine).await?;
        }
        if now >= order.ordered_at.plus(LINGER) {
            engine.store.change(vec![Change::Delete(Record::Purge(order).address())], now).await?;
        }
    }
    Ok(())
}

/// Endpoints that another process made while their application was deleted here.
async fn delete_endpoints(engine: &Arc<Engine>, app: AppId, now: Time) -> Result<(), StoreError> {
    let page = ListPage { after: None, backwards: false, limit: CHUNK };
    let left = engine.store.list(Kind::Endpoint, &app.to_string(), page, now).await?;
    for stored in left {
        engine.change(vec![Change::Delete(stored.record.address())]).await?;
    }
    Ok(())
}

/// Messages older than the retention of their application, their organization or the server.
async fn prune(engine: &Engine, now: Time) -> Result<(), StoreError> {
    let default = engine.settings.retention;
    while engine.store.retire(now.minus(engine.retentions.longest(default))).await? {
        breathe(engine).await?;
    }
    for app in engine.routing.app_ids() {
        let org = engine.routing.by_id(app).map(|app| app.application.org);
        let kept = org.and_then(|org| engine.retentions.messages(org, app)).unwrap_or(default);
        while engine.store.prune(app, now.minus(kept), CHUNK).await? == CHUNK {
            breathe(engine).await?;
        }
    }
    Ok(())
}

/// Looks for queued deliveries whose lane has forgotten them: the safety net under the alarms.
async fn rescue(engine: &Arc<Engine>) -> Result<(), StoreError> {
    for (endpoint, due) in engine.store.queued_endpoints().await? {
        engine.note_due(endpoint, due);
    }
    Ok(())
}

/// Ends the pace of endpoints for which nothing waits that was due when it was asked for. What waits in order behind something
/// else becomes due later: of an endpoint in order nothing may be due at all.
async fn caught_up(engine: &Arc<Engine>) -> Result<(), StoreError> {
    let paces = engine.paces.all();
    if paces.is_empty() {
        return Ok(());
    }
    let (queued, now) = (engine.store.queued_endpoints().await?, engine.clock.now());
    let waits = |pace: &CatchUp| {
        let in_order = engine.routing.endpoint(pace.endpoint).is_some_and(|(_, route)| route.ordering.is_some());
        let until = if in_order { now.plus(Duration::from_millis(1)) } else { pace.since };
        queued.iter().any(|(endpoint, due)| *endpoint == pace.endpoint && *due < until)
    };
    let over = paces.iter().filter(|pace| !waits(pace)).map(|pace| Change::Delete(Address::catch_up(pace.app, pace.endpoint)));
    for change in over.collect::<Vec<_>>() {
        engine.change(vec![change]).await?;
    }
    Ok(())
}

/// Lets others have the store.
async fn breathe(engine: &Engine) -> Result<(), StoreError> {
    tokio::time::sleep(BREATH).await;
    if engine.stopping() { Err(StoreError::Unavailable("stopping".into())) } else { Ok(()) }
}
