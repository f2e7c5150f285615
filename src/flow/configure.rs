//! Changes of configuration: into the store, then into the routing table and the lanes, then told to the operator.

use super::{Actor, Engine, notify};
use crate::{
    model::{Address, AppId, Application, AuditAction, DisabledBy, Endpoint, EndpointId, Kind, OrgId, Purge, Record, Time},
    store::{Change, ListPage, Requeue, StoreError},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::MutexGuard;

/// Endpoints that are compiled again before the next ones are read.
const ENDPOINTS_AT_ONCE: usize = 500;
/// How long to wait before a purge is ordered again of a store that did not take the order.
const ORDER_PAUSE: Duration = Duration::from_secs(1);

/// What a change leaves in the routing table that was compiled with something else.
pub(super) enum Stale {
    Nothing,
    App(AppId),
    Org(OrgId),
}

/// What is told of an endpoint.
struct Told {
    kind: &'static str,
    endpoint: Endpoint,
}

impl Engine {
    /// Applies changes of configuration, all or none, and lets them reach the routing table, the lanes and the operator's
    /// own application (`endpoint.created`, `.updated`, `.deleted`).
    /// Deleting an application deletes its endpoints and sources; what flowed through either is deleted in the background.
    ///
    /// # Errors
    /// As [`crate::store::Store::change`].
    pub async fn change(self: &Arc<Self>, changes: Vec<Change>) -> Result<(), StoreError> {
        let (engine, actor) = (self.clone(), Actor::of_this_task());
        to_the_end(async move {
            let told = engine.change_in_order(changes, actor.as_deref()).await?;
            for Told { kind, endpoint } in told {
                notify::configured(&engine, kind, &endpoint).await;
            }
            Ok(())
        })
        .await
    }

    /// Leaves an entry in the audit log of what the request of this task ordered, where no record changes that would: an order
    /// to the whole server, or one `of` an object of an application, by its id.
    ///
    /// # Errors
    /// As [`crate::store::Store::change`].
    pub async fn note(&self, action: AuditAction, what: &str, of: Option<(AppId, String)>) -> Result<(), StoreError> {
        let now = self.clock.now();
        match Actor::of_this_task().and_then(|actor| actor.note((action, what), of, (&self.random, now))) {
            Some(entry) => self.store.change(vec![entry], now).await,
            None => Ok(()),
        }
    }

    async fn change_in_order(self: &Arc<Self>, mut changes: Vec<Change>, actor: Option<&Actor>) -> Result<Vec<Told>, StoreError> {
        let in_order = self.lock(&changes).await;
        let told = self.expand(&mut changes).await?;
        if let Some(actor) = actor {
            let mut entries = actor.entries(&changes, &*self.store, (&self.random, self.clock.now())).await?;
            changes.append(&mut entries);
        }
        self.store.change(changes.clone(), self.clock.now()).await?;
        let stale = changes.into_iter().map(|change| self.take_over(change)).collect();
        self.freshen(stale, in_order).await?;
        Ok(told)
    }

    /// Compiles again what a change made stale, an organization's applications one after the other and each in its order.
    pub(super) async fn freshen(
        self: &Arc<Self>,
        stale: Vec<Stale>,
        in_order: Option<MutexGuard<'_, ()>>,
    ) -> Result<(), StoreError> {
        let mut orgs = Vec::new();
        for stale in stale {
            match stale {
                Stale::Nothing => {}
                Stale::App(app) => self.compile_again(app).await?,
                Stale::Org(org) => orgs.push(org),
            }
        }
        drop(in_order);
        for app in orgs.into_iter().flat_map(|org| self.routing.apps_of(org)) {
            let _in_order = self.lock_app(app).await;
            self.compile_again(app).await?;
        }
        Ok(())
    }

    /// Takes over an application's endpoints once more: what they were compiled with has changed.
    async fn compile_again(self: &Arc<Self>, app: AppId) -> Result<(), StoreError> {
        let (scope, mut after) = (app.to_string(), None::<String>);
        loop {
            let page = ListPage { after: after.as_deref(), limit: ENDPOINTS_AT_ONCE, backwards: false };
            let found = self.store.list(Kind::Endpoint, &scope, page, self.clock.now()).await?;
            after = found.last().map(|stored| stored.record.address().key);
            let last = found.len() < ENDPOINTS_AT_ONCE;
            for stored in found {
                if let Record::Endpoint(endpoint) = stored.record {
                    self.take_over_endpoint(&endpoint);
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Queues deliveries of an endpoint again and starts them; the number queued.
    ///
    /// # Errors
    /// As [`crate::store::Store::requeue`].
    pub async fn requeue(self: &Arc<Self>, app: AppId, endpoint: EndpointId, which: Requeue) -> Result<u64, StoreError> {
        let engine = self.clone();
        to_the_end(async move {
            let queued = engine.store.requeue(app, endpoint, which, engine.clock.now()).await;
            // What was not answered may have been done.
            if queued != Ok(0) {
                engine.look(endpoint);
            }
            queued
        })
        .await
    }

    /// Changes of one application reach the routing table in the order in which they became durable.
    pub(super) async fn lock(&self, changes: &[Change]) -> Option<MutexGuard<'_, ()>> {
        let app = changes.iter().find_map(|change| self.app_of(change))?;
        self.lock_app(app).await
    }

    async fn lock_app(&self, app: AppId) -> Option<MutexGuard<'_, ()>> {
        let lock = self.changing.get(usize::try_from(app.0 % self.changing.len() as u128).unwrap_or(0))?;
        Some(lock.lock().await)
    }

    fn app_of(&self, change: &Change) -> Option<AppId> {
        match change {
            Change::Insert(record) | Change::Replace(record, _) | Change::Write(record) => match record {
                Record::Application(a) => Some(a.id),
                Record::Endpoint(e) => Some(e.app),
                Record::Source(s) => Some(s.app),
                _ => None,
            },
            Change::Delete(address) => match address.kind {
                Kind::Application => address.key.parse().ok(),
                Kind::Endpoint => address.scope.parse().ok(),
                Kind::Source => self.sources.get()?.app_of(address.key.parse().ok()?),
                _ => None,
            },
        }
    }

    /// Adds what follows from deletions, and finds out what is to be told.
    async fn expand(&self, changes: &mut Vec<Change>) -> Result<Vec<Told>, StoreError> {
        let now = self.clock.now();
        let mut told = Vec::new();
        let mut more = Vec::new();
        let made = |app| changes.iter().any(|change| matches!(change, Change::Insert(Record::Application(new)) if new.id == app));
        let is_there = |app| self.routing.by_id(app).is_some() || made(app);
        for change in changes.iter() {
            match change {
                // Its application was deleted while it was made.
                Change::Insert(Record::Endpoint(endpoint)) if !is_there(endpoint.app) => return Err(StoreError::Stale),
                Change::Insert(Record::Endpoint(endpoint)) => {
                    told.push(Told { kind: "endpoint.created", endpoint: endpoint.clone() });
                }
                Change::Replace(Record::Endpoint(endpoint), _) => {
                    if endpoint.disabled.is_some() && self.paces.of(endpoint.id).is_some() {
                        // Who enables it later says anew at which pace.
                        more.push(Change::Delete(Address::catch_up(endpoint.app, endpoint.id)));
                    }
                    if !endpoint.disabled.is_none_or(by_owner) {
                        continue;
                    }
                    if endpoint.disabled.is_none() && self.is_disabled(endpoint.id) {
                        // Its failures before are no reason to disable it again at the next one.
                        more.push(not_failing(endpoint));
                    }
                    told.push(Told { kind: "endpoint.updated", endpoint: endpoint.clone() });
                }
                Change::Delete(address) if address.kind == Kind::Application => {
                    let Ok(app) = address.key.parse::<AppId>() else { continue };
                    let endpoints = self.routing.by_id(app).map(|a| a.routes.clone()).unwrap_or_default();
                    more.extend(endpoints.iter().map(|route| Change::Delete(Address::endpoint(app, route.id))));
                    more.extend(endpoints.iter().map(|route| purge(app, Some(route.id), now)));
                    let failing = endpoints.iter().filter(|route| self.health.get(route.id).is_some());
                    more.extend(failing.map(|route| Change::Delete(Address::new(Kind::Failing, app, route.id))));
                    more.push(purge(app, None, now));
                    let sources = self.sources.get().map(|table| table.addresses(app)).unwrap_or_default();
                    more.extend(sources.into_iter().map(Change::Delete));
                }
                // Its application was deleted while it was made.
                Change::Insert(Record::Source(source)) if self.routing.by_id(source.app).is_none() => {
                    return Err(StoreError::Stale);
                }
                Change::Delete(address) if address.kind == Kind::Endpoint => {
                    let found = self.store.find(address, now).await?;
                    if let Some(Record::Endpoint(endpoint)) = found.map(|f| f.record) {
                        let paced = Change::Delete(Address::catch_up(endpoint.app, endpoint.id));
                        more.extend([purge(endpoint.app, Some(endpoint.id), now), not_failing(&endpoint), paced]);
                        told.push(Told { kind: "endpoint.deleted", endpoint });
                    }
                }
                _ => {}
            }
        }
        changes.append(&mut more);
        Ok(told)
    }

    pub(super) fn take_over(self: &Arc<Self>, change: Change) -> Stale {
        match change {
            Change::Insert(record) | Change::Replace(record, _) | Change::Write(record) => match record {
                Record::Application(application) => return self.take_over_application(application),
                Record::Endpoint(endpoint) => self.take_over_endpoint(&endpoint),
                Record::EventType(event_type) => self.routing.put_event_type(&event_type),
                Record::Source(source) => self.sources.get().into_iter().for_each(|table| table.put(source.clone())),
                Record::Organization(organization) => {
                    let org = organization.id;
                    if self.routing.put_organization(organization, &self.vault) {
                        return Stale::Org(org);
                    }
                }
                Record::Profile(own) => {
                    self.routing.put_profile(&own);
                    return Stale::Org(own.org);
                }
                Record::Failing(failing) => self.health.put(failing),
                Record::Retention(retention) => self.retentions.put(retention),
                Record::CatchUp(pace) => self.paces.put(pace),
                _ => {}
            },
            Change::Delete(address) => match address.kind {
                Kind::Application => {
                    if let Ok(app) = address.key.parse() {
                        self.routing.remove_application(app).into_iter().for_each(|endpoint| self.forget(app, endpoint));
                    }
                }
                Kind::Endpoint => {
                    if let (Ok(app), Ok(endpoint)) = (address.scope.parse(), address.key.parse()) {
                        self.routing.remove_endpoint(endpoint);
                        self.forget(app, endpoint);
                    }
                }
                Kind::EventType => {
                    if let Ok(org) = address.scope.parse() {
                        self.routing.remove_event_type(org, &address.key);
                    }
                }
                Kind::Source => {
                    if let (Some(table), Ok(source)) = (self.sources.get(), address.key.parse()) {
                        table.remove(source);
                    }
                }
                Kind::CatchUp => {
                    if let Ok(endpoint) = address.key.parse() {
                        self.paces.remove(endpoint);
                        self.look(endpoint);
                    }
                }
                Kind::Retention => {
                    if let Ok(org) = address.scope.parse() {
                        self.retentions.remove(org, address.key.parse().ok());
                    }
                }
                Kind::Profile => {
                    if let Ok(org) = address.scope.parse() {
                        self.routing.remove_profile(org, &address.key);
                    }
                }
                _ => {}
            },
        }
        Stale::Nothing
    }

    pub(super) fn is_disabled(&self, endpoint: EndpointId) -> bool {
        self.routing.endpoint(endpoint).is_some_and(|(_, route)| route.disabled.is_some())
    }

    fn take_over_application(self: &Arc<Self>, application: Application) -> Stale {
        let id = application.id;
        let same = |old: &Application| old.profile == application.profile && old.retry_policy == application.retry_policy;
        let stale = self.routing.by_id(id).is_some_and(|old| !same(&old.application));
        self.routing.put_application(application);
        // A higher rate may let waiting deliveries go.
        let routes = self.routing.by_id(id).map(|app| app.routes.clone()).unwrap_or_default();
        routes.iter().filter_map(|route| self.lanes.get(route.id)).for_each(|lane| {
            self.pump(&lane);
        });
        if stale { Stale::App(id) } else { Stale::Nothing }
    }

    fn take_over_endpoint(self: &Arc<Self>, endpoint: &Endpoint) {
        let was_disabled = self.is_disabled(endpoint.id);
        if let Err(error) = self.routing.put_endpoint(endpoint, &self.vault) {
            tracing::error!(%error, endpoint = %endpoint.id, "endpoint not taken over");
        }
        if was_disabled && endpoint.disabled.is_none() {
            self.health.forget(endpoint.id);
            self.look(endpoint.id);
        } else if let Some(lane) = self.lanes.get(endpoint.id) {
            self.pump(&lane);
        }
    }

    /// An endpoint is gone: what waits in memory goes back to the store, to be purged there; its health is of no interest.
    fn forget(self: &Arc<Self>, app: AppId, endpoint: EndpointId) {
        self.health.forget(endpoint);
        let Some(lane) = self.lanes.get(endpoint) else { return self.ask_for_purge() };
        lane.close();
        let (engine, works) = (self.clone(), lane.drain(&self.lanes.budget));
        tokio::spawn(async move {
            for work in works {
                engine.give_back((endpoint, work.message.id, work.trigger), work.lease).await;
            }
            engine.order_purge(app, endpoint).await;
        });
    }

    /// Orders the purge anew: a process that could not reach the store for long hears of a deletion when the order of that time is
    /// forgotten, and may have accepted until then.
    async fn order_purge(&self, app: AppId, endpoint: EndpointId) {
        while !self.stopping() {
            let now = self.clock.now();
            match self.store.change(vec![purge(app, Some(endpoint), now)], now).await {
                Ok(()) => break,
                Err(error) => tracing::error!(%error, %endpoint, "its purge is not ordered yet"),
            }
            tokio::time::sleep(ORDER_PAUSE).await;
        }
        self.ask_for_purge();
    }
}

/// Runs to its end even when the caller goes away in the middle (a client that closes its connection): what the store has
/// taken must reach the routing table and the lanes too.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
}

fn by_owner(by: DisabledBy) -> bool {
    by == DisabledBy::Owner
}

fn not_failing(endpoint: &Endpoint) -> Change {
    Change::Delete(Address::new(Kind::Failing, endpoint.app, endpoint.id))
}

fn purge(app: AppId, endpoint: Option<EndpointId>, ordered_at: Time) -> Change {
    Change::Write(Record::Purge(Purge { app, endpoint, ordered_at }))
}
