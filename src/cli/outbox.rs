//! `postrider outbox`: the table to which applications write what they publish, in their own database or in the store's.

use super::{block_on, say, settings::PlaceArgs};
use crate::{
    config::StorePlace,
    store::postgres::{OUTBOX_SQL, Outbox, OutboxRefused, PostgresOptions},
};
use anyhow::{Context, bail};
use clap::Subcommand;

/// Flags of `postrider outbox`.
#[derive(Debug, clap::Args)]
pub(super) struct OutboxArgs {
    #[command(subcommand)]
    action: Action,
    /// The database [default: the configured outbox, or the store]
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the statements that make the table, for those who run them themselves
    Sql,
    /// Make the table; nothing happens when it is there
    Install,
    /// Say how many rows wait, for how long, and how many were refused
    Status,
    /// List the rows that were refused, the newest first, with the column at fault and the rule
    Refused {
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Put refused rows back, once what was wrong is right
    Retry {
        /// The row's number, as `outbox refused` shows it [default: all]
        #[arg(long)]
        seq: Option<i64>,
    },
}

/// Does it and says what was done.
pub(super) fn run(args: &OutboxArgs) -> anyhow::Result<()> {
    if let Action::Sql = args.action {
        say(OUTBOX_SQL.trim_end());
        return Ok(());
    }
    let options = options(args)?;
    block_on(async {
        let done = act(&args.action, &Outbox::new(&options)?).await;
        done.with_context(|| format!("the outbox at {}", options.shown()))
    })
}

async fn act(action: &Action, outbox: &Outbox) -> anyhow::Result<()> {
    match action {
        Action::Sql => {}
        Action::Install => {
            outbox.install().await?;
            say(&format!("the outbox is there; read it with: postrider serve --outbox {}", outbox.shown()));
        }
        Action::Status => {
            let state = outbox.state().await?;
            say(&format!("waiting  {}", state.waiting));
            say(&format!("oldest   {}", state.oldest_s.map_or("-".to_owned(), |age| format!("{age} s"))));
            say(&format!("refused  {}", state.refused));
        }
        Action::Refused { limit } => outbox.refused(*limit).await?.iter().for_each(|row| say(&line(row))),
        Action::Retry { seq } => say(&format!("put back: {}", outbox.retry(*seq).await?)),
    }
    Ok(())
}

fn line(row: &OutboxRefused) -> String {
    let OutboxRefused { refusal, id, application, event_type, at } = row;
    format!("{}  {id}  {at}  {application}  {event_type}  {}: {}", refusal.seq, refusal.field, refusal.rule)
}

fn options(args: &OutboxArgs) -> anyhow::Result<PostgresOptions> {
    if let Some(url) = &args.url {
        return PostgresOptions::parse(url).map_err(|error| anyhow::anyhow!("--url: {error}"));
    }
    let config = args.place.read()?;
    match (config.outboxes.as_slice(), config.store) {
        ([one], _) => Ok(one.clone()),
        ([], StorePlace::Postgres(options)) => Ok(*options),
        ([], _) => bail!("which database? --url postgres://user@host/database"),
        _ => bail!("several outboxes are configured: choose one with --url"),
    }
}
