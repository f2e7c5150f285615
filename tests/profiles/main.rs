//! Profiles and filters over HTTP: the real binary, and receivers that know nothing of it but the headers they were written for.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[allow(dead_code, reason = "shared with the tests of the API, which use all of it")]
#[path = "../api/fixture.rs"]
mod fixture;
#[path = "../support/mod.rs"]
mod support;

mod api;
mod cloudevents;
mod filters;
mod receivers;
mod retries;
