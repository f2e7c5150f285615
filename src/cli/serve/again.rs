//! Starting anew. After a write that failed half-way (the disk was full, mostly) the embedded store takes no more until it is
//! opened again, for what is certain then is only what a start finds. So the process starts anew in its own place, as after
//! a kill, once the disk has room. Until then it goes on reading, and answers 503 to who writes.

use crate::store::{Store, StoreError};
use std::{
    convert::Infallible,
    env, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long a process runs at least: what breaks the store at once is not to be tried without a pause.
const SHORTEST_LIFE: Duration = Duration::from_secs(10);
/// Bytes that a start needs before it writes anything of use: tables that were in memory, and a stretch of the journal.
const ROOM_BYTES: u64 = 48 << 20;

/// Watches the store, for as long as the process lives.
pub(super) async fn when_broken(store: Arc<dyn Store>, folder: PathBuf) {
    let begun = Instant::now();
    let mut told = false;
    loop {
        sleep(LOOK).await;
        if store.ping().await != Err(StoreError::Broken) {
            continue;
        }
        if !std::mem::replace(&mut told, true) {
            tracing::error!("the store takes no more writes; starting anew as soon as the disk has room");
        }
        if begun.elapsed() >= SHORTEST_LIFE && free_bytes(&folder).is_ok_and(|free| free >= ROOM_BYTES) {
            tracing::warn!("starting anew");
            let Err(error) = anew();
            tracing::error!(%error, "cannot start anew; stop and start me");
        }
    }
}

fn free_bytes(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The same program with the same arguments, in place of this one.
fn anew() -> io::Result<Infallible> {
    Err(Command::new(env::current_exe()?).args(env::args_os().skip(1)).exec())
}
