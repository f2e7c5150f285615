//! Moves in both directions, with and without the history.

use crate::{
    Tenant, copied, count, folder, path, receiver,
    support::{Arrival, Options, Reply, Server, database, eventually},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const MESSAGES: u64 = 8;
/// The same, to be compared with lengths.
const COUNT: usize = MESSAGES as usize;

/// Whether an arrival is signed with that secret.
fn signed(arrival: &Arrival, secret: &str) -> bool {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.", arrival.header("webhook-id"), arrival.header("webhook-timestamp")).as_bytes());
    mac.update(&arrival.body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    arrival.header("webhook-signature").split(' ').any(|one| one == expected)
}

/// There and back: embedded → database → another folder, with deliveries pending each time.
async fn there_and_back(history: bool) {
    let more: &[&str] = if history { &["--history"] } else { &[] };
    let receiver = receiver().await;
    let mut server = Server::start_as(Options::default()).await;
    let api = server.api();
    let tenant = Tenant::make(&api, &receiver).await;
    let secrets = [tenant.secret(&api, &tenant.failing).await, tenant.secret(&api, &tenant.disabled).await];
    tenant.send(&api, 0..MESSAGES).await;
    tenant.settled(&api, COUNT).await;
    assert_eq!(server.stop().await, 0);
    let tried = receiver.at("/failing").len();

    let (from, url) = (folder(&server), database::fresh().await);
    let printed = copied(&from, &url, more);
    assert_eq!((count(&printed, "applications"), count(&printed, "endpoints"), count(&printed, "event types")), (1, 3, 1));
    assert_eq!(count(&printed, "attempts owed"), 2 * MESSAGES);
    assert_eq!(count(&printed, "messages"), MESSAGES);

    // The same folder holds the master key, and the same admin key works.
    server.set_env("POSTRIDER_STORE", &url);
    server.restart().await;
    let api = server.api();
    assert_eq!(tenant.secret(&api, &tenant.failing).await, secrets[0]);
    assert_eq!(tenant.attempts(&api, &tenant.good).await, COUNT);
    assert_eq!(receiver.at("/good").len(), COUNT, "what was delivered is not delivered again");
    // A new message beside the old ones, and an event id that is known.
    tenant.send(&api, MESSAGES..MESSAGES + 1).await;
    let again = r#"{"eventType": "copy.test", "eventId": "e0", "payload": {}}"#;
    api.post(&format!("/api/v1/app/{}/msg", tenant.app), again).await.expect(409);
    tenant.settled(&api, COUNT + 1).await;
    assert_eq!(server.stop().await, 0);

    let back = tempfile::tempdir().unwrap();
    let to = path(&back.path().join("data"));
    let master = format!("{from}/master.key");
    let printed = copied(&url, &to, &[more, &["--master-key", &master]].concat());
    assert_eq!(count(&printed, "attempts owed"), 2 * (MESSAGES + 1));

    receiver.script("/failing", [Reply::status(200)]);
    let server = Server::start_in(back, Options::default()).await;
    let api = server.api();
    tenant.enable(&api).await;
    let disabled = receiver.wait("/disabled", COUNT + 1).await;
    assert!(disabled.iter().all(|arrival| signed(arrival, &secrets[1])));
    eventually("what failed is delivered by its schedule", || async {
        let delivered = receiver.at("/failing").len();
        (delivered > tried + COUNT).then_some(())
    })
    .await;
    let failing = receiver.at("/failing");
    assert!(failing.iter().all(|arrival| signed(arrival, &secrets[0]) && arrival.header("x-own") == "kept"));
    assert_eq!(tenant.messages(&api).await, COUNT + 1);
    // Once each, where nothing failed.
    for at in ["/disabled", "/good"] {
        let bodies: std::collections::HashSet<_> = receiver.at(at).into_iter().map(|arrival| arrival.body).collect();
        assert_eq!((bodies.len(), receiver.at(at).len()), (COUNT + 1, COUNT + 1), "{at}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pending_moves_to_a_database_and_back() {
    there_and_back(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_moves_too() {
    there_and_back(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_stays_behind_unless_the_history_is_asked_for() {
    let receiver = receiver().await;
    let mut server = Server::start_as(Options::default()).await;
    let api = server.api();
    let app = api.post("/api/v1/app", r#"{"name": "over"}"#).await.expect(201)["id"].as_str().unwrap().to_owned();
    let endpoint = format!(r#"{{"url": "{}"}}"#, receiver.url("/good"));
    let endpoint = api.post(&format!("/api/v1/app/{app}/endpoint"), &endpoint).await.expect(201);
    for _ in 0..5 {
        api.post(&format!("/api/v1/app/{app}/msg"), r#"{"eventType": "a.b", "payload": {}}"#).await.expect(202);
    }
    receiver.wait("/good", 5).await;
    assert_eq!(server.stop().await, 0);
    let (first, second) = (database::fresh().await, tempfile::tempdir().unwrap());
    let printed = copied(&folder(&server), &first, &["--keep-source"]);
    assert!(!printed.contains("messages "), "{printed}");
    let to = path(&second.path().join("data"));
    let printed = copied(&folder(&server), &to, &["--history"]);
    assert_eq!((count(&printed, "messages"), count(&printed, "attempts ")), (5, 5));
    let server = Server::start_in(second, Options::default()).await;
    let stats =
        server.api().get(&format!("/api/v1/app/{app}/endpoint/{}/stats", endpoint["id"].as_str().unwrap())).await.expect(200);
    assert_eq!((stats["success"].as_u64(), stats["pending"].as_u64()), (Some(5), Some(0)), "the counters are made anew");
}
