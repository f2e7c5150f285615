//! Where third parties post, and how that is tried out.

use super::{
    form::{self, ReceiveRefusals, Refusals},
    id_of, receive_url,
};
use crate::{
    api::{
        Api, Base, Json, Path, Problem, Shared,
        body::{RawJson, parse_json},
        receive::{shaken, taken},
        source::surface as sources,
    },
    inbound::{Reason, Received, Recorded},
    model::{Address, IGNORED_TAG, Kind, MsgId, Record, Source, SourceId, SourceScheme, System},
    store::{Change, Conflict, StoreError},
    systems::{KeyCaller, home, options::Told, uuid},
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// The longest body that Linear's receiver takes, in bytes.
const LINEAR_BODY: u32 = 256 * 1024;
/// The uid of Linear's source.
const LINEAR_UID: &str = "alumia.linear";
/// The provider of Linear's source.
const LINEAR: &str = "linear";
/// The type of a synthetic event when none is asked for and none is listed.
const TEST_TYPE: &str = "webhook.test";

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
            Some(message) if message.tags.iter().any(|tag| tag == IGNORED_TAG) => "ignored",
            Some(_) => "accepted",
        };
        ReceivedOut { received: true, status, event_id: recorded.messages.first().map(|message| message.id) }
    }
}

fn answered(received: Received) -> Response {
    match received {
        Received::Recorded(recorded) => axum::Json(ReceivedOut::of(&recorded)).into_response(),
        Received::Shaken(reply) | Received::Refused(Reason::Handshake(reply)) => shaken(reply),
        Received::Refused(reason) => {
            let status = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::BAD_REQUEST);
            form::answer(status, reason.detail().into_owned())
        }
        Received::Failed(error) => Problem::from(error).into_response(),
        Received::Unknown => Problem::not_found("webhook").into_response(),
    }
}

/// Receive an event. Public: who may send is told by the signature (`X-Webhook-Signature: sha256=<hex HMAC-SHA256 of the
/// body>`, the headers of Standard Webhooks, or those of the provider that the webhook's source names). 2xx once it is durable.
#[utoipa::path(
    post, path = "/api/v1/webhooks/receive/{webhook_id}", tag = "Alumia", summary = "Receive an event", security(()),
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(ReceiveRefusals, (status = 200, description = "It is durable", body = ReceivedOut))
)]
pub(super) async fn receive(
    State(api): State<Shared>,
    Path(id): Path<String>,
    Base(base): Base,
    request: Request,
) -> Result<Response, Problem> {
    let source = api.inbound.sources.by_id(id_of(&id)?).filter(|source| source.source.system == Some(System::Alumia));
    let source = source.ok_or_else(|| Problem::not_found("webhook"))?;
    let (head, body) = taken(&api, base, request);
    Ok(answered(api.inbound.answer_for(&source, head, body).await))
}

/// Receive an event from Linear, signed with the secret that is configured.
#[utoipa::path(
    post, path = "/api/v1/webhooks/linear", tag = "Alumia", summary = "Receive an event from Linear", security(()),
    responses(ReceiveRefusals, (status = 200, description = "It is durable", body = ReceivedOut))
)]
pub(super) async fn linear(State(api): State<Shared>, told: Told, Base(base): Base, request: Request) -> Result<Response, Problem> {
    let Some(secret) = &told.0.linear_secret else { return Err(Problem::not_found("receiver: no secret is configured for it")) };
    let id = linear_source(&api, secret).await?;
    let source = api.inbound.sources.by_id(id).ok_or(Problem::Unavailable)?;
    let (head, body) = taken(&api, base, request);
    Ok(answered(api.inbound.answer_for(&source, head, body).await))
}

/// Linear's source, made on first use; its secret is always the configured one.
async fn linear_source(api: &Api, secret: &str) -> Result<SourceId, Problem> {
    let org = api.options.first_org;
    let address = Address::new(Kind::Source, org, LINEAR_UID);
    let found = async || api.engine.store.find(&address, api.engine.clock.now()).await;
    if let Some(Record::Source(known)) = found().await?.map(|stored| stored.record) {
        if sources::secret(api, &known)? != secret {
            sources::revised(api, org, (System::Alumia, known.id), |source| Ok((sources::trust(api, source, secret)?, Vec::new())))
                .await?;
        }
        return Ok(known.id);
    }
    let app = home(api, org).await?.application.id;
    let schemes = vec![SourceScheme::Provider(LINEAR.to_owned())];
    let (mut source, _) = sources::make(api, (System::Alumia, org, app), schemes, LINEAR_BODY)?;
    sources::trust(api, &mut source, secret)?;
    let source = Source {
        id: SourceId(uuid::marked(source.id.0)),
        uid: Some(LINEAR_UID.to_owned()),
        name: "Linear".to_owned(),
        label: Some(LINEAR.to_owned()),
        ..source
    };
    match api.engine.change(vec![Change::Insert(Record::Source(source.clone()))]).await {
        Ok(()) => Ok(source.id),
        // Somebody else has just made it.
        Err(StoreError::Conflict(Conflict::Record(_))) => match found().await?.map(|stored| stored.record) {
            Some(Record::Source(known)) => Ok(known.id),
            _ => Err(Problem::Unavailable),
        },
        Err(error) => Err(error.into()),
    }
}

/// A signed payload to be judged.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VerifyIn {
    /// The webhook's id.
    #[schema(format = "uuid")]
    webhook_id: String,
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

/// Verify a signed payload without receiving it.
#[utoipa::path(
    post, path = "/api/v1/webhooks/verify", tag = "Alumia", summary = "Verify a signed payload", request_body = VerifyIn,
    responses(Refusals, (status = 200, description = "The judgement", body = VerifyOut))
)]
pub(super) async fn verify(
    State(api): State<Shared>,
    (caller, base): (KeyCaller, Base),
    body: Json<VerifyIn>,
) -> Result<axum::Json<VerifyOut>, Problem> {
    let asked = body.value;
    let source = sources::one(&api, caller.0.org, (System::Alumia, id_of(&asked.webhook_id)?)).await?;
    let (payload, timestamp) = (text_of(&asked.payload), asked.timestamp.as_deref().map(text_of));
    let mut headers = sources::signature_headers(&source, &asked.signature, timestamp.as_deref());
    headers.extend(asked.id.map(|id| ("webhook-id".to_owned(), id)));
    let fields: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let url = receive_url(&base, source.id);
    let request = postrider_signature::Request { method: "POST", url: &url, headers: &fields, body: payload.as_bytes() };
    let reason = sources::judged(&api, &source, &request)?.err().map(|refusal| refusal.code());
    Ok(axum::Json(VerifyOut { valid: reason.is_none(), reason }))
}

/// A synthetic event.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TestIn {
    /// The webhook's id; by default the newest that is active.
    #[schema(format = "uuid")]
    webhook_id: Option<String>,
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

/// Send a synthetic event, signed with the webhook's secret: it takes the path of any other.
#[utoipa::path(
    post, path = "/api/v1/webhooks/test", tag = "Alumia", summary = "Send a synthetic event", request_body = Option<TestIn>,
    responses(Refusals, (status = 200, description = "What became of it", body = TestOut))
)]
pub(super) async fn test(
    State(api): State<Shared>,
    (caller, base): (KeyCaller, Base),
    RawJson(bytes): RawJson,
) -> Result<axum::Json<TestOut>, Problem> {
    let asked: TestIn = if bytes.is_empty() { TestIn::default() } else { parse_json(&bytes)? };
    let org = caller.0.org;
    let source = match &asked.webhook_id {
        Some(id) => sources::one(&api, org, (System::Alumia, id_of(id)?)).await?,
        None => {
            let all = sources::of(&api, org, System::Alumia).await?;
            all.into_iter().find(|source| source.closed.is_none()).ok_or_else(|| Problem::not_found("webhook"))?
        }
    };
    let refused =
        |reason: &Reason| (ReceivedOut { status: "rejected", ..ReceivedOut::default() }, Some(reason.detail().into_owned()));
    let (told, reason) = if source.closed.is_some() {
        refused(&Reason::Closed)
    } else {
        let default = || source.listed.first().cloned().unwrap_or_else(|| TEST_TYPE.to_owned());
        let kind = asked.event_type.unwrap_or_else(default);
        match sources::tried(&api, source.id, (kind, receive_url(&base, source.id))).await? {
            Received::Recorded(recorded) => (ReceivedOut::of(&recorded), None),
            Received::Refused(reason) => refused(&reason),
            Received::Failed(error) => return Err(error.into()),
            Received::Shaken(_) | Received::Unknown => return Err(Problem::not_found("webhook")),
        }
    };
    Ok(axum::Json(TestOut { webhook_id: uuid::text(source.id.0), told, reason }))
}
