//! A message as the API shows it.

use crate::{
    api::body::Stamp,
    model::{Message, MsgId, Origin, SourceId},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// The name of the one field under which bytes that are no text are shown.
const BASE64: &str = "$base64";

/// What a message's `payload` shows.
#[derive(Clone, Debug)]
pub(in crate::api) enum Content {
    /// The payload, as it came. Whoever posts a message posts JSON; what a source received may be anything: JSON is shown as
    /// it came, other text as a string, other bytes as `{"$base64": "…"}`.
    Shown(Bytes),
    /// `{}`: the request asked for no content.
    Hidden,
    /// `{"expired":true}`, as the contract's server answers: the payload was deleted.
    Expunged,
}

impl Content {
    /// Of a message.
    pub(in crate::api) fn of(message: &Message, shown: bool) -> Self {
        match (shown, message.expunged) {
            (false, _) => Content::Hidden,
            (true, true) => Content::Expunged,
            (true, false) => Content::Shown(message.payload.clone()),
        }
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let json = match self {
            Content::Shown(bytes) => bytes,
            Content::Hidden => b"{}".as_slice(),
            Content::Expunged => br#"{"expired":true}"#.as_slice(),
        };
        match (serde_json::from_slice::<&RawValue>(json), std::str::from_utf8(json)) {
            (Ok(json), _) => json.serialize(to),
            (Err(_), Ok(text)) => text.serialize(to),
            (Err(_), Err(_)) => to.collect_map([(BASE64, STANDARD.encode(json))]),
        }
    }
}

/// Where a received message came from.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(title = "MessageOrigin")]
pub(in crate::api) struct OriginOut {
    /// The source that received it.
    #[schema(value_type = String)]
    source_id: SourceId,
    /// The sender's own event id, if it said one.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    /// Method of the request.
    method: String,
    /// Query of the request, without the question mark.
    #[serde(skip_serializing_if = "String::is_empty")]
    query: String,
    /// The request's content type.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// The headers that the source keeps and sends on: pairs of name and value, in their order.
    headers: Vec<(String, String)>,
    /// The message that this one replays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    replays: Option<MsgId>,
}

impl From<&Origin> for OriginOut {
    fn from(origin: &Origin) -> Self {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        OriginOut {
            source_id: origin.source,
            event_id: origin.event_id.clone(),
            method: origin.method.clone(),
            query: origin.query.clone(),
            content_type: origin.content_type.as_ref().map(text),
            headers: origin.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            replays: origin.replays,
        }
    }
}

/// A message. `payload` stays the last field: [`MessageOut::text`] relies on it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct MessageOut {
    /// Identifier.
    #[schema(value_type = String)]
    pub(in crate::api) id: MsgId,
    /// Name of its event type.
    pub(in crate::api) event_type: String,
    /// The producer's own id, unique in the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) event_id: Option<String>,
    /// Channels that endpoints can filter by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) channels: Option<Vec<String>>,
    /// Tags to search by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) tags: Option<Vec<String>>,
    /// Not delivered before this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(in crate::api) deliver_at: Option<Stamp>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub(in crate::api) timestamp: Stamp,
    /// What it is kept in order with, at endpoints that want that. Not in the compatible contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) ordering_key: Option<String>,
    /// Where it came from, if a source received it. Not in the compatible contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) origin: Option<Box<OriginOut>>,
    /// Any JSON value. `{}` without content, `{"expired":true}` once deleted. What a source received need not be JSON: other
    /// text is a string here, other bytes are `{"$base64": "…"}`; `origin.contentType` says what they are.
    #[schema(value_type = serde_json::Value)]
    pub(in crate::api) payload: Content,
}

impl MessageOut {
    /// Of a message, with or without its payload.
    pub(in crate::api) fn new(message: &Message, with_content: bool) -> Self {
        let labels = |labels: &[String]| Some(labels.to_vec()).filter(|labels| !labels.is_empty());
        MessageOut {
            id: message.id,
            event_type: message.event_type.clone(),
            event_id: message.event_id.clone(),
            channels: labels(&message.channels),
            tags: labels(&message.tags),
            deliver_at: message.deliver_at.map(Stamp),
            timestamp: Stamp(message.id.time()),
            ordering_key: message.ordering_key.clone(),
            origin: message.origin.as_deref().map(|origin| Box::new(origin.into())),
            payload: Content::of(message, with_content),
        }
    }

    /// The JSON text of a message that was accepted just now: if somebody posted it, its payload is known to be JSON and put
    /// in as it is, without reading it once more.
    ///
    /// # Errors
    /// None that can happen: nothing in it fails to become JSON.
    pub(in crate::api) fn text(message: &Message, with_content: bool) -> serde_json::Result<String> {
        if message.origin.is_some() {
            return serde_json::to_string(&MessageOut::new(message, with_content));
        }
        let mut text = serde_json::to_string(&MessageOut::new(message, false))?;
        if with_content
            && !message.expunged
            && let Ok(payload) = std::str::from_utf8(&message.payload)
            && let Some(head) = text.strip_suffix("{}}").map(str::len)
        {
            text.truncate(head);
            text.reserve_exact(payload.len() + 1);
            text.push_str(payload);
            text.push('}');
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppId, OrgId, Time};
    use serde_json::{Value, json};

    fn message(payload: &'static str) -> Message {
        Message {
            id: MsgId::lowest_at(Time(1000)),
            app: AppId(1),
            org: OrgId(1),
            event_type: "a.b".into(),
            event_id: Some("e".into()),
            channels: vec!["c".into()],
            tags: Vec::new(),
            deliver_at: Some(Time(2000)),
            payload_expires_at: None,
            endpoints: Vec::new(),
            payload: Bytes::from_static(payload.as_bytes()),
            expunged: false,
            origin: None,
            ordering_key: None,
            ordered: Vec::new(),
        }
    }

    #[test]
    fn the_text_is_what_serialising_gives() {
        for payload in ["{}", "{ \"b\":1.0,\n\"a\": \"{}}\"}", "[1, 2]", "null", "\"x\""] {
            let message = message(payload);
            for content in [true, false] {
                let text = MessageOut::text(&message, content).unwrap();
                assert_eq!(text, serde_json::to_string(&MessageOut::new(&message, content)).unwrap());
                assert_eq!(text.ends_with(&format!("\"payload\":{payload}}}")), content || payload == "{}", "{text}");
            }
        }
    }

    #[test]
    fn fields_are_the_contracts() {
        let shown = serde_json::to_value(MessageOut::new(&message("[1]"), true)).unwrap();
        let id = MsgId::lowest_at(Time(1000)).to_string();
        let expected = json!({
            "id": id, "eventType": "a.b", "eventId": "e", "channels": ["c"], "payload": [1],
            "timestamp": "1970-01-01T00:00:01.000Z", "deliverAt": "1970-01-01T00:00:02.000Z"
        });
        assert_eq!(shown, expected);
        let gone = Message { expunged: true, payload: Bytes::new(), ..message("") };
        let shown: Value = serde_json::from_str(&MessageOut::text(&gone, true).unwrap()).unwrap();
        assert_eq!(shown["payload"], json!({}));
        assert_eq!(serde_json::to_value(MessageOut::new(&gone, true)).unwrap()["payload"], json!({"expired": true}));
    }

    #[test]
    fn what_a_source_received_is_shown_whatever_it_is() {
        let origin = Origin {
            source: SourceId::lowest_at(Time(7)),
            event_id: Some("evt".into()),
            method: "POST".into(),
            query: "a=b".into(),
            content_type: Some(Bytes::from_static(b"text/plain")),
            headers: vec![("x-a".into(), Bytes::from_static(b"1")), ("x-a".into(), Bytes::from_static(b"\xff"))],
            replays: Some(MsgId::lowest_at(Time(1))),
        };
        let origin = Some(std::sync::Arc::new(origin));
        let shown = |payload: &'static [u8]| {
            let message = Message { payload: Bytes::from_static(payload), origin: origin.clone(), ..message("") };
            let text = MessageOut::text(&message, true).unwrap();
            assert_eq!(text, serde_json::to_string(&MessageOut::new(&message, true)).unwrap());
            serde_json::from_str::<Value>(&text).unwrap()
        };
        assert_eq!(shown(br#"{"a": 1}"#)["payload"], json!({"a": 1}));
        assert_eq!(shown(b"a=1&b=%32")["payload"], json!("a=1&b=%32"));
        assert_eq!(shown(b"<a>\xc3\xa4</a>")["payload"], json!("<a>ä</a>"));
        assert_eq!(shown(b"")["payload"], json!(""));
        assert_eq!(shown(b"\"\xff\"")["payload"], json!({"$base64": "Iv8i"}));
        let expected = json!({
            "sourceId": SourceId::lowest_at(Time(7)).to_string(), "eventId": "evt", "method": "POST", "query": "a=b",
            "contentType": "text/plain", "headers": [["x-a", "1"], ["x-a", "\u{fffd}"]],
            "replays": MsgId::lowest_at(Time(1)).to_string(),
        });
        assert_eq!(shown(b"x")["origin"], expected);
    }
}
