//! The PostgreSQL engine before the conformance suite, and what only it promises.
//!
//! The server is the one of `POSTRIDER_TEST_POSTGRES` (a URL without a database), or a throw-away one that
//! `.ci/postgres` starts. Each test has a database of its own.

use super::{PostgresOptions, PostgresStore};
use crate::clock::VirtualClock;
use crate::model::{
    AppId, Attempt, AttemptId, Cause, EndpointId, Headers, LATEST, Message, MsgId, OrgId, Outcome, Time, Trigger, Verdict,
};
use crate::store::conformance::{Harness, NOW, conformance, settle_one};
use crate::store::{Lease, NewMessage, News, Settled, Settlement, Store, StoreError};
use bytes::Bytes;
use std::{process::Command, sync::Arc, time::Duration};

const APP: AppId = AppId(0xa0);
const ENDPOINT: EndpointId = EndpointId(0xe0);
const DAY: Duration = Duration::from_secs(86_400);
/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(30);

/// A database of its own.
pub(super) struct Database {
    url: String,
}

impl Database {
    pub(super) fn new() -> Self {
        let server = std::env::var("POSTRIDER_TEST_POSTGRES").unwrap_or_else(|_| {
            let started = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/postgres")).arg("start").output().unwrap();
            assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
            String::from_utf8(started.stdout).unwrap().trim().to_owned()
        });
        let name: [u8; 8] = crate::random::Random::from_system().unwrap().bytes();
        Database { url: format!("{server}/t_{:016x}", u64::from_be_bytes(name)) }
    }

    fn options(&self) -> PostgresOptions {
        PostgresOptions::parse(&self.url).unwrap()
    }

    /// A connection of the test's own.
    async fn client(&self) -> tokio_postgres::Client {
        self.options().place().unwrap().connect().await.unwrap()
    }

    /// Makes it.
    async fn create(&self) {
        let (server, name) = self.url.rsplit_once('/').unwrap();
        let place = PostgresOptions::parse(&format!("{server}/postgres")).unwrap().place().unwrap();
        let client = place.connect().await.unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    }

    pub(super) async fn open(&self) -> Result<Arc<PostgresStore>, StoreError> {
        PostgresStore::open(&self.options(), Arc::new(VirtualClock::starting_at(NOW))).await
    }
}

#[async_trait::async_trait]
impl Harness for Database {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.create().await;
        self.open().await.unwrap()
    }

    async fn restart(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        drop(store);
        self.open().await.unwrap()
    }
}

conformance!(Database::new());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_in_is_given_back() {
    let database = Database::new();
    database.create().await;
    let store = database.open().await.unwrap();
    crate::store::conformance::what_is_taken_in_is_given_back(store.clone()).await;
    assert_eq!(crate::store::transfer::Transfer::servers(&*store).await.unwrap(), 1);
    store.close().await.unwrap();
    let beside = PostgresStore::open_beside(&database.options(), Arc::new(VirtualClock::starting_at(NOW))).await.unwrap();
    assert_eq!(crate::store::transfer::Transfer::servers(&*beside).await.unwrap(), 0);
}

fn message(at: Time, number: u128) -> Message {
    Message {
        id: MsgId(MsgId::lowest_at(at).0 + number),
        app: APP,
        org: OrgId(1),
        event_type: "invoice.paid".into(),
        event_id: None,
        channels: vec![],
        tags: vec![],
        deliver_at: None,
        payload_expires_at: None,
        endpoints: vec![ENDPOINT],
        payload: Bytes::from_static(b"{}"),
        expunged: false,
        origin: None,
        ordering_key: None,
        ordered: Vec::new(),
    }
}

async fn accept(store: &PostgresStore, message: &Message, lease: Option<Lease>) {
    store.accept(NewMessage { message: Arc::new(message.clone()), leases: vec![lease], mark: None }).await.unwrap();
}

fn delivered(msg: MsgId, lease: Lease) -> Settlement {
    let attempt = Attempt {
        id: AttemptId(msg.0 + 1),
        msg,
        endpoint: ENDPOINT,
        app: APP,
        trigger: Trigger::Scheduled,
        number: 1,
        url: "https://example.com/".into(),
        request_headers: Headers::default(),
        outcome: Outcome::failed(Cause::Success, ""),
    };
    let trigger = Trigger::Scheduled;
    Settlement {
        msg,
        endpoint: ENDPOINT,
        app: APP,
        trigger,
        lease,
        verdict: Verdict::Delivered,
        attempt: Some(attempt),
        order: None,
        changes: vec![],
    }
}

async fn claimed(store: &PostgresStore, number: u64) -> usize {
    store.claim(ENDPOINT, store.lease(number), Time(NOW.0 + 1000), 100).await.unwrap().taken.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_migrate_once() {
    let database = Database::new();
    database.create().await;
    let opened = futures_util::future::join_all((0..4).map(|_| database.open())).await;
    let stores: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    assert_eq!(PostgresStore::migrate(&database.options()).await, Ok(vec![]));
    let mut tokens: Vec<_> = stores.iter().map(|store| store.lease(1).token).collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 4, "no two nodes make the same lease");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_ends_with_its_node() {
    let mut database = Database::new();
    database.create().await;
    database.url.push_str("?lease_ms=600");
    let (first, second) = (database.open().await.unwrap(), database.open().await.unwrap());
    let (message, lease) = (message(NOW, 1), first.lease(1));
    accept(&first, &message, Some(lease)).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_ne!(lease.until, LATEST, "there may be others");
    assert!(first.stands(lease) && !second.stands(lease));
    assert_eq!(claimed(&second, 1).await, 0, "heartbeats keep it past its time");
    // Gone without a word: its heartbeats end.
    drop(first);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut number = 1;
    while claimed(&second, number).await == 0 {
        assert!(tokio::time::Instant::now() < deadline, "never taken over");
        number += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let lost = settle_one(&*second, delivered(message.id, lease)).await.unwrap();
    assert_eq!(lost, Settled::LeaseLost);
    let recorded = settle_one(&*second, delivered(message.id, second.lease(number))).await.unwrap();
    assert!(matches!(recorded, Settled::Recorded(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_told_how_many_they_are() {
    let database = Database::new();
    database.create().await;
    let first = database.open().await.unwrap();
    let told = async |store: &PostgresStore, wanted: usize| {
        let look = async { while store.news().await != News::Processes(wanted) {} };
        tokio::time::timeout(PATIENCE, look).await.unwrap();
    };
    told(&first, 1).await;
    let second = database.open().await.unwrap();
    told(&second, 2).await;
    told(&first, 2).await;
    second.close().await.unwrap();
    told(&first, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_closes_frees_its_leases_at_once() {
    let database = Database::new();
    database.create().await;
    let (first, second) = (database.open().await.unwrap(), database.open().await.unwrap());
    accept(&first, &message(NOW, 1), Some(first.lease(1))).await;
    assert_eq!(claimed(&second, 1).await, 0);
    first.close().await.unwrap();
    assert_eq!(claimed(&second, 2).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_days_are_dropped_unless_something_is_owed() {
    let database = Database::new();
    database.create().await;
    let store = database.open().await.unwrap();
    let (old, owed) = (message(NOW, 1), message(NOW.plus(DAY), 2));
    let lease = store.lease(1);
    accept(&store, &old, Some(lease)).await;
    accept(&store, &owed, None).await;
    settle_one(&*store, delivered(old.id, lease)).await.unwrap();
    let client = database.client().await;
    let in_default = "SELECT count(*) FROM postrider.messages_default";
    assert_eq!(client.query_one(in_default, &[]).await.unwrap().get::<_, i64>(0), 0, "partitions are made ahead");
    assert_eq!(store.retire(NOW.minus(DAY)).await, Ok(false));
    let counted = async || store.stats(ENDPOINT, NOW, NOW.plus(DAY)).await.unwrap().delivered;
    assert_eq!(counted().await, 1);
    let mut dropped = 0;
    while store.retire(NOW.plus(3 * DAY)).await.unwrap() {
        dropped += 1;
    }
    assert_eq!(dropped, 2, "yesterday and today");
    assert_eq!(counted().await, 0, "no count stays of what is gone");
    assert_eq!(store.message(APP, old.id).await, Ok(None));
    assert_eq!(store.message(APP, owed.id).await, Ok(Some(owed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn impossible_rows_are_refused() {
    let database = Database::new();
    database.create().await;
    let _store = database.open().await.unwrap();
    let client = database.client().await;
    let id = "'00000000-0000-0000-0000-000000000001'";
    let delivery = |rest: &str| format!("INSERT INTO postrider.deliveries VALUES ({id}, {id}, {id}, {rest})");
    let queued = |rest: &str| format!("INSERT INTO postrider.queue VALUES ({id}, {id}, {id}, {rest})");
    for (what, statement) in [
        ("pending without a time", delivery("0, NULL, 0, '{}'")),
        ("delivered and due", delivery("1, 5, 0, '{}'")),
        ("delivered without an attempt", delivery("1, NULL, 0, '{}'")),
        ("no such state", delivery("4, NULL, 0, '{}'")),
        ("a lease without an end", queued("1, 5, 7, NULL, false")),
        ("manual and due later", queued("0, 5, NULL, NULL, false")),
        ("moot and free", queued("1, 5, NULL, NULL, true")),
    ] {
        let refused = client.batch_execute(&statement).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "23514", "{what}");
    }
    client.batch_execute(&delivery("2, NULL, 0, '{}'")).await.unwrap();
}

/// Waits until a question that answers one truth value answers yes.
async fn comes_true(client: &tokio_postgres::Client, question: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !client.query_one(question, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(tokio::time::Instant::now() < deadline, "{question}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled() {
    let database = Database::new();
    database.create().await;
    let place = Arc::new(database.options().place().unwrap());
    let links = super::link::Links::new(place, Arc::default(), (1, Duration::from_millis(100)));
    let refused = links.run("SELECT pg_sleep(3600)::text", &[]).await.map(drop);
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let over = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
                AND query LIKE 'SELECT pg_sleep%')";
    comes_true(&database.client().await, over).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_is_vacuumed_when_many_entries_are_dead() {
    let database = Database::new();
    database.create().await;
    let _store = database.open().await.unwrap();
    let client = database.client().await;
    // Autovacuum is not to be the one.
    client.batch_execute("ALTER TABLE postrider.queue SET (autovacuum_enabled = false)").await.unwrap();
    let fill = "INSERT INTO postrider.queue (app, msg, endpoint, trigger, due) \
                SELECT postrider.lowest_1(1), postrider.lowest_1(n), postrider.lowest_1(1), 1, 5 FROM generate_series(1, 30000) n";
    client.batch_execute(fill).await.unwrap();
    client.batch_execute("DELETE FROM postrider.queue").await.unwrap();
    comes_true(&client, "SELECT vacuum_count > 0 FROM pg_stat_user_tables WHERE relname = 'queue'").await;
}

/// Whatever a statement does to deliveries, the counts say what is there, added up or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_follow_every_change_of_deliveries() {
    const DIFFERENT: &str = "SELECT count(*) FROM (
        SELECT app, endpoint, minute, state, sum(n) AS n FROM (
            SELECT * FROM postrider.tallies UNION ALL SELECT * FROM postrider.tally_news
            UNION ALL SELECT app, endpoint, postrider.minute_1(msg), state, -1 FROM postrider.deliveries WHERE state <> 0) t
        GROUP BY app, endpoint, minute, state HAVING sum(n) <> 0) d";
    const COUNTED: &str = "SELECT count(*) FROM postrider.tallies";
    let database = Database::new();
    database.create().await;
    let store = database.open().await.unwrap();
    let client = database.client().await;
    let day = i64::try_from(NOW.0 / 86_400_000).unwrap();
    let statements = [
        // Two days of messages, one each 40 seconds, of two endpoints, in all states.
        format!(
            "INSERT INTO postrider.deliveries (app, endpoint, msg, state, due, failed, attempts)
             SELECT '{app}', '{endpoint}'::uuid, postrider.lowest_1({day}::int8 * 86400000 + n * 40000), n % 4,
                 CASE WHEN n % 4 = 0 THEN 5 END, 0, CASE WHEN n % 4 = 1 THEN ARRAY['{app}'::uuid] ELSE '{{}}' END
             FROM generate_series(0, 4000) n",
            app = uuid_text(APP.0),
            endpoint = uuid_text(ENDPOINT.0)
        ),
        // What is there changes, what is not comes.
        format!(
            "INSERT INTO postrider.deliveries AS d (app, endpoint, msg, state, due, failed, attempts)
             SELECT '{app}', '{endpoint}', postrider.lowest_1({day}::int8 * 86400000 + n * 20000), 2, NULL, 0, '{{}}'
             FROM generate_series(0, 4000) n ON CONFLICT (app, endpoint, msg) DO UPDATE SET state = 2, due = NULL WHERE d.state <> 3",
            app = uuid_text(APP.0),
            endpoint = uuid_text(ENDPOINT.0)
        ),
        "UPDATE postrider.deliveries SET state = 0, due = 7 WHERE state = 2 AND postrider.minute_1(msg) % 2 = 0".into(),
        "DELETE FROM postrider.deliveries WHERE postrider.minute_1(msg) % 3 = 0".into(),
        "DELETE FROM postrider.deliveries".into(),
    ];
    for statement in &statements {
        client.batch_execute(statement).await.unwrap();
        assert_eq!(client.query_one(DIFFERENT, &[]).await.unwrap().get::<_, i64>(0), 0, "{statement}");
        // Beside the nodes, which do the same every few seconds.
        client.batch_execute("SELECT postrider.fold_tallies_1()").await.unwrap();
        assert_eq!(client.query_one(DIFFERENT, &[]).await.unwrap().get::<_, i64>(0), 0, "{statement}");
    }
    comes_true(&client, "SELECT NOT EXISTS (SELECT FROM postrider.tally_news)").await;
    assert_eq!(client.query_one(COUNTED, &[]).await.unwrap().get::<_, i64>(0), 0, "nothing stays of what is gone");
    store.close().await.unwrap();
}

fn uuid_text(number: u128) -> String {
    format!("{number:032x}")
}
