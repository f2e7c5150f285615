//! Several events in one request: each element's exact bytes, its own id and type.

use crate::{
    Provider, Refusal, Request,
    json::{self, Path},
    verifier::{identified, named},
};
use std::ops::Range;

/// One event of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its id, if it has one of its own.
    pub id: Option<String>,
    /// Its type, if it has one of its own.
    pub event_type: Option<String>,
    /// Where in the body its bytes are.
    pub range: Range<usize>,
}

/// The events of a body, in their order: for a provider that sends no batches, the whole.
///
/// # Errors
/// The body is not JSON, or has no array where the provider has one, or more than 10,000 elements.
pub fn split(provider: &Provider, body: &[u8]) -> Result<Vec<Element>, Refusal> {
    let Some(batch) = &provider.batch else {
        return Ok(vec![Element { id: None, event_type: None, range: 0..body.len() }]);
    };
    let root = json::raw(body).ok_or(Refusal::Malformed("the body".into(), "it is not JSON"))?;
    let path = Path::parse(&batch.elements).map_err(|rule| Refusal::Malformed("the batch".into(), rule))?;
    let missing = || Refusal::MissingField(batch.elements.clone().into());
    let array = path.find(root).and_then(|found| found.into_iter().next()).ok_or_else(missing)?;
    let elements = json::elements(array);
    let elements = elements.ok_or(Refusal::Malformed(batch.elements.clone().into(), "it is no array of at most 10000 elements"))?;
    let start = body.as_ptr().addr();
    let element = |element: &serde_json::value::RawValue| {
        let text = element.get().as_bytes();
        let at = text.as_ptr().addr().saturating_sub(start);
        let request = Request { method: "POST", url: "", headers: &[], body: text };
        let id = batch.id.as_ref().and_then(|place| identified(place, &request, &[]));
        let event_type = batch.event_type.as_ref().and_then(|place| named(place, &request, &[]));
        Element { id, event_type, range: at..at + text.len() }
    };
    Ok(elements.into_iter().map(element).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider;

    #[test]
    fn elements_keep_their_bytes() {
        let body = br#" [ {"sg_event_id":"a", "event":"open"} ,{"event":"click","sg_event_id":"b"},3]"#;
        let all = split(provider("sendgrid").unwrap(), body).unwrap();
        let texts: Vec<&str> = all.iter().map(|one| str::from_utf8(&body[one.range.clone()]).unwrap()).collect();
        assert_eq!(texts, [r#"{"sg_event_id":"a", "event":"open"}"#, r#"{"event":"click","sg_event_id":"b"}"#, "3"]);
        assert_eq!(all[1].id.as_deref(), Some("b"));
        assert_eq!(all[0].event_type.as_deref(), Some("open"));
        assert_eq!((all[2].id.clone(), all[2].event_type.clone()), (None, None));
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let graph = provider("msgraph").unwrap();
        assert_eq!(split(graph, b"{}"), Err(Refusal::MissingField("value".into())));
        assert!(matches!(split(graph, b"x"), Err(Refusal::Malformed(..))));
        assert!(matches!(split(graph, br#"{"value":1}"#), Err(Refusal::Malformed(..))));
        assert_eq!(split(provider("github").unwrap(), b"abc").unwrap()[0].range, 0..3);
    }
}
