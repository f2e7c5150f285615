//! The handlers over the embedded store, without a socket: what crosses several files of the API.

use super::{
    Api, ApiOptions, Rotating, TokenCache,
    key::{Issued, issue},
    router,
};
use crate::{
    alerts,
    clock::{Clock, SystemClock},
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
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header},
};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tower::ServiceExt;

/// Within what a change whose caller has gone is known.
const KNOWN_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// A clock that a test turns.
#[derive(Debug)]
struct Turned(AtomicU64);

impl Turned {
    fn forward(&self, minutes: u64) {
        self.0.fetch_add(minutes * 60_000, Ordering::Relaxed);
    }
}

impl Clock for Turned {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

pub(super) struct Server {
    router: Router,
    pub(super) engine: Arc<Engine>,
    key: String,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::start_by(Arc::new(SystemClock)).await
    }

    async fn start_by(clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let random = Arc::new(Random::seeded(7));
        let vault = Arc::new(Vault::from_text(&Vault::new_key(&random)).unwrap());
        let store = EmbeddedStore::open(&EmbeddedOptions::at(folder.path()), clock.clone()).unwrap();
        let outbound = Outbound::new(OutboundConfig::default(), clock.clone()).unwrap();
        let settings = Settings::default();
        let engine = Engine::start(Parts { store, outbound, clock, random, vault, settings }).await.unwrap();
        let Issued { text, token } = issue(&engine.random, engine.clock.now(), FIRST_ORG, Grant::Key, "test".into());
        engine.change(vec![Change::Insert(Record::Token(token))]).await.unwrap();
        let inbound = Inbound::start(engine.clone()).await.unwrap();
        let api = Api {
            engine: engine.clone(),
            inbound,
            tokens: TokenCache::default(),
            rotating: Rotating::default(),
            options: ApiOptions::new(FIRST_ORG),
        };
        Server { router: router(Arc::new(api)), engine, key: text.to_string(), _folder: folder }
    }

    /// Status, whether it is a replay, body.
    async fn send(&self, token: &str, line: &str, idempotency: Option<&str>, body: Option<Value>) -> (u16, bool, Value) {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        if let Some(key) = idempotency {
            request = request.header("idempotency-key", key);
        }
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (status, replayed) = (response.status().as_u16(), response.headers().contains_key("idempotency-replayed"));
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, replayed, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn ask(&self, line: &str, body: Option<Value>) -> (u16, Value) {
        let (status, _, body) = self.send(&self.key, line, None, body).await;
        (status, body)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_with_one_idempotency_key_make_one_application() {
    let server = Server::start().await;
    let twin = || server.send(&server.key, "POST /app", Some("twin"), Some(json!({"name": "Twin"})));
    let ((a, _, first), (b, _, second), (c, _, third)) = tokio::join!(twin(), twin(), twin());
    assert_eq!((a, b, c), (201, 201, 201));
    assert_eq!((&first["id"], &first["id"]), (&second["id"], &third["id"]));
    let (_, replayed, again) = twin().await;
    assert!(replayed && again == first);
    let (status, _, _) = server.send(&server.key, "POST /app", Some("twin"), Some(json!({"name": "Other"}))).await;
    assert_eq!(status, 409);
    assert_eq!(server.ask("GET /app", None).await.1["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_by_uid_makes_the_application_once() {
    let server = Server::start().await;
    let (made, first) = server.ask("PUT /app/tenant", Some(json!({"name": "One", "profile": "svix"}))).await;
    let (kept, second) = server.ask("PUT /app/tenant", Some(json!({"name": "Two"}))).await;
    assert_eq!((made, kept, &first["id"]), (201, 200, &second["id"]));
    assert_eq!((&second["name"], &second["profile"], &second["uid"]), (&json!("Two"), &json!("svix"), &json!("tenant")));
    let (status, existing) = server.ask("POST /app?get_if_exists=true", Some(json!({"name": "X", "uid": "tenant"}))).await;
    assert_eq!((status, &existing["name"]), (200, &json!("Two")));
    assert_eq!(server.ask("POST /app", Some(json!({"name": "X", "uid": "tenant"}))).await.0, 409);
    assert_eq!(server.ask("DELETE /app/tenant", None).await.0, 204);
    assert_eq!(server.ask("GET /app/tenant", None).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_event_type_comes_back_by_creation() {
    let server = Server::start().await;
    let form = |text: &str| Some(json!({"name": "a.b", "description": text}));
    assert_eq!(server.ask("POST /event-type", form("old")).await.0, 201);
    assert_eq!(server.ask("POST /event-type", form("new")).await.0, 409);
    assert_eq!(server.ask("DELETE /event-type/a.b", None).await.0, 204);
    assert_eq!(server.ask("GET /event-type", None).await.1["data"], json!([]));
    let (status, back) = server.ask("POST /event-type", form("new")).await;
    assert_eq!((status, &back["description"], &back["archived"]), (201, &json!("new"), &json!(false)));
    assert_eq!(server.ask("DELETE /event-type/a.b?expunge=true", None).await.0, 204);
    assert_eq!(server.ask("GET /event-type/a.b", None).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_link_opens_one_application_until_it_is_revoked() {
    let server = Server::start().await;
    assert_eq!(server.ask("PUT /app/other", Some(json!({"name": "Other"}))).await.0, 201);
    let line = "POST /auth/app-portal-access/mine";
    let (status, link) = server.ask(line, Some(json!({"application": {"name": "Mine"}, "sessionId": "ann"}))).await;
    let token = link["token"].as_str().unwrap().to_owned();
    assert_eq!(status, 200);
    assert!(
        link["url"].as_str().unwrap().ends_with(&format!("#key={token}"))
            && link["url"].as_str().unwrap().contains("/portal?app=app_")
    );
    let portal = async |line: &str| server.send(&token, line, None, None).await.0;
    assert_eq!((portal("GET /app/mine").await, portal("GET /app/other").await, portal("GET /app").await), (200, 404, 403));
    let revoke = |session: &str| Some(json!({"sessionIds": [session]}));
    assert_eq!(server.ask("POST /auth/app/mine/expire-all", revoke("bob")).await.0, 204);
    assert_eq!(portal("GET /auth/whoami").await, 200);
    assert_eq!(server.ask("POST /auth/app/mine/expire-all", revoke("ann")).await.0, 204);
    assert_eq!(portal("GET /auth/whoami").await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_nothing_half_done() {
    let server = Server::start().await;
    for n in 0..20 {
        let body = Body::from(json!({"name": "Gone", "uid": format!("gone-{n}")}).to_string());
        let request =
            Request::post("/api/v1/app").header(header::AUTHORIZATION, format!("Bearer {}", server.key)).body(body).unwrap();
        let mut answer = Box::pin(server.router.clone().oneshot(request));
        // Polled until the change is on its way, then dropped, as the listener does when the connection closes.
        let mut polls = 0;
        while polls < 3 && futures_util::FutureExt::now_or_never(&mut answer).is_none() {
            polls += 1;
        }
        drop(answer);
        let stored = || async { server.ask("POST /app", Some(json!({"name": "Twin", "uid": format!("gone-{n}")}))).await.0 };
        let made = stored().await;
        assert!(matches!(made, 201 | 409), "{made}");
        // A 409 can come between the commit and the change of the tables, which the first request's task makes.
        let known = async {
            while server.ask(&format!("GET /app/gone-{n}"), None).await.0 != 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(KNOWN_WITHIN, known).await.expect("stored, but not known");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_sender_is_gone_is_attempted_all_the_same() {
    // Fewer than the failures in a row after which an endpoint is left alone for a while.
    const GONE: usize = 15;
    let server = Server::start().await;
    server.ask("POST /app", Some(json!({"name": "A", "uid": "a"}))).await;
    // Not a public address: an attempt ends at once, and says so.
    let endpoint = server.ask("POST /app/a/endpoint", Some(json!({"url": "http://127.0.0.1:9/", "uid": "e"}))).await;
    assert_eq!(endpoint.0, 201, "{}", endpoint.1);
    let mut unanswered = 0;
    for n in 0..GONE {
        let mut post = Box::pin(server.ask("POST /app/a/msg", Some(json!({"eventType": "a.b", "payload": n}))));
        // The disk may be quicker than this thread, if that is held up; not every time.
        unanswered += usize::from((&mut post).now_or_never().is_none());
    }
    assert!(unanswered > 0, "nobody waits for the disk");
    let attempted = async {
        loop {
            let (_, attempts) = server.ask("GET /app/a/attempt/endpoint/e?limit=250", None).await;
            let of: std::collections::HashSet<&str> =
                attempts["data"].as_array().unwrap().iter().filter_map(|attempt| attempt["msgId"].as_str()).collect();
            if of.len() == GONE {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(KNOWN_WITHIN, attempted).await.expect("stored, but not attempted");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_wait_for_too_long_are_told_once_and_so_is_their_end() {
    let clock = Arc::new(Turned(AtomicU64::new(SystemClock.now().0)));
    let server = Server::start_by(clock.clone()).await;
    assert_eq!(server.ask("PUT /app/late", Some(json!({"name": "Late"}))).await.0, 201);
    let endpoint = json!({"url": "https://late.invalid/hooks", "uid": "slow", "retryPolicy": [86_400, 86_400]});
    assert_eq!(server.ask("POST /app/late/endpoint", Some(endpoint)).await.0, 201);
    let rule = json!({
        "name": "Late", "condition": {"type": "oldestAge", "seconds": 120}, "operational": true, "cooldownSeconds": 1,
    });
    let (status, rule) = server.ask("POST /alert", Some(rule)).await;
    assert_eq!(status, 201, "{rule}");
    let rule = rule["id"].as_str().unwrap().to_owned();
    let (status, message) = server.ask("POST /app/late/msg", Some(json!({"eventType": "a.b", "payload": {}}))).await;
    assert_eq!(status, 202, "{message}");
    let message = message["id"].as_str().unwrap().to_owned();
    let tried =
        async || server.ask(&format!("GET /app/late/attempt/msg/{message}"), None).await.1["data"].as_array().unwrap().len();
    tokio::time::timeout(KNOWN_WITHIN * 3, async {
        while tried().await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    // For how many endpoints it holds after so many minutes more, and what it has told: begun and ended.
    let after = async |minutes: u64| {
        clock.forward(minutes);
        alerts::round(&server.engine, &alerts::Options::default(), false).await.unwrap();
        let shown = server.ask(&format!("GET /alert/{rule}"), None).await.1;
        let told = server.ask(&format!("GET /alert/{rule}/notice"), None).await.1;
        let sum = |field: &str| told["data"].as_array().unwrap().iter().map(|notice| notice[field].as_u64().unwrap()).sum::<u64>();
        (shown["holding"].as_u64().unwrap(), sum("began"), sum("ended"), shown["incidents"][0]["finding"].clone())
    };
    assert_eq!(after(1).await, (0, 0, 0, Value::Null), "it has waited for a minute");
    let late = json!("A delivery has waited for longer than 120 seconds.");
    assert_eq!(after(4).await, (1, 1, 0, late.clone()));
    assert_eq!(after(1).await, (1, 1, 0, late), "it is told once");
    let (status, cancelled) = server.ask(&format!("POST /app/late/msg/{message}/cancel"), None).await;
    assert_eq!((status, &cancelled["cancelled"]), (200, &json!(1)), "{cancelled}");
    assert_eq!(after(1).await, (0, 1, 1, Value::Null), "it clears when nothing waits any more");
    assert_eq!(after(1).await, (0, 1, 1, Value::Null));
}
