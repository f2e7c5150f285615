//! The master key. Secrets are copied as they are, sealed: the target works with the source's key and with no other, so
//! it is proven before anything moves that the key at hand opens the source's secrets, and that the target has no other.

use super::{CopyArgs, place::Side};
use crate::{
    cli::{folder::Folder, serve::place::CHECK},
    crypto::Vault,
    model::{Record, Time},
    random::Random,
    routing::SECRET_PURPOSE,
};
use anyhow::{Context, bail, ensure};
use zeroize::Zeroizing;

/// The source's master key.
pub(super) struct Proven {
    text: Zeroizing<String>,
    vault: Vault,
    /// How many secrets it opens.
    pub(super) secrets: u64,
}

impl Proven {
    /// Finds the key, and proves it by the source and by what the target has already.
    pub(super) async fn find(args: &CopyArgs, source: &Side, target: &Side, random: &Random) -> anyhow::Result<Self> {
        let text = find(args, source, target)?;
        let vault = Vault::from_text(&text).context("the master key's file does not hold one")?;
        if let Some(folder) = source.folder.as_ref().filter(|_| args.master_key.is_none()) {
            folder.unlock(random)?;
        }
        for side in [source, target] {
            let Some(database) = &side.database else { continue };
            let check = database.setting(CHECK).await?;
            ensure!(check.is_none_or(|check| Folder::opens(&vault, &check)), "{} has another master key than this one", side.shown);
        }
        if let Some(folder) = &target.folder
            && let Some(there) = folder.read_master_key()?
        {
            let path = folder.master_key();
            ensure!(there.trim() == text.trim(), "{} is another master key than the source's: it has to go", path.display());
        }
        let secrets = prove(source, &vault).await?;
        Ok(Proven { text, vault, secrets })
    }

    /// Gives the target the key, or the proof of it.
    pub(super) async fn give(&self, target: &Side, random: &Random) -> anyhow::Result<()> {
        if let Some(folder) = &target.folder {
            folder.keep_master_key(&self.text)?;
            folder.prove(&self.vault, random)?;
        }
        if let Some(database) = &target.database {
            database.keep_setting(CHECK, &Folder::check_of(&self.vault, random)?).await?;
        }
        Ok(())
    }
}

/// The key's text: from the file that is named, or from the first folder that has one.
fn find(args: &CopyArgs, source: &Side, target: &Side) -> anyhow::Result<Zeroizing<String>> {
    if let Some(path) = &args.master_key {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(Zeroizing::new(text));
    }
    let configured = Folder::of(&args.config.read()?);
    for folder in source.folder.iter().chain(&target.folder).chain([&configured]) {
        if let Some(text) = folder.read_master_key()? {
            return Ok(text);
        }
    }
    bail!("the master key is needed: name the file of a server's with --master-key")
}

/// Every secret of every endpoint opens under the key.
async fn prove(source: &Side, vault: &Vault) -> anyhow::Result<u64> {
    let (mut opened, mut closed) = (0u64, 0u64);
    let mut visit = |record: Record| {
        let Record::Endpoint(endpoint) = record else { return };
        for secret in &endpoint.secrets {
            match vault.open(SECRET_PURPOSE, &secret.sealed) {
                Ok(_) => opened += 1,
                Err(_) => closed += 1,
            }
        }
    };
    source.store.each(crate::model::Kind::Endpoint, Time(0), &mut |stored| visit(stored.record)).await?;
    ensure!(closed == 0, "{closed} of {} secrets do not open under this master key", opened + closed);
    Ok(opened)
}
