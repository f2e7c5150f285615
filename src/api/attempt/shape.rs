//! Attempts, and messages and endpoints with their standing, as the API shows them.

use super::{MessageStatus, MessageStatusText, Standing};
use crate::{
    api::{
        body::Stamp,
        message::{Content, Filter, MessageOut, OriginOut},
    },
    model::{Attempt, AttemptId, Cause, Endpoint, EndpointId, Message, MsgId, Outcome, Phases, Trigger},
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

/// What started an attempt: 0 the schedule, 1 somebody who asked.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub(in crate::api) struct MessageAttemptTriggerType(u8);

impl PartialSchema for MessageAttemptTriggerType {
    fn schema() -> RefOr<Schema> {
        let text = "What started the attempt: scheduled 0, manual 1";
        ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([0, 1])).description(Some(text)).into()
    }
}

impl ToSchema for MessageAttemptTriggerType {
    fn name() -> std::borrow::Cow<'static, str> {
        "MessageAttemptTriggerType".into()
    }
}

/// How long each part of an attempt took, in milliseconds. A part that did not happen is zero.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct AttemptPhases {
    dns: f64,
    connect: f64,
    tls: f64,
    first_byte: f64,
    total: f64,
}

impl From<Phases> for AttemptPhases {
    fn from(phases: Phases) -> Self {
        let ms = |us: u32| f64::from(us) / 1000.0;
        AttemptPhases {
            dns: ms(phases.dns_us),
            connect: ms(phases.connect_us),
            tls: ms(phases.tls_us),
            first_byte: ms(phases.first_byte_us),
            total: ms(phases.total_us),
        }
    }
}

/// One HTTP try of a delivery.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct MessageAttemptOut {
    /// Identifier.
    #[schema(value_type = String)]
    pub(in crate::api) id: AttemptId,
    /// The message.
    #[schema(value_type = String)]
    msg_id: MsgId,
    /// The endpoint.
    #[schema(value_type = String)]
    endpoint_id: EndpointId,
    /// The URL at that time.
    url: String,
    /// The answer's body as text, or why there was no answer. Empty without content.
    response: String,
    /// The answer's status; 0 when there was none.
    #[schema(value_type = i16)]
    response_status_code: u16,
    /// How long it took, in milliseconds.
    #[schema(value_type = i64)]
    response_duration_ms: u32,
    status: MessageStatus,
    status_text: MessageStatusText,
    trigger_type: MessageAttemptTriggerType,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Stamp,
    /// The message, without its payload, when the request asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<MessageOut>,
    /// Why it went as it did, as a name. Not in the compatible contract.
    cause: String,
    /// Why it failed, as a sentence. Not in the compatible contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The request's headers, without the custom ones. Only for one attempt; not in the compatible contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_headers: Option<Vec<(String, String)>>,
    /// The answer's headers. Only for one attempt; not in the compatible contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_headers: Option<Vec<(String, String)>>,
    /// Timing. Only for one attempt; not in the compatible contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    phases: Option<AttemptPhases>,
}

impl MessageAttemptOut {
    /// As lists show it.
    pub(in crate::api) fn listed(attempt: &Attempt, with_content: bool, message: Option<&Message>) -> Self {
        let outcome = &attempt.outcome;
        let status = MessageStatus::of_attempt(outcome);
        MessageAttemptOut {
            id: attempt.id,
            msg_id: attempt.msg,
            endpoint_id: attempt.endpoint,
            url: attempt.url.clone(),
            response: if with_content { response(outcome) } else { String::new() },
            response_status_code: outcome.status.unwrap_or(0),
            response_duration_ms: outcome.phases.total_us.div_ceil(1000),
            status,
            status_text: status.text(),
            trigger_type: MessageAttemptTriggerType(u8::from(attempt.trigger == Trigger::Manual)),
            timestamp: Stamp(attempt.id.time()),
            msg: message.map(|message| MessageOut::new(message, false)),
            cause: cause(outcome.cause),
            error: outcome.error(),
            request_headers: None,
            response_headers: None,
            phases: None,
        }
    }

    /// With all that is known of it.
    pub(in crate::api) fn whole(attempt: Attempt) -> Self {
        let listed = Self::listed(&attempt, true, None);
        MessageAttemptOut {
            request_headers: Some(attempt.request_headers.to_pairs()),
            phases: Some(attempt.outcome.phases.into()),
            response_headers: Some(attempt.outcome.headers.to_pairs()),
            ..listed
        }
    }
}

fn response(outcome: &Outcome) -> String {
    match outcome.status {
        Some(_) => String::from_utf8_lossy(&outcome.body).into_owned(),
        None => outcome.error().unwrap_or_default(),
    }
}

fn cause(cause: Cause) -> String {
    match serde_json::to_value(cause) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "blocked".to_owned(),
    }
}

/// A message with its standing at one endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EndpointMessageOut {
    /// Identifier.
    #[schema(value_type = String)]
    pub(in crate::api) id: MsgId,
    /// Name of its event type.
    event_type: String,
    /// The producer's own id, unique in the application.
    event_id: Option<String>,
    /// Channels that endpoints can filter by.
    channels: Option<Vec<String>>,
    /// Tags to search by.
    tags: Option<Vec<String>>,
    /// Not delivered before this instant.
    #[schema(value_type = Option<String>, format = DateTime)]
    deliver_at: Option<Stamp>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Stamp,
    /// Where it came from, if a source received it. Not in the compatible contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Box<OriginOut>>,
    /// Any JSON value, as a message's payload. `{}` without content, `{"expired":true}` once deleted.
    #[schema(value_type = serde_json::Value)]
    payload: Content,
    status: MessageStatus,
    status_text: MessageStatusText,
    /// When the next automatic attempt is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt: Option<Stamp>,
    /// `pending`, `in_flight`, `held`, `delivered`, `exhausted` or `cancelled`. Not in the compatible contract.
    state: &'static str,
}

impl EndpointMessageOut {
    /// Of a message and its standing.
    pub(in crate::api) fn new(message: &Message, standing: Standing, filter: &Filter) -> Self {
        let shown = MessageOut::new(message, filter.with_content);
        let status = standing.status.shown(filter.expanded);
        EndpointMessageOut {
            id: shown.id,
            event_type: shown.event_type,
            event_id: shown.event_id,
            channels: shown.channels,
            tags: shown.tags,
            deliver_at: shown.deliver_at,
            timestamp: shown.timestamp,
            origin: shown.origin,
            payload: shown.payload,
            status,
            status_text: status.text(),
            next_attempt: standing.next_attempt.map(Stamp),
            state: standing.state,
        }
    }
}

/// An endpoint with the standing of one message there.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct MessageEndpointOut {
    /// Identifier.
    #[schema(value_type = String)]
    pub(in crate::api) id: EndpointId,
    /// The owner's own name for it, unique in the application.
    uid: Option<String>,
    /// Where deliveries go.
    url: String,
    /// For people.
    description: String,
    /// Whether deliveries are held.
    disabled: bool,
    /// Event types it wants. Null: all.
    event_types: Option<Vec<String>>,
    /// Channels it wants. Null: messages of any channel or none.
    channels: Option<Vec<String>>,
    /// Deliveries a second at most.
    throttle_rate: Option<u16>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Stamp,
    status: MessageStatus,
    status_text: MessageStatusText,
    /// When the next automatic attempt is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt: Option<Stamp>,
    /// `pending`, `in_flight`, `held`, `delivered`, `exhausted` or `cancelled`. Not in the compatible contract.
    state: &'static str,
}

impl MessageEndpointOut {
    /// Of an endpoint and a message's standing there. The request has no way to say that its client knows `canceled`;
    /// such a delivery's endpoint is gone, and with it this entry.
    pub(in crate::api) fn new(endpoint: Endpoint, standing: Standing) -> Self {
        let status = standing.status.shown(false);
        MessageEndpointOut {
            id: endpoint.id,
            uid: endpoint.uid,
            url: endpoint.url,
            description: endpoint.description,
            disabled: endpoint.disabled.is_some(),
            event_types: endpoint.event_types,
            channels: endpoint.channels,
            throttle_rate: endpoint.throttle_rate,
            created_at: Stamp(endpoint.created_at),
            updated_at: Stamp(endpoint.updated_at),
            status,
            status_text: status.text(),
            next_attempt: standing.next_attempt.map(Stamp),
            state: standing.state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AddressClass, AppId, Time};
    use serde_json::json;

    fn attempt(outcome: Outcome) -> Attempt {
        Attempt {
            id: AttemptId::lowest_at(Time(5000)),
            msg: MsgId(1),
            endpoint: EndpointId(2),
            app: AppId(3),
            trigger: Trigger::Manual,
            number: 1,
            url: "https://example.com/".into(),
            request_headers: [("webhook-id", "x")].into_iter().collect(),
            outcome,
        }
    }

    #[test]
    fn an_answer_is_shown_as_it_came() {
        let mut outcome = Outcome::failed(Cause::BadStatus, "");
        outcome.status = Some(500);
        outcome.body = bytes::Bytes::from_static(b"no\xff");
        outcome.phases.total_us = 1_500;
        let shown = serde_json::to_value(MessageAttemptOut::listed(&attempt(outcome.clone()), true, None)).unwrap();
        assert_eq!((&shown["response"], &shown["responseStatusCode"]), (&json!("no\u{fffd}"), &json!(500)));
        assert_eq!((&shown["status"], &shown["statusText"], &shown["triggerType"]), (&json!(2), &json!("fail"), &json!(1)));
        assert_eq!((&shown["responseDurationMs"], &shown["timestamp"]), (&json!(2), &json!("1970-01-01T00:00:05.000Z")));
        assert_eq!((&shown["cause"], shown.get("phases")), (&json!("bad_status"), None));
        let hidden = serde_json::to_value(MessageAttemptOut::listed(&attempt(outcome), false, None)).unwrap();
        assert_eq!(hidden["response"], "");
    }

    #[test]
    fn a_try_without_an_answer_says_why() {
        let outcome = Outcome::failed(Cause::Blocked(AddressClass::Loopback), "127.0.0.1");
        let shown = serde_json::to_value(MessageAttemptOut::whole(attempt(outcome))).unwrap();
        assert_eq!((&shown["responseStatusCode"], &shown["cause"]), (&json!(0), &json!("blocked")));
        assert_eq!(shown["response"], "The endpoint resolves to a loopback address, which is not allowed. (127.0.0.1)");
        assert_eq!(shown["error"], shown["response"]);
        assert_eq!((&shown["requestHeaders"], &shown["phases"]["total"]), (&json!([["webhook-id", "x"]]), &json!(0.0)));
    }
}
