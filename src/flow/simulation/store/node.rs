//! One process at the model store: the verbs, and what goes wrong with them.

use super::{
    super::dice::Dice,
    shared::{Member, Shared},
    state::{State, lease_of, node_of, within},
};
use crate::{
    model::{Address, AppId, Attempt, AttemptId, Delivery, DeliveryState, EndpointId, Kind, LATEST, Message, MsgId, Time, Trigger},
    store::{
        Change, Claims, Expunge, Lease, ListPage, NewMessage, News, Requeue, Settled, Settlement, Stats, Store, StoreError, Stored,
        Window,
    },
};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::{Notify, mpsc};

/// So long before its leases hold no longer a node that is cut off trusts them no more.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// What goes wrong with a node's verbs.
#[derive(Default)]
pub(in super::super) struct Faults {
    /// Chance; `None`: nothing goes wrong.
    pub(in super::super) dice: Option<Dice>,
    /// Of a thousand verbs, so many are refused.
    pub(in super::super) refused: u64,
    /// The next verb is refused.
    pub(in super::super) refuses_next: bool,
    /// Of a thousand changes, so many take place and are not answered.
    pub(in super::super) unanswered: u64,
    /// The node dies at the so many-th verb from now.
    pub(in super::super) dies_at: Option<u64>,
}

/// One process.
pub(in super::super) struct Node {
    pub(in super::super) shared: Arc<Shared>,
    number: AtomicU64,
    pub(in super::super) faults: Mutex<Faults>,
    pub(in super::super) dead: AtomicBool,
    cut_off: AtomicBool,
    /// Told when it is cut off no longer.
    back: Notify,
    closed: AtomicBool,
    news: tokio::sync::Mutex<mpsc::UnboundedReceiver<News>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Verb {
    Read,
    /// What is leased need not outlive the process.
    Claim,
    /// Durable when it is answered.
    Change,
    /// Durable soon.
    Result,
}

impl Node {
    pub(in super::super) fn join(shared: &Arc<Shared>) -> Arc<Node> {
        let (sender, news) = mpsc::unbounded_channel();
        let mut nodes = shared.nodes.lock();
        shared.steady.store(false, SeqCst);
        nodes.push(Member { dead_since: None, news: Some(sender) });
        Arc::new(Node {
            shared: shared.clone(),
            number: AtomicU64::new(nodes.len() as u64 - 1),
            faults: Mutex::default(),
            dead: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            back: Notify::new(),
            closed: AtomicBool::new(false),
            news: tokio::sync::Mutex::new(news),
        })
    }

    /// By which its leases are known: another one after it was cut off for longer than they hold.
    pub(in super::super) fn number(&self) -> u64 {
        self.number.load(SeqCst)
    }

    fn is_heard_of(&self, heard_of: bool) {
        if let Some(member) = self.shared.nodes.lock().get_mut(usize::try_from(self.number()).unwrap()) {
            member.dead_since = if heard_of { None } else { member.dead_since.or(Some(self.shared.now())) };
        }
    }

    /// Ends the process here and now.
    pub(in super::super) fn die(&self) {
        if !self.dead.swap(true, SeqCst) {
            self.shared.steady.store(false, SeqCst);
            self.is_heard_of(false);
            self.shared.nodes.lock()[usize::try_from(self.number()).unwrap()].news = None;
            self.shared.died.notify_one();
        }
    }

    pub(in super::super) fn is_cut_off(&self) -> bool {
        self.cut_off.load(SeqCst)
    }

    /// It reaches the store no longer: what it asks waits.
    pub(in super::super) fn cut_off(&self) {
        self.shared.steady.store(false, SeqCst);
        self.cut_off.store(true, SeqCst);
        *self.shared.cut_off_until.lock() = LATEST;
        self.is_heard_of(false);
    }

    /// It reaches the store again: under a new number, if its leases hold no longer.
    pub(in super::super) fn reconnect(&self) {
        if self.dead.load(SeqCst) {
            return;
        }
        let gone = self.shared.is_gone(self.number(), self.shared.now());
        if !gone {
            self.is_heard_of(true);
        } else {
            let mut nodes = self.shared.nodes.lock();
            let news = nodes[usize::try_from(self.number()).unwrap()].news.take();
            nodes.push(Member { dead_since: None, news });
            self.number.store(nodes.len() as u64 - 1, SeqCst);
        }
        self.cut_off.store(false, SeqCst);
        *self.shared.cut_off_until.lock() = self.shared.now();
        self.back.notify_waiters();
        self.shared.tell(&News::Queue);
    }

    /// A moment in which others may do something.
    async fn wait(&self) {
        let nap = match &mut self.faults.lock().dice {
            None => return,
            Some(dice) => match dice.below(10) {
                0 => Some(dice.millis(1, 20)),
                1 | 2 => Some(Duration::ZERO),
                _ => None,
            },
        };
        match nap {
            None => {}
            Some(Duration::ZERO) => tokio::task::yield_now().await,
            Some(nap) => tokio::time::sleep(nap).await,
        }
    }

    async fn live(&self) {
        if self.dead.load(SeqCst) {
            std::future::pending().await
        }
    }

    /// As soon as the store can be reached.
    async fn reach(&self) {
        let back = self.back.notified();
        if self.is_cut_off() {
            back.await;
        }
        self.live().await;
    }

    /// Whether the node dies at this verb; if so, before or after it.
    fn doom(&self) -> Option<bool> {
        let mut faults = self.faults.lock();
        let left = faults.dies_at.as_mut()?;
        *left = left.saturating_sub(1);
        (*left == 0).then(|| faults.dice.as_mut().is_some_and(|dice| dice.permille(500)))
    }

    fn refuses(&self) -> bool {
        let mut faults = self.faults.lock();
        let refused = faults.refused;
        if std::mem::take(&mut faults.refuses_next) {
            return true;
        }
        self.shared.away.load(SeqCst) || faults.dice.as_mut().is_some_and(|dice| dice.permille(refused))
    }

    fn loses_the_answer(&self) -> bool {
        let mut faults = self.faults.lock();
        let unanswered = faults.unanswered;
        faults.dice.as_mut().is_some_and(|dice| dice.permille(unanswered))
    }

    async fn verb<T>(&self, verb: Verb, act: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        if self.closed.load(SeqCst) {
            return Err(StoreError::Unavailable("closed".into()));
        }
        self.reach().await;
        self.wait().await;
        self.reach().await;
        if self.refuses() {
            self.shared.count("verbs refused");
            return Err(StoreError::Unavailable("away".into()));
        }
        let doom = self.doom();
        if doom == Some(false) {
            self.shared.count("deaths before a verb's effect");
            self.die();
            self.live().await;
        }
        let done = {
            let mut state = self.shared.state.lock();
            if verb == Verb::Result {
                self.shared.before_result(&state, self.shared.now());
            }
            let done = act(&mut state);
            if verb == Verb::Change {
                self.shared.all_is_durable();
            }
            done
        };
        if doom == Some(true) {
            self.shared.count("deaths after a verb's effect");
            self.die();
        }
        self.reach().await;
        self.wait().await;
        self.reach().await;
        if verb != Verb::Read && self.loses_the_answer() {
            self.shared.count("answers lost");
            return Err(StoreError::Unavailable("no answer".into()));
        }
        Ok(done)
    }

    async fn read<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        self.verb(Verb::Read, act).await
    }

    /// Nobody knows whether the claim was made before its answer was lost: what it has leased, if it has, goes back, later.
    fn give_back_all(&self, endpoint: EndpointId, lease: Lease) {
        let nap = match &mut self.faults.lock().dice {
            None => return,
            Some(dice) => dice.millis(100, 1500),
        };
        let shared = self.shared.clone();
        tokio::spawn(async move {
            tokio::time::sleep(nap).await;
            shared.state.lock().release_all(endpoint, lease);
            shared.tell(&News::Queue);
        });
    }

    fn changed(&self, changes: &[Change], now: Time) {
        if let Some(judge) = self.shared.judge.get() {
            judge.changed(changes, now);
        }
        if self.shared.told.load(SeqCst) {
            for change in changes {
                let address = match change {
                    Change::Insert(record) | Change::Replace(record, _) | Change::Write(record) => record.address(),
                    Change::Delete(address) => address.clone(),
                };
                self.shared.tell(&News::Record(address));
            }
        }
    }

    fn settle_one(&self, state: &mut State, settlement: &Settlement) -> Result<Settled, StoreError> {
        let now = self.shared.now();
        if let Some(judge) = self.shared.judge.get() {
            judge.settles(state, settlement);
        }
        let before = state.deliveries.get(&(settlement.endpoint, settlement.msg)).map(|row| row.state);
        let settled = state.settle(settlement, now);
        if let (Some(judge), Some(before), Ok(Settled::Recorded(after))) = (self.shared.judge.get(), before, &settled) {
            judge.moved(before, after);
        }
        if matches!(&settled, Ok(Settled::Recorded(after)) if after.state == DeliveryState::Delivered) {
            self.shared.unheard.lock().insert((settlement.endpoint, settlement.msg));
        }
        if matches!(settled, Ok(Settled::Recorded(_))) && !settlement.changes.is_empty() {
            self.changed(&settlement.changes, now);
        }
        settled
    }
}

#[async_trait::async_trait]
impl Store for Node {
    async fn change(&self, changes: Vec<Change>, now: Time) -> Result<(), StoreError> {
        let change = |state: &mut State| {
            state.records.change(&changes, now)?;
            self.changed(&changes, self.shared.now());
            Ok(())
        };
        self.verb(Verb::Change, change).await?
    }

    async fn find(&self, address: &Address, now: Time) -> Result<Option<Stored>, StoreError> {
        self.read(|state| state.records.find(address, now)).await
    }

    async fn list(&self, kind: Kind, scope: &str, page: ListPage<'_>, now: Time) -> Result<Vec<Stored>, StoreError> {
        self.read(|state| state.records.list(kind, scope, page, now)).await
    }

    async fn each(&self, kind: Kind, now: Time, visit: &mut (dyn for<'r> FnMut(Stored) + Send)) -> Result<(), StoreError> {
        self.read(|state| state.records.each(kind, now)).await?.into_iter().for_each(visit);
        Ok(())
    }

    fn lease(&self, number: u64) -> Lease {
        // A lease of a node ends with the node, whatever it says; that there may be others is what it tells.
        let until = if self.shared.cluster.load(SeqCst) { LATEST.minus(Duration::from_secs(1)) } else { LATEST };
        lease_of(self.number(), number, until)
    }

    fn stands(&self, lease: Lease) -> bool {
        let number = self.number();
        node_of(lease) == number && !self.shared.is_gone(number, self.shared.now().plus(LEASE_MARGIN))
    }

    fn owns(&self, endpoint: EndpointId) -> bool {
        if !self.shared.cluster.load(SeqCst) {
            return true;
        }
        let (now, count) = (self.shared.now(), self.shared.nodes.lock().len() as u64);
        let alive = (0..count).filter(|node| !self.shared.is_gone(*node, now));
        let best = alive.max_by_key(|node| (endpoint.0 as u64 ^ (node + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7);
        best == Some(self.number())
    }

    fn call(&self, endpoint: EndpointId) {
        self.shared.tell(&News::Due(endpoint));
    }

    async fn news(&self) -> News {
        self.live().await;
        loop {
            let news = self.news.lock().await.recv().await;
            self.live().await;
            match news {
                Some(News::Due(endpoint)) if !self.owns(endpoint) => {}
                Some(news) => return news,
                None => std::future::pending().await,
            }
        }
    }

    async fn accept(&self, message: NewMessage) -> Result<(), StoreError> {
        self.verb(Verb::Change, |state| state.accept(&message)).await?
    }

    async fn claim(&self, endpoint: EndpointId, lease: Lease, now: Time, limit: usize) -> Result<Claims, StoreError> {
        let free = |held: Lease| self.shared.is_gone(node_of(held), self.shared.now());
        let claimed = self.verb(Verb::Claim, |state| state.claim(endpoint, lease, (now, limit), free)).await;
        if claimed.is_err() {
            self.give_back_all(endpoint, lease);
        }
        claimed
    }

    async fn queued_endpoints(&self) -> Result<Vec<(EndpointId, Time)>, StoreError> {
        self.read(|state| state.queued_endpoints()).await
    }

    async fn release(&self, endpoint: EndpointId, msg: MsgId, trigger: Trigger, lease: Lease) -> Result<(), StoreError> {
        // What could not be given back at once is given back later: no engine forgets it.
        self.live().await;
        self.shared.state.lock().release((endpoint, msg, trigger), lease);
        Ok(())
    }

    async fn settle(&self, settlements: Arc<Vec<Settlement>>) -> Vec<Result<Settled, StoreError>> {
        let settle = |state: &mut State| settlements.iter().map(|one| self.settle_one(state, one)).collect();
        match self.verb(Verb::Result, settle).await {
            Ok(settled) => {
                let mut unheard = self.shared.unheard.lock();
                unheard.retain(|known| !settlements.iter().any(|one| *known == (one.endpoint, one.msg)));
                settled
            }
            Err(error) => settlements.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn requeue(&self, app: AppId, endpoint: EndpointId, which: Requeue, now: Time) -> Result<u64, StoreError> {
        self.verb(Verb::Change, |state| state.requeue(app, endpoint, which, now)).await
    }

    async fn message(&self, app: AppId, msg: MsgId) -> Result<Option<Message>, StoreError> {
        self.read(|state| state.messages.get(&(app, msg)).map(|message| (**message).clone())).await
    }

    async fn message_by_event_id(&self, app: AppId, event_id: &str) -> Result<Option<Message>, StoreError> {
        self.read(|state| state.by_event_id(app, Some(event_id)).map(|message| (**message).clone())).await
    }

    async fn messages(&self, app: AppId, window: Window) -> Result<Vec<Message>, StoreError> {
        self.read(|state| {
            let rows = state.messages.range((app, MsgId(0))..=(app, MsgId(u128::MAX)));
            let found = within(window, rows.map(|((_, msg), message)| (msg.0, message)));
            found.into_iter().map(|message| (**message).clone()).collect()
        })
        .await
    }

    async fn delivery(&self, message: &Message, endpoint: EndpointId) -> Result<Option<Delivery>, StoreError> {
        self.read(|state| state.deliveries.get(&(endpoint, message.id)).cloned()).await
    }

    async fn attempted(&self, endpoint: EndpointId, window: Window) -> Result<Vec<Delivery>, StoreError> {
        self.read(|state| {
            let rows = state.deliveries.range((endpoint, MsgId(0))..=(endpoint, MsgId(u128::MAX)));
            let rows = rows.filter(|(_, row)| !row.attempts.is_empty());
            within(window, rows.map(|((_, msg), row)| (msg.0, row.clone())))
        })
        .await
    }

    async fn attempt(&self, endpoint: EndpointId, attempt: AttemptId) -> Result<Option<Attempt>, StoreError> {
        self.read(|state| state.attempts.get(&(endpoint, attempt)).map(|attempt| (**attempt).clone())).await
    }

    async fn attempts(&self, endpoint: EndpointId, window: Window) -> Result<Vec<Attempt>, StoreError> {
        self.read(|state| {
            let rows = state.attempts.range((endpoint, AttemptId(0))..=(endpoint, AttemptId(u128::MAX)));
            within(window, rows.map(|((_, id), attempt)| (id.0, (**attempt).clone())))
        })
        .await
    }

    async fn stats(&self, endpoint: EndpointId, since: Time, until: Time) -> Result<Stats, StoreError> {
        self.read(|state| state.stats(endpoint, since, until)).await
    }

    async fn expunge(&self, what: Expunge) -> Result<bool, StoreError> {
        let expunge = |state: &mut State| {
            let done = state.expunge(&what, self.shared.now());
            if let (Expunge::Owed(_, endpoint, msg), true, Some(judge)) = (&what, done, self.shared.judge.get()) {
                judge.cancelled(*endpoint, *msg);
                if self.shared.told.load(SeqCst) {
                    self.shared.tell(&News::Cancelled(*endpoint, *msg));
                }
            }
            done
        };
        self.verb(Verb::Change, expunge).await
    }

    async fn expire(&self, now: Time, limit: usize) -> Result<usize, StoreError> {
        let expire = |state: &mut State| {
            let (messages, records) = state.expire(now, limit);
            if let Some(judge) = self.shared.judge.get() {
                judge.expunged(&messages, self.shared.now());
            }
            messages.len() + records
        };
        self.verb(Verb::Change, expire).await
    }

    async fn prune(&self, app: AppId, cutoff: Time, limit: usize) -> Result<usize, StoreError> {
        let prune = |state: &mut State| {
            let pruned = state.prune(app, cutoff, limit);
            if let Some(judge) = self.shared.judge.get() {
                judge.pruned(app, &pruned, self.shared.now());
            }
            pruned.len()
        };
        self.verb(Verb::Change, prune).await
    }

    async fn purge(&self, app: AppId, endpoint: Option<EndpointId>, limit: usize) -> Result<usize, StoreError> {
        self.verb(Verb::Change, |state| state.purge(app, endpoint, limit)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|_| ()).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.closed.store(true, SeqCst);
        self.shared.steady.store(false, SeqCst);
        self.shared.all_is_durable();
        if self.shared.cluster.load(SeqCst) && !self.dead.load(SeqCst) {
            // Whoever leaves gives up its leases.
            if let Some(member) = self.shared.nodes.lock().get_mut(usize::try_from(self.number()).unwrap()) {
                member.dead_since = Some(Time(0));
                member.news = None;
            }
            self.shared.tell(&News::Queue);
        }
        Ok(())
    }
}
