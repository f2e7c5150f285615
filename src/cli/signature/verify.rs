//! `postrider verify`: judges one request, or every case of a file.

use super::{
    given::{Judged, RequestArgs, WhichArgs, secret},
    vectors,
};
use crate::{
    cli::say,
    clock::{Clock, SystemClock},
    model::Time,
};
use anyhow::{bail, ensure};
use std::path::PathBuf;

/// Flags of `postrider verify`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct VerifyArgs {
    /// Judge every case of this file instead of one request, and count the answers by provider
    #[arg(long, value_name = "FILE", exclusive = true)]
    vectors: Option<PathBuf>,
    #[command(flatten)]
    one: OneArgs,
}

/// One request to be judged.
#[derive(Debug, clap::Args)]
struct OneArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Secret, public key or certificate, or @FILE; may be repeated, any one will do
    #[arg(long = "secret", value_name = "TEXT")]
    secrets: Vec<String>,
    /// Instant at which the request came: seconds since the epoch, or RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
}

/// Prints what a genuine request says of itself; or fails with the reason and the likely mistakes.
pub(in crate::cli) fn run(args: &VerifyArgs) -> anyhow::Result<()> {
    match &args.vectors {
        Some(file) => vectors::run(file),
        None => args.one.run(),
    }
}

impl OneArgs {
    fn run(&self) -> anyhow::Result<()> {
        let which = self.which.read()?;
        let secrets = self.secrets.iter().map(|text| secret(text)).collect::<anyhow::Result<Vec<_>>>()?;
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let now = instant(self.now.as_deref())?;
        report(which.judge(&self.request.read()?, &secrets, now.0), secrets.len())
    }
}

/// The instant that a flag names.
pub(super) fn instant(text: Option<&str>) -> anyhow::Result<Time> {
    let Some(text) = text else { return Ok(SystemClock.now()) };
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Time(u64::from(seconds) * 1000));
    }
    let time = Time::parse(text);
    ensure!(time.is_some(), "`{text}` is neither seconds since the epoch nor an RFC 3339 instant");
    Ok(time.unwrap_or_default())
}

fn report(judged: Judged, secrets: usize) -> anyhow::Result<()> {
    match judged {
        Ok(verified) => {
            say("genuine");
            if secrets > 1 {
                say(&format!("secret      the {}. of {secrets}", verified.secret + 1));
            }
            let signed_at = verified.timestamp_ms.map(|ms| Time(ms).to_string());
            for (name, value) in [("event id", verified.event_id), ("event type", verified.event_type), ("signed at", signed_at)] {
                if let Some(value) = value {
                    say(&format!("{name:<11} {value}"));
                }
            }
            Ok(())
        }
        Err((refusal, hints)) => {
            say(&format!("refused     {}: {refusal}", refusal.code()));
            hints.iter().for_each(|hint| say(&format!("likely      {}: {}", hint.code, hint.text)));
            bail!("the request is not genuine")
        }
    }
}
