//! A fresh database for a server, when the tests are run on PostgreSQL: `POSTRIDER_TEST_STORE=postgres`.
//!
//! The server is the one of `POSTRIDER_TEST_POSTGRES` (a URL without a database), or a throw-away one that
//! `.ci/postgres` starts.

use std::process::Command;

/// How long leases outlive a killed server, in milliseconds: short, so that tests need not wait.
pub const LEASE_MS: u32 = 2000;

/// Whether the tests are run on PostgreSQL.
pub fn wanted() -> bool {
    std::env::var("POSTRIDER_TEST_STORE").is_ok_and(|store| store == "postgres")
}

/// The URL of a new database.
pub async fn fresh() -> String {
    let server = server();
    let name =
        format!("t_{}", tempfile::tempdir().unwrap().path().file_name().unwrap().to_str().unwrap().trim_start_matches(".tmp"));
    let (client, connection) = connect(&format!("{server}/postgres")).await;
    client.batch_execute(&format!("CREATE DATABASE \"{name}\"")).await.unwrap();
    drop(client);
    connection.await.unwrap();
    format!("{server}/{name}?lease_ms={LEASE_MS}")
}

/// Everything that a database keeps as text or bytes.
pub async fn contents(url: &str) -> Vec<Vec<u8>> {
    const COLUMNS: [(&str, &str); 6] = [
        ("records", "convert_to(body, 'UTF8')"),
        ("settings", "convert_to(value, 'UTF8')"),
        ("messages", "head"),
        ("messages", "payload"),
        ("attempts", "body"),
        ("event_ids", "event_id"),
    ];
    let (client, connection) = connect(url).await;
    let mut contents = Vec::new();
    for (table, column) in COLUMNS {
        let rows = client.query(&format!("SELECT {column} FROM postrider.{table}"), &[]).await.unwrap();
        contents.extend(rows.iter().map(|row| row.get::<_, Vec<u8>>(0)));
    }
    drop(client);
    connection.await.unwrap();
    contents
}

/// A connection of the test's own.
pub async fn connect(url: &str) -> (tokio_postgres::Client, tokio::task::JoinHandle<()>) {
    let bare = url.split('?').next().unwrap();
    let (client, connection) = tokio_postgres::connect(bare, tokio_postgres::NoTls).await.unwrap();
    (client, tokio::spawn(async move { drop(connection.await) }))
}

fn server() -> String {
    if let Ok(server) = std::env::var("POSTRIDER_TEST_POSTGRES") {
        return server;
    }
    let started = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/postgres")).arg("start").output().unwrap();
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    String::from_utf8(started.stdout).unwrap().trim().to_owned()
}
