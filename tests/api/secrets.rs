//! Signatures, checked with the textbook and not with our own library; rotation.

use crate::fixture::Tenant;
use crate::support::{Arrival, Server, database};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use std::time::Duration;

/// What Standard Webhooks signs.
fn signed(arrival: &Arrival) -> Vec<u8> {
    let mut text = format!("{}.{}.", arrival.header("webhook-id"), arrival.header("webhook-timestamp")).into_bytes();
    text.extend_from_slice(&arrival.body);
    text
}

/// The signatures of a version, decoded.
fn signatures(arrival: &Arrival, version: &str) -> Vec<Vec<u8>> {
    let all = arrival.header("webhook-signature").split(' ');
    all.filter_map(|one| BASE64_STANDARD.decode(one.strip_prefix(version)?.strip_prefix(',')?).ok()).collect()
}

fn hmac(secret: &str, arrival: &Arrival) -> Vec<u8> {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(&signed(arrival));
    mac.finalize().into_bytes().to_vec()
}

async fn secret(t: &Tenant, endpoint: &str) -> String {
    let path = t.path(&format!("/endpoint/{endpoint}/secret"));
    t.api.get(&path).await.expect(200)["key"].as_str().unwrap().to_owned()
}

async fn rotate(t: &Tenant, endpoint: &str, body: serde_json::Value) -> serde_json::Value {
    t.api.post(&t.path(&format!("/endpoint/{endpoint}/secret/rotate")), &body.to_string()).await.expect(200)
}

#[tokio::test]
async fn deliveries_are_signed() {
    let t = Tenant::start().await;
    let own = format!("whsec_{}", BASE64_STANDARD.encode([7u8; 32]));
    let made = t.endpoint("/made", json!({})).await;
    let given = t.endpoint("/given", json!({"secret": own})).await;
    assert_eq!(secret(&t, &given).await, own);
    t.send("a.b", &json!({"n": 1.50})).await;
    for (path, secret) in [("/made", secret(&t, &made).await), ("/given", own)] {
        let arrival = t.receiver.wait(path, 1).await.remove(0);
        assert_eq!(signatures(&arrival, "v1"), [hmac(&secret, &arrival)]);
        let sent: i64 = arrival.header("webhook-timestamp").parse().unwrap();
        assert!((jiff::Timestamp::now().as_second() - sent).abs() < 60);
    }
}

#[tokio::test]
async fn both_secrets_sign_until_the_grace_period_ends() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({})).await;
    let old = secret(&t, &endpoint).await;
    rotate(&t, &endpoint, json!({"gracePeriodSeconds": 4})).await;
    let new = secret(&t, &endpoint).await;
    assert_ne!(new, old);
    t.send("a.b", &json!(1)).await;
    let during = t.receiver.wait("/a", 1).await.remove(0);
    let both = signatures(&during, "v1");
    assert_eq!(both.len(), 2, "{}", during.header("webhook-signature"));
    assert!(both.contains(&hmac(&old, &during)) && both.contains(&hmac(&new, &during)));
    tokio::time::sleep(Duration::from_secs(5)).await; // the grace period ends
    t.send("a.b", &json!(2)).await;
    let after = t.receiver.wait("/a", 2).await.remove(1);
    assert_eq!(signatures(&after, "v1"), [hmac(&new, &after)]);
    let own = format!("whsec_{}", BASE64_STANDARD.encode([9u8; 24]));
    rotate(&t, &endpoint, json!({"key": own, "gracePeriodSeconds": 0})).await;
    t.send("a.b", &json!(3)).await;
    let given = t.receiver.wait("/a", 3).await.remove(2);
    assert_eq!(signatures(&given, "v1"), [hmac(&own, &given)]);
}

#[tokio::test]
async fn ed25519_signs_with_a_key_that_stays_here() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"secretType": "ed25519"})).await;
    let public = secret(&t, &endpoint).await;
    let key = public.strip_prefix("whpk_").unwrap_or_else(|| panic!("shown is the public half: {public}"));
    let key: [u8; 32] = BASE64_STANDARD.decode(key).unwrap().try_into().unwrap();
    t.send("a.b", &json!({"x": "y"})).await;
    let arrival = t.receiver.wait("/a", 1).await.remove(0);
    let signature = signatures(&arrival, "v1a").remove(0);
    let signature = Signature::from_slice(&signature).unwrap();
    VerifyingKey::from_bytes(&key).unwrap().verify_strict(&signed(&arrival), &signature).unwrap();
}

#[tokio::test]
async fn secrets_are_not_in_the_files() {
    let mut t = Tenant::start().await;
    let raw = b"a very recognisable secret 32 b.";
    let key = BASE64_STANDARD.encode(raw);
    t.endpoint("/a", json!({"secret": format!("whsec_{key}"), "headers": {"authorization": "Basic recognisable-credential"}}))
        .await;
    t.send("a.b", &json!({"find": "this-plain-payload"})).await;
    t.receiver.wait("/a", 1).await;
    assert_eq!(t.server.stop().await, 0);
    let files = stored(&t.server).await;
    let holds = |text: &[u8]| files.iter().any(|file| file.windows(text.len()).any(|window| window == text));
    assert!(holds(b"this-plain-payload"), "the search finds what is plain");
    assert!(!holds(key.as_bytes()) && !holds(raw) && !holds(b"recognisable-credential"));
}

/// Everything that a server keeps, in its files and in its database.
pub(crate) async fn stored(server: &Server) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    collect(server.data(), &mut files);
    if let Some(url) = server.database() {
        files.extend(database::contents(url).await);
    }
    files
}

/// The contents of all files below a folder.
fn collect(folder: &std::path::Path, files: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
            continue;
        }
        // Journals are filled with zeros ahead of what is written.
        let mut content = std::fs::read(&path).unwrap();
        content.truncate(content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        files.push(content);
    }
}
