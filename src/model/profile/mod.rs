//! Profiles: how an endpoint's deliveries look and behave. Data, not code.

mod builtin;
mod check;
mod envelope;
mod field;
mod template;

pub use builtin::{BUILT_IN_PROFILES, DEFAULT_PROFILE, built_in};
pub use check::{Finals, MAX_PROFILE_NAME, PROFILE_NAME_PATTERN, ProfileError, check_profile_name};
pub use envelope::{Envelope, MAX_ENVELOPE_BYTES};
pub use field::{Facts, Field};
pub use template::{MAX_TEMPLATE_BYTES, Template};

use super::{OrgId, RequestMethod, RetryPolicy, Time};
use postrider_signature::{Scheme, Settings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A handshake before the first delivery, as CloudEvents' HTTP 1.1 Web Hooks describe it: an `OPTIONS` request with
/// `WebHook-Request-Origin`, which the receiver answers with a matching `WebHook-Allowed-Origin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HandshakeOrigin {
    /// The name by which the sender asks.
    pub origin: String,
}

/// Which event types an endpoint wants for which nobody says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultEvents {
    /// All, also those to come.
    #[default]
    All,
    /// Those of the catalogue that are delivered when the endpoint is made.
    Current,
}

/// What an endpoint is made with when its maker says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Defaults {
    /// Whether it is enabled.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Which event types it wants.
    #[serde(default)]
    pub events: DefaultEvents,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults { enabled: true, events: DefaultEvents::All }
    }
}

/// How an endpoint's deliveries look and behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How requests are signed, in the grammar in which sources judge them. This or `provider`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// The provider as which requests are signed: a row of the provider table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What signing needs beside the secret (`keyid`, `alg`).
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    /// What stands before the base64 of a secret that is made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret_prefix: String,
    /// Headers beside those of the signature, as templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Template>,
    /// The body's content type; `application/json` if absent, or what a source received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What is sent around the payload; the exact payload if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Envelope>,
    /// The method; `POST` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<RequestMethod>,
    /// The retry policy of endpoints that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Statuses after which nothing is tried again: `404`, `4xx`.
    #[serde(default, skip_serializing_if = "Finals::is_empty", rename = "final")]
    pub finals: Finals,
    /// Whether `410 Gone` disables the endpoint and is final; otherwise it is a status like others.
    #[serde(default = "yes")]
    pub disable_on_gone: bool,
    /// Seconds within which an attempt must be over; the server's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u16>,
    /// Whether its endpoints' URLs must begin with `https://`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub https_only: bool,
    /// What the receiver is asked before the first delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake: Option<HandshakeOrigin>,
    /// What an endpoint is made with when its maker says nothing.
    #[serde(default)]
    pub defaults: Defaults,
}

/// A profile of an organization's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnProfile {
    /// Owner.
    pub org: OrgId,
    /// Its name, unique in the organization and none of the built-in ones.
    pub name: String,
    /// What it says.
    pub profile: Profile,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests;
