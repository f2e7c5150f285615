//! Ten thousand clients that send slowly, or stop in the middle, while others are served.

use crate::{
    idle_share, open_descriptors,
    support::{ADMIN_KEY, eventually},
    tenant::Tenant,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

/// Slow connections.
const SLOW: usize = 10_000;
/// Slow connections of one address: fewer than an address may hold.
const OF_AN_ADDRESS: usize = 2_500;
/// Connections that are made at once.
const AT_ONCE: usize = 50;
/// Messages that are to pass meanwhile.
const MESSAGES: usize = 200;
/// How long a message may take from its acceptance to its arrival, although ten thousand others hold connections.
const PROMPT: Duration = Duration::from_secs(5);
/// The most of a processor that connections cost on which nothing happens.
const IDLE: f64 = 0.5;

/// Where slow requests stop: before anything, in a method (which might become HTTP/2's), in the headers, in the body.
fn starts() -> [String; 5] {
    let head = format!("POST /api/v1/app HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_KEY}\r\n");
    let headers = format!("{head}x-slow: ");
    let body = format!("{head}content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{");
    [String::new(), "P".into(), "PR".into(), headers, body]
}

async fn slow(number: usize, start: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let from = Ipv4Addr::new(127, 1, 0, u8::try_from(1 + number / OF_AN_ADDRESS).unwrap());
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    stream.write_all(start.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_slow_connections_keep_nobody_from_being_served() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    // Of so many the server has room for them and more; the test has its own ends open.
    assert!(maximum.is_none_or(|most| most >= 18_000), "this test takes 18,000 descriptors: {maximum:?}");
    let t = Tenant::start().await;
    let to: SocketAddr = t.server.address().parse().unwrap();
    t.endpoint(&t.receiver.url("/a")).await;
    let before = open_descriptors(t.server.pid());

    let (starts, mut held) = (starts(), Vec::with_capacity(SLOW));
    while held.len() < SLOW {
        let numbers = held.len()..SLOW.min(held.len() + AT_ONCE);
        held.extend(futures_util::future::join_all(numbers.map(|number| slow(number, &starts[number % starts.len()], to))).await);
    }
    eventually("all are let in", || async { (open_descriptors(t.server.pid()) >= before + SLOW).then_some(()) }).await;

    for number in 0..MESSAGES {
        let begun = tokio::time::Instant::now();
        t.send().await;
        t.receiver.wait("/a", number + 1).await;
        assert!(begun.elapsed() < PROMPT, "message {number} took {:?}", begun.elapsed());
    }
    let share = idle_share(t.server.pid()).await;
    println!("{SLOW} slow connections cost {:.1} % of a processor at rest", share * 100.0);
    assert!(share < IDLE, "{share}");
    drop(held);
    eventually("all are let go", || async { (open_descriptors(t.server.pid()) < before + 100).then_some(()) }).await;
}
