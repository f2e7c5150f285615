//! Dispatching: carries out what lanes decide. Starts attempts, claims what is due from the store, waits for times.

use super::{
    Engine,
    accept::is_limited,
    deliver::{broke, deliver},
};
use crate::{
    lanes::{Lane, Limits, Next, Report, Work, share},
    model::{EndpointId, MsgId, Time, Trigger},
    store::{Claimed, Lease, StoreError},
};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

/// The longest sleep between two looks at the alarms: the safety net under a wall clock that jumps.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// How long a lane waits before it asks a store again that did not answer, or for memory that was not there.
const PAUSE: Duration = Duration::from_millis(500);

impl Engine {
    /// Starts what the lane may start.
    pub(super) fn pump(self: &Arc<Self>, lane: &Arc<Lane>) {
        while let Some(work) = self.next(lane) {
            tokio::spawn(run(self.clone(), lane.clone(), work));
        }
        self.claim(lane);
    }

    /// The lane's next delivery, with a slot taken for it.
    fn next(&self, lane: &Lane) -> Option<Work> {
        if lane.is_empty() || self.stopping() {
            return None;
        }
        let limits = || self.limits(lane.endpoint());
        match lane.next(limits, self.clock.now(), &self.lanes.budget) {
            Next::Start(work) => Some(work),
            Next::At(time) => {
                self.alarm(lane, time);
                None
            }
            Next::Rest => None,
        }
    }

    fn limits(&self, endpoint: EndpointId) -> Limits {
        let pace = self.paces.of(endpoint).map(|pace| pace.rate);
        let Some((app, route)) = self.routing.endpoint(endpoint) else { return Limits { pace, ..Limits::default() } };
        Limits { rate: route.throttle_rate.or(app.application.throttle_rate), pace, concurrency: route.concurrency }
    }

    /// Something is due in the store at that time.
    pub(crate) fn note_due(self: &Arc<Self>, endpoint: EndpointId, due: Time) {
        let lane = self.lanes.open(endpoint);
        if let Some(ring) = lane.note_due(due) {
            self.lanes.alarm.set(ring, endpoint);
        }
    }

    pub(super) fn alarm(&self, lane: &Lane, at: Time) {
        if let Some(ring) = lane.set_alarm(at) {
            self.lanes.alarm.set(ring, lane.endpoint());
        }
    }

    /// Claims what is due from the store, if the lane wants it and its endpoint is enabled.
    fn claim(self: &Arc<Self>, lane: &Arc<Lane>) {
        let Some(due) = lane.stored_due() else { return };
        let now = self.clock.now();
        // Without a route it is deleted, and purged, or cannot be compiled, and waits.
        let held = self.routing.endpoint(lane.endpoint()).is_none_or(|(app, route)| {
            route.disabled.is_some()
                || ((is_limited(&app, &route) || self.paces.of(route.id).is_some()) && !self.store.owns(route.id))
        });
        if held || self.stopping() {
            return;
        }
        if due > now {
            return self.alarm(lane, due);
        }
        if !self.lanes.budget.has_memory() {
            return self.alarm(lane, now.plus(PAUSE));
        }
        if let Some(limit) = lane.wants_claim(now) {
            tokio::spawn(claim(self.clone(), lane.clone(), limit));
        }
    }

    /// Gives waiting work of a disabled endpoint back to the store, where it is held.
    pub(super) async fn hold(self: &Arc<Self>, mut works: Vec<Work>) {
        if let Some(lane) = works.first().and_then(|w| self.lanes.get(w.endpoint)) {
            works.extend(lane.drain(&self.lanes.budget));
        }
        for work in works {
            self.give_back((work.endpoint, work.message.id, work.trigger), work.lease).await;
            // Enabled again meanwhile? Then it is due at once; a lane whose endpoint is disabled does not claim it.
            self.note_due(work.endpoint, work.message.first_due());
        }
    }

    pub(super) async fn give_back(&self, (endpoint, msg, trigger): (EndpointId, MsgId, Trigger), lease: Lease) {
        if let Err(error) = self.store.release(endpoint, msg, trigger, lease).await
            && !self.stopping()
        {
            tracing::error!(%error, %endpoint, %msg, "delivery not given back");
        }
    }

    /// The endpoint was enabled, or has something new in the store: look at once.
    pub(super) fn look(self: &Arc<Self>, endpoint: EndpointId) {
        if !self.store.owns(endpoint) {
            self.store.call(endpoint);
        }
        self.look_here(endpoint);
    }

    /// As when the endpoint has something new in the store; soon.
    pub(crate) fn wake(&self, endpoint: EndpointId) {
        if !self.store.owns(endpoint) {
            self.store.call(endpoint);
        }
        if let Some(ring) = self.lanes.open(endpoint).note_due(self.clock.now()) {
            self.lanes.alarm.set(ring, endpoint);
        }
    }

    /// Looks at once, in this process.
    pub(super) fn look_here(self: &Arc<Self>, endpoint: EndpointId) {
        let lane = self.lanes.open(endpoint);
        lane.look(self.clock.now());
        self.pump(&lane);
    }
}

/// Runs an attempt, and after it the lane's next ones in the same task, as long as there are any.
async fn run(engine: Arc<Engine>, lane: Arc<Lane>, work: Work) {
    let mut next = Some(work);
    while let Some(work) = next {
        let (msg, trigger, kept) = (work.message.id, work.trigger, work.clone());
        let delivered = AssertUnwindSafe(deliver(&engine, work)).catch_unwind().await;
        let report = match delivered {
            Ok(Report::Bad) if trigger == Trigger::Manual => Report::InVain,
            Ok(report) => report,
            // Whatever a second one does, the slot is to be free again.
            Err(_) => AssertUnwindSafe(Box::pin(broke(&engine, kept))).catch_unwind().await.unwrap_or(Report::Bad),
        };
        lane.finish(msg, report, engine.clock.now(), &engine.lanes.budget);
        call_waiting(&engine);
        next = engine.next(&lane);
        if next.is_some() {
            // A lane whose limit has grown starts more than the one that has ended.
            engine.pump(&lane);
        }
    }
    engine.pump(&lane);
}

/// Offers free slots to lanes that wait for one and may have it, until there is no such lane. Each is called once for each time
/// that it stood in line.
fn call_waiting(engine: &Arc<Engine>) {
    while let Some(endpoint) = engine.lanes.budget.next_waiting() {
        let Some(lane) = engine.lanes.get(endpoint) else { continue };
        lane.called();
        engine.pump(&lane);
    }
}

async fn claim(engine: Arc<Engine>, lane: Arc<Lane>, limit: usize) {
    let now = engine.clock.now();
    let (endpoint, lease) = (lane.endpoint(), engine.lease());
    let claiming = AssertUnwindSafe(engine.store.claim(endpoint, lease, now, limit)).catch_unwind();
    let claims = match claiming.await.unwrap_or_else(|_| Err(StoreError::Damaged("a claim panicked".into()))) {
        Ok(claims) => claims,
        Err(error) => {
            let _none = lane.claimed(Vec::new(), Some(now), &engine.lanes.budget);
            if !(engine.stopping() && matches!(error, StoreError::Unavailable(_))) {
                tracing::error!(%error, %endpoint, "nothing claimed");
            }
            return engine.alarm(&lane, now.plus(PAUSE));
        }
    };
    let works = claims.taken.into_iter().map(work).collect();
    for work in lane.claimed(works, claims.next_due, &engine.lanes.budget) {
        engine.give_back((endpoint, work.message.id, work.trigger), work.lease).await;
        // If it is owed all the same, it is claimed again.
        lane.look(now);
    }
    if let Some(due) = lane.stored_due().filter(|due| *due > now) {
        engine.alarm(&lane, due);
    }
    engine.pump(&lane);
}

fn work(Claimed { delivery, trigger, message, lease }: Claimed) -> Work {
    Work {
        bytes: share(&message, 1),
        endpoint: delivery.endpoint,
        app: delivery.app,
        message,
        trigger,
        lease,
        failed: delivery.failed,
        attempts: u32::try_from(delivery.attempts.len()).unwrap_or(u32::MAX),
    }
}

/// Looks at lanes when their times come, until the engine stops.
pub(super) async fn watch(engine: Arc<Engine>) {
    while !engine.stopping() {
        let now = engine.clock.now();
        let (due, next) = engine.lanes.alarm.due(now);
        for (at, endpoint) in due {
            if let Some(lane) = engine.lanes.get(endpoint).filter(|lane| lane.rings(at)) {
                engine.pump(&lane);
            }
        }
        let sleep = next.map_or(MAX_SLEEP, |at| at.since(now)).min(MAX_SLEEP);
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = engine.lanes.alarm.changed() => {}
            () = engine.stopped() => {}
        }
    }
}
