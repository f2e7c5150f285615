//! The queue against a model of it, and under many hands: no entry is ever passed over, none is handed out twice.

use super::tests::Folder;
use super::{EmbeddedStore, STEP};
use crate::model::{
    AppId, Attempt, AttemptId, Cause, Delivery, DeliveryState, EndpointId, Headers, Message, MsgId, OrgId, Outcome,
};
use crate::model::{Time, Trigger, Verdict};
use crate::store::conformance::{NOW, settle_one};
use crate::store::{Lease, NewMessage, Requeue, Settled, Settlement, Store};
use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const APP: AppId = AppId(1);
/// How long the messages of the test with many hands may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn message(id: MsgId, deliver_at: Option<Time>, endpoints: Vec<EndpointId>) -> Message {
    Message {
        id,
        app: APP,
        org: OrgId(1),
        event_type: "a".into(),
        event_id: None,
        channels: vec![],
        tags: vec![],
        deliver_at,
        payload_expires_at: None,
        endpoints,
        payload: Bytes::from_static(b"{}"),
        expunged: false,
        origin: None,
        ordering_key: None,
        ordered: Vec::new(),
    }
}

pub(super) fn settlement(endpoint: EndpointId, msg: MsgId, trigger: Trigger, lease: Lease, verdict: Verdict) -> Settlement {
    let attempt = Attempt {
        id: AttemptId(u128::from(lease.token) << 64 | msg.0 & u128::from(u64::MAX)),
        msg,
        endpoint,
        app: APP,
        trigger,
        number: 1,
        url: String::new(),
        request_headers: Headers::default(),
        outcome: Outcome::failed(Cause::BadStatus, ""),
    };
    Settlement { msg, endpoint, app: APP, trigger, lease, verdict, attempt: Some(attempt), order: None, changes: vec![] }
}

/// What an endpoint's queue should be: by section and message, the due time in the entry and the lease on it.
#[derive(Default)]
struct Model {
    entries: BTreeMap<(Trigger, MsgId), (Time, Option<Lease>)>,
    deliveries: BTreeMap<MsgId, Delivery>,
    /// Leases under which a result would count, their entry gone or not.
    leases: BTreeMap<(Trigger, MsgId), Lease>,
}

impl Model {
    fn claim(&mut self, lease: Lease, now: Time, limit: usize) -> (Vec<(Trigger, MsgId)>, Option<Time>) {
        // The entry is gone and the lease has run out: nothing holds a place for the result.
        self.leases.retain(|key, held| held.until > now || self.entries.contains_key(key));
        let free = |held: Option<Lease>| held.is_none_or(|held| held.until <= now);
        let mut waiting: Vec<_> =
            self.entries.iter().filter(|(_, (_, held))| free(*held)).map(|((t, msg), (due, _))| (*due, *msg, *t)).collect();
        waiting.sort_unstable();
        let due = waiting.iter().filter(|(due, ..)| *due <= now).count();
        let left = waiting.split_off(due.min(limit));
        for (_, msg, trigger) in &waiting {
            self.leases.insert((*trigger, *msg), lease);
            self.entries.get_mut(&(*trigger, *msg)).unwrap().1 = Some(lease);
        }
        (waiting.into_iter().map(|(_, msg, trigger)| (trigger, msg)).collect(), left.first().map(|(due, ..)| *due))
    }

    fn settle(&mut self, settlement: &Settlement) {
        let Settlement { msg, trigger, verdict, attempt, .. } = settlement;
        self.leases.remove(&(*trigger, *msg));
        self.entries.remove(&(*trigger, *msg));
        let delivery = self.deliveries.get_mut(msg).unwrap();
        let before = delivery.state;
        delivery.conclude(*trigger, *verdict, attempt.as_ref().map(|attempt| attempt.id));
        match delivery.state {
            DeliveryState::Pending(due) if before != delivery.state || *trigger == Trigger::Scheduled => {
                self.entries.insert((Trigger::Scheduled, *msg), (due, None));
            }
            DeliveryState::Pending(_) => {}
            _ => {
                self.entries.remove(&(Trigger::Scheduled, *msg));
            }
        }
    }
}

/// One endpoint, a store, its model, and a seeded hand that plays with both.
struct Game {
    folder: Folder,
    /// Always there but within a crash.
    store: Option<Arc<EmbeddedStore>>,
    model: Model,
    rng: StdRng,
    now: Time,
    steps: u64,
}

const ENDPOINT: EndpointId = EndpointId(9);

impl Game {
    fn new(seed: u64) -> Self {
        let folder = Folder::new();
        let store = Some(folder.open().unwrap());
        Game { folder, store, model: Model::default(), rng: StdRng::seed_from_u64(seed), now: NOW, steps: 0 }
    }

    fn store(&self) -> &EmbeddedStore {
        self.store.as_ref().unwrap()
    }

    fn chance(&mut self, of: u64) -> u64 {
        self.rng.random_range(0..of)
    }

    fn lease(&mut self) -> Lease {
        Lease { token: self.steps + 1, until: Time(self.now.0 + 1 + self.chance(40)) }
    }

    async fn step(&mut self) {
        self.steps += 1;
        self.now.0 += self.chance(6);
        match self.chance(100) {
            0..30 => self.accept().await,
            30..60 => self.claim().await,
            60..68 => self.release().await,
            68..90 => self.settle().await,
            90..95 => self.once().await,
            95..98 => self.restart_exhausted().await,
            _ => self.crash(),
        }
    }

    async fn accept(&mut self) {
        let id = MsgId(MsgId::lowest_at(self.now).0 + u128::from(self.chance(1 << 40)));
        let deliver_at = (self.chance(4) == 0).then(|| Time(self.now.0 + self.chance(60)));
        let lease = if self.chance(2) == 0 { Some(self.lease()) } else { None };
        let message = message(id, deliver_at, vec![ENDPOINT]);
        let due = message.first_due();
        self.store().accept(NewMessage { message: Arc::new(message), leases: vec![lease], mark: None }).await.unwrap();
        self.model.deliveries.insert(id, Delivery::fresh(APP, id, ENDPOINT, due));
        self.model.entries.insert((Trigger::Scheduled, id), (due, lease));
        self.model.leases.extend(lease.map(|lease| ((Trigger::Scheduled, id), lease)));
    }

    async fn claim(&mut self) {
        let (lease, limit) = (self.lease(), usize::try_from(self.chance(6)).unwrap());
        let claims = self.store().claim(ENDPOINT, lease, self.now, limit).await.unwrap();
        let taken: Vec<_> = claims.taken.iter().map(|claimed| (claimed.trigger, claimed.delivery.msg)).collect();
        assert_eq!((taken, claims.next_due), self.model.claim(lease, self.now, limit), "step {}", self.steps);
        for claimed in &claims.taken {
            assert_eq!(Some(&claimed.delivery), self.model.deliveries.get(&claimed.delivery.msg), "step {}", self.steps);
        }
    }

    fn any_lease(&mut self) -> Option<(Trigger, MsgId, Lease)> {
        let nth = self.rng.random_range(0..self.model.leases.len().max(1));
        self.model.leases.iter().nth(nth).map(|((trigger, msg), lease)| (*trigger, *msg, *lease))
    }

    async fn release(&mut self) {
        let Some((trigger, msg, lease)) = self.any_lease() else { return };
        self.store().release(ENDPOINT, msg, trigger, lease).await.unwrap();
        self.model.leases.remove(&(trigger, msg));
        if let Some(entry) = self.model.entries.get_mut(&(trigger, msg)) {
            entry.1 = None;
        }
    }

    async fn settle(&mut self) {
        let Some((trigger, msg, mut lease)) = self.any_lease() else { return };
        let verdict = match self.chance(4) {
            0 => Verdict::Delivered,
            1 => Verdict::Exhausted,
            _ => Verdict::Retry(Time(self.now.0 + self.chance(50))),
        };
        let stale = self.chance(8) == 0;
        lease.token += u64::from(stale) << 60;
        let settlement = settlement(ENDPOINT, msg, trigger, lease, verdict);
        let settled = settle_one(self.store(), settlement.clone()).await.unwrap();
        if stale {
            assert_eq!(settled, Settled::LeaseLost);
        } else {
            self.model.settle(&settlement);
            assert_eq!(settled, Settled::Recorded(self.model.deliveries[&msg].clone()), "step {}", self.steps);
        }
    }

    async fn once(&mut self) {
        let nth = self.rng.random_range(0..self.model.deliveries.len().max(1));
        let Some(msg) = self.model.deliveries.keys().nth(nth).copied() else { return };
        assert_eq!(self.store().requeue(APP, ENDPOINT, Requeue::Once(msg), self.now).await, Ok(1));
        self.model.entries.entry((Trigger::Manual, msg)).or_insert((Time(0), None));
    }

    async fn restart_exhausted(&mut self) {
        let which = Requeue::Exhausted { low: MsgId(0), high: MsgId::lowest_at(Time(self.now.0 + 1)) };
        let restarted = self.store().requeue(APP, ENDPOINT, which, self.now).await.unwrap();
        let exhausted: Vec<_> = self.model.deliveries.values_mut().filter(|d| d.state == DeliveryState::Exhausted).collect();
        assert_eq!(usize::try_from(restarted).unwrap(), exhausted.len(), "step {}", self.steps);
        for delivery in exhausted {
            (delivery.state, delivery.failed) = (DeliveryState::Pending(self.now), 0);
            self.model.entries.insert((Trigger::Scheduled, delivery.msg), (self.now, None));
        }
    }

    /// Every lease ends, every entry stays.
    fn crash(&mut self) {
        self.store = None;
        self.store = Some(self.folder.open().unwrap());
        self.model.leases.clear();
        self.model.entries.values_mut().for_each(|entry| entry.1 = None);
    }

    /// What is queued can be claimed, all of it.
    async fn drain(&mut self) {
        self.now.0 += 1000;
        while !self.model.entries.is_empty() {
            let lease = Lease { token: self.steps + 1, until: Time(self.now.0 + 1) };
            self.steps += 1;
            let claims = self.store().claim(ENDPOINT, lease, self.now, 7).await.unwrap();
            let expected = self.model.claim(lease, self.now, 7).0;
            assert!(!expected.is_empty() && claims.taken.len() == expected.len());
            for claimed in claims.taken {
                let settlement = settlement(ENDPOINT, claimed.delivery.msg, claimed.trigger, lease, Verdict::Delivered);
                let settled = settle_one(self.store(), settlement.clone()).await.unwrap();
                self.model.settle(&settlement);
                assert_eq!(settled, Settled::Recorded(self.model.deliveries[&settlement.msg].clone()));
            }
        }
        assert_eq!(self.store().queued_endpoints().await, Ok(vec![]));
    }
}

#[tokio::test]
async fn the_queue_does_as_its_model() {
    for seed in 0..4 {
        let mut game = Game::new(seed);
        for _ in 0..500 {
            game.step().await;
        }
        game.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_hands_deliver_everything_once() {
    const MESSAGES: usize = 6 * STEP;
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let ids: Vec<MsgId> = (0..MESSAGES as u128).map(|n| MsgId(MsgId::lowest_at(NOW).0 + n * 7919 % 100_003)).collect();
    let mut makers = tokio::task::JoinSet::new();
    for part in ids.chunks(MESSAGES / 8).map(<[MsgId]>::to_vec) {
        let store = Arc::clone(&store);
        makers.spawn(async move {
            for id in part {
                let message = Arc::new(message(id, None, vec![ENDPOINT]));
                store.accept(NewMessage { message, leases: vec![None], mark: None }).await.unwrap();
            }
        });
    }
    let mut takers = tokio::task::JoinSet::new();
    for taker in 0..4u64 {
        let store = Arc::clone(&store);
        takers.spawn(async move { deliver_until_idle(&store, taker, MESSAGES).await });
    }
    makers.join_all().await;
    let delivered = tokio::time::timeout(PATIENCE, takers.join_all()).await.expect("a delivery was passed over");
    let mut delivered: Vec<MsgId> = delivered.into_iter().flatten().collect();
    delivered.sort_unstable();
    let mut expected = ids;
    expected.sort_unstable();
    assert_eq!(delivered, expected);
}

/// Claims, gives every fifth back, retries every seventh once, until all of the endpoint's messages are delivered.
async fn deliver_until_idle(store: &EmbeddedStore, taker: u64, messages: usize) -> Vec<MsgId> {
    let mut delivered = Vec::new();
    let (mut turn, now) = (taker << 32, Time(NOW.0 + 10_000));
    loop {
        turn += 1;
        let lease = Lease { token: turn, until: Time(now.0 + 1) };
        let claims = store.claim(ENDPOINT, lease, now, 5).await.unwrap();
        if claims.taken.is_empty() {
            let stats = store.stats(ENDPOINT, NOW, Time(NOW.0 + 1)).await.unwrap();
            if usize::try_from(stats.delivered).unwrap() == messages {
                return delivered;
            }
            tokio::task::yield_now().await;
        }
        for (nth, claimed) in (turn..).zip(claims.taken) {
            let msg = claimed.delivery.msg;
            if nth % 5 == 0 {
                store.release(ENDPOINT, msg, claimed.trigger, lease).await.unwrap();
                continue;
            }
            let retry = nth % 7 == 0 && claimed.delivery.failed == 0;
            let verdict = if retry { Verdict::Retry(Time(NOW.0 + nth % 100)) } else { Verdict::Delivered };
            let settled = settle_one(store, settlement(ENDPOINT, msg, claimed.trigger, lease, verdict)).await.unwrap();
            assert!(matches!(settled, Settled::Recorded(_)));
            delivered.extend((!retry).then_some(msg));
        }
    }
}
