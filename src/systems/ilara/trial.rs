//! `/v1/integrations/webhooks/{id}/test`: sends a webhook an event to try it out.

use super::{CATALOGUE, Home, event_id, find};
use crate::{
    api::{
        Path, Problem, Shared,
        body::{RawJson, parse_json},
        message::labels,
    },
    flow::Draft,
    model::Endpoint,
    systems::form::Refusals,
};
use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// The type of the event when the webhook names no type but patterns.
const TEST: &str = "event.test";
/// The data of an event for which there is no example.
const DATA: &str = r#"{"test":true}"#;

/// The event to send.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = TestIn)]
#[serde(default, deny_unknown_fields)]
struct TestIn {
    /// Its type; the first of the webhook's own unless given.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// Its data; an example unless given.
    #[schema(value_type = Option<Object>)]
    data: Option<Box<RawValue>>,
}

/// The event that is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Test)]
pub(super) struct TestOut {
    /// Identifier; the log of the webhook names it.
    event_id: String,
    /// Its type.
    #[serde(rename = "type")]
    event_type: String,
}

/// Sends the webhook, and no other, an event, whatever its events and filters say. Its log shows what comes of it.
#[utoipa::path(
    post,
    path = "/v1/integrations/webhooks/{id}/test",
    operation_id = "testWebhook",
    tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`")),
    request_body = Option<TestIn>,
    responses(Refusals, (status = 202, description = "The event", body = TestOut))
)]
pub(super) async fn test(
    State(api): State<Shared>,
    Home(app): Home,
    Path(id): Path<String>,
    RawJson(bytes): RawJson,
) -> Result<(StatusCode, axum::Json<TestOut>), Problem> {
    let endpoint = find(&api, &app, &id).await?;
    let asked: TestIn = if bytes.is_empty() { TestIn::default() } else { parse_json(&bytes)? };
    let event_type = asked.event_type.unwrap_or_else(|| first_type(&endpoint));
    labels::name(&["body", "type"], &event_type)?;
    let example = CATALOGUE.iter().find(|seed| seed.name == event_type).map(|seed| seed.example);
    let data = asked.data.as_ref().map(|data| data.get()).or(example).unwrap_or(DATA);
    let payload = bytes::Bytes::copy_from_slice(data.as_bytes());
    let draft = Draft { event_type: event_type.clone(), payload, only: Some(endpoint.id), ..Draft::default() };
    let message = api.engine.accept(&app, draft, None).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(TestOut { event_id: event_id(message.id), event_type })))
}

/// The first type that the webhook names in full.
fn first_type(endpoint: &Endpoint) -> String {
    let named = endpoint.event_types.iter().flatten().find(|name| !name.contains('*'));
    named.cloned().unwrap_or_else(|| TEST.to_owned())
}
