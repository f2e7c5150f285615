//! The documented systems, each walked through its document from top to bottom: the real binary, and receivers from
//! `examples/` that verify signatures as the documents say.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[path = "../support/mod.rs"]
mod support;

mod alakazam;
mod alumia;
mod connect;
mod example;
mod fixture;
mod ilara;
mod nudj;
mod sessions;
mod strangers;
mod switches;
