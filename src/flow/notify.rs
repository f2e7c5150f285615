//! Operational messages: what happens to an organization's endpoints, sent by this same engine to the operator's own
//! application (its uid is [`OPERATIONAL_UID`]; without it nothing is sent). What happens to that application's own
//! endpoints is not told, or a failing one would feed on itself.

use super::{Draft, Engine, record::Glance};
use crate::{
    model::{Delivery, DeliveryState, DisabledBy, Endpoint, OPERATIONAL_UID, OrgId, Time, Trigger, Verdict},
    routing::{AppRoutes, Route},
    store::{Conflict, StoreError},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// A message is told to be failing after so many scheduled attempts.
const FAILING_AFTER: u32 = 4;

/// Tells what an attempt changed: failing, exhausted, recovered.
pub(super) async fn after(engine: &Arc<Engine>, route: &Route, delivery: &Delivery, glance: Glance) {
    let Some(kind) = change_of(delivery, glance) else { return };
    let Some((operator, app)) = audience(engine, route) else { return };
    let event_id = engine.store.message(route.app, delivery.msg).await.ok().flatten().and_then(|m| m.event_id);
    let data = json!({
        "appId": route.app, "appUid": app.application.uid, "endpointId": route.id,
        "msgId": delivery.msg, "msgEventId": event_id,
        "lastAttempt": {
            "id": glance.attempt, "timestamp": glance.attempt.time().to_string(),
            "responseStatusCode": glance.status.unwrap_or(0),
        },
    });
    send(engine, &operator, kind, data).await;
}

/// Whether an attempt changed anything that is told.
pub(super) fn is_told(delivery: &Delivery, glance: Glance) -> bool {
    change_of(delivery, glance).is_some()
}

fn change_of(delivery: &Delivery, glance: Glance) -> Option<&'static str> {
    if delivery.state == DeliveryState::Cancelled {
        return None;
    }
    let scheduled = glance.trigger == Trigger::Scheduled;
    match glance.verdict {
        Verdict::Delivered if delivery.failed >= FAILING_AFTER => Some("message.attempt.recovered"),
        Verdict::Exhausted if scheduled => Some("message.attempt.exhausted"),
        Verdict::Retry(_) if scheduled && delivery.failed == FAILING_AFTER => Some("message.attempt.failing"),
        _ => None,
    }
}

/// Tells that an endpoint will be disabled if it goes on failing.
pub(super) async fn will_be_disabled(engine: &Arc<Engine>, route: &Route, since: Time, at: Time) {
    let Some((operator, app)) = audience(engine, route) else { return };
    let data = json!({
        "appId": route.app, "appUid": app.application.uid, "endpointId": route.id,
        "failSince": since.to_string(), "disableAt": at.to_string(),
    });
    send(engine, &operator, "endpoint.failing", data).await;
}

/// Tells that an endpoint was disabled.
pub(super) async fn disabled(engine: &Arc<Engine>, route: &Route, since: Time, by: DisabledBy) {
    let Some((operator, app)) = audience(engine, route) else { return };
    let data = json!({
        "appId": route.app, "appUid": app.application.uid, "endpointId": route.id,
        "failSince": since.to_string(), "reason": by, "trigger": "automatic",
    });
    send(engine, &operator, "endpoint.disabled", data).await;
}

/// Tells that an endpoint was created, updated or deleted.
pub(super) async fn configured(engine: &Arc<Engine>, kind: &str, endpoint: &Endpoint) {
    let Some(app) = engine.routing.by_id(endpoint.app) else { return };
    let Some(operator) = operator(engine, &app) else { return };
    let data = json!({
        "appId": endpoint.app, "appUid": app.application.uid, "endpointId": endpoint.id, "endpointUid": endpoint.uid,
    });
    send(engine, &operator, kind, data).await;
}

impl Engine {
    /// Tells an organization's operator something, once for each `id`; `false` when there is nobody to be told.
    ///
    /// # Errors
    /// As [`Engine::accept`], but for an id that was told already.
    pub async fn tell_operator(self: &Arc<Self>, org: OrgId, (kind, id): (&str, String), data: Value) -> Result<bool, StoreError> {
        let Some(operator) = self.routing.app(org, OPERATIONAL_UID).filter(|app| !app.routes.is_empty()) else { return Ok(false) };
        let payload = json!({ "type": kind, "data": data }).to_string().into();
        let draft = Draft { event_type: kind.to_owned(), event_id: Some(id), payload, ..Draft::default() };
        match self.accept(&operator, draft, None).await {
            Ok(_) | Err(StoreError::Conflict(Conflict::EventId)) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn audience(engine: &Engine, route: &Route) -> Option<(Arc<AppRoutes>, Arc<AppRoutes>)> {
    let app = engine.routing.by_id(route.app)?;
    Some((operator(engine, &app)?, app))
}

fn operator(engine: &Engine, about: &AppRoutes) -> Option<Arc<AppRoutes>> {
    let operator = engine.routing.app(about.application.org, OPERATIONAL_UID)?;
    (operator.application.id != about.application.id && !operator.routes.is_empty()).then_some(operator)
}

async fn send(engine: &Arc<Engine>, operator: &AppRoutes, kind: &str, data: Value) {
    let payload = json!({ "type": kind, "data": data }).to_string().into();
    let draft = Draft { event_type: kind.to_owned(), payload, ..Draft::default() };
    if let Err(error) = engine.accept(operator, draft, None).await {
        tracing::error!(%error, kind, "operational message not sent");
    }
}
