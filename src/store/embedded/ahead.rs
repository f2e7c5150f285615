//! Room in front of the journal's writer, made before it is needed.
//!
//! The engine lays a journal out as a sparse file. Each sync of a write into a hole makes the file system commit its own
//! journal too (blocks are allocated), and that takes milliseconds on a busy machine; a sync of a write over blocks that
//! exist takes a tenth. So holes are filled with zeros, a stretch at a time. Holes read as zeros already: what the engine
//! finds after a crash is the same.
//!
//! Only the committing thread calls this, between two commits, and it is the only one that writes to the journal. A hole is
//! by definition a place to which nothing was written, so nothing can be overwritten. Where the file system knows no holes,
//! nothing happens.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Bytes of writes after which the journal is looked at again.
const LOOK_EVERY: usize = 1 << 20;
/// Bytes that are filled at a look: more than was written since the last, so that the writer is never caught up with.
const STRETCH: usize = 3 << 20;
/// Bytes of zeros written at once.
const BLOCK: usize = 256 << 10;

/// Keeps the current journal filled in front of its writer.
#[derive(Debug)]
pub(super) struct Ahead {
    folder: PathBuf,
    written: usize,
}

impl Ahead {
    /// For the journals in that folder.
    pub(super) fn of(folder: PathBuf) -> Self {
        Ahead { folder, written: LOOK_EVERY }
    }

    /// So many bytes were committed.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written < LOOK_EVERY {
            return;
        }
        self.written = 0;
        // Only speed is lost; a disk that is full says so at the next commit.
        if let Err(error) = fill(&self.folder) {
            tracing::debug!(%error, "the journal is not filled ahead");
        }
    }
}

fn fill(folder: &Path) -> io::Result<()> {
    let Some(journal) = newest(folder)? else { return Ok(()) };
    let (end, start) = (journal.metadata()?.len(), first_hole(&journal)?);
    let zeros = [0; BLOCK];
    let stop = end.min(start.saturating_add(STRETCH as u64));
    let mut at = start;
    while at < stop {
        let part = usize::try_from(stop - at).unwrap_or(BLOCK).min(BLOCK);
        journal.write_all_at(zeros.get(..part).unwrap_or(&zeros), at)?;
        at += part as u64;
    }
    Ok(())
}

/// The journal with the highest number is the one that is written to.
fn newest(folder: &Path) -> io::Result<Option<File>> {
    let number = |path: &Path| -> Option<u64> {
        let is_journal = path.extension().is_some_and(|e| e == "jnl");
        is_journal.then(|| path.file_stem()?.to_str()?.parse().ok()).flatten()
    };
    let paths = fs::read_dir(folder)?.filter_map(|entry| entry.ok().map(|e| e.path()));
    let newest = paths.filter_map(|path| number(&path).map(|n| (n, path))).max();
    newest.map(|(_, path)| OpenOptions::new().write(true).open(path)).transpose()
}

#[cfg(target_os = "linux")]
fn first_hole(journal: &File) -> io::Result<u64> {
    Ok(rustix::fs::seek(journal, rustix::fs::SeekFrom::Hole(0))?)
}

#[cfg(not(target_os = "linux"))]
fn first_hole(journal: &File) -> io::Result<u64> {
    Ok(journal.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn holes_are_filled_and_nothing_else_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.jnl");
        fs::write(folder.path().join("6.jnl"), "older").unwrap();
        let journal = File::create(&path).unwrap();
        journal.set_len(16 << 20).unwrap();
        journal.write_all_at(b"entries", 0).unwrap();
        let mut ahead = Ahead::of(folder.path().to_owned());
        ahead.wrote(1);
        let hole = first_hole(&journal).unwrap();
        if cfg!(target_os = "linux") {
            assert!(hole >= STRETCH as u64, "{hole}");
        }
        ahead.wrote(LOOK_EVERY - 1);
        assert_eq!(first_hole(&journal).unwrap(), hole);
        (0..20).for_each(|_| ahead.wrote(LOOK_EVERY));

        assert_eq!(fs::read(folder.path().join("6.jnl")).unwrap(), b"older");
        let mut content = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content.len(), 16 << 20);
        assert!(content.starts_with(b"entries") && content[7..].iter().all(|b| *b == 0));
    }

    #[test]
    fn a_folder_without_journals_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(fill(folder.path()).is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
