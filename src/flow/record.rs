//! Recording: an attempt's outcome becomes a settlement, with what it says of the endpoint's health.

use super::{Engine, health, notify};
use crate::{
    lanes::Work,
    model::{Address, Attempt, AttemptId, Delivery, DeliveryState, Outcome, Trigger, Verdict},
    outbound::OutboundRequest,
    routing::Route,
    store::{Settled, Settlement, StoreError},
};
use std::{sync::Arc, time::Duration};

/// How long to wait before a result is offered again to a store that did not take it.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// Stands in an attempt for the value of a custom header, which may be a credential.
const HIDDEN: &str = "(hidden)";

/// An attempt that was made.
pub(super) struct Made {
    pub(super) work: Work,
    pub(super) route: Arc<Route>,
    pub(super) attempt: AttemptId,
    pub(super) sent: Vec<(String, String)>,
    pub(super) outcome: Outcome,
    pub(super) verdict: Verdict,
}

/// What is left of an attempt once it is recorded.
#[derive(Clone, Copy)]
pub(super) struct Glance {
    pub(super) attempt: AttemptId,
    pub(super) status: Option<u16>,
    pub(super) succeeded: bool,
    pub(super) verdict: Verdict,
    pub(super) trigger: Trigger,
}

/// The request's headers as an attempt keeps them.
pub(super) fn sent_headers(request: &OutboundRequest, route: &Route) -> Vec<(String, String)> {
    let visible = |name: &http::HeaderName, value: &http::HeaderValue| {
        let hidden = route.headers.contains_key(name);
        if hidden { HIDDEN.to_owned() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() }
    };
    request.headers.iter().map(|(name, value)| (name.as_str().to_owned(), visible(name, value))).collect()
}

/// Records an attempt in the background: the lane goes on meanwhile.
pub(super) fn record(engine: &Arc<Engine>, made: Made) {
    let engine = engine.clone();
    let unsettled = engine.unsettled.clone().try_acquire_owned();
    tokio::spawn(async move {
        // Over the bound the result still waits its turn, but it does so holding its place in line.
        let _permit = match unsettled {
            Ok(permit) => Some(permit),
            Err(_) => engine.unsettled.clone().acquire_owned().await.ok(),
        };
        let now = engine.clock.now();
        let Made { work, route, attempt, sent, outcome, verdict } = made;
        let glance = Glance { attempt, status: outcome.status, succeeded: outcome.succeeded(), verdict, trigger: work.trigger };
        let changes = health::learn(&engine, &work, glance.succeeded, now);
        let evidence = (attempt, &*route, sent, outcome);
        let settlement = Settlement { changes, ..settlement(work, verdict, Some(evidence)) };
        if let Some(delivery) = settle(&engine, settlement).await {
            queue_again(&engine, &delivery);
            notify::after(&engine, &route, &delivery, glance).await;
            health::after(&engine, &route, glance, now).await;
        }
    });
}

/// Records that a delivery's endpoint is gone; an endpoint that is there and only cannot be compiled keeps it.
pub(super) async fn withdraw(engine: &Arc<Engine>, work: Work) {
    let address = Address::endpoint(work.app, work.endpoint);
    match engine.store.find(&address, engine.clock.now()).await {
        Ok(None) => drop(settle(engine, settlement(work, Verdict::Cancelled, None)).await),
        _ => engine.give_back((work.endpoint, work.message.id, work.trigger), work.lease).await,
    }
}

type Evidence<'a> = (AttemptId, &'a Route, Vec<(String, String)>, Outcome);

fn settlement(work: Work, verdict: Verdict, evidence: Option<Evidence<'_>>) -> Settlement {
    let Work { endpoint, app, message, trigger, lease, attempts, .. } = work;
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
    Settlement { msg: message.id, endpoint, app, trigger, lease, verdict, attempt, changes: Vec::new() }
}

/// Offers the result until the store takes it. A store that is closed ends it: the attempt is then made again at the next
/// start, which at-least-once allows.
async fn settle(engine: &Arc<Engine>, settlement: Settlement) -> Option<Delivery> {
    let settlement = Arc::new(settlement);
    loop {
        match engine.store.settle(settlement.clone()).await {
            Ok(Settled::Recorded(delivery)) => return Some(delivery),
            Ok(Settled::LeaseLost) => {
                tracing::warn!(endpoint = %settlement.endpoint, msg = %settlement.msg, "lease lost: result not recorded");
                return None;
            }
            Err(StoreError::Unavailable(_)) if engine.stopping() => return None,
            Err(error @ (StoreError::Unavailable(_) | StoreError::Full)) => {
                tracing::error!(%error, endpoint = %settlement.endpoint, msg = %settlement.msg, "result not recorded yet");
                tokio::time::sleep(STORE_PAUSE).await;
            }
            Err(error) => {
                tracing::error!(%error, endpoint = %settlement.endpoint, msg = %settlement.msg, "result not recorded");
                return None;
            }
        }
    }
}

fn queue_again(engine: &Arc<Engine>, delivery: &Delivery) {
    if let DeliveryState::Pending(due) = delivery.state {
        engine.note_due(delivery.endpoint, due);
    }
}
