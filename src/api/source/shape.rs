//! Sources as requests and answers carry them.

use crate::{
    api::{Problem, body::Stamp, patch::Patch},
    model::{AppId, Closed, EndpointId, Metadata, Source, SourceAnswer, SourceId, SourceScheme, System},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a source answers once the request is durable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct SourceResponse {
    /// The status.
    #[schema(minimum = 200, maximum = 299, default = 200)]
    pub(super) status: u16,
    /// More headers: at most 20, values up to 1,024 bytes.
    pub(super) headers: BTreeMap<String, String>,
    /// The body: at most 8,192 bytes. A status of 204 or 205 has none.
    pub(super) body: String,
}

impl Default for SourceResponse {
    fn default() -> Self {
        SourceResponse { status: 200, headers: BTreeMap::new(), body: String::new() }
    }
}

impl From<SourceResponse> for SourceAnswer {
    fn from(response: SourceResponse) -> Self {
        let headers = response.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        SourceAnswer { status: response.status, headers, body: response.body }
    }
}

/// A new source, or a source's new form: what is absent gets its default. In an update of one that exists, its secrets,
/// settings and URL stay when they are absent.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SourceIn {
    /// For people. By default the provider's title.
    #[schema(max_length = 4096)]
    pub(super) name: Option<String>,
    /// For people, at more length.
    #[schema(max_length = 4096)]
    pub(super) description: Option<String>,
    /// What its owner calls the third party.
    #[schema(max_length = 4096)]
    pub(super) label: Option<String>,
    /// Event types that it routes, as the sender calls them, without regard to case; at most 1,000. Others are recorded,
    /// answered and go to nobody. Empty: all.
    pub(super) events: Option<Vec<String>>,
    /// `active`, or why it refuses everything with 403: `paused`, `disabled`.
    #[schema(default = "active", pattern = "active|paused|disabled")]
    pub(super) status: Option<String>,
    /// The owner's own name for it, unique among what that owner has: an application's do not meet the organization's.
    #[schema(min_length = 1, max_length = 256, pattern = r"^[a-zA-Z0-9\-_.]+$")]
    pub(super) uid: Option<String>,
    /// The application that owns it and gets its messages, by id or uid. Absent: the organization owns it, and its
    /// messages go to the application with the uid `postrider.received`. It cannot be changed later.
    pub(super) app_id: Option<String>,
    /// A row of the provider table: `github`, `stripe`, …. Either this or `scheme`.
    #[schema(example = "github")]
    pub(super) provider: Option<String>,
    /// A signature scheme of the owner's, as an object; at most 16,384 bytes.
    pub(super) scheme: Option<Value>,
    /// The secret that the sender signs with, or its public key or certificate, in the form in which the provider shows
    /// it. Absent: one is made, where a scheme lets the receiver choose.
    pub(super) secret: Option<String>,
    /// Several live secrets instead, the current one last; at most 10.
    #[schema(max_items = 10)]
    pub(super) secrets: Option<Vec<String>>,
    /// What else the scheme needs (`GET /api/v1/source/provider` tells): `verify_token`, `webhook_id`, ….
    pub(super) settings: Option<BTreeMap<String, String>>,
    /// Methods that carry events. By default `POST`.
    pub(super) methods: Option<Vec<String>>,
    /// Longest body, in bytes.
    #[schema(minimum = 1024, maximum = 5_242_880, default = 262_144)]
    pub(super) max_body: Option<u32>,
    /// From where it may be called, as CIDR; empty: from anywhere. At most 100.
    pub(super) allow_cidrs: Option<Vec<String>>,
    /// What it answers once a request is durable. By default 200 without a body.
    pub(super) response: Option<SourceResponse>,
    /// Seconds within which the sender's event id counts as the same event; 0 turns it off.
    #[schema(minimum = 0, maximum = 2_592_000, default = 86_400)]
    pub(super) dedup_window: Option<u32>,
    /// Put before the sender's event type, with a dot. By default the provider's name, or `custom`.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[a-zA-Z0-9\-_.]+$")]
    pub(super) event_type_prefix: Option<String>,
    /// Headers of the request that are kept and sent on, by their exact names in any case; at most 50. A `_` is one and no
    /// `-`: many proxies drop headers whose names have it.
    pub(super) forward_headers: Option<Vec<String>>,
    /// One message for each element of a batch, where the provider sends batches.
    #[schema(default = false)]
    pub(super) split: Option<bool>,
    /// The owner's notes: at most 50, keys up to 40 characters, values up to 500.
    pub(super) metadata: Option<Metadata>,
}

/// Changes to a source: what is absent stays, null asks for the default.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SourcePatch {
    /// For people.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) name: Patch<String>,
    /// For people, at more length.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) description: Patch<String>,
    /// What its owner calls the third party.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) label: Patch<String>,
    /// Event types that it routes; empty: all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) events: Patch<Vec<String>>,
    /// `active`, or why it refuses everything with 403: `paused`, `disabled`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) status: Patch<String>,
    /// The owner's own name for it; null takes it away.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) uid: Patch<String>,
    /// A row of the provider table, in the place of what is there.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    pub(super) provider: Patch<String>,
    /// A scheme of the owner's, in the place of what is there.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    pub(super) scheme: Patch<Value>,
    /// The one secret, in the place of all there are; null takes all away. To change over with grace, rotate.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) secret: Patch<String>,
    /// All live secrets, the current one last.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) secrets: Patch<Vec<String>>,
    /// All settings, replaced as a whole.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub(super) settings: Patch<BTreeMap<String, String>>,
    /// Methods that carry events.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) methods: Patch<Vec<String>>,
    /// Longest body, in bytes.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub(super) max_body: Patch<u32>,
    /// From where it may be called.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) allow_cidrs: Patch<Vec<String>>,
    /// What it answers, replaced as a whole.
    #[serde(default)]
    #[schema(value_type = Option<SourceResponse>)]
    pub(super) response: Patch<SourceResponse>,
    /// Seconds within which the sender's event id counts as the same event.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub(super) dedup_window: Patch<u32>,
    /// Put before the sender's event type.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) event_type_prefix: Patch<String>,
    /// Headers of the request that are kept and sent on.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) forward_headers: Patch<Vec<String>>,
    /// One message for each element of a batch.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub(super) split: Patch<bool>,
    /// The owner's notes, replaced as a whole.
    #[serde(default)]
    #[schema(value_type = Option<Metadata>)]
    pub(super) metadata: Patch<Metadata>,
}

fn or_default<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Null, Patch::Value)
}

impl From<SourceIn> for SourcePatch {
    fn from(body: SourceIn) -> Self {
        SourcePatch {
            name: or_default(body.name),
            description: or_default(body.description),
            label: or_default(body.label),
            events: or_default(body.events),
            status: or_default(body.status),
            uid: or_default(body.uid),
            provider: Patch::given(body.provider),
            scheme: Patch::given(body.scheme),
            secret: Patch::given(body.secret),
            secrets: Patch::given(body.secrets),
            settings: Patch::given(body.settings),
            methods: or_default(body.methods),
            max_body: or_default(body.max_body),
            allow_cidrs: or_default(body.allow_cidrs),
            response: or_default(body.response),
            dedup_window: or_default(body.dedup_window),
            event_type_prefix: or_default(body.event_type_prefix),
            forward_headers: or_default(body.forward_headers),
            split: or_default(body.split),
            metadata: or_default(body.metadata),
        }
    }
}

/// Who owns a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SourceOwner {
    /// The organization: only its keys manage it.
    Organization,
    /// An application: its portal tokens manage it too.
    Application,
}

/// A source.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceOut {
    /// Identifier.
    #[schema(value_type = String)]
    pub(super) id: SourceId,
    /// The owner's own name for it.
    uid: Option<String>,
    /// For people.
    name: String,
    /// For people, at more length.
    description: Option<String>,
    /// What its owner calls the third party.
    label: Option<String>,
    /// Event types that it routes; empty: all.
    events: Vec<String>,
    /// `active`, or why it refuses everything: `paused`, `disabled`.
    status: &'static str,
    /// The documented surface that made it.
    #[schema(value_type = Option<String>)]
    system: Option<System>,
    /// The endpoint that was made with it to send on what it receives.
    #[schema(value_type = Option<String>)]
    forward: Option<EndpointId>,
    /// Who owns it.
    owner: SourceOwner,
    /// The application that gets its messages.
    #[schema(value_type = String)]
    app_id: AppId,
    /// Where the third party is to post. Whoever knows it can call it: treat it as a secret. Keys that may only read and links that
    /// may only look see `***` in place of its last segment.
    #[schema(format = "uri")]
    url: String,
    /// The row of the provider table, unless there is a scheme.
    provider: Option<String>,
    /// The owner's scheme.
    scheme: Option<Value>,
    /// Further ways in which requests may be signed with the same secrets: providers' names and schemes.
    #[schema(value_type = Vec<Object>)]
    alternatives: Vec<Value>,
    /// Names of the settings that are set. Their values are shown with the secrets.
    settings: Vec<String>,
    /// Methods that carry events.
    methods: Vec<String>,
    /// Longest body, in bytes.
    max_body: u32,
    /// From where it may be called; empty: from anywhere.
    allow_cidrs: Vec<String>,
    /// What it answers once a request is durable.
    response: SourceResponse,
    /// Seconds within which the sender's event id counts as the same event.
    dedup_window: u32,
    /// Put before the sender's event type, with a dot.
    event_type_prefix: String,
    /// Headers of the request that are kept and sent on.
    forward_headers: Vec<String>,
    /// One message for each element of a batch.
    split: bool,
    /// Whether requests are recorded and not routed.
    paused: bool,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    paused_at: Option<Stamp>,
    /// Whether the sender's first request is to bring the secret.
    awaits_secret: bool,
    /// The owner's notes.
    metadata: Metadata,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Stamp,
    /// The secret that was made with it: only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
}

impl SourceOut {
    /// A source as it is shown, with its URL.
    ///
    /// # Errors
    /// Its scheme is damaged.
    pub(super) fn new(source: Source, url: String) -> Result<Self, Problem> {
        let read = |text: &str| serde_json::from_str(text).map_err(|_| Problem::Internal);
        let (provider, scheme) = match source.scheme {
            SourceScheme::Provider(name) => (Some(name), None),
            SourceScheme::Custom(text) => (None, Some(read(&text)?)),
        };
        let alternatives = source.alternatives.iter().map(|other| match other {
            SourceScheme::Provider(name) => Ok(Value::from(name.as_str())),
            SourceScheme::Custom(text) => read(text),
        });
        let alternatives = alternatives.collect::<Result<_, _>>()?;
        let SourceAnswer { status, headers, body } = source.answer;
        Ok(SourceOut {
            id: source.id,
            uid: source.uid,
            name: source.name,
            description: source.description,
            label: source.label,
            events: source.listed,
            status: source.closed.map_or("active", Closed::name),
            system: source.system,
            forward: source.forward,
            owner: if source.app_owned { SourceOwner::Application } else { SourceOwner::Organization },
            app_id: source.app,
            url,
            provider,
            scheme,
            alternatives,
            settings: source.settings.into_keys().collect(),
            methods: source.methods,
            max_body: source.max_body,
            allow_cidrs: source.allow_cidrs,
            response: SourceResponse { status, headers, body },
            dedup_window: source.dedup_window_s,
            event_type_prefix: source.event_type_prefix,
            forward_headers: source.forward_headers,
            split: source.split,
            paused: source.paused.is_some(),
            paused_at: source.paused.map(Stamp),
            awaits_secret: source.awaits_secret,
            metadata: source.metadata,
            created_at: Stamp(source.created_at),
            updated_at: Stamp(source.updated_at),
            secret: None,
        })
    }
}
