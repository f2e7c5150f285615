//! A primary that dies under load, and its standby that is promoted: what was accepted is there and arrives.

use crate::{
    known,
    load::Load,
    own::Own,
    support::{Options, Receiver, Server, database, eventually},
    tenant,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// Messages before the primary dies, and again after it.
const MESSAGES: usize = 200;
/// How long leases outlive a node.
const LEASE_MS: u32 = 3000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_standby_is_found_and_nothing_is_lost() {
    let (primary, url) = Own::start();
    let (standby, other) = Own::follow(&url);
    synchronous(&url).await;
    let host = |url: &str| url.split_once('@').unwrap().1.to_owned();
    let store = format!(
        "postgres://postrider@{},{}/postgres?target_session_attrs=read-write&lease_ms={LEASE_MS}",
        host(&url),
        host(&other)
    );
    let first = Server::start_as(Options { args: vec![], env: vec![("POSTRIDER_STORE".into(), store)] }).await;
    let nodes = [first.beside().await, first];
    let receiver = Receiver::start().await;
    let (app, _) = tenant(&nodes[0].api(), &receiver.url("/"), json!({"retryPolicy": vec![1; 30]})).await;
    for node in &nodes {
        known(&node.api(), &app).await;
    }
    let load = Load::start(&nodes, app);
    eventually("messages are accepted", || async { (load.accepted() >= MESSAGES).then_some(()) }).await;

    let died = Instant::now();
    primary.run(&["halt"]);
    eventually("messages are refused", || async { (load.refused() > 0).then_some(()) }).await;
    println!("refused {:?} after the end of the primary began", died.elapsed());
    standby.run(&["promote"]);
    let (promoted, before) = (Instant::now(), load.accepted());
    eventually("messages are accepted again", || async { (load.accepted() > before).then_some(()) }).await;
    println!("accepted again {:?} after the promotion", promoted.elapsed());
    eventually("the new primary takes load", || async { (load.accepted() >= before + MESSAGES).then_some(()) }).await;

    let outcome = load.end(&receiver).await;
    println!("{outcome}");
    assert!(outcome.refused > 0);
    assert_eq!(outcome.invented, 0);
    for mut node in nodes {
        assert_eq!(node.stop().await, 0, "a graceful stop exits 0");
    }
}

/// Lets the primary answer only what its standby has, too.
async fn synchronous(url: &str) {
    let (client, connection) = database::connect(&format!("{url}/postgres")).await;
    client.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    eventually("the standby is synchronous", || async {
        let row = client.query_opt("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'", &[]).await.unwrap();
        row.map(drop)
    })
    .await;
    drop(client);
    tokio::time::timeout(Duration::from_secs(5), connection).await.unwrap().unwrap();
}
