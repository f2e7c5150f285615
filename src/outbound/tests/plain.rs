//! Plain HTTP/1.1.

use super::{receiver::*, *};
use crate::{model::Cause, outbound::pool::Connection};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    time::Instant,
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn one_connection_serves_ten_requests() {
    let receiver = Receiver::answering("HTTP/1.1 202 Accepted\r\nX-Seen: yes\r\ncontent-length: 2\r\n\r\nok").await;
    let client = client();
    for number in 0..10 {
        let outcome = send(&client, &receiver.url(), PATIENCE).await;
        assert_eq!((outcome.cause, outcome.status, outcome.detail.as_str()), (Cause::Success, Some(202), ""));
        assert_eq!((&outcome.body[..], outcome.body_cut), (&b"ok"[..], false));
        assert!(outcome.headers.iter().any(|header| header == ("x-seen", "yes")), "{:?}", outcome.headers);
        let phases = outcome.phases;
        assert!(phases.total_us >= phases.first_byte_us && phases.first_byte_us > 0 && phases.tls_us == 0, "{phases:?}");
        assert_eq!((phases.connect_us > 0, phases.dns_us), (number == 0, 0), "{number}: {phases:?}");
    }
    assert_eq!((receiver.accepted(), receiver.requests()), (1, 10));
    assert_eq!(client.pool.counts(), (1, 1));
}

#[tokio::test]
async fn the_request_is_what_was_asked_for() {
    let (said, mut heard) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut peer| {
        let said = said.clone();
        async move {
            while let Some(head) = peer.request().await {
                said.send(head).unwrap();
                peer.say(OK.as_bytes()).await;
            }
        }
    })
    .await;
    let mut request = post("four");
    for (name, value) in [("host", "elsewhere"), ("content-length", "9"), ("transfer-encoding", "chunked"), ("x-a", "b")] {
        request.headers.insert(name, value.parse().unwrap());
    }
    let target = Target::parse(&receiver.url()).unwrap();
    assert_eq!(client().send(&target, request, PATIENCE).await.cause, Cause::Success);
    let head = heard.recv().await.unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    lines[1..].sort_unstable();
    let host = format!("host: {}", receiver.address);
    assert_eq!(lines, ["POST /hook?a=b HTTP/1.1", "content-length: 4", "content-type: application/json", &host, "x-a: b"]);
}

#[tokio::test]
async fn statuses_have_their_causes() {
    for (line, cause, detail) in [
        ("200 OK", Cause::Success, ""),
        ("299 Odd", Cause::Success, ""),
        ("301 Moved\r\nlocation: http://127.0.0.1:1/", Cause::Redirect, "301 Moved Permanently"),
        ("404 Nope", Cause::BadStatus, "404 Not Found"),
        ("503 Busy", Cause::BadStatus, "503 Service Unavailable"),
        ("799 Odd", Cause::BadStatus, "799"),
        ("100 Continue\r\n\r\nHTTP/1.1 200 OK", Cause::Success, ""),
    ] {
        let receiver = Receiver::answering(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n")).await;
        let client = client();
        for _ in 0..2 {
            let outcome = send(&client, &receiver.url(), PATIENCE).await;
            assert_eq!((outcome.cause, outcome.detail.as_str()), (cause, detail), "{line}");
        }
        assert_eq!((receiver.accepted(), receiver.requests()), (1, 2), "{line}");
    }
}

#[tokio::test]
async fn retry_after_is_told() {
    let receiver = Receiver::answering("HTTP/1.1 429 Slow\r\nretry-after: 17\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(send(&client(), &receiver.url(), PATIENCE).await.retry_after, Some(Duration::from_secs(17)));
}

#[tokio::test]
async fn bodies_of_every_framing_are_read() {
    let chunked = "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3;ext=1\r\ndef\r\n0\r\ntrailer: t\r\n\r\n";
    for (rest, reused) in [("content-length: 6\r\n\r\nabcdef", true), (chunked, true), ("connection: close\r\n\r\nabcdef", false)] {
        let answer = format!("HTTP/1.1 200 OK\r\n{rest}");
        let receiver = Receiver::start(move |mut peer| {
            let answer = answer.clone();
            async move { while peer.request().await.is_some() && peer.say(answer.as_bytes()).await && reused {} }
        })
        .await;
        let client = client();
        for _ in 0..2 {
            let outcome = send(&client, &receiver.url(), PATIENCE).await;
            assert_eq!((outcome.cause, &outcome.body[..]), (Cause::Success, &b"abcdef"[..]), "{rest}");
        }
        assert_eq!(receiver.accepted(), if reused { 1 } else { 2 }, "{rest}");
    }
}

/// Says one thing after a request and then nothing more; what a client with little patience makes of it.
async fn cut_off(said: &'static str) -> Outcome {
    let receiver = Receiver::start(move |mut peer| async move {
        peer.request().await;
        peer.say(said.as_bytes()).await;
        peer.closed().await;
    })
    .await;
    let client = client();
    let begun = Instant::now();
    let outcome = send(&client, &receiver.url(), BRIEF).await;
    assert!(begun.elapsed() >= BRIEF && begun.elapsed() < PATIENCE);
    assert_eq!(client.pool.counts(), (0, 0), "{said}");
    outcome
}

#[tokio::test]
async fn a_receiver_that_hangs_meets_the_deadline() {
    assert_eq!(cut_off("").await.cause, Cause::HeadersTimeout);
    assert_eq!(cut_off("HTTP/1.1 200 OK\r\nx-a: b").await.cause, Cause::HeadersTimeout);
    assert_eq!(cut_off("HTTP/1.1 100 Continue\r\n\r\n").await.cause, Cause::HeadersTimeout);
    let outcome = cut_off("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart").await;
    assert_eq!((outcome.cause, outcome.status, &outcome.body[..]), (Cause::BodyTimeout, Some(200), &b"part"[..]));
}

#[tokio::test]
async fn a_dripping_body_cannot_outlast_the_deadline() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await;
        peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while peer.say(b"1\r\nx\r\n").await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let begun = Instant::now();
    let outcome = send(&client(), &receiver.url(), BRIEF).await;
    assert_eq!((outcome.cause, outcome.status), (Cause::BodyTimeout, Some(200)));
    assert!(begun.elapsed() < PATIENCE && outcome.body.starts_with(b"x"));
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_connection_dropped() {
    let (done, mut ended) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut peer| {
        let done = done.clone();
        async move {
            peer.request().await;
            peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n").await;
            let mut written = 0u64;
            while peer.say(&[b'x'; 64 * 1024]).await {
                written += 64 * 1024;
            }
            done.send(written).unwrap();
        }
    })
    .await;
    let client = client();
    let outcome = send(&client, &receiver.url(), PATIENCE).await;
    assert_eq!((outcome.cause, outcome.body.len(), outcome.body_cut), (Cause::Success, KEEP_LIMIT, true));
    let written = tokio::time::timeout(PATIENCE, ended.recv()).await.unwrap().unwrap();
    assert!(written < 100_000_000, "{written}");
    assert_eq!(client.pool.counts(), (0, 0));
}

#[tokio::test]
async fn broken_answers_have_their_causes() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(200));
    let large = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(2 * HEAD_LIMIT));
    for (said, cause) in [
        ("", Cause::Disconnected),
        ("HTTP/1.1 200 OK\r\nx-a:", Cause::Disconnected),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart", Cause::Disconnected),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", Cause::Disconnected),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n", Cause::BadAnswer),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", Cause::BadAnswer),
        ("SSH-2.0-OpenSSH_9.9\r\n", Cause::BadAnswer),
        ("HTTP/1.1 999999 Odd\r\n\r\n", Cause::BadAnswer),
        ("HTTP/1.1 200 OK\r\nbad header\r\n\r\n", Cause::BadAnswer),
        (many.as_str(), Cause::BadAnswer),
        (large.as_str(), Cause::BadAnswer),
    ] {
        let answer: Arc<str> = said.into();
        let receiver = Receiver::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                peer.request().await;
                peer.say(answer.as_bytes()).await;
            }
        })
        .await;
        let client = client();
        let outcome = send(&client, &receiver.url(), PATIENCE).await;
        let shown = said.get(..80).unwrap_or(said);
        assert_eq!(outcome.cause, cause, "{shown}: {}", outcome.detail);
        assert!(outcome.detail.chars().count() <= 200);
        assert_eq!((receiver.requests(), client.pool.counts()), (1, (0, 0)), "{shown}");
    }
}

#[tokio::test]
async fn a_reset_is_a_disconnection() {
    for said in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart"] {
        let receiver = Receiver::start(move |mut peer| async move {
            peer.request().await;
            peer.say(said.as_bytes()).await;
            peer.stream.set_zero_linger().unwrap();
        })
        .await;
        let outcome = send(&client(), &receiver.url(), PATIENCE).await;
        assert_eq!((outcome.cause, receiver.requests()), (Cause::Disconnected, 1), "{said}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = send(&client(), &format!("http://{address}/"), PATIENCE).await;
    assert_eq!((outcome.cause, outcome.status), (Cause::ConnectionRefused, None));
}

#[tokio::test]
async fn a_stale_connection_is_replaced_without_a_second_delivery() {
    let (first, close) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()));
    let closing = Arc::clone(&close);
    let receiver = Receiver::start(move |mut peer| {
        let (first, closing) = (Arc::clone(&first), Arc::clone(&closing));
        async move {
            while peer.request().await.is_some() {
                peer.say(OK.as_bytes()).await;
                if first.swap(false, Ordering::SeqCst) {
                    return closing.notified().await;
                }
            }
        }
    })
    .await;
    let client = client();
    let target = Target::parse(&receiver.url()).unwrap();
    assert_eq!(client.send(&target, post("1"), PATIENCE).await.cause, Cause::Success);
    assert_eq!(client.pool.counts(), (1, 1));
    close.notify_one();
    // Whether the close has arrived can only be seen by looking.
    let seen = async {
        loop {
            let Some(Connection::Http1(mut resting)) = client.pool.take(&target.origin, Instant::now()) else { panic!("none") };
            let alive = resting.rest();
            client.pool.put(&target.origin, resting, None);
            if !alive {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
    assert_eq!(client.pool.counts(), (1, 1));
    assert_eq!(client.send(&target, post("2"), PATIENCE).await.cause, Cause::Success);
    assert_eq!((receiver.accepted(), receiver.requests()), (2, 2));
}

#[tokio::test]
async fn a_written_request_is_never_sent_again() {
    let receiver = Receiver::start(|mut peer| async move {
        peer.request().await;
        peer.say(OK.as_bytes()).await;
        peer.request().await;
    })
    .await;
    let client = client();
    assert_eq!(send(&client, &receiver.url(), PATIENCE).await.cause, Cause::Success);
    assert_eq!(send(&client, &receiver.url(), PATIENCE).await.cause, Cause::Disconnected);
    assert_eq!((receiver.accepted(), receiver.requests()), (1, 2));
}

#[tokio::test]
async fn a_large_body_is_sent_whole_while_the_receiver_is_slow() {
    let receiver = Receiver::start(|mut peer| async move {
        while peer.request().await.is_some() {
            peer.say(OK.as_bytes()).await;
        }
    })
    .await;
    let client = client();
    let target = Target::parse(&receiver.url()).unwrap();
    for _ in 0..2 {
        assert_eq!(client.send(&target, post(vec![b'x'; 4 << 20]), PATIENCE).await.cause, Cause::Success);
    }
    assert_eq!((receiver.accepted(), receiver.requests()), (1, 2));
}

#[tokio::test]
async fn the_receivers_keep_alive_is_kept_to() {
    let head = "HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::answering(head).await;
    let client = client();
    assert_eq!(send(&client, &receiver.url(), PATIENCE).await.cause, Cause::Success);
    assert_eq!(client.pool.counts(), (0, 0));
}

#[tokio::test]
async fn the_pool_is_bounded_and_swept() {
    let config = OutboundConfig { allow: loopback(), idle_per_origin: 2, idle_total: 3, ..OutboundConfig::default() };
    let client = Arc::new(client_with(config, &[Ok(vec![[127, 0, 0, 1].into()])]));
    let barrier = Arc::new(tokio::sync::Barrier::new(4));
    let receiver = Receiver::start(move |mut peer| {
        let barrier = Arc::clone(&barrier);
        async move {
            while peer.request().await.is_some() {
                barrier.wait().await;
                peer.say(OK.as_bytes()).await;
            }
        }
    })
    .await;
    for (host, idle) in [("127.0.0.1", (1, 2)), ("127.0.0.2", (2, 3))] {
        // The receiver listens on 127.0.0.1 alone, but a name of any spelling leads there.
        let host = if host == "127.0.0.1" { host } else { "other.test" };
        let url = format!("http://{host}:{}/", receiver.address.port());
        let all: Vec<_> = (0..4)
            .map(|_| {
                let (client, url) = (Arc::clone(&client), url.clone());
                tokio::spawn(async move { send(&client, &url, PATIENCE).await.cause })
            })
            .collect();
        for one in all {
            assert_eq!(one.await.unwrap(), Cause::Success);
        }
        assert_eq!(client.pool.counts(), idle);
    }
    client.pool.sweep(Instant::now());
    assert_eq!(client.pool.counts(), (2, 3));
    client.pool.sweep(Instant::now() + Duration::from_secs(31));
    assert_eq!(client.pool.counts(), (0, 0));
}

#[tokio::test]
async fn a_panic_fails_its_own_try() {
    #[derive(Debug)]
    struct Broken;
    #[async_trait::async_trait]
    impl Resolve for Broken {
        async fn resolve(&self, _host: &str) -> Addresses {
            panic!("as the test wants it")
        }
    }
    let client = Outbound::with_resolver(OutboundConfig::default(), Arc::new(SystemClock), Arc::new(Broken)).unwrap();
    assert_eq!(send(&client, "http://example.com/", PATIENCE).await.cause, Cause::Internal);
}
