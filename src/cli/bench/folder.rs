//! The folder of a run: made fresh, removed at the end.

use anyhow::Context;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// A folder that is removed, with all that is in it, when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new folder inside `parent`, named by those bytes.
    ///
    /// # Errors
    /// It cannot be made, or exists already.
    pub(super) fn new(parent: &Path, name: [u8; 8]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        let path = parent.join(format!("postrider-bench-{:016x}", u64::from_be_bytes(name)));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Folder(path.canonicalize()?))
    }

    /// Where it is, absolute.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            let _ = writeln!(std::io::stderr().lock(), "cannot remove {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_contents() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path(), [7; 8]).unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("file"), "x").unwrap();
        assert!(Folder::new(parent.path(), [7; 8]).is_err());
        drop(folder);
        assert!(!path.exists());
    }
}
