//! A replay: deliveries that are made once more, at a pace, in the background. It is a record, so that it survives a restart
//! and any process can go on with it.

use super::{AppId, EndpointId, Filter, MsgId, OrgId, PayloadPath, TaskId, Time};
use serde::{Deserialize, Serialize};

/// How a delivery stands, as a replay chooses by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayStatus {
    /// An attempt succeeded.
    Delivered,
    /// All attempts failed.
    Exhausted,
    /// An attempt is owed, or runs; also of an endpoint that is disabled.
    Pending,
    /// An attempt is owed, and the endpoint is disabled.
    Held,
    /// Withdrawn.
    Cancelled,
    /// There is no delivery, and the endpoint would get the message now.
    Missing,
}

/// Which deliveries a replay makes once more. Everything that is given must agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// Messages made at this instant or later.
    pub since: Time,
    /// Messages made before this instant.
    pub until: Time,
    /// Of these event types; empty: of any.
    pub event_types: Vec<String>,
    /// That carry this channel.
    pub channel: Option<String>,
    /// That carry this tag.
    pub tag: Option<String>,
    /// Whose payload meets this filter.
    pub filter: Option<Filter>,
    /// Deliveries that stand so; empty: any that there are.
    pub statuses: Vec<ReplayStatus>,
    /// Whose last answer's status was of this class (`500`; `0`: there was no answer).
    pub code_class: Option<u16>,
    /// Of the messages with the same value at this path of the payload, only the newest.
    pub newest_per: Option<PayloadPath>,
    /// Of the messages with the same ordering key, only the newest.
    #[serde(default)]
    pub newest_per_key: bool,
}

impl Selection {
    /// Whether only the newest of some messages is delivered.
    #[must_use]
    pub fn asks_newest(&self) -> bool {
        self.newest_per_key || self.newest_per.is_some()
    }
}

/// What asked for a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplayTask {
    /// `POST /api/v1/replay`.
    #[serde(rename = "replay")]
    Replay,
    /// What an endpoint has not got for all its attempts.
    #[serde(rename = "endpoint.recover")]
    Recover,
    /// What an endpoint was never to get, and would now.
    #[serde(rename = "endpoint.replay")]
    Missing,
    /// What an endpoint got or not, by status.
    #[serde(rename = "endpoint.bulk-replay")]
    Bulk,
    /// `POST /api/v1/cancel`: what is pending is not made once more, but cancelled.
    #[serde(rename = "cancel")]
    Cancel,
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayState {
    /// It goes on.
    Running,
    /// Everything is queued.
    Finished,
    /// It was stopped by somebody.
    Aborted,
    /// It could not go on.
    Failed,
}

/// Deliveries that are made once more, or cancelled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// Identifier.
    pub id: TaskId,
    /// Owner of the application.
    pub org: OrgId,
    /// Of this application.
    pub app: AppId,
    /// Of this endpoint only.
    pub endpoint: Option<EndpointId>,
    /// What asked for it.
    pub task: ReplayTask,
    /// Which deliveries.
    pub selection: Selection,
    /// Whether the schedules of exhausted deliveries start anew. Otherwise each delivery gets one attempt.
    pub anew: bool,
    /// Deliveries a second at most.
    pub rate: u32,
    /// Where it stands.
    pub state: ReplayState,
    /// Why it failed, as a sentence.
    pub error: Option<String>,
    /// The last message that was looked at; zero before the first.
    pub cursor: MsgId,
    /// Messages looked at.
    pub scanned: u64,
    /// Deliveries queued, or cancelled.
    pub queued: u64,
    /// How many there were to queue, or to cancel, when it began; `None`: nobody has counted, or there were too many messages.
    #[serde(default)]
    pub total: Option<u64>,
    /// Whether they were counted, or it was tried.
    #[serde(default)]
    pub counted: bool,
    /// Matching messages that were left out because their payloads were deleted.
    pub expunged: u64,
    /// When it was asked for.
    pub created_at: Time,
    /// When it last went on.
    pub updated_at: Time,
    /// The process that works on it.
    pub worker: u64,
    /// When another process may go on with it.
    pub worker_until: Time,
    /// When the record is deleted.
    pub expires_at: Option<Time>,
}

impl Replay {
    /// Whether messages are looked at from the newest to the oldest: only so is the first of a key its newest.
    #[must_use]
    pub fn newest_first(&self) -> bool {
        self.selection.asks_newest()
    }

    /// Whether it cancels what it chooses.
    #[must_use]
    pub fn cancels(&self) -> bool {
        self.task == ReplayTask::Cancel
    }

    /// How far it is, from 0 to 1: of the deliveries that were counted, else of the span.
    #[must_use]
    pub fn progress(&self) -> f64 {
        let Selection { since, until, .. } = self.selection;
        if self.state == ReplayState::Finished {
            return 1.0;
        }
        if let Some(total) = self.total.filter(|total| *total > 0) {
            return (self.queued as f64 / total as f64).clamp(0.0, 1.0);
        }
        if self.cursor == MsgId(0) || until <= since {
            return 0.0;
        }
        let part = self.cursor.time().since(since).as_secs_f64() / until.since(since).as_secs_f64();
        if self.newest_first() { 1.0 - part } else { part }.clamp(0.0, 1.0)
    }
}
