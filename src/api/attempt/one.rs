//! One attempt: read it, delete its answer; and ask for another one.

use super::{MessageAttemptOut, list::attempts_of};
use crate::{
    api::{
        Caller, Idempotent, Path, Query, Shared, endpoint, message,
        problem::{Errors, Problem},
    },
    model::{AttemptId, AuditAction, EndpointId, Message},
    store::{Expunge, Requeue},
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// An answer that says nothing: `{}`.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::api) struct EmptyResponse {}

/// What a client knows of statuses.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is checked, and makes no difference")]
pub(super) struct ExpandedQuery {
    /// No attempt is ever `canceled`: makes no difference.
    #[param(default = false)]
    expanded_statuses: Option<bool>,
}

/// An attempt, with its headers and its timing.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}",
    operation_id = "v1.message-attempt.get",
    tag = "Message Attempt",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
        ("attempt_id" = String, Path, description = "The attempt's id"),
        ExpandedQuery,
    ),
    responses((status = 200, body = MessageAttemptOut), Errors)
)]
pub(super) async fn get_attempt(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, msg, attempt)): Path<(String, String, String)>,
    _makes_no_difference: Query<ExpandedQuery>,
) -> Result<axum::Json<MessageAttemptOut>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let message = message::find(&api, app, &msg).await?;
    let (id, endpoint) = find(&api, &message, &attempt).await?;
    let attempt = api.engine.store.attempt(endpoint, id).await?;
    Ok(axum::Json(MessageAttemptOut::whole(attempt.ok_or_else(|| Problem::not_found("attempt"))?)))
}

/// Deletes the answer's body that an attempt has kept.
#[utoipa::path(
    delete,
    path = "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content",
    operation_id = "v1.message-attempt.expunge-content",
    tag = "Message Attempt",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
        ("attempt_id" = String, Path, description = "The attempt's id"),
    ),
    responses((status = 204), Errors)
)]
pub(super) async fn expunge_attempt(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, msg, attempt)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?.application.id;
    let message = message::find(&api, app, &msg).await?;
    let (id, endpoint) = find(&api, &message, &attempt).await?;
    api.engine.note(AuditAction::Deleted, "attempt_content", Some((app, id.to_string()))).await?;
    match api.engine.store.expunge(Expunge::AnswerBody(endpoint, id)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("attempt")),
    }
}

async fn find(api: &Shared, message: &Message, attempt: &str) -> Result<(AttemptId, EndpointId), Problem> {
    let id: AttemptId = attempt.parse().map_err(|_| Problem::not_found("attempt"))?;
    let attempts = attempts_of(api, message, None).await?;
    attempts.into_iter().find(|(one, _)| *one == id).ok_or_else(|| Problem::not_found("attempt"))
}

/// Asks for one more attempt of a message at an endpoint, whatever came of the earlier ones. The automatic attempts that
/// are left stay as they are. At a disabled endpoint it waits until the endpoint is enabled.
#[utoipa::path(
    post,
    path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend",
    operation_id = "v1.message-attempt.resend",
    tag = "Message Attempt",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    responses((status = 202, body = EmptyResponse), Errors)
)]
pub(super) async fn resend(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Path((app, msg, endpoint)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?.application.id;
    if let Some(answer) = idempotent.begin(&api, &[]).await? {
        return Ok(answer);
    }
    let message = message::find(&api, app, &msg).await?;
    let endpoint = endpoint::find(&api, app, &endpoint).await?.id;
    if message.expunged {
        return Err(Problem::conflict("The message's payload was deleted: there is nothing to send."));
    }
    if api.engine.store.delivery(&message, endpoint).await?.is_none() {
        return Err(Problem::not_found("delivery of this message to this endpoint"));
    }
    api.engine.note(AuditAction::Created, "resend", Some((app, format!("{}/{endpoint}", message.id)))).await?;
    api.engine.requeue(app, endpoint, Requeue::Once(message.id)).await?;
    idempotent.commit(&api, Vec::new(), StatusCode::ACCEPTED, &EmptyResponse {}).await
}
