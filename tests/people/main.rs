//! People: users made, changed and deleted, by the API and by commands; signing in by password, by link and by an identity
//! provider of ours.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[path = "../support/mod.rs"]
mod support;

mod bare;
mod commands;
mod edits;
mod forms;
mod lists;
mod oidc;
mod passwords;
mod provider;
mod spread;
mod users;
mod viewers;
mod visit;
