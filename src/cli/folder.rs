//! The data folder: the master key, the admin key, the store, and the running server's address.

use crate::{
    config::{Config, StorePlace},
    crypto::{Vault, hex},
    model::Sealed,
    random::Random,
};
use anyhow::{Context, bail};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Only its owner may enter the folder.
const FOLDER_MODE: u32 = 0o700;
/// Only its owner may read a key.
const KEY_MODE: u32 = 0o600;
/// What others may do with a file.
const OTHERS: u32 = 0o077;
/// What the vault is told when it seals the text that shows whether a key is the right one.
const CHECK_PURPOSE: &str = "master key check";
/// That text.
const CHECK_TEXT: &str = "postrider";

/// The data folder.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
    store: PathBuf,
}

/// The master key, and whether it was made just now.
#[derive(Debug)]
pub(super) struct Unlocked {
    /// What it opens.
    pub(super) vault: Vault,
    /// Whether this is a first start.
    pub(super) new: bool,
    /// Whether it is known to be the store's key. Otherwise the check is missing, and the store's secrets have to tell.
    pub(super) proven: bool,
}

impl Folder {
    /// The folder that is configured, whether it is there or not.
    pub(super) fn of(config: &Config) -> Self {
        let store = match &config.store {
            StorePlace::Folder(folder) => folder.clone(),
            StorePlace::Data | StorePlace::Postgres(_) => config.data.join("store"),
        };
        Folder { root: config.data.clone(), store }
    }

    /// A folder with its store inside.
    pub(super) fn at(root: &Path) -> Self {
        Folder { root: root.to_owned(), store: root.join("store") }
    }

    /// Makes the folder unless it is there.
    pub(super) fn make(&self) -> anyhow::Result<()> {
        let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.root);
        made.with_context(|| format!("cannot make the data folder {}", self.root.display()))
    }

    /// The data folder itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The store's folder.
    pub(super) fn store(&self) -> &Path {
        &self.store
    }

    /// Whether there is a store with something in it.
    pub(super) fn has_store(&self) -> bool {
        fs::read_dir(&self.store).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// The file of the master key.
    pub(super) fn master_key(&self) -> PathBuf {
        self.root.join("master.key")
    }

    /// The file of the first admin key.
    pub(super) fn admin_key(&self) -> PathBuf {
        self.root.join("admin.key")
    }

    /// The file that names the running server's URL.
    pub(super) fn url(&self) -> PathBuf {
        self.root.join("server.url")
    }

    /// The file with the fingerprint of the certificate that the running server uses.
    pub(super) fn certificate(&self) -> PathBuf {
        self.root.join("server.cert.sha256")
    }

    fn check(&self) -> PathBuf {
        self.root.join("master.check")
    }

    /// Reads the master key; makes it when there is no store yet.
    ///
    /// # Errors
    /// There is a store but no key, or a key that is not the store's.
    pub(super) fn unlock(&self, random: &Random) -> anyhow::Result<Unlocked> {
        let path = self.master_key();
        let mut text = read_key(&path)?;
        let new = text.is_none();
        if new {
            if self.has_store() {
                bail!(
                    "the store in {} needs its master key, and {} is missing: bring the key back from your copy; without \
                     it the stored secrets cannot be read",
                    self.store.display(),
                    path.display()
                );
            }
            text = Some(make_key(&path, &Vault::new_key(random))?);
        }
        let text = text.unwrap_or_default();
        let vault = Vault::from_text(&text).with_context(|| format!("{} is not a master key", path.display()))?;
        let proven = self.verify(&vault)?;
        if !self.has_store() {
            self.prove(&vault, random)?;
        }
        Ok(Unlocked { vault, new, proven: proven || !self.has_store() })
    }

    /// Reads the master key of a store that several nodes share; makes it when that has no check of one yet.
    ///
    /// # Errors
    /// The store has a key, and the folder has none, or another one.
    pub(super) fn unlock_shared(&self, random: &Random, check: Option<&str>, store: &str) -> anyhow::Result<Unlocked> {
        let path = self.master_key();
        let text = read_key(&path)?;
        let new = text.is_none();
        let text = match text {
            Some(text) => text,
            None if check.is_some() => {
                bail!("the store at {store} has a master key: copy the file of another node to {}", path.display())
            }
            None => make_key(&path, &Vault::new_key(random))?,
        };
        let vault = Vault::from_text(&text).with_context(|| format!("{} is not a master key", path.display()))?;
        if check.is_some_and(|check| !Self::opens(&vault, check)) {
            bail!("{} is not the master key of the store at {store}: copy the file of another node", path.display());
        }
        Ok(Unlocked { vault, new, proven: true })
    }

    /// The text of the master key, if there is one.
    pub(super) fn read_master_key(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        read_key(&self.master_key())
    }

    /// Keeps the master key of a store that comes from elsewhere; the one that is there then.
    pub(super) fn keep_master_key(&self, text: &str) -> anyhow::Result<Zeroizing<String>> {
        make_key(&self.master_key(), text.trim())
    }

    /// The text that shows whether a key is the right one, sealed.
    pub(super) fn check_of(vault: &Vault, random: &Random) -> anyhow::Result<String> {
        Ok(vault.seal(random, CHECK_PURPOSE, CHECK_TEXT.as_bytes())?.0)
    }

    /// Whether a key opens that text.
    pub(super) fn opens(vault: &Vault, check: &str) -> bool {
        vault.open_text(CHECK_PURPOSE, &Sealed(check.trim().to_owned())).is_ok()
    }

    /// Compares the key with the check that was sealed under the store's; `false` when there is no check.
    fn verify(&self, vault: &Vault) -> anyhow::Result<bool> {
        let path = self.check();
        match fs::read_to_string(&path) {
            Ok(sealed) if Self::opens(vault, &sealed) => Ok(true),
            Ok(_) if self.has_store() => bail!(self.wrong_key()),
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Seals the check under a key that is known to be the store's.
    pub(super) fn prove(&self, vault: &Vault, random: &Random) -> anyhow::Result<()> {
        replace(&self.check(), &Self::check_of(vault, random)?)
    }

    /// Keeps master keys in place of those that are there, unless they are the same.
    pub(super) fn keep_master_keys(&self, text: &str) -> anyhow::Result<()> {
        let kept = read_key(&self.master_key())?;
        if kept.is_some_and(|kept| kept.split_whitespace().eq(text.split_whitespace())) {
            Ok(())
        } else {
            replace(&self.master_key(), text)
        }
    }

    /// What to say when the key is not the store's.
    pub(super) fn wrong_key(&self) -> String {
        let (key, store) = (self.master_key(), self.store.display());
        format!("{} is not the master key of the store in {store}: bring the right key back from your copy", key.display())
    }

    /// Reads the admin key's file.
    pub(super) fn read_admin_key(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        Ok(read_key(&self.admin_key())?.map(|text| Zeroizing::new(text.trim().to_owned())))
    }

    /// Keeps the admin key's text in its file.
    pub(super) fn keep_admin_key(&self, text: &str) -> anyhow::Result<()> {
        make_key(&self.admin_key(), text).map(drop)
    }

    /// Notes where the running server is, for the other commands.
    pub(super) fn note_url(&self, url: &str) -> anyhow::Result<()> {
        replace(&self.url(), url)
    }

    /// Forgets where the server was.
    pub(super) fn forget_url(&self) {
        let _nothing_to_forget = (fs::remove_file(self.url()), fs::remove_file(self.certificate()));
    }

    /// Notes the fingerprint of the running server's certificate, for the other commands; `None`: it speaks no TLS.
    pub(super) fn note_certificate(&self, fingerprint: Option<&str>) -> anyhow::Result<()> {
        match fingerprint {
            Some(fingerprint) => replace(&self.certificate(), fingerprint),
            None => {
                let _nothing_to_forget = fs::remove_file(self.certificate());
                Ok(())
            }
        }
    }

    /// The fingerprint of the running server's certificate, if it speaks TLS.
    pub(super) fn running_certificate(&self) -> Option<String> {
        fs::read_to_string(self.certificate()).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Where the running server is, if one has said so.
    pub(super) fn running_url(&self) -> Option<String> {
        fs::read_to_string(self.url()).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

/// A new folder for a demonstration, under the system's temporary one.
pub(super) fn temporary(random: &Random) -> PathBuf {
    std::env::temp_dir().join(format!("postrider-demo-{}", hex(&random.bytes::<6>())))
}

/// Reads a key's file. `None` when it is absent, or empty because its making was cut short.
fn read_key(path: &Path) -> anyhow::Result<Option<Zeroizing<String>>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mode = fs::metadata(path).map_or(0, |data| data.permissions().mode());
    if mode & OTHERS != 0 {
        tracing::warn!(file = %path.display(), mode = format!("{:o}", mode & 0o777), "others may read this key");
    }
    Ok((!text.trim().is_empty()).then_some(text))
}

/// Makes a key's file. When another process was first, its key counts.
fn make_key(path: &Path, text: &str) -> anyhow::Result<Zeroizing<String>> {
    let cut_short = fs::metadata(path).is_ok_and(|data| data.len() == 0);
    if cut_short {
        fs::remove_file(path)?;
    }
    match create(path, text) {
        Ok(()) => Ok(Zeroizing::new(text.to_owned())),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read_key(path)?.with_context(|| format!("{} is being made by another process", path.display()))
        }
        Err(error) => Err(error).with_context(|| format!("cannot make {}", path.display())),
    }
}

/// Creates a file that must not exist, durably.
fn create(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(KEY_MODE).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    sync_folder(path)
}

/// Writes a file anew, all of it or nothing.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(KEY_MODE).open(&part)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        sync_folder(path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder, Random) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("data");
        let folder = Folder { store: root.join("store"), root };
        folder.make().unwrap();
        (temp, folder, Random::seeded(1))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn fill_store(folder: &Folder) {
        fs::create_dir(folder.store()).unwrap();
        fs::write(folder.store().join("x"), "x").unwrap();
    }

    #[test]
    fn keys_are_made_once_and_for_their_owner_only() {
        let (_temp, folder, random) = folder();
        assert!(folder.unlock(&random).unwrap().new);
        let first = fs::read_to_string(folder.master_key()).unwrap();
        assert_eq!((mode(&folder.root), mode(&folder.master_key())), (0o700, 0o600));
        fill_store(&folder);
        assert!(!folder.unlock(&random).unwrap().new);
        assert_eq!(fs::read_to_string(folder.master_key()).unwrap(), first);

        folder.keep_admin_key("pr_one").unwrap();
        folder.keep_admin_key("pr_two").unwrap();
        assert_eq!(folder.read_admin_key().unwrap().unwrap().as_str(), "pr_one");
        assert_eq!(mode(&folder.admin_key()), 0o600);
    }

    #[test]
    fn a_store_without_its_key_is_refused() {
        let (_temp, folder, random) = folder();
        folder.unlock(&random).unwrap();
        fill_store(&folder);
        let right = fs::read_to_string(folder.master_key()).unwrap();

        fs::remove_file(folder.master_key()).unwrap();
        assert!(format!("{:#}", folder.unlock(&random).unwrap_err()).contains("is missing"));
        fs::write(folder.master_key(), Vault::new_key(&random).as_str()).unwrap();
        assert!(format!("{:#}", folder.unlock(&random).unwrap_err()).contains("is not the master key of the store"));
        fs::write(folder.master_key(), "sesame").unwrap();
        assert!(format!("{:#}", folder.unlock(&random).unwrap_err()).contains("64 hexadecimal digits"));
        fs::write(folder.master_key(), format!("{}\n{right}", Vault::new_key(&random).as_str())).unwrap();
        assert!(folder.unlock(&random).unwrap().proven, "a new key may stand above the old one");
        fs::remove_file(folder.check()).unwrap();
        assert!(!folder.unlock(&random).unwrap().proven);
    }

    #[test]
    fn a_first_start_that_was_cut_short_is_made_good() {
        let (_temp, folder, random) = folder();
        fs::write(folder.master_key(), "").unwrap();
        assert!(folder.unlock(&random).unwrap().new);
        assert!(!folder.unlock(&random).unwrap().new);
    }

    #[test]
    fn the_server_s_place_comes_and_goes() {
        let (_temp, folder, _) = folder();
        assert_eq!(folder.running_url(), None);
        folder.note_url("http://127.0.0.1:1").unwrap();
        assert_eq!(folder.running_url().as_deref(), Some("http://127.0.0.1:1"));
        folder.forget_url();
        assert_eq!(folder.running_url(), None);
    }
}
