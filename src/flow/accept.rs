//! Accepting: a draft becomes a durable message with its deliveries, and those go to their lanes.

use super::Engine;
use crate::{
    model::{Answered, EndpointId, Message, MsgId, Time},
    routing::AppRoutes,
    store::StoreError,
};
use bytes::Bytes;
use std::sync::Arc;

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
    /// Only this endpoint gets it, whatever it subscribes to (an example, a test).
    pub only: Option<EndpointId>,
}

/// Makes the answer to be kept for the repetition of an idempotent request.
pub type Answer = Box<dyn FnOnce(&Message) -> Answered + Send>;

impl Engine {
    /// Makes the draft durable and starts its deliveries.
    ///
    /// # Errors
    /// As [`crate::store::Store::accept`]: an event id or an answer that exists already, a store that is full or away.
    pub async fn accept(
        self: &Arc<Self>,
        app: &AppRoutes,
        draft: Draft,
        answer: Option<Answer>,
    ) -> Result<Arc<Message>, StoreError> {
        let _ = (app, draft, answer, MsgId(0));
        Err(StoreError::Stale)
    }
}
