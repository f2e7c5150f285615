//! `postrider copy`, from a folder into a database and back: what was pending goes out afterwards, once each and signed with
//! the same secrets; what is cut short goes on; what would be wrong is refused.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that meets the unexpected ends there")]
#![allow(clippy::disallowed_methods, reason = "the seed is chance; the run is not")]

mod deaths;
mod moves;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::{path::Path, process::Output};
use support::{Api, Receiver, Server, eventually};

/// Runs `postrider copy`.
fn copy(from: &str, to: &str, more: &[&str]) -> Output {
    support::run(&[&["copy", "--from", from, "--to", to], more].concat())
}

/// Runs `postrider copy`, which has to succeed; what it prints.
#[track_caller]
fn copied(from: &str, to: &str, more: &[&str]) -> String {
    let output = copy(from, to, more);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    println!("{}", text(&output.stdout));
    text(&output.stdout)
}

/// Asserts that a copy is refused with that word.
#[track_caller]
fn refused(output: &Output, word: &str) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains(word), "no refusal that says {word}: {text}");
}

/// The count of a section in what a copy printed.
#[track_caller]
fn count(printed: &str, section: &str) -> u64 {
    let line = printed.lines().find_map(|line| line.strip_prefix(section)).unwrap_or_else(|| panic!("no {section} in {printed}"));
    assert!(line.ends_with("same"), "{line}");
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Where a test server keeps its data.
fn folder(server: &Server) -> String {
    server.data().join("data").to_str().unwrap().to_owned()
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// An application with something of everything: one endpoint that answers, one that fails, one that is disabled.
struct Tenant {
    app: String,
    good: String,
    failing: String,
    disabled: String,
}

impl Tenant {
    async fn make(api: &Api, receiver: &Receiver) -> Self {
        let app = api.post("/api/v1/app", r#"{"name": "moves", "uid": "moves"}"#).await.expect(201);
        let app = app["id"].as_str().unwrap().to_owned();
        api.post("/api/v1/event-type", r#"{"name": "copy.test", "description": "one"}"#).await.expect(201);
        let endpoint = async |at: &str, more: Value| {
            let mut body = json!({ "url": receiver.url(at), "uid": at.trim_start_matches('/') });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let made = api.post(&format!("/api/v1/app/{app}/endpoint"), &body.to_string()).await.expect(201);
            made["id"].as_str().unwrap().to_owned()
        };
        let good = endpoint("/good", json!({})).await;
        let failing = endpoint("/failing", json!({"retryPolicy": vec![8; 20], "headers": {"x-own": "kept"}})).await;
        let disabled = endpoint("/disabled", json!({"disabled": true})).await;
        Tenant { app, good, failing, disabled }
    }

    async fn secret(&self, api: &Api, endpoint: &str) -> String {
        let secret = api.get(&format!("/api/v1/app/{}/endpoint/{endpoint}/secret", self.app)).await.expect(200);
        secret["key"].as_str().unwrap().to_owned()
    }

    async fn send(&self, api: &Api, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let body = json!({"eventType": "copy.test", "eventId": format!("e{number}"), "payload": {"number": number}});
            api.post(&format!("/api/v1/app/{}/msg", self.app), &body.to_string()).await.expect(202);
        }
    }

    async fn enable(&self, api: &Api) {
        let path = format!("/api/v1/app/{}/endpoint/{}", self.app, self.disabled);
        api.patch(&path, r#"{"disabled": false}"#).await.expect(200);
    }

    async fn attempts(&self, api: &Api, endpoint: &str) -> usize {
        let path = format!("/api/v1/app/{}/attempt/endpoint/{endpoint}?limit=250", self.app);
        api.get(&path).await.expect(200)["data"].as_array().unwrap().len()
    }

    async fn messages(&self, api: &Api) -> usize {
        api.get(&format!("/api/v1/app/{}/msg?limit=250", self.app)).await.expect(200)["data"].as_array().unwrap().len()
    }

    /// Waits until every message went to the endpoint that answers and once to the one that fails.
    async fn settled(&self, api: &Api, messages: usize) {
        eventually("what can be delivered is", || async {
            let good = self.attempts(api, &self.good).await == messages;
            (good && self.attempts(api, &self.failing).await >= messages).then_some(())
        })
        .await;
    }
}

/// A receiver whose endpoint `/failing` fails until it is told otherwise.
async fn receiver() -> Receiver {
    let receiver = Receiver::start().await;
    receiver.script("/failing", [support::Reply::status(500)]);
    receiver
}
