//! `postrider users`: people who sign in to the dashboard, through a running server, or in the data folder when none has it
//! open.

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
    api::user::{UserIn, UserLinkOut, UserOut, add, all, relink},
    clock::{Clock, SystemClock},
    config::{Config, StorePlace},
    model::Role,
    random::Random,
    store::{
        FIRST_ORG, Store, StoreError,
        embedded::{EmbeddedOptions, EmbeddedStore},
        postgres::PostgresStore,
    },
};
use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use http::Method;
use serde::Deserialize;
use std::sync::Arc;

/// Flags of `postrider users`.
#[derive(Debug, clap::Args)]
pub(super) struct UsersArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a user and print the link that signs them in once
    Add {
        /// The name to sign in with, or an e-mail
        login: String,
        /// Full name
        #[arg(long, default_value = "")]
        name: String,
        /// viewer, operator or admin
        #[arg(long, default_value = "viewer", value_parser = role)]
        role: Role,
    },
    /// Print a new link that signs a user in once, and with which they set a new password
    #[command(visible_alias = "reset-link")]
    Link {
        /// The name they sign in with
        login: String,
    },
    /// List users
    List,
}

fn role(word: &str) -> Result<Role, String> {
    Role::named(word).ok_or_else(|| "must be viewer, operator or admin".to_owned())
}

/// Makes, lists, or prints a link.
pub(super) fn run(args: UsersArgs) -> anyhow::Result<()> {
    let config = args.place.read()?;
    let folder = Folder::of(&config);
    block_on(async {
        if args.server.url.is_some() || folder.running_url().is_some() {
            let client = args.server.client(&config, &folder, roots(&config)?)?;
            return remote(&client, args.action).await;
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = open(&config, &folder, clock.clone()).await?;
        let done = local(&*store, &config, (&*clock, args.action)).await;
        store.close().await?;
        done
    })
}

async fn open(config: &Config, folder: &Folder, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
    if let StorePlace::Postgres(options) = &config.store {
        let store = PostgresStore::open_beside(options, clock).await;
        return Ok(store.with_context(|| format!("{} cannot be opened", options.shown()))?);
    }
    ensure!(folder.has_store(), "there is no store in {}: `postrider serve` makes it", folder.store().display());
    match EmbeddedStore::open(&EmbeddedOptions::at(folder.store()), clock) {
        Ok(store) => Ok(store),
        Err(StoreError::Unavailable(cause)) => bail!("the store is in use, and no server says where it listens: {cause}"),
        Err(error) => bail!("the store in {} cannot be opened: {error}", folder.store().display()),
    }
}

async fn local(store: &dyn Store, config: &Config, (clock, action): (&dyn Clock, Action)) -> anyhow::Result<()> {
    let (random, now) = (Random::from_system()?, clock.now());
    let refused = |problem: crate::api::Problem| anyhow::anyhow!("{problem:?}");
    let write = |changes| store.change(changes, now);
    let (user, path) = match action {
        Action::List => {
            show(&all(store, FIRST_ORG, now).await?.iter().map(UserOut::of).collect::<Vec<_>>());
            return Ok(());
        }
        Action::Add { login, name, role } => {
            add(write, &random, now, (FIRST_ORG, UserIn { login, name, role })).await.map_err(refused)?
        }
        Action::Link { login } => relink(store, write, &random, now, (FIRST_ORG, &login)).await.map_err(refused)?,
    };
    let base = config.public_url.clone().unwrap_or_else(|| format!("http://{}", config.listen));
    show_link(&UserLinkOut { user: UserOut::of(&user), url: format!("{base}{path}") });
    Ok(())
}

async fn remote(client: &Client, action: Action) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Listed {
        data: Vec<UserOut>,
        iterator: Option<String>,
        done: bool,
    }
    match action {
        Action::List => {
            let mut from = String::new();
            loop {
                let listed: Listed = client.call(Method::GET, &format!("/api/v1/user?iterator={from}"), String::new()).await?;
                show(&listed.data);
                match listed.iterator {
                    Some(iterator) if !listed.done => from = iterator,
                    _ => break,
                }
            }
        }
        Action::Add { login, name, role } => {
            let body = serde_json::to_string(&UserIn { login, name, role })?;
            show_link(&client.call(Method::POST, "/api/v1/user", body).await?);
        }
        Action::Link { login } => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@' | b'+');
            ensure!(login.bytes().all(plain), "`{login}` is not a name that can stand in a path; `users list` shows ids");
            show_link(&client.call(Method::POST, &format!("/api/v1/user/{login}/link"), String::new()).await?);
        }
    }
    Ok(())
}

/// The link alone goes to standard output, so that a script can take it.
fn show_link(made: &UserLinkOut) {
    complain(&format!("{} ({}) signs in once, within 24 hours, by:", made.user.login, made.user.role.word()));
    say(&made.url);
}

fn show(users: &[UserOut]) {
    for user in users {
        let by = if user.has_password { "password" } else { "link only" };
        say(&format!("{}  {:<8}  {by:<9}  {}  {}", user.id, user.role.word(), user.login, user.name));
    }
}
