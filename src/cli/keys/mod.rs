//! `postrider keys`: API keys and sessions, in the data folder when no server has it open, else through the server.

mod local;
mod remote;

use super::{
    block_on,
    client::Client,
    complain,
    folder::Folder,
    say,
    send::{ServerArgs, roots},
    settings::PlaceArgs,
};
use crate::{
    api::key::{KeyKind, KeyMadeOut, KeyOut},
    config::{Config, StorePlace, duration},
    model::{OrgId, Scope},
    store::StoreError,
};
use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use std::time::Duration;

/// Flags of `postrider keys`.
#[derive(Debug, clap::Args)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and print it
    Create(CreateArgs),
    /// Put another master key in the place of the one in force; the server goes on running
    RotateMaster,
    /// List keys and sessions
    List,
    /// Revoke a key or session
    Revoke {
        /// Its id, as `keys list` shows it
        id: String,
    },
}

/// Flags of `postrider keys create`.
#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// What to call it
    #[arg(long, default_value = "")]
    name: String,
    /// Make a session (prs_…) in place of an API key (pr_…)
    #[arg(long)]
    session: bool,
    /// From when on it is refused, as 24h [default: never; a session lasts 12h]
    #[arg(long, value_name = "DURATION", value_parser = parse_lifetime)]
    expires_in: Option<Duration>,
    /// What the key may do: read, send, manage, portal; several with commas [default: everything]
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', value_parser = parse_scope)]
    scopes: Vec<Scope>,
    /// Its organization; only while no server is running [default: the first one]
    #[arg(long, value_name = "ID")]
    org: Option<OrgId>,
}

/// What `keys create` asks for.
#[derive(Debug)]
struct Wanted {
    name: String,
    kind: KeyKind,
    expires_in: Option<Duration>,
    scopes: Option<Vec<Scope>>,
    org: Option<OrgId>,
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    Scope::named(text.trim()).ok_or_else(|| "is read, send, manage or portal".to_owned())
}

fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let whole = |d: &Duration| d.as_secs() > 0 && d.subsec_millis() == 0;
    duration(text).filter(whole).ok_or_else(|| "must be a duration of whole seconds, as 24h".to_owned())
}

/// Makes, lists or revokes.
pub(super) fn run(args: KeysArgs) -> anyhow::Result<()> {
    let config = args.place.read()?;
    let folder = Folder::of(&config);
    block_on(async {
        if matches!(args.action, Action::RotateMaster) {
            let client: Client = args.server.client(&config, &folder, roots(&config)?)?;
            let sealed = remote::rotate_master(&client).await?;
            complain(&format!("the master key was rotated; {sealed} records were sealed anew"));
            complain("keep a copy of the new master.key; copies of the old one open nothing any more");
            return Ok(());
        }
        if args.server.url.is_some() {
            return remote(&args, &config, &folder).await;
        }
        if let StorePlace::Postgres(options) = &config.store {
            let local = local::Local::open_database(options).await;
            return here(args.action, local.with_context(|| format!("{} cannot be opened", options.shown()))?).await;
        }
        ensure!(folder.has_store(), "there is no store in {}: `postrider serve` makes it", folder.store().display());
        match local::Local::open(&folder) {
            Ok(local) => here(args.action, local).await,
            // The running server has it open: ask that one.
            Err(StoreError::Unavailable(_)) if folder.running_url().is_some() => remote(&args, &config, &folder).await,
            Err(error) => bail!("the store in {} cannot be opened: {error}", folder.store().display()),
        }
    })
}

async fn here(action: Action, local: local::Local) -> anyhow::Result<()> {
    let done = match action {
        Action::Create(args) => local.create(args.into()).await.map(|made| show_made(&made)),
        Action::RotateMaster => Err(anyhow::anyhow!("a running server rotates its master key")),
        Action::List => local.list().await.map(|keys| show(&keys)),
        Action::Revoke { id } => local.revoke(&id).await.map(|()| complain(&format!("{id} is revoked"))),
    };
    local.close().await?;
    done
}

async fn remote(args: &KeysArgs, config: &Config, folder: &Folder) -> anyhow::Result<()> {
    let client: Client = args.server.client(config, folder, roots(config)?)?;
    match &args.action {
        Action::Create(create) => {
            ensure!(create.org.is_none(), "--org needs the data folder: a server makes keys of its caller's organization");
            let wanted = Wanted {
                name: create.name.clone(),
                kind: kind(create),
                expires_in: create.expires_in,
                scopes: scopes(create),
                org: None,
            };
            show_made(&remote::create(&client, &wanted).await?);
        }
        Action::RotateMaster => drop(remote::rotate_master(&client).await?),
        Action::List => show(&remote::list(&client).await?),
        Action::Revoke { id } => {
            remote::revoke(&client, id).await?;
            complain(&format!("{id} is revoked"));
        }
    }
    Ok(())
}

fn kind(args: &CreateArgs) -> KeyKind {
    if args.session { KeyKind::Session } else { KeyKind::Key }
}

fn scopes(args: &CreateArgs) -> Option<Vec<Scope>> {
    (!args.scopes.is_empty()).then(|| args.scopes.clone())
}

impl From<CreateArgs> for Wanted {
    fn from(args: CreateArgs) -> Self {
        Wanted { kind: kind(&args), scopes: scopes(&args), name: args.name, expires_in: args.expires_in, org: args.org }
    }
}

/// The token alone goes to standard output, so that a script can take it.
fn show_made(made: &KeyMadeOut) {
    let end = made.key.expires_at.map_or_else(|| "never".to_owned(), |end| end.0.to_string());
    complain(&format!("id {}, expires {end}; the key is shown only now:", made.key.id));
    say(&made.token);
}

fn show(keys: &[KeyOut]) {
    for key in keys {
        let end = key.expires_at.map_or_else(|| "-".to_owned(), |end| end.0.to_string());
        let kind = if key.kind == KeyKind::Session { "session" } else { "key" };
        say(&format!("{}  {kind:<7}  {}  {end:<24}  {}", key.id, key.created_at.0, key.name));
    }
}
