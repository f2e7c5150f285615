//! Delivering: one attempt, from the routing table to the lane's report.

use super::{Engine, record, retry, signing};
use crate::{
    lanes::{Report, Work},
    model::{AttemptId, Cause, Headers, Outcome, Verdict},
    routing::{AppRoutes, Route},
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
    if work.message.expunged {
        return Box::pin(undeliverable(engine, work, Cause::Expunged)).await;
    }
    let request = signing::request(&app, &route, &work.message, begun);
    let sent = record::sent_headers(&request, &route);
    let outcome = engine.outbound.send(&route.target, request, engine.settings.attempt_timeout).await;
    let verdict = judge(engine, &app, &route, &work, &outcome);
    let report = if outcome.succeeded() { Report::Good(outcome.phases.total_us) } else { Report::Bad };
    let attempt = AttemptId(engine.random.id(begun));
    record::room(engine).await.record(record::Made { work, route, attempt, sent, outcome, verdict });
    report
}

/// An attempt that panicked counts as failed, visibly: a defect of ours must not hide a delivery.
pub(super) async fn broke(engine: &Arc<Engine>, work: Work) -> Report {
    tracing::error!(endpoint = %work.endpoint, msg = %work.message.id, "an attempt panicked");
    undeliverable(engine, work, Cause::Internal).await
}

/// An attempt that ends before anything is sent.
async fn undeliverable(engine: &Arc<Engine>, work: Work, cause: Cause) -> Report {
    if let Some((app, route)) = engine.routing.endpoint(work.endpoint) {
        let outcome = Outcome::failed(cause, "");
        let verdict = judge(engine, &app, &route, &work, &outcome);
        let attempt = AttemptId(engine.random.id(engine.clock.now()));
        let made = record::Made { work, route, attempt, sent: Headers::default(), outcome, verdict };
        record::room(engine).await.record(made);
    }
    Report::Bad
}

fn judge(engine: &Engine, app: &AppRoutes, route: &Route, work: &Work, outcome: &Outcome) -> Verdict {
    let policy = route.retry_policy.as_deref().or(app.application.retry_policy.as_ref()).unwrap_or(&engine.settings.retry_policy);
    let chance = if outcome.succeeded() { 0.0 } else { engine.random.unit() };
    retry::judge(outcome, policy, (work.trigger, work.failed), engine.clock.now(), chance)
}
