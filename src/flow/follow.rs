//! Following: what other processes on the same store changed reaches the tables and the lanes of this one.

use super::{Engine, configure::Stale};
use crate::{
    model::{Address, Kind},
    store::{Change, News, StoreError},
};
use std::{sync::Arc, time::Duration};

/// How long to wait before the store is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes over what is new until the engine stops.
pub(super) async fn follow(engine: Arc<Engine>) {
    while !engine.stopping() {
        let news = tokio::select! {
            news = engine.store.news() => news,
            () = engine.stopped() => return,
        };
        tracing::debug!(?news, "news");
        while let Err(error) = take(&engine, &news).await
            && !engine.stopping()
        {
            if !matches!(error, StoreError::Unavailable(_)) {
                // Asked again it would be no other, and everything behind it would wait.
                tracing::error!(%error, ?news, "not taken over");
                break;
            }
            tracing::warn!(%error, ?news, "not taken over yet");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn take(engine: &Arc<Engine>, news: &News) -> Result<(), StoreError> {
    match news {
        News::Record(address) => record(engine, address).await,
        News::Queue => {
            for (endpoint, due) in engine.store.queued_endpoints().await? {
                engine.note_due(endpoint, due);
            }
            Ok(())
        }
        News::Processes(count) => {
            engine.lanes.share_with(*count);
            Ok(())
        }
        News::Cancelled(endpoint, msg) => {
            engine.stand_down(*endpoint, *msg).await;
            Ok(())
        }
        News::Due(endpoint) => {
            engine.look_here(*endpoint);
            Ok(())
        }
    }
}

/// The record as it is now: an earlier form of it is of no interest.
pub(super) async fn record(engine: &Arc<Engine>, address: &Address) -> Result<(), StoreError> {
    if address.kind == Kind::Rotation {
        if let Err(error) = engine.follow_rotation().await? {
            tracing::error!(%error, "a step of the master key's rotation was not followed");
        }
        return Ok(());
    }
    let gone = Change::Delete(address.clone());
    let in_order = engine.lock(std::slice::from_ref(&gone)).await;
    let found = engine.store.find(address, engine.clock.now()).await?;
    let stale = match found {
        Some(found) => engine.take_over(Change::Write(found.record)),
        None if address.kind == Kind::Failing => {
            engine.recovered(address);
            Stale::Nothing
        }
        None => engine.take_over(gone),
    };
    engine.freshen(vec![stale], in_order).await
}
