//! Recording: an attempt's outcome becomes a settlement, with what it says of the endpoint's health.

use super::{
    Engine,
    gone::{self, Halt},
    health, notify,
};
use crate::{
    lanes::Work,
    model::{Address, Attempt, AttemptId, Delivery, DeliveryState, EndpointId, Headers, MsgId, Outcome, Time, Trigger, Verdict},
    outbound::OutboundRequest,
    routing::Route,
    store::{Settled, Settlement, StoreError},
};
use futures_util::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};

/// Attempts whose results the store has not taken yet, at most; over that, attempts end when there is room again.
const UNSETTLED: usize = 8192;
/// Results that are settled at once.
const TOGETHER: usize = 256;
/// How long to wait before results are offered again to a store that did not take them.
pub(super) const STORE_PAUSE: Duration = Duration::from_millis(500);
/// Stands in an attempt for the value of a custom header, which may be a credential.
const HIDDEN: &[u8] = b"(hidden)";
/// Bytes of names and values that most requests have.
const HEADER_BYTES_USUAL: usize = 320;

/// An attempt that was made.
pub(super) struct Made {
    pub(super) work: Work,
    pub(super) route: Arc<Route>,
    pub(super) attempt: AttemptId,
    pub(super) sent: Headers,
    pub(super) outcome: Outcome,
    pub(super) verdict: Verdict,
    /// Of an endpoint that is gone: nothing starts before this is recorded.
    pub(super) halt: Option<Halt>,
}

/// What is left of an attempt once it is recorded.
#[derive(Clone, Copy)]
pub(super) struct Glance {
    pub(super) attempt: AttemptId,
    pub(super) status: Option<u16>,
    pub(super) succeeded: bool,
    pub(super) verdict: Verdict,
    pub(super) trigger: Trigger,
    /// Whether it has disabled its endpoint; `None`: that was not tried.
    pub(super) disabled: Option<bool>,
}

/// Results on their way to the store.
pub(super) struct Results {
    way: mpsc::Sender<Made>,
    owed: AtomicUsize,
}

impl Results {
    /// The way, and its end, from which [`keep`] takes them.
    pub(super) fn new() -> (Self, mpsc::Receiver<Made>) {
        let (way, end) = mpsc::channel(TOGETHER);
        (Results { way, owed: AtomicUsize::new(0) }, end)
    }

    /// Whether the store has not taken all of them.
    pub(super) fn owed(&self) -> bool {
        self.owed.load(SeqCst) > 0
    }
}

/// The request's headers as an attempt keeps them.
pub(super) fn sent_headers(request: &OutboundRequest, route: &Route) -> Headers {
    let mut sent = Headers::with_capacity(HEADER_BYTES_USUAL);
    for (name, value) in &request.headers {
        sent.push(name.as_str(), if value.is_sensitive() || route.headers.contains_key(name) { HIDDEN } else { value.as_bytes() });
    }
    sent
}

/// Room for a result on its way to the store; without it, the engine has ended.
pub(super) struct Room<'a>(Option<mpsc::Permit<'a, Made>>, &'a AtomicUsize);

/// Waits while too many results wait for the store. The lane goes on once the result is handed over.
pub(super) async fn room(engine: &Engine) -> Room<'_> {
    let Results { way, owed } = &engine.results;
    Room(way.reserve().await.ok(), owed)
}

impl Room<'_> {
    /// Hands an attempt over to be recorded.
    pub(super) fn record(self, made: Made) {
        if let Some(permit) = self.0 {
            self.1.fetch_add(1, SeqCst);
            permit.send(made);
        }
    }
}

/// Takes results to the store, those together that wait together, until the engine has ended.
pub(super) async fn keep(engine: Arc<Engine>, mut results: mpsc::Receiver<Made>) {
    let unsettled = Arc::new(Semaphore::new(UNSETTLED));
    loop {
        let mut made = Vec::with_capacity(TOGETHER);
        tokio::select! {
            biased;
            _ = results.recv_many(&mut made, TOGETHER) => {}
            () = engine.ended() => return,
        }
        let count = made.len();
        let places = unsettled.clone().acquire_many_owned(u32::try_from(count).unwrap_or(u32::MAX)).await;
        // Not awaited here: what comes meanwhile may still join the same commit.
        let engine = engine.clone();
        tokio::spawn(async move {
            let _places = places;
            // A defect must not pass for work that is still going on; what it hits is attempted again at the next start.
            if AssertUnwindSafe(keep_all(&engine, made)).catch_unwind().await.is_err() {
                tracing::error!(count, "recording panicked");
            }
            engine.results.owed.fetch_sub(count, SeqCst);
        });
    }
}

/// A result, and what is to be done once it is recorded.
struct Owed {
    msg: MsgId,
    route: Arc<Route>,
    glance: Glance,
    now: Time,
    halt: Option<Halt>,
}

async fn keep_all(engine: &Arc<Engine>, mut made: Vec<Made>) {
    // Before any of them is recorded its key is not free; nobody waits for them meanwhile.
    let gone: Vec<Made> = made.extract_if(.., |made| made.halt.is_some()).collect();
    keep_together(engine, made).await;
    if !gone.is_empty() {
        let gone = Box::pin(gone::disable(engine, gone)).await;
        keep_together(engine, gone).await;
    }
}

async fn keep_together(engine: &Arc<Engine>, made: Vec<Made>) {
    let (settlements, owed): (Vec<_>, Vec<_>) = made.into_iter().map(|made| conclude(engine, made)).unzip();
    let mut in_order: Vec<EndpointId> = settlements.iter().filter(|s| s.order.is_some()).map(|s| s.endpoint).collect();
    for (settled, mut owed) in settle(engine, settlements).await.into_iter().zip(owed) {
        drop(owed.halt.take());
        if owed.glance.succeeded && owed.glance.trigger == Trigger::Manual {
            // The scheduled attempt, if it waits in memory, is not to start; also when this is not known to be recorded: what is
            // owed still is claimed again.
            engine.strike_out(owed.route.id, owed.msg, Trigger::Scheduled).await;
        }
        let Some(delivery) = settled else {
            // It may have been recorded before, with an answer that was lost: then a retry is due that no lane knows of.
            engine.note_due(owed.route.id, owed.now);
            if owed.glance.disabled == Some(true) {
                let engine = engine.clone();
                tokio::spawn(async move { health::after(&engine, &owed.route, owed.glance, owed.now).await });
            }
            continue;
        };
        queue_again(engine, &delivery);
        if !owed.glance.succeeded || notify::is_told(&delivery, owed.glance) {
            let engine = engine.clone();
            tokio::spawn(async move {
                notify::after(&engine, &owed.route, &delivery, owed.glance).await;
                health::after(&engine, &owed.route, owed.glance, owed.now).await;
            });
        }
    }
    // What waited behind an end may go now.
    in_order.sort_unstable();
    in_order.dedup();
    in_order.into_iter().for_each(|endpoint| engine.look(endpoint));
}

fn conclude(engine: &Engine, made: Made) -> (Settlement, Owed) {
    let now = engine.clock.now();
    let Made { work, route, attempt, sent, outcome, verdict, halt } = made;
    let disabled = halt.as_ref().and_then(|halt| halt.disabled);
    let glance =
        Glance { attempt, status: outcome.status, succeeded: outcome.succeeded(), verdict, trigger: work.trigger, disabled };
    let changes = health::learn(engine, &work, glance.succeeded, now);
    let (msg, evidence) = (work.message.id, (attempt, &*route, sent, outcome));
    (Settlement { changes, ..settlement(work, verdict, Some(evidence)) }, Owed { msg, route, glance, now, halt })
}

/// Records that a delivery's endpoint is gone; an endpoint that is there and only cannot be compiled keeps it.
pub(super) async fn withdraw(engine: &Arc<Engine>, work: Work) {
    let address = Address::endpoint(work.app, work.endpoint);
    match engine.store.find(&address, engine.clock.now()).await {
        Ok(None) => {
            let endpoint = work.endpoint;
            drop(settle(engine, vec![settlement(work, Verdict::Cancelled, None)]).await);
            // It may be there again, under the eyes of another process; what waits in order is to be withdrawn too.
            engine.note_due(endpoint, engine.clock.now());
        }
        _ => engine.give_back((work.endpoint, work.message.id, work.trigger), work.lease).await,
    }
}

type Evidence<'a> = (AttemptId, &'a Route, Headers, Outcome);

fn settlement(work: Work, verdict: Verdict, evidence: Option<Evidence<'_>>) -> Settlement {
    let Work { endpoint, app, message, trigger, lease, attempts, .. } = work;
    let order = message.order(endpoint);
    let attempt = evidence.map(|(id, route, request_headers, outcome)| Attempt {
        id,
        msg: message.id,
        endpoint,
        app,
        trigger,
        number: attempts + 1,
        url: route.url.to_string(),
        request_headers,
        outcome,
    });
    Settlement { msg: message.id, endpoint, app, trigger, lease, verdict, attempt, order, changes: Vec::new() }
}

/// Offers results until the store takes them; each one's delivery as it is then, unless it was not recorded. A store that
/// is closed ends it: the attempt is then made again at the next start, which at-least-once allows.
async fn settle(engine: &Engine, settlements: Vec<Settlement>) -> Vec<Option<Delivery>> {
    let settlements = Arc::new(settlements);
    loop {
        let settled = engine.store.settle(settlements.clone()).await;
        // Whether the store takes results does not depend on which: one that is full or away takes none.
        let away = settled.iter().find_map(|result| match result {
            Err(error @ (StoreError::Unavailable(_) | StoreError::Full | StoreError::Broken)) => Some(error),
            _ => None,
        });
        match away {
            Some(StoreError::Unavailable(_) | StoreError::Broken) if engine.stopping() => return vec![None; settlements.len()],
            Some(error) => {
                tracing::error!(%error, count = settlements.len(), "results not recorded yet");
                tokio::time::sleep(STORE_PAUSE).await;
            }
            None => return settlements.iter().zip(settled).map(|(s, result)| recorded(s, result)).collect(),
        }
    }
}

fn recorded(settlement: &Settlement, result: Result<Settled, StoreError>) -> Option<Delivery> {
    match result {
        Ok(Settled::Recorded(delivery)) => return Some(delivery),
        Ok(Settled::LeaseLost) => {
            tracing::warn!(endpoint = %settlement.endpoint, msg = %settlement.msg, "lease lost: result not recorded");
        }
        Err(error) => tracing::error!(%error, endpoint = %settlement.endpoint, msg = %settlement.msg, "result not recorded"),
    }
    None
}

fn queue_again(engine: &Arc<Engine>, delivery: &Delivery) {
    if let DeliveryState::Pending(due) = delivery.state {
        engine.note_due(delivery.endpoint, due);
    }
}
