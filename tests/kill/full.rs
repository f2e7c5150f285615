//! A disk that is full: nothing that was accepted is lost, what is refused is refused with a 503 or 507, and the server goes
//! on by itself once there is room. On a file system in memory of its own, which takes the right to mount one.

use crate::support::{Api, PATIENCE, Receiver, eventually, kept_log};
use serde_json::json;
use std::{
    collections::HashSet,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Size of the file system: more than an empty store and the room that a start asks for.
const DISK: &str = "size=320m";
/// Bytes of a payload.
const PAYLOAD: usize = 16 * 1024;
/// Messages that would not fit.
const TOO_MANY: usize = 40_000;
const KEY: &str = "pr_fulldiskkey0123456789abcdefghijklmn";

/// A mounted file system and the server on it, both gone in the end.
struct Small {
    folder: tempfile::TempDir,
    server: Option<Child>,
}

impl Drop for Small {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _gone = server.kill();
            let _gone = server.wait();
        }
        let _gone = Command::new("umount").arg(self.folder.path()).status();
    }
}

fn serve(disk: &Path, address: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(["serve", "--listen", address, "--allow-cidr", "127.0.0.0/8", "--data"])
        .arg(disk.join("data"))
        .env("POSTRIDER_ADMIN_KEY", KEY)
        .stdout(Stdio::null())
        .stderr(kept_log().map_or_else(Stdio::inherit, Stdio::from))
        .spawn()
        .unwrap()
}

async fn healthy(api: &Api) {
    eventually("the server answers", || async {
        api.try_send("GET", "/api/v1/health", &[], "".into()).await.ok().filter(|a| a.status < 300)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_the_server_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "none"]).arg(folder.path()).status().unwrap();
    assert!(mounted.success(), "this test mounts a file system in memory, as root or with CAP_SYS_ADMIN");
    let mut small = Small { folder, server: None };
    // A port that is free now: the server keeps it when it starts anew.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    small.server = Some(serve(small.folder.path(), &address));
    let (api, receiver) = (Api::new(&address, Some(KEY)), Receiver::start().await);
    healthy(&api).await;
    let app = api.post("/api/v1/app", r#"{"name": "full"}"#).await.expect(201)["id"].as_str().unwrap().to_owned();
    let made = json!({"url": receiver.url("/a")}).to_string();
    api.post(&format!("/api/v1/app/{app}/endpoint"), &made).await.expect(201);

    // Others take most of the disk, so that it fills soon.
    let ballast = small.folder.path().join("ballast");
    fs::write(&ballast, vec![0; 200 << 20]).unwrap();
    let path = format!("/api/v1/app/{app}/msg");
    let mut accepted = HashSet::new();
    let mut refused = None;
    for number in 0..TOO_MANY {
        let body = json!({"eventType": "a.b", "payload": {"number": number, "filler": "x".repeat(PAYLOAD)}}).to_string();
        match api.post(&path, &body).await.status {
            202 => drop(accepted.insert(number)),
            status => {
                refused = Some(status);
                break;
            }
        }
    }
    assert!(matches!(refused, Some(503 | 507)), "{refused:?}");
    assert!(!accepted.is_empty());
    let read = api.get(&format!("/api/v1/app/{app}")).await;
    assert_eq!(read.status, 200, "what is there can be read");

    fs::remove_file(&ballast).unwrap();
    let deadline = tokio::time::Instant::now() + 2 * PATIENCE;
    let body = json!({"eventType": "a.b", "payload": {"number": TOO_MANY}}).to_string();
    while api.try_post(&path, &body).await.map_or(0, |answer| answer.status) != 202 {
        assert!(tokio::time::Instant::now() < deadline, "the server never took anything again");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    accepted.insert(TOO_MANY);
    eventually("everything accepted has arrived", || async {
        let arrived: HashSet<usize> = receiver
            .at("/a")
            .iter()
            .filter_map(|arrival| serde_json::from_slice::<serde_json::Value>(&arrival.body).ok()?["number"].as_u64())
            .map(|number| usize::try_from(number).unwrap())
            .collect();
        accepted.is_subset(&arrived).then_some(())
    })
    .await;
}
