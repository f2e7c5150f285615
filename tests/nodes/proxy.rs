//! A way to the database that a test can freeze (nothing passes, nothing breaks) and cut (every connection breaks).

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

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
}

impl Proxy {
    /// Starts one to `host:port`.
    pub async fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, seen) = watch::channel(Way::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *seen.borrow() != Way::Cut {
                    tokio::spawn(connect(client, to.clone(), seen.clone()));
                }
            }
        });
        Proxy { port, way }
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
}

async fn connect(client: TcpStream, to: String, mut way: watch::Receiver<Way>) {
    if way.wait_for(|way| *way != Way::Frozen).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(to).await else { return };
    let mut cut = way.clone();
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::select! {
        () = copy(client_in, server_out, way.clone()) => {}
        () = copy(server_in, client_out, way) => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn copy(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer).await
        && read > 0
    {
        if way.wait_for(|way| *way != Way::Frozen).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
