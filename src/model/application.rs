//! An application: one consumer (tenant) of the organization's webhooks.

use super::{AppId, OrgId, RetryPolicy, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The uid of the application to which an organization's operational messages go.
pub const OPERATIONAL_UID: &str = "postrider.operational";

/// String keys and values that the owner of an object keeps with it.
pub type Metadata = BTreeMap<String, String>;

/// One consumer of the organization's webhooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// Identifier.
    pub id: AppId,
    /// Owner.
    pub org: OrgId,
    /// The owner's own name for it, unique in the organization.
    pub uid: Option<String>,
    /// For people.
    pub name: String,
    /// Messages a second that each of its endpoints gets at most, unless an endpoint says less. `None`: no limit.
    pub throttle_rate: Option<u16>,
    /// The owner's notes.
    pub metadata: Metadata,
    /// How its deliveries look and behave, unless an endpoint says so itself: a built-in profile or one of the
    /// organization's own. `None`: as the organization says, else `standard`.
    pub profile: Option<String>,
    /// Retry policy of its endpoints that name none.
    pub retry_policy: Option<RetryPolicy>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}
