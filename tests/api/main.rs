//! The server over HTTP, as its users see it: the real binary, a real receiver, public behaviour only.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod branding;
mod bytes;
mod cancel;
mod categories;
mod deliveries;
mod disabled;
mod erase;
mod fixture;
mod hangup;
mod idempotency;
mod lanes;
mod ledger;
mod lifetime;
mod objects;
mod operational;
mod ordering;
mod pages;
mod refusals;
mod replays;
mod retention;
mod retries;
mod secrets;
mod source_owners;
mod sources;
