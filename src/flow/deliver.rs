//! Delivering: one attempt, from the routing table to the lane's report.

use super::{Engine, agreement, gone::Halt, ordering, record, retry, signing};
use crate::{
    lanes::{Report, Work},
    model::{AttemptId, Cause, Headers, Outcome, Verdict},
    routing::Route,
};
use std::sync::Arc;

/// Carries out one attempt: look up, sign, send, judge, record.
pub(super) async fn deliver(engine: &Arc<Engine>, work: Work) -> Report {
    let Some((app, route)) = engine.routing.endpoint(work.endpoint) else {
        Box::pin(record::withdraw(engine, work)).await;
        return Report::None;
    };
    if route.disabled.is_some() {
        Box::pin(engine.hold(vec![work])).await;
        return Report::None;
    }
    let begun = engine.clock.now();
    if !engine.store.stands(work.lease) {
        // Others may be at it: what is sent now would be sent twice.
        Box::pin(engine.hold(vec![work])).await;
        return Report::None;
    }
    if work.message.expunged {
        Box::pin(undeliverable(engine, work, Outcome::failed(Cause::Expunged, ""))).await;
        // That says nothing of the endpoint.
        return Report::None;
    }
    if route.profile.handshake.is_some()
        && let Err(refused) = Box::pin(agreement::ask(engine, &route)).await
    {
        return Box::pin(undeliverable(engine, work, refused)).await;
    }
    let request = match signing::request(&app, &route, &work.message, (engine.clock.wall(), work.attempts + 1)) {
        Ok(request) => request,
        Err(refusal) => {
            let outcome = Outcome::failed(Cause::Unsigned, refusal.to_string());
            return Box::pin(undeliverable(engine, work, outcome)).await;
        }
    };
    // Drawn before the request is sent: ids only go up, and this one carries the time of the start.
    let attempt = AttemptId(engine.random.id(begun));
    let sent = record::sent_headers(&request, &route);
    let timeout = route.profile.timeout.unwrap_or(engine.settings.attempt_timeout);
    let sending = route.sending.send(&engine.outbound, request, timeout);
    let outcome = match work.message.order(work.endpoint) {
        None => sending.await,
        Some(_) => match Box::pin(ordering::while_leased(engine, work.lease, sending)).await {
            Some(outcome) => outcome,
            None => {
                Box::pin(engine.hold(vec![work])).await;
                return Report::None;
            }
        },
    };
    let verdict = judge(engine, &route, &work, &outcome);
    let report = if outcome.succeeded() { Report::Good(outcome.phases.total_us) } else { Report::Bad };
    let halt = Halt::after(engine, (&work, &route), &outcome);
    record::room(engine).await.record(record::Made { work, route, attempt, sent, outcome, verdict, halt });
    report
}

/// An attempt that panicked counts as failed, visibly: a defect of ours must not hide a delivery.
pub(super) async fn broke(engine: &Arc<Engine>, work: Work) -> Report {
    tracing::error!(endpoint = %work.endpoint, msg = %work.message.id, "an attempt panicked");
    undeliverable(engine, work, Outcome::failed(Cause::Internal, "")).await
}

/// An attempt that ends before the message is sent.
async fn undeliverable(engine: &Arc<Engine>, work: Work, outcome: Outcome) -> Report {
    if let Some((_, route)) = engine.routing.endpoint(work.endpoint) {
        let verdict = judge(engine, &route, &work, &outcome);
        let attempt = AttemptId(engine.random.id(engine.clock.now()));
        let made = record::Made { work, route, attempt, sent: Headers::default(), outcome, verdict, halt: None };
        record::room(engine).await.record(made);
    }
    Report::Bad
}

fn judge(engine: &Engine, route: &Route, work: &Work, outcome: &Outcome) -> Verdict {
    let policy = route.retry_policy.as_deref().unwrap_or(&engine.settings.retry_policy);
    let rules = retry::Rules { policy, finals: &route.profile.finals, gone_is_final: route.profile.disable_on_gone };
    let chance = if outcome.succeeded() { 0.0 } else { engine.random.unit() };
    let now = engine.clock.now();
    let verdict = retry::judge(outcome, rules, (work.trigger, work.failed), now, chance);
    retry::sooner(verdict, now, engine.settings.retry_speed)
}
