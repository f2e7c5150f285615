//! Strict order: which recipients of a message get it behind what was accepted before with the same key, and attempts that
//! do not outlive the lease under which they began.

use super::{Draft, Engine};
use crate::{
    model::{EndpointId, Order, OrderKey, Outcome},
    routing::Route,
    store::Lease,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{cell::OnceCell, future::Future, pin::pin, sync::Arc, time::Duration};

/// How often it is looked whether the lease of an attempt in strict order stands still.
const LOOK: Duration = Duration::from_millis(100);

/// The recipients that get the message in strict order, each with its key.
pub(super) fn ordered(routes: &[&Arc<Route>], draft: &Draft) -> Vec<(EndpointId, OrderKey)> {
    let payload = OnceCell::new();
    let key = |order: &Order| match order {
        Order::Key => draft.ordering_key.as_deref().map(|key| digest("key", key)),
        Order::Payload { path } => {
            let payload = payload.get_or_init(|| serde_json::from_slice::<Value>(&draft.payload).unwrap_or_default());
            path.value(payload).map(|value| digest("payload", &value))
        }
        Order::All => Some(digest("all", "")),
    };
    routes.iter().filter_map(|route| Some((route.id, key(route.ordering.as_ref()?)?))).collect()
}

/// Keys of different origin are different keys.
fn digest(origin: &str, key: &str) -> OrderKey {
    let digest: [u8; 32] = Sha256::new().chain_update(origin).chain_update([0]).chain_update(key).finalize().into();
    OrderKey(digest.first_chunk().map_or(0, |half| u128::from_be_bytes(*half)))
}

/// The outcome of an attempt, unless its lease ends first: another process may begin the next delivery of the key then, and
/// nothing of this one is to come after it.
pub(super) async fn while_leased(engine: &Engine, lease: Lease, sending: impl Future<Output = Outcome>) -> Option<Outcome> {
    let mut sending = pin!(sending);
    loop {
        tokio::select! {
            outcome = &mut sending => return Some(outcome),
            () = tokio::time::sleep(LOOK) => {
                if !engine.store.stands(lease) {
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Endpoint, PayloadPath},
        routing::tests::{app, endpoint},
    };

    #[test]
    fn each_endpoint_says_what_it_wants_in_order() {
        let path = PayloadPath::parse("order.id").unwrap();
        let orders = [None, Some(Order::Key), Some(Order::Payload { path }), Some(Order::All)];
        let endpoints: Vec<Endpoint> =
            (1..).zip(orders).map(|(id, ordering)| Endpoint { ordering, ..endpoint(id, None, None) }).collect();
        let app = app(&endpoints);
        let routes: Vec<_> = app.routes.iter().collect();
        let of = |key: Option<&str>, payload: &'static str| {
            let draft = Draft { ordering_key: key.map(str::to_owned), payload: payload.into(), ..Draft::default() };
            ordered(&routes, &draft)
        };
        let ids = |key, payload| of(key, payload).iter().map(|(id, _)| id.0).collect::<Vec<_>>();
        assert_eq!(ids(None, "{}"), [4]);
        assert_eq!(ids(Some("a"), "no json"), [2, 4]);
        assert_eq!(ids(Some("a"), r#"{"order":{"id":7}}"#), [2, 3, 4]);
        assert_eq!(of(Some("a"), "{}"), of(Some("a"), "[]"));
        assert_ne!(of(Some("a"), "{}"), of(Some("b"), "{}"));
        let seven = of(None, r#"{"order":{"id":"7"}}"#);
        assert_eq!(seven, of(None, r#"{"more":1,"order":{"id":"7"}}"#));
        assert_ne!(seven, of(None, r#"{"order":{"id":7}}"#), "a text and a number are different values");
    }
}
