//! A sender moves to Postrider, and its receivers do not notice.

use crate::fixture::Tenant;
use crate::support::Arrival;
use serde_json::{Value, json};
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// What a receiver in Python says of a request: its word, or why it refuses.
fn judged(kind: &str, secret: &str, request: &Value) -> Result<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/profiles/verify.py");
    let mut python = Command::new("python3")
        .arg(script)
        .args([kind, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn seen(arrival: &Arrival, url: &str) -> Value {
    let headers: serde_json::Map<String, Value> =
        arrival.headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
    json!({"headers": headers, "body": std::str::from_utf8(&arrival.body).unwrap(), "url": url, "method": "POST"})
}

#[tokio::test]
async fn receivers_written_for_other_senders_accept_ours() {
    let t = Tenant::start().await;
    let clone = json!({"name": "acme", "changes": {
        "scheme": {"signature": {"in": "header:X-Acme-Signature"}},
        "headers": {"X-GitHub-Event": null, "X-GitHub-Delivery": null, "X-Acme-Event": "{type}"},
    }});
    t.api.post("/api/v1/profile/github-like/clone", &clone.to_string()).await.expect(201);
    let cases = [
        ("stripe-like", WHSEC, "order.paid"),
        ("github-like", "a secret of my own", "order.paid"),
        ("acme", "s3cret", "order.paid"),
        ("nudj", "s3cret", "order.paid"),
        ("ilara", "whsec_your_signing_secret", "order.paid"),
        ("rfc9421", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "verified"),
    ];
    for (profile, secret, _) in cases {
        t.endpoint(&format!("/{profile}"), json!({"profile": profile, "secret": secret})).await;
    }
    t.send("order.paid", &json!({"amount": 4200, "note": "é\u{1f600}"})).await;
    for (profile, secret, expected) in cases {
        let path = format!("/{profile}");
        let arrival = t.receiver.wait(&path, 1).await.remove(0);
        let request = seen(&arrival, &t.receiver.url(&path));
        assert_eq!(judged(profile, secret, &request).as_deref(), Ok(expected), "{profile}: {request}");
        let mut forged = request.clone();
        forged["body"] = json!(format!("{} ", forged["body"].as_str().unwrap()));
        assert!(judged(profile, secret, &forged).is_err(), "{profile} accepts another body");
        assert!(judged(profile, OTHER, &request).is_err(), "{profile} accepts another secret");
    }
}

#[tokio::test]
async fn systems_that_want_https_sign_as_their_receivers_expect() {
    let t = Tenant::start().await;
    for (profile, expected) in [("alakazam", "order.paid"), ("connect", "verified")] {
        let url = "https://receiver.example/hook";
        let asked = json!({
            "profile": profile, "url": url, "secret": WHSEC, "message": {"eventType": "order.paid", "payload": {"worldId": "w1"}},
        });
        let made = t.api.post("/api/v1/profile/preview", &asked.to_string()).await.expect(200);
        assert_eq!((&made["secret"], &made["url"], &made["method"]), (&json!(WHSEC), &json!(url), &json!("POST")));
        assert_eq!(judged(profile, WHSEC, &made).as_deref(), Ok(expected), "{made}");
        assert!(judged(profile, OTHER, &made).is_err());
    }
}

#[tokio::test]
async fn both_secrets_verify_while_one_takes_over() {
    let t = Tenant::start().await;
    let changes = json!({"name": "plain-connect", "changes": {"httpsOnly": false, "defaults": null}});
    t.api.post("/api/v1/profile/connect/clone", &changes.to_string()).await.expect(201);
    let stripe = t.endpoint("/stripe", json!({"profile": "stripe-like", "secret": WHSEC})).await;
    let connect = t.endpoint("/connect", json!({"profile": "plain-connect", "secret": WHSEC})).await;
    for endpoint in [&stripe, &connect] {
        let rotate = t.path(&format!("/endpoint/{endpoint}/secret/rotate"));
        t.api.post(&rotate, &json!({"key": OTHER}).to_string()).await.expect(200);
    }
    t.send("order.paid", &json!({})).await;
    for (path, kind) in [("/stripe", "stripe-like"), ("/connect", "connect")] {
        let request = seen(&t.receiver.wait(path, 1).await[0], &t.receiver.url(path));
        for secret in [WHSEC, OTHER] {
            assert!(judged(kind, secret, &request).is_ok(), "{kind} {secret}: {request}");
        }
    }
    let rotate = t.path(&format!("/endpoint/{stripe}/secret/rotate"));
    t.api.post(&rotate, &json!({"key": "last", "gracePeriodSeconds": 0}).to_string()).await.expect(200);
    t.send("order.paid", &json!({})).await;
    let request = seen(&t.receiver.wait("/stripe", 2).await[1], "");
    assert!(judged("stripe-like", "last", &request).is_ok() && judged("stripe-like", OTHER, &request).is_err());
}
