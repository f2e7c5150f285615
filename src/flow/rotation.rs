//! The master key's rotation, seen from a node: where the key is kept, and what follows from another node's step.

use super::Engine;
use crate::{
    crypto::Vault,
    model::{Address, Record, Rotation},
    store::StoreError,
};
use std::sync::Arc;

/// What the vault is told when it seals the next master key under the one before.
pub const ROTATION_PURPOSE: &str = "next master key";

/// Where master keys are kept beside the store.
#[async_trait::async_trait]
pub trait KeyFile: Send + Sync + 'static {
    /// Keeps these keys, one a line, in place of those that were there; durable when it returns. Nothing happens when they are
    /// there already.
    fn keep(&self, text: &str) -> std::io::Result<()>;

    /// Notes the vault's current key as the store's own.
    ///
    /// # Errors
    /// It cannot be noted; in words.
    async fn prove(&self, vault: &Vault) -> Result<(), String>;
}

impl Engine {
    /// Where its master keys are kept; told once.
    pub async fn keep_keys_in(&self, file: Arc<dyn KeyFile>) {
        let _turn = self.key_turn.lock().await;
        // A rotation that was under way at the start, or had just ended, has brought or taken keys already.
        if let Err(error) = file.keep(&self.vault.text()) {
            tracing::error!(%error, "the master keys cannot be kept");
        }
        let _told_before = self.key_file.set(file);
    }

    /// Where its master keys are kept.
    #[must_use]
    pub fn key_file(&self) -> Option<&Arc<dyn KeyFile>> {
        self.key_file.get()
    }

    /// Brings the vault to where the rotation stands, whichever node has taken the step: the next key in front as long as it goes
    /// on, that key alone once it has ended. One at a time, by what the store says in that turn: nobody who has read an earlier
    /// state can bring an old key back, or take away one that is needed.
    ///
    /// # Errors
    /// The store is away. Within: the key does not open, or cannot be kept.
    pub async fn follow_rotation(&self) -> Result<Result<(), String>, StoreError> {
        let _turn = self.key_turn.lock().await;
        let found = self.store.find(&Address::rotation(), self.clock.now()).await?;
        Ok(match found.map(|found| found.record) {
            Some(Record::Rotation(rotation)) => self.take_key(&rotation),
            _ => Ok(()),
        })
    }

    /// Makes a rotation's key the current one, first in the file and then in memory; the only one if it has ended.
    fn take_key(&self, rotation: &Rotation) -> Result<(), String> {
        let key = self.vault.open_text(ROTATION_PURPOSE, &rotation.key).map_err(|error| error.to_string())?;
        if rotation.ended {
            self.keep_keys(&key)?;
            self.vault.adopt(&key).map_err(|error| error.to_string())?;
            let _kept_already = self.vault.retire_others();
            return Ok(());
        }
        self.keep_keys(&self.vault.text_with(&key))?;
        self.vault.adopt(&key).map_err(|error| error.to_string())
    }

    fn keep_keys(&self, text: &str) -> Result<(), String> {
        self.key_file.get().map_or(Ok(()), |file| file.keep(text).map_err(|error| error.to_string()))
    }
}
