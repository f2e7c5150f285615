//! Receivers that answer, or stop to read, before the request is whole; and those that go on after the answer.

use super::{receiver::Receiver, *};
use crate::model::Cause;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::{io::AsyncReadExt, sync::Notify};

/// Bytes of a body that no socket's buffers take at once.
const HUGE: usize = 32 << 20;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn send_huge(client: &Outbound, receiver: &Receiver, deadline: Duration) -> Outcome {
    client.send(&Target::parse(&receiver.url()).unwrap(), post(vec![b'x'; HUGE]), deadline).await
}

#[tokio::test]
async fn an_answer_before_the_request_is_whole_is_heard() {
    for closes in [true, false] {
        let receiver = Receiver::start(move |mut peer| async move {
            peer.stream.read_exact(&mut [0; 1024]).await.unwrap();
            peer.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nhuge").await;
            if !closes {
                std::future::pending::<()>().await;
            }
        })
        .await;
        let client = client();
        let outcome = send_huge(&client, &receiver, PATIENCE).await;
        assert_eq!((outcome.cause, outcome.status, &outcome.body[..]), (Cause::BadStatus, Some(413), &b"huge"[..]), "{closes}");
        assert_eq!((client.pool.counts(), receiver.accepted()), ((0, 0), 1));
    }
}

#[tokio::test]
async fn a_receiver_that_answers_while_it_reads_gets_the_rest() {
    let receiver = Receiver::start(move |mut peer| async move {
        let mut read = vec![0; 1 << 20];
        peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        let mut left = HUGE;
        while left > 0 {
            left = left.saturating_sub(peer.stream.read(&mut read).await.unwrap());
        }
        peer.say(b"4\r\ndone\r\n0\r\n\r\n").await;
        peer.closed().await;
    })
    .await;
    let outcome = send_huge(&client(), &receiver, PATIENCE).await;
    assert_eq!((outcome.cause, &outcome.body[..]), (Cause::Success, &b"done"[..]));
}

#[tokio::test]
async fn a_receiver_that_does_not_read_meets_the_deadline() {
    let receiver = Receiver::start(|peer| async move {
        std::future::pending::<()>().await;
        drop(peer);
    })
    .await;
    let client = client();
    let outcome = send_huge(&client, &receiver, BRIEF).await;
    assert_eq!((outcome.cause, client.pool.counts()), (Cause::HeadersTimeout, (0, 0)));
}

#[tokio::test]
async fn what_follows_an_answer_costs_the_connection_but_no_delivery() {
    let spoiled = Arc::new(Notify::new());
    let (told, first) = (Arc::clone(&spoiled), Arc::new(AtomicBool::new(true)));
    let receiver = Receiver::start(move |mut peer| {
        let (told, first) = (Arc::clone(&told), Arc::clone(&first));
        async move {
            while peer.request().await.is_some() {
                peer.say(OK).await;
                if first.swap(false, Ordering::SeqCst) {
                    told.notified().await;
                    peer.say(OK).await;
                }
            }
        }
    })
    .await;
    let client = client();
    assert_eq!(send(&client, &receiver.url(), PATIENCE).await.cause, Cause::Success);
    assert_eq!(client.pool.counts(), (1, 1));
    let target = Target::parse(&receiver.url()).unwrap();
    spoiled.notify_one();
    // Whether the bytes have arrived can only be seen by looking.
    let seen = async {
        loop {
            let now = tokio::time::Instant::now();
            let Some(pool::Connection::Http1(mut resting)) = client.pool.take(&target.origin, now) else { panic!("none") };
            let alive = resting.rest();
            client.pool.put(&target.origin, resting, None);
            if !alive {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
    assert_eq!(send(&client, &receiver.url(), PATIENCE).await.cause, Cause::Success);
    assert_eq!((receiver.accepted(), receiver.requests()), (2, 2));
}

#[tokio::test]
async fn what_comes_with_an_answer_costs_the_connection_too() {
    let receiver = Receiver::answering([OK, b"HTTP/1.1 500 Smuggled\r\n\r\n"].concat()).await;
    let client = client();
    for _ in 0..2 {
        let outcome = send(&client, &receiver.url(), PATIENCE).await;
        assert_eq!((outcome.status, &outcome.body[..]), (Some(200), &b"ok"[..]));
        assert_eq!(client.pool.counts(), (0, 0));
    }
    assert_eq!((receiver.accepted(), receiver.requests()), (2, 2));
}
