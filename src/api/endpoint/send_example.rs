//! `POST …/send-example`: sends an endpoint an example of an event type.

use super::{
    example::{NoExample, example},
    store,
};
use crate::{
    api::{
        Caller, Errors, Idempotent, Json, Path, Problem, Shared,
        body::to_text,
        message::{MessageOut, accept, labels},
    },
    flow::Draft,
};
use axum::{extract::State, http::StatusCode, response::Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// The event type of a test message that needs no catalogue, as the compatible clients' own screens send it.
const PING: &str = "svix.ping";

/// Which example to send.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventExampleIn {
    /// Name of the event type.
    #[schema(max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$")]
    event_type: String,
    /// Which of the schema's examples, from 0.
    #[schema(default = 0)]
    example_index: Option<usize>,
    /// A payload to send instead of an example.
    payload: Option<Map<String, Value>>,
}

/// Sends an endpoint an example of an event type, whatever it subscribes to: the one its schema names, or one made from
/// the schema.
#[utoipa::path(
    post,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/send-example",
    operation_id = "v1.endpoint.send-example",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    request_body = EventExampleIn,
    responses(Errors, (status = 200, description = "The message", body = MessageOut))
)]
pub(super) async fn send_example(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Path((app, endpoint)): Path<(String, String)>,
    body: Json<EventExampleIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let endpoint = store::find(&api, app.application.id, &endpoint).await?.id;
    let body = body.value;
    labels::name(&["body", "eventType"], &body.event_type)?;
    let payload = match body.payload {
        Some(payload) => Value::Object(payload),
        None if body.event_type == PING => json!({"success": true}),
        None => {
            let event_type = store::event_type(&api, app.application.org, &body.event_type).await?;
            let known = event_type.filter(|known| caller.shown(known.feature_flags.as_deref()));
            let known = known.ok_or_else(|| Problem::field(&["body", "eventType"], "unknown", "There is no such event type."))?;
            example(known.schemas.as_ref(), body.example_index.unwrap_or(0)).map_err(missing)?
        }
    };
    let payload = Bytes::from(to_text(&payload)?);
    if payload.len() > api.options.max_payload {
        return Err(Problem::TooLarge);
    }
    let draft = Draft { event_type: body.event_type, payload, only: Some(endpoint), ..Draft::default() };
    let result = accept(&api, &app, draft, &idempotent, (StatusCode::OK, true)).await;
    idempotent.settle(&api, result).await
}

fn missing(reason: NoExample) -> Problem {
    match reason {
        NoExample::NoSchema => {
            let rule = "The event type has no schema to make an example from; give it one, or send a `payload`.";
            Problem::field(&["body", "eventType"], "no_example", rule)
        }
        NoExample::OutOfRange(count) => {
            Problem::field(&["body", "exampleIndex"], "range", format!("The schema has {count} examples, counted from 0."))
        }
    }
}
