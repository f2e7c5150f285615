//! `serve --demo`: a sample tenant with an echo receiver, through the same API that everybody uses.
//!
//! One of its endpoints refuses every message once and asks for no retries, so its deliveries are exhausted until somebody
//! replays them.

mod receiver;
mod sample;
mod seed;

use super::{client::Client, say};
use crate::{config::Config, shutdown::Shutdown};
use anyhow::Context;
use receiver::Receiver;
use rustls::RootCertStore;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// The uid of the sample's application.
const APP: &str = "demo";
/// The uid of the endpoint that fails.
const BROKEN: &str = "broken";
/// Between two messages.
const EVERY: Duration = Duration::from_secs(1);
/// How often the failing endpoint's story is looked for after its message was sent, and how long between two looks.
const LOOKS: u32 = 50;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Lets deliveries reach the receiver, which listens at loopback.
pub(super) fn adapt(config: &mut Config) -> anyhow::Result<()> {
    let loopback = "127.0.0.0/8".parse().ok().context("127.0.0.0/8 is a network")?;
    if !config.allow_cidr.contains(&loopback) {
        config.allow_cidr.push(loopback);
    }
    Ok(())
}

/// Starts the sample against the server at `address`. The task ends with the shutdown.
pub(super) fn start(
    key: Zeroizing<String>,
    address: SocketAddr,
    shutdown: Shutdown,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let client = Client::new(&format!("http://{address}"), key.clone(), RootCertStore::empty())?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            biased;
            () = shutdown.raised() => Ok(()),
            ran = run(&client, &key) => ran.context("the demonstration has stopped"),
        }
        .inspect_err(|error| tracing::error!("{error:#}"))
    }))
}

async fn run(client: &Client, key: &str) -> anyhow::Result<()> {
    let receiver = Arc::new(Receiver::start().await?);
    seed::seed(client, &receiver).await?;
    say(&format!(
        "demo           an application `{APP}`, three endpoints at http://{}, a message every second",
        receiver.address()
    ));
    let mut told = false;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for number in 1.. {
        ticks.tick().await;
        let event = sample::event(number);
        let body = serde_json::json!({ "eventType": event.event_type, "payload": event.payload });
        let path = format!("/api/v1/app/{APP}/msg");
        let sent: seed::Named = client.call(http::Method::POST, &path, body.to_string()).await?;
        if !told && event.event_type == sample::FAILING {
            told = tell(client, key, &sent.id).await?;
        }
    }
    Ok(())
}

/// Once the message has failed, says how to look at it and how to replay it.
async fn tell(client: &Client, key: &str, msg: &str) -> anyhow::Result<bool> {
    let endpoint: seed::Named =
        client.call(http::Method::GET, &format!("/api/v1/app/{APP}/endpoint/{BROKEN}"), String::new()).await?;
    let attempts = format!("/api/v1/app/{APP}/attempt/msg/{msg}");
    for _ in 0..LOOKS {
        let listed: serde_json::Value = client.call(http::Method::GET, &attempts, String::new()).await?;
        let ours = |attempt: &serde_json::Value| attempt.get("endpointId").and_then(|id| id.as_str()) == Some(&endpoint.id);
        if listed.get("data").and_then(|data| data.as_array()).is_some_and(|data| data.iter().any(ours)) {
            let (url, id) = (client.base(), &endpoint.id);
            say("");
            say(&format!("  {msg} has failed at the endpoint `{BROKEN}`, which asks for no retries. What happened to it:"));
            say(&format!("    curl -s -H 'Authorization: Bearer {key}' '{url}{attempts}'"));
            say("  Replay it:");
            say(&format!(
                "    curl -X POST -H 'Authorization: Bearer {key}' '{url}/api/v1/app/{APP}/msg/{msg}/endpoint/{id}/resend'"
            ));
            say("");
            return Ok(true);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(false)
}
