//! Agreements: receivers whose profile wants it are asked, before the first delivery, whether they agree to deliveries.
//!
//! Who has agreed is remembered in memory only: the question may be asked again at any time.

use super::{
    Engine,
    signing::{ALLOWED_ORIGIN, agrees, question},
};
use crate::{
    model::{Cause, EndpointId, Outcome},
    routing::Route,
};
use parking_lot::RwLock;
use std::{collections::HashMap, sync::Arc};

/// Endpoints that are remembered at most; beyond that, all are asked again.
const MAX_REMEMBERED: usize = 100_000;

/// The URLs of endpoints that have agreed, and to whom.
#[derive(Debug, Default)]
pub(super) struct Agreements(RwLock<HashMap<EndpointId, (Arc<str>, http::HeaderValue)>>);

impl Agreements {
    fn has(&self, route: &Route, origin: &http::HeaderValue) -> bool {
        self.0.read().get(&route.id).is_some_and(|(url, agreed)| *url == route.url && agreed == origin)
    }

    fn put(&self, route: &Route, origin: &http::HeaderValue) {
        let mut agreed = self.0.write();
        if agreed.len() >= MAX_REMEMBERED {
            agreed.clear();
        }
        agreed.insert(route.id, (route.url.clone(), origin.clone()));
    }
}

/// Asks the receiver, unless its profile does not want that or it has agreed already.
///
/// # Errors
/// The outcome of an attempt that ends here: the receiver does not agree, or does not answer.
pub(super) async fn ask(engine: &Engine, route: &Route) -> Result<(), Outcome> {
    let Some(origin) = &route.profile.handshake else { return Ok(()) };
    if engine.agreements.has(route, origin) {
        return Ok(());
    }
    let Some(question) = question(route) else { return Ok(()) };
    let timeout = route.profile.timeout.unwrap_or(engine.settings.attempt_timeout);
    let outcome = route.sending.send(&engine.outbound, question, timeout).await;
    let allowed = outcome.headers.iter().find(|(name, _)| *name == ALLOWED_ORIGIN).map(|(_, value)| value);
    if outcome.succeeded() && agrees(route, allowed) {
        engine.agreements.put(route, origin);
        return Ok(());
    }
    if outcome.status.is_none() {
        let detail = format!("asking whether the receiver agrees (OPTIONS): {}", outcome.cause.sentence());
        return Err(Outcome { detail, ..outcome });
    }
    let said = match (outcome.succeeded(), allowed) {
        (false, _) => format!("it answered {}", outcome.status.unwrap_or_default()),
        (true, None) => "its answer has no WebHook-Allowed-Origin".to_owned(),
        (true, Some(_)) => "its WebHook-Allowed-Origin names another".to_owned(),
    };
    let detail = format!("OPTIONS with the origin {}: {said}", origin.to_str().unwrap_or_default());
    Err(Outcome { cause: Cause::NotAgreed, detail, ..outcome })
}
