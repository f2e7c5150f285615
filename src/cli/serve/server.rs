//! The listener: HTTP/1.1 and HTTP/2 over cleartext, bounded in what strangers can hold, stopped gracefully.

use super::{
    begun::Begun,
    certificates::Certificates,
    crowd::Crowd,
    early::Early,
    life::Life,
    moving::Moving,
    patience::{Patient, Timed},
    weight::{Pieces, Scales, Weigher},
};
use crate::shutdown::Shutdown;
use axum::{extract::Request, response::Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_rustls::TlsAcceptor;

/// How long a client may take for a request's headers, and how long a connection may lie idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a client may take for its part of a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that an HTTP/1 connection buffers at most; a request's headers fit into it.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes of an HTTP/2 request's headers.
const MAX_HEADER_LIST_BYTES: u32 = 32 * 1024;
/// Requests at once on an HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// Between two signs of life on an HTTP/2 connection.
const PING_EVERY: Duration = Duration::from_secs(60);
/// How long an idle HTTP/2 connection has to end once it was told to.
const GOODBYE: Duration = Duration::from_secs(5);
/// The pause after the system has refused to accept a connection (no descriptors left, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// That clients are refused, or wait, is said again after so long in which it was not so.
const SAID_FOR: Duration = Duration::from_secs(60);

/// Answers the requests of one connection.
pub(super) trait Answers:
    Service<Request<Timed<Incoming>>, Response = Response, Error = Infallible, Future: Send> + Send + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Timed<Incoming>>, Response = Response, Error = Infallible, Future: Send> + Send + 'static
{
}

#[derive(Clone)]
struct Protocols<F> {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    facing: F,
    shutdown: Shutdown,
    entrance: Entrance,
    scales: Arc<Scales>,
}

/// Who may come in, and whether they speak TLS.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    /// How many connections an address may hold.
    pub(super) crowd: Arc<Crowd>,
    /// With which certificates TLS is spoken; `None`: it is not.
    pub(super) tls: Option<Arc<Certificates>>,
    /// Connections at once; more wait in the system's backlog.
    pub(super) room: u32,
}

/// Serves until the shutdown, then waits for running requests at most `drain`. `facing` gives what answers a peer.
pub(super) async fn serve<F, S>((listener, entrance): (TcpListener, Entrance), facing: F, shutdown: Shutdown, drain: Duration)
where
    F: Fn(SocketAddr) -> S + Clone + Send + 'static,
    S: Answers,
{
    let room = entrance.room;
    let protocols = Protocols { http1: http1(), http2: http2(), facing, shutdown, entrance, scales: Arc::default() };
    let slots = Arc::new(Semaphore::new(room as usize));
    let accepting = accept(&listener, &protocols, &slots);
    tokio::select! {
        () = accepting => {}
        () = protocols.shutdown.raised() => {}
    }
    drop(listener);
    if tokio::time::timeout(drain, slots.acquire_many(room)).await.is_err() {
        tracing::warn!("requests were still running after {drain:?} and are cut off");
    }
}

async fn accept<F, S>(listener: &TcpListener, protocols: &Protocols<F>, slots: &Arc<Semaphore>)
where
    F: Fn(SocketAddr) -> S + Clone + Send + 'static,
    S: Answers,
{
    let room = slots.available_permits();
    let (mut crowded, mut failed) = (None, None);
    loop {
        if slots.available_permits() == 0 && is_news(&mut crowded) {
            tracing::warn!(connections = room, "all connections are taken; others wait until some end");
        }
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(visit) = protocols.entrance.crowd.enter(peer.ip()) else { continue };
                let protocols = protocols.clone();
                let service = (protocols.facing)(peer);
                tokio::spawn(async move {
                    protocols.serve((stream, peer.ip()), service).await;
                    drop((slot, visit));
                });
            }
            Err(error) => {
                if is_news(&mut failed) {
                    tracing::warn!(%error, "connections cannot be accepted; trying on");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether something that happens now has not happened for long.
fn is_news(last: &mut Option<Instant>) -> bool {
    last.replace(Instant::now()).is_none_or(|last| last.elapsed() > SAID_FOR)
}

impl<F> Protocols<F> {
    async fn serve(self, (stream, peer): (TcpStream, IpAddr), service: impl Answers) {
        let _slower_without = stream.set_nodelay(true);
        let Some(certificates) = self.entrance.tls.clone() else {
            let begun = tokio::select! {
                begun = timeout(HEADER_TIMEOUT, Begun::read(stream)) => begun,
                () = self.shutdown.raised() => return,
            };
            let Ok(Some((speaks_http2, stream))) = begun else { return };
            return self.answer(Moving::new(stream), (speaks_http2, peer), service).await;
        };
        let handshake = timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(certificates.current()).accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = self.shutdown.raised() => return,
        };
        if let Ok(Ok(stream)) = shaken {
            let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            self.answer(Moving::new(stream), (speaks_http2, peer), service).await;
        }
    }

    async fn answer<I>(self, stream: I, (speaks_http2, peer): (bool, IpAddr), service: impl Answers)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (weigher, service) = (Weigher::new(self.scales, peer), Patient(service));
        // A connection's end by the other side's fault is nobody's news.
        let _peer_s_business = match speaks_http2 {
            false => {
                let io = TokioIo::new(Early::new(stream));
                let mut connection = pin!(self.http1.serve_connection(io, weighed(weigher, service)));
                tokio::select! {
                    biased;
                    served = connection.as_mut() => served,
                    () = self.shutdown.raised() => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            }
            true => {
                let (io, life) = (TokioIo::new(stream), Life::new());
                let mut connection = pin!(self.http2.serve_connection(io, weighed(weigher.telling(&life), service)));
                tokio::select! {
                    biased;
                    served = connection.as_mut() => served,
                    () = self.shutdown.raised() => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                    () = life.ended(HEADER_TIMEOUT) => {
                        connection.as_mut().graceful_shutdown();
                        timeout(GOODBYE, connection).await.unwrap_or(Ok(()))
                    }
                }
            }
        };
    }
}

/// The service, its answers weighed.
fn weighed<S>(
    weigher: Weigher,
    service: S,
) -> impl Service<Request<Incoming>, Response = http::Response<Pieces>, Error = Infallible, Future: Send> + Send + 'static
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Send + 'static,
{
    service_fn(move |request: Request<Incoming>| {
        let weighing = weigher.begin(&request);
        let answered = service.call(request);
        async move { answered.await.map(|answer| weighing.end(answer)) }
    })
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_BUFFER_BYTES);
    builder
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_EVERY);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::serve::moving::WRITE_TIMEOUT;
    use axum::{Router, routing::get};
    use hyper_util::service::TowerToHyperService;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::Notify,
        task::JoinHandle,
    };

    const DRAIN: Duration = Duration::from_secs(20);

    async fn start(router: Router) -> (SocketAddr, Shutdown, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::default());
        let entrance = Entrance { crowd: Crowd::new(0, Vec::new()), tls: None, room: 512 };
        let facing = move |_| TowerToHyperService::new(router.clone());
        (address, shutdown.clone(), tokio::spawn(serve((listener, entrance), facing, shutdown, DRAIN)))
    }

    #[tokio::test]
    async fn both_protocols_are_spoken_on_one_port() {
        let (address, shutdown, served) = start(Router::new().route("/", get(async || "hello"))).await;
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        plain.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("hello"), "{text}");

        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get(format!("http://{address}/")).body(String::new()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        drop(sender);
        shutdown.raise();
        served.await.unwrap();
    }

    #[tokio::test]
    async fn a_shutdown_waits_for_running_requests_and_for_nobody_else() {
        let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, finishes) = (begun.clone(), finish.clone());
        let slow = get(async move || {
            begins.notify_one();
            finishes.notified().await;
            "done"
        });
        let (address, shutdown, served) = start(Router::new().route("/", slow)).await;
        let silent = TcpStream::connect(address).await.unwrap();
        let mut busy = TcpStream::connect(address).await.unwrap();
        busy.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        begun.notified().await;
        let asked = Instant::now();
        shutdown.raise();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        finish.notify_one();
        let mut text = String::new();
        busy.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("done"), "{text}");
        served.await.unwrap();
        assert!(asked.elapsed() < DRAIN);
        drop(silent);
    }

    /// For one connection, of whomever.
    fn protocols() -> Protocols<()> {
        Protocols {
            http1: http1(),
            http2: http2(),
            facing: (),
            shutdown: Shutdown::default(),
            entrance: Entrance { crowd: Crowd::new(0, Vec::new()), tls: None, room: 1 },
            scales: Arc::default(),
        }
    }

    /// A server whose answer no socket buffer holds, and a client that asks for it twice and reads none of it.
    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_left() {
        let large = Router::new().route("/", get(async || vec![b'x'; 64 << 20]));
        let (near, mut far) = tokio::io::duplex(1024);
        let protocols = protocols();
        let scales = protocols.scales.clone();
        let peer = IpAddr::from([127, 0, 0, 1]);
        let served = protocols.answer(Moving::new(near), (false, peer), TowerToHyperService::new(large));
        far.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        timeout(WRITE_TIMEOUT * 2, served).await.unwrap();
        assert_eq!(scales.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_http2_connection_that_only_answers_pings_ends() {
        let (near, far) = tokio::io::duplex(64 << 10);
        let protocols = protocols();
        let peer = IpAddr::from([127, 0, 0, 1]);
        let service = TowerToHyperService::new(Router::new().route("/", get(async || "hello")));
        let served = tokio::spawn(protocols.answer(Moving::new(near), (true, peer), service));
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(far)).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("http://x/").body(String::new()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        timeout(HEADER_TIMEOUT * 2, served).await.unwrap().unwrap();
        drop(sender);
    }
}
