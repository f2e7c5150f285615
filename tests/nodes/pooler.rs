//! Nodes behind PgBouncer in transaction mode, all of them by it and with a direct way for notifications.

use crate::{
    known,
    own::{Own, open_folder},
    send,
    support::{Options, Receiver, Server, eventually},
    tenant,
};
use serde_json::json;
use std::{
    path::Path,
    process::{Child, Command, Stdio},
};
use tokio::time::Instant;

/// Where Debian keeps it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// How long leases outlive a node.
const LEASE_MS: u32 = 3000;

/// A PgBouncer; ended when dropped.
struct Pooler {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    /// Starts one in front of a server on that port.
    async fn start(server: &str) -> Self {
        let folder = open_folder();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let users = folder.path().join("users.txt");
        std::fs::write(&users, "\"postrider\" \"\"\n").unwrap();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\nmax_client_conn = 200\n\
             default_pool_size = 12\n",
            users.display()
        );
        let path = folder.path().join("pgbouncer.ini");
        std::fs::write(&path, settings).unwrap();
        let child = command(&path).stdin(Stdio::null()).spawn().expect("install pgbouncer (Debian: apt-get install pgbouncer)");
        let pooler = Pooler { child, port, _folder: folder };
        eventually("the pooler takes connections", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
        })
        .await;
        pooler
    }
}

/// It refuses to be run by root.
fn command(settings: &Path) -> Command {
    let program = if Path::new(PROGRAM).exists() { PROGRAM } else { "pgbouncer" };
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = Command::new(if is_root { "setpriv" } else { program });
    if is_root {
        command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", program]);
    }
    command.arg("-q").arg(settings);
    command
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two nodes at that URL: configuration follows, messages flow, a limit of all nodes holds, a dead node is taken over.
async fn works(store: String) {
    let first = Server::start_as(Options { args: vec![], env: vec![("POSTRIDER_STORE".into(), store)] }).await;
    let mut second = first.beside().await;
    let receiver = Receiver::start().await;
    let (app, _) = tenant(&first.api(), &receiver.url("/x"), json!({"throttleRate": 50})).await;
    let made = Instant::now();
    known(&second.api(), &app).await;
    println!("known to the other node after {:?}", made.elapsed());
    let arrived = |numbers: std::ops::RangeInclusive<u64>| {
        let receiver = &receiver;
        async move {
            eventually("all arrive", || async {
                let bodies: Vec<_> = receiver.at("/x").into_iter().map(|arrival| arrival.body).collect();
                let ends = numbers.clone().map(|number| format!("\"number\": {number}}}"));
                ends.into_iter().all(|end| bodies.iter().any(|body| body.ends_with(end.as_bytes()))).then_some(())
            })
            .await;
        }
    };
    // One of the two has to leave them to the other, whose endpoint it is.
    let sent = Instant::now();
    for number in 1..=10 {
        send(&first.api(), &app, number).await;
        send(&second.api(), &app, 10 + number).await;
    }
    arrived(1..=20).await;
    println!("all 20 arrived after {:?}", sent.elapsed());
    second.kill();
    for number in 21..=25 {
        send(&first.api(), &app, number).await;
    }
    arrived(21..=25).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode_may_stand_between() {
    let (_own, url) = Own::start();
    let port = url.rsplit_once(':').unwrap().1;
    let pooler = Pooler::start(port).await;
    works(format!("postgres://postrider@127.0.0.1:{}/postgres?lease_ms={LEASE_MS}", pooler.port)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_come_past_the_pooler() {
    let (_own, url) = Own::start();
    let port = url.rsplit_once(':').unwrap().1;
    let pooler = Pooler::start(port).await;
    let store = format!("postgres://postrider@127.0.0.1:{}/postgres?direct=127.0.0.1:{port}&lease_ms={LEASE_MS}", pooler.port);
    works(store).await;
}
