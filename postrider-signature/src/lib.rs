//! Signature schemes for webhooks: how a request is proved, and how proofs are made. No I/O, no clock: the time is an argument.
//!
//! - [`Verifier`] judges a request by a row of the provider table ([`provider`]) or by a [`Scheme`] of the receiver's own.
//! - [`sign`] and [`verify`] are [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
//!   as a sender needs it: HMAC-SHA256 (`v1`) and Ed25519 (`v1a`) over `{id}.{timestamp}.{body}`.
//! - [`Provider::sign`] and [`Scheme::sign`] make what a [`Verifier`] accepts.
//! - [`Provider::explain`] and [`Scheme::explain`] name the likely mistake when a signature does not match.
//! - [`split`] takes a batch apart.

mod batch;
mod explain;
mod handshake;
mod json;
mod key;
mod provider;
mod request;
pub mod scheme;
mod sending;
mod signer;
mod special;
mod standard;
mod verdict;
mod verifier;
mod words;

pub use batch::{Element, split};
pub use explain::Hint;
pub use handshake::{HandshakeKind, Reply, Shake, handshake};
pub use key::{Key, KeyError};
pub use provider::{Batch, Evidence, Provider, Setting, provider, providers};
pub use request::Request;
pub use scheme::{Scheme, SchemeError};
pub use sending::StandardNames;
pub use signer::Unsigned;
pub use special::{Signed, Special};
pub use standard::{TOLERANCE_S, Unverified, sign, verify};
pub use verdict::{Refusal, Verified};
pub use verifier::{TOLERANCE, Verifier};

/// What a scheme needs beside the secret, by name (`webhook_id`, `callback_url`, `tolerance_s`).
pub type Settings = std::collections::BTreeMap<String, String>;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
