//! `GET …/endpoint/{id}/ledger`: every message that is an endpoint's, oldest first, in an order that never changes.

use super::limit;
use crate::{
    api::{Caller, Errors, Path, Problem, Query, Shared, Stamp, attempt::Standing, endpoint},
    flow::{LedgerEntry, LedgerPlace},
    model::{MsgId, Time},
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Hexadecimal digits of a sequence.
const DIGITS: usize = 32;
/// What a cursor may be.
const CURSOR: &str = "`next` of a page before, a sequence, or a message's id.";

/// Which part of the feed to show.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EndpointLedgerQuery {
    /// Go on behind this: `next` of the page before, a sequence, or a message's id
    after: Option<String>,
    /// From messages made at this instant on, when there is no `after`
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Stamp>,
    /// Entries at most; 100 by default
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

/// A part of an endpoint's feed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointLedgerOut {
    /// Messages, the oldest first.
    data: Vec<EntryOut>,
    /// Where to go on, now or later: never null.
    next: String,
    /// Whether the end is reached; what comes later follows it. A page may be short, or empty, without being the last.
    done: bool,
    /// Every message made before is in the feed up to its end: it ends a few seconds before now, so that nothing comes
    /// later with a lower sequence.
    #[schema(value_type = String, format = DateTime)]
    settled_until: Stamp,
    /// Messages made before may have been deleted by the retention.
    #[schema(value_type = String, format = DateTime)]
    kept_from: Stamp,
}

/// One message of an endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryOut {
    /// Its place: 32 hexadecimal digits that sort as text. It never changes; sequences go up and are not consecutive.
    sequence: String,
    /// The sequence of the entry before: nothing of this endpoint lies between. Null for the first that is kept; for the
    /// first of a page, what was given as `after`.
    previous: Option<String>,
    /// The message.
    #[schema(value_type = String)]
    msg_id: MsgId,
    /// The producer's own id.
    event_id: Option<String>,
    /// Name of its event type.
    event_type: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Stamp,
    /// `delivered`, `pending`, `in_flight`, `held`, `exhausted` or `cancelled`.
    state: &'static str,
    /// Attempts made so far.
    attempts: usize,
    /// When the next attempt is due; null when none is, or it is held.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt: Option<Stamp>,
}

/// Every message that is an endpoint's, in an order that never changes, each with what became of it: so a receiver learns
/// whether it got everything. Messages that skipped the endpoint are not in it; `…/msg/{id}/ledger` says why.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/ledger",
    operation_id = "v1.endpoint.ledger",
    tag = "Ledger",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
        EndpointLedgerQuery,
    ),
    responses(Errors, (status = 200, description = "A part of the feed", body = EndpointLedgerOut))
)]
pub(super) async fn ledger(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
    Query(query): Query<EndpointLedgerQuery>,
) -> Result<axum::Json<EndpointLedgerOut>, Problem> {
    let app = caller.application(&api, &app).await?;
    let limit = limit(query.limit)?;
    let refused = || Problem::field(&["query", "after"], "pattern", CURSOR);
    let from = match (query.after.as_deref(), query.since) {
        (Some(after), _) => read_cursor(after).ok_or_else(refused)?,
        (None, since) => LedgerPlace { seen: since.map_or(MsgId(0), |since| before(since.0)), last: None },
    };
    let endpoint = endpoint::find(&api, app.application.id, &endpoint).await?;
    let kept = api.engine.retentions.messages(app.application.org, app.application.id);
    let kept = kept.unwrap_or(api.engine.settings.retention);
    let page = api.engine.ledger(&app, endpoint.id, from, limit).await?;
    let shown = |entry| EntryOut::new(&api.engine, entry, endpoint.disabled.is_some());
    Ok(axum::Json(EndpointLedgerOut {
        data: page.entries.into_iter().map(shown).collect(),
        next: cursor(page.next),
        done: page.done,
        settled_until: Stamp(page.until),
        kept_from: Stamp(api.engine.clock.now().minus(kept)),
    }))
}

/// The highest number below all of an instant.
fn before(time: Time) -> MsgId {
    MsgId(MsgId::lowest_at(time).0.saturating_sub(1))
}

/// A message's place, as text.
pub(super) fn sequence(msg: MsgId) -> String {
    format!("{:032x}", msg.0)
}

fn read_sequence(text: &str) -> Option<MsgId> {
    let hex = text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    hex.then(|| u128::from_str_radix(text, 16).ok())?.map(MsgId)
}

/// What was looked at, and the last entry when that is another.
fn cursor(place: LedgerPlace) -> String {
    match place.last.filter(|last| *last != place.seen) {
        Some(last) => format!("{}-{}", sequence(place.seen), sequence(last)),
        None if place.last.is_none() => format!("{}-", sequence(place.seen)),
        None => sequence(place.seen),
    }
}

fn read_cursor(text: &str) -> Option<LedgerPlace> {
    if let Ok(msg) = text.parse::<MsgId>() {
        return Some(LedgerPlace { seen: msg, last: Some(msg) });
    }
    let place = match text.split_once('-') {
        None => read_sequence(text).map(|seen| LedgerPlace { seen, last: Some(seen) })?,
        Some((seen, "")) => LedgerPlace { seen: read_sequence(seen)?, last: None },
        Some((seen, last)) => LedgerPlace { seen: read_sequence(seen)?, last: Some(read_sequence(last)?) },
    };
    place.last.is_none_or(|last| last <= place.seen).then_some(place)
}

impl EntryOut {
    fn new(engine: &crate::flow::Engine, entry: LedgerEntry, disabled: bool) -> Self {
        let LedgerEntry { message, delivery, previous } = entry;
        let standing = Standing::of(engine, &delivery, disabled);
        EntryOut {
            sequence: sequence(message.id),
            previous: previous.map(sequence),
            msg_id: message.id,
            event_id: message.event_id,
            event_type: message.event_type,
            timestamp: Stamp(message.id.time()),
            state: standing.state,
            attempts: delivery.attempts.len(),
            next_attempt: standing.next_attempt.map(Stamp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursors_go_round(seen: u128, back: Option<u128>) {
            let last = back.map(|back| MsgId(seen.saturating_sub(back)));
            let place = LedgerPlace { seen: MsgId(seen), last };
            prop_assert_eq!(read_cursor(&cursor(place)), Some(place));
        }

        #[test]
        fn sequences_sort_as_messages_do(one: u128, other: u128) {
            prop_assert_eq!(sequence(MsgId(one)).cmp(&sequence(MsgId(other))), one.cmp(&other));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _read_or_refused = read_cursor(&text);
        }
    }

    #[test]
    fn a_cursor_may_be_a_message() {
        let msg = MsgId(77 << 90);
        assert_eq!(read_cursor(&msg.to_string()), Some(LedgerPlace { seen: msg, last: Some(msg) }));
        for bad in ["", "-", "0", "ep_1", &"g".repeat(32), &"0".repeat(33), &format!("{}-{}", "0".repeat(32), "1".repeat(32))] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
    }
}
