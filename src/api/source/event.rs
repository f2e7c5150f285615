//! `…/event`: what a source received, which are messages of its application.

use super::{rejection::bounds, store};
use crate::{
    api::{
        Caller, Errors, Path, Problem, Shared, Stamp,
        attempt::open,
        body::OnlyQuery,
        message::{MessageOut, labels},
        page::{FixedPageQuery, ListResponse},
    },
    model::{Message, MsgId, SourceId},
};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

/// Event types that a list may be filtered by.
const MAX_EVENT_TYPES: usize = 100;

/// Which events a list shows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventFilter {
    /// Only these event types, with the source's prefix; repeated or separated by commas
    #[param(value_type = Option<Vec<String>>)]
    event_types: Option<String>,
    /// Only events that were received before this instant
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Stamp>,
    /// Only events that were received after this instant
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<Stamp>,
    /// Only events to which the sender gave this id, as it is shown: up to 256 bytes of it
    event_id: Option<String>,
    /// Whether payloads are shown
    #[param(default = true)]
    with_content: Option<bool>,
}

/// Whether a message is an event of the source, and of one of these types if any are named.
pub(super) fn is_of(message: &Message, source: SourceId, event_types: &[String]) -> bool {
    message.origin.as_ref().is_some_and(|origin| origin.source == source)
        && (event_types.is_empty() || event_types.contains(&message.event_type))
}

/// The events that a source has received, newest first, replays among them.
#[utoipa::path(
    get,
    path = "/api/v1/source/{source_id}/event",
    operation_id = "v1.source.list-events",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid"), FixedPageQuery, EventFilter),
    responses(Errors, (status = 200, description = "A page", body = ListResponse<MessageOut>))
)]
pub(super) async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Path(source): Path<String>,
    OnlyQuery(page, filter): OnlyQuery<FixedPageQuery, EventFilter>,
) -> Result<axum::Json<ListResponse<MessageOut>>, Problem> {
    let source = store::find(&api, &caller, &source).await?;
    let event_types: Vec<String> = filter.event_types.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
    if event_types.len() > MAX_EVENT_TYPES {
        return Err(Problem::field(&["query", "event_types"], "length", "At most 100 event types."));
    }
    event_types.iter().try_for_each(|name| labels::name(&["query", "event_types"], name))?;
    let with_content = filter.with_content.unwrap_or(true);
    let with_id =
        |message: &Message, id: &String| message.origin.as_ref().is_some_and(|origin| origin.event_id.as_ref() == Some(id));
    let wanted = |message: &Message| {
        is_of(message, source.id, &event_types) && filter.event_id.as_ref().is_none_or(|id| with_id(message, id))
    };
    let (page, mut scan) = open(&page, bounds(filter.after, filter.before), |id: MsgId| id.0)?;
    while let Some(chunk) = scan.next().await {
        let rows = api.engine.store.messages(source.app, chunk).await?;
        let count = rows.len();
        for message in rows {
            let item = wanted(&message).then(|| MessageOut::new(&message, with_content));
            if !scan.offer(message.id.0, message.payload.len(), item) {
                break;
            }
        }
        scan.fetched(chunk, count);
    }
    Ok(axum::Json(scan.answer(&page, |message| message.id, MsgId)))
}
