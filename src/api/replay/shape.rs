//! Replays as the API shows them, and how what is asked for becomes one.

use crate::{
    api::{
        Api, Problem, Stamp,
        endpoint::read_filter,
        limits::{self, Limits},
        message::labels,
        rules::Check,
    },
    flow::Counted,
    model::{
        AppId, EndpointId, Filter, MsgId, OrgId, PayloadPath, Replay, ReplayState, ReplayStatus, ReplayTask, Selection, TaskId,
        Time,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use utoipa::ToSchema;

/// How far back a replay may reach: nothing older is kept by default.
const MAX_REACH: Duration = Duration::from_secs(90 * 86_400);
/// Deliveries a second when nothing is said.
pub(super) const DEFAULT_RATE: u32 = 100;
/// Deliveries a second at most.
pub(super) const MAX_RATE: u32 = 10_000;
/// Event types that a replay is limited to, at most.
const MAX_EVENT_TYPES: usize = 100;
/// Classes of answers: none, or the first digit of the status.
pub(in crate::api) const CODE_CLASSES: [u16; 6] = [0, 100, 200, 300, 400, 500];

/// The rules below, for the description of the API.
pub(in crate::api) fn limits() -> Limits {
    let class = CODE_CLASSES.iter().map(|class| json!(class)).chain([Value::Null]).collect::<Vec<_>>();
    // The contract's clients send an empty list for all.
    let [labels, bulk] = [1, 0].map(|least| {
        json!({
            "eventTypes": limits::names(least, MAX_EVENT_TYPES),
            "channel": labels::channel_limits(),
            "tag": labels::tag_limits(),
            "statusCodeClass": { "enum": class },
        })
    });
    let rate = json!({ "rate": limits::range(1_u64, MAX_RATE) });
    vec![
        ("ReplayRequest", labels.clone()),
        ("ReplayRequest", rate.clone()),
        ("CancelRequest", labels),
        ("CancelRequest", rate),
        ("BulkReplayIn", bulk),
    ]
}

/// How a delivery stands, as a replay chooses by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ReplayStatusName {
    /// An attempt succeeded.
    Delivered,
    /// All attempts failed.
    Exhausted,
    /// An attempt is owed; also of an endpoint that is disabled.
    Pending,
    /// An attempt is owed, and the endpoint is disabled.
    Held,
    /// Withdrawn.
    Cancelled,
    /// There is no delivery, and the endpoint would get the message now.
    Missing,
}

impl ReplayStatusName {
    fn meant(self) -> ReplayStatus {
        match self {
            ReplayStatusName::Delivered => ReplayStatus::Delivered,
            ReplayStatusName::Exhausted => ReplayStatus::Exhausted,
            ReplayStatusName::Pending => ReplayStatus::Pending,
            ReplayStatusName::Held => ReplayStatus::Held,
            ReplayStatusName::Cancelled => ReplayStatus::Cancelled,
            ReplayStatusName::Missing => ReplayStatus::Missing,
        }
    }
}

/// Which deliveries to make once more. Everything that is given must agree.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReplayRequest {
    /// The application, by id or uid.
    pub(super) app_id: String,
    /// One endpoint of it, by id or uid. Absent: all.
    pub(super) endpoint_id: Option<String>,
    /// Messages made at this instant or later; at most 90 days back.
    #[schema(value_type = String, format = DateTime)]
    pub(super) since: Stamp,
    /// Messages made before this instant. Absent: until now.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) until: Option<Stamp>,
    /// Only these event types; at most 100.
    pub(super) event_types: Option<Vec<String>>,
    /// Only messages with this channel.
    pub(super) channel: Option<String>,
    /// Only messages with this tag.
    pub(super) tag: Option<String>,
    /// Only messages whose payload meets this filter, as endpoints have them.
    #[schema(value_type = Option<Object>)]
    pub(super) filter: Option<serde_json::Value>,
    /// Only deliveries that stand so, at least one. Absent: `exhausted`. `missing` are those that an endpoint was never to get, and would
    /// now.
    #[schema(min_items = 1)]
    pub(super) statuses: Option<Vec<ReplayStatusName>>,
    /// Only deliveries whose last answer was of this class: 100, 200, …, 500; 0: there was no answer.
    pub(super) status_code_class: Option<u16>,
    /// A path into the payload that names what a message is about (`order.id`): of the messages with the same value only the
    /// newest is delivered, and the newest go first.
    pub(super) newest_per: Option<String>,
    /// Whether of the messages with the same ordering key only the newest is delivered, the newest first. Not together with
    /// `newestPer`.
    #[serde(default)]
    pub(super) newest_per_ordering_key: bool,
    /// Whether exhausted deliveries get their whole schedule once more. By default each delivery gets one attempt, whose
    /// failure counts for nothing.
    #[serde(default)]
    pub(super) anew: bool,
    /// Deliveries a second at most, 1 to 10,000; 100 by default. Live traffic goes first whatever the rate.
    pub(super) rate: Option<u32>,
}

/// How a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum BackgroundTaskStatus {
    /// Deliveries are being queued.
    Running,
    /// All are queued.
    Finished,
    /// It could not go on.
    Failed,
    /// Somebody stopped it.
    Aborted,
}

/// What a replay was asked as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) enum BackgroundTaskType {
    /// `POST /api/v1/replay`
    #[serde(rename = "replay")]
    Replay,
    /// `…/recover`
    #[serde(rename = "endpoint.recover")]
    EndpointRecover,
    /// `…/replay-missing`
    #[serde(rename = "endpoint.replay")]
    EndpointReplay,
    /// `…/bulk-replay`
    #[serde(rename = "endpoint.bulk-replay")]
    EndpointBulkReplay,
    /// `POST /api/v1/cancel`
    #[serde(rename = "cancel")]
    Cancel,
}

/// A replay.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplayOut {
    /// Identifier.
    #[schema(value_type = String)]
    id: TaskId,
    status: BackgroundTaskStatus,
    task: BackgroundTaskType,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The application.
    #[schema(value_type = String)]
    app_id: AppId,
    /// The endpoint; null when it is of all.
    #[schema(value_type = Option<String>)]
    endpoint_id: Option<EndpointId>,
    /// Messages made at this instant or later.
    #[schema(value_type = String, format = DateTime)]
    since: Stamp,
    /// Messages made before this instant.
    #[schema(value_type = String, format = DateTime)]
    until: Stamp,
    /// Deliveries a second at most.
    rate: u32,
    /// How far it is, from 0 to 1: which part of `data.deliveriesTotal`, or where that is null, of the span.
    progress: f64,
    data: ReplayData,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// When it last went on.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Stamp,
}

/// What a replay has done.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplayData {
    /// Messages looked at.
    #[schema(value_type = i64)]
    messages_scanned: u64,
    /// Deliveries queued, or cancelled.
    #[schema(value_type = i64)]
    messages_queued: u64,
    /// Messages left out because their payloads were deleted.
    #[schema(value_type = i64)]
    messages_expunged: u64,
    /// How many deliveries there were to queue, or to cancel, when it began. Null before they are counted, and where the span holds
    /// more than 10,000 messages.
    #[schema(value_type = Option<i64>)]
    deliveries_total: Option<u64>,
}

/// What a replay would do.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplayPreviewOut {
    /// Messages looked at.
    #[schema(value_type = i64)]
    messages_scanned: u64,
    /// Messages that would be delivered once more, or of which deliveries would be cancelled.
    #[schema(value_type = i64)]
    messages: u64,
    /// Deliveries that would be made once more, or cancelled.
    #[schema(value_type = i64)]
    deliveries: u64,
    /// Messages that would be left out because their payloads are deleted.
    #[schema(value_type = i64)]
    messages_expunged: u64,
    /// Whether the whole span was counted. A request counts over at most 100,000 messages; there are at least so many then.
    complete: bool,
}

impl From<Counted> for ReplayPreviewOut {
    fn from(counted: Counted) -> Self {
        ReplayPreviewOut {
            messages_scanned: counted.scanned,
            messages: counted.messages,
            deliveries: counted.deliveries,
            messages_expunged: counted.expunged,
            complete: counted.complete,
        }
    }
}

impl From<&Replay> for ReplayOut {
    fn from(replay: &Replay) -> Self {
        ReplayOut {
            id: replay.id,
            status: match replay.state {
                ReplayState::Running => BackgroundTaskStatus::Running,
                ReplayState::Finished => BackgroundTaskStatus::Finished,
                ReplayState::Failed => BackgroundTaskStatus::Failed,
                ReplayState::Aborted => BackgroundTaskStatus::Aborted,
            },
            task: match replay.task {
                ReplayTask::Replay => BackgroundTaskType::Replay,
                ReplayTask::Recover => BackgroundTaskType::EndpointRecover,
                ReplayTask::Missing => BackgroundTaskType::EndpointReplay,
                ReplayTask::Bulk => BackgroundTaskType::EndpointBulkReplay,
                ReplayTask::Cancel => BackgroundTaskType::Cancel,
            },
            error: replay.error.clone(),
            app_id: replay.app,
            endpoint_id: replay.endpoint,
            since: Stamp(replay.selection.since),
            until: Stamp(replay.selection.until),
            rate: replay.rate,
            progress: replay.progress(),
            data: ReplayData {
                messages_scanned: replay.scanned,
                messages_queued: replay.queued,
                messages_expunged: replay.expunged,
                deliveries_total: replay.total,
            },
            created_at: Stamp(replay.created_at),
            updated_at: Stamp(replay.updated_at),
        }
    }
}

/// A span of time, checked.
///
/// # Errors
/// It reaches too far back or into the future, or is empty.
pub(super) fn span(since: Stamp, until: Option<Stamp>, now: Time) -> Result<(Time, Time), Problem> {
    let since = since.0;
    // Messages of this very millisecond count when no end is given.
    let until = until.map_or(Time(now.0.saturating_add(1)), |until| until.0);
    if since > now {
        return Err(Problem::field(&["body", "since"], "range", "Not in the future."));
    }
    if since < now.minus(MAX_REACH) {
        return Err(Problem::field(&["body", "since"], "range", "At most 90 days back."));
    }
    if until <= since {
        return Err(Problem::field(&["body", "until"], "range", "After `since`."));
    }
    Ok((since, until))
}

/// A replay that has not begun, of everything in a span.
pub(super) fn blank(api: &Api, (org, app): (OrgId, AppId), endpoint: Option<EndpointId>, (since, until): (Time, Time)) -> Replay {
    let now = api.engine.clock.now();
    let selection = Selection {
        since,
        until,
        event_types: Vec::new(),
        channel: None,
        tag: None,
        filter: None,
        statuses: Vec::new(),
        code_class: None,
        newest_per: None,
        newest_per_key: false,
    };
    Replay {
        id: TaskId(api.engine.random.id(now)),
        org,
        app,
        endpoint,
        task: ReplayTask::Replay,
        selection,
        anew: false,
        rate: DEFAULT_RATE,
        state: ReplayState::Running,
        error: None,
        cursor: MsgId(0),
        scanned: 0,
        queued: 0,
        total: None,
        counted: false,
        expunged: 0,
        created_at: now,
        updated_at: now,
        worker: 0,
        worker_until: Time(0),
        expires_at: None,
    }
}

/// The labels by which messages are chosen, checked.
///
/// # Errors
/// One is none.
pub(super) fn check_labels(event_types: Option<&[String]>, channel: Option<&str>, tag: Option<&str>) -> Result<(), Problem> {
    let mut check = Check::new();
    if let Some(event_types) = event_types {
        let rule = "It has 1 to 100 entries; leave it out for all event types.";
        check.rule((1..=MAX_EVENT_TYPES).contains(&event_types.len()), &["body", "eventTypes"], "length", rule);
        check.names(&["body", "eventTypes"], event_types, 0);
    }
    check.done()?;
    channel.map_or(Ok(()), |channel| labels::channel(&["body", "channel"], channel))?;
    tag.map_or(Ok(()), |tag| labels::tag(&["body", "tag"], tag))
}

/// The statuses by which deliveries are chosen, checked: a list of none would be anybody's guess.
///
/// # Errors
/// There is none.
pub(super) fn check_statuses(count: usize) -> Result<(), Problem> {
    let mut check = Check::new();
    let rule = "It has at least one entry; leave it out for the default.";
    check.rule(count > 0, &["body", "statuses"], "length", rule);
    check.done()
}

/// A class of answers, checked.
///
/// # Errors
/// It is none.
pub(super) fn check_class(class: Option<u16>) -> Result<Option<u16>, Problem> {
    match class {
        Some(class) if !CODE_CLASSES.contains(&class) => {
            Err(Problem::field(&["body", "statusCodeClass"], "range", "One of 0, 100, 200, 300, 400 and 500."))
        }
        class => Ok(class),
    }
}

impl ReplayRequest {
    /// The replay that is asked for.
    ///
    /// # Errors
    /// A field breaks its rule.
    pub(super) fn read(self, api: &Api, owner: (OrgId, AppId), endpoint: Option<EndpointId>) -> Result<Replay, Problem> {
        let span = span(self.since, self.until, api.engine.clock.now())?;
        check_labels(self.event_types.as_deref(), self.channel.as_deref(), self.tag.as_deref())?;
        let event_types = self.event_types.unwrap_or_default();
        let rate = self.rate.unwrap_or(DEFAULT_RATE);
        if !(1..=MAX_RATE).contains(&rate) {
            return Err(Problem::field(&["body", "rate"], "range", "A number from 1 to 10,000."));
        }
        let filter: Option<Filter> = self.filter.map(read_filter).transpose()?;
        let newest_per = self.newest_per.as_deref().map(PayloadPath::parse).transpose();
        let newest_per = newest_per.map_err(|rule| Problem::field(&["body", "newestPer"], "pattern", rule))?;
        if newest_per.is_some() && self.newest_per_ordering_key {
            let rule = "Give `newestPer` or `newestPerOrderingKey`, not both.";
            return Err(Problem::field(&["body", "newestPerOrderingKey"], "exclusive", rule));
        }
        check_statuses(self.statuses.as_ref().map_or(1, Vec::len))?;
        let mut replay = blank(api, owner, endpoint, span);
        let statuses =
            self.statuses.map_or(vec![ReplayStatus::Exhausted], |all| all.into_iter().map(ReplayStatusName::meant).collect());
        let (since, until) = span;
        replay.selection = Selection {
            since,
            until,
            event_types,
            channel: self.channel,
            tag: self.tag,
            filter,
            statuses,
            code_class: check_class(self.status_code_class)?,
            newest_per,
            newest_per_key: self.newest_per_ordering_key,
        };
        replay.anew = self.anew;
        replay.rate = rate;
        Ok(replay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lie_in_the_last_ninety_days() {
        let now = Time(100 * 86_400_000);
        let ask = |since: u64, until: Option<u64>| span(Stamp(Time(since)), until.map(|ms| Stamp(Time(ms))), now).ok();
        assert_eq!(ask(now.0, None), Some((now, Time(now.0 + 1))));
        assert_eq!(ask(now.0 - 5, Some(now.0)), Some((Time(now.0 - 5), now)));
        assert_eq!(ask(now.0 + 1, None), None);
        assert_eq!(ask(10 * 86_400_000, None), Some((Time(10 * 86_400_000), Time(now.0 + 1))));
        assert_eq!(ask(10 * 86_400_000 - 1, None), None);
        assert_eq!(ask(now.0 - 5, Some(now.0 - 5)), None);
    }
}
