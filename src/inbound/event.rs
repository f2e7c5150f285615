//! What a genuine request becomes: one message, or one for each element of a batch, each with its event type, its mark
//! against repetition, and where it came from.

use super::{Arrival, Compiled, Reason};
use crate::{
    crypto::{fingerprint, short_fingerprint},
    flow::{Draft, Mark},
    model::{IGNORED_TAG, Origin, Record, Seen, Time},
};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use postrider_signature::{Verified, split};
use std::{sync::Arc, time::Duration};

/// The longest event type, in bytes, as elsewhere.
const MAX_TYPE: usize = 256;
/// The type of an event whose sender names none.
const UNNAMED: &str = "unknown";
/// Elements of a batch that are taken at once.
const MAX_ELEMENTS: usize = 5000;
/// Bytes of query and headers that the messages of one batch may hold together: each has its own copy.
const MAX_COPIED: usize = 16 * 1024 * 1024;
/// Bytes of a sender's event id that are kept to be shown. Duplicates are recognised by all of it.
const MAX_EVENT_ID: usize = 256;

/// One event of a request.
#[derive(Debug)]
struct Event {
    id: Option<String>,
    kind: Option<String>,
    /// What its repetitions have in common; `None`: they cannot be recognised.
    key: Option<String>,
    payload: Bytes,
}

/// The drafts of a genuine request's messages, each with its mark.
///
/// # Errors
/// It is not the batch that it should be.
pub(super) fn drafts(
    source: &Compiled,
    arrival: &Arrival,
    verified: Verified,
    now: Time,
) -> Result<Vec<(Draft, Option<Mark>)>, Reason> {
    let events = events(source, &arrival.body, verified)?;
    let headers = chosen_headers(source, arrival);
    let copied = headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() + arrival.head.query().len();
    if events.len() > 1 && events.len().saturating_mul(copied) > MAX_COPIED {
        return Err(Reason::Elements(MAX_COPIED / copied.max(1)));
    }
    let content_type = arrival.head.headers.get(CONTENT_TYPE).map(|value| Bytes::copy_from_slice(value.as_bytes()));
    let draft = |event: Event| {
        let listed = source.lists(event.kind.as_deref());
        let origin = Origin {
            source: source.source.id,
            event_id: event.id.map(|mut id| {
                id.truncate(id.floor_char_boundary(MAX_EVENT_ID));
                id
            }),
            method: arrival.head.method.as_str().to_owned(),
            query: arrival.head.query().to_owned(),
            content_type: content_type.clone(),
            headers: headers.clone(),
            replays: None,
        };
        let draft = Draft {
            event_type: event_type(&source.source.event_type_prefix, event.kind.as_deref()),
            channels: vec![source.source.id.to_string()],
            payload: event.payload,
            origin: Some(Arc::new(origin)),
            ordering_key: None,
            tags: if listed { Vec::new() } else { vec![IGNORED_TAG.to_owned()] },
            unrouted: source.source.paused.is_some() || !listed,
            ..Draft::default()
        };
        (draft, event.key.and_then(|key| mark(source, &key, now)))
    };
    Ok(events.into_iter().map(draft).collect())
}

/// The mark that a repetition of the event collides with.
fn mark(source: &Compiled, key: &str, now: Time) -> Option<Mark> {
    let window = Duration::from_secs(source.source.dedup_window_s.into());
    let seen = Seen { source: source.source.id, key: short_fingerprint(key.as_bytes()), expires_at: now.plus(window) };
    (!window.is_zero()).then(|| -> Mark { Box::new(move |_| Record::Seen(seen)) })
}

fn events(source: &Compiled, body: &Bytes, verified: Verified) -> Result<Vec<Event>, Reason> {
    let whole = |verified: Verified| {
        vec![Event { key: verified.event_id.clone(), id: verified.event_id, kind: verified.event_type, payload: body.clone() }]
    };
    let Some(provider) = source.provider().filter(|provider| source.source.split && provider.batch.is_some()) else {
        return Ok(whole(verified));
    };
    let elements = split(provider, body).map_err(Reason::Batch)?;
    if elements.len() > MAX_ELEMENTS {
        return Err(Reason::Elements(MAX_ELEMENTS));
    }
    // A sender that repeats a batch repeats its bytes: those tell the request where it has no id.
    let nameless = verified.event_id.is_none() && elements.iter().any(|element| element.id.is_none());
    let request = if nameless { Some(format!("\0{}", fingerprint(body))) } else { verified.event_id.clone() };
    let event = |(at, element): (usize, postrider_signature::Element)| {
        // An element without an id of its own is known by its place in the request.
        let placed = || request.as_ref().map(|request| format!("{request}\0{at}"));
        Event {
            key: element.id.clone().or_else(placed),
            id: element.id.or_else(|| verified.event_id.clone()),
            kind: element.event_type.or_else(|| verified.event_type.clone()),
            payload: body.slice(element.range),
        }
    };
    Ok(elements.into_iter().enumerate().map(event).collect())
}

/// The headers that the source's owner has chosen, in the order of that choice, and how the body is encoded, without which
/// nobody could read it.
fn chosen_headers(source: &Compiled, arrival: &Arrival) -> Vec<(String, Bytes)> {
    let chosen = source.source.forward_headers.iter().map(String::as_str);
    let encoding = [CONTENT_ENCODING.as_str()].into_iter().filter(|name| !source.source.forward_headers.iter().any(|n| n == name));
    let values = |name| arrival.head.headers.get_all(name).iter().map(move |value| (name, value));
    let kept = chosen.chain(encoding).flat_map(values);
    kept.map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value.as_bytes()))).collect()
}

/// The event type of a message: the source's prefix, a dot, and what the sender calls it, in the characters that our event
/// types may have. Slashes and colons, by which senders form paths (`orders/create`), become dots, other characters `_`.
fn event_type(prefix: &str, said: Option<&str>) -> String {
    let letter = |c: char| match c {
        '/' | ':' => '.',
        c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => c,
        _ => '_',
    };
    let named: String = said.unwrap_or_default().trim().chars().take(MAX_TYPE).map(letter).collect();
    let named = match named.trim_matches('.') {
        "" => UNNAMED,
        named => named,
    };
    let mut whole = if prefix.is_empty() { named.to_owned() } else { format!("{prefix}.{named}") };
    whole.truncate(MAX_TYPE);
    whole.truncate(whole.trim_end_matches('.').len());
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_keep_to_our_grammar() {
        for (prefix, said, expected) in [
            ("github", Some("push"), "github.push"),
            ("shop", Some("orders/create"), "shop.orders.create"),
            ("", Some("invoice.paid"), "invoice.paid"),
            ("x", Some("  Größe ändern "), "x.Gr__e__ndern"),
            ("x", Some("a:b::c"), "x.a.b..c"),
            ("x", None, "x.unknown"),
            ("x", Some(""), "x.unknown"),
            ("x", Some("/../"), "x.unknown"),
            ("", Some("."), "unknown"),
        ] {
            assert_eq!(event_type(prefix, said), expected, "{said:?}");
        }
        let long = event_type("prefix", Some(&"é.".repeat(1000)));
        assert!(long.len() <= MAX_TYPE && long.len() > MAX_TYPE - 2 && !long.ends_with('.'), "{long}");
    }
}
