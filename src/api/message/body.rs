//! From the bytes of a request to a draft: parsed once, the payload neither changed nor copied.

use super::Given;
use crate::{
    api::{
        body::{Stamp, parse_json},
        problem::Problem,
    },
    flow::Draft,
    model::Time,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The body of `POST …/msg`, its parts of any shape as `R`: text borrowed from the request, so that nothing is copied.
/// What it does not name is ignored, as the contract's schema allows.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object with eventType and payload")]
pub(super) struct Body<R> {
    event_type: String,
    #[serde(default)]
    event_id: Option<String>,
    payload: R,
    #[serde(default)]
    channels: Option<Vec<String>>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    deliver_at: Option<Stamp>,
    #[serde(default)]
    ordering_key: Option<String>,
    #[serde(default)]
    payload_retention_period: Option<u64>,
    #[serde(default)]
    payload_retention_hours: Option<u64>,
    #[serde(default = "Option::default")]
    transformations_params: Option<R>,
    /// Makes the application that the path names, if there is none: parsed only then.
    #[serde(default = "Option::default")]
    pub(super) application: Option<R>,
}

/// What the current clients' `messageInRaw` sends beside an empty payload.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawParams {
    raw_payload: String,
}

impl<'a> Body<&'a RawValue> {
    /// Parses a request's body.
    ///
    /// # Errors
    /// Not JSON, or not the shape that the contract names.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Problem> {
        // Where a fault is, is looked for only when there is one; that way of reading cannot borrow.
        // An array would be read field by field.
        let listed = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        match serde_json::from_slice(bytes) {
            Ok(body) if !listed => Ok(body),
            _ => Err(parse_json::<Body<Box<RawValue>>>(bytes).err().unwrap_or(Problem::Internal)),
        }
    }

    /// The draft, its payload a part of `bytes`, from which this was parsed.
    ///
    /// # Errors
    /// Something is over a limit or breaks a rule; the problem names the field.
    pub(super) fn into_draft(self, bytes: &Bytes, now: Time, max_payload: usize) -> Result<Draft, Problem> {
        let payload = match self.transformations_params {
            None => bytes.slice_ref(self.payload.get().as_bytes()),
            Some(params) => raw_payload(params)?,
        };
        let given = Given {
            event_type: self.event_type,
            event_id: self.event_id,
            payload,
            channels: self.channels,
            tags: self.tags,
            deliver_at: self.deliver_at.map(|Stamp(at)| at),
            ordering_key: self.ordering_key,
            retention_days: self.payload_retention_period,
            retention_hours: self.payload_retention_hours,
        };
        given.into_draft(now, max_payload)
    }
}

/// Transformations do not exist here; of their parameters only the text to send as it is can be honoured.
fn raw_payload(params: &RawValue) -> Result<Bytes, Problem> {
    let unsupported = "Transformations are not supported; only `rawPayload`, a text that is JSON, is.";
    let params: RawParams = serde_json::from_str(params.get())
        .map_err(|_| Problem::field(&["body", "transformationsParams"], "unsupported", unsupported))?;
    if serde_json::from_str::<&RawValue>(&params.raw_payload).is_err() {
        return Err(Problem::field(&["body", "transformationsParams", "rawPayload"], "pattern", "The text is not JSON."));
    }
    Ok(params.raw_payload.into())
}

#[cfg(test)]
mod tests {
    use super::{super::given::MAX_DEPTH, *};
    use std::time::Duration;

    const NOW: Time = Time(1_000_000_000_000);

    fn draft(json: &str) -> Result<Draft, Problem> {
        let bytes = Bytes::from(json.to_owned());
        Body::parse(&bytes)?.into_draft(&bytes, NOW, 1024)
    }

    fn with(extra: &str) -> Result<Draft, Problem> {
        draft(&format!(r#"{{"eventType":"a.b","payload":{{}},{extra}}}"#))
    }

    #[test]
    fn the_payload_is_the_exact_bytes_that_came() {
        for payload in [r#"{ "b" : 1.10, "a":"\u00e9é" , "b": 2}"#, "[1,  2]", "null", "\"text\"", "-0.0e+5", "true"] {
            let bytes = Bytes::from(format!("{{\"eventType\":\"a.b\",\n\"payload\": {payload}\t, \"extra\": [{{}}]}}"));
            let draft = Body::parse(&bytes).unwrap().into_draft(&bytes, NOW, 1024).unwrap();
            assert_eq!(draft.payload, payload.as_bytes());
            let range = bytes.as_ptr_range();
            assert!(range.contains(&draft.payload.as_ptr()), "the payload was copied");
        }
    }

    #[test]
    fn everything_reaches_the_draft() {
        let extra = r#""eventId":"e-1","orderingKey":"order 7","channels":["a","b","a"],"tags":["x/y"],"deliverAt":"2001-09-09T02:46:40Z","payloadRetentionHours":2"#;
        let draft = with(extra).unwrap();
        assert_eq!((draft.event_type.as_str(), draft.event_id.as_deref()), ("a.b", Some("e-1")));
        assert_eq!(draft.ordering_key.as_deref(), Some("order 7"));
        assert_eq!((draft.channels, draft.tags), (vec!["a".into(), "b".into()], vec!["x/y".into()]));
        assert_eq!(draft.deliver_at, Some(NOW.plus(Duration::from_secs(3600))));
        assert_eq!(draft.payload_expires_at, Some(NOW.plus(Duration::from_secs(7200))));
    }

    #[test]
    fn nulls_are_absent_and_the_past_is_at_once() {
        let draft = with(r#""eventId":null,"channels":null,"tags":null,"deliverAt":null,"payloadRetentionPeriod":null,"application":null,"transformationsParams":null"#).unwrap();
        assert_eq!((draft.event_id, draft.channels.len(), draft.payload_expires_at), (None, 0, None));
        assert_eq!(with(r#""deliverAt":"2001-01-01T00:00:00Z""#).unwrap().deliver_at, None);
    }

    #[test]
    fn a_raw_payload_takes_the_payloads_place() {
        let draft = with(r#""transformationsParams":{"rawPayload":"{ \"a\":1 }"}"#).unwrap();
        assert_eq!(draft.payload, r#"{ "a":1 }"#);
        assert!(with(r#""transformationsParams":{"rawPayload":"<xml/>"}"#).is_err());
        assert!(with(r#""transformationsParams":{"other":1}"#).is_err());
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let many = |n: usize| (0..n).map(|i| format!("\"c{i}\"")).collect::<Vec<_>>().join(",");
        for extra in [
            r#""eventId":"""#,
            r#""eventId":"a b""#,
            r#""channels":"a""#,
            r#""channels":["a b"]"#,
            r#""tags":["é"]"#,
            r#""deliverAt":"soon""#,
            r#""deliverAt":"2099-01-01T00:00:00Z""#,
            r#""orderingKey":"""#,
            r#""orderingKey":7"#,
            &format!(r#""orderingKey":"{}""#, "k".repeat(257)),
            r#""payloadRetentionPeriod":0"#,
            r#""payloadRetentionPeriod":91"#,
            r#""payloadRetentionPeriod":-1"#,
            r#""payloadRetentionHours":2161"#,
            r#""payloadRetentionPeriod":5,"payloadRetentionHours":5"#,
            r#""payloadRetentionHours":1,"deliverAt":"2001-09-10T01:46:40Z""#,
            &format!(r#""channels":[{}]"#, many(11)),
            &format!(r#""tags":[{}]"#, many(6)),
        ] {
            assert!(with(extra).is_err(), "{extra}");
        }
        assert!(with(&format!(r#""channels":[{}],"tags":[{}]"#, many(10), many(5))).is_ok());
        for body in [
            "",
            "[]",
            "[\"a\",null,1,null,null,null,null,null,null,null]",
            "{",
            r#"{"eventType":"a"}"#,
            r#"{"payload":1}"#,
            r#"{"eventType":"","payload":1}"#,
            r#"{"eventType":"a b","payload":1}"#,
        ] {
            assert!(draft(body).is_err(), "{body}");
        }
        let long = "a".repeat(257);
        assert!(draft(&format!(r#"{{"eventType":"{long}","payload":1}}"#)).is_err());
        assert!(draft(&format!(r#"{{"eventType":"a","payload":"{}"}}"#, "x".repeat(1023))).is_err());
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let nested = |n: usize| format!(r#"{{"eventType":"a","payload":{}{}}}"#, "[".repeat(n), "]".repeat(n));
        assert!(draft(&nested(MAX_DEPTH)).is_ok());
        assert!(draft(&nested(MAX_DEPTH + 1)).is_err());
        let deep = Bytes::from(nested(400_000));
        assert!(Body::parse(&deep).unwrap().into_draft(&deep, NOW, 1 << 20).is_err());
        let brackets = format!(r#"{{"eventType":"a","payload":"{}\"{}"}}"#, "[".repeat(200), "{".repeat(200));
        assert!(draft(&brackets).is_ok());
    }
}
