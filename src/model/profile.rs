//! Profiles: how an endpoint's deliveries look. Data, not code.

use serde::{Deserialize, Serialize};

/// Names a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileName {
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    #[default]
    Standard,
    /// The same signature under `svix-*` names.
    Svix,
}

/// The header names of a profile's deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Carries the message id, stable across attempts.
    pub id_header: &'static str,
    /// Carries the attempt's time in seconds since the epoch.
    pub timestamp_header: &'static str,
    /// Carries the space-separated signatures.
    pub signature_header: &'static str,
}

impl ProfileName {
    /// The profile of that name.
    #[must_use]
    pub fn profile(self) -> Profile {
        match self {
            ProfileName::Standard => {
                Profile { id_header: "webhook-id", timestamp_header: "webhook-timestamp", signature_header: "webhook-signature" }
            }
            ProfileName::Svix => {
                Profile { id_header: "svix-id", timestamp_header: "svix-timestamp", signature_header: "svix-signature" }
            }
        }
    }
}
