//! Vacuum of the queue. Every entry of it becomes a dead row, and a claim walks over those that are still there:
//! autovacuum, which looks once a minute by default, comes too late at thousands of messages a second. And what came to the
//! counts of deliveries is added up.

use super::{
    Shared,
    wire::{self, damaged},
};
use crate::store::StoreError;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// Between two looks at the number of dead rows.
const LOOK: Duration = Duration::from_secs(3);
/// Dead rows from which a vacuum is worth its while: a few megabytes.
const DEAD: i64 = 20_000;
/// After a vacuum that could not remove its rows (a backup or a replica still sees them), so many times what was left.
const LEFT: i64 = 2;

/// `TRUNCATE false`: giving pages back would lock the table for a moment, and they are needed again at once.
const VACUUM: &str = "VACUUM (SKIP_LOCKED, TRUNCATE false) postrider.queue, postrider.tally_news";
const COUNT: &str = "SELECT pg_stat_get_dead_tuples('postrider.queue'::regclass) \
    + pg_stat_get_dead_tuples('postrider.tally_news'::regclass) AS dead";
const FOLD: &str = "SELECT postrider.fold_tallies_1() AS folded";

/// Vacuums whenever enough has died, until the store is closed. Of several nodes one does it; the others find few dead rows.
pub(super) async fn keep_clear(shared: Arc<Shared>) {
    let mut enough = DEAD;
    while !shared.closed() {
        tokio::select! {
            () = sleep(LOOK) => {}
            () = shared.ended() => return,
        }
        match shared.links.upkeep.run(FOLD, &[]).await {
            Ok(_) => {}
            Err(error) if shared.closed() => tracing::debug!(%error, "deliveries are not added up"),
            Err(error) => tracing::warn!(%error, "deliveries are not added up"),
        }
        match clear(&shared, enough).await {
            Ok(Some(left)) => enough = DEAD.max(left.saturating_mul(LEFT)),
            Ok(None) => {}
            Err(error) if shared.closed() => tracing::debug!(%error, "the queue is not vacuumed"),
            Err(error) => tracing::warn!(%error, "the queue is not vacuumed"),
        }
    }
}

/// Vacuums if there are enough dead rows; those left after it.
async fn clear(shared: &Shared, enough: i64) -> Result<Option<i64>, StoreError> {
    if dead(shared).await? < enough {
        return Ok(None);
    }
    shared.links.upkeep.run(VACUUM, &[]).await?;
    dead(shared).await.map(Some)
}

async fn dead(shared: &Shared) -> Result<i64, StoreError> {
    let rows = shared.links.beats.read(COUNT, &[]).await?;
    wire::get(rows.first().ok_or_else(|| damaged("a count"))?, "dead")
}
