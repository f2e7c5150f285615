//! The embedded engine before the conformance suite, and what only it promises.

use super::{EmbeddedOptions, EmbeddedStore};
use crate::clock::VirtualClock;
use crate::model::{AppId, LATEST, MsgId};
use crate::store::conformance::{Harness, NOW, conformance};
use crate::store::{Store, StoreError, Window};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    pub(super) fn open(&self) -> Result<Arc<EmbeddedStore>, StoreError> {
        EmbeddedStore::open(&EmbeddedOptions::at(self.0.path()), Arc::new(VirtualClock::starting_at(NOW)))
    }
}

#[async_trait::async_trait]
impl Harness for Folder {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.open().unwrap()
    }

    async fn restart(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        drop(store);
        self.open().unwrap()
    }
}

conformance!(Folder::new());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_in_is_given_back() {
    let folder = Folder::new();
    crate::store::conformance::what_is_taken_in_is_given_back(folder.open().unwrap()).await;
}

#[test]
fn a_folder_has_one_owner() {
    let folder = Folder::new();
    let first = folder.open().unwrap();
    assert_eq!(first.lease(1).until, LATEST, "so that what others have begun need not be waited for");
    let refused = folder.open().map(drop);
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("another process")), "{refused:?}");
    drop(first);
    folder.open().unwrap();
}

#[tokio::test]
async fn who_reads_in_a_loop_lets_others_go_on() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = turns.clone();
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, SeqCst);
            tokio::task::yield_now().await;
        }
    });
    let window = Window { above: 0, below: u128::MAX, newest_first: true, limit: 64 };
    for _ in 0..10 {
        store.messages(AppId(1), window).await.unwrap();
    }
    let after_windows = turns.load(SeqCst);
    assert!(after_windows >= 9, "{after_windows}");
    for _ in 0..1000 {
        store.message(AppId(1), MsgId(1)).await.unwrap();
    }
    assert!(turns.load(SeqCst) >= after_windows + 5, "{turns:?}");
    other.abort();
}
