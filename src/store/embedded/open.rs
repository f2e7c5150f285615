//! Open messages at the start: the leases went with the process that held them, so what was owed by them is queued.

use super::keys::{self, Place};
use super::read;
use super::spaces::{Space, Spaces, failure};
use crate::model::{Address, AppId, DeliveryState, MsgId, Trigger};
use crate::store::StoreError;
use fjall::{OwnedWriteBatch, PersistMode, Slice};

/// Messages whose deliveries are queued with one commit.
const TOGETHER: usize = 512;

/// Queues every delivery that is owed by an open message and closes these. A crash in between costs nothing: what is queued
/// twice has the same key.
pub(super) fn queue(spaces: &Spaces) -> Result<(), StoreError> {
    loop {
        let open = spaces.of(Space::Open).iter().take(TOGETHER).map(|guard| guard.into_inner().map_err(failure));
        let open = open.collect::<Result<Vec<_>, _>>()?;
        if open.is_empty() {
            return Ok(());
        }
        let mut batch = spaces.db.batch().durability(Some(PersistMode::Buffer));
        for (key, app) in open {
            queue_deliveries(spaces, &mut batch, &key, &app)?;
            batch.remove_weak(spaces.of(Space::Open), key);
        }
        batch.commit().map_err(failure)?;
    }
}

fn queue_deliveries(spaces: &Spaces, batch: &mut OwnedWriteBatch, key: &Slice, app: &Slice) -> Result<(), StoreError> {
    let damaged = || StoreError::Damaged("an open message".into());
    let (msg, app) = (MsgId::from_bytes(key).ok_or_else(damaged)?, AppId::from_bytes(app).ok_or_else(damaged)?);
    // Purged meanwhile: then nothing is owed.
    let Some(message) = read::message(spaces, app, msg)? else { return Ok(()) };
    let known = |address: &Address| spaces.get(Space::Records, &keys::record(address)).map(|found| found.is_some());
    let listed = known(&Address::application(message.org, app))?;
    for endpoint in message.endpoints.iter().copied() {
        // What is in strict order was queued, or waits.
        if message.order(endpoint).is_some() {
            continue;
        }
        // Its endpoint was deleted, and what it owed was purged: an entry would keep the message for good.
        if listed && !known(&Address::endpoint(app, endpoint))? {
            continue;
        }
        let due = match read::delivery_row(spaces, endpoint, msg)?.map(|row| row.state) {
            None => message.first_due(),
            Some(DeliveryState::Pending(due)) => due,
            Some(_) => continue,
        };
        let key = keys::queue(endpoint, Trigger::Scheduled, Place { due, msg });
        batch.insert(spaces.of(Space::Queue), key, app.bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Application, Endpoint, EndpointId, OrgId, Record, Time, Verdict};
    use crate::store::conformance::{NOW, settle_one};
    use crate::store::embedded::EmbeddedStore;
    use crate::store::embedded::queue_tests::{message, settlement};
    use crate::store::embedded::tests::Folder;
    use crate::store::{Change, Lease, NewMessage, Requeue, Settled, Store};
    use std::sync::Arc;

    const LEASE: Lease = Lease { token: 1, until: Time(NOW.0 + 60_000) };
    const MANUAL: Lease = Lease { token: 2, until: Time(NOW.0 + 60_000) };

    async fn accept(store: &EmbeddedStore, endpoints: &[EndpointId]) -> MsgId {
        let message = message(MsgId::lowest_at(NOW), None, endpoints.to_vec());
        let (id, leases) = (message.id, vec![Some(LEASE); endpoints.len()]);
        store.accept(NewMessage { message: Arc::new(message), leases, mark: None }).await.unwrap();
        id
    }

    async fn settle(store: &EmbeddedStore, endpoint: EndpointId, msg: MsgId, (trigger, lease): (Trigger, Lease), verdict: Verdict) {
        let settled = settle_one(store, settlement(endpoint, msg, trigger, lease, verdict)).await.unwrap();
        assert!(matches!(settled, Settled::Recorded(_)), "{settled:?}");
    }

    fn open(store: &EmbeddedStore) -> usize {
        store.spaces().unwrap().of(Space::Open).iter().count()
    }

    fn queued(store: &EmbeddedStore) -> usize {
        store.spaces().unwrap().of(Space::Queue).iter().count()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_message_is_open_until_the_last_of_its_deliveries_is_settled() {
        let (folder, endpoints) = (Folder::new(), [1, 2, 3].map(EndpointId));
        let store = folder.open().unwrap();
        let msg = accept(&store, &endpoints).await;
        assert_eq!((open(&store), queued(&store)), (1, 0));
        settle(&store, endpoints[0], msg, (Trigger::Scheduled, LEASE), Verdict::Delivered).await;
        settle(&store, endpoints[1], msg, (Trigger::Scheduled, LEASE), Verdict::Retry(Time(NOW.0 + 5))).await;
        assert_eq!((open(&store), queued(&store)), (1, 1));
        assert!(store.purge(AppId(1), Some(endpoints[2]), 100).await.unwrap() > 0, "at least its counters");
        assert_eq!((open(&store), queued(&store)), (0, 1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_an_open_message_owed_is_queued_at_the_next_start() {
        let (folder, endpoints) = (Folder::new(), [1, 2, 3, 4, 5].map(EndpointId));
        let [delivered, failed, by_hand, given_back, untouched] = endpoints;
        let store = folder.open().unwrap();
        let msg = accept(&store, &endpoints).await;
        settle(&store, delivered, msg, (Trigger::Scheduled, LEASE), Verdict::Delivered).await;
        settle(&store, failed, msg, (Trigger::Scheduled, LEASE), Verdict::Retry(Time(NOW.0 + 5))).await;
        store.requeue(AppId(1), by_hand, Requeue::Once(msg), NOW).await.unwrap();
        assert_eq!(store.claim(by_hand, MANUAL, NOW, 9).await.unwrap().taken.len(), 1);
        settle(&store, by_hand, msg, (Trigger::Manual, MANUAL), Verdict::Delivered).await;
        store.release(given_back, msg, Trigger::Scheduled, LEASE).await.unwrap();
        let owed = store.queued_endpoints().await.unwrap();
        assert!([failed, given_back, untouched].iter().all(|endpoint| owed.iter().any(|(owed, _)| owed == endpoint)), "{owed:?}");

        drop(store);
        let store = folder.open().unwrap();
        assert_eq!(open(&store), 0);
        let mut owed = store.queued_endpoints().await.unwrap();
        owed.sort_unstable();
        let due = msg.time();
        assert_eq!(owed, [(failed, Time(NOW.0 + 5)), (given_back, due), (untouched, due)]);
        for endpoint in [given_back, untouched] {
            let claims = store.claim(endpoint, Lease { token: 3, ..LEASE }, NOW, 9).await.unwrap();
            assert_eq!(claims.taken.iter().map(|claimed| claimed.message.id).collect::<Vec<_>>(), [msg]);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_queued_for_an_endpoint_that_was_deleted() {
        let (folder, [there, deleted]) = (Folder::new(), [1, 2].map(EndpointId));
        let store = folder.open().unwrap();
        let application = Application {
            id: AppId(1),
            org: OrgId(1),
            uid: None,
            name: "a".into(),
            throttle_rate: None,
            metadata: Default::default(),
            profile: None,
            retry_policy: None,
            created_at: NOW,
            updated_at: NOW,
        };
        let records = [
            Record::Application(application),
            Record::Endpoint(Endpoint::new((OrgId(1), AppId(1), there), "http://localhost/", NOW)),
            Record::Endpoint(Endpoint::new((OrgId(1), AppId(1), deleted), "http://localhost/", NOW)),
        ];
        store.change(records.map(Change::Insert).to_vec(), NOW).await.unwrap();
        let msg = accept(&store, &[there, deleted]).await;
        store.change(vec![Change::Delete(Address::endpoint(AppId(1), deleted))], NOW).await.unwrap();
        while store.purge(AppId(1), Some(deleted), 100).await.unwrap() > 0 {}
        drop(store);
        let store = folder.open().unwrap();
        assert_eq!(queued(&store), 1);
        assert_eq!(store.claim(there, MANUAL, NOW, 9).await.unwrap().taken.len(), 1);
        settle(&store, there, msg, (Trigger::Scheduled, MANUAL), Verdict::Delivered).await;
        let after = Time(NOW.0 + 1);
        assert_eq!(store.prune(AppId(1), after, 9).await.unwrap(), 1, "nothing keeps the message");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_delivery_given_back_unqueued_is_claimed_and_settled() {
        let (folder, endpoint) = (Folder::new(), EndpointId(1));
        let store = folder.open().unwrap();
        let msg = accept(&store, &[endpoint]).await;
        store.release(endpoint, msg, Trigger::Scheduled, LEASE).await.unwrap();
        let claims = store.claim(endpoint, MANUAL, NOW, 9).await.unwrap();
        assert_eq!(claims.taken.len(), 1);
        settle(&store, endpoint, msg, (Trigger::Scheduled, MANUAL), Verdict::Delivered).await;
        assert_eq!((open(&store), queued(&store)), (0, 0));
    }
}
