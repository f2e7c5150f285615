//! Which messages and attempts a list shows: the query parameters that the lists share.

use crate::{
    api::{attempt::MessageStatus, body::Stamp, message::labels, problem::Problem},
    model::{Attempt, Message, Time},
};
use serde::Deserialize;

/// Event types that a list may be filtered by.
const MAX_EVENT_TYPES: usize = 100;
/// Classes of answers: none, or the first digit of the status.
const CODE_CLASSES: [u16; 6] = [0, 100, 200, 300, 400, 500];

/// The query parameters that lists take; each operation's description names those that it takes.
#[derive(Debug, Default, Deserialize)]
pub(in crate::api) struct Asked {
    event_types: Option<String>,
    channel: Option<String>,
    tag: Option<String>,
    before: Option<Stamp>,
    after: Option<Stamp>,
    with_content: Option<bool>,
    with_msg: Option<bool>,
    expanded_statuses: Option<bool>,
    status: Option<u8>,
    status_code_class: Option<u16>,
    endpoint_id: Option<String>,
}

/// What a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct Filter {
    event_types: Vec<String>,
    channel: Option<String>,
    tag: Option<String>,
    before: Option<Time>,
    after: Option<Time>,
    /// Whether payloads or answers are shown.
    pub(in crate::api) with_content: bool,
    /// Whether attempts carry their message.
    pub(in crate::api) with_msg: bool,
    /// Whether the client knows the status `canceled`.
    pub(in crate::api) expanded: bool,
    /// The status to show.
    pub(in crate::api) status: Option<MessageStatus>,
    code_class: Option<u16>,
    /// The endpoint, by id or uid.
    pub(in crate::api) endpoint: Option<String>,
}

impl Filter {
    /// Checks the parameters.
    ///
    /// # Errors
    /// A value that its parameter cannot have; the problem names it.
    pub(in crate::api) fn new(asked: Asked) -> Result<Self, Problem> {
        let event_types: Vec<String> = asked.event_types.iter().flat_map(|list| list.split(',')).map(str::to_owned).collect();
        if event_types.len() > MAX_EVENT_TYPES {
            return Err(fault("event_types", "length", "At most 100 event types."));
        }
        event_types.iter().try_for_each(|name| labels::name(&["query", "event_types"], name))?;
        asked.channel.iter().try_for_each(|channel| labels::channel(&["query", "channel"], channel))?;
        asked.tag.iter().try_for_each(|tag| labels::tag(&["query", "tag"], tag))?;
        let status = asked
            .status
            .map(|number| MessageStatus::from_number(number).ok_or_else(|| fault("status", "range", "A number from 0 to 4.")));
        if asked.status_code_class.is_some_and(|class| !CODE_CLASSES.contains(&class)) {
            return Err(fault("status_code_class", "range", "One of 0, 100, 200, 300, 400 and 500."));
        }
        Ok(Filter {
            event_types,
            channel: asked.channel,
            tag: asked.tag,
            before: asked.before.map(|stamp| stamp.0),
            after: asked.after.map(|stamp| stamp.0),
            with_content: asked.with_content.unwrap_or(true),
            with_msg: asked.with_msg.unwrap_or(false),
            expanded: asked.expanded_statuses.unwrap_or(false),
            status: status.transpose()?,
            code_class: asked.status_code_class,
            endpoint: asked.endpoint_id,
        })
    }

    /// The exclusive bounds of ids for `before` and `after`, both exclusive too: above and below.
    pub(in crate::api) fn bounds(&self) -> (u128, u128) {
        let lowest = |time: Time| crate::model::MsgId::lowest_at(time).0;
        let above = self.after.map_or(0, |after| lowest(Time(after.0.saturating_add(1))).saturating_sub(1));
        (above, self.before.map_or(u128::MAX, lowest))
    }

    /// As [`Filter::bounds`], for attempts: an attempt is recorded once it has succeeded or failed, so that no id fits
    /// another status.
    pub(in crate::api) fn attempt_bounds(&self) -> (u128, u128) {
        let possible = self.admits_status(MessageStatus::Success) || self.admits_status(MessageStatus::Fail);
        if possible { self.bounds() } else { (0, 0) }
    }

    /// Whether the message itself matters: otherwise it need not be read.
    pub(in crate::api) fn asks_about_messages(&self) -> bool {
        !self.event_types.is_empty() || self.channel.is_some() || self.tag.is_some()
    }

    /// Whether a message is shown.
    pub(in crate::api) fn admits(&self, message: &Message) -> bool {
        let carries = |wanted: &Option<String>, labels: &[String]| wanted.as_ref().is_none_or(|wanted| labels.contains(wanted));
        (self.event_types.is_empty() || self.event_types.contains(&message.event_type))
            && carries(&self.channel, &message.channels)
            && carries(&self.tag, &message.tags)
    }

    /// Whether a status is shown. Without `expanded_statuses`, what is shown as `fail` is found as `fail`.
    pub(in crate::api) fn admits_status(&self, status: MessageStatus) -> bool {
        self.status.is_none_or(|wanted| wanted == status || wanted == status.shown(self.expanded))
    }

    /// Whether an attempt is shown, as far as it alone decides.
    pub(in crate::api) fn admits_attempt(&self, attempt: &Attempt) -> bool {
        let class = attempt.outcome.status.map_or(0, |status| status / 100 * 100);
        self.code_class.is_none_or(|wanted| wanted == class) && self.admits_status(MessageStatus::of_attempt(&attempt.outcome))
    }
}

fn fault(parameter: &str, kind: &'static str, rule: &'static str) -> Problem {
    Problem::field(&["query", parameter], kind, rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::body::parse_query,
        model::{AppId, MsgId, OrgId},
    };

    fn filter(query: &str) -> Result<Filter, Problem> {
        Filter::new(parse_query(query)?)
    }

    fn message() -> Message {
        Message {
            id: MsgId(1),
            app: AppId(1),
            org: OrgId(1),
            event_type: "a.b".into(),
            event_id: None,
            channels: vec!["c1".into(), "c2".into()],
            tags: vec!["t".into()],
            deliver_at: None,
            payload_expires_at: None,
            endpoints: Vec::new(),
            payload: bytes::Bytes::new(),
            expunged: false,
            origin: None,
            ordering_key: None,
            ordered: Vec::new(),
        }
    }

    #[test]
    fn messages_are_chosen_by_all_that_is_asked() {
        for (query, shown) in [
            ("", true),
            ("event_types=x,a.b", true),
            ("event_types=x&event_types=a.b", true),
            ("event_types=x", false),
            ("channel=c2&tag=t", true),
            ("channel=c2&tag=u", false),
            ("channel=c3", false),
        ] {
            let filter = filter(query).unwrap();
            assert_eq!(filter.admits(&message()), shown, "{query}");
            assert_eq!(filter.asks_about_messages(), !query.is_empty(), "{query}");
        }
    }

    #[test]
    fn bad_values_are_refused() {
        let many = format!("event_types={}", vec!["a"; MAX_EVENT_TYPES + 1].join(","));
        for query in [
            "event_types=a%20b",
            "event_types=",
            "channel=a%20b",
            "tag=é",
            "before=soon",
            "with_content=1",
            "status=9",
            "status_code_class=201",
            &many,
        ] {
            assert!(filter(query).is_err(), "{query}");
        }
        assert!(filter("limit=x&unknown=1&event_types=a&event_types=b").is_ok(), "what belongs to others is left to them");
    }

    #[test]
    fn dates_are_exclusive_bounds_of_ids() {
        let (above, below) = filter("after=1970-01-01T00:00:01Z&before=1970-01-01T00:00:03Z").unwrap().bounds();
        let inside = |ms| (above..below).contains(&(MsgId::lowest_at(Time(ms)).0)) && MsgId::lowest_at(Time(ms)).0 > above;
        assert!(!inside(1000) && inside(1001) && inside(2999) && !inside(3000));
        assert_eq!(filter("").unwrap().bounds(), (0, u128::MAX));
    }

    #[test]
    fn attempts_are_not_searched_for_what_they_never_are() {
        assert_eq!(filter("status=1").unwrap().attempt_bounds(), (0, 0));
        assert_eq!(filter("status=4&expanded_statuses=true").unwrap().attempt_bounds(), (0, 0));
        assert_eq!(filter("status=2").unwrap().attempt_bounds(), (0, u128::MAX));
        assert_eq!(filter("").unwrap().attempt_bounds(), (0, u128::MAX));
    }

    #[test]
    fn statuses_are_found_as_they_are_shown() {
        let fail = filter("status=2").unwrap();
        assert!(fail.admits_status(MessageStatus::Fail) && fail.admits_status(MessageStatus::Canceled));
        let fail = filter("status=2&expanded_statuses=true").unwrap();
        assert!(fail.admits_status(MessageStatus::Fail) && !fail.admits_status(MessageStatus::Canceled));
        assert!(filter("status=4&expanded_statuses=true").unwrap().admits_status(MessageStatus::Canceled));
    }
}
