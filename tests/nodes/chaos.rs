//! Three nodes under load: killed and started again, put to sleep past their leases, cut off from the database. What was
//! accepted arrives.
//!
//! `POSTRIDER_CHAOS_S` sets for how long (in seconds), `POSTRIDER_CHAOS_SEED` the chance.

use crate::{
    known,
    load::Load,
    proxy::{Proxy, Way},
    support::{Receiver, Server},
    tenant,
};
use rand::{
    RngExt, SeedableRng, TryRng,
    rngs::{StdRng, SysRng},
};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// For how long nodes are hurt, unless the environment says otherwise.
const SECONDS: u64 = 20;
/// How long leases outlive a node.
const LEASE_MS: u32 = 2000;
/// Past every lease.
const LONG: Duration = Duration::from_millis(2 * LEASE_MS as u64);

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Hurts a node in one of four ways. The last one reaches the database through the proxy.
async fn hurt(nodes: &mut [Server; 3], (load, proxy): (&Load, &Proxy), rng: &mut StdRng) -> &'static str {
    let at = rng.random_range(0..3usize);
    let node = &mut nodes[at];
    match rng.random_range(0..5) {
        0 => {
            node.signal("STOP");
            tokio::time::sleep(LONG).await;
            node.signal("CONT");
            "slept"
        }
        1 => away(proxy, Way::Frozen, "frozen off").await,
        2 => away(proxy, Way::Cut, "cut off").await,
        _ => {
            node.kill();
            tokio::time::sleep(Duration::from_millis(rng.random_range(100..1500))).await;
            node.restart().await;
            load.moved(at, node);
            "killed"
        }
    }
}

async fn away(proxy: &Proxy, way: Way, what: &'static str) -> &'static str {
    proxy.set(way);
    tokio::time::sleep(LONG).await;
    proxy.set(Way::Open);
    what
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_lose_nothing() {
    let seed = setting("POSTRIDER_CHAOS_SEED").unwrap_or_else(|| SysRng.try_next_u64().unwrap());
    println!("seed {seed} (POSTRIDER_CHAOS_SEED={seed} runs it again)");
    let mut rng = StdRng::seed_from_u64(seed);
    let receiver = Receiver::start().await;
    let first = Server::start_on_postgres(&["--attempt-timeout", "3s"], LEASE_MS).await;
    let url = first.database().unwrap().to_owned();
    let (_, address) = url.split_once('@').unwrap();
    let proxy = Proxy::start(address.split('/').next().unwrap().to_owned()).await;
    let third = first.beside_at(proxy.url(&url)).await;
    let mut nodes = [first.beside().await, first, third];
    let (app, _) = tenant(&nodes[0].api(), &receiver.url("/"), json!({"retryPolicy": vec![1; 30]})).await;
    for node in &nodes {
        known(&node.api(), &app).await;
    }
    let load = Load::start(&nodes, app);

    // Each of them once for sure, whatever chance brings.
    let mut hurts = BTreeMap::<_, u32>::new();
    for way in [(Way::Frozen, "frozen off"), (Way::Cut, "cut off")] {
        *hurts.entry(away(&proxy, way.0, way.1).await).or_default() += 1;
    }
    let end = Instant::now() + Duration::from_secs(setting("POSTRIDER_CHAOS_S").unwrap_or(SECONDS));
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(rng.random_range(300..2000))).await;
        *hurts.entry(hurt(&mut nodes, (&load, &proxy), &mut rng).await).or_default() += 1;
    }
    let outcome = load.end(&receiver).await;
    println!("{hurts:?}; {outcome}");
    assert!(outcome.accepted > 100, "too few messages to prove anything");
    assert_eq!(outcome.invented, 0);
    for mut node in nodes {
        assert_eq!(node.stop().await, 0, "a graceful stop exits 0");
    }
}
