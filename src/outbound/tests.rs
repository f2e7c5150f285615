//! Real sockets on loopback, and receivers that misbehave in every way.

use super::*;
use crate::clock::SystemClock;
use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const DEADLINE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(300);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn outbound(extra_roots: Vec<CertificateDer<'static>>) -> Outbound {
    let allow = ["127.0.0.0/8", "::1/128"].map(|c| c.parse().unwrap()).to_vec();
    Outbound::new(OutboundConfig { allow, extra_roots, ..OutboundConfig::default() }, Arc::new(SystemClock)).unwrap()
}

fn request() -> OutboundRequest {
    OutboundRequest { method: Method::POST, headers: HeaderMap::new(), body: Bytes::from_static(b"{\"a\":1}") }
}

/// Counts connections and requests of a receiver.
#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

/// A receiver that treats each request by a script.
async fn receiver<F, R>(script: F) -> (SocketAddr, Arc<Counts>)
where
    F: Fn(TcpStream, Arc<Counts>) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counts = Arc::new(Counts::default());
    let shared = counts.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.connections.fetch_add(1, SeqCst);
            tokio::spawn(script(stream, shared.clone()));
        }
    });
    (address, counts)
}

/// Reads one request (head and the seven bytes of its body); `false` at the end of the connection.
async fn read_request(stream: &mut TcpStream, counts: &Counts) -> bool {
    let mut read = Vec::new();
    let mut buffer = [0; 1024];
    while !read.ends_with(b"{\"a\":1}") {
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => read.extend_from_slice(&buffer[..n]),
            _ => return false,
        }
    }
    counts.requests.fetch_add(1, SeqCst);
    true
}

/// A receiver that answers every request with these bytes, then hangs or closes.
async fn answering(answer: &'static [u8], close: bool) -> (SocketAddr, Arc<Counts>) {
    receiver(move |mut stream, counts| async move {
        while read_request(&mut stream, &counts).await {
            stream.write_all(answer).await.unwrap();
            if close {
                return;
            }
        }
    })
    .await
}

fn target(address: SocketAddr) -> Target {
    Target::parse(&format!("http://{address}/hook?x=1")).unwrap()
}

async fn outcome_of(answer: &'static [u8], close: bool, deadline: Duration) -> Outcome {
    let (address, _) = answering(answer, close).await;
    outbound(vec![]).send(&target(address), request(), deadline).await
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let (address, counts) = answering(OK, false).await;
    let outbound = outbound(vec![]);
    for _ in 0..10 {
        let outcome = outbound.send(&target(address), request(), DEADLINE).await;
        assert_eq!(
            (outcome.cause, outcome.status, outcome.body.as_ref()),
            (Cause::Success, Some(200), b"ok".as_slice()),
            "{outcome:?}"
        );
        assert!(outcome.phases.total_us > 0);
    }
    assert_eq!((counts.connections.load(SeqCst), counts.requests.load(SeqCst)), (1, 10));
}

#[tokio::test]
async fn a_dead_pooled_connection_is_replaced_without_a_second_delivery() {
    let (address, counts) = receiver(|mut stream, counts| async move {
        // Answers one request a connection and closes it without saying so.
        read_request(&mut stream, &counts).await;
        stream.write_all(OK).await.unwrap();
    })
    .await;
    let outbound = outbound(vec![]);
    for n in 1..=5 {
        assert_eq!(outbound.send(&target(address), request(), DEADLINE).await.cause, Cause::Success);
        assert_eq!(counts.requests.load(SeqCst), n);
        // Until the close has arrived.
        tokio::time::timeout(DEADLINE, async {
            while outbound.pool.take(&target(address), Instant::now()).is_some_and(|lease| keep_open(&outbound, address, lease)) {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}

/// Gives the connection back if it still looks open.
fn keep_open(outbound: &Outbound, address: SocketAddr, lease: Lease) -> bool {
    match lease {
        Lease::Http1(sender, born) if !sender.is_closed() => {
            outbound.pool.keep(&target(address), sender, born, Instant::now());
            true
        }
        _ => false,
    }
}

#[tokio::test]
async fn statuses_have_their_causes_and_redirects_are_not_followed() {
    let redirect = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let outcome = outcome_of(redirect, false, DEADLINE).await;
    assert_eq!((outcome.cause, outcome.status), (Cause::Redirect, Some(302)));
    let busy = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nbusy";
    let outcome = outcome_of(busy, false, DEADLINE).await;
    assert_eq!((outcome.cause, outcome.detail.as_str()), (Cause::BadStatus, "503 Service Unavailable"));
    assert_eq!((outcome.retry_after, outcome.body.as_ref()), (Some(Duration::from_secs(120)), b"busy".as_slice()));
    let dated = b"HTTP/1.1 429 Slow\r\nRetry-After: Sat, 06 Nov 2094 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n";
    assert!(outcome_of(dated, false, DEADLINE).await.retry_after > Some(Duration::from_secs(86_400 * 365)));
}

#[tokio::test]
async fn one_deadline_covers_everything() {
    let silent = outcome_of(b"", false, SHORT).await;
    assert_eq!((silent.cause, silent.status), (Cause::HeadersTimeout, None));
    let halfway = outcome_of(b"HTTP/1.1 200 OK\r\nContent-Le", false, SHORT).await;
    assert_eq!(halfway.cause, Cause::HeadersTimeout);
    let hanging = outcome_of(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", false, SHORT).await;
    assert_eq!((hanging.cause, hanging.status, hanging.body.as_ref()), (Cause::BodyTimeout, Some(200), b"half".as_slice()));
    let (address, _) = receiver(|mut stream, counts| async move {
        read_request(&mut stream, &counts).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        while stream.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let begun = Instant::now();
    let dripping = outbound(vec![]).send(&target(address), request(), SHORT).await;
    assert_eq!(dripping.cause, Cause::BodyTimeout);
    assert!(begun.elapsed() < SHORT * 4);
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_connection_dropped() {
    let (address, counts) = receiver(|mut stream, counts| async move {
        read_request(&mut stream, &counts).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    let outbound = outbound(vec![]);
    for n in 1..=2 {
        let outcome = outbound.send(&target(address), request(), DEADLINE).await;
        assert_eq!((outcome.cause, outcome.body.len(), outcome.body_cut), (Cause::Success, KEEP_LIMIT, true));
        assert_eq!(counts.connections.load(SeqCst), n);
    }
}

#[tokio::test]
async fn broken_answers_have_their_causes() {
    assert_eq!(outcome_of(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", true, DEADLINE).await.cause, Cause::BadAnswer);
    assert_eq!(outcome_of(b"", true, DEADLINE).await.cause, Cause::Disconnected);
    assert_eq!(outcome_of(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true, DEADLINE).await.cause, Cause::Disconnected);
    let (address, _) = receiver(|mut stream, counts| async move {
        read_request(&mut stream, &counts).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"X-Endless: yes, there is always one more of them\r\n").await.is_ok() {}
    })
    .await;
    assert_eq!(outbound(vec![]).send(&target(address), request(), DEADLINE).await.cause, Cause::BadAnswer);
}

#[tokio::test]
async fn what_cannot_be_reached_says_why() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(outbound(vec![]).send(&target(closed), request(), DEADLINE).await.cause, Cause::ConnectionRefused);
    let guarded = Outbound::new(OutboundConfig::default(), Arc::new(SystemClock)).unwrap();
    for (url, class) in [
        ("http://127.0.0.1:9/", crate::model::AddressClass::Loopback),
        ("http://169.254.169.254/latest/meta-data", crate::model::AddressClass::LinkLocal),
        ("http://[::ffff:10.0.0.1]/", crate::model::AddressClass::Embedded),
        ("http://localhost:9/", crate::model::AddressClass::Loopback),
    ] {
        let outcome = guarded.send(&Target::parse(url).unwrap(), request(), DEADLINE).await;
        assert_eq!(outcome.cause, Cause::Blocked(class), "{url} {outcome:?}");
    }
}

/// A resolver that a stranger controls.
struct Lying(Vec<IpAddr>);

#[async_trait::async_trait]
impl Resolve for Lying {
    async fn resolve(&self, _name: &str) -> Result<Vec<IpAddr>, Failure> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn an_answer_that_mixes_outer_and_inner_addresses_is_refused_whole() {
    let addresses = vec!["93.184.216.34".parse().unwrap(), "10.0.0.7".parse().unwrap()];
    let outbound = Outbound::with_resolver(OutboundConfig::default(), Arc::new(SystemClock), Box::new(Lying(addresses))).unwrap();
    let outcome = outbound.send(&Target::parse("https://rebind.example/").unwrap(), request(), DEADLINE).await;
    assert_eq!(outcome.cause, Cause::Blocked(crate::model::AddressClass::Private));
}

/// A receiver behind TLS that speaks what ALPN agrees on; its certificate is for `localhost`.
async fn tls_receiver(alpn: &[u8]) -> (SocketAddr, CertificateDer<'static>, Arc<Counts>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut server = server.with_no_client_auth().with_single_cert(vec![certificate.clone()], key.try_into().unwrap()).unwrap();
    server.alpn_protocols = vec![alpn.to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let (address, counts) = receiver(move |stream, counts| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                counts.requests.fetch_add(1, SeqCst);
                let body = Bytes::from(format!("{:?}", request.version()));
                async move { Ok::<_, std::convert::Infallible>(Response::new(Full::new(body))) }
            });
            let executor = hyper_util::rt::TokioExecutor::new();
            let server = hyper_util::server::conn::auto::Builder::new(executor);
            drop(server.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await);
        }
    })
    .await;
    (address, certificate, counts)
}

#[tokio::test]
async fn certificates_are_checked_and_http2_is_shared() {
    for (alpn, version) in [(b"h2".as_slice(), "HTTP/2.0"), (b"http/1.1", "HTTP/1.1")] {
        let (address, certificate, counts) = tls_receiver(alpn).await;
        let url = format!("https://localhost:{}/hook", address.port());
        let target = Target::parse(&url).unwrap();
        let stranger = outbound(vec![]).send(&target, request(), DEADLINE).await;
        assert_eq!(stranger.cause, Cause::BadCertificate, "{stranger:?}");

        let outbound = outbound(vec![certificate]);
        let wrong_name = Target::parse(&url.replace("localhost", "127.0.0.1")).unwrap();
        assert_eq!(outbound.send(&wrong_name, request(), DEADLINE).await.cause, Cause::BadCertificate);
        let before = counts.connections.load(SeqCst);
        for _ in 0..3 {
            let outcome = outbound.send(&target, request(), DEADLINE).await;
            assert_eq!((outcome.cause, outcome.body.as_ref()), (Cause::Success, version.as_bytes()), "{outcome:?}");
        }
        assert_eq!(counts.connections.load(SeqCst) - before, 1);
    }
}
