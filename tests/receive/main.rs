//! Receiving, as third parties and owners of sources see it: the real binary, signed requests over HTTP, public behaviour
//! only.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[path = "../support/mod.rs"]
mod support;

mod batches;
mod bodies;
mod fixture;
mod genuine;
mod handshakes;
mod http2;
mod pause;
mod proxies;
mod refused;
mod restart;
mod room;
mod signed;
