//! kill -9 while rows are picked up, again and again: one message a row, no more and no fewer.

use crate::{
    Site, each_once, messages, shop,
    support::{Receiver, eventually},
};
use rand::{
    RngExt, SeedableRng, TryRng,
    rngs::{StdRng, SysRng},
};
use std::time::Duration;

/// Deaths in one run.
const KILLS: i32 = 12;
/// Rows before each.
const ROWS: i32 = 300;

async fn deaths(mut site: Site) {
    let seed =
        std::env::var("POSTRIDER_KILL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| SysRng.try_next_u64().unwrap());
    println!("seed {seed} (POSTRIDER_KILL_SEED={seed} runs it again)");
    let mut rng = StdRng::seed_from_u64(seed);
    let receiver = Receiver::start().await;
    shop(&site.server.api(), &receiver.url("/x")).await;
    for round in 0..KILLS {
        // In small transactions, so that some are picked up, some are not, and some are in between.
        for at in (0..ROWS).step_by(20) {
            site.insert(round * ROWS + at..round * ROWS + at + 20).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..30))).await;
        site.server.kill();
        site.server.restart().await;
    }
    site.empty().await;
    let all = messages(&site.server.api()).await;
    each_once(&all, 0..KILLS * ROWS);
    let mut arrived = std::collections::HashMap::<Vec<u8>, usize>::new();
    let wanted = usize::try_from(KILLS * ROWS).unwrap();
    eventually("every message arrives", || async {
        let arrivals: std::collections::HashSet<_> = receiver.at("/x").into_iter().map(|arrival| arrival.body).collect();
        (arrivals.len() == wanted).then_some(())
    })
    .await;
    receiver.at("/x").into_iter().for_each(|arrival| *arrived.entry(arrival.body.to_vec()).or_default() += 1);
    let repeated = arrived.values().filter(|count| **count > 1).count();
    println!("{} rows, {} messages, {repeated} attempts repeated after deaths", KILLS * ROWS, all.len());
}

/// The worst moment: messages are accepted, and their rows are not deleted yet.
async fn death_before_the_deletion(mut site: Site) {
    let receiver = Receiver::start().await;
    shop(&site.server.api(), &receiver.url("/x")).await;
    // Whoever deletes waits for a lock that this test holds.
    let wait = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$; \
                CREATE TRIGGER wait BEFORE DELETE ON postrider.outbox FOR EACH STATEMENT EXECUTE FUNCTION wait(); \
                SELECT pg_advisory_lock(7)";
    site.db.batch_execute(wait).await.unwrap();
    site.insert(0..100).await;
    receiver.wait("/x", 100).await;
    assert_eq!(site.count("outbox").await, 100);
    site.server.kill();
    site.db.batch_execute("SELECT pg_advisory_unlock(7)").await.unwrap();
    assert_eq!(site.count("outbox").await, 100, "the rows came back with the connection");
    site.server.restart().await;
    site.empty().await;
    each_once(&messages(&site.server.api()).await, 0..100);
    assert_eq!(site.count("outbox_refused").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_between_acceptance_and_deletion_accepts_nothing_twice() {
    death_before_the_deletion(Site::beside().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_one_with_the_rows_in_our_database() {
    death_before_the_deletion(Site::own().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_in_our_database_survive_deaths() {
    deaths(Site::own().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_in_the_application_s_database_survive_deaths() {
    deaths(Site::beside().await).await;
}
