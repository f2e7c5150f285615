//! The front door: what every request must have, and what every answer carries.

use crate::{
    peers::Authority,
    support::{Api, Options, Server, eventually, run},
    tenant::Tenant,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

async fn told(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _cut = stream.read_to_string(&mut answer).await;
    answer
}

/// The status line and the headers of the answer.
async fn head_of(address: &str, request: &str) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let (reader, mut writer) = stream.into_split();
    // Who is refused early may not get to send all of it.
    let (request, mut lines) = (request.to_owned(), BufReader::new(reader).lines());
    let sending = tokio::spawn(async move { writer.write_all(request.as_bytes()).await.map(|()| writer) });
    let mut head = String::new();
    while let Some(line) = lines.next_line().await.unwrap().filter(|line| !line.is_empty()) {
        head = head + &line + "\r\n";
    }
    drop(sending.await);
    head
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
async fn a_host_that_is_none_is_refused() {
    let t = Tenant::start().await;
    let address = t.server.address();
    for path in ["/api/v1/health", "/in/x", "/api/v1/app/a/msg"] {
        for host in ["a b", "a/b", "u@a", "a:b", "[::1", "a\\b"] {
            let answer = told(address, &format!("POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("invalid_host"), "{path} {host}: {answer}");
        }
    }
    for host in ["", "a", "a.example:80", "[::1]:8080"] {
        let answer = told(address, &format!("GET /api/v1/health HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 204"), "{host}: {answer}");
    }
}

#[tokio::test]
async fn answers_that_are_given_early_are_as_careful_as_all_others() {
    let t = Tenant::start().await;
    let address = t.server.address();
    let post = |path: &str, more: &str| format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{more}\r\n");
    let messages = t.path("/msg");
    let bearer = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", t.api.token());
    for (status, request) in [
        (400, "GET /\u{1}x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned()),
        (400, "GET / HTTP/9.9\r\nhost: a\r\n\r\n".to_owned()),
        (400, "GET /api/v1/health HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned()),
        (400, "GET /api/v1/health HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n".to_owned()),
        (401, post(&messages, "content-length: 0\r\n")),
        (413, post(&messages, &format!("{bearer}content-length: 99999999\r\n"))),
        (404, post("/in/x", "content-length: 0\r\n")),
        (404, post("/nowhere", "content-length: 0\r\n")),
        (431, format!("GET / HTTP/1.1\r\nhost: a\r\nx-large: {}\r\n\r\n", "y".repeat(300_000))),
    ] {
        let answer = head_of(address, &request).await;
        let start = request.get(..80.min(request.len())).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{start}: {answer}");
        for careful in ["\r\nx-content-type-options: nosniff\r\n", "\r\nreferrer-policy: no-referrer\r\n"] {
            assert_eq!(answer.matches(careful).count(), 1, "{start}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_a_source_answers_is_no_page_of_this_server() {
    let t = Tenant::start().await;
    let html = serde_json::json!({"headers": {"content-type": "text/html"}, "body": "<script>alert(1)</script>"});
    let source = |response: &serde_json::Value| {
        let body = serde_json::json!({"provider": "gitlab-token", "secret": "a token", "response": response});
        let api = t.api.clone();
        async move { api.post("/api/v1/source", &body.to_string()).await }
    };
    for header in ["Set-Cookie", "clear-site-data", "content-security-policy", "Service-Worker-Allowed"] {
        source(&serde_json::json!({"headers": {header: "x"}})).await.refused(422, header);
    }
    let made = source(&html).await.expect(201);
    let path = made["url"].as_str().unwrap().split_once("/in/").map(|(_, token)| format!("/in/{token}")).unwrap();
    let headers = [("x-gitlab-token", "a token"), ("x-gitlab-event", "Push Hook"), ("idempotency-key", "1")];
    let answer = t.api.anonymous().send("POST", &path, &headers, r#"{"object_kind": "push"}"#).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html"), "{}", answer.text());
    assert!(answer.header("content-security-policy").starts_with("sandbox;"), "{:?}", answer.headers);
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
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
    // The commands of this machine know their server by the certificate in its folder, whatever name it is for.
    std::fs::write(&cert, "").unwrap();
    put("hooks.example.com");
    server.signal("HUP");
    let data = server.data().join("data");
    let rotate = || run(&["keys", "rotate-master", "--data", data.to_str().unwrap()]);
    eventually("a command reaches the server", || async { rotate().status.success().then_some(()) }).await;
    std::fs::write(data.join("server.cert.sha256"), "0".repeat(64)).unwrap();
    let refused = rotate();
    assert!(!refused.status.success(), "another certificate than the noted one is not trusted");
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
