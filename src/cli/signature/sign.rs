//! `postrider sign`: what a provider would add to a request.

use super::{
    given::{RequestArgs, WhichArgs, secret},
    verify::instant,
};
use crate::cli::say;
use anyhow::Context;
use std::io::Write;

/// Flags of `postrider sign`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SignArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Secret that both sides have, or the private key; or @FILE
    #[arg(long, value_name = "TEXT")]
    secret: String,
    /// The event's id, for schemes that carry one
    #[arg(long, default_value = "evt_1")]
    id: String,
    /// Instant that is signed: seconds since the epoch, or RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    timestamp: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
}

/// Prints the headers, a line each; after an empty line the body, where the signature changes it.
pub(in crate::cli) fn run(args: &SignArgs) -> anyhow::Result<()> {
    let which = args.which.read()?;
    let given = args.request.read()?;
    let timestamp = instant(args.timestamp.as_deref())?;
    let signed = which.sign(&given, &secret(&args.secret)?, &args.id, timestamp.0).context("it cannot be signed")?;
    if let Some(url) = signed.url {
        say(&format!("url: {url}"));
    }
    signed.headers.iter().for_each(|(name, value)| say(&format!("{name}: {value}")));
    if let Some(body) = signed.body {
        say("");
        std::io::stdout().lock().write_all(&body).context("cannot write the body")?;
        say("");
    }
    Ok(())
}
