//! The receiver: answers 200 to everything and notes what came. It runs on a thread of its own.

use super::{board::Board, letter};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    thread::JoinHandle,
};
use tokio::{net::TcpListener, sync::oneshot};

/// Largest body that is read, in bytes.
const BODY_MAX: usize = 2_000_000;

/// A running receiver; dropping it ends it.
#[derive(Debug)]
pub(super) struct Receiver {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Listens on a free port of that host.
    ///
    /// # Errors
    /// The address cannot be listened on, or no thread can be started.
    pub(super) fn start(host: IpAddr, board: Arc<Board>) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind((host, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("bench-receiver".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, board) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Receiver { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where deliveries of an endpoint of a round go.
    pub(super) fn url(&self, round: u32, endpoint: u32) -> String {
        format!("http://{}{}", self.address, path(round, endpoint))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The path that names an endpoint of a round.
pub(super) fn path(round: u32, endpoint: u32) -> String {
    format!("/{round}/{endpoint}")
}

fn place(path: &str) -> Option<(u32, u32)> {
    let (round, endpoint) = path.strip_prefix('/')?.split_once('/')?;
    Some((round.parse().ok()?, endpoint.parse().ok()?))
}

async fn serve(listener: std::net::TcpListener, board: Arc<Board>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let board = Arc::clone(&board);
        let service = service_fn(move |request| answer(Arc::clone(&board), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(board: Arc<Board>, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let place = place(request.uri().path());
    let mut response = Response::new(Empty::new());
    match Limited::new(request.into_body(), BODY_MAX).collect().await {
        Ok(body) => {
            if let (Some((round, endpoint)), Some(number)) = (place, letter::number(&body.to_bytes())) {
                board.note(round, endpoint, number);
            }
        }
        Err(_) => *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE,
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_round_and_endpoint() {
        assert_eq!(place(&path(3, 7)), Some((3, 7)));
        for other in ["/", "/3", "/3/", "/3/x", "3/7", "/3/7/1"] {
            assert_eq!(place(other), None, "{other}");
        }
    }
}
