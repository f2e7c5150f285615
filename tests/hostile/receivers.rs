//! Receivers that lie, break off, or never end: each is an attempt with a cause of its own, and nobody else is kept waiting.

use crate::{
    peers::{Authority, Identity, secure},
    tenant::Tenant,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use serde_json::json;
use std::{
    collections::HashSet,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What the receiver that never stops would send.
const TEN_GB: u64 = 10_000_000_000;
/// What it may get rid of before nobody listens any more: what is read of a body, and the buffers of two sockets.
const HEARD: u64 = 32 << 20;
/// The deadline of attempts.
const DEADLINE: &str = "3s";

/// A receiver that does this on every connection once it has read something.
async fn receiver<F: Future<Output = ()> + Send>(script: impl Fn(TcpStream) -> F + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let script = script.clone();
            tokio::spawn(async move {
                let mut some = [0; 4096];
                let _more_may_follow = stream.read(&mut some).await;
                script(stream).await;
            });
        }
    });
    url
}

async fn saying(text: &'static str) -> String {
    receiver(move |mut stream| async move {
        let _gone = stream.write_all(text.as_bytes()).await;
        std::future::pending::<()>().await;
    })
    .await
}

/// Says `head`, then `piece` again and again, with that pause; counts the bytes.
async fn endless(head: &'static str, piece: Vec<u8>, pause: Duration) -> (String, Arc<AtomicU64>) {
    let said = Arc::new(AtomicU64::new(0));
    let (count, piece) = (said.clone(), Arc::new(piece));
    let url = receiver(move |mut stream| {
        let (count, piece) = (count.clone(), piece.clone());
        async move {
            let _gone = stream.write_all(head.as_bytes()).await;
            while count.load(SeqCst) < TEN_GB && stream.write_all(&piece).await.is_ok() {
                count.fetch_add(piece.len() as u64, SeqCst);
                tokio::time::sleep(pause).await;
            }
        }
    })
    .await;
    (url, said)
}

/// A receiver over TLS with a certificate like this, of that authority; and the authority as PEM.
async fn certified(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let identity = Identity { certificate, key: key.serialize_der() };
    let pem = identity.certificate_pem();
    (secure(&identity, None).await.url, pem)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_misbehave_has_words_of_its_own() {
    let t = Tenant::start_with(&["--attempt-timeout", DEADLINE]).await;
    let none = Duration::ZERO;
    let (headers, said) = endless("HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n".repeat(1000), none).await;
    let (drips, _) = endless("HTTP/1.1 200 OK\r\n", b"x: y\r\n".to_vec(), Duration::from_millis(100)).await;
    let (body, _) = endless("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"a".to_vec(), Duration::from_millis(100)).await;
    let reset = receiver(|stream| async move { stream.set_zero_linger().unwrap() }).await;
    let (expired, root) =
        certified(|params| (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1))).await;
    let (other, other_root) = certified(|params| params.subject_alt_names = Vec::new()).await;
    let (authority, authority_root) = certified(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)).await;
    let unknown = secure(&Authority::new().issue("127.0.0.1"), None).await.url;
    let plain = saying("220 mail.test ESMTP\r\n").await.replace("http:", "https:");
    let cases = [
        (headers, None, "larger than allowed"),
        (drips, None, "did not answer within"),
        (body, None, "did not finish its answer within"),
        (saying("").await, None, "did not answer within"),
        (saying("220 mail.test ESMTP\r\n").await, None, "breaks the rules of HTTP"),
        (saying("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n").await, None, "contradict"),
        (saying("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n").await, None, "malformed"),
        (reset, None, "closed the connection"),
        (expired, Some(root), "certificate expired"),
        (other, Some(other_root), "certificate for another name"),
        (authority, Some(authority_root), "certificate of an authority, used as a server's own"),
        (unknown, None, "certificate of an unknown issuer"),
        (plain, None, "does not speak TLS"),
    ];
    let mut endpoints = Vec::new();
    for (url, root, words) in cases {
        let endpoint = match root {
            Some(root) => t.trusted(&url, &json!({"ca": root})).await,
            None => t.endpoint(&url).await,
        };
        endpoints.push((endpoint, words));
    }
    let good = t.endpoint(&t.receiver.url("/good")).await;
    let begun = tokio::time::Instant::now();
    let message = t.send().await;
    t.receiver.wait("/good", 1).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "the others kept it waiting");
    assert_eq!(t.attempts(&message, &good, 1).await[0]["status"], 0);
    let mut causes = HashSet::new();
    for (endpoint, words) in endpoints {
        let attempt = t.attempts(&message, &endpoint, 1).await.remove(0);
        assert!(attempt.to_string().contains(words), "{words}: {attempt}");
        assert_ne!(attempt["status"], 0, "{attempt}");
        causes.insert(words);
    }
    assert!(causes.len() >= 12);
    assert!(said.load(SeqCst) < HEARD, "{} bytes of headers were listened to", said.load(SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_gigabytes_are_not_listened_to() {
    let t = Tenant::start().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n";
    let (url, said) = endless(head, vec![b'a'; 1 << 20], Duration::ZERO).await;
    let endpoint = t.endpoint(&url).await;
    let message = t.send().await;
    let attempt = t.attempts(&message, &endpoint, 1).await.remove(0);
    // It took the message: what it has to say beyond that is its own business.
    assert_eq!(attempt["responseStatusCode"], 200, "{attempt}");
    assert!(attempt["response"].as_str().unwrap().len() <= 20_000);
    assert!(said.load(SeqCst) < HEARD, "{} bytes were listened to", said.load(SeqCst));
}
