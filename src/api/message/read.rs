//! Reading messages, and deleting their payloads.

use super::{Asked, ContentParam, Filter, MessageOut, MessageParams};
use crate::{
    api::{
        Caller, Path, Query, Shared,
        attempt::open,
        page::{FixedPageQuery, ListResponse},
        problem::{Errors, Problem},
    },
    model::{AppId, AuditAction, Message, MsgId},
    store::Expunge,
};
use axum::{extract::State, http::StatusCode};

/// The message with this id or event id.
///
/// # Errors
/// There is none; the store is away.
pub(in crate::api) async fn find(api: &Shared, app: AppId, id_or_event_id: &str) -> Result<Message, Problem> {
    let found = match id_or_event_id.parse::<MsgId>() {
        Ok(id) => api.engine.store.message(app, id).await?,
        Err(_) => api.engine.store.message_by_event_id(app, id_or_event_id).await?,
    };
    found.ok_or_else(|| Problem::not_found("message"))
}

/// The messages of an application, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/msg",
    operation_id = "v1.message.list",
    tag = "Message",
    params(("app_id" = String, Path, description = "The application's id or uid"), FixedPageQuery, MessageParams),
    responses((status = 200, body = ListResponse<MessageOut>), Errors)
)]
pub(super) async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Path(app): Path<String>,
    Query(page): Query<FixedPageQuery>,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<ListResponse<MessageOut>>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let filter = Filter::new(asked)?;
    let (page, mut scan) = open(&page, filter.bounds(), |id: MsgId| id.0)?;
    while let Some(chunk) = scan.next().await {
        let rows = api.engine.store.messages(app, chunk).await?;
        let count = rows.len();
        for message in rows {
            let item = filter.admits(&message).then(|| MessageOut::new(&message, filter.with_content));
            if !scan.offer(message.id.0, message.payload.len(), item) {
                break;
            }
        }
        scan.fetched(chunk, count);
    }
    Ok(axum::Json(scan.answer(&page, |message| message.id, MsgId)))
}

/// A message.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/msg/{msg_id}",
    operation_id = "v1.message.get",
    tag = "Message",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
        ContentParam,
    ),
    responses((status = 200, body = MessageOut), Errors)
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, msg)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<MessageOut>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let with_content = Filter::new(asked)?.with_content;
    Ok(axum::Json(MessageOut::new(&find(&api, app, &msg).await?, with_content)))
}

/// Deletes a message's payload. The message stays, and cannot be sent again.
#[utoipa::path(
    delete,
    path = "/api/v1/app/{app_id}/msg/{msg_id}/content",
    operation_id = "v1.message.expunge-content",
    tag = "Message",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
    ),
    responses((status = 204), Errors)
)]
pub(super) async fn expunge(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, msg)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    caller.manage()?;
    let app = caller.application(&api, &app).await?.application.id;
    let message = find(&api, app, &msg).await?;
    api.engine.note(AuditAction::Deleted, "message_content", Some((app, message.id.to_string()))).await?;
    match api.engine.store.expunge(Expunge::Payload(app, message.id)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("message")),
    }
}
