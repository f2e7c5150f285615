//! Lists of attempts: of an endpoint, and of a message.

use super::{
    MessageAttemptOut, open,
    params::{CodeParam, EndpointParam, StatusParams, WithMsgParam},
};
use crate::{
    api::{
        Caller, Path, Query, Shared, endpoint,
        message::{self, Asked, Filter, MessageParams},
        page::{FixedPageQuery, ListResponse},
        problem::{Errors, Problem},
    },
    model::{AppId, Attempt, AttemptId, EndpointId, Message, MsgId},
    store::{Store, Window},
};
use axum::extract::State;
use std::collections::HashMap;

/// The messages of the attempts that one request looks at, without their payloads.
struct Messages<'a> {
    store: &'a dyn Store,
    app: AppId,
    seen: HashMap<MsgId, Option<Message>>,
}

impl Messages<'_> {
    /// The message and the bytes that were read to get it.
    async fn get(&mut self, id: MsgId) -> Result<(Option<&Message>, usize), Problem> {
        let mut read = 0;
        if !self.seen.contains_key(&id) {
            let mut message = self.store.message(self.app, id).await?;
            if let Some(message) = &mut message {
                read = std::mem::take(&mut message.payload).len();
            }
            self.seen.insert(id, message);
        }
        Ok((self.seen.get(&id).and_then(Option::as_ref), read))
    }
}

/// The attempts of an endpoint, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/attempt/endpoint/{endpoint_id}",
    operation_id = "v1.message-attempt.list-by-endpoint",
    tag = "Message Attempt",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
        FixedPageQuery,
        MessageParams,
        StatusParams,
        CodeParam,
        WithMsgParam,
    ),
    responses((status = 200, body = ListResponse<MessageAttemptOut>), Errors)
)]
pub(super) async fn list_by_endpoint(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
    Query(page): Query<FixedPageQuery>,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<ListResponse<MessageAttemptOut>>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let filter = Filter::new(asked)?;
    let endpoint = endpoint::find(&api, app, &endpoint).await?.id;
    let store = &*api.engine.store;
    let mut messages = Messages { store, app, seen: HashMap::new() };
    let (page, mut scan) = open(&page, filter.attempt_bounds(), |id: AttemptId| id.0)?;
    while let Some(chunk) = scan.next().await {
        let rows = store.attempts(endpoint, chunk).await?;
        let count = rows.len();
        for attempt in rows {
            let (item, bytes) = judge(&attempt, &filter, &mut messages).await?;
            if !scan.offer(attempt.id.0, bytes, item) {
                break;
            }
        }
        scan.fetched(chunk, count);
    }
    Ok(axum::Json(scan.answer(&page, |attempt| attempt.id, AttemptId)))
}

/// What is shown of an attempt, if anything, and the bytes that it took to find out.
async fn judge(
    attempt: &Attempt,
    filter: &Filter,
    messages: &mut Messages<'_>,
) -> Result<(Option<MessageAttemptOut>, usize), Problem> {
    let body = attempt.outcome.body.len();
    if !filter.admits_attempt(attempt) {
        return Ok((None, body));
    }
    if !filter.asks_about_messages() && !filter.with_msg {
        return Ok((Some(MessageAttemptOut::listed(attempt, filter.with_content, None)), body));
    }
    let (message, read) = messages.get(attempt.msg).await?;
    let wanted = !filter.asks_about_messages() || message.is_some_and(|message| filter.admits(message));
    let shown = message.filter(|_| filter.with_msg);
    Ok((wanted.then(|| MessageAttemptOut::listed(attempt, filter.with_content, shown)), body + read))
}

/// The attempts of a message, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/attempt/msg/{msg_id}",
    operation_id = "v1.message-attempt.list-by-msg",
    tag = "Message Attempt",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("msg_id" = String, Path, description = "The message's id or event id"),
        FixedPageQuery,
        MessageParams,
        StatusParams,
        CodeParam,
        EndpointParam,
    ),
    responses((status = 200, body = ListResponse<MessageAttemptOut>), Errors)
)]
pub(super) async fn list_by_msg(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, msg)): Path<(String, String)>,
    Query(page): Query<FixedPageQuery>,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<ListResponse<MessageAttemptOut>>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let filter = Filter::new(asked)?;
    let message = message::find(&api, app, &msg).await?;
    let only = match &filter.endpoint {
        Some(endpoint) => Some(endpoint::find(&api, app, endpoint).await?.id),
        None => None,
    };
    let (page, mut scan) = open(&page, filter.attempt_bounds(), |id: AttemptId| id.0)?;
    let ids = if filter.admits(&message) { attempts_of(&api, &message, only).await? } else { Vec::new() };
    while let Some(chunk) = scan.next().await {
        let rows = within(&ids, chunk, |(id, _)| id.0);
        for (id, endpoint) in &rows {
            let attempt = api.engine.store.attempt(*endpoint, *id).await?;
            let bytes = attempt.as_ref().map_or(0, |attempt| attempt.outcome.body.len());
            let shown = attempt.filter(|attempt| filter.admits_attempt(attempt));
            let item = shown.map(|attempt| MessageAttemptOut::listed(&attempt, filter.with_content, None));
            if !scan.offer(id.0, bytes, item) {
                break;
            }
        }
        scan.fetched(chunk, rows.len());
    }
    Ok(axum::Json(scan.answer(&page, |attempt| attempt.id, AttemptId)))
}

/// The attempts of a message at all its endpoints or one of them, in the order of their ids.
pub(super) async fn attempts_of(
    api: &Shared,
    message: &Message,
    only: Option<EndpointId>,
) -> Result<Vec<(AttemptId, EndpointId)>, Problem> {
    let mut ids = Vec::new();
    for endpoint in message.endpoints.iter().copied().filter(|endpoint| only.is_none_or(|only| only == *endpoint)) {
        let delivery = api.engine.store.delivery(message, endpoint).await?;
        ids.extend(delivery.into_iter().flat_map(|delivery| delivery.attempts).map(|attempt| (attempt, endpoint)));
    }
    ids.sort_unstable();
    Ok(ids)
}

/// The part of a list, sorted by id, that a window asks for.
pub(super) fn within<T: Copy>(sorted: &[T], window: Window, id: fn(&T) -> u128) -> Vec<T> {
    let inside = |row: &&T| id(row) > window.above && id(row) < window.below;
    match window.newest_first {
        true => sorted.iter().rev().filter(inside).take(window.limit).copied().collect(),
        false => sorted.iter().filter(inside).take(window.limit).copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_exclusive_and_goes_both_ways() {
        let ids = [1u128, 3, 5, 7];
        let part = |above, below, newest_first, limit| within(&ids, Window { above, below, newest_first, limit }, |id| *id);
        assert_eq!(part(1, 7, true, 9), [5, 3]);
        assert_eq!(part(1, u128::MAX, false, 2), [3, 5]);
        assert_eq!(part(0, u128::MAX, true, 1), [7]);
    }
}
