//! Room for bodies: strangers hold a bounded amount of memory, and who is turned away sees why.

use crate::{
    fixture::{Hub, Source, text},
    refused::raw,
    signed::{SECRET, Signed, github},
    support::eventually,
};
use serde_json::json;
use std::sync::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The longest body of a source, and how many of them one source has room for.
const LONGEST: usize = 5 * 1024 * 1024;
const AT_ONCE: usize = 6;

/// Connections that only announce such bodies: with all of them the memory of all sources would be gone.
const ANNOUNCED: usize = 40;

/// Slow bodies of one application's third parties, over so many of its sources; and how much of each comes, so that they could
/// fill the memory of all sources twice.
const SLOW: usize = 1000;
const SOURCES: usize = 8;
const SLOW_BYTES: usize = 256 * 1024;
/// A body that others send meanwhile.
const SMALL_BYTES: usize = 48 * 1024;

/// A connection that announces a body, and sends only so much of it.
async fn announce(hub: &Hub, source: &Source, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(hub.server.address()).await.unwrap();
    let (path, host) = (&source.path, hub.server.address());
    let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {LONGEST}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; sent]).await.unwrap();
    stream
}

#[tokio::test]
async fn who_only_announces_a_body_takes_no_room() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET, "maxBody": LONGEST})).await;
    let mut held = Vec::new();
    for _ in 0..ANNOUNCED {
        held.push(announce(&hub, &source, 1).await);
    }
    let long = github("push", "1", Signed::new("POST", vec![b'x'; LONGEST]));
    assert_eq!(hub.deliver(&source.path, &long).await.status, 200);
}

#[tokio::test]
async fn bodies_that_do_not_end_leave_room_for_other_sources() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET, "maxBody": LONGEST})).await;
    let other = hub.source(json!({"provider": "github", "secret": SECRET, "maxBody": LONGEST})).await;
    let mut held = Vec::new();
    for _ in 0..AT_ONCE {
        held.push(announce(&hub, &source, LONGEST - 1).await);
    }
    let long = github("push", "1", Signed::new("POST", vec![b'x'; LONGEST]));
    let held = Mutex::new(held);
    let turned = eventually("a refusal for want of room", || async {
        let answer = hub.deliver(&source.path, &long).await;
        if answer.status == 503 {
            return Some(answer);
        }
        // It came before one of the others was read, which found no room then and is gone: another takes its place.
        let another = announce(&hub, &source, LONGEST - 1).await;
        held.lock().unwrap().push(another);
        None
    });
    let turned = turned.await;
    assert_eq!((&turned.json()["code"], turned.header("retry-after")), (&json!("busy"), "1"));
    assert_eq!(hub.deliver(&other.path, &long).await.status, 200, "another source has room");
    assert!(hub.rejections(&source).await.is_empty(), "nothing is kept of it");
    drop(held);
    eventually("room again", || async { (hub.deliver(&source.path, &long).await.status == 200).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_of_one_application_leave_room_for_another() {
    let hub = Hub::start().await;
    let other = text(&hub.api.post("/api/v1/app", r#"{"name": "Other"}"#).await.expect(201), "id");
    let other = hub.source(json!({"appId": other, "provider": "github", "secret": SECRET, "maxBody": LONGEST})).await;
    let mut own = Vec::new();
    for _ in 0..SOURCES {
        own.push(hub.source(json!({"provider": "github", "secret": SECRET, "maxBody": LONGEST})).await);
    }
    let mut held = Vec::new();
    for source in own.iter().cycle().take(SLOW) {
        let mut stream = announce(&hub, source, 0).await;
        let _turned_away = stream.write_all(&vec![b'x'; SLOW_BYTES]).await;
        held.push(stream);
    }
    let long = github("push", "1", Signed::new("POST", vec![b'x'; LONGEST]));
    eventually("they have all that they may have", || async {
        let answer = hub.deliver(&own[0].path, &long).await;
        (answer.status == 503 && answer.header("retry-after") == "1").then_some(())
    })
    .await;
    for n in 0..20 {
        let small = github("push", &n.to_string(), Signed::new("POST", vec![b'x'; SMALL_BYTES]));
        assert_eq!(hub.deliver(&other.path, &small).await.status, 200, "another application's small request");
    }
    assert_eq!(hub.deliver(&other.path, &long).await.status, 200, "and its long one");
    drop(held);
    eventually("room again", || async { (hub.deliver(&own[0].path, &long).await.status == 200).then_some(()) }).await;
}

#[tokio::test]
async fn who_sends_a_long_body_to_its_end_still_sees_why_it_is_refused() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET, "maxBody": 2048})).await;
    let body = vec![b'x'; LONGEST];
    let announced = |path: &str| format!("POST {path} HTTP/1.1\r\ncontent-length: {LONGEST}");
    let chunked = format!("POST {} HTTP/1.1\r\ntransfer-encoding: chunked", source.path);
    let chunks = [format!("{LONGEST:x}\r\n").into_bytes(), body.clone(), b"\r\n0\r\n\r\n".to_vec()].concat();
    for _ in 0..5 {
        assert_eq!(patient(&hub, &announced(&source.path), &body).await, "HTTP/1.1 413 Payload Too Large");
        assert_eq!(patient(&hub, &chunked, &chunks).await, "HTTP/1.1 413 Payload Too Large");
        assert_eq!(patient(&hub, &announced("/in/nobody"), &body).await, "HTTP/1.1 404 Not Found");
    }
    let asking = format!("{}\r\nexpect: 100-continue", announced(&source.path));
    assert_eq!(raw(&hub, &asking, b"").await, "HTTP/1.1 413 Payload Too Large", "who asks first is not told to go on");
}

/// Sends everything before it looks at the answer; the status line.
async fn patient(hub: &Hub, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(hub.server.address()).await.unwrap();
    stream.write_all(format!("{head}\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    while !answer.contains(&b'\n') {
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "the connection ended without an answer");
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).lines().next().unwrap().to_owned()
}
