//! Endpoints as requests and answers carry them.

use crate::{
    api::{body::Stamp, patch::Patch},
    model::{DisabledBy, Endpoint, EndpointId, Filter, Metadata, Order, RequestMethod, RetryPolicy},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The kind of a secret that is made for an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::api) enum SecretType {
    /// HMAC-SHA256, `whsec_…`.
    #[default]
    Hmac,
    /// Ed25519, `whsk_…`; receivers verify with its public half, `whpk_…`.
    Ed25519,
}

/// A new endpoint.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EndpointIn {
    /// Where deliveries go: absolute, `http` or `https`.
    #[schema(min_length = 1, max_length = 65536)]
    pub(in crate::api) url: String,
    /// For people.
    #[schema(default = "")]
    pub(in crate::api) description: Option<String>,
    /// The owner's own name for it, unique in the application.
    pub(in crate::api) uid: Option<String>,
    /// Deliveries a second at most.
    #[schema(minimum = 1)]
    pub(in crate::api) throttle_rate: Option<u16>,
    /// Whether deliveries are held.
    #[schema(default = false)]
    pub(in crate::api) disabled: Option<bool>,
    /// Event types it wants. Absent: all.
    pub(in crate::api) event_types: Option<Vec<String>>,
    /// Channels it wants. Absent: messages of any channel or none.
    #[schema(max_items = 10)]
    pub(in crate::api) channels: Option<Vec<String>>,
    /// Its signing secret: base64, after `whsec_` or `whsk_`. Absent: one is made.
    pub(in crate::api) secret: Option<String>,
    /// The kind of secret to make. Not in the compatible contract.
    pub(in crate::api) secret_type: Option<SecretType>,
    /// The owner's notes.
    pub(in crate::api) metadata: Option<Metadata>,
    /// Custom headers of its deliveries.
    pub(in crate::api) headers: Option<BTreeMap<String, String>>,
    /// Its own retry policy: a list of delays in seconds, or a rule. Not in the compatible contract.
    pub(in crate::api) retry_policy: Option<Value>,
    /// What the payload must be like: `{"path": {"gte": 50}}`, with `any`, `all` and `not`; null removes it. Not in the compatible
    /// contract.
    pub(in crate::api) filter: Option<Value>,
    /// How its deliveries look and behave: the name of a profile; null: as the application says. Not in the compatible contract.
    pub(in crate::api) profile: Option<String>,
    /// The method of its deliveries; null: as the profile says. Not in the compatible contract.
    #[schema(value_type = Option<String>)]
    pub(in crate::api) method: Option<RequestMethod>,
    /// Attempts at once at most, 1 to 1,000; null: as many as it answers well, up to 100. Not in the compatible contract.
    #[schema(minimum = 1, maximum = 1000)]
    pub(in crate::api) concurrency: Option<u16>,
    /// Which of its deliveries go one after the other, in the order in which their messages were accepted: `{"by": "key"}` those of
    /// messages with the same `orderingKey`, `{"by": "payload", "path": "order.id"}` those with the same value there, `{"by": "all"}`
    /// all; null: none. Not in the compatible contract.
    pub(in crate::api) ordering: Option<Value>,
}

/// An endpoint's new form: what is absent gets its default, except what the compatible clients cannot say (secret,
/// headers, retry policy, filter, profile, method, concurrency, ordering), which stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EndpointUpdate {
    /// Where deliveries go: absolute, `http` or `https`.
    #[schema(min_length = 1, max_length = 65536)]
    pub(in crate::api) url: String,
    /// For people.
    #[schema(default = "")]
    pub(in crate::api) description: Option<String>,
    /// The owner's own name for it, unique in the application.
    pub(in crate::api) uid: Option<String>,
    /// Deliveries a second at most.
    #[schema(minimum = 1)]
    pub(in crate::api) throttle_rate: Option<u16>,
    /// Whether deliveries are held.
    #[schema(default = false)]
    pub(in crate::api) disabled: Option<bool>,
    /// Event types it wants. Absent: all.
    pub(in crate::api) event_types: Option<Vec<String>>,
    /// Channels it wants. Absent: messages of any channel or none.
    #[schema(max_items = 10)]
    pub(in crate::api) channels: Option<Vec<String>>,
    /// The owner's notes.
    pub(in crate::api) metadata: Option<Metadata>,
    /// Its own retry policy; null removes it. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    pub(in crate::api) retry_policy: Patch<Value>,
    /// What the payload must be like: `{"path": {"gte": 50}}`, with `any`, `all` and `not`; null removes it. Not in the compatible
    /// contract.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    pub(in crate::api) filter: Patch<Value>,
    /// How its deliveries look and behave: the name of a profile; null: as the application says. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(in crate::api) profile: Patch<String>,
    /// The method of its deliveries; null: as the profile says. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(in crate::api) method: Patch<RequestMethod>,
    /// Attempts at once at most, 1 to 1,000; null: as many as it answers well, up to 100. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    pub(in crate::api) concurrency: Patch<u16>,
    /// Which of its deliveries go one after the other, in the order in which their messages were accepted: `{"by": "key"}` those of
    /// messages with the same `orderingKey`, `{"by": "payload", "path": "order.id"}` those with the same value there, `{"by": "all"}`
    /// all; null: none. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    pub(in crate::api) ordering: Patch<Value>,
}

impl From<EndpointUpdate> for EndpointIn {
    fn from(body: EndpointUpdate) -> Self {
        EndpointIn {
            url: body.url,
            description: body.description,
            uid: body.uid,
            throttle_rate: body.throttle_rate,
            disabled: body.disabled,
            event_types: body.event_types,
            channels: body.channels,
            secret: None,
            secret_type: None,
            metadata: body.metadata,
            headers: None,
            retry_policy: body.retry_policy.value().cloned(),
            filter: body.filter.value().cloned(),
            profile: body.profile.value().cloned(),
            method: body.method.value().copied(),
            concurrency: body.concurrency.value().copied(),
            ordering: body.ordering.value().cloned(),
        }
    }
}

/// Changes to an endpoint: what is absent stays, null clears.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EndpointPatch {
    /// Where deliveries go: absolute, `http` or `https`.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    pub(in crate::api) url: Patch<String>,
    /// For people.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    pub(in crate::api) description: Patch<String>,
    /// The owner's own name for it, unique in the application.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(in crate::api) uid: Patch<String>,
    /// Deliveries a second at most; 0 and null remove the limit.
    #[serde(default)]
    #[schema(value_type = Option<u16>)]
    pub(in crate::api) throttle_rate: Patch<u16>,
    /// Whether deliveries are held.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub(in crate::api) disabled: Patch<bool>,
    /// Custom headers to set, with null to remove; those that are not named stay. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>, required = false)]
    pub(in crate::api) headers: Patch<BTreeMap<String, Option<String>>>,
    /// Event types it wants. Null: all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(in crate::api) event_types: Patch<Vec<String>>,
    /// Channels it wants. Null: messages of any channel or none.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub(in crate::api) channels: Patch<Vec<String>>,
    /// The owner's notes, replaced as a whole.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    pub(in crate::api) metadata: Patch<Metadata>,
    /// Its own retry policy; null removes it. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    pub(in crate::api) retry_policy: Patch<Value>,
    /// What the payload must be like: `{"path": {"gte": 50}}`, with `any`, `all` and `not`; null removes it. Not in the compatible
    /// contract.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    pub(in crate::api) filter: Patch<Value>,
    /// How its deliveries look and behave: the name of a profile; null: as the application says. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(in crate::api) profile: Patch<String>,
    /// The method of its deliveries; null: as the profile says. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(in crate::api) method: Patch<RequestMethod>,
    /// Attempts at once at most, 1 to 1,000; null: as many as it answers well, up to 100. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    pub(in crate::api) concurrency: Patch<u16>,
    /// Which of its deliveries go one after the other, in the order in which their messages were accepted: `{"by": "key"}` those of
    /// messages with the same `orderingKey`, `{"by": "payload", "path": "order.id"}` those with the same value there, `{"by": "all"}`
    /// all; null: none. Not in the compatible contract.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    pub(in crate::api) ordering: Patch<Value>,
}

/// An endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EndpointOut {
    /// Identifier.
    #[schema(value_type = String)]
    id: EndpointId,
    /// The owner's own name for it, unique in the application.
    uid: Option<String>,
    /// Where deliveries go.
    url: String,
    /// For people.
    description: String,
    /// Whether deliveries are held.
    disabled: bool,
    /// Why they are. Not in the compatible contract.
    #[schema(value_type = Option<String>)]
    disabled_reason: Option<DisabledBy>,
    /// Event types it wants. Null: all.
    event_types: Option<Vec<String>>,
    /// Channels it wants. Null: messages of any channel or none.
    channels: Option<Vec<String>>,
    /// Deliveries a second at most.
    throttle_rate: Option<u16>,
    /// The owner's notes.
    metadata: Metadata,
    /// Its own retry policy. Not in the compatible contract.
    #[schema(value_type = Option<Value>)]
    retry_policy: Option<RetryPolicy>,
    /// What the payload must be like. Not in the compatible contract.
    #[schema(value_type = Option<Value>)]
    filter: Option<Filter>,
    /// How its deliveries look and behave; null: as the application says. Not in the compatible contract.
    profile: Option<String>,
    /// The method of its deliveries; null: as the profile says. Not in the compatible contract.
    #[schema(value_type = Option<String>)]
    method: Option<RequestMethod>,
    /// Attempts at once at most; null: as many as it answers well. Not in the compatible contract.
    concurrency: Option<u16>,
    /// Which of its deliveries go one after the other; null: none has to. Not in the compatible contract.
    #[schema(value_type = Option<Value>)]
    ordering: Option<Order>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Stamp,
}

impl From<Endpoint> for EndpointOut {
    fn from(endpoint: Endpoint) -> Self {
        EndpointOut {
            id: endpoint.id,
            uid: endpoint.uid,
            url: endpoint.url,
            description: endpoint.description,
            disabled: endpoint.disabled.is_some(),
            disabled_reason: endpoint.disabled,
            event_types: endpoint.event_types,
            channels: endpoint.channels,
            throttle_rate: endpoint.throttle_rate,
            metadata: endpoint.metadata,
            retry_policy: endpoint.retry_policy,
            filter: endpoint.filter,
            profile: endpoint.profile,
            method: endpoint.method,
            concurrency: endpoint.concurrency,
            ordering: endpoint.ordering,
            created_at: Stamp(endpoint.created_at),
            updated_at: Stamp(endpoint.updated_at),
        }
    }
}
