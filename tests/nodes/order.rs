//! Strict order and a fixed number of attempts at once hold for all nodes together, also while nodes die or sleep: a message
//! never comes for the first time before those of its key that were accepted before it are done with. A node that dies between
//! an answer and its record makes one that is done come again, nothing else.
//!
//! `POSTRIDER_ORDER_S` sets for how long (in seconds), `POSTRIDER_ORDER_SEED` the chance.

use crate::{
    known,
    support::{
        Api, Receiver, Reply, Server, eventually,
        order::{Came, judge},
    },
    tenant,
};
use rand::{
    RngExt, SeedableRng, TryRng,
    rngs::{StdRng, SysRng},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::Instant;

/// For how long nodes are hurt, unless the environment says otherwise.
const SECONDS: u64 = 15;
/// How long leases outlive a node.
const LEASE_MS: u32 = 2000;
/// Past every lease.
const LONG: Duration = Duration::from_millis(2 * LEASE_MS as u64);
/// Keys, each with a client of its own that posts to one node after the other.
const KEYS: u64 = 8;
/// How long a client waits for an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Answers that are decided by chance; after them all is well.
const ANSWERS: usize = 100_000;

struct Shared {
    nodes: Mutex<Vec<Api>>,
    accepted: Mutex<HashSet<(u64, u64)>>,
    stop: AtomicBool,
    app: String,
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Posts a key's messages, each after the answer to the one before.
async fn post(shared: Arc<Shared>, key: u64) {
    let path = format!("/api/v1/app/{}/msg", shared.app);
    for number in 1.. {
        if shared.stop.load(SeqCst) {
            return;
        }
        let api = {
            let nodes = shared.nodes.lock().unwrap();
            nodes[usize::try_from(key + number).unwrap() % nodes.len()].clone()
        };
        let payload = json!({"client": key, "number": number});
        let body = json!({"eventType": "order.test", "payload": payload, "orderingKey": key.to_string()}).to_string();
        if let Ok(Ok(answer)) = tokio::time::timeout(ANSWER, api.try_post(&path, &body)).await
            && answer.status == 202
        {
            shared.accepted.lock().unwrap().insert((key, number));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What arrived, in order, by the answers that were given.
fn arrivals(receiver: &Receiver, statuses: &[u16]) -> Vec<Came> {
    let all = receiver.at("/x");
    let came = all.iter().enumerate().map(|(at, arrival)| {
        let body: serde_json::Value = serde_json::from_slice(&arrival.body).unwrap();
        let taken = *statuses.get(at).unwrap_or(&200) == 200;
        Came { key: body["client"].as_u64().unwrap(), number: body["number"].as_u64().unwrap(), taken }
    });
    came.filter(|came| came.number > 0).collect()
}

/// Puts a node to sleep past its leases, or kills it and starts it again.
async fn hurt(nodes: &mut [Server; 3], shared: &Shared, rng: &mut StdRng) -> &'static str {
    let at = rng.random_range(0..3usize);
    let node = &mut nodes[at];
    if rng.random_bool(0.4) {
        node.signal("STOP");
        tokio::time::sleep(LONG).await;
        node.signal("CONT");
        return "slept";
    }
    node.kill();
    tokio::time::sleep(Duration::from_millis(rng.random_range(100..1500))).await;
    node.restart().await;
    shared.nodes.lock().unwrap()[at] = node.api();
    "killed"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_kept_while_nodes_die() {
    let seed = setting("POSTRIDER_ORDER_SEED").unwrap_or_else(|| SysRng.try_next_u64().unwrap());
    println!("seed {seed} (POSTRIDER_ORDER_SEED={seed} runs it again)");
    let mut rng = StdRng::seed_from_u64(seed);
    let receiver = Receiver::start().await;
    let statuses: Vec<u16> = (0..ANSWERS).map(|_| if rng.random_bool(0.2) { 500 } else { 200 }).collect();
    receiver.script("/x", statuses.iter().map(|status| Reply::status(*status)).chain([Reply::status(200)]));
    let first = Server::start_on_postgres(&["--attempt-timeout", "3s"], LEASE_MS).await;
    let mut nodes = [first.beside().await, first.beside().await, first];
    let more = json!({"retryPolicy": vec![0; 30], "ordering": {"by": "key"}});
    let (app, endpoint) = tenant(&nodes[0].api(), &receiver.url("/x"), more).await;
    for node in &nodes {
        known(&node.api(), &app).await;
    }
    let apis = nodes.iter().map(Server::api).collect();
    let shared = Shared { nodes: Mutex::new(apis), accepted: Mutex::default(), stop: AtomicBool::new(false), app };
    let shared = Arc::new(shared);
    let clients: Vec<_> = (1..=KEYS).map(|key| tokio::spawn(post(shared.clone(), key))).collect();

    let mut hurts = BTreeMap::<_, u32>::new();
    let end = Instant::now() + Duration::from_secs(setting("POSTRIDER_ORDER_S").unwrap_or(SECONDS));
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(rng.random_range(300..1500))).await;
        *hurts.entry(hurt(&mut nodes, &shared, &mut rng).await).or_default() += 1;
    }
    shared.stop.store(true, SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let accepted = shared.accepted.lock().unwrap().clone();
    let lane = format!("/api/v1/app/{}/endpoint/{endpoint}/lane", shared.app);
    eventually("nothing is owed", || async {
        let lane = nodes[0].api().get(&lane).await.expect(200);
        (lane["depth"] == 0).then_some(())
    })
    .await;
    let came = arrivals(&receiver, &statuses);
    // One that nobody was told of may have been accepted late; what was answered is in order.
    let verdict = judge(&came, usize::MAX, |key, number| accepted.contains(&(key, number)));
    println!("{hurts:?}; {} accepted, {} requests, {verdict:?}", accepted.len(), came.len());
    assert_eq!((verdict.messages, verdict.given_up), (accepted.len(), 0));
    assert!(accepted.len() > 100, "too few messages to prove anything");
    for mut node in nodes {
        assert_eq!(node.stop().await, 0, "a graceful stop exits 0");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_concurrency_holds_for_all_nodes() {
    const AT_ONCE: usize = 2;
    const TIMEOUT: Duration = Duration::from_secs(2);
    let first = Server::start_on_postgres(&["--attempt-timeout", "2s"], 5000).await;
    let nodes = [first.beside().await, first.beside().await, first];
    let receiver = Receiver::start().await;
    let more = json!({"concurrency": AT_ONCE, "retryPolicy": []});
    let (app, _) = tenant(&nodes[0].api(), &receiver.url("/x"), more).await;
    for node in &nodes {
        known(&node.api(), &app).await;
    }
    receiver.script("/x", [Reply::Hang]);
    let before = receiver.at("/x").len();
    for number in 1..=12u64 {
        crate::send(&nodes[usize::try_from(number % 3).unwrap()].api(), &app, number).await;
    }
    let all = receiver.wait("/x", before + 3 * AT_ONCE).await.split_off(before);
    for three in all.windows(AT_ONCE + 1) {
        let apart = three[AT_ONCE].at - three[0].at;
        assert!(apart > TIMEOUT / 2, "{} within {apart:?}, and each takes {TIMEOUT:?}", AT_ONCE + 1);
    }
}
