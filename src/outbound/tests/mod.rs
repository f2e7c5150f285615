//! The client against receivers that misbehave, over real sockets.

mod early;
mod names;
mod plain;
mod receiver;
mod secure;

use super::*;
use crate::{clock::SystemClock, model::Outcome};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{collections::VecDeque, net::IpAddr};

/// Time for what is expected to succeed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time for what is expected to run into its deadline.
const BRIEF: Duration = Duration::from_millis(300);

type Addresses = Result<Vec<IpAddr>, ResolveError>;

/// Gives its answers one after another, and the last one from then on.
#[derive(Debug)]
struct Scripted(Mutex<VecDeque<Addresses>>);

#[async_trait::async_trait]
impl Resolve for Scripted {
    async fn resolve(&self, _host: &str) -> Addresses {
        let mut answers = self.0.lock();
        let answer = answers.pop_front().unwrap();
        if answers.is_empty() {
            answers.push_back(answer.clone());
        }
        answer
    }
}

fn loopback() -> Vec<Cidr> {
    vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]
}

fn client_with(config: OutboundConfig, names: &[Addresses]) -> Outbound {
    let names = Scripted(Mutex::new(names.iter().cloned().collect()));
    Outbound::with_resolver(config, Arc::new(SystemClock), Arc::new(names)).unwrap()
}

/// A client to which every name is 127.0.0.1, where it may go.
fn client() -> Outbound {
    client_with(OutboundConfig { allow: loopback(), ..OutboundConfig::default() }, &[Ok(vec![[127, 0, 0, 1].into()])])
}

fn post(body: impl Into<Bytes>) -> OutboundRequest {
    let headers = [(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"))].into_iter().collect();
    OutboundRequest { method: http::Method::POST, headers, body: body.into() }
}

async fn send(client: &Outbound, url: &str, deadline: Duration) -> Outcome {
    client.send(&Target::parse(url).unwrap(), post(r#"{"a":1}"#), deadline).await
}
