//! An event to try out one endpoint.

use super::{catalogue, home::Home};
use crate::{
    api::{Api, Problem, message::labels},
    flow::Draft,
    model::{Endpoint, Message},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use utoipa::ToSchema;

/// The type of an event for an endpoint that names no type but patterns.
const TEST: &str = "event.test";
/// The data of an event for which there is no example.
const DATA: &str = r#"{"test":true}"#;

/// The event to send.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Trial {
    /// Its type; the first that the webhook names unless given.
    #[serde(rename = "type")]
    pub(super) event_type: Option<String>,
    /// Its data; an example unless given.
    #[schema(value_type = Option<Object>)]
    pub(super) data: Option<Box<RawValue>>,
}

/// The event that is sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sent {
    /// Identifier; the log of the webhook names it.
    pub(super) event_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub(super) event_type: String,
}

/// The first type that an endpoint names in full.
fn first_type(endpoint: &Endpoint) -> Option<String> {
    endpoint.event_types.iter().flatten().find(|name| !name.contains(['*', ':'])).cloned()
}

/// Sends one endpoint, and no other, an event, whatever it subscribes to: with the data that is given, or with those of the
/// example of its type.
///
/// # Errors
/// The type is no name; the store is away.
pub(super) async fn send(api: &Arc<Api>, home: &Home, endpoint: &Endpoint, asked: Trial) -> Result<Arc<Message>, Problem> {
    let event_type = asked.event_type.or_else(|| first_type(endpoint)).unwrap_or_else(|| TEST.to_owned());
    labels::name(&["body", "type"], &event_type)?;
    let seed = catalogue::of(home.brand.system).iter().find(|seed| seed.name == event_type);
    let example = seed.and_then(|seed| seed.example.as_deref());
    let payload = Bytes::copy_from_slice(asked.data.as_deref().map(RawValue::get).or(example).unwrap_or(DATA).as_bytes());
    let draft = Draft { event_type, payload, only: Some(endpoint.id), ..Draft::default() };
    Ok(api.engine.accept(&home.app, draft, None).await?)
}
