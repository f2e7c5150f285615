//! Where deliveries stand: the messages attempted at an endpoint, and the endpoints of a message.

use super::{EndpointMessageOut, MessageEndpointOut, Standing, list::within, open, params::StatusParams};
use crate::{
    api::{
        Caller, Path, Query, Shared, endpoint,
        message::{self, Asked, Filter, MessageParams},
        page::{FixedPageQuery, ListResponse},
        problem::{Errors, Problem},
    },
    model::{EndpointId, MsgId},
};
use axum::extract::State;

/// The messages attempted at an endpoint at least once, newest first, each with its standing there.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/msg",
    operation_id = "v1.message-attempt.list-attempted-messages",
    tag = "Message Attempt",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
        FixedPageQuery,
        MessageParams,
        StatusParams,
    ),
    responses((status = 200, body = ListResponse<EndpointMessageOut>), Errors)
)]
pub(super) async fn list_attempted_messages(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
    Query(page): Query<FixedPageQuery>,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<ListResponse<EndpointMessageOut>>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let filter = Filter::new(asked)?;
    let endpoint = endpoint::find(&api, app, &endpoint).await?;
    let (page, mut scan) = open(&page, filter.bounds(), |id: MsgId| id.0)?;
    while let Some(chunk) = scan.next().await {
        let rows = api.engine.store.attempted(endpoint.id, chunk).await?;
        let count = rows.len();
        for delivery in rows {
            let standing = Standing::of(&api.engine, &delivery, endpoint.disabled.is_some());
            let message = match filter.admits_status(standing.status) {
                true => api.engine.store.message(app, delivery.msg).await?,
                false => None,
            };
            let bytes = message.as_ref().map_or(0, |message| message.payload.len());
            let wanted = message.filter(|message| filter.admits(message));
            let item = wanted.map(|message| EndpointMessageOut::new(&message, standing, &filter));
            if !scan.offer(delivery.msg.0, bytes, item) {
                break;
            }
        }
        scan.fetched(chunk, count);
    }
    Ok(axum::Json(scan.answer(&page, |message| message.id, MsgId)))
}

/// The endpoints that a message goes to, each with the message's standing there.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint",
    operation_id = "v1.message-attempt.list-attempted-destinations",
    tag = "Message Attempt",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
        FixedPageQuery,
    ),
    responses((status = 200, body = ListResponse<MessageEndpointOut>), Errors)
)]
pub(super) async fn list_attempted_destinations(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, msg)): Path<(String, String)>,
    Query(page): Query<FixedPageQuery>,
) -> Result<axum::Json<ListResponse<MessageEndpointOut>>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let message = message::find(&api, app, &msg).await?;
    let (page, mut scan) = open(&page, (0, u128::MAX), |id: EndpointId| id.0)?;
    while let Some(chunk) = scan.next().await {
        let rows = within(&message.endpoints, chunk, |endpoint| endpoint.0);
        for id in &rows {
            let delivery = api.engine.store.delivery(&message, *id).await?;
            let endpoint = endpoint::by_id(&api, app, *id).await?;
            let item = delivery.zip(endpoint).map(|(delivery, endpoint)| {
                let standing = Standing::of(&api.engine, &delivery, endpoint.disabled.is_some());
                MessageEndpointOut::new(endpoint, standing)
            });
            if !scan.offer(id.0, 0, item) {
                break;
            }
        }
        scan.fetched(chunk, rows.len());
    }
    Ok(axum::Json(scan.answer(&page, |endpoint| endpoint.id, EndpointId)))
}
