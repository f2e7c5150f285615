//! Keys of a running server, through its API.

use super::Wanted;
use crate::{
    api::{
        RotationOut,
        key::{KeyKind, KeyMadeOut, KeyOut},
    },
    cli::client::Client,
};
use anyhow::{bail, ensure};
use http::Method;
use serde::Deserialize;
use std::time::Duration;

/// Between two looks at how far a rotation is.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A page of keys, as the API lists them.
#[derive(Deserialize)]
struct Page {
    data: Vec<KeyOut>,
    iterator: Option<String>,
    done: bool,
}

/// Makes a key.
pub(super) async fn create(client: &Client, wanted: &Wanted) -> anyhow::Result<KeyMadeOut> {
    let path = if wanted.kind == KeyKind::Session { "/api/v1/session" } else { "/api/v1/key" };
    let body = serde_json::json!({ "name": wanted.name, "expiresIn": wanted.expires_in.map(|span| span.as_secs()), "scopes": wanted.scopes });
    client.call(Method::POST, path, body.to_string()).await
}

/// Lists all keys.
pub(super) async fn list(client: &Client) -> anyhow::Result<Vec<KeyOut>> {
    let mut keys = Vec::new();
    let mut path = "/api/v1/key?limit=250".to_owned();
    loop {
        let page: Page = client.call(Method::GET, &path, String::new()).await?;
        keys.extend(page.data);
        match page.iterator {
            Some(next) if !page.done => path = format!("/api/v1/key?limit=250&iterator={next}"),
            _ => return Ok(keys),
        }
    }
}

/// Revokes a key.
pub(super) async fn revoke(client: &Client, id: &str) -> anyhow::Result<()> {
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    ensure!(plain, "`{id}` is not the id of a key");
    client.send(Method::DELETE, &format!("/api/v1/key/{id}"), String::new()).await?.accepted().map(drop)
}

/// Rotates the master key and waits for the end; how many records were sealed anew.
pub(super) async fn rotate_master(client: &Client) -> anyhow::Result<u64> {
    const PATH: &str = "/api/v1/master-key/rotate";
    let mut state: RotationOut = client.call(Method::POST, PATH, String::new()).await?;
    while state.running {
        tokio::time::sleep(LOOK_AGAIN).await;
        state = client.call(Method::GET, PATH, String::new()).await?;
    }
    if let Some(error) = state.error {
        bail!("the rotation stopped: {error}; run the command again and it goes on");
    }
    ensure!(state.done, "the server has forgotten the rotation, as it was restarted: run the command again and it goes on");
    Ok(state.resealed)
}
