//! What a verification says: what is known of a request that is genuine, or the one reason why it is refused.

use std::borrow::Cow;

/// What a genuine request says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Which of the given secrets it was verified with, from 0.
    pub secret: usize,
    /// The sender's id of the event, stable over its retries: what duplicates are recognised by. One of more than 1,024 bytes
    /// is told as `sha256:` and its digest in hex.
    pub event_id: Option<String>,
    /// The sender's name of the event's type (`push`, `invoice.paid`).
    pub event_type: Option<String>,
    /// The signed instant, in milliseconds since the epoch, if the scheme has one.
    pub timestamp_ms: Option<u64>,
}

/// Why a request was refused. Exactly one reason, the first that a careful reader would meet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header that the scheme needs is not there.
    #[error("the header {0} is missing")]
    MissingHeader(Cow<'static, str>),
    /// A field of the body or of the query that the scheme needs is not there.
    #[error("the field {0} is missing")]
    MissingField(Cow<'static, str>),
    /// Something is there and cannot be read: what it is, then the rule that it breaks.
    #[error("{0} is malformed: {1}")]
    Malformed(Cow<'static, str>, &'static str),
    /// The signed instant is further in the past than the tolerance.
    #[error("the timestamp is too old")]
    Stale,
    /// The signed instant is further in the future than the tolerance.
    #[error("the timestamp is in the future")]
    Future,
    /// It is well-formed, and was made by none of the given secrets over these bytes.
    #[error("no signature matches")]
    Mismatch,
    /// It names a key or a certificate that is not among those given.
    #[error("it was signed with a key that is not known here")]
    UnknownKey,
    /// It names an algorithm, or a version of the scheme, other than the one that the source has pinned.
    #[error("it uses the algorithm {0}, which is not the one expected")]
    WrongAlgorithm(Cow<'static, str>),
    /// It names a certificate or a callback at an address where the provider has none.
    #[error("the address {0} is not one of the provider's")]
    ForeignAddress(Cow<'static, str>),
    /// The given secret is not what the scheme needs: the receiver's own configuration is wrong.
    #[error("the secret cannot be used: {0}")]
    BadSecret(&'static str),
    /// A setting that the scheme needs was not given (PayPal's webhook id).
    #[error("the setting {0} is missing")]
    MissingSetting(&'static str),
}

impl Refusal {
    /// A stable code for records, metrics and the API: `missing_header`, `stale`, `mismatch`, ….
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::MissingHeader(_) => "missing_header",
            Refusal::MissingField(_) => "missing_field",
            Refusal::Malformed(..) => "malformed",
            Refusal::Stale => "stale",
            Refusal::Future => "future",
            Refusal::Mismatch => "mismatch",
            Refusal::UnknownKey => "unknown_key",
            Refusal::WrongAlgorithm(_) => "wrong_algorithm",
            Refusal::ForeignAddress(_) => "foreign_address",
            Refusal::BadSecret(_) => "bad_secret",
            Refusal::MissingSetting(_) => "missing_setting",
        }
    }
}
