//! Gathering: what comes while earlier groups are on their way goes together in the next one, so that a busy store makes
//! one round trip a group and an idle one makes nobody wait.

use crate::store::StoreError;
use std::{future::Future, sync::Arc};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Something that waits for its group, and who waits for it.
pub(super) struct Waiting<T, R> {
    pub(super) given: T,
    pub(super) answer: oneshot::Sender<R>,
}

/// How large groups may be.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Groups on their way at the same time.
    pub(super) groups: usize,
    /// Weight of a group, above which it takes no more.
    pub(super) weight: usize,
}

/// The way in.
pub(super) struct Gather<T, R>(mpsc::UnboundedSender<Waiting<T, R>>);

impl<T: Send + 'static, R: Send + 'static> Gather<T, R> {
    /// Starts; `send` takes one group to the database and answers everybody in it.
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(
        bounds: Bounds,
        weigh: impl Fn(&T) -> usize + Send + 'static,
        send: impl Fn(Vec<Waiting<T, R>>) -> F + Send + 'static,
    ) -> Self {
        let (way, mut end) = mpsc::unbounded_channel::<Waiting<T, R>>();
        let free = Arc::new(Semaphore::new(bounds.groups));
        tokio::spawn(async move {
            while let Ok(permit) = free.clone().acquire_owned().await {
                let Some(first) = end.recv().await else { return };
                let mut weight = weigh(&first.given);
                let mut group = vec![first];
                while weight < bounds.weight
                    && let Ok(next) = end.try_recv()
                {
                    weight += weigh(&next.given);
                    group.push(next);
                }
                let sent = send(group);
                tokio::spawn(async move {
                    sent.await;
                    drop(permit);
                });
            }
        });
        Gather(way)
    }

    /// Joins the next group and waits for its answer.
    pub(super) async fn join(&self, given: T) -> Result<R, StoreError> {
        let (answer, answered) = oneshot::channel();
        let gone = || StoreError::Unavailable("the store is closed".into());
        self.0.send(Waiting { given, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}
