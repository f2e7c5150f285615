//! Publishing by INSERT: what commits arrives once, what rolls back never; bad rows wait for somebody; several servers,
//! deaths in the middle, and databases that go away.
//!
//! The outbox is in the store's own database, or in a database of its own beside whatever store the tests are run on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]
#![allow(clippy::disallowed_methods, reason = "the seed is chance; the run is not")]

mod away;
mod deaths;
mod refused;
mod rows;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::collections::HashMap;
use support::{Api, Options, Server, database, eventually};
use tokio_postgres::Client;

/// The application's uid in these tests.
const SHOP: &str = "shop";

/// A server, and a database with the outbox that it reads.
struct Site {
    server: Server,
    url: String,
    db: Client,
}

impl Site {
    /// The outbox is in the store's database.
    async fn own() -> Self {
        let server = Server::start_on_postgres(&[], 2000).await;
        let url = server.database().unwrap().to_owned();
        let (db, _) = database::connect(&url).await;
        Site { server, url, db }
    }

    /// The outbox is in a database of the application's own.
    async fn beside() -> Self {
        let url = database::fresh().await;
        let installed = support::run(&["outbox", "install", "--url", &url]);
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        let options = Options { args: vec!["--outbox".into(), url.clone()], env: vec![] };
        let server = Server::start_with(options).await;
        let (db, _) = database::connect(&url).await;
        Site { server, url, db }
    }

    /// Inserts rows with these numbers for the application; one statement.
    async fn insert(&self, numbers: std::ops::Range<i32>) {
        let statement = "INSERT INTO postrider.outbox (application, event_type, payload) \
                         SELECT 'shop', 'order.paid', format('{\"number\": %s}', n) FROM generate_series($1::int4, $2::int4) n";
        self.db.execute(statement, &[&numbers.start, &(numbers.end - 1)]).await.unwrap();
    }

    /// Rows of a table.
    async fn count(&self, table: &str) -> i64 {
        self.db.query_one(&format!("SELECT count(*) FROM postrider.{table}"), &[]).await.unwrap().get(0)
    }

    /// Waits until no row waits.
    async fn empty(&self) {
        eventually("the outbox is empty", || async { (self.count("outbox").await == 0).then_some(()) }).await;
    }
}

/// The application [`SHOP`] with one endpoint.
async fn shop(api: &Api, url: &str) {
    api.post("/api/v1/app", &json!({"name": "shop", "uid": SHOP}).to_string()).await.expect(201);
    let endpoint = json!({"url": url, "retryPolicy": vec![1; 20]}).to_string();
    api.post(&format!("/api/v1/app/{SHOP}/endpoint"), &endpoint).await.expect(201);
}

/// Every message of the application.
async fn messages(api: &Api) -> Vec<Value> {
    let (mut all, mut iterator) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/api/v1/app/{SHOP}/msg?limit=250{iterator}")).await.expect(200);
        all.extend(page["data"].as_array().unwrap().iter().cloned());
        if page["done"].as_bool().unwrap() {
            return all;
        }
        iterator = format!("&iterator={}", page["iterator"].as_str().unwrap());
    }
}

/// How often each number is among the messages.
fn numbers(messages: &[Value]) -> HashMap<i64, usize> {
    let mut counts = HashMap::new();
    for message in messages {
        *counts.entry(message["payload"]["number"].as_i64().unwrap()).or_default() += 1;
    }
    counts
}

/// Asserts that there is exactly one message for each number.
#[track_caller]
fn each_once(messages: &[Value], expected: std::ops::Range<i32>) {
    let counts = numbers(messages);
    let missing: Vec<_> = expected.clone().filter(|n| !counts.contains_key(&i64::from(*n))).collect();
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(missing.is_empty() && twice.is_empty(), "missing {missing:?}, twice {twice:?}");
    assert_eq!(counts.len(), expected.len());
}
