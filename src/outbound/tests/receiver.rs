//! A receiver that does, for each connection, what its test tells it to.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A receiver on a port of its own.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

/// One connection, as the receiver sees it.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    read: Vec<u8>,
    requests: Arc<AtomicUsize>,
}

impl Receiver {
    /// Runs `script` for each connection.
    pub(super) async fn start<F: Future<Output = ()> + Send>(script: impl Fn(Peer) -> F + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let receiver = Receiver { address, accepted: Arc::clone(&accepted), requests: Arc::clone(&requests) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let peer = Peer { stream, read: Vec::new(), requests: Arc::clone(&requests) };
                let script = script.clone();
                tokio::spawn(async move { script(peer).await });
            }
        });
        receiver
    }

    /// Gives the same answer to each request.
    pub(super) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |mut peer| {
            let answer = Arc::clone(&answer);
            async move {
                while peer.request().await.is_some() {
                    peer.say(&answer).await;
                }
            }
        })
        .await
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Peer {
    /// The head of the next request, once its body has come too. `None`: the connection is closed.
    pub(super) async fn request(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8(self.read[..end].to_vec()).unwrap();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let end = end + 4 + length.map_or(0, |length| length.parse().unwrap());
                if self.read.len() >= end {
                    self.read.drain(..end);
                    self.requests.fetch_add(1, Ordering::SeqCst);
                    return Some(head);
                }
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// Writes as far as the client reads.
    pub(super) async fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Waits until the client has closed the connection.
    pub(super) async fn closed(&mut self) {
        while self.request().await.is_some() {}
    }
}
