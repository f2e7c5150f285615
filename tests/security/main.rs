//! Who is let in, who we are towards receivers, and that nothing secret comes out: the real binary, over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod audit_walk;
mod credentials;
mod doors;
mod peers;
mod proxies;
mod rotation;
mod scopes;
mod silence;
mod tenant;
