//! An attempt: one HTTP try of a delivery, with all that is known of it.

use super::{AppId, AttemptId, EndpointId, Headers, MsgId, Outcome, Trigger};
use serde::{Deserialize, Serialize};

/// One HTTP try of a delivery. It began at its id's time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Identifier; carries the time at which it began.
    pub id: AttemptId,
    /// The message.
    pub msg: MsgId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The application of both.
    pub app: AppId,
    /// What started it.
    pub trigger: Trigger,
    /// Its number among the delivery's attempts, from 1.
    pub number: u32,
    /// The URL at that time.
    pub url: String,
    /// The request's headers; the values of custom headers, which may be credentials, are left out.
    pub request_headers: Headers,
    /// What came of it.
    pub outcome: Outcome,
}
