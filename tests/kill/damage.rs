//! A torn or spoilt last write is recovered; deeper damage is refused with words that say where, and nothing is dropped
//! without a word. On the embedded store: PostgreSQL looks after its own.

use crate::support::{Options, Receiver, Server, eventually, refused_start};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Messages that wait for an endpoint that is disabled.
const MESSAGES: u64 = 50;

/// A server with messages that are owed to `/a`, killed; its folder, the application, the endpoint.
async fn owing(receiver: &Receiver) -> (Server, String, String) {
    let mut server = Server::start_as(Options::default()).await;
    let api = server.api();
    let id = |value: Value| value["id"].as_str().unwrap().to_owned();
    let app = id(api.post("/api/v1/app", r#"{"name": "damage"}"#).await.expect(201));
    let body = json!({"url": receiver.url("/a"), "disabled": true}).to_string();
    let endpoint = id(api.post(&format!("/api/v1/app/{app}/endpoint"), &body).await.expect(201));
    for number in 0..MESSAGES {
        let body = json!({"eventType": "a.b", "payload": {"number": number}}).to_string();
        api.post(&format!("/api/v1/app/{app}/msg"), &body).await.expect(202);
    }
    server.kill();
    (server, app, endpoint)
}

/// The journal that is written to, and how much of it is.
fn journal(server: &Server) -> (PathBuf, u64) {
    let entries = fs::read_dir(server.data().join("data/store")).unwrap().map(|entry| entry.unwrap().path());
    let path = entries.filter(|path| path.extension().is_some_and(|kind| kind == "jnl")).max().unwrap();
    let bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    (path, end as u64)
}

fn spoil(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0xff], at).unwrap();
}

/// Everything that the endpoint gets once it is enabled.
async fn arrive(server: &Server, receiver: &Receiver, (app, endpoint): (&str, &str), wanted: u64) {
    let api = server.api();
    api.patch(&format!("/api/v1/app/{app}/endpoint/{endpoint}"), r#"{"disabled": false}"#).await.expect(200);
    eventually("everything that is left arrives", || async {
        let bodies = receiver.at("/a").into_iter().map(|arrival| serde_json::from_slice::<Value>(&arrival.body).unwrap());
        let numbers: HashSet<u64> = bodies.map(|body| body["number"].as_u64().unwrap()).collect();
        (0..wanted).all(|number| numbers.contains(&number)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_write_that_was_torn_is_recovered() {
    let receiver = Receiver::start().await;
    let (mut server, app, endpoint) = owing(&receiver).await;
    let (path, end) = journal(&server);
    // A write begins and does not get to its end, as when the power goes.
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut begun = vec![0; 100];
    file.read_exact_at(&mut begun, 0).unwrap();
    file.write_all_at(&begun, end).unwrap();
    server.restart().await;
    assert!(server.log().iter().any(|line| line.contains("the last write was torn")), "{:?}", server.log());
    arrive(&server, &receiver, (&app, &endpoint), MESSAGES).await;
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_write_that_was_spoilt_costs_itself_and_the_log_says_so() {
    let receiver = Receiver::start().await;
    let (mut server, app, endpoint) = owing(&receiver).await;
    let (path, end) = journal(&server);
    spoil(&path, end - 20);
    server.restart().await;
    assert!(server.log().iter().any(|line| line.contains("the last write was torn")), "{:?}", server.log());
    // The last write may be the last message.
    arrive(&server, &receiver, (&app, &endpoint), MESSAGES - 1).await;
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_middle_of_a_journal_is_refused_until_it_is_repaired() {
    let receiver = Receiver::start().await;
    let (mut server, app, endpoint) = owing(&receiver).await;
    let (path, end) = journal(&server);
    let whole = fs::read(&path).unwrap();
    for at in [end / 4, end / 2, end / 2 + 1, end * 3 / 4] {
        spoil(&path, at);
        let said = refused_start(server.data()).join("\n");
        assert!(said.contains("damaged at byte") && said.contains(path.to_str().unwrap()), "{said}");
        assert_eq!(fs::metadata(&path).unwrap().len(), whole.len() as u64, "nothing is cut off");
        spoil(&path, at);
    }
    assert_eq!(fs::read(&path).unwrap(), whole, "nothing was changed");
    server.restart().await;
    arrive(&server, &receiver, (&app, &endpoint), MESSAGES).await;
    assert_eq!(server.stop().await, 0);
}

/// Every file of tables below a folder that is large enough to hold any.
fn tables(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tables(&path, found);
        } else if ["tables", "blobs"].iter().any(|name| path.parent().unwrap().ends_with(name)) {
            found.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_tables_are_said_and_never_read_as_empty() {
    /// Bytes of a payload, and so many of them that tables are written.
    const PAYLOAD: usize = 60_000;
    const LARGE: u64 = 600;
    let mut server = Server::start_as(Options::default()).await;
    let api = server.api();
    let app = api.post("/api/v1/app", r#"{"name": "tables"}"#).await.expect(201)["id"].as_str().unwrap().to_owned();
    let (mut ids, mut rng) = (Vec::new(), StdRng::seed_from_u64(1));
    for number in 0..LARGE {
        // Chance, since tables are compressed.
        let filler: String =
            (0..PAYLOAD).map(|_| char::from(rng.random_range(b'0'..=b'z'))).map(|c| if c == '\\' { 'x' } else { c }).collect();
        let body = json!({"eventType": "a.b", "payload": {"number": number, "filler": filler}}).to_string();
        let made = api.post(&format!("/api/v1/app/{app}/msg"), &body).await.expect(202);
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let store = server.data().join("data/store");
    let written = eventually("tables are written", || async {
        let mut found = Vec::new();
        tables(&store, &mut found);
        found.retain(|path| fs::metadata(path).is_ok_and(|about| about.len() > 1 << 20));
        (!found.is_empty()).then_some(found)
    })
    .await;
    server.kill();
    for path in &written {
        let length = fs::metadata(path).unwrap().len();
        (1..10).for_each(|part| spoil(path, length * part / 10));
    }
    let copied = copy_of(&server);
    let (mut gone, mut refused) = (0, 0);
    match Server::try_start_in(copied).await {
        Err(said) => assert!(said.join("\n").contains("damaged"), "{said:?}"),
        Ok(server) => {
            for id in &ids {
                match server.api().get(&format!("/api/v1/app/{app}/msg/{id}")).await.status {
                    404 => gone += 1,
                    500.. => refused += 1,
                    _ => {}
                }
            }
            assert_eq!(gone, 0, "damage was read as if nothing had been there");
            assert!(refused > 0, "nothing was damaged: the test spoils the wrong bytes");
            assert!(server.log().iter().any(|line| line.contains("damaged")), "{:?}", server.log());
        }
    }
}

fn copy_of(server: &Server) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp").arg("-a").arg(server.data().join("data")).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    File::open(folder.path().join("data/master.key")).unwrap();
    folder
}
