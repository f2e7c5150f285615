//! TLS and HTTP/2.

use super::{receiver::Receiver, *};
use crate::model::Cause;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio_rustls::TlsAcceptor;

/// A receiver over TLS; `/hang` is never answered.
struct Secure {
    receiver: Receiver,
    served: Arc<AtomicUsize>,
    root: CertificateDer<'static>,
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/hang" {
        std::future::pending::<()>().await;
    }
    let version = format!("{:?} {}", request.version(), request.uri().authority().map_or("", |authority| authority.as_str()));
    Ok(Response::new(Full::new(version.into())))
}

async fn secure(alpn: &[&[u8]], params: CertificateParams) -> Secure {
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap().der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![root.clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let served = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&served);
    let receiver = Receiver::start(move |peer| {
        let (acceptor, served) = (acceptor.clone(), Arc::clone(&counter));
        async move {
            let Ok(stream) = acceptor.accept(peer.stream).await else { return };
            let service = service_fn(move |request| {
                served.fetch_add(1, Ordering::SeqCst);
                answer(request)
            });
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    Secure { receiver, served, root }
}

fn named(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

impl Secure {
    fn client(&self) -> Outbound {
        let config = OutboundConfig { allow: loopback(), extra_roots: vec![self.root.clone()], ..OutboundConfig::default() };
        client_with(config, &[Ok(vec![[127, 0, 0, 1].into()])])
    }

    fn url(&self, path: &str) -> String {
        format!("https://receiver.test:{}{path}", self.receiver.address.port())
    }
}

#[tokio::test]
async fn http1_over_tls_is_reused() {
    for alpn in [&[b"http/1.1".as_slice()][..], &[]] {
        let secure = secure(alpn, named("receiver.test")).await;
        let client = secure.client();
        for number in 0..3 {
            let outcome = send(&client, &secure.url("/"), PATIENCE).await;
            assert_eq!((outcome.cause, &outcome.body[..]), (Cause::Success, &b"HTTP/1.1 "[..]), "{}", outcome.detail);
            assert_eq!(outcome.phases.tls_us > 0, number == 0);
        }
        assert_eq!((secure.receiver.accepted(), secure.served.load(Ordering::SeqCst)), (1, 3));
    }
}

#[tokio::test]
async fn http2_is_chosen_by_alpn_and_shared() {
    let secure = secure(&[b"h2", b"http/1.1"], named("receiver.test")).await;
    let client = Arc::new(secure.client());
    let all: Vec<_> = (0..250)
        .map(|_| {
            let (client, url) = (Arc::clone(&client), secure.url("/a"));
            tokio::spawn(async move { send(&client, &url, PATIENCE).await })
        })
        .collect();
    let authority = format!("HTTP/2.0 receiver.test:{}", secure.receiver.address.port());
    for one in all {
        let outcome = one.await.unwrap();
        assert_eq!((outcome.cause, &outcome.body[..]), (Cause::Success, authority.as_bytes()), "{}", outcome.detail);
    }
    assert_eq!((secure.receiver.accepted(), secure.served.load(Ordering::SeqCst)), (1, 250));
    assert_eq!(client.pool.counts(), (1, 0));
    client.pool.sweep(tokio::time::Instant::now() + Duration::from_secs(31));
    assert_eq!(client.pool.counts(), (0, 0));
}

#[tokio::test]
async fn a_request_that_hangs_does_not_disturb_others_on_its_connection() {
    let secure = secure(&[b"h2"], named("receiver.test")).await;
    let client = secure.client();
    let (hang, fine) = (secure.url("/hang"), secure.url("/fine"));
    let (hanging, fine) = tokio::join!(send(&client, &hang, BRIEF), send(&client, &fine, PATIENCE));
    assert_eq!((hanging.cause, fine.cause), (Cause::HeadersTimeout, Cause::Success));
    assert_eq!(send(&client, &secure.url("/later"), PATIENCE).await.cause, Cause::Success);
    assert_eq!(secure.receiver.accepted(), 1);
}

#[tokio::test]
async fn certificates_are_judged() {
    let mut expired = named("receiver.test");
    (expired.not_before, expired.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    let cases =
        [(named("receiver.test"), false, "unknown issuer"), (named("x.test"), true, "another name"), (expired, true, "expired")];
    for (params, trusted, words) in cases {
        let secure = secure(&[b"http/1.1"], params).await;
        let client = if trusted { secure.client() } else { client() };
        let outcome = send(&client, &secure.url("/"), PATIENCE).await;
        assert_eq!(outcome.cause, Cause::BadCertificate, "{}", outcome.detail);
        assert!(outcome.detail.contains(words), "{}", outcome.detail);
        assert_eq!(secure.served.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn what_is_not_tls_says_so() {
    let plain = Receiver::start(|mut peer| async move {
        peer.say(b"220 mail.test ESMTP\r\n").await;
        peer.closed().await;
    })
    .await;
    let gone = Receiver::start(|_| async {}).await;
    for receiver in [plain, gone] {
        let url = format!("https://{}/", receiver.address);
        assert_eq!(send(&client(), &url, PATIENCE).await.cause, Cause::TlsFailed);
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_meets_the_deadline() {
    let silent = Receiver::start(|mut peer| async move { peer.closed().await }).await;
    let url = format!("https://{}/", silent.address);
    assert_eq!(send(&client(), &url, BRIEF).await.cause, Cause::ConnectTimeout);
    let config = OutboundConfig { allow: loopback(), connect_timeout: BRIEF, ..OutboundConfig::default() };
    assert_eq!(send(&client_with(config, &[]), &url, PATIENCE).await.cause, Cause::ConnectTimeout);
}
