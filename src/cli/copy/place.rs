//! A store by what its owner calls it: a data folder, or a database.

use super::note::Note;
use crate::{
    cli::{folder::Folder, say},
    clock::Clock,
    model::Kind,
    store::{
        embedded::{EmbeddedOptions, EmbeddedStore},
        postgres::{PostgresOptions, PostgresStore},
        transfer::Transfer,
    },
};
use anyhow::{Context, bail, ensure};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where a store is.
pub(super) enum Place {
    /// In a data folder.
    Folder(PathBuf),
    /// In a database.
    Database(Box<PostgresOptions>),
}

/// A store, open.
pub(super) struct Side {
    /// The store.
    pub(super) store: Arc<dyn Transfer>,
    /// Its folder, if it is in one.
    pub(super) folder: Option<Folder>,
    /// Its database, if it is in one.
    pub(super) database: Option<Arc<PostgresStore>>,
    /// For people.
    pub(super) shown: String,
}

impl Place {
    /// Reads what its owner calls it.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        if PostgresOptions::is_url(text) {
            let options = PostgresOptions::parse(text).map_err(|error| anyhow::anyhow!("the database's URL: {error}"))?;
            return Ok(Place::Database(Box::new(options)));
        }
        ensure!(!text.contains("://"), "{text} is neither a folder nor postgres://user@host/database");
        Ok(Place::Folder(std::path::absolute(Path::new(text))?))
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            Place::Folder(folder) => folder.display().to_string(),
            Place::Database(options) => options.shown(),
        }
    }

    /// Opens a store to copy from: it must be there, and no server may use it.
    pub(super) async fn open_source(&self, clock: Arc<dyn Clock>) -> anyhow::Result<Side> {
        if let Place::Folder(root) = self {
            ensure!(Folder::at(root).has_store(), "there is no store in {}", root.display());
        }
        self.open(clock).await
    }

    /// Opens a store to copy into, making it when it is not there.
    pub(super) async fn open_target(&self, clock: Arc<dyn Clock>) -> anyhow::Result<Side> {
        if let Place::Folder(root) = self {
            Folder::at(root).make()?;
        }
        self.open(clock).await
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> anyhow::Result<Side> {
        let shown = self.shown();
        let refused = || format!("{shown} cannot be opened (is a server running on it?)");
        match self {
            Place::Folder(root) => {
                let folder = Folder::at(root);
                let store = EmbeddedStore::open(&EmbeddedOptions::at(folder.store()), clock).with_context(refused)?;
                Ok(Side { store, folder: Some(folder), database: None, shown })
            }
            Place::Database(options) => {
                let store =
                    PostgresStore::open_beside(options, clock).await.with_context(|| format!("{shown} cannot be opened"))?;
                match store.servers().await? {
                    0 => Ok(Side { store: store.clone(), folder: None, database: Some(store), shown }),
                    servers => bail!(
                        "{shown} is in use by {servers} servers: stop them first (one that was killed counts until its lease is over)"
                    ),
                }
            }
        }
    }
}

impl Side {
    /// What it notes of a copy.
    pub(super) async fn note(&self) -> anyhow::Result<Option<Note>> {
        self.store.note().await?.as_deref().map(Note::read).transpose()
    }

    /// Refuses a target that something is in.
    pub(super) async fn must_be_bare(&self) -> anyhow::Result<()> {
        let mut records = 0u64;
        for kind in Kind::ALL.iter().copied() {
            self.store.each(kind, crate::model::Time(0), &mut |_| records += 1).await?;
        }
        let messages = self.store.places(None, 1).await?;
        if records > 0 || !messages.is_empty() {
            bail!("{} holds other data ({records} records): a copy needs a target that nothing is in", self.shown);
        }
        Ok(())
    }

    /// Says what comes next.
    pub(super) fn advise(&self) {
        match &self.folder {
            Some(folder) => say(&format!("next: postrider serve --data {}", folder.root().display())),
            None => {
                say(&format!("next: postrider serve --store {} (with the user and password of the URL)", self.shown));
                say("every node needs the same master.key in its data folder: the folder that was copied has it already");
            }
        }
    }
}
