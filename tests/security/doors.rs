//! The front door: what every request must have, and what every answer carries.

use crate::{
    peers::Authority,
    support::{Api, Options, Server, eventually},
    tenant::Tenant,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn told(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _cut = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn a_request_without_a_host_or_with_two_is_refused() {
    let t = Tenant::start().await;
    let address = t.server.address();
    for path in ["/api/v1/health", "/in/x", "/api/v1/app/a/msg"] {
        let bare = told(address, &format!("POST {path} HTTP/1.1\r\nconnection: close\r\n\r\n")).await;
        assert!(bare.starts_with("HTTP/1.1 400"), "{path}: {bare}");
        let twice = told(address, &format!("POST {path} HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n")).await;
        assert!(twice.starts_with("HTTP/1.1 400"), "{path}: {twice}");
    }
    let old = told(address, "GET /api/v1/health HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 204"), "{old}");
}

#[tokio::test]
async fn answers_tell_browsers_to_be_careful() {
    let t = Tenant::start().await;
    let page = t.api.get("/docs").await;
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert!(!page.header("content-security-policy").is_empty());
    let json = t.api.get("/api/v1/app").await;
    assert_eq!((json.header("x-content-type-options"), json.header("x-frame-options")), ("nosniff", ""));
}

#[tokio::test]
async fn requests_are_bounded_in_headers_and_bytes() {
    let t = Tenant::start().await;
    let address = t.server.address();
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let answer = told(address, &format!("GET /api/v1/health HTTP/1.1\r\nhost: a\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let large = format!("x-large: {}\r\n", "y".repeat(300_000));
    let answer = told(address, &format!("GET /api/v1/health HTTP/1.1\r\nhost: a\r\n{large}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    t.api.get("/api/v1/health").await.expect(204);
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let server =
        Server::start_with(Options { args: ["--connections-per-address", "3"].map(Into::into).to_vec(), env: Vec::new() }).await;
    let mut held = Vec::new();
    let refused = eventually("a connection too many is closed", || async {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let mut byte = [0];
        let closed = tokio::time::timeout(Duration::from_millis(200), stream.peek(&mut byte)).await;
        Some((stream, matches!(closed, Ok(Ok(0) | Err(_)))))
    });
    let (stream, closed) = refused.await;
    held.push(stream);
    let mut any_closed = closed;
    for _ in 0..6 {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let mut byte = [0];
        let seen = tokio::time::timeout(Duration::from_millis(500), stream.peek(&mut byte)).await;
        any_closed |= matches!(seen, Ok(Ok(0) | Err(_)));
        held.push(stream);
    }
    assert!(any_closed);
    drop(held);
    let api = Api::new(server.address(), None);
    eventually("others are served when they are gone", || async {
        api.try_send("GET", "/api/v1/health", &[], bytes::Bytes::new()).await.ok().filter(|answer| answer.status == 204)
    })
    .await;
}

/// A GET over TLS; the answer's first line and the certificate that was shown.
async fn over_tls(address: &str, root: &Authority) -> Option<(String, Vec<u8>)> {
    let mut store = rustls::RootCertStore::empty();
    store.add(root.der()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.ok()?;
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    let shown = stream.get_ref().1.peer_certificates()?.first()?.to_vec();
    stream.write_all(b"GET /api/v1/health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    let _cut = stream.read_to_string(&mut answer).await;
    Some((answer.lines().next()?.to_owned(), shown))
}

#[tokio::test]
async fn the_listener_speaks_tls_and_takes_over_new_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let authority = Authority::new();
    let put = |name: &str| {
        let identity = authority.issue(name);
        std::fs::write(&key, identity.key_pem()).unwrap();
        std::fs::write(&cert, identity.certificate_pem()).unwrap();
        identity.certificate.to_vec()
    };
    let first = put("127.0.0.1");
    let paths = [cert.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned()];
    let args = vec!["--tls-cert".into(), paths[0].clone(), "--tls-key".into(), paths[1].clone()];
    let server = Server::start_tls(args).await;
    let answer = eventually("it answers", || over_tls(server.address(), &authority)).await;
    assert_eq!(answer, ("HTTP/1.1 204 No Content".into(), first));
    // Plain HTTP on that port is not answered.
    assert!(!told(server.address(), "GET /api/v1/health HTTP/1.1\r\nhost: a\r\n\r\n").await.contains("HTTP/1.1 2"));
    let second = put("127.0.0.1");
    server.signal("HUP");
    eventually("the new certificate is shown", || async {
        over_tls(server.address(), &authority).await.filter(|(_, shown)| *shown == second)
    })
    .await;
    // A file that cannot be used leaves the old one in place.
    std::fs::write(&cert, "broken").unwrap();
    server.signal("HUP");
    let (line, shown) = over_tls(server.address(), &authority).await.unwrap();
    assert_eq!((line.as_str(), shown), ("HTTP/1.1 204 No Content", second));
}
