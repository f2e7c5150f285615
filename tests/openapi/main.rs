//! The API against its own description: schemathesis reads the OpenAPI document of the real server and sends what fits it and
//! what does not. No answer is a 5xx, and none has a status, a content type, a header or a body that is not described.
//!
//! `./test` installs schemathesis. Chance is seeded: the seed is printed, and `POSTRIDER_OPENAPI_SEED` sets it;
//! `POSTRIDER_OPENAPI_SECONDS` sets how long it tries.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]

#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use support::{ADMIN_KEY, Api, Receiver, Reply, Server, eventually};
use tokio::process::Command;

/// The seed unless another is asked for: the same requests each time, as far as the time allows.
const SEED: u32 = 101;
/// How long it tries, in seconds.
const SECONDS: u32 = 70;
/// Tries of an operation in each round.
const EXAMPLES: &str = "15";
/// An address at which no proxy listens.
const NO_PROXY: &str = "http://127.0.0.1:9";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_a_server_error_or_undescribed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let seed = number("POSTRIDER_OPENAPI_SEED").unwrap_or(SEED);
    let seconds = number("POSTRIDER_OPENAPI_SECONDS").unwrap_or(SECONDS);
    println!("seed {seed} (POSTRIDER_OPENAPI_SEED={seed} makes the same requests again)");
    let (receiver, server) = (Receiver::start().await, Server::start().await);
    let seeds = seeds(&server.api(), &receiver).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi");
    let output = Command::new(installed("openapi/bin/schemathesis"))
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", server.url()), "--no-color", "--no-shrink", "--warnings", "off"])
        // One worker: Python before 3.11.5 miscounts its own recursion when several threads parse at once.
        .args(["-H", &format!("Authorization: Bearer {ADMIN_KEY}"), "--workers", "1", "--request-timeout", "90"])
        .args(["--max-time", &seconds.to_string(), "-n", EXAMPLES, "--seed", &seed.to_string()])
        // The token that everything is asked with must live, and nobody outside is to hear from this.
        .args(["--exclude-path", "/api/v1/auth/logout", "--exclude-operation-id", "v1.proxy.delete"])
        .env("SCHEMATHESIS_HOOKS", folder.join("hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("POSTRIDER_SEEDS", seeds.to_string())
        .current_dir(server.data())
        .output()
        .await
        .unwrap();
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{}", said.lines().rev().take(25).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n"));
    assert!(output.status.success(), "{}\n{said}\n{failed}", output.status);
    // It must have reached what is behind ids, not only refusals.
    let app = seeds["ids"]["app_id"].as_str().unwrap();
    let messages = server.api().get(&format!("/api/v1/app/{app}/msg?limit=250")).await.expect(200);
    assert!(messages["data"].as_array().unwrap().len() > 1, "no request has made a message");
}

/// One object of every kind, with something in it.
async fn seeds(api: &Api, receiver: &Receiver) -> Value {
    receiver.script("/bad", [Reply::status(500)]);
    let made = async |path: &str, body: Value| api.post(path, &body.to_string()).await.expect(201);
    let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
    made("/api/v1/event-type", json!({"name": "seed.event", "description": "A seed.", "schemas": {"1": {"type": "object"}}})).await;
    let app = id(&made("/api/v1/app", json!({"name": "seeds", "uid": "seeds"})).await);
    let endpoints = format!("/api/v1/app/{app}/endpoint");
    let good = id(&made(&endpoints, json!({"url": receiver.url("/good")})).await);
    let bad = id(&made(&endpoints, json!({"url": receiver.url("/bad"), "retryPolicy": [1]})).await);
    let operational = id(&made("/api/v1/operational-webhook/endpoint", json!({"url": receiver.url("/good")})).await);
    made("/api/v1/profile", json!({"name": "seed", "profile": {"provider": "github"}})).await;
    let source = made("/api/v1/source", json!({"name": "seed", "provider": "hmac", "secret": "a secret", "appId": app})).await;
    let key = id(&made("/api/v1/key", json!({"name": "seed", "scopes": ["read"]})).await);
    made("/api/v1/user", json!({"login": "seed", "role": "viewer"})).await;
    let message = api.post(&format!("/api/v1/app/{app}/msg"), r#"{"eventType": "seed.event", "payload": {"a": 1}}"#).await;
    let message = id(&message.expect(202));
    let attempts = format!("/api/v1/app/{app}/attempt/msg/{message}");
    let attempt = eventually("both endpoints were tried", || async {
        let tried = api.get(&attempts).await.json();
        tried["data"].as_array().filter(|list| list.len() >= 2).map(|list| id(&list[0]))
    })
    .await;
    let since = api.get(&format!("/api/v1/app/{app}")).await.json()["createdAt"].clone();
    let replay =
        api.post("/api/v1/replay", &json!({"appId": app, "since": since, "statuses": ["exhausted"]}).to_string()).await.expect(202);
    let erase = api.post("/api/v1/erase", &json!({"tag": "nobody"}).to_string()).await.expect(202);
    let url = source["url"].as_str().unwrap().to_owned();
    let token = url.rsplit('/').next().unwrap();
    api.anonymous().post(&format!("/in/{token}"), r#"{"unsigned": true}"#).await;
    let source = id(&source);
    let rejections = format!("/api/v1/source/{source}/rejection");
    let rejection = eventually("a refusal is noted", || async {
        api.get(&rejections).await.json()["data"].as_array().and_then(|list| list.first().map(&id))
    })
    .await;
    let keys = api.get("/api/v1/key").await.json();
    let keys = keys["data"].as_array().unwrap().iter().map(&id);
    let kept: Vec<String> = [&app, &good, &bad, &source, &key, &operational]
        .into_iter()
        .cloned()
        .chain(["seed".into(), "seeds".into()])
        .chain(keys)
        .collect();
    api.put("/api/v1/proxy", &json!({"url": NO_PROXY, "resolvedBy": "proxy"}).to_string()).await;
    json!({
        "proxy": NO_PROXY,
        "kept": kept,
        "ids": {
            "app_id": app, "endpoint_id": good, "msg_id": message, "attempt_id": attempt, "source_id": source, "token": token,
            "event_type_name": "seed.event", "profile_name": "seed", "user": "seed", "rejection_id": rejection,
            "replay_id": id(&replay), "erase_id": id(&erase),
        },
        "paths": {
            "/api/v1/operational-webhook/endpoint/{endpoint_id}": {"endpoint_id": operational},
            "/api/v1/operational-webhook/endpoint/{endpoint_id}/headers": {"endpoint_id": operational},
            "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret": {"endpoint_id": operational},
            "/api/v1/operational-webhook/endpoint/{endpoint_id}/secret/rotate": {"endpoint_id": operational},
            "/api/v1/app/{app_id}/endpoint/{endpoint_id}/recover": {"endpoint_id": bad},
        },
    })
}

/// Something that `./test` has put below the build folder.
fn installed(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join(name);
    assert!(path.exists(), "{} is absent: `./test` installs it", path.display());
    path
}
