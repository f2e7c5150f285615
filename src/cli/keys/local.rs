//! Keys in a data folder that no server has open, or in a database.

use super::Wanted;
use crate::{
    api::key::{KeyKind, KeyMadeOut, KeyOut, granted, issue},
    cli::folder::Folder,
    clock::{Clock, SystemClock},
    model::{Address, Grant, KeyId, Kind, OrgId, Record, Token},
    random::Random,
    store::{
        Change, FIRST_ORG, ListPage, Store, StoreError, Stored,
        embedded::{EmbeddedOptions, EmbeddedStore},
        postgres::{PostgresOptions, PostgresStore},
    },
};
use anyhow::{Context, bail, ensure};
use std::sync::Arc;

/// An open store.
pub(super) struct Local {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Local {
    /// Opens the folder's store.
    pub(super) fn open(folder: &Folder) -> Result<Self, StoreError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Local { store: EmbeddedStore::open(&EmbeddedOptions::at(folder.store()), clock.clone())?, clock })
    }

    /// Opens a database, beside the servers on it.
    pub(super) async fn open_database(options: &PostgresOptions) -> Result<Self, StoreError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Local { store: PostgresStore::open_beside(options, clock.clone()).await?, clock })
    }

    /// Makes a key.
    pub(super) async fn create(&self, wanted: Wanted) -> anyhow::Result<KeyMadeOut> {
        let now = self.clock.now();
        let org = wanted.org.unwrap_or(FIRST_ORG);
        let organization = self.store.find(&Address::new(Kind::Organization, "", org), now).await?;
        ensure!(organization.is_some(), "there is no organization {org}");
        let grant = match wanted.kind {
            KeyKind::Key => granted(wanted.scopes).context("a key needs a scope")?,
            KeyKind::Session => Grant::Session,
        };
        let random = Random::from_system()?;
        let mut issued = issue(&random, now, org, grant, wanted.name);
        if let Some(span) = wanted.expires_in {
            issued.token.expires_at = Some(now.plus(span));
        }
        let key = KeyOut::of(&issued.token).context("not a key")?;
        self.store.change(vec![Change::Insert(Record::Token(issued.token))], now).await?;
        Ok(KeyMadeOut { key, token: issued.text.to_string() })
    }

    /// Lists the keys of every organization.
    pub(super) async fn list(&self) -> anyhow::Result<Vec<KeyOut>> {
        let tokens = self.tokens().await?;
        Ok(tokens.iter().filter_map(KeyOut::of).collect())
    }

    /// Revokes a key of any organization.
    pub(super) async fn revoke(&self, id: &str) -> anyhow::Result<()> {
        let id: KeyId = id.parse().with_context(|| format!("`{id}` is not the id of a key"))?;
        let mut tokens = self.tokens().await?.into_iter();
        let found = tokens.find(|token| token.id == id && KeyKind::of(&token.grant).is_some());
        let Some(token) = found else { bail!("there is no key {id}") };
        Ok(self.store.change(vec![Change::Delete(Address::token(token.org, id))], self.clock.now()).await?)
    }

    /// Makes what was done durable and closes the store.
    pub(super) async fn close(self) -> Result<(), StoreError> {
        self.store.close().await
    }

    async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let mut tokens = Vec::new();
        for stored in self.page(Kind::Organization, "").await? {
            let Record::Organization(organization) = stored.record else { continue };
            let org: OrgId = organization.id;
            let found = self.page(Kind::Token, &org.to_string()).await?.into_iter();
            tokens.extend(found.filter_map(|stored| if let Record::Token(token) = stored.record { Some(token) } else { None }));
        }
        Ok(tokens)
    }

    async fn page(&self, kind: Kind, scope: &str) -> Result<Vec<Stored>, StoreError> {
        let page = ListPage { after: None, backwards: false, limit: usize::MAX - 1 };
        self.store.list(kind, scope, page, self.clock.now()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn keys_are_made_listed_and_revoked() {
        let temp = tempfile::tempdir().unwrap();
        let given = crate::config::Given {
            flags: [("data", temp.path().to_str().unwrap().to_owned())].into(),
            ..crate::config::Given::default()
        };
        let folder = Folder::of(&crate::config::Config::read(&given).unwrap());
        let local = Local::open(&folder).unwrap();
        let wanted =
            |org| Wanted { name: "ci".into(), kind: KeyKind::Key, expires_in: Some(Duration::from_secs(60)), scopes: None, org };
        assert!(local.create(wanted(None)).await.is_err(), "there is no organization yet");
        let first = crate::model::Organization {
            id: FIRST_ORG,
            name: "x".into(),
            profile: None,
            proxy: None,
            created_at: local.clock.now(),
        };
        local.store.change(vec![Change::Insert(Record::Organization(first))], local.clock.now()).await.unwrap();

        let made = local.create(wanted(None)).await.unwrap();
        assert!(made.token.starts_with("pr_") && made.key.expires_at.is_some());
        let listed = local.list().await.unwrap();
        assert_eq!((listed.len(), &listed[0].id, listed[0].name.as_str()), (1, &made.key.id, "ci"));
        assert!(Local::open(&folder).is_err(), "the folder is locked");
        local.revoke(&made.key.id).await.unwrap();
        assert!(local.revoke(&made.key.id).await.is_err());
        assert!(local.list().await.unwrap().is_empty());
        local.close().await.unwrap();
    }
}
