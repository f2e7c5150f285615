//! Whether a folder whose old messages are deleted stays bounded.

use super::EmbeddedStore;
use super::queue_tests::{message, settlement};
use super::tests::Folder;
use crate::model::{AppId, EndpointId, MsgId, Time, Trigger, Verdict};
use crate::store::conformance::NOW;
use crate::store::{Lease, NewMessage, Store};
use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{os::unix::fs::MetadataExt, path::Path, sync::Arc};

const ENDPOINT: EndpointId = EndpointId(1);
const LEASE: Lease = Lease { token: 1, until: Time(NOW.0 + 60_000_000) };
/// Bytes of a payload: more than what lies within the tree.
const PAYLOAD: usize = 64 << 10;
/// Messages in a round, which is 8 MiB, and a second of the messages' time.
const ROUND: u64 = 128;
const ROUND_MS: u64 = 1000;
/// Rounds after which the folder must have been found within its bound, and those of them that are kept.
const ROUNDS: u64 = 60;
const KEPT: u64 = 2;
/// Rounds at the very end: files whose tables were merged go with the next tables that are, so that where merging lags behind
/// it shows in later rounds.
const LAST_ROUND: u64 = 180;
/// Bytes on the disk: of 480 MiB and more that were written 16 are kept, 192 may be journals, and of payloads up to 160 MiB
/// may wait for their tables to be merged.
const BOUND: u64 = 400 << 20;

/// Bytes that are allocated.
fn allocated(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => allocated(&entry.path()),
        Ok(about) => about.blocks() * 512,
        Err(_) => 0,
    };
    entries.map(size).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_under_retention_is_bounded() {
    let (folder, mut rng) = (Folder::new(), StdRng::seed_from_u64(1));
    let store = folder.open().unwrap();
    let mut round = 0;
    while round < ROUNDS || allocated(folder.path()) > BOUND {
        assert!(round < LAST_ROUND, "{} bytes", allocated(folder.path()));
        write_a_round(&store, round, &mut rng).await;
        let cutoff = Time(NOW.0 + (round + 1).saturating_sub(KEPT) * ROUND_MS);
        while store.prune(AppId(1), cutoff, 500).await.unwrap() == 500 {}
        round += 1;
    }
}

/// Messages that are accepted and delivered.
async fn write_a_round(store: &EmbeddedStore, round: u64, rng: &mut StdRng) {
    for n in 0..ROUND {
        let id = MsgId(MsgId::lowest_at(Time(NOW.0 + round * ROUND_MS)).0 + u128::from(n));
        let mut payload = vec![0; PAYLOAD];
        rng.fill_bytes(&mut payload);
        let mut message = message(id, None, vec![ENDPOINT]);
        message.payload = Bytes::from(payload);
        store.accept(NewMessage { message: Arc::new(message), leases: vec![Some(LEASE)], mark: None }).await.unwrap();
        let settlement = settlement(ENDPOINT, id, Trigger::Scheduled, LEASE, Verdict::Delivered);
        store.settle(Arc::new(vec![settlement])).await.pop().unwrap().unwrap();
    }
}
