//! The application's database goes away and comes back.

use crate::{
    each_once, messages, shop,
    support::{self, Options, Receiver, Server, database, eventually},
};
use std::process::Command;

/// A PostgreSQL that a test takes away and brings back.
struct Own(tempfile::TempDir);

impl Own {
    fn run(&self, what: &str) -> String {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/postgres"));
        let done = command.arg(what).env("POSTRIDER_TEST_POSTGRES_HOME", self.0.path().join("server")).output().unwrap();
        assert!(done.status.success(), "{what}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.run("stop");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_that_goes_away_is_read_on_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Command::new("chmod").arg("755").arg(folder.path()).status().unwrap().success());
    let own = Own(folder);
    let url = format!("{}/postgres", own.run("start"));
    // The server starts before there is an outbox at all.
    let options = Options { args: vec!["--outbox".into(), url.clone()], env: vec![] };
    let server = Server::start_with(options).await;
    let (api, receiver) = (server.api(), Receiver::start().await);
    shop(&api, &receiver.url("/x")).await;
    assert!(support::run(&["outbox", "install", "--url", &url]).status.success());
    assert!(support::run(&["outbox", "install", "--url", &url]).status.success(), "it may be made again");
    let insert = async |from: i32, to: i32| {
        let (db, _) = eventually("the outbox's database answers", || async {
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.ok().map(|(db, connection)| (db, tokio::spawn(connection)))
        })
        .await;
        let statement = "INSERT INTO postrider.outbox (application, event_type, payload) \
                         SELECT 'shop', 'a.b', format('{\"number\": %s}', n) FROM generate_series($1::int4, $2::int4) n";
        db.execute(statement, &[&from, &(to - 1)]).await.unwrap();
    };
    insert(0, 10).await;
    receiver.wait("/x", 10).await;
    own.run("halt");
    // Nothing else suffers.
    let posted = r#"{"eventType": "a.b", "payload": {"number": 10}}"#;
    api.post("/api/v1/app/shop/msg", posted).await.expect(202);
    receiver.wait("/x", 11).await;
    own.run("resume");
    insert(11, 21).await;
    receiver.wait("/x", 21).await;
    each_once(&messages(&api).await, 0..21);
    let (db, _) = database::connect(&url).await;
    eventually("the outbox is empty", || async {
        let left: i64 = db.query_one("SELECT count(*) FROM postrider.outbox", &[]).await.unwrap().get(0);
        (left == 0).then_some(())
    })
    .await;
}
