//! kill -9 again and again while endpoints flap: hang, refuse, fail, and answer again.

use crate::support::{Api, Receiver, Reply, Server, eventually};
use rand::{
    RngExt, SeedableRng, TryRng,
    rngs::{StdRng, SysRng},
};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

/// Deaths in one run.
const KILLS: usize = 15;
/// Endpoints that flap; one more is well all the time.
const FLAPPING: usize = 4;

fn seeded() -> StdRng {
    let given = std::env::var("POSTRIDER_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| SysRng.try_next_u64().unwrap());
    println!("seed {seed} (POSTRIDER_KILL_SEED={seed} runs it again)");
    StdRng::seed_from_u64(seed)
}

/// What an endpoint may do for a while.
fn mood(rng: &mut StdRng) -> Reply {
    match rng.random_range(0..5) {
        0 => Reply::Hang,
        1 => Reply::Drip,
        2 => Reply::status(500),
        3 => Reply::status(429).header("retry-after", "1"),
        _ => Reply::status(200),
    }
}

fn path(endpoint: usize) -> String {
    format!("/flapping/{endpoint}")
}

/// The numbers that arrived at a path.
fn numbers(receiver: &Receiver, path: &str) -> HashSet<u64> {
    let bodies = receiver.at(path).into_iter().map(|arrival| serde_json::from_slice::<Value>(&arrival.body).unwrap());
    bodies.map(|body| body["number"].as_u64().unwrap()).collect()
}

async fn send_until(api: Api, app: String, from: u64, stop: Arc<AtomicBool>) -> (Vec<u64>, u64) {
    let (mut accepted, mut number) = (Vec::new(), from);
    while !stop.load(SeqCst) {
        number += 1;
        let body = json!({"eventType": "a.b", "payload": {"number": number}}).to_string();
        match api.try_post(&format!("/api/v1/app/{app}/msg"), &body).await {
            Ok(answer) if answer.status == 202 => accepted.push(number),
            Ok(answer) => panic!("{} {}", answer.status, answer.text()),
            Err(_) => {}
        }
        // Slower than the machine: what fails is tried again, and everything is to end.
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    (accepted, number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deaths_while_endpoints_flap_lose_nothing() {
    let mut rng = seeded();
    let receiver = Receiver::start().await;
    let args = ["--attempt-timeout", "500ms"].map(str::to_owned).to_vec();
    let mut server = Server::start_with(crate::support::Options { args, env: Vec::new() }).await;
    let api = server.api();
    let app = api.post("/api/v1/app", r#"{"name": "flaps"}"#).await.expect(201)["id"].as_str().unwrap().to_owned();
    let endpoints = (0..FLAPPING).map(path).chain(["/well".to_owned()]);
    for path in endpoints {
        let body = json!({"url": receiver.url(&path), "retryPolicy": vec![1; 50]}).to_string();
        api.post(&format!("/api/v1/app/{app}/endpoint"), &body).await.expect(201);
    }
    let (mut accepted, mut sent) = (Vec::new(), 0);
    for _ in 0..KILLS {
        (0..FLAPPING).for_each(|endpoint| receiver.script(&path(endpoint), [mood(&mut rng)]));
        let stop = Arc::new(AtomicBool::new(false));
        let client = tokio::spawn(send_until(server.api(), app.clone(), sent, stop.clone()));
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..900))).await;
        server.kill();
        stop.store(true, SeqCst);
        let (more, last) = client.await.unwrap();
        accepted.extend(more);
        sent = last;
        server.restart().await;
    }
    (0..FLAPPING).for_each(|endpoint| receiver.script(&path(endpoint), [Reply::status(200)]));
    let accepted: HashSet<u64> = accepted.into_iter().collect();
    assert!(accepted.len() > KILLS, "too few messages to prove anything");
    for path in (0..FLAPPING).map(path).chain(["/well".to_owned()]) {
        // A circuit may be open for half a minute.
        for _ in 0..3 {
            let arrived = tokio::time::timeout(Duration::from_secs(25), async {
                while !accepted.is_subset(&numbers(&receiver, &path)) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
            if arrived.await.is_ok() {
                break;
            }
        }
        let arrived = numbers(&receiver, &path);
        let missing = accepted.difference(&arrived).count();
        assert_eq!(missing, 0, "of {} accepted, {missing} never arrived at {path}", accepted.len());
        assert!(arrived.iter().all(|number| (1..=sent).contains(number)), "invented");
    }
    eventually("nothing is owed any more", || async {
        let page = api_of(&server, &app).await;
        (page == 0).then_some(())
    })
    .await;
    println!("{KILLS} deaths, {} accepted, all at {} endpoints", accepted.len(), FLAPPING + 1);
    assert_eq!(server.stop().await, 0);
}

/// Deliveries that are owed still, of all endpoints.
async fn api_of(server: &Server, app: &str) -> u64 {
    let api = server.api();
    let endpoints = api.get(&format!("/api/v1/app/{app}/endpoint")).await.expect(200);
    let mut owed = 0;
    for endpoint in endpoints["data"].as_array().unwrap() {
        let id = endpoint["id"].as_str().unwrap();
        let stats = api.get(&format!("/api/v1/app/{app}/endpoint/{id}/stats")).await.expect(200);
        owed += stats["pending"].as_u64().unwrap() + stats["sending"].as_u64().unwrap();
    }
    owed
}
