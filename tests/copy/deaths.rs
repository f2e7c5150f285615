//! kill -9 in the middle of a copy, again and again, until it gets to its end.

use crate::{
    copied, copy, count, folder, path, refused,
    support::{ADMIN_KEY, Options, Receiver, Server, database},
};
use rand::{
    RngExt, SeedableRng, TryRng,
    rngs::{StdRng, SysRng},
};
use serde_json::json;
use std::{process::Command, time::Duration};

/// Messages that are pending.
const MESSAGES: u64 = 2000;
/// Clients that post them.
const CLIENTS: u64 = 8;

/// Kills copies until one ends; how many were killed in the middle.
fn until_copied(from: &str, to: &str, more: &[&str], rng: &mut StdRng) -> usize {
    let (mut killed, mut patience) = (0, 60);
    loop {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
        command.args(["copy", "--from", from, "--to", to]).args(more).env("POSTRIDER_ADMIN_KEY", ADMIN_KEY);
        if killed > 0 {
            command.arg("--resume");
        }
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(rng.random_range(patience / 2..patience)));
        if let Some(status) = child.try_wait().unwrap() {
            // Killed before its first note, there is nothing to go on with; so it begins.
            if status.success() {
                return killed;
            }
            let again = copy(from, to, more);
            if again.status.success() {
                return killed;
            }
            refused(&again, "--resume");
            patience += patience / 2;
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        patience += patience / 3;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_that_is_killed_goes_on() {
    let seed =
        std::env::var("POSTRIDER_KILL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| SysRng.try_next_u64().unwrap());
    println!("seed {seed} (POSTRIDER_KILL_SEED={seed} runs it again)");
    let mut rng = StdRng::seed_from_u64(seed);
    let receiver = Receiver::start().await;
    let mut server = Server::start_as(Options::default()).await;
    let api = server.api();
    let app = api.post("/api/v1/app", r#"{"name": "deaths"}"#).await.expect(201)["id"].as_str().unwrap().to_owned();
    let endpoint = json!({"url": receiver.url("/x"), "disabled": true}).to_string();
    let endpoint = api.post(&format!("/api/v1/app/{app}/endpoint"), &endpoint).await.expect(201);
    let clients = (0..CLIENTS).map(|client| {
        let (api, path) = (api.clone(), format!("/api/v1/app/{app}/msg"));
        tokio::spawn(async move {
            for number in (client..MESSAGES).step_by(usize::try_from(CLIENTS).unwrap()) {
                let body = json!({"eventType": "a.b", "payload": {"number": number, "room": "x".repeat(500)}}).to_string();
                api.post(&path, &body).await.expect(202);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert_eq!(server.stop().await, 0);

    let (from, url, back) = (folder(&server), database::fresh().await, tempfile::tempdir().unwrap());
    let to = path(&back.path().join("data"));
    let master = format!("{from}/master.key");
    let (there, again) = (until_copied(&from, &url, &[], &mut rng), until_copied(&url, &to, &["--master-key", &master], &mut rng));
    println!("killed {there} times on the way there, {again} on the way back");
    assert!(there > 0 && again > 0);
    // Nothing is left of what was cut short, and the copy of the copy is whole.
    let third = database::fresh().await;
    let printed = copied(&to, &third, &["--keep-source"]);
    assert_eq!((count(&printed, "messages"), count(&printed, "attempts owed")), (MESSAGES, MESSAGES));

    let server = Server::start_in(back, Options::default()).await;
    let path = format!("/api/v1/app/{app}/endpoint/{}", endpoint["id"].as_str().unwrap());
    server.api().patch(&path, r#"{"disabled": false}"#).await.expect(200);
    let wanted = usize::try_from(MESSAGES).unwrap();
    let arrived = receiver.wait("/x", wanted).await;
    let bodies: std::collections::HashSet<_> = arrived.iter().map(|arrival| arrival.body.clone()).collect();
    assert_eq!((arrived.len(), bodies.len()), (wanted, wanted), "once each");
}
