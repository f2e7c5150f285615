//! What a crash or a bad disk has done to the journals, found before the engine reads them.
//!
//! The engine ends its reading of a journal, without a word, at the first entry whose mark it does not know, and cuts the file
//! there: right for a write that a crash has torn, which nobody was answered for, and wrong for damage with whole writes
//! behind it, which would all be gone. It also refuses a torn write whose parts came to the disk out of order. So journals
//! are looked through before: what is torn at the very end is cut off, and damage before whole writes is refused.
//!
//! The format is that of fjall 3 (`journal/entry.rs`): a batch is a start (its number of items, its sequence number), items,
//! and an end (the XXH3 of the items, a mark). The rest of a file is zeros, written ahead.

use crate::store::StoreError;
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use xxhash_rust::xxh3::xxh3_64;

/// The mark of a batch's start.
const START: u8 = 1;
/// The mark of an item.
const ITEM: u8 = 2;
/// The mark of a batch's end.
const END: u8 = 3;
/// The mark of a keyspace that was emptied.
const CLEAR: u8 = 4;
/// The last bytes of a batch.
const TRAILER: &[u8] = b"FJL\x03";
/// Bytes of an item between its mark and its lengths: kind, compression, keyspace.
const ITEM_HEAD: usize = 1 + 1 + 8;
/// Values as they are: what this store asks for.
const NOT_COMPRESSED: u8 = 0;
/// The file that the engine locks.
const LOCK: &str = "lock";
/// How often the lock is tried, and the pause between: whoever had it may be ending.
const LOCK_TRIES: u32 = 3;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Looks through the journals of a folder that no process has open, the oldest first. A torn last write is cut off.
///
/// # Errors
/// [`StoreError::Damaged`] when whole writes follow a damaged one, [`StoreError::Unavailable`] when a file cannot be read or
/// another process has the folder open.
pub(super) fn check(folder: &Path) -> Result<(), StoreError> {
    let refused = |error: io::Error| StoreError::Unavailable(format!("the journals in {}: {error}", folder.display()));
    let Some(_locked) = lock(folder).map_err(refused)? else { return Ok(()) };
    let mut torn: Option<(PathBuf, usize)> = None;
    for path in journals(folder).map_err(refused)? {
        let bytes = fs::read(&path).map_err(refused)?;
        let whole = whole(&bytes);
        let rest = bytes.get(whole..).unwrap_or_default();
        if let Some((path, at)) = torn.as_ref().filter(|_| whole > 0) {
            return Err(damaged(path, *at));
        }
        if rest.iter().all(|byte| *byte == 0) {
            continue;
        }
        if any_batch(rest) {
            return Err(damaged(&path, whole));
        }
        torn.get_or_insert((path, whole));
    }
    let Some((path, at)) = torn else { return Ok(()) };
    cut(&path, at).map_err(refused)?;
    tracing::warn!(journal = %path.display(), at, "the last write was torn and is cut off, as after a crash");
    Ok(())
}

/// Takes the engine's own lock, as long as what is returned lives; nobody writes meanwhile. `None`: there is no store yet.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let file = match OpenOptions::new().read(true).write(true).open(folder.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    for _ in 1..LOCK_TRIES {
        if file.try_lock().is_ok() {
            return Ok(Some(file));
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    file.try_lock().map_err(|_| io::Error::other("another process has opened the folder"))?;
    Ok(Some(file))
}

fn damaged(path: &Path, at: usize) -> StoreError {
    let path = path.display();
    StoreError::Damaged(format!(
        "the journal {path} is damaged at byte {at}, and whole writes follow. Put a copy of the folder in its place; or, to go on \
         without everything written from there on: truncate -s {at} {path}, and remove journals with higher numbers"
    ))
}

/// The journals by their numbers; none when the folder is not there.
fn journals(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let number = path.extension().filter(|kind| *kind == "jnl").and_then(|_| path.file_stem()?.to_str()?.parse::<u64>().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn cut(path: &Path, at: usize) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(at as u64)?;
    file.sync_all()
}

/// How many bytes the whole batches at the start take.
fn whole(bytes: &[u8]) -> usize {
    let mut left = bytes;
    while let Some(rest) = batch(left) {
        left = rest;
    }
    bytes.len() - left.len()
}

/// Whether a whole batch begins anywhere.
fn any_batch(bytes: &[u8]) -> bool {
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == START);
    starts.filter_map(|(at, _)| bytes.get(at..)).any(|from| batch(from).is_some())
}

/// What follows a whole batch that has something in it.
fn batch(bytes: &[u8]) -> Option<&[u8]> {
    let (count, rest) = number::<4>(mark(bytes, START)?)?;
    let (_sequence, items) = number::<8>(rest)?;
    let mut rest = items;
    for _ in 0..count {
        rest = item(rest)?;
    }
    let (sum, end) = number::<8>(mark(rest, END)?)?;
    let after = end.strip_prefix(TRAILER)?;
    let (items, _) = items.split_at_checked(items.len() - rest.len())?;
    (count > 0 && xxh3_64(items) == sum).then_some(after)
}

/// What follows an item.
fn item(bytes: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = mark(bytes, CLEAR) {
        return number::<8>(rest).map(|(_, rest)| rest);
    }
    let (head, rest) = mark(bytes, ITEM)?.split_at_checked(ITEM_HEAD)?;
    let (key, rest) = number::<2>(rest)?;
    let (value, rest) = number::<4>(rest)?;
    let (stored, rest) = number::<4>(rest)?;
    let plausible = head.get(1) == Some(&NOT_COMPRESSED) && value == stored;
    let length = usize::try_from(key.checked_add(stored)?).ok()?;
    rest.split_at_checked(length).filter(|_| plausible).map(|(_, rest)| rest)
}

fn mark(bytes: &[u8], expected: u8) -> Option<&[u8]> {
    bytes.split_first().filter(|(found, _)| **found == expected).map(|(_, rest)| rest)
}

/// A number of so many bytes, the lowest first.
fn number<const N: usize>(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk::<N>()?;
    Some((digits.iter().rev().fold(0, |sum, digit| (sum << 8) | u64::from(*digit)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch with one item.
    fn made(value: &[u8]) -> Vec<u8> {
        let mut item = vec![ITEM, 0, NOT_COMPRESSED];
        item.extend(7_u64.to_le_bytes());
        item.extend(3_u16.to_le_bytes());
        item.extend([u32::try_from(value.len()).unwrap().to_le_bytes(); 2].concat());
        item.extend([b"key", value].concat());
        let mut batch = vec![START];
        batch.extend(1_u32.to_le_bytes());
        batch.extend(9_u64.to_le_bytes());
        batch.extend(&item);
        batch.push(END);
        batch.extend(xxh3_64(&item).to_le_bytes());
        batch.extend(TRAILER);
        batch
    }

    fn folder(journals: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOCK), "").unwrap();
        for (name, bytes) in journals {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn refusal(journals: &[(&str, &[u8])]) -> String {
        match check(folder(journals).path()) {
            Err(StoreError::Damaged(words)) => words,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whole_journals_are_left_as_they_are() {
        let (one, ahead) = ([made(b"a"), made(b"")].concat(), [made(b"b"), vec![0; 5000]].concat());
        let folder = folder(&[("9.jnl", &one), ("10.jnl", &ahead)]);
        check(folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join("10.jnl")).unwrap(), ahead);
        check(&folder.path().join("absent")).unwrap();
    }

    #[test]
    fn a_folder_in_use_is_left_alone() {
        let torn = [made(b"first"), vec![START, 1]].concat();
        let folder = folder(&[("1.jnl", &torn)]);
        let user = File::open(folder.path().join(LOCK)).unwrap();
        user.lock().unwrap();
        assert!(matches!(check(folder.path()), Err(StoreError::Unavailable(words)) if words.contains("another process")));
        assert_eq!(fs::read(folder.path().join("1.jnl")).unwrap(), torn);
        drop(user);
        check(folder.path()).unwrap();
    }

    #[test]
    fn a_last_write_is_recovered_however_it_is_torn() {
        let (first, last) = (made(b"first"), made(b"the last one"));
        for at in 1..last.len() {
            let mut flipped = last.clone();
            flipped[at] ^= 0x55;
            let short = [&last[..at], &[0; 100]].concat();
            let late = [&vec![0; at][..], &last[at..]].concat();
            for tail in [last[..at].to_vec(), short, late, flipped] {
                // Its sequence number is in no sum.
                if batch(&tail).is_some() {
                    continue;
                }
                let folder = folder(&[("1.jnl", &[&first[..], &tail].concat()), ("2.jnl", &[0; 64])]);
                check(folder.path()).unwrap();
                assert_eq!(fs::read(folder.path().join("1.jnl")).unwrap(), first, "{at}");
            }
        }
    }

    #[test]
    fn damage_before_whole_writes_is_refused_wherever_it_is() {
        let (first, middle, last) = (made(b"first"), made(b"middle"), made(b"last"));
        for at in (0..middle.len()).filter(|at| !(5..13).contains(at)) {
            let mut flipped = middle.clone();
            flipped[at] ^= 0x55;
            let bytes = [first.clone(), flipped.clone(), last.clone()].concat();
            let words = refusal(&[("3.jnl", &bytes)]);
            assert!(words.contains(&format!("3.jnl is damaged at byte {}", first.len())), "{words}");
            let words = refusal(&[("3.jnl", &[first.clone(), flipped].concat()), ("4.jnl", &last)]);
            assert!(words.contains("3.jnl is damaged"), "{words}");
        }
    }
}
