//! Alerts: rules on how endpoints do, told by e-mail (to a mail server of ours) and by operational messages.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[path = "../support/mod.rs"]
mod support;

mod catcher;
mod nodes;
mod rules;
mod telling;
mod tenant;
