//! What a fresh data folder gets: the first organization and the first admin key.

use crate::{
    api::key::{KEY_PREFIX, issue, token_of},
    cli::folder::Folder,
    clock::Clock,
    config::Config,
    crypto::{Vault, fingerprint},
    model::{Address, Grant, Kind, Organization, Record, Token},
    random::Random,
    routing::SECRET_PURPOSE,
    store::{Change, Conflict, FIRST_ORG, ListPage, Store, StoreError},
};
use anyhow::bail;

/// Name of the organization that a fresh data folder gets.
const FIRST_NAME: &str = "default";

/// Where the admin key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdminKey {
    /// In its file, made now.
    Made,
    /// In its file, from an earlier start.
    InFile,
    /// Its owner chose it.
    Configured {
        /// Whether it was unknown until now.
        new: bool,
    },
    /// There are keys, but no file of one.
    Kept,
}

/// Makes the first organization and the admin key, unless they are there.
pub(super) async fn records(
    folder: &Folder,
    store: &dyn Store,
    config: &Config,
    (clock, random): (&dyn Clock, &Random),
) -> anyhow::Result<AdminKey> {
    let now = clock.now();
    let organization = Organization { id: FIRST_ORG, name: FIRST_NAME.to_owned(), profile: None, proxy: None, created_at: now };
    insert(store, Record::Organization(organization), clock).await?;
    if let Some(text) = &config.admin_key {
        let token = token_of(random, now, (FIRST_ORG, Grant::Key, "admin (configured)".to_owned()), text);
        let new = insert(store, Record::Token(token), clock).await?;
        return Ok(AdminKey::Configured { new });
    }
    let file = folder.read_admin_key()?;
    if has_key(store, clock).await? {
        let known = match &file {
            Some(text) => store.find(&Address::new(Kind::Token, "", fingerprint(text.as_bytes())), now).await?.is_some(),
            None => false,
        };
        return Ok(if known { AdminKey::InFile } else { AdminKey::Kept });
    }
    // The file comes first: a token whose text nobody knows would lock its owner out.
    let issued = issue(random, now, FIRST_ORG, Grant::Key, "admin".to_owned());
    let text = match file {
        Some(text) => text,
        None => folder.keep_admin_key(&issued.text).map(|()| issued.text)?,
    };
    if !text.starts_with(KEY_PREFIX) {
        bail!("{} does not hold a key; remove it to get a new one", folder.admin_key().display());
    }
    let token = Token { hash: fingerprint(text.as_bytes()), ..issued.token };
    insert(store, Record::Token(token), clock).await?;
    Ok(AdminKey::Made)
}

/// Inserts a record; `false` when it is there already.
async fn insert(store: &dyn Store, record: Record, clock: &dyn Clock) -> Result<bool, StoreError> {
    match store.change(vec![Change::Insert(record)], clock.now()).await {
        Ok(()) => Ok(true),
        Err(StoreError::Conflict(Conflict::Record(_))) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the first organization has an API key.
async fn has_key(store: &dyn Store, clock: &dyn Clock) -> Result<bool, StoreError> {
    const PAGE: usize = 100;
    let mut after: Option<String> = None;
    loop {
        let page = ListPage { after: after.as_deref(), backwards: false, limit: PAGE };
        let found = store.list(Kind::Token, &FIRST_ORG.to_string(), page, clock.now()).await?;
        if found.iter().any(|stored| matches!(&stored.record, Record::Token(Token { grant: Grant::Key, .. }))) {
            return Ok(true);
        }
        match found.last() {
            Some(last) if found.len() == PAGE => after = Some(last.record.address().key),
            _ => return Ok(false),
        }
    }
}

/// Finds out by the store's own secrets whether the key is the right one, when there is no check of it.
pub(super) async fn prove(
    folder: &Folder,
    store: &dyn Store,
    vault: &Vault,
    (clock, random): (&dyn Clock, &Random),
) -> anyhow::Result<()> {
    let (mut opened, mut refused) = (0u64, 0u64);
    let mut visit = |record: Record| {
        let Record::Endpoint(endpoint) = record else { return };
        for secret in &endpoint.secrets {
            match vault.open(SECRET_PURPOSE, &secret.sealed) {
                Ok(_) => opened += 1,
                Err(_) => refused += 1,
            }
        }
    };
    store.each(Kind::Endpoint, clock.now(), &mut |stored| visit(stored.record)).await?;
    if opened == 0 && refused > 0 {
        bail!(folder.wrong_key());
    }
    folder.prove(vault, random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::serve::open, clock::SystemClock, config::Given};
    use std::{path::Path, sync::Arc};

    const CHOSEN: &str = "pr_chosen_by_its_owner";

    fn config(data: &Path, key: Option<&str>) -> Config {
        let variables = key.map(|key| ("POSTRIDER_ADMIN_KEY".to_owned(), key.to_owned())).into_iter().collect();
        let flags = [("data", data.to_str().unwrap().to_owned())].into();
        Config::read(&Given { file: None, variables, flags }).unwrap()
    }

    #[tokio::test]
    async fn the_admin_key_is_made_once_found_again_and_never_brought_back() {
        let temp = tempfile::tempdir().unwrap();
        let given = config(temp.path(), None);
        let (folder, random, clock) = (Folder::of(&given), Random::seeded(1), Arc::new(SystemClock));
        folder.make().unwrap();
        let vault = folder.unlock(&random).unwrap().vault;
        let store = open(&folder, clock.clone()).unwrap();
        let start = async |config: &Config| records(&folder, &*store, config, (&*clock, &random)).await.unwrap();

        assert_eq!(start(&given).await, AdminKey::Made);
        assert_eq!(start(&given).await, AdminKey::InFile);
        let text = folder.read_admin_key().unwrap().unwrap();
        let address = Address::new(Kind::Token, "", fingerprint(text.as_bytes()));
        let token = store.find(&address, clock.now()).await.unwrap().unwrap().record.address();

        let chosen = config(temp.path(), Some(CHOSEN));
        assert_eq!(start(&chosen).await, AdminKey::Configured { new: true });
        assert_eq!(start(&chosen).await, AdminKey::Configured { new: false });
        store.change(vec![Change::Delete(token)], clock.now()).await.unwrap();
        assert_eq!(start(&given).await, AdminKey::Kept, "a key that was revoked stays revoked");

        prove(&folder, &*store, &vault, (&*clock, &random)).await.unwrap();
        assert!(folder.unlock(&random).unwrap().proven);
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_key_that_opens_no_secret_is_not_the_store_s() {
        use crate::model::{AppId, Endpoint, EndpointId, Secret};
        let temp = tempfile::tempdir().unwrap();
        let given = config(temp.path(), None);
        let (folder, random, clock) = (Folder::of(&given), Random::seeded(1), Arc::new(SystemClock));
        folder.make().unwrap();
        let vault = folder.unlock(&random).unwrap().vault;
        let store = open(&folder, clock.clone()).unwrap();
        let now = clock.now();
        let sealed = vault.seal(&random, SECRET_PURPOSE, b"whsec_x").unwrap();
        let endpoint = Endpoint {
            id: EndpointId(1),
            app: AppId(1),
            org: FIRST_ORG,
            uid: None,
            url: "https://example.com".into(),
            name: None,
            description: String::new(),
            event_types: None,
            channels: None,
            filter: None,
            disabled: None,
            throttle_rate: None,
            concurrency: None,
            ordering: None,
            metadata: Default::default(),
            headers: Default::default(),
            credentials: None,
            secrets: vec![Secret { sealed, created_at: now, expires_at: None }],
            profile: None,
            method: None,
            system: None,
            retry_policy: None,
            created_at: now,
            updated_at: now,
        };
        store.change(vec![Change::Insert(Record::Endpoint(endpoint))], now).await.unwrap();
        assert!(prove(&folder, &*store, &vault, (&*clock, &random)).await.is_ok());
        let stranger = Vault::from_text(&Vault::new_key(&random)).unwrap();
        assert!(prove(&folder, &*store, &stranger, (&*clock, &random)).await.is_err());
        store.close().await.unwrap();
    }
}
