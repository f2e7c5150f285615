//! The guard at work: what a name resolves to decides whether anything is dialled.

use super::{receiver::Receiver, *};
use crate::model::{AddressClass, Cause};

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn loopback_is_blocked_unless_allowed() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let port = receiver.address.port();
    let strict = client_with(OutboundConfig::default(), &[Ok(ips(&["127.0.0.1"]))]);
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "name.test", "127.0.0.1."] {
        let outcome = send(&strict, &format!("http://{host}:{port}/"), PATIENCE).await;
        assert_eq!(outcome.cause, Cause::Blocked(AddressClass::Loopback), "{host}");
    }
    let mapped = send(&client(), &format!("http://[::ffff:127.0.0.1]:{port}/"), PATIENCE).await;
    assert_eq!(mapped.cause, Cause::Blocked(AddressClass::Embedded));
    assert_eq!(receiver.accepted(), 0);
    assert_eq!(send(&client(), &receiver.url(), PATIENCE).await.cause, Cause::Success);
}

#[tokio::test]
async fn one_address_that_is_not_allowed_refuses_the_whole_answer() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let config = OutboundConfig { allow: loopback(), ..OutboundConfig::default() };
    let client = client_with(config, &[Ok(ips(&["127.0.0.1", "10.0.0.1"])), Ok(ips(&["fe80::1", "127.0.0.1"]))]);
    let url = format!("http://mixed.test:{}/", receiver.address.port());
    assert_eq!(send(&client, &url, PATIENCE).await.cause, Cause::Blocked(AddressClass::Private));
    assert_eq!(send(&client, &url, PATIENCE).await.cause, Cause::Blocked(AddressClass::LinkLocal));
    assert_eq!(receiver.accepted(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_vetted_by_the_answer_that_is_dialled() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    let config = OutboundConfig { allow: loopback(), ..OutboundConfig::default() };
    let client = client_with(config, &[Ok(ips(&["127.0.0.1"])), Ok(ips(&["169.254.169.254"]))]);
    let url = format!("http://rebinding.test:{}/", receiver.address.port());
    assert_eq!(send(&client, &url, PATIENCE).await.cause, Cause::Success);
    assert_eq!(send(&client, &url, PATIENCE).await.cause, Cause::Blocked(AddressClass::LinkLocal));
    assert_eq!(receiver.accepted(), 1);
}

#[tokio::test]
async fn every_vetted_address_is_tried() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let config = OutboundConfig { allow: loopback(), ..OutboundConfig::default() };
    let client = client_with(config, &[Ok(ips(&["::1", "127.0.0.2", "127.0.0.1"]))]);
    let url = format!("http://several.test:{}/", receiver.address.port());
    let outcome = send(&client, &url, PATIENCE).await;
    assert_eq!((outcome.cause, receiver.accepted()), (Cause::Success, 1));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_says_why() {
    let failed = ResolveError::Failed("the name server is out".into());
    let client = client_with(OutboundConfig::default(), &[Err(ResolveError::NotFound), Ok(vec![]), Err(failed)]);
    for (cause, detail) in [(Cause::NameNotFound, ""), (Cause::NameNotFound, ""), (Cause::ResolverFailed, "the name server is out")]
    {
        let outcome = send(&client, "http://nowhere.test/", PATIENCE).await;
        assert_eq!((outcome.cause, outcome.detail.as_str()), (cause, detail));
    }
}

#[tokio::test]
async fn a_resolver_that_hangs_meets_the_deadline() {
    #[derive(Debug)]
    struct Hanging;
    #[async_trait::async_trait]
    impl Resolve for Hanging {
        async fn resolve(&self, _host: &str) -> Addresses {
            std::future::pending().await
        }
    }
    let client = Outbound::with_resolver(OutboundConfig::default(), Arc::new(SystemClock), Arc::new(Hanging)).unwrap();
    assert_eq!(send(&client, "https://slow.test/", BRIEF).await.cause, Cause::ResolverFailed);
}

#[tokio::test]
async fn the_systems_resolver_knows_localhost() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let config = OutboundConfig { allow: loopback(), ..OutboundConfig::default() };
    let client = Outbound::new(config, Arc::new(SystemClock)).unwrap();
    let outcome = send(&client, &format!("http://localhost:{}/", receiver.address.port()), PATIENCE).await;
    assert_eq!(outcome.cause, Cause::Success, "{}", outcome.detail);
}
