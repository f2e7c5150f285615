//! What is refused: with which status, what is recorded of it, and how much at most.

use crate::{
    fixture::{Hub, text},
    signed::{SECRET, Signed, github, now, stripe},
    support::eventually,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How many rejections a source has recorded at once.
const BURST: usize = 20;

#[tokio::test]
async fn an_unknown_token_is_answered_like_a_wrong_one() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    let request = github("push", "1", Signed::json("{}"));
    let wrong = format!("{}x", source.path);
    let answers = [hub.deliver(&wrong, &request).await, hub.deliver("/in/nobody", &request).await];
    assert_eq!((answers[0].status, answers[0].text()), (404, answers[1].text()));
    assert_eq!(answers[0].json()["code"], "not_found");
    assert!(hub.rejections(&source).await.is_empty() && hub.events(&source).await.is_empty());
}

#[tokio::test]
async fn bad_signatures_are_refused_with_their_reason_and_recorded() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "stripe", "secret": SECRET})).await;
    let good = stripe(r#"{"id":"evt_1","type":"a"}"#, now());
    for (request, reason) in [
        (good.clone().body(r#"{"id":"evt_1","type":"b"}"#), "mismatch"),
        (good.clone().without("stripe-signature"), "missing_header"),
        (stripe(r#"{"id":"evt_1","type":"a"}"#, now() - 3600), "stale"),
    ] {
        let request = request.header("authorization", "Bearer of bad news").header("x-seen", "1");
        let answer = hub.deliver(&source.path, &request).await;
        assert_eq!((answer.status, &answer.json()["code"]), (401, &json!(reason)));
        let rejection = &hub.rejections(&source).await[0];
        assert_eq!(
            (&rejection["reason"], &rejection["method"], &rejection["remote"]),
            (&json!(reason), &json!("POST"), &json!("127.0.0.1"))
        );
        assert_eq!(rejection["body"], String::from_utf8_lossy(&request.body).into_owned());
        let headers = rejection["headers"].to_string();
        assert!(headers.contains("x-seen") && !headers.contains("bad news"), "{headers}");
    }
    assert!(hub.events(&source).await.is_empty());
    assert_eq!(hub.deliver(&source.path, &good).await.status, 200);
}

#[tokio::test]
async fn methods_and_addresses_that_are_not_listed_are_refused() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET, "methods": ["POST", "PUT"]})).await;
    let mut request = github("push", "1", Signed::json("{}"));
    request.method = "PATCH".into();
    let answer = hub.deliver(&source.path, &request).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST, PUT"));
    assert_eq!(hub.rejections(&source).await[0]["reason"], "method");

    let fenced = hub.source(json!({"provider": "github", "secret": SECRET, "allowCidrs": ["192.0.2.0/24"]})).await;
    let request = github("push", "1", Signed::json("{}"));
    assert_eq!(hub.deliver(&fenced.path, &request).await.status, 403);
    assert_eq!(hub.rejections(&fenced).await[0]["reason"], "address");
    let change = json!({"allowCidrs": ["127.0.0.0/8"]});
    hub.api.patch(&format!("/api/v1/source/{}", fenced.id), &change.to_string()).await.expect(200);
    assert_eq!(hub.deliver(&fenced.path, &request).await.status, 200);
}

/// Sends raw bytes; the status line that comes back.
pub(crate) async fn raw(hub: &Hub, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(hub.server.address()).await.unwrap();
    stream.write_all(format!("{head}\r\nhost: {}\r\n\r\n", hub.server.address()).as_bytes()).await.unwrap();
    // The server may have answered and closed before it is all out.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while !answer.contains(&b'\n') {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut piece)).await.unwrap().unwrap();
        assert!(read > 0, "the connection ended without an answer");
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn long_bodies_are_refused_before_they_are_read_whole() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET, "maxBody": 2048})).await;
    let exact = github("push", "1", Signed::new("POST", vec![b'x'; 2048]));
    assert_eq!(hub.deliver(&source.path, &exact).await.status, 200);
    // Nothing of the body is sent: only its announced length can be what is refused.
    let head = format!("POST {} HTTP/1.1\r\ncontent-length: 2049", source.path);
    assert_eq!(raw(&hub, &head, b"").await, "HTTP/1.1 413 Payload Too Large");
    let head = format!("POST {} HTTP/1.1\r\ntransfer-encoding: chunked", source.path);
    let chunk = [b"400\r\n".as_slice(), &[b'x'; 1024], b"\r\n"].concat();
    assert_eq!(raw(&hub, &head, &chunk.repeat(3)).await, "HTTP/1.1 413 Payload Too Large");
    let rejections = hub.refused(&source, 2).await;
    assert!(rejections.iter().all(|rejection| rejection["reason"] == "too_large"), "{rejections:?}");
    assert_eq!(text(&rejections[0], "body").len(), 1024);
}

#[tokio::test]
async fn a_flood_leaves_a_bounded_number_of_rejections() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    let started = now();
    let bad = Signed::json(&json!({"pad": "x".repeat(4000)}).to_string())
        .header("x-hub-signature-256", "sha256=00")
        .header("x-pad", "y".repeat(9000));
    for _ in 0..300 {
        assert_eq!(hub.deliver(&source.path, &bad).await.status, 401);
    }
    let rejections = hub.rejections(&source).await;
    let most = BURST + usize::try_from(now() - started).unwrap() + 1;
    assert!((BURST..=most).contains(&rejections.len()), "{} rejections", rejections.len());
    for rejection in &rejections {
        assert_eq!(text(rejection, "body").len(), 1024);
        assert!(rejection["headers"].to_string().len() < 8 * 1024, "{}", rejection["headers"]);
    }
    // The flood hurts nobody else, nor the source itself.
    let good = github("push", "1", Signed::json("{}"));
    assert_eq!(hub.deliver(&source.path, &good).await.status, 200);
    let other = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    assert_eq!(hub.deliver(&other.path, &bad).await.status, 401);
    eventually("the other source's rejection", || async { hub.rejections(&other).await.pop() }).await;
}

#[tokio::test]
async fn a_rotated_token_and_a_deleted_source_answer_nobody() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    let rotate = format!("/api/v1/source/{}/url/rotate", source.id);
    let rotated: Value = hub.api.post(&rotate, r#"{"gracePeriodSeconds": 0}"#).await.json();
    let fresh = text(&rotated, "url").replace(&hub.server.url(), "");
    let request = |id: &str| github("push", id, Signed::json("{}"));
    assert_eq!(hub.deliver(&source.path, &request("1")).await.status, 404);
    assert_eq!(hub.deliver(&fresh, &request("2")).await.status, 200);
    hub.api.delete(&format!("/api/v1/source/{}", source.id)).await.expect(204);
    assert_eq!(hub.deliver(&fresh, &request("3")).await.status, 404);
}
