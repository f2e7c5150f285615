//! `POST …/msg`: the hot path. One parse, no read from the store, one commit.

use super::{Asked, ContentParam, Filter, MessageOut, body::Body, inline, labels};
use crate::{
    api::{
        Api, Caller, Errors, Idempotent, Path, Problem, Query, Shared,
        application::ApplicationIn,
        body::{RawJson, json_text},
        limits::{self, Limits},
    },
    flow::{Actor, Draft, Mark},
    model::{Message, Record, Scope},
    routing::AppRoutes,
    store::StoreError,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::{json, value::RawValue};
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// A new message, for the description of the API. [`Body`] reads it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body that is parsed without copying its payload")]
pub(super) struct MessageIn {
    /// Name of its event type.
    #[schema(max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$")]
    event_type: String,
    /// Any JSON value, sent as the exact bytes that came.
    #[schema(value_type = Object)]
    payload: serde_json::Value,
    /// The producer's own id, unique in the application: a second message with it is refused.
    #[schema(max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$")]
    event_id: Option<String>,
    /// Channels that endpoints can filter by.
    #[schema(max_items = 10)]
    channels: Option<Vec<String>>,
    /// Tags to search by.
    #[schema(max_items = 5)]
    tags: Option<Vec<String>>,
    /// Makes the application that the path names, if there is none.
    application: Option<ApplicationIn>,
    /// Not to be delivered before; at most 90 days ahead.
    #[schema(format = DateTime)]
    deliver_at: Option<String>,
    /// What it is kept in order with: an endpoint that is ordered by key gets messages with the same key one after the other. Not in
    /// the compatible contract.
    #[schema(min_length = 1, max_length = 256)]
    ordering_key: Option<String>,
    /// Days for which the payload is kept.
    #[schema(minimum = 1, maximum = 90, default = 90)]
    payload_retention_period: Option<i64>,
    /// Hours for which the payload is kept, instead of days.
    #[schema(minimum = 1, maximum = 2160)]
    payload_retention_hours: Option<i64>,
    /// Only `rawPayload` is supported: a text that is JSON, sent instead of the payload.
    transformations_params: Option<BTreeMap<String, serde_json::Value>>,
}

/// The rules of [`Body`], for the description of the API.
pub(in crate::api) fn limits() -> Limits {
    let raw = json!({ "type": "string", "contentMediaType": "application/json" });
    let transformation = json!({ "additionalProperties": false, "required": ["rawPayload"], "properties": { "rawPayload": raw } });
    let preview = json!({ "eventType": limits::name(), "eventId": limits::name(), "attempt": limits::range(1_u64, u32::MAX), "payload": limits::any() });
    let message = json!({
        "eventType": limits::name(),
        "payload": limits::any(),
        "eventId": limits::name(),
        "channels": { "items": labels::channel_limits() },
        "tags": { "items": labels::tag_limits() },
        "transformationsParams": transformation,
    });
    vec![("MessageIn", message), ("PreviewMessage", preview)]
}

/// Accepts a message. It is durable when the answer arrives.
#[utoipa::path(
    post,
    path = "/api/v1/app/{app_id}/msg",
    operation_id = "v1.message.create",
    tag = "Message",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
        ContentParam,
    ),
    request_body = MessageIn,
    responses(Errors, (status = 202, description = "Accepted", body = MessageOut))
)]
pub(in crate::api) async fn create(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    target: (Path<String>, Query<Asked>),
    RawJson(bytes): RawJson,
) -> Result<Response, Problem> {
    caller.manage()?;
    let (Path(app), Query(asked)) = target;
    if let Some(answer) = idempotent.begin(&api, &bytes).await? {
        return Ok(answer);
    }
    let with_content = Filter::new(asked)?.with_content;
    let body = Body::parse(&bytes)?;
    let given = body.application;
    let draft = body.into_draft(&bytes, api.engine.clock.now(), api.options.max_payload)?;
    if api.engine.routing.is_reserved(caller.org, &draft.event_type) {
        let rule = format!("The event type {} is reserved: it may be subscribed to, and is not sent yet.", draft.event_type);
        return Err(Problem::field(&["body", "eventType"], "reserved", rule));
    }
    // The last of all: what is refused makes no application.
    let app = application(&api, &caller, &app, given).await?;
    let result = accept(&api, &app, draft, &idempotent, (StatusCode::ACCEPTED, with_content)).await;
    idempotent.settle(&api, result).await
}

/// The application, made if the body brings it.
async fn application(api: &Api, caller: &Caller, id_or_uid: &str, given: Option<&RawValue>) -> Result<Arc<AppRoutes>, Problem> {
    let given = given.map(inline::read).transpose()?;
    match (caller.application(api, id_or_uid).await, given) {
        (Err(Problem::NotFound(_)), Some(given)) => {
            // To send is not to make applications.
            caller.holds(Scope::Manage)?;
            let made = async {
                caller.asks();
                inline::create(api, caller.org, id_or_uid, given).await
            };
            // This route goes past the layer that knows who asks.
            Actor::at(None).answering(made).await?;
            caller.application(api, id_or_uid).await
        }
        (found, _) => found,
    }
}

/// Accepts a draft and answers with the message; with an idempotency key, the answer is stored in the same commit.
///
/// # Errors
/// The event id is taken; the answer is there already; the store is full or away.
pub(in crate::api) async fn accept(
    api: &Api,
    app: &AppRoutes,
    draft: Draft,
    idempotent: &Idempotent,
    (status, with_content): (StatusCode, bool),
) -> Result<Response, Problem> {
    let text = move |message: &Message| MessageOut::text(message, with_content);
    let answer = idempotent.keyed().cloned().map(|keyed| -> Mark {
        Box::new(move |message| Record::Answered(keyed.answered(status, text(message).unwrap_or_default())))
    });
    let message = api.engine.accept(app, draft, answer).await.map_err(|error: StoreError| Problem::from(error))?;
    text(&message).map(|text| json_text(status, text)).map_err(|_| Problem::Internal)
}
