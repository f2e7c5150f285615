//! An endpoint's health: since when it has failed, and when that disables it.

use super::{Engine, follow, notify, record::Glance, retry::GONE};
use crate::{
    lanes::Work,
    model::{Address, DisabledBy, EndpointId, Failing, Kind, Record, Time, Trigger},
    routing::Route,
    store::{Change, StoreError},
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// How long before an endpoint is disabled its owner is told.
const WARNING: Duration = Duration::from_secs(86_400);
/// Tries to disable an endpoint that is being changed at the same time.
const TRIES: usize = 20;
/// Endpoints that are remembered to have begun to fail lately, at most.
const MAX_LATELY: usize = 10_000;
/// How long that is remembered.
const LATELY: Duration = Duration::from_secs(86_400);

/// Endpoints that have failed since their last success; and those that have begun to fail lately, whatever came after.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<HashMap<EndpointId, Failing>>, Mutex<HashMap<EndpointId, Time>>);

impl Health {
    pub(super) fn put(&self, failing: Failing) {
        self.note(failing.endpoint, failing.since);
        self.0.lock().insert(failing.endpoint, failing);
    }

    fn note(&self, endpoint: EndpointId, at: Time) {
        let mut lately = self.1.lock();
        if lately.len() >= MAX_LATELY {
            lately.retain(|_, began| at < began.plus(LATELY));
        }
        if lately.len() < MAX_LATELY || lately.contains_key(&endpoint) {
            lately.insert(endpoint, at);
        }
    }

    pub(super) fn forget(&self, endpoint: EndpointId) -> Option<Failing> {
        self.0.lock().remove(&endpoint)
    }

    pub(super) fn get(&self, endpoint: EndpointId) -> Option<Failing> {
        self.0.lock().get(&endpoint).cloned()
    }
}

impl Engine {
    /// Endpoints that have failed since their last success, in the order of their ids; at most so many.
    #[must_use]
    pub fn failing(&self, most: usize) -> Vec<Failing> {
        let mut failing: Vec<Failing> = self.health.0.lock().values().cloned().collect();
        failing.sort_unstable_by_key(|failing| failing.endpoint);
        failing.truncate(most);
        failing
    }

    /// Endpoints that have begun to fail since then, whether or not they have succeeded after it; as far as that is
    /// remembered since this process began.
    #[must_use]
    pub fn began_to_fail(&self, since: Time) -> Vec<EndpointId> {
        self.health.1.lock().iter().filter(|(_, at)| **at >= since).map(|(endpoint, _)| *endpoint).collect()
    }

    /// Waits until an endpoint has begun to fail, was disabled, or a rule of alerts was changed.
    pub async fn trouble(&self) {
        self.trouble.notified().await;
    }

    /// Wakes who watches over endpoints.
    pub fn note_trouble(&self) {
        self.trouble.notify_one();
    }

    /// Another process has seen an endpoint succeed.
    pub(super) fn recovered(&self, address: &Address) {
        if let Ok(endpoint) = address.key.parse() {
            self.health.forget(endpoint);
        }
    }
}

/// Learns from an attempt; what the store is to remember with it. Manual attempts count for nothing, whether somebody tries
/// something out or replays a year; nor does what was never sent, since its payload is deleted.
pub(super) fn learn(engine: &Engine, work: &Work, succeeded: bool, now: Time) -> Vec<Change> {
    let endpoint = work.endpoint;
    if work.trigger == Trigger::Manual || work.message.expunged {
        return Vec::new();
    }
    if succeeded {
        let recovered = engine.health.forget(endpoint);
        return recovered.map(|f| Change::Delete(Address::new(Kind::Failing, f.app, f.endpoint))).into_iter().collect();
    }
    if engine.health.get(endpoint).is_some() {
        return Vec::new();
    }
    let failing = Failing { app: work.app, endpoint, since: now, warned: false };
    engine.health.put(failing.clone());
    engine.note_trouble();
    vec![Change::Write(Record::Failing(failing))]
}

/// Disables the endpoint when it is gone or has failed for too long, and warns before.
pub(super) async fn after(engine: &Arc<Engine>, route: &Arc<Route>, glance: Glance, now: Time) {
    // What somebody tries out, or replays, says nothing of how the endpoint does by itself.
    if glance.succeeded || glance.trigger == Trigger::Manual {
        return;
    }
    if glance.status == Some(GONE) && route.profile.disable_on_gone {
        return match glance.disabled {
            Some(true) => notify::disabled(engine, route, now, DisabledBy::Gone).await,
            // By somebody else; perhaps it is enabled again since.
            Some(false) => {}
            None => disable(engine, route, DisabledBy::Gone, now).await,
        };
    }
    let Some(failing) = engine.health.get(route.id) else { return };
    let disable_at = failing.since.plus(engine.settings.disable_after);
    if now >= disable_at {
        disable(engine, route, DisabledBy::Failing, failing.since).await;
    } else if !failing.warned && now >= disable_at.minus(WARNING) && failing.since != now {
        let warned = Failing { warned: true, ..failing };
        engine.health.put(warned.clone());
        notify::will_be_disabled(engine, route, warned.since, disable_at).await;
        if let Err(error) = engine.store.change(vec![Change::Write(Record::Failing(warned))], now).await {
            tracing::error!(%error, endpoint = %route.id, "warning not remembered");
        }
    }
}

async fn disable(engine: &Arc<Engine>, route: &Arc<Route>, by: DisabledBy, since: Time) {
    match try_to_disable(engine, route, by).await {
        Ok(true) => notify::disabled(engine, route, since, by).await,
        Ok(false) => {}
        Err(error) => tracing::error!(%error, endpoint = %route.id, "endpoint not disabled"),
    }
}

/// Disables the endpoint; `false`: it is gone, disabled already, or elsewhere.
pub(super) async fn try_to_disable(engine: &Arc<Engine>, route: &Route, by: DisabledBy) -> Result<bool, StoreError> {
    for _ in 1..TRIES {
        match try_once(engine, route, by).await {
            Err(StoreError::Stale) => {}
            tried => return tried,
        }
    }
    try_once(engine, route, by).await
}

async fn try_once(engine: &Arc<Engine>, route: &Route, by: DisabledBy) -> Result<bool, StoreError> {
    let now = engine.clock.now();
    let address = Address::endpoint(route.app, route.id);
    let found = engine.store.find(&address, now).await?;
    let Some((Record::Endpoint(mut endpoint), revision)) = found.map(|f| (f.record, f.revision)) else { return Ok(false) };
    if endpoint.disabled.is_some() {
        if !engine.is_disabled(route.id) {
            // By somebody else, or here and that was not answered.
            follow::record(engine, &address).await?;
        }
        return Ok(false);
    }
    // What was learnt of one URL says nothing of another.
    if *endpoint.url != *route.url {
        return Ok(false);
    }
    endpoint.disabled = Some(by);
    endpoint.updated_at = now;
    engine.change(vec![Change::Replace(Record::Endpoint(endpoint), revision)]).await?;
    engine.note_trouble();
    tracing::info!(endpoint = %route.id, ?by, "endpoint disabled");
    Ok(true)
}
