//! Who may send: a dead node's deliveries are taken over, a stopping node hands back, a node that slept is not listened to.

use crate::{
    attempts, send,
    support::{Receiver, Reply, Server, eventually},
    tenant,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// How long leases outlive a node here.
const LEASE_MS: u32 = 2000;
/// A lease time that no test waits for.
const LONG_LEASE_MS: u32 = 120_000;

/// A node whose attempt hangs, another node, and the message.
async fn hanging(args: &[&str], lease_ms: u32) -> (Server, Server, Receiver, [String; 3]) {
    let first = Server::start_on_postgres(args, lease_ms).await;
    let second = first.beside().await;
    let receiver = Receiver::start().await;
    receiver.script("/x", [Reply::Hang, Reply::status(200)]);
    let (app, endpoint) = tenant(&first.api(), &receiver.url("/x"), json!({})).await;
    let message = send(&first.api(), &app, 1).await;
    receiver.wait("/x", 1).await;
    (first, second, receiver, [app, endpoint, message])
}

/// Waits until the message has attempts in the node's eyes, all of them.
async fn attempted(node: &Server, [app, endpoint, message]: &[String; 3]) -> usize {
    let api = node.api();
    let found = eventually("an attempt is recorded", || async {
        Some(attempts(&api, app, (message, endpoint)).await).filter(|attempts| !attempts.is_empty())
    });
    found.await.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_s_deliveries_go_out_from_another() {
    let (mut first, second, receiver, message) = hanging(&[], LEASE_MS).await;
    let killed = Instant::now();
    first.kill();
    receiver.wait("/x", 2).await;
    println!("taken over after {:?}", killed.elapsed());
    assert!(killed.elapsed() > Duration::from_millis(u64::from(LEASE_MS) / 2), "not while the lease may stand");
    assert_eq!(attempted(&second, &message).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_node_hands_back_at_once() {
    let (mut first, second, receiver, message) = hanging(&["--shutdown-timeout", "0s"], LONG_LEASE_MS).await;
    assert_eq!(first.stop().await, 0);
    let stopped = Instant::now();
    receiver.wait("/x", 2).await;
    println!("handed back after {:?}", stopped.elapsed());
    assert_eq!(attempted(&second, &message).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_slept_past_its_lease_changes_nothing() {
    let (first, second, receiver, message) = hanging(&["--attempt-timeout", "1s"], LEASE_MS).await;
    first.signal("STOP");
    receiver.wait("/x", 2).await;
    assert_eq!(attempted(&second, &message).await, 1);
    first.signal("CONT");
    // It works again, under a new number, and what it had under the old one is not recorded.
    let [app, endpoint, old] = &message;
    let fresh = send(&first.api(), app, 2).await;
    receiver.wait("/x", 3).await;
    let new = [app.clone(), endpoint.clone(), fresh];
    assert_eq!(attempted(&first, &new).await, 1);
    let after = attempts(&first.api(), app, (old, endpoint)).await;
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(after[0]["status"], 0, "the one that succeeded");
    assert_eq!(receiver.at("/x").len(), 3);
}
