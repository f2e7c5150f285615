//! Signature schemes for webhooks: how bytes become headers. No I/O, no clock: the time is an argument.
//!
//! Implements [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
//! HMAC-SHA256 (`v1`) and Ed25519 (`v1a`) over `{id}.{timestamp}.{body}`.

mod handshake;
mod key;
mod request;
mod special;
mod standard;
mod verdict;

pub use handshake::{HandshakeKind, Reply, Shake, handshake};
pub use key::{Key, KeyError};
pub use request::Request;
pub use special::{Signed, Special};
pub use standard::{TOLERANCE_S, Unverified, sign, verify};
pub use verdict::{Refusal, Verified};
