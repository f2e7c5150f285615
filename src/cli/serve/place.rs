//! Opening the store where it is configured, with the master key that belongs to it.

use super::{first, open};
use crate::{
    cli::{
        copy,
        folder::{Folder, Unlocked},
    },
    clock::Clock,
    config::{Config, StorePlace},
    crypto::Vault,
    flow::KeyFile,
    random::Random,
    store::{
        Store,
        postgres::{PostgresOptions, PostgresStore},
        transfer::Transfer,
    },
};
use anyhow::{Context, ensure};
use std::sync::Arc;

/// Under which name a database keeps the text that shows whether a key is the right one.
pub(in crate::cli) const CHECK: &str = "master key check";

/// Opens the store and proves that the folder's master key is the store's.
pub(super) async fn store(
    folder: &Folder,
    config: &Config,
    clock: &Arc<dyn Clock>,
    random: &Arc<Random>,
) -> anyhow::Result<(Arc<dyn Store>, Unlocked, Arc<dyn KeyFile>)> {
    if let StorePlace::Postgres(options) = &config.store {
        return database(folder, options, clock, random).await;
    }
    let unlocked = folder.unlock(random)?;
    let store = open(folder, clock.clone())?;
    copy::refuse(store.note().await?.as_deref())?;
    let store: Arc<dyn Store> = store;
    if !unlocked.proven {
        first::prove(folder, &*store, &unlocked.vault, (&**clock, random)).await?;
    }
    let keys = Keys { folder: folder.clone(), database: None, random: Arc::clone(random) };
    Ok((store, unlocked, Arc::new(keys)))
}

/// Where a node keeps its master keys: in its data folder, and the check of them beside the store.
struct Keys {
    folder: Folder,
    database: Option<Arc<PostgresStore>>,
    random: Arc<Random>,
}

#[async_trait::async_trait]
impl KeyFile for Keys {
    fn keep(&self, text: &str) -> std::io::Result<()> {
        self.folder.keep_master_keys(text).map_err(|error| std::io::Error::other(format!("{error:#}")))
    }

    async fn prove(&self, vault: &Vault) -> Result<(), String> {
        let in_words = |error: anyhow::Error| format!("{error:#}");
        match &self.database {
            None => self.folder.prove(vault, &self.random).map_err(in_words),
            Some(store) => {
                let check = Folder::check_of(vault, &self.random).map_err(in_words)?;
                store.put_setting(CHECK, &check).await.map_err(|error| error.to_string())
            }
        }
    }
}

/// All nodes of a database have one master key: the first one's, which the others are given as a copy of its file.
async fn database(
    folder: &Folder,
    options: &PostgresOptions,
    clock: &Arc<dyn Clock>,
    random: &Arc<Random>,
) -> anyhow::Result<(Arc<dyn Store>, Unlocked, Arc<dyn KeyFile>)> {
    let store = PostgresStore::open(options, clock.clone()).await;
    let store = store.with_context(|| format!("the store at {} cannot be opened", options.shown()))?;
    if let Err(refused) = copy::refuse(store.note().await?.as_deref()) {
        store.close().await?;
        return Err(refused);
    }
    let check = store.setting(CHECK).await?;
    let unlocked = folder.unlock_shared(random, check.as_deref(), &options.shown())?;
    let kept = store.keep_setting(CHECK, &Folder::check_of(&unlocked.vault, random)?).await?;
    ensure!(
        Folder::opens(&unlocked.vault, &kept),
        "{} is not the key that another node has just made",
        folder.master_key().display()
    );
    let keys = Keys { folder: folder.clone(), database: Some(store.clone()), random: Arc::clone(random) };
    Ok((store, unlocked, Arc::new(keys)))
}
