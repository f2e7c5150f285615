//! A way to the database that a test can freeze (nothing passes, nothing breaks) and cut (every connection breaks), and on which
//! answers are lost: what was asked is done, and the connection breaks before anybody hears of it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
    time::timeout,
};

/// A database that has said nothing for so long has answered what it was asked.
const SILENCE: Duration = Duration::from_millis(100);

/// What the way does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Open,
    Frozen,
    Cut,
}

/// A TCP proxy on a port of its own.
pub struct Proxy {
    port: u16,
    way: watch::Sender<Way>,
    losses: Arc<Losses>,
}

/// Answers that are lost.
#[derive(Default)]
struct Losses {
    /// The next connection that carries this word.
    of: Mutex<Option<&'static str>>,
    count: AtomicUsize,
}

impl Losses {
    /// Whether the answer to this is to be lost.
    fn begin(&self, asked: &[u8]) -> bool {
        let mut of = self.of.lock().unwrap();
        let lost = of.is_some_and(|word| asked.windows(word.len()).any(|part| part == word.as_bytes()));
        if lost {
            *of = None;
        }
        lost
    }
}

impl Proxy {
    /// Starts one to `host:port`.
    pub async fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, seen) = watch::channel(Way::Open);
        let losses = Arc::<Losses>::default();
        let shared = losses.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *seen.borrow() != Way::Cut {
                    tokio::spawn(connect(client, to.clone(), (seen.clone(), shared.clone())));
                }
            }
        });
        Proxy { port, way, losses }
    }

    /// The same database by this way.
    pub fn url(&self, url: &str) -> String {
        let (before, after) = url.split_once("@127.0.0.1:").unwrap();
        let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
        format!("{before}@127.0.0.1:{}{after}", self.port)
    }

    /// From now on.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// The answer to the next statement that has this word in it is lost, with the connection, when the statement is done.
    pub fn lose_answer_to(&self, word: &'static str) {
        *self.losses.of.lock().unwrap() = Some(word);
    }

    /// Answers that were lost.
    pub fn lost(&self) -> usize {
        self.losses.count.load(SeqCst)
    }
}

async fn connect(client: TcpStream, to: String, (mut way, losses): (watch::Receiver<Way>, Arc<Losses>)) {
    if way.wait_for(|way| *way != Way::Frozen).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(to).await else { return };
    let mut cut = way.clone();
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let (lose, lost) = watch::channel(false);
    let asked = |bytes: &[u8]| {
        if losses.begin(bytes) {
            lose.send_replace(true);
        }
        false
    };
    let answered = |_: &[u8]| *lost.borrow();
    let swallowed = tokio::select! {
        _ = copy((client_in, server_out), way.clone(), asked) => None,
        swallowed = copy((server_in, client_out), way, answered) => swallowed,
        _ = cut.wait_for(|way| *way == Way::Cut) => None,
    };
    // Held open until it is done, so that nobody asks again before.
    if let Some((mut server, _client)) = swallowed {
        let mut rest = [0; 4096];
        while timeout(SILENCE, server.read(&mut rest)).await.is_ok_and(|read| read.is_ok_and(|read| read > 0)) {}
        losses.count.fetch_add(1, SeqCst);
    }
}

/// Copies until one side ends, or `swallow` says that this and what follows is not to be passed on: then both sides, open.
async fn copy(
    (mut from, mut to): (tcp::OwnedReadHalf, tcp::OwnedWriteHalf),
    mut way: watch::Receiver<Way>,
    swallow: impl Fn(&[u8]) -> bool,
) -> Option<(tcp::OwnedReadHalf, tcp::OwnedWriteHalf)> {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer).await
        && read > 0
    {
        if swallow(&buffer[..read]) {
            return Some((from, to));
        }
        if way.wait_for(|way| *way != Way::Frozen).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return None;
        }
    }
    None
}
