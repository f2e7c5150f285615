//! Three nodes under load: killed, put to sleep past their leases, started again. What was accepted arrives.
//!
//! `POSTRIDER_CHAOS_S` sets for how long (in seconds), `POSTRIDER_CHAOS_SEED` the chance.

use crate::{
    known,
    support::{Api, Receiver, Server},
    tenant,
};
use rand::{
    RngExt, SeedableRng, TryRng,
    rngs::{StdRng, SysRng},
};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::Instant;

/// For how long nodes are hurt, unless the environment says otherwise.
const SECONDS: u64 = 20;
/// How long leases outlive a node.
const LEASE_MS: u32 = 2000;
/// Clients that post at the same time.
const CLIENTS: u64 = 6;
/// How long everything that was accepted may take to arrive in the end.
const ARRIVAL: Duration = Duration::from_secs(60);

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What is shared with the clients.
struct Load {
    addresses: Mutex<Vec<Api>>,
    accepted: Mutex<Vec<(u64, u64)>>,
    stop: AtomicBool,
    app: String,
}

async fn post(load: Arc<Load>, client: u64) -> u64 {
    let path = format!("/api/v1/app/{}/msg", load.app);
    let mut number = 0;
    while !load.stop.load(SeqCst) {
        number += 1;
        let api = load.addresses.lock().unwrap()[usize::try_from((client + number) % 3).unwrap()].clone();
        let body = format!(r#"{{"eventType": "chaos.test", "payload": {{"client": {client}, "number": {number}}}}}"#);
        let answer = tokio::time::timeout(Duration::from_secs(5), api.try_post(&path, &body)).await;
        if let Ok(Ok(answer)) = answer
            && answer.status == 202
        {
            load.accepted.lock().unwrap().push((client, number));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    number
}

/// Kills a node and starts it again, or lets one sleep past its lease.
async fn hurt(nodes: &mut [Server; 3], load: &Load, rng: &mut StdRng) -> &'static str {
    let at = rng.random_range(0..3usize);
    let node = &mut nodes[at];
    let what = if rng.random_range(0..3) == 0 {
        node.signal("STOP");
        tokio::time::sleep(Duration::from_millis(u64::from(LEASE_MS) * 2)).await;
        node.signal("CONT");
        "slept"
    } else {
        node.kill();
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..1500))).await;
        node.restart().await;
        "killed"
    };
    load.addresses.lock().unwrap()[at] = node.api();
    what
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_lose_nothing() {
    let seed = setting("POSTRIDER_CHAOS_SEED").unwrap_or_else(|| SysRng.try_next_u64().unwrap());
    println!("seed {seed} (POSTRIDER_CHAOS_SEED={seed} runs it again)");
    let mut rng = StdRng::seed_from_u64(seed);
    let receiver = Receiver::start().await;
    let first = Server::start_on_postgres(&["--attempt-timeout", "3s"], LEASE_MS).await;
    let mut nodes = [first.beside().await, first.beside().await, first];
    let (app, _) = tenant(&nodes[0].api(), &receiver.url("/"), json!({"retryPolicy": vec![1; 30]})).await;
    for node in &nodes {
        known(&node.api(), &app).await;
    }
    let addresses = Mutex::new(nodes.iter().map(Server::api).collect());
    let load = Arc::new(Load { addresses, accepted: Mutex::default(), stop: AtomicBool::new(false), app });
    let clients: Vec<_> = (0..CLIENTS).map(|client| tokio::spawn(post(load.clone(), client))).collect();

    let mut hurts = HashMap::<_, u32>::new();
    let end = Instant::now() + Duration::from_secs(setting("POSTRIDER_CHAOS_S").unwrap_or(SECONDS));
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(rng.random_range(300..2000))).await;
        *hurts.entry(hurt(&mut nodes, &load, &mut rng).await).or_default() += 1;
    }
    load.stop.store(true, SeqCst);
    let mut sent = Vec::new();
    for client in clients {
        sent.push(client.await.unwrap());
    }

    let accepted = load.accepted.lock().unwrap().clone();
    let arrived = await_arrivals(&receiver, &accepted).await;
    let invented = arrived.keys().filter(|(client, number)| *number > sent[usize::try_from(*client).unwrap()]).count();
    let twice: u64 = arrived.values().map(|count| count - 1).sum();
    println!(
        "{hurts:?}; {} accepted, {} arrived, {twice} twice, {invented} invented, longest gap {:?}",
        accepted.len(),
        arrived.len(),
        longest_gap(&receiver)
    );
    assert!(accepted.len() > 100, "too few messages to prove anything");
    assert_eq!(invented, 0);
    for mut node in nodes {
        assert_eq!(node.stop().await, 0, "a graceful stop exits 0");
    }
}

async fn await_arrivals(receiver: &Receiver, accepted: &[(u64, u64)]) -> HashMap<(u64, u64), u64> {
    let deadline = Instant::now() + ARRIVAL;
    loop {
        let mut arrived = HashMap::new();
        for request in receiver.requests() {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            if body["number"] == 0 {
                continue;
            }
            *arrived.entry((body["client"].as_u64().unwrap(), body["number"].as_u64().unwrap())).or_default() += 1;
        }
        let missing: Vec<_> = accepted.iter().filter(|one| !arrived.contains_key(*one)).collect();
        if missing.is_empty() {
            return arrived;
        }
        assert!(Instant::now() < deadline, "{} accepted messages never arrived: {:?}", missing.len(), missing.first());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn longest_gap(receiver: &Receiver) -> Duration {
    let times: Vec<_> = receiver.requests().iter().map(|request| request.at).collect();
    times.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default()
}
