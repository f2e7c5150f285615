//! `…/replay`: recorded events are routed once more, as fresh messages with the same payload, headers and type. They are
//! not looked for among what was seen: who replays wants the repetition.

use super::{event::is_of, rejection::bounds, store};
use crate::{
    api::{
        Api, Caller, Errors, Idempotent, Json, Path, Problem, Shared, Stamp,
        idempotency::Keyed,
        message::{self, MessageOut},
        rules::Check,
    },
    crypto::short_fingerprint,
    flow::{Draft, Mark},
    model::{AuditAction, Kind, Message, MsgId, Origin, Record, Seen, Source, Time},
    routing::AppRoutes,
    store::{Conflict, StoreError, Window},
};
use axum::{extract::State, http::StatusCode, response::Response};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Events that one request replays at most.
const MAX_REPLAYED: usize = 1_000;
/// Messages of the application that one request looks at to find them.
const MAX_SCANNED: usize = 100_000;
/// Messages that are read at once: few, since a source may take bodies of 5 MiB.
const CHUNK: usize = 16;
/// Replays that are accepted at once.
const AT_ONCE: usize = 16;
/// Event types that a replay is limited to, at most.
pub(super) const MAX_EVENT_TYPES: usize = 100;

/// The message as it is to be accepted once more.
fn draft(message: &Message) -> Result<Draft, Problem> {
    let Some(origin) = &message.origin else { return Err(Problem::not_found("event")) };
    if message.expunged {
        return Err(Problem::conflict("The payload of this event was deleted."));
    }
    Ok(Draft {
        event_type: message.event_type.clone(),
        channels: message.channels.clone(),
        tags: message.tags.clone(),
        payload: message.payload.clone(),
        ordering_key: message.ordering_key.clone(),
        origin: Some(Arc::new(Origin { replays: Some(message.id), ..(**origin).clone() })),
        ..Draft::default()
    })
}

fn routes(api: &Api, source: &Source) -> Result<Arc<AppRoutes>, Problem> {
    api.engine.routing.by_id(source.app).ok_or_else(|| Problem::not_found("application"))
}

/// Routes a recorded event once more. A paused source replays too.
#[utoipa::path(
    post,
    path = "/api/v1/source/{source_id}/event/{msg_id}/replay",
    operation_id = "v1.source.replay-event",
    tag = "Source",
    params(
        ("source_id" = String, Path, description = "The source's id or uid"),
        ("msg_id" = String, Path, description = "The event's message id"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    responses(Errors, (status = 202, description = "The fresh message", body = MessageOut))
)]
pub(super) async fn one(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Path((source, msg)): Path<(String, String)>,
) -> Result<Response, Problem> {
    caller.write()?;
    if let Some(answer) = idempotent.begin(&api, &[]).await? {
        return Ok(answer);
    }
    let missing = || Problem::not_found("event");
    let source = store::find(&api, &caller, &source).await?;
    let id: MsgId = msg.parse().map_err(|_| missing())?;
    let found = api.engine.store.message(source.app, id).await?;
    let message = found.filter(|message| is_of(message, source.id, &[])).ok_or_else(missing)?;
    let app = routes(&api, &source)?;
    let draft = draft(&message)?;
    api.engine.note(AuditAction::Created, "resend", Some((source.app, format!("{}/{}", source.id, message.id)))).await?;
    let result = message::accept(&api, &app, draft, &idempotent, (StatusCode::ACCEPTED, false));
    idempotent.settle(&api, result.await).await
}

/// Which events to route once more.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SourceReplayIn {
    /// Events that were received at this instant or later.
    #[schema(value_type = String, format = DateTime)]
    since: Stamp,
    /// Events that were received before this instant; by default all up to now.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Stamp>,
    /// Only these event types, with the source's prefix; at most 100.
    event_types: Option<Vec<String>>,
}

/// How many events were routed once more.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct SourceReplayOut {
    /// The number of fresh messages; those that an earlier try with the same idempotency key made are among them.
    replayed: usize,
    /// Events that were left out because their payloads were deleted.
    expunged: usize,
}

/// Routes recorded events once more, oldest first: those that a source received in a span, replays among them left out. At
/// most 1,000 at once: when there are more, none is replayed and the request is refused. They are replayed one after another,
/// so that a request that fails or is cut off may have replayed a part of them. With an idempotency key it can be repeated, best
/// with `until`: what was replayed already is then counted and not replayed again. Without one it starts anew.
#[utoipa::path(
    post,
    path = "/api/v1/source/{source_id}/replay",
    operation_id = "v1.source.replay",
    tag = "Source",
    params(
        ("source_id" = String, Path, description = "The source's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    request_body = SourceReplayIn,
    responses(Errors, (status = 202, description = "They are on their way", body = SourceReplayOut))
)]
pub(super) async fn many(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Path(source): Path<String>,
    body: Json<SourceReplayIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let asked = body.value;
    let event_types = asked.event_types.unwrap_or_default();
    let until = asked.until.unwrap_or_else(|| Stamp(Time(api.engine.clock.now().0.saturating_add(1))));
    let mut check = Check::new();
    check.rule(event_types.len() <= MAX_EVENT_TYPES, &["body", "eventTypes"], "length", "It has at most 100 entries.");
    check.names(&["body", "eventTypes"], &event_types, 0);
    check.rule(asked.since < until, &["body", "until"], "range", "It is later than `since`.");
    check.done()?;
    let source = store::find(&api, &caller, &source).await?;
    let found = matching(&api, &source, (asked.since, until), &event_types).await?;
    let app = routes(&api, &source)?;
    let expunged = found.expunged;
    if !found.ids.is_empty() {
        api.engine.note(AuditAction::Created, "replay", Some((source.app, source.id.to_string()))).await?;
    }
    let replays = found.ids.into_iter().map(|id| replay(&api, (&app, &source), id, idempotent.keyed()));
    let replayed = stream::iter(replays).buffered(AT_ONCE).try_fold(0, async |sum, one| Ok(sum + usize::from(one))).await?;
    let out = SourceReplayOut { replayed, expunged };
    idempotent.commit(&api, Vec::new(), StatusCode::ACCEPTED, &out).await
}

/// Whether the event is replayed, now or by an earlier try of the same request.
async fn replay(api: &Api, (app, source): (&AppRoutes, &Source), id: MsgId, keyed: Option<&Keyed>) -> Result<bool, Problem> {
    // What was deleted since it was found is nothing to replay.
    let Some(message) = api.engine.store.message(app.application.id, id).await? else { return Ok(false) };
    let Ok(draft) = draft(&message) else { return Ok(false) };
    let seen = keyed.map(|keyed| {
        let (key, expires_at) = keyed.part(&id.to_string());
        Seen { source: source.id, key: short_fingerprint(key.as_bytes()), expires_at }
    });
    let mark = seen.map(|seen| -> Mark { Box::new(move |_| Record::Seen(seen)) });
    match api.engine.accept(app, draft, mark).await {
        Ok(_) | Err(StoreError::Conflict(Conflict::Record(Kind::Seen))) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// What is to be replayed, oldest first.
#[derive(Debug, Default)]
struct Found {
    ids: Vec<MsgId>,
    expunged: usize,
}

/// The source's events in a span.
///
/// # Errors
/// There are more than one request replays, or too many messages to look at; the store is away.
async fn matching(api: &Api, source: &Source, (since, until): (Stamp, Stamp), event_types: &[String]) -> Result<Found, Problem> {
    let after = Time(since.0.0.saturating_sub(1));
    let (above, below) = bounds((since.0.0 > 0).then_some(Stamp(after)), Some(until));
    let mut window = Window { above, below, newest_first: false, limit: CHUNK };
    let (mut found, mut scanned) = (Found::default(), 0);
    loop {
        let rows = api.engine.store.messages(source.app, window).await?;
        scanned += rows.len();
        for message in &rows {
            let fresh = message.origin.as_ref().is_some_and(|origin| origin.replays.is_none());
            match fresh && is_of(message, source.id, event_types) {
                true if message.expunged => found.expunged += 1,
                true => found.ids.push(message.id),
                false => {}
            }
        }
        if found.ids.len() > MAX_REPLAYED {
            let rule = format!("More than {MAX_REPLAYED} events match: nothing was replayed. Ask for a shorter span.");
            return Err(Problem::bad_request("limit_reached", rule));
        }
        match rows.last() {
            Some(last) if rows.len() == window.limit => window.above = last.id.0,
            _ => return Ok(found),
        }
        if scanned >= MAX_SCANNED {
            let rule = format!("More than {MAX_SCANNED} messages lie in the span: nothing was replayed. Ask for a shorter one.");
            return Err(Problem::bad_request("limit_reached", rule));
        }
    }
}
