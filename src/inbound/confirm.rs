//! Confirmations: a sender (SNS) waits until an address of its own is called. The handshake has checked that the address is
//! the sender's; here it is called in the background, through the guarded client, a few times if need be.

use super::{Compiled, Head, Reason, Rejections};
use crate::{
    flow::Engine,
    model::{Cause, Outcome},
    outbound::{Outbound, OutboundRequest, Target},
};
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Confirmations at once; whoever asks for more is not answered with one.
const AT_ONCE: usize = 32;
/// One deadline for a call: name, connection, headers and body.
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// After how long a failed call is repeated.
const AGAIN_AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// Calls of confirmation addresses, in the background.
pub(super) struct Confirmations {
    engine: Arc<Engine>,
    rejections: Arc<Rejections>,
    slots: Arc<Semaphore>,
    /// Without a permit ever; closed when no further try is to begin.
    ending: Arc<Semaphore>,
}

impl Confirmations {
    pub(super) fn new(engine: Arc<Engine>, rejections: Arc<Rejections>) -> Self {
        let (slots, ending) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(0)));
        Confirmations { engine, rejections, slots, ending }
    }

    /// Calls the address until it answers, or the tries are over; then a rejection tells the owner why it did not work.
    pub(super) fn begin(&self, source: Arc<Compiled>, head: Head, url: String) {
        let (engine, rejections, ending) = (self.engine.clone(), self.rejections.clone(), self.ending.clone());
        let slot = self.slots.clone().try_acquire_owned();
        tokio::spawn(async move {
            let called = match &slot {
                Ok(_) => {
                    let reached = |target| engine.routing.reached(source.source.org, target).map_err(|error| error.to_string());
                    call_until_answered(&engine.outbound, parsed(&url).and_then(reached), &ending).await
                }
                Err(_) => Err("too many confirmations are waiting; ask for another one".to_owned()),
            };
            match called {
                Ok(()) => tracing::info!(source = %source.source.id, "the subscription is confirmed"),
                Err(why) => rejections.record(&source, &head, &Bytes::new(), &Reason::Confirmation(why)).await,
            }
        });
    }

    /// Begins no further try, and waits until those that run have ended, at most so long.
    pub(super) async fn drain(&self, within: Duration) {
        self.ending.close();
        let all = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        let _what_is_left_ends_with_the_process = tokio::time::timeout(within, self.slots.acquire_many(all)).await;
    }
}

fn parsed(url: &str) -> Result<Target, String> {
    let target = Target::parse(url).map_err(|error| error.to_string())?;
    if target.is_https() { Ok(target) } else { Err("the address to be called is not https".to_owned()) }
}

async fn call_until_answered(outbound: &Outbound, target: Result<Target, String>, ending: &Semaphore) -> Result<(), String> {
    let target = target?;
    let mut pauses = AGAIN_AFTER.into_iter();
    loop {
        let request = OutboundRequest { method: Method::GET, headers: HeaderMap::new(), body: Bytes::new() };
        let outcome = outbound.send(&target, request, CALL_WITHIN).await;
        if outcome.succeeded() {
            return Ok(());
        }
        match pauses.next().filter(|_| !matches!(outcome.cause, Cause::Blocked(_))) {
            None => return Err(in_words(&outcome)),
            Some(pause) => tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = ending.acquire() => return Err(format!("given up as the server ended: {}", in_words(&outcome))),
            },
        }
    }
}

fn in_words(outcome: &Outcome) -> String {
    match outcome.detail.as_str() {
        "" => outcome.cause.sentence().to_owned(),
        detail => format!("{} ({detail})", outcome.cause.sentence()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::SystemClock, outbound::OutboundConfig};
    use rcgen::{CertificateParams, KeyPair};
    use rustls::{ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time::Instant,
    };
    use tokio_rustls::TlsAcceptor;

    fn client(allow: &[&str]) -> Outbound {
        let allow = allow.iter().map(|range| range.parse().unwrap()).collect();
        Outbound::new(OutboundConfig { allow, ..OutboundConfig::default() }, Arc::new(SystemClock)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_called_is_not_called_again() {
        let (started, ending) = (Instant::now(), Semaphore::new(0));
        for (url, word) in [
            ("https://127.0.0.1:1/", "loopback"),
            ("https://169.254.169.254/latest/meta-data", "link-local"),
            ("http://sns.us-east-1.amazonaws.com/", "https"),
            ("nonsense", "http"),
        ] {
            let why = call_until_answered(&client(&[]), parsed(url), &ending).await.unwrap_err();
            assert!(why.contains(word), "{url}: {why}");
        }
        assert!(started.elapsed() < AGAIN_AFTER[0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_call_is_repeated_until_the_end() {
        let (started, ending) = (Instant::now(), Semaphore::new(0));
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = format!("https://{closed}/");
        let why = call_until_answered(&client(&["127.0.0.0/8"]), parsed(&url), &ending).await.unwrap_err();
        assert!(started.elapsed() >= AGAIN_AFTER.iter().sum::<Duration>(), "{why}");
        ending.close();
        let why = call_until_answered(&client(&["127.0.0.0/8"]), parsed(&url), &ending).await.unwrap_err();
        assert!(why.starts_with("given up"), "{why}");
    }

    /// What a sender over TLS was asked, when it gives these answers one after another.
    async fn asked(listener: TcpListener, tls: ServerConfig, answers: &[&str]) -> Vec<String> {
        let (acceptor, mut asked) = (TlsAcceptor::from(Arc::new(tls)), Vec::new());
        for answer in answers {
            let (stream, _) = listener.accept().await.unwrap();
            let (mut stream, mut request) = (acceptor.accept(stream).await.unwrap(), [0; 1024]);
            let read = stream.read(&mut request).await.unwrap();
            asked.push(String::from_utf8_lossy(&request[..read]).lines().next().unwrap().to_owned());
            let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        asked
    }

    #[tokio::test]
    async fn a_call_is_repeated_until_it_is_answered() {
        let key = KeyPair::generate().unwrap();
        let root = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap().der().clone();
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let tls = tls.with_no_client_auth().with_single_cert(vec![root.clone()], key).unwrap();
        let allow = vec!["127.0.0.0/8".parse().unwrap()];
        let config = OutboundConfig { allow, extra_roots: vec![root], ..OutboundConfig::default() };
        let outbound = Outbound::new(config, Arc::new(SystemClock)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/?Action=ConfirmSubscription&Token=a%20b", listener.local_addr().unwrap());
        let sender = asked(listener, tls, &["503 Busy", "200 OK"]);
        let ending = Semaphore::new(0);
        let (asked, called) = tokio::join!(sender, call_until_answered(&outbound, parsed(&url), &ending));
        assert_eq!(called, Ok(()));
        assert_eq!(asked, ["GET /?Action=ConfirmSubscription&Token=a%20b HTTP/1.1"; 2]);
    }
}
