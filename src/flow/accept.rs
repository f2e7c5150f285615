//! Accepting: a draft becomes a durable message with its deliveries, and those go to their lanes.

use super::{Engine, matching, ordering};
use crate::{
    lanes::{Lane, Work, share},
    model::{EndpointId, Message, MsgId, Origin, Record, Time, Trigger},
    routing::{AppRoutes, Route},
    store::{Lease, NewMessage, StoreError},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// A message before it is accepted. The caller has checked its limits.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Name of its event type.
    pub event_type: String,
    /// The producer's own id, unique in the application.
    pub event_id: Option<String>,
    /// Its channels.
    pub channels: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Not to be delivered before.
    pub deliver_at: Option<Time>,
    /// When its payload is deleted.
    pub payload_expires_at: Option<Time>,
    /// The exact bytes received.
    pub payload: Bytes,
    /// What it is to be kept in order with.
    pub ordering_key: Option<String>,
    /// Where it came from, if a source received it.
    pub origin: Option<Arc<Origin>>,
    /// Only this endpoint gets it, whatever it subscribes to (an example, a test).
    pub only: Option<EndpointId>,
    /// Nobody gets it: it is recorded, to be replayed later (its source is paused).
    pub unrouted: bool,
}

/// Makes the record that is inserted with the message, or refuses it when it exists already: the answer to be kept for the
/// repetition of an idempotent request, the mark of an event that a source has had.
pub type Mark = Box<dyn FnOnce(&Message) -> Record + Send>;

impl Engine {
    /// Makes the draft durable and starts its deliveries.
    ///
    /// # Errors
    /// As [`crate::store::Store::accept`]: an event id or a mark that exists already, a store that is full or away.
    pub async fn accept(self: &Arc<Self>, app: &AppRoutes, draft: Draft, mark: Option<Mark>) -> Result<Arc<Message>, StoreError> {
        let now = self.clock.now();
        let mut draft = draft;
        if draft.payload_expires_at.is_none() {
            let kept = self.retentions.payloads(app.application.org, app.application.id);
            draft.payload_expires_at = kept.map(|kept| now.plus(kept));
        }
        let routes = recipients(app, &draft);
        let message = Arc::new(message(app, draft, &routes, MsgId(self.random.id(now))));
        let mark = mark.map(|mark| mark(&message));
        let lanes = self.take_lanes(app, &routes, (&message, now));
        let leases = lanes.iter().map(|lane| lane.as_ref().map(|(_, lease)| *lease)).collect();
        let (store, new) = (self.store.clone(), NewMessage { message: message.clone(), leases, mark });
        let commit = Box::pin(async move { store.accept(new).await });
        let taken = Taken { engine: self.clone(), message: message.clone(), lanes };
        Accepting(Some((commit, taken))).await?;
        Ok(message)
    }

    /// For each endpoint: its lane with room reserved and a lease, or `None` when the delivery is to stay in the store (the
    /// endpoint is disabled, the message is for later, or waits for an earlier one, the lane is full, its limits are another
    /// process's to keep).
    fn take_lanes(
        &self,
        app: &AppRoutes,
        routes: &[&Arc<Route>],
        (message, now): (&Message, Time),
    ) -> Vec<Option<(Arc<Lane>, Lease)>> {
        let due = message.first_due() <= now;
        let take = |route: &&Arc<Route>| {
            // Whether it is the first of its key is known to the store alone.
            let now = due && route.disabled.is_none() && message.order(route.id).is_none();
            let ours = now && (!is_limited(app, route) || self.store.owns(route.id));
            let lane = ours.then(|| self.lanes.open(route.id))?;
            lane.reserve(&self.lanes.budget).then(|| (lane, self.lease()))
        };
        routes.iter().map(take).collect()
    }

    /// A delivery of a message that has just become durable waits in the store.
    fn wait_in_store(self: &Arc<Self>, endpoint: EndpointId, message: &Message) {
        self.note_due(endpoint, message.first_due());
        if !self.store.owns(endpoint) {
            self.store.call(endpoint);
        }
    }

    /// A lease that no other claim has.
    pub(super) fn lease(&self) -> Lease {
        self.store.lease(self.leases.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

/// Whether an endpoint has a limit that holds for all processes together: one of them keeps it.
pub(super) fn is_limited(app: &AppRoutes, route: &Route) -> bool {
    route.throttle_rate.or(app.application.throttle_rate).is_some() || route.concurrency.is_some() || route.ordering.is_some()
}

fn recipients<'a>(app: &'a AppRoutes, draft: &Draft) -> Vec<&'a Arc<Route>> {
    match draft.only {
        _ if draft.unrouted => Vec::new(),
        Some(endpoint) => app.route(endpoint).into_iter().collect(),
        None => {
            let subject = matching::Subject::new(&draft.event_type, &draft.channels, &draft.payload);
            matching::matching(app, &subject).collect()
        }
    }
}

fn message(app: &AppRoutes, draft: Draft, routes: &[&Arc<Route>], id: MsgId) -> Message {
    let ordered = ordering::ordered(routes, &draft);
    Message {
        id,
        app: app.application.id,
        org: app.application.org,
        event_type: draft.event_type,
        event_id: draft.event_id,
        channels: draft.channels,
        tags: draft.tags,
        deliver_at: draft.deliver_at.filter(|at| *at > id.time()),
        payload_expires_at: draft.payload_expires_at,
        endpoints: routes.iter().map(|r| r.id).collect(),
        payload: draft.payload,
        expunged: false,
        origin: draft.origin,
        ordering_key: draft.ordering_key,
        ordered,
    }
}

/// A commit under way, which goes on in a task of its own when the caller goes away (a client that closes its connection):
/// what becomes durable is delivered, whether or not anybody waits for the answer.
struct Accepting(Option<(BoxFuture<'static, Result<(), StoreError>>, Taken)>);

impl Future for Accepting {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((commit, _)) = &mut self.0 else { return Poll::Pending };
        let committed = ready!(commit.as_mut().poll(cx));
        if let Some((_, taken)) = self.0.take() {
            taken.end(&committed);
        }
        Poll::Ready(committed)
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        if let Some((commit, taken)) = self.0.take() {
            tokio::spawn(async move { taken.end(&commit.await) });
        }
    }
}

/// Lanes in which room was taken for a message: for each of its endpoints, in their order.
struct Taken {
    engine: Arc<Engine>,
    message: Arc<Message>,
    lanes: Vec<Option<(Arc<Lane>, Lease)>>,
}

impl Taken {
    /// The message is durable: its deliveries start, or wait in the store. Or it is not, and gives the room back.
    fn end(self, committed: &Result<(), StoreError>) {
        if let Err(error) = committed {
            self.lanes.iter().flatten().for_each(|(lane, _)| lane.unreserve());
            if matches!(error, StoreError::Unavailable(_)) && !self.engine.stopping() {
                tokio::spawn(self.leave());
            }
            return;
        }
        let bytes = share(&self.message, self.lanes.len());
        for (endpoint, lane) in self.message.endpoints.iter().copied().zip(self.lanes) {
            match lane {
                Some((lane, lease)) => {
                    let work = Work {
                        endpoint,
                        app: self.message.app,
                        message: self.message.clone(),
                        trigger: Trigger::Scheduled,
                        lease,
                        failed: 0,
                        attempts: 0,
                        bytes,
                    };
                    if let Some(struck) = lane.push(work, &self.engine.lanes.budget) {
                        // Cancelled before anybody knew that it is accepted.
                        let (engine, which) = (self.engine.clone(), (endpoint, struck.message.id, struck.trigger));
                        tokio::spawn(async move { engine.give_back(which, struck.lease).await });
                    }
                    self.engine.pump(&lane);
                }
                // Also for a disabled endpoint: it may have been enabled while the message became durable, and a lane whose
                // endpoint is disabled claims nothing.
                None => self.engine.wait_in_store(endpoint, &self.message),
            }
        }
    }

    /// Nobody knows whether the message became durable before the answer was lost. If it did, its deliveries are this
    /// process's by their leases, so that nobody else would ever make them: they go on from the store.
    async fn leave(self) {
        for (endpoint, lane) in self.message.endpoints.iter().copied().zip(self.lanes) {
            if let Some((_, lease)) = lane {
                self.engine.give_back((endpoint, self.message.id, Trigger::Scheduled), lease).await;
            }
            self.engine.wait_in_store(endpoint, &self.message);
        }
    }
}
