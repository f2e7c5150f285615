//! `postrider migrate`: brings a database's tables to this version. `serve` does it too; this is for those who roll out
//! the schema before the servers.

use super::{block_on, say, settings::SettingArgs};
use crate::{config::StorePlace, store::postgres::PostgresStore};
use anyhow::{Context, bail};

/// Flags of `postrider migrate`: those of `serve`, of which the store counts.
#[derive(Debug, clap::Args)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    settings: SettingArgs,
}

/// Migrates and says what was done.
pub(super) fn run(args: &MigrateArgs) -> anyhow::Result<()> {
    let config = args.settings.read()?;
    let StorePlace::Postgres(options) = &config.store else {
        bail!("only a database is migrated: --store postgres://user@host/database; an embedded store needs nothing");
    };
    let applied = block_on(async {
        PostgresStore::migrate(options).await.with_context(|| format!("{} cannot be migrated", options.shown()))
    })?;
    match applied.as_slice() {
        [] => say("nothing to do"),
        names => say(&format!("applied: {}", names.join(", "))),
    }
    Ok(())
}
