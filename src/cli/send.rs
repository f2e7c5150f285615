//! `postrider send`: posts a message and prints its id.

use super::{block_on, client::Client, folder::Folder, say, settings::PlaceArgs};
use crate::{config::Config, outbound::read_roots};
use anyhow::{Context, ensure};
use http::Method;
use rustls::RootCertStore;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{io::Read, path::PathBuf};
use zeroize::Zeroizing;

/// Which server to talk to, and how it knows us.
#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// Server to talk to [default: POSTRIDER_URL, else the one that runs on the data folder]
    #[arg(long, value_name = "URL", global = true)]
    pub(super) url: Option<String>,
    /// Key to it, visible to every process of the machine [default: POSTRIDER_KEY, else that of the data folder]
    #[arg(long, value_name = "KEY", global = true)]
    key: Option<String>,
}

/// Flags of `postrider send`.
#[derive(Debug, clap::Args)]
pub(super) struct SendArgs {
    /// Application, by id or uid
    #[arg(long)]
    app: String,
    /// Event type
    #[arg(long = "type", value_name = "NAME")]
    event_type: String,
    /// Payload: JSON, @FILE, or - for standard input
    #[arg(long = "data", visible_alias = "payload", value_name = "JSON", default_value = "{}")]
    payload: String,
    /// Channel; may be repeated
    #[arg(long = "channel")]
    channels: Vec<String>,
    /// Tag; may be repeated
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// Your own id of the event, unique in the application
    #[arg(long)]
    event_id: Option<String>,
    /// What the message is kept in order with, at endpoints that want that
    #[arg(long, value_name = "KEY")]
    ordering_key: Option<String>,
    /// Makes a repetition of this command harmless for 12 hours
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder of a server on this machine, for its address and its admin key [default: data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// A message, as the API takes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageIn<'a> {
    event_type: &'a str,
    payload: &'a RawValue,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    channels: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordering_key: Option<&'a str>,
}

#[derive(Deserialize)]
struct MessageOut {
    id: String,
}

/// Posts the message.
pub(super) fn run(args: SendArgs) -> anyhow::Result<()> {
    let config = PlaceArgs::of(args.config.clone(), args.data_dir.clone()).read()?;
    let client = args.server.client(&config, &Folder::of(&config), roots(&config)?)?;
    let body = body(&args, &payload(&args.payload)?)?;
    let path = format!("/api/v1/app/{}/msg", segment(&args.app)?);
    let key = args.idempotency_key.as_deref();
    let sent: MessageOut = block_on(async { client.keyed(key)?.call(Method::POST, &path, body).await })?;
    say(&sent.id);
    Ok(())
}

fn body(args: &SendArgs, payload: &RawValue) -> anyhow::Result<String> {
    let message = MessageIn {
        event_type: &args.event_type,
        payload,
        channels: &args.channels,
        tags: &args.tags,
        event_id: args.event_id.as_deref(),
        ordering_key: args.ordering_key.as_deref(),
    };
    Ok(serde_json::to_string(&message)?)
}

/// The payload's text, as it was written: it is not made anew.
pub(super) fn payload(source: &str) -> anyhow::Result<Box<RawValue>> {
    let text = match (source, source.strip_prefix('@')) {
        ("-", _) => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read the payload from standard input")?;
            text
        }
        (_, Some(file)) => std::fs::read_to_string(file).with_context(|| format!("cannot read the payload from {file}"))?,
        (text, None) => text.to_owned(),
    };
    RawValue::from_string(text.trim().to_owned()).context("the payload is not JSON")
}

/// A part of a path. Ids and uids have no other characters.
pub(super) fn segment(text: &str) -> anyhow::Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    ensure!(!text.is_empty() && text.bytes().all(plain), "`{text}` is neither an id nor a uid");
    Ok(text)
}

/// Roots for servers behind https: the web's, and those of `ca_file`.
pub(super) fn roots(config: &Config) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = &config.ca_file {
        let pem = std::fs::read(path).with_context(|| format!("cannot read the certificates in {}", path.display()))?;
        for root in read_roots(&pem).with_context(|| format!("{} does not hold PEM certificates", path.display()))? {
            roots.add(root)?;
        }
    }
    Ok(roots)
}

impl ServerArgs {
    /// A client, with what was not given taken from the environment, then from the data folder.
    pub(super) fn client(&self, config: &Config, folder: &Folder, roots: RootCertStore) -> anyhow::Result<Client> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let given = self.url.clone().or_else(|| variable("POSTRIDER_URL"));
        // The folder's own server is known by its certificate: at this machine's address no name would fit.
        let pinned = if given.is_none() { folder.running_certificate() } else { None };
        let url = given.or_else(|| folder.running_url()).unwrap_or_else(|| format!("http://{}", config.listen));
        let key =
            match self.key.clone().or_else(|| variable("POSTRIDER_KEY")).map(Zeroizing::new).or_else(|| config.admin_key.clone()) {
                Some(key) => Some(key),
                None => folder.read_admin_key()?,
            };
        let missing = || format!("no key: give --key or POSTRIDER_KEY; {} is not there", folder.admin_key().display());
        Ok(Client::new(&url, key.with_context(missing)?, roots)?.pinned(pinned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_sent_as_it_was_written() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("p.json");
        std::fs::write(&file, "{\"a\":  1.0, \"b\": 1e2}\n").unwrap();
        let payload = payload(&format!("@{}", file.display())).unwrap();
        let args = SendArgs {
            app: "demo".into(),
            event_type: "a.b".into(),
            payload: String::new(),
            channels: vec![],
            tags: vec!["x".into()],
            event_id: None,
            ordering_key: None,
            idempotency_key: None,
            config: None,
            data_dir: None,
            server: ServerArgs { url: None, key: None },
        };
        let body = body(&args, &payload).unwrap();
        assert_eq!(body, r#"{"eventType":"a.b","payload":{"a":  1.0, "b": 1e2},"tags":["x"]}"#);
        assert!(super::payload("{").is_err() && super::payload("@/nowhere").is_err());
    }

    #[test]
    fn paths_are_not_made_of_surprises() {
        assert!(segment("app_1-x.y").is_ok());
        for bad in ["", "a/b", "a?b", "ä", "a b"] {
            assert!(segment(bad).is_err(), "{bad}");
        }
    }
}
