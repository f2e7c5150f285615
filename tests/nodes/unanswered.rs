//! The database has done what it was asked, and its answer is lost with the connection: nobody knows, and yet nothing is lost,
//! nothing goes out again after its success was recorded, and whoever asks again gets the same message.

use crate::{
    attempts,
    load::Load,
    proxy::Proxy,
    support::{Api, Options, Receiver, Reply, Server, database, eventually},
    tenant,
};
use rand::{
    RngExt, SeedableRng, TryRng,
    rngs::{StdRng, SysRng},
};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// What the statements of the flow are called.
const ACCEPT: &str = "postrider.accept_";
const CLAIM: &str = "postrider.claim_";
const SETTLE: &str = "postrider.settle_";
/// For how long answers are lost under load.
const STORM: Duration = Duration::from_secs(15);
/// By then, what is to come again would have come: leases have run out twice, and retries are due.
const LONG: Duration = Duration::from_millis(2 * database::LEASE_MS as u64);
/// How soon a retry of one second comes although it was planned by a result whose answer was lost.
const PROMPT: Duration = Duration::from_secs(10);

/// A server on a database that it reaches by a way on which answers are lost.
struct Lossy {
    server: Server,
    proxy: Proxy,
    receiver: Receiver,
    app: String,
    endpoint: String,
}

impl Lossy {
    async fn start() -> Self {
        let url = database::fresh().await;
        let (_, address) = url.split_once('@').unwrap();
        let proxy = Proxy::start(address.split('/').next().unwrap().to_owned()).await;
        let env = vec![("POSTRIDER_STORE".to_owned(), proxy.url(&url))];
        let server = Server::start_as(Options { args: Vec::new(), env }).await;
        let receiver = Receiver::start().await;
        let (app, endpoint) = tenant(&server.api(), &receiver.url("/x"), json!({"retryPolicy": vec![1; 30]})).await;
        Lossy { server, proxy, receiver, app, endpoint }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    async fn post(&self, body: &serde_json::Value, key: &str) -> crate::support::Answer {
        let path = format!("/api/v1/app/{}/msg", self.app);
        self.api().send("POST", &path, &[("idempotency-key", key)], &body.to_string()).await
    }

    async fn lost(&self, count: usize) {
        eventually("an answer was lost", || async { (self.proxy.lost() == count).then_some(()) }).await;
    }

    /// How often each of these came, once nothing more can come.
    async fn came(&self, ids: &[&str]) -> Vec<usize> {
        tokio::time::sleep(LONG).await;
        let all = self.receiver.at("/x");
        ids.iter().map(|id| all.iter().filter(|arrival| arrival.header("webhook-id") == *id).count()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acceptance_that_was_not_answered_is_delivered_once_and_answered_when_it_is_asked_for_again() {
    let l = Lossy::start().await;
    let body = json!({"eventType": "a.b", "eventId": "order-1", "payload": {"n": 1}});
    l.proxy.lose_answer_to(ACCEPT);
    let refused = l.post(&body, "key-1").await;
    assert_eq!((refused.status, l.proxy.lost()), (503, 1));
    assert!(!refused.header("retry-after").is_empty());
    let arrived = l.receiver.wait("/x", 1).await.remove(0).header("webhook-id").to_owned();
    let again = l.post(&body, "key-1").await.expect(202);
    assert_eq!(again["id"], arrived.as_str(), "the same request is answered with the message that is there");
    // Also by its event id alone: there is one, and it is that one.
    l.post(&body, "key-2").await.refused(409, "event id");
    let found = l.api().get(&format!("/api/v1/app/{}/msg/order-1", l.app)).await.expect(200);
    assert_eq!(found["id"], arrived.as_str());
    assert_eq!(l.came(&[&arrived]).await, [1]);
    assert_eq!(attempts(&l.api(), &l.app, (&arrived, &l.endpoint)).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_was_not_answered_is_recorded_once_and_what_follows_from_it_comes_in_time() {
    let l = Lossy::start().await;
    l.receiver.script("/x", [Reply::status(200), Reply::status(500), Reply::status(200)]);
    l.proxy.lose_answer_to(SETTLE);
    let good = crate::send(&l.api(), &l.app, 1).await;
    l.lost(1).await;
    l.proxy.lose_answer_to(SETTLE);
    let begun = Instant::now();
    let bad = crate::send(&l.api(), &l.app, 2).await;
    l.lost(2).await;
    l.receiver.wait("/x", 3).await;
    assert!(begun.elapsed() < PROMPT, "the retry took {:?}", begun.elapsed());
    assert_eq!(l.came(&[&good, &bad]).await, [1, 2], "success is not followed by anything");
    for (id, statuses) in [(&good, vec![200]), (&bad, vec![200, 500])] {
        let recorded = attempts(&l.api(), &l.app, (id, &l.endpoint)).await;
        let recorded: Vec<_> = recorded.iter().map(|attempt| attempt["responseStatusCode"].as_u64().unwrap()).collect();
        assert_eq!(recorded, statuses, "each attempt is recorded once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_was_not_answered_keeps_nothing_back() {
    let l = Lossy::start().await;
    l.receiver.script("/x", [Reply::status(500), Reply::status(200)]);
    // Its retry is in the store, to be claimed.
    let sent = crate::send(&l.api(), &l.app, 1).await;
    l.receiver.wait("/x", 1).await;
    l.proxy.lose_answer_to(CLAIM);
    l.lost(1).await;
    let lost = Instant::now();
    l.receiver.wait("/x", 2).await;
    println!("claimed again {:?} after the answer was lost", lost.elapsed());
    assert!(lost.elapsed() < PROMPT, "{:?}", lost.elapsed());
    assert_eq!(l.came(&[&sent]).await, [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_again_and_again_under_load_lose_nothing_and_send_nothing_twice() {
    let seed = std::env::var("POSTRIDER_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| SysRng.try_next_u64().unwrap());
    println!("seed {seed} (POSTRIDER_CHAOS_SEED={seed} runs it again)");
    let mut rng = StdRng::seed_from_u64(seed);
    let l = Lossy::start().await;
    let Lossy { server, proxy, receiver, app, .. } = l;
    let nodes = [server];
    let load = Load::start(&nodes, app);
    let end = Instant::now() + STORM;
    while Instant::now() < end {
        proxy.lose_answer_to([ACCEPT, SETTLE][rng.random_range(0..2)]);
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..500))).await;
    }
    let outcome = load.end(&receiver).await;
    println!("{} answers lost; {outcome}", proxy.lost());
    assert!(outcome.accepted > 100 && proxy.lost() > 10, "too few to prove anything");
    assert_eq!((outcome.invented, outcome.twice), (0, 0));
}
