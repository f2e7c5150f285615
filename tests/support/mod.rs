//! What the integration tests share: the real binary on a folder of its own, a client, and a receiver that misbehaves on
//! demand. Everything is on loopback and on ports that the system picks.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

mod client;
pub mod database;
pub mod order;
mod receiver;
mod server;

pub use client::{Answer, Api};
pub use receiver::{Arrival, Receiver, Reply};
pub use server::{ADMIN_KEY, DESCRIPTORS, JWT_SECRET, Options, Server, kept_log, refused_start, run, run_with_input};

use std::{future::Future, time::Duration};

/// How long a condition may take to come true. Generous: a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(20);

/// Looks again and again until `probe` finds something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
