//! A message: one event with its payload, kept as the exact bytes received.

use super::{AppId, EndpointId, MsgId, OrderKey, OrgId, Origin, Time};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One event with its payload. Its creation time is its id's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Identifier; carries the creation time.
    pub id: MsgId,
    /// The application it was posted to.
    pub app: AppId,
    /// Owner of the application.
    pub org: OrgId,
    /// Name of its event type.
    pub event_type: String,
    /// The producer's own id, unique in the application.
    pub event_id: Option<String>,
    /// Its channels.
    pub channels: Vec<String>,
    /// Its tags, for search.
    pub tags: Vec<String>,
    /// Not to be delivered before. `None`: at once.
    pub deliver_at: Option<Time>,
    /// When its payload is deleted. `None`: with the message, after the default retention.
    pub payload_expires_at: Option<Time>,
    /// The endpoints it matched when it was accepted, in the order of their ids.
    pub endpoints: Vec<EndpointId>,
    /// The exact bytes received; empty once expunged.
    pub payload: Bytes,
    /// Whether the payload was deleted before the message.
    pub expunged: bool,
    /// Where it came from, if a source received it; its payload can then be of any content type.
    pub origin: Option<Arc<Origin>>,
    /// What its producer wants it to be kept in order with: messages with the same key.
    pub ordering_key: Option<String>,
    /// Those of `endpoints` that get it in strict order, each with the key within which the order holds.
    pub ordered: Vec<(EndpointId, OrderKey)>,
}

impl Message {
    /// Within which key this endpoint gets it in strict order; `None`: it goes whenever it is due.
    #[must_use]
    pub fn order(&self, endpoint: EndpointId) -> Option<OrderKey> {
        self.ordered.iter().find(|(ordered, _)| *ordered == endpoint).map(|(_, key)| *key)
    }

    /// When its first attempts are due.
    #[must_use]
    pub fn first_due(&self) -> Time {
        self.deliver_at.unwrap_or_else(|| self.id.time())
    }
}
