//! What a producer gives for a message, by whatever way: the rules that it keeps, and the draft that comes of it.

use super::labels;
use crate::{
    api::problem::Problem,
    flow::Draft,
    model::{MAX_ORDERING_KEY, Time},
};
use bytes::Bytes;
use std::time::Duration;

/// Channels that a message carries at most: the current clients' limit (the contract says 5).
pub(in crate::api) const MAX_CHANNELS: usize = 10;
/// Tags that a message carries at most.
const MAX_TAGS: usize = 5;
/// How far ahead a delivery may be scheduled.
const MAX_AHEAD: Duration = Duration::from_secs(90 * 86_400);
/// Days for which a payload may be kept. The contract begins at 5, the current clients at 1.
const RETENTION_DAYS: std::ops::RangeInclusive<u64> = 1..=90;
/// Hours for which a payload may be kept.
const RETENTION_HOURS: std::ops::RangeInclusive<u64> = 1..=90 * 24;
/// How deep a payload's arrays and objects may nest: receivers' parsers commonly stop there.
pub(super) const MAX_DEPTH: usize = 128;

/// A message as its producer gives it, the payload being JSON.
#[derive(Debug)]
pub(crate) struct Given {
    /// Name of its event type.
    pub(crate) event_type: String,
    /// The producer's own id.
    pub(crate) event_id: Option<String>,
    /// The exact bytes to send.
    pub(crate) payload: Bytes,
    /// Its channels.
    pub(crate) channels: Option<Vec<String>>,
    /// Its tags.
    pub(crate) tags: Option<Vec<String>>,
    /// Not to be delivered before.
    pub(crate) deliver_at: Option<Time>,
    /// What it is to be kept in order with.
    pub(crate) ordering_key: Option<String>,
    /// Days for which the payload is kept.
    pub(crate) retention_days: Option<u64>,
    /// Hours for which the payload is kept, instead of days.
    pub(crate) retention_hours: Option<u64>,
}

impl Given {
    /// The draft.
    ///
    /// # Errors
    /// Something is over a limit or breaks a rule; the problem names the field.
    pub(crate) fn into_draft(self, now: Time, max_payload: usize) -> Result<Draft, Problem> {
        labels::name(&["body", "eventType"], &self.event_type)?;
        if let Some(event_id) = &self.event_id {
            labels::name(&["body", "eventId"], event_id)?;
        }
        if self.ordering_key.as_ref().is_some_and(|key| !(1..=MAX_ORDERING_KEY).contains(&key.len())) {
            let rule = format!("1 to {MAX_ORDERING_KEY} bytes.");
            return Err(Problem::field(&["body", "orderingKey"], "length", rule));
        }
        if self.payload.len() > max_payload {
            return Err(Problem::TooLarge);
        }
        check_depth(&self.payload)?;
        let payload_expires_at = expiry(self.retention_days, self.retention_hours, now)?;
        let deliver_at = schedule(self.deliver_at, now)?;
        if deliver_at.zip(payload_expires_at).is_some_and(|(due, end)| due >= end) {
            return Err(Problem::field(&["body", "deliverAt"], "range", "The payload would be deleted before it is delivered."));
        }
        Ok(Draft {
            event_type: self.event_type,
            event_id: self.event_id,
            channels: labels::names("channels", self.channels, MAX_CHANNELS, labels::channel)?,
            tags: labels::names("tags", self.tags, MAX_TAGS, labels::tag)?,
            deliver_at,
            payload_expires_at,
            payload: self.payload,
            origin: None,
            ordering_key: self.ordering_key,
            only: None,
            unrouted: false,
        })
    }
}

fn range(field: &str, rule: &'static str) -> Problem {
    Problem::field(&["body", field], "range", rule)
}

fn expiry(days: Option<u64>, hours: Option<u64>, now: Time) -> Result<Option<Time>, Problem> {
    let hours = match (days, hours) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let rule = "Give `payloadRetentionPeriod` or `payloadRetentionHours`, not both.";
            return Err(Problem::field(&["body", "payloadRetentionHours"], "exclusive", rule));
        }
        (Some(days), None) if RETENTION_DAYS.contains(&days) => days * 24,
        (Some(_), None) => return Err(range("payloadRetentionPeriod", "A number of days from 1 to 90.")),
        (None, Some(hours)) if RETENTION_HOURS.contains(&hours) => hours,
        (None, Some(_)) => return Err(range("payloadRetentionHours", "A number of hours from 1 to 2160.")),
    };
    Ok(Some(now.plus(Duration::from_secs(hours * 3600))))
}

/// An instant that has passed means at once.
fn schedule(due: Option<Time>, now: Time) -> Result<Option<Time>, Problem> {
    let Some(due) = due else { return Ok(None) };
    if due > now.plus(MAX_AHEAD) {
        return Err(range("deliverAt", "At most 90 days ahead."));
    }
    Ok(Some(due).filter(|due| *due > now))
}

/// Opening brackets bound the depth from above; only where there are many of them is it worth following them.
fn check_depth(json: &[u8]) -> Result<(), Problem> {
    if json.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() <= MAX_DEPTH || depth(json) <= MAX_DEPTH {
        return Ok(());
    }
    Err(Problem::field(&["body", "payload"], "depth", format!("Nested at most {MAX_DEPTH} deep.")))
}

/// How deep valid JSON nests.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut most, mut in_text, mut escaped) = (0usize, 0, false, false);
    for byte in json {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => {
                now += 1;
                most = most.max(now);
            }
            (false, b']' | b'}') => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}
