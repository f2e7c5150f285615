//! `…/test`: a synthetic event, correctly signed, through the real path.

use super::{
    store,
    synthetic::{Wanted, request},
};
use crate::{
    api::{Base, Caller, Errors, Path, Problem, Shared, body::MaybeJson},
    inbound::{Received, Recorded},
    model::MsgId,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The longest event type, in bytes.
pub(super) const MAX_TYPE: usize = 256;

/// A synthetic event.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SourceTestIn {
    /// The sender's name of its type, without the source's prefix: `push`.
    #[schema(max_length = 256)]
    event_type: Option<String>,
    /// Its payload, any JSON; absent: a small one is made, with an id and the type where this sender has them.
    #[serde(default, deserialize_with = "crate::api::patch::given")]
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceTestOut {
    /// Whether it was received: its events are recorded, now or since before.
    received: bool,
    /// The messages that were made.
    #[schema(value_type = Vec<String>)]
    messages: Vec<MsgId>,
    /// Events that the source has had before.
    duplicates: usize,
    /// Why it was refused: a word that stays the same.
    reason: Option<String>,
    /// Why it was refused, in words.
    detail: Option<String>,
}

/// Receives a synthetic event, signed with the source's current secret as its sender would sign it: it is judged, recorded
/// and routed like any other. The body may be left out.
#[utoipa::path(
    post,
    path = "/api/v1/source/{source_id}/test",
    operation_id = "v1.source.test",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid")),
    request_body = Option<SourceTestIn>,
    responses(Errors, (status = 200, description = "What came of it", body = SourceTestOut))
)]
pub(super) async fn test(
    State(api): State<Shared>,
    (caller, base): (Caller, Base),
    Path(source): Path<String>,
    MaybeJson { value: asked, .. }: MaybeJson<SourceTestIn>,
) -> Result<axum::Json<SourceTestOut>, Problem> {
    caller.write()?;
    if asked.event_type.as_ref().is_some_and(|text| !(1..=MAX_TYPE).contains(&text.len())) {
        return Err(Problem::field(&["body", "eventType"], "length", "It has 1 to 256 bytes."));
    }
    let source = store::find(&api, &caller, &source).await?;
    let url = store::url(&api, &base, &source)?.to_string();
    let compiled = api.inbound.sources.by_id(source.id).ok_or_else(store::missing)?;
    let now = api.engine.clock.now();
    let id = MsgId(api.engine.random.id(now)).to_string();
    let arrival = request(&compiled, Wanted { event_type: asked.event_type, payload: asked.payload, id }, url, now)?;
    told(api.inbound.receive(&compiled, &arrival).await).map(axum::Json)
}

fn told(received: Received) -> Result<SourceTestOut, Problem> {
    match received {
        Received::Recorded(Recorded { messages, duplicates, .. }) => Ok(SourceTestOut {
            received: true,
            messages: messages.iter().map(|message| message.id).collect(),
            duplicates,
            ..SourceTestOut::default()
        }),
        Received::Refused(reason) => Ok(SourceTestOut {
            reason: Some(reason.code().to_owned()),
            detail: Some(reason.detail().into_owned()),
            ..SourceTestOut::default()
        }),
        Received::Shaken(_) => Ok(SourceTestOut {
            reason: Some("handshake".to_owned()),
            detail: Some("It was answered as a handshake, which is no event.".to_owned()),
            ..SourceTestOut::default()
        }),
        Received::Failed(error) => Err(error.into()),
        Received::Unknown => Err(store::missing()),
    }
}
