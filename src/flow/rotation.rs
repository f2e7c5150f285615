//! The master key's rotation, seen from a node: where the key is kept, and what follows from another node's step.

use super::Engine;
use crate::{
    crypto::Vault,
    model::{Record, Rotation},
};
use std::sync::Arc;

/// What the vault is told when it seals the next master key under the one before.
pub const ROTATION_PURPOSE: &str = "next master key";

/// Where master keys are kept beside the store.
#[async_trait::async_trait]
pub trait KeyFile: Send + Sync + 'static {
    /// Keeps these keys, one a line, in place of those that were there; durable when it returns.
    fn keep(&self, text: &str) -> std::io::Result<()>;

    /// Notes the vault's current key as the store's own.
    ///
    /// # Errors
    /// It cannot be noted; in words.
    async fn prove(&self, vault: &Vault) -> Result<(), String>;
}

impl Engine {
    /// Where its master keys are kept; told once.
    pub fn keep_keys_in(&self, file: Arc<dyn KeyFile>) {
        // A rotation that was under way at the start has brought its key already.
        if self.vault.keys() > 1
            && let Err(error) = file.keep(&self.vault.text())
        {
            tracing::error!(%error, "the master keys cannot be kept");
        }
        let _told_before = self.key_file.set(file);
    }

    /// Where its master keys are kept.
    #[must_use]
    pub fn key_file(&self) -> Option<&Arc<dyn KeyFile>> {
        self.key_file.get()
    }

    /// Makes a rotation's key the current one, first in the file and then in memory.
    ///
    /// # Errors
    /// The key does not open, or cannot be kept.
    pub fn adopt_key(&self, rotation: &Rotation) -> Result<(), String> {
        let key = self.vault.open_text(ROTATION_PURPOSE, &rotation.key).map_err(|error| error.to_string())?;
        if let Some(file) = self.key_file.get() {
            file.keep(&self.vault.text_with(&key)).map_err(|error| error.to_string())?;
        }
        self.vault.adopt(&key).map_err(|error| error.to_string())
    }

    /// Forgets the keys before the current one, in memory and in the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn retire_keys(&self) -> Result<(), String> {
        if self.vault.keys() < 2 {
            return Ok(());
        }
        let text = self.vault.retire_others();
        self.key_file.get().map_or(Ok(()), |file| file.keep(&text).map_err(|error| error.to_string()))
    }

    /// Another node has begun a rotation, or ended it.
    pub(super) fn follow_rotation(&self, record: Option<&Record>) {
        let done = match record {
            Some(Record::Rotation(rotation)) => self.adopt_key(rotation),
            _ => self.retire_keys(),
        };
        if let Err(error) = done {
            tracing::error!(%error, "a step of the master key's rotation was not followed");
        }
    }
}
