//! A source: a public receive URL for a third party. What it accepts becomes a message; what it refuses is recorded.

use super::{AppId, EndpointId, Metadata, MsgId, OrgId, RejectionId, Sealed, Secret, SourceId, System, Time};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The uid of the application that gets what an organization's own sources receive.
pub const RECEIVED_UID: &str = "postrider.received";

/// How a source's requests are judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceScheme {
    /// A row of the provider table, by its name.
    Provider(String),
    /// A scheme of the owner's, as the JSON text that was given.
    Custom(String),
}

/// Why a source refuses everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Closed {
    /// For a while.
    Paused,
    /// Until further notice.
    Disabled,
}

impl Closed {
    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Closed::Paused => "paused",
            Closed::Disabled => "disabled",
        }
    }
}

/// The tag of received messages whose type is not on the source's list: they go to nobody.
pub const IGNORED_TAG: &str = "ignored";

/// What a source answers once the request is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceAnswer {
    /// 200 to 299.
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// A public receive URL for a third party.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Identifier.
    pub id: SourceId,
    /// Owner.
    pub org: OrgId,
    /// Where its messages go: the application that owns it, or the organization's own (uid [`RECEIVED_UID`]).
    pub app: AppId,
    /// Whether the application owns it; otherwise the organization does.
    pub app_owned: bool,
    /// The owner's own name for it, unique among what that owner owns.
    pub uid: Option<String>,
    /// For people.
    pub name: String,
    /// For people, at more length.
    pub description: Option<String>,
    /// What its owner calls the third party.
    pub label: Option<String>,
    /// How requests are judged.
    pub scheme: SourceScheme,
    /// Further ways in which a request may be signed with the same secrets; a request that is genuine by one of them is.
    pub alternatives: Vec<SourceScheme>,
    /// Live secrets, the current one last. What their text is, the scheme says.
    pub secrets: Vec<Secret>,
    /// What else the scheme needs (`webhook_id`, `callback_url`, `verify_token`): values encrypted.
    pub settings: BTreeMap<String, Sealed>,
    /// Tokens of the receive URL, the current one last; encrypted, since the URL is shown again.
    pub tokens: Vec<Secret>,
    /// Methods that carry events, in upper case; handshakes have their own.
    pub methods: Vec<String>,
    /// Longest body, in bytes.
    pub max_body: u32,
    /// From where it may be called (CIDR); empty: from anywhere.
    pub allow_cidrs: Vec<String>,
    /// What it answers.
    pub answer: SourceAnswer,
    /// Seconds within which an event id counts as the same event; 0: duplicates are not looked for.
    pub dedup_window_s: u32,
    /// Put before the sender's event type, with a dot: `github` makes `github.push`.
    pub event_type_prefix: String,
    /// Headers of the request that are kept and sent on; names in lower case.
    pub forward_headers: Vec<String>,
    /// One message for each element of a batch.
    pub split: bool,
    /// Types of events that it routes, as the sender calls them, in lower case. Others are recorded, answered and go to
    /// nobody. Empty: all.
    pub listed: Vec<String>,
    /// Whether it refuses everything (403), and why.
    pub closed: Option<Closed>,
    /// The endpoint that was made with it to send on what it receives.
    pub forward: Option<EndpointId>,
    /// The documented surface that made it. `None`: the engine's own.
    pub system: Option<System>,
    /// Since when requests are recorded and not routed. `None`: it is running.
    pub paused: Option<Time>,
    /// Whether a handshake may still set the secret (Asana sends it once, unsigned).
    pub awaits_secret: bool,
    /// The owner's notes.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl Source {
    /// The id of its owner: of the application, otherwise of the organization.
    #[must_use]
    pub fn owner(&self) -> String {
        if self.app_owned { self.app.to_string() } else { self.org.to_string() }
    }
}

/// Where a received message came from, and what of its request is sent on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The source.
    pub source: SourceId,
    /// The sender's own event id.
    pub event_id: Option<String>,
    /// Method of the request.
    pub method: String,
    /// Query of the request's URL, without the question mark.
    pub query: String,
    /// The request's `content-type`, if it had one.
    pub content_type: Option<Bytes>,
    /// The chosen headers, byte for byte.
    pub headers: Vec<(String, Bytes)>,
    /// The message that this one replays.
    pub replays: Option<MsgId>,
}

/// An event that a source has had: a repetition within the window is a duplicate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The source.
    pub source: SourceId,
    /// First half of the SHA-256 of the sender's event id (of the element's own within a batch), or of a repeated request's
    /// part, hex.
    pub key: String,
    /// When the window ends.
    pub expires_at: Time,
}

/// How many events a source has had more than once. Written some seconds later, and kept for as long as there are any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicates {
    /// The source.
    pub source: SourceId,
    /// So many repetitions came.
    pub count: u64,
    /// When the last one came.
    pub last_at: Time,
    /// When the record is deleted, unless another one comes.
    pub expires_at: Time,
}

/// A request that a source refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Identifier; carries the instant.
    pub id: RejectionId,
    /// The source.
    pub source: SourceId,
    /// A stable code: a refusal's of the signature (`mismatch`), or `method`, `address`, `too_large`, ….
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// Method of the request.
    pub method: String,
    /// From where it came.
    pub remote: String,
    /// Its headers, cut to a bound; credentials are left out.
    pub headers: Vec<(String, Bytes)>,
    /// The first bytes of its body.
    pub body: Bytes,
    /// When the record is deleted.
    pub expires_at: Time,
}
