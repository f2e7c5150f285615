//! A catch-up: what an endpoint's queue holds goes out at a pace, until it is up to date.

use super::{AppId, EndpointId, Time};
use serde::{Deserialize, Serialize};

/// The pace at which an endpoint gets what has waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchUp {
    /// Its application.
    pub app: AppId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Deliveries a second, beside fresh ones.
    pub rate: u16,
    /// When it was asked for: it is over once nothing waits that was due before.
    pub since: Time,
}
