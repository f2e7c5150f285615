//! An erasure: every trace of some messages is deleted, and a receipt is left that says how many, which and when.

use super::{AppId, Filter, MsgId, OrgId, TaskId, Time};
use serde::{Deserialize, Serialize};

/// Which messages an erasure deletes. What is given must agree; one of both is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Doomed {
    /// That carry this tag.
    pub tag: Option<String>,
    /// Whose payload meets this filter (`{"user.id": {"eq": 7}}`).
    pub filter: Option<Filter>,
}

/// An erasure, and its receipt once it is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    /// Identifier.
    pub id: TaskId,
    /// Owner.
    pub org: OrgId,
    /// Of this application only.
    pub app: Option<AppId>,
    /// Which messages; forgotten when it is done, since it may name whom it is about.
    pub doomed: Option<Doomed>,
    /// SHA-256 of what was asked for, hex: who knows that can tell which request this is the receipt of.
    pub asked: String,
    /// Applications that are left, the one that is worked on first.
    pub apps: Vec<AppId>,
    /// Messages of the first of `apps` up to this one were looked at.
    pub cursor: MsgId,
    /// Messages that are being deleted: again after a crash.
    pub doing: Vec<(AppId, MsgId)>,
    /// Messages deleted.
    pub count: u64,
    /// Messages left, and perhaps meant: a path was asked for, and their payloads are gone already.
    pub unreadable: u64,
    /// SHA-256, hex, over the digest before (none at first) and each deleted message's id, one after the other.
    pub digest: String,
    /// When it was asked for.
    pub created_at: Time,
    /// Messages made before this instant are looked at.
    pub until: Time,
    /// When the last trace was deleted; `None` while it goes on.
    pub finished_at: Option<Time>,
}
