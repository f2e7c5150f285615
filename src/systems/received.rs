//! What surfaces with sources show: the requests to them, what third parties are answered, how an event is tried out, and the
//! attempts to send events on.

use super::{
    Surface, form,
    home::Home,
    tries::{self, Try},
    uuid,
};
use crate::{
    api::{
        Base, Problem, Shared, Stamp,
        receive::shaken,
        source::{receivers::Receivers, surface as sources},
    },
    flow::{Sought, StandingWord},
    inbound::{Reason, Received, Recorded},
    model::{IGNORED_TAG, MsgId, Source},
};
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sources::Requested;
use utoipa::{IntoParams, ToSchema};

/// Entries of a list at most, and when nothing is said.
const MAX_ENTRIES: usize = 100;
/// The type of a synthetic event when none is asked for and none is listed.
const TEST_TYPE: &str = "webhook.test";

/// The sources of an organization-wide system, for a caller with an API key.
pub(super) struct Hooks(pub(super) Receivers);

impl FromRequestParts<Shared> for Hooks {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let Home { app, brand } = Home::from_request_parts(parts, api).await?;
        let Base(base) = Base::from_request_parts(parts, api).await.unwrap_or_else(|never| match never {});
        let surface = parts.extensions.get::<&'static Surface>();
        let rules = surface.and_then(|surface| surface.receivers).ok_or(Problem::Internal)?;
        Ok(Hooks(Receivers { api: api.clone(), app, brand, base: base + rules.path, rules }))
    }
}

/// What a deletion answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletedOut {
    /// That it is gone.
    pub(super) deleted: bool,
}

/// A secret that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RotatedOut {
    /// The webhook.
    #[schema(format = "uuid")]
    pub(super) id: String,
    /// The new secret in plain text. Shown this once.
    pub(super) secret: String,
}

/// A list, or why there is none.
pub(super) type Listed<T> = Result<axum::Json<Vec<T>>, Problem>;

/// How much of a list is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Shown {
    /// Entries at most
    #[param(minimum = 1, maximum = 100, default = 100)]
    limit: Option<usize>,
}

impl Shown {
    fn limit(&self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(MAX_ENTRIES);
        let rule = || Problem::field(&["query", "limit"], "range", format!("It is from 1 to {MAX_ENTRIES}."));
        if (1..=MAX_ENTRIES).contains(&limit) { Ok(limit) } else { Err(rule()) }
    }
}

/// What became of a request to a webhook.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum EventStatus {
    /// Recorded and routed.
    Received,
    /// Recorded; its type is not on the allow-list.
    Ignored,
    /// Refused, for the reason that is given.
    Rejected,
}

/// A request to a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventOut {
    /// Its id.
    id: String,
    /// The webhook's id.
    webhook_id: String,
    /// The webhook's name.
    webhook_name: String,
    /// The event's type, as the sender calls it; null when it was refused.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// The sender's id of the event.
    event_id: Option<String>,
    /// What became of it.
    status: EventStatus,
    /// Why it was refused: `mismatch`, `missing_header`, `closed`, `too_large`, …
    reason: Option<String>,
    /// Its body: as JSON when it is JSON, as text otherwise. Null when it was refused.
    #[schema(value_type = Option<Object>)]
    payload: Option<Box<RawValue>>,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    received_at: Stamp,
}

impl EventOut {
    fn of(request: Requested, webhook: &Source) -> Self {
        let (webhook_id, webhook_name) = (uuid::text(webhook.id.0), webhook.name.clone());
        match request {
            Requested::Received(message) => EventOut {
                id: message.id.to_string(),
                webhook_id,
                webhook_name,
                event_id: message.origin.as_ref().and_then(|origin| origin.event_id.clone()),
                status: if is_ignored(&message.tags) { EventStatus::Ignored } else { EventStatus::Received },
                reason: None,
                payload: tries::json_or_text(&message.payload).filter(|_| !message.expunged),
                received_at: Stamp(message.id.time()),
                event_type: Some(message.event_type),
            },
            Requested::Refused(rejection) => EventOut {
                id: rejection.id.to_string(),
                webhook_id,
                webhook_name,
                event_type: None,
                event_id: None,
                status: EventStatus::Rejected,
                reason: Some(rejection.reason),
                payload: None,
                received_at: Stamp(rejection.id.time()),
            },
        }
    }
}

fn is_ignored(tags: &[String]) -> bool {
    tags.iter().any(|tag| tag == IGNORED_TAG)
}

/// The newest requests to these sources.
///
/// # Errors
/// The limit is none; the store is away.
pub(super) async fn events(hooks: &Receivers, webhooks: &[Source], shown: &Shown) -> Listed<EventOut> {
    let requests = sources::requests(&hooks.api, webhooks, shown.limit()?).await?;
    let of = |request: Requested| {
        let webhook = webhooks.iter().find(|webhook| request.source() == Some(webhook.id))?;
        Some(EventOut::of(request, webhook))
    };
    Ok(axum::Json(requests.into_iter().filter_map(of).collect()))
}

/// What a receiver answered.
#[derive(Debug, Serialize, ToSchema)]
struct ResponseOut {
    /// The status.
    status: u16,
    /// What was kept of the body.
    body: String,
}

/// An attempt to forward an event, or an event that waits for its first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveryOut {
    /// Its id; that of the delivery before the first attempt.
    id: String,
    /// The webhook's id.
    webhook_id: String,
    /// The event's id, as in the list of events.
    #[schema(value_type = String)]
    event_id: MsgId,
    /// Where it went.
    url: String,
    /// `pending`: there was no attempt yet; `delivered`; `retrying`: it failed, and another was to follow; `failed`: none
    /// follows.
    #[schema(value_type = String, pattern = "pending|delivered|retrying|failed")]
    status: StandingWord,
    /// How many attempts for this event were made before it.
    retry_count: u32,
    /// What the receiver answered; null when it did not.
    response: Option<ResponseOut>,
    /// Why it failed, in words.
    error: Option<String>,
    /// When it began; null before the first.
    #[schema(value_type = Option<String>, format = DateTime)]
    attempted_at: Option<Stamp>,
    /// When the next one is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Stamp>,
}

/// The newest attempts to forward what a source received.
///
/// # Errors
/// The limit is none; the store is away.
pub(super) async fn deliveries(hooks: &Receivers, webhook: &Source, shown: &Shown) -> Listed<DeliveryOut> {
    let limit = shown.limit()?;
    let Some(endpoint) = webhook.forward else { return Ok(axum::Json(Vec::new())) };
    let sought = Sought { endpoint: Some(endpoint), limit, ..Sought::default() };
    let (tried, _) = tries::page::<Try>(&hooks.api, &hooks.app, &sought).await?;
    let of = |tried: Try| DeliveryOut {
        id: tried.attempt.map_or_else(|| tried.delivery.to_string(), |id| id.to_string()),
        webhook_id: uuid::text(webhook.id.0),
        event_id: tried.event,
        url: tried.request.url,
        status: tried.status,
        retry_count: tried.number.saturating_sub(1),
        response: tried.response.map(|answer| ResponseOut { status: answer.status_code, body: answer.body }),
        error: tried.error,
        attempted_at: tried.begun,
        next_attempt_at: tried.next,
    };
    Ok(axum::Json(tried.into_iter().map(of).collect()))
}

/// What became of an event.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceivedOut {
    /// That it is durable.
    received: bool,
    /// `accepted`, `ignored` (its type is not on the allow-list) or `duplicate`.
    status: &'static str,
    /// Its id in the list of events; null for a duplicate.
    #[schema(value_type = Option<String>)]
    event_id: Option<MsgId>,
}

impl ReceivedOut {
    fn of(recorded: &Recorded) -> Self {
        let status = match recorded.messages.first() {
            None => "duplicate",
            Some(message) if is_ignored(&message.tags) => "ignored",
            Some(_) => "accepted",
        };
        ReceivedOut { received: true, status, event_id: recorded.messages.first().map(|message| message.id) }
    }
}

/// What a third party is answered.
pub(super) fn answered(received: Received) -> Response {
    match received {
        Received::Recorded(recorded) => axum::Json(ReceivedOut::of(&recorded)).into_response(),
        Received::Shaken(reply) | Received::Refused(Reason::Handshake(reply)) => shaken(reply),
        Received::Refused(reason) => {
            let status = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::BAD_REQUEST);
            form::of_status(status, reason.detail().into_owned())
        }
        Received::Failed(error) => Problem::from(error).into_response(),
        Received::Unknown => Problem::not_found("source").into_response(),
    }
}

/// A signed payload to be judged.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VerifyIn {
    /// The webhook's id.
    #[schema(format = "uuid")]
    pub(super) webhook_id: String,
    /// The body that was signed: as a text its exact bytes, as JSON what stands here.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
    /// The signature, as it stood in its header: `sha256=…`, or `v1,…`.
    signature: String,
    /// The timestamp, as it stood in its header, where the signature covers one.
    #[schema(value_type = Option<String>)]
    timestamp: Option<Box<RawValue>>,
    /// The event's id, as it stood in its header, where the signature covers one.
    id: Option<String>,
}

/// The judgement.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VerifyOut {
    /// Whether the signature is genuine.
    valid: bool,
    /// Why not: `mismatch`, `stale`, `malformed`, … Null when it is.
    reason: Option<&'static str>,
}

/// A JSON text's content; other JSON as it is written.
fn text_of(raw: &RawValue) -> String {
    serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}

/// Judges a signed payload without receiving it.
///
/// # Errors
/// The source cannot be read.
pub(super) fn verified(hooks: &Receivers, source: &Source, asked: VerifyIn) -> Result<axum::Json<VerifyOut>, Problem> {
    let (payload, timestamp) = (text_of(&asked.payload), asked.timestamp.as_deref().map(text_of));
    let mut headers = sources::signature_headers(source, &asked.signature, timestamp.as_deref());
    headers.extend(asked.id.map(|id| ("webhook-id".to_owned(), id)));
    let fields: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request =
        postrider_signature::Request { method: "POST", url: &hooks.url(source.id), headers: &fields, body: payload.as_bytes() };
    let reason = sources::judged(&hooks.api, source, &request)?.err().map(|refusal| refusal.code());
    Ok(axum::Json(VerifyOut { valid: reason.is_none(), reason }))
}

/// A synthetic event.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TestIn {
    /// The webhook's id; by default the newest that is active.
    #[schema(format = "uuid")]
    pub(super) webhook_id: Option<String>,
    /// The event's type; by default the first of the allow-list, or `webhook.test`.
    #[serde(rename = "type")]
    #[schema(max_length = 256)]
    event_type: Option<String>,
}

/// What became of a synthetic event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TestOut {
    /// The webhook that received it.
    webhook_id: String,
    /// What became of it.
    #[serde(flatten)]
    told: ReceivedOut,
    /// Why it was refused.
    reason: Option<String>,
}

/// Makes a synthetic event that takes the path of any other.
///
/// # Errors
/// The type is too long; the source is gone; the store is away.
pub(super) async fn tried(hooks: &Receivers, source: &Source, asked: TestIn) -> Result<axum::Json<TestOut>, Problem> {
    let refused =
        |reason: &Reason| (ReceivedOut { status: "rejected", ..ReceivedOut::default() }, Some(reason.detail().into_owned()));
    let default = || source.listed.first().cloned().unwrap_or_else(|| TEST_TYPE.to_owned());
    let (told, reason) = match source.closed {
        Some(_) => refused(&Reason::Closed),
        None => {
            match sources::tried(&hooks.api, source.id, (asked.event_type.unwrap_or_else(default), hooks.url(source.id))).await? {
                Received::Recorded(recorded) => (ReceivedOut::of(&recorded), None),
                Received::Refused(reason) => refused(&reason),
                Received::Failed(error) => return Err(error.into()),
                Received::Shaken(_) | Received::Unknown => return Err(Problem::not_found("source")),
            }
        }
    };
    Ok(axum::Json(TestOut { webhook_id: uuid::text(source.id.0), told, reason }))
}
