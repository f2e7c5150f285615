//! The bench against a small server that forwards each message at once, twice or not at all.

use super::{
    Bench, Case,
    args::BenchArgs,
    cases::Site,
    client::{Connection, Route},
    letter,
    server::{Recipe, Server},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode},
    routing::{delete, get, post},
};
use bytes::Bytes;
use clap::Parser;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Every so many messages one is forwarded twice by a faulty server.
const TWICE: u32 = 10;
/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Every so many messages one is refused by it.
const REFUSED: u32 = 7;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    bench: BenchArgs,
}

#[derive(Default)]
struct Fake {
    /// Endpoint URLs by application.
    apps: Mutex<Vec<Option<Vec<String>>>>,
    faulty: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    event_type: String,
    payload: Box<RawValue>,
}

impl Fake {
    async fn start(faulty: bool) -> (SocketAddr, Arc<Self>) {
        let fake = Arc::new(Fake { faulty, ..Fake::default() });
        let router = Router::new()
            .route("/api/v1/health", get(async || StatusCode::NO_CONTENT))
            .route("/api/v1/app", post(app))
            .route("/api/v1/app/{app}", delete(remove))
            .route("/api/v1/app/{app}/endpoint", post(endpoint))
            .route("/api/v1/app/{app}/endpoint/{endpoint}/stats", get(async || Json(json!({"pending": 7, "sending": 1}))))
            .route("/api/v1/app/{app}/msg", post(message))
            .route("/api/v1/source", post(source))
            .route("/in/{app}", post(received))
            .with_state(Arc::clone(&fake));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, fake)
    }
}

async fn app(State(fake): State<Arc<Fake>>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    if headers.get("authorization").is_none_or(|value| value != "Bearer secret") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let mut apps = fake.apps.lock();
    apps.push(Some(Vec::new()));
    Ok(Json(json!({ "id": (apps.len() - 1).to_string() })))
}

async fn remove(State(fake): State<Arc<Fake>>, Path(app): Path<usize>) -> StatusCode {
    fake.apps.lock()[app] = None;
    StatusCode::NO_CONTENT
}

async fn endpoint(State(fake): State<Arc<Fake>>, Path(app): Path<usize>, Json(body): Json<Value>) -> Json<Value> {
    fake.apps.lock()[app].as_mut().unwrap().push(body["url"].as_str().unwrap().to_owned());
    Json(json!({ "id": "ep" }))
}

async fn source(Json(body): Json<Value>) -> Json<Value> {
    assert_eq!((&body["provider"], body["secret"].is_string()), (&json!("github"), true));
    Json(json!({ "id": "src", "url": format!("http://localhost/in/{}", body["appId"].as_str().unwrap()) }))
}

async fn received(State(fake): State<Arc<Fake>>, Path(app): Path<usize>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert!(headers["x-hub-signature-256"].to_str().unwrap().starts_with("sha256="));
    let payload = serde_json::from_slice(&body).unwrap();
    message(State(fake), Path(app), Json(Message { event_type: "bench.sent".into(), payload })).await
}

async fn message(State(fake): State<Arc<Fake>>, Path(app): Path<usize>, Json(message): Json<Message>) -> StatusCode {
    assert_eq!(message.event_type, "bench.sent");
    let payload = Bytes::from(message.payload.get().to_owned());
    let number = letter::number(&payload).unwrap();
    if fake.faulty && number.is_multiple_of(REFUSED) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let times = if fake.faulty && number.is_multiple_of(TWICE) { 2 } else { 1 };
    let urls = fake.apps.lock()[app].clone().unwrap();
    tokio::spawn(async move {
        for url in urls.iter().cycle().take(urls.len() * times) {
            let url: http::Uri = url.parse().unwrap();
            let route = Route::new(url.authority().unwrap().as_str().parse().unwrap(), Method::POST, url.path(), &[]).unwrap();
            // Whoever hangs up gets nothing, and what is missing is counted.
            let _hung_up = Connection::default().send(&route, payload.clone()).await;
        }
    });
    StatusCode::ACCEPTED
}

fn args(line: &str) -> BenchArgs {
    Command::parse_from(std::iter::once("bench").chain(line.split_whitespace())).bench
}

/// A bench with few connections and a folder of its own against that server.
fn bench(address: SocketAddr, more: &str) -> (Bench, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("--target http://{address} --token secret --connections 4 --data {} {more}", folder.path().display());
    (Bench::new(args(&line)).unwrap(), folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_add_up() {
    let (address, _fake) = Fake::start(false).await;
    let (bench, _folder) = bench(address, "--payload 256");
    let target = bench.given.clone().unwrap();
    let outcome = Site::new(&bench, &target, 3).await.unwrap().send(&bench, 200).await;
    assert_eq!(outcome.delivered, 600);
    assert_eq!((outcome.faults.duplicates, outcome.faults.missing, outcome.faults.errors), (0, 0, 0));
    assert_eq!(outcome.from_start.unwrap().count, 600);
    let outcome = Site::receiving(&bench, &target).await.unwrap().send(&bench, 50).await;
    assert_eq!((outcome.delivered, outcome.faults.missing, outcome.faults.errors), (50, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_duplicates_are_counted_apart() {
    let (address, _fake) = Fake::start(true).await;
    let (bench, _folder) = bench(address, "");
    let target = bench.given.clone().unwrap();
    let outcome = Site::new(&bench, &target, 1).await.unwrap().send(&bench, 141).await;
    // Of 0..141, 21 are multiples of seven; 15 of ten, three of which are refused.
    assert_eq!((outcome.faults.errors, outcome.delivered), (21, 120));
    let deadline = Instant::now() + PATIENCE;
    while bench.board.tally().duplicates < 12 && Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    let tally = bench.board.tally();
    assert_eq!((tally.arrived, tally.duplicates), (120, 12));
    assert_eq!(outcome.faults.missing, 0);
    assert!(outcome.faults.first_error.unwrap().starts_with("503"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_run_reports_every_case_and_cleans_up() {
    let (address, fake) = Fake::start(false).await;
    let (bench, folder) = bench(address, "--seconds 1 --rate 100 --cases one,latency,neighbour,memory");
    assert_eq!(bench.args.chosen(), [Case::One, Case::Latency, Case::Neighbour, Case::Memory]);
    let report = serde_json::to_value(bench.measure().await.unwrap()).unwrap();
    let rows = report["figures"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["raw before", "one endpoint", "latency p50", "latency p99", "neighbour", "memory", "raw after"]);
    assert_eq!(rows[5]["mark"], "unmeasured");
    for row in rows.iter().filter(|row| row["name"] != "memory") {
        assert_eq!((&row["missing"], &row["errors"], &row["duplicates"]), (&json!(0), &json!(0), &json!(0)), "{row}");
        assert!(row["value"].as_f64().unwrap() > 0.0, "{row}");
    }
    assert_eq!(rows[2]["latency_ns"]["count"], 100);
    assert!(fake.apps.lock().iter().all(Option::is_none));
    assert!(!args("--target http://127.0.0.1 --token t").chosen().contains(&Case::Memory));
    drop(bench);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_is_an_unmeasured_figure() {
    let (address, _fake) = Fake::start(false).await;
    let (mut bench, _folder) = bench(address, "--cases latency");
    bench.given.as_mut().unwrap().token = "wrong".into();
    let report = bench.measure().await.unwrap();
    assert_eq!(report.failures(), 1);
    assert!(report.to_string().contains("401"), "{report}");
}

#[tokio::test]
async fn a_server_that_ends_at_once_is_an_error_with_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = Recipe { program: "false".into(), data: folder.path().join("data"), key: "pr_x".into(), database: None };
    let error = Server::start(&recipe).await.unwrap_err();
    assert!(error.to_string().contains("the server has ended, exit status: 1"), "{error}");
}

#[test]
fn only_loopback_is_driven() {
    for url in ["http://192.0.2.1", "https://127.0.0.1", "http://example.com", "http://127.0.0.1/api", "nonsense"] {
        assert!(args(&format!("--target {url} --token t")).target_address().is_err(), "{url}");
    }
    assert_eq!(args("--receive").chosen(), [Case::Receive]);
    assert_eq!(args("--neighbour").chosen(), [Case::Neighbour, Case::Crowd]);
    assert_eq!(args("--soak-seconds 600").chosen(), [Case::Steady]);
    assert!(args("--soak-seconds 59").check().is_err());
    assert!(!args("").chosen().contains(&Case::Pages));
    assert_eq!(args("--cases pages --page-messages 20000").chosen(), [Case::Pages]);
    let address = args("--target http://localhost:8071 --token t").target_address().unwrap();
    assert_eq!(address, Some("127.0.0.1:8071".parse().unwrap()));
    assert_eq!(args("--target http://[::1]/ --token t").target_address().unwrap(), Some("[::1]:80".parse().unwrap()));
    assert!(args("--receive-listen 0.0.0.0").check().is_err());
}

#[test]
fn flags_out_of_bounds_are_refused() {
    for line in [
        "--seconds 0",
        "--seconds 121",
        "--connections 0",
        "--payload 63",
        "--rate 1",
        "--scale 0",
        "--scale 1.1",
        "--cases nodes",
        "--page-messages 999",
        "--store mysql://h",
    ] {
        assert!(args(line).check().is_err(), "{line}");
    }
    assert!(args("").check().is_ok());
}

#[test]
fn the_token_is_not_shown() {
    let words = ["bench", "--token", "secret", "--json", "--token=secret"].map(str::to_owned).to_vec();
    assert_eq!(super::hide_token(words), "bench --token … --json --token=…");
    let words = ["--store", "postgres://u:p@h/d", "--target=http://h:1"].map(str::to_owned).to_vec();
    assert_eq!(super::hide_token(words), "--store postgres://… --target=http://h:1");
}
