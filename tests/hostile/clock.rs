//! The wall clock is set by hours, forward and back, while messages come and go: everything is delivered as if it were not,
//! retries included, identifiers are unique and ordered, and signatures carry what the wall clock shows.
//!
//! The whole API over a wall clock of the test's own, as `postrider serve` has it over the machine's: setting the machine's
//! clock is nobody's right in a test.

use crate::support::{Receiver, Reply, eventually};
use axum::{Router, body::Body};
use postrider::{
    api::{Api, ApiOptions, Rotating, TokenCache, key::issue, router},
    clock::{Clock, SteadyClock, SystemClock},
    crypto::Vault,
    flow::{Engine, Parts, Settings},
    inbound::Inbound,
    model::{Grant, Record, Time},
    outbound::{Outbound, OutboundConfig},
    random::Random,
    store::{
        Change, FIRST_ORG,
        embedded::{EmbeddedOptions, EmbeddedStore},
    },
};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};
use tower::ServiceExt;

const HOUR_S: i64 = 3600;
/// How far the clock is off after each jump, in seconds.
const JUMPS_S: [i64; 8] = [0, 5 * HOUR_S, -2 * HOUR_S, -9 * HOUR_S, 26 * HOUR_S, 1, -1, -30 * HOUR_S];
/// Messages after each jump.
const MESSAGES: u64 = 40;
/// How long a message may take, whatever the clock does; a retry is due after a second.
const PROMPT: Duration = Duration::from_secs(10);

/// The machine's clock, off by some milliseconds.
#[derive(Debug, Default)]
struct Off(Arc<AtomicI64>);

impl Clock for Off {
    fn now(&self) -> Time {
        Time(SystemClock.now().0.saturating_add_signed(self.0.load(SeqCst)))
    }
}

struct InProcess {
    engine: Arc<Engine>,
    router: Router,
    key: String,
    off: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

impl InProcess {
    async fn start() -> Self {
        let (folder, off) = (tempfile::tempdir().unwrap(), Arc::<AtomicI64>::default());
        let clock: Arc<dyn Clock> = Arc::new(SteadyClock::over(Off(off.clone())));
        let random = Arc::new(Random::seeded(7));
        let vault = Arc::new(Vault::from_text(&Vault::new_key(&random)).unwrap());
        let store = EmbeddedStore::open(&EmbeddedOptions::at(folder.path()), clock.clone()).unwrap();
        let allow = vec!["127.0.0.0/8".parse().unwrap()];
        let outbound = Outbound::new(OutboundConfig { allow, ..OutboundConfig::default() }, clock.clone()).unwrap();
        let parts = Parts { store, outbound, clock, random, vault, settings: Settings::default() };
        let engine = Engine::start(parts).await.unwrap();
        let issued = issue(&engine.random, engine.clock.now(), FIRST_ORG, Grant::Key, "test".into());
        engine.change(vec![Change::Insert(Record::Token(issued.token))]).await.unwrap();
        let inbound = Inbound::start(engine.clone()).await.unwrap();
        let (tokens, rotating, options) = (TokenCache::default(), Rotating::default(), ApiOptions::new(FIRST_ORG));
        let api = Api { engine: engine.clone(), inbound, tokens, rotating, options };
        InProcess { engine, router: router(Arc::new(api)), key: issued.text.to_string(), off, _folder: folder }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = http::Request::post(path).header("authorization", format!("Bearer {}", self.key));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sets_the_clock_messages_go_out_and_are_tried_again() {
    let (server, receiver) = (InProcess::start().await, Receiver::start().await);
    let app = text(&server.post("/api/v1/app", &json!({"name": "clock"})).await["id"]);
    let endpoint = |path: &str| json!({"url": receiver.url(path), "retryPolicy": [1, 1, 1]});
    server.post(&format!("/api/v1/app/{app}/endpoint"), &endpoint("/good")).await;
    server.post(&format!("/api/v1/app/{app}/endpoint"), &endpoint("/flaps")).await;
    let mut ids = Vec::new();
    for (round, jump) in JUMPS_S.into_iter().enumerate() {
        // Every other attempt fails, before the jump or after it, and is owed once more a second later.
        let replies = (0..MESSAGES).map(|n| Reply::status(if n % 2 == 0 { 500 } else { 200 })).chain([Reply::status(200)]);
        receiver.script("/flaps", replies);
        let half = MESSAGES / 2;
        for number in 0..MESSAGES {
            if number == half {
                server.off.store(jump * 1000, SeqCst);
            }
            let body = json!({"eventType": "a.b", "payload": {"round": round, "number": number}});
            ids.push(text(&server.post(&format!("/api/v1/app/{app}/msg"), &body).await["id"]));
        }
        let begun = tokio::time::Instant::now();
        let all: HashSet<String> = ids.iter().cloned().collect();
        eventually("everything has arrived, also what had failed", || async {
            let came = |path: &str| receiver.at(path).iter().map(|a| a.header("webhook-id").to_owned()).collect::<HashSet<_>>();
            let tried = receiver.at("/flaps").len() as u64;
            (came("/good") == all && came("/flaps") == all && tried >= (MESSAGES + half) * (round as u64 + 1)).then_some(())
        })
        .await;
        assert!(begun.elapsed() < PROMPT, "{jump} s: {:?}", begun.elapsed());
        let last = receiver.at("/good").pop().unwrap();
        let stamp: u64 = last.header("webhook-timestamp").parse().unwrap();
        let shown = server.engine.clock.wall().seconds();
        assert!(stamp.abs_diff(shown) < 60, "signed at {stamp} when the wall clock showed {shown}");
    }
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    assert!(ids.is_sorted(), "identifiers go up, whatever the clock does");
    server.engine.shut_down(PROMPT).await.unwrap();
}
