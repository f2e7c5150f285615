//! One process at the model store: the verbs, and what goes wrong with them.

use super::{
    super::dice::Dice,
    state::{State, lease_of, node_of, within},
};
use crate::{
    clock::Clock,
    model::{Address, AppId, Attempt, AttemptId, Delivery, DeliveryState, EndpointId, Kind, LATEST, Message, MsgId, Time, Trigger},
    store::{
        Change, Claims, Expunge, Lease, ListPage, NewMessage, News, Requeue, Settled, Settlement, Stats, Store, StoreError, Stored,
        Window, embedded::SETTLE_SYNC,
    },
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::{Notify, mpsc};

/// How long after a node's death, where there are others, its leases hold.
const LEASE_TIME: Duration = Duration::from_secs(30);

/// Sees what the store is told.
pub(in super::super) trait Judge: Send + Sync {
    /// A result is about to be recorded.
    fn settles(&self, state: &State, settlement: &Settlement);
    /// A delivery was moved.
    fn moved(&self, before: DeliveryState, after: &Delivery);
    /// Records were changed.
    fn changed(&self, changes: &[Change], now: Time);
}

/// What nodes share.
#[derive(Default)]
pub(in super::super) struct Shared {
    pub(in super::super) state: Mutex<State>,
    pub(in super::super) judge: OnceLock<Arc<dyn Judge>>,
    pub(in super::super) clock: OnceLock<Arc<dyn Clock>>,
    /// There are other processes.
    pub(in super::super) cluster: AtomicBool,
    /// Processes are told of every change, their own included, as those at a database are.
    pub(in super::super) told: AtomicBool,
    /// Nobody gets an answer but that the store is away.
    pub(in super::super) away: AtomicBool,
    /// Told when a node has died.
    pub(in super::super) died: Notify,
    /// Faults by kind.
    pub(in super::super) counts: Mutex<BTreeMap<&'static str, u64>>,
    /// No process came or went since all were there.
    pub(in super::super) steady: AtomicBool,
    /// The state before each result that power would take with it, once it is watched.
    pub(in super::super) unsynced: Mutex<Option<Vec<(Time, State)>>>,
    nodes: Mutex<Vec<Member>>,
}

struct Member {
    dead_since: Option<Time>,
    news: mpsc::UnboundedSender<News>,
}

impl Shared {
    fn now(&self) -> Time {
        self.clock.get().map_or(Time(0), |clock| clock.now())
    }

    pub(in super::super) fn count(&self, what: &'static str) {
        *self.counts.lock().entry(what).or_default() += 1;
    }

    /// Whether a node is dead, and others know it.
    fn is_gone(&self, node: u64, now: Time) -> bool {
        let nodes = self.nodes.lock();
        let member = usize::try_from(node).ok().and_then(|node| nodes.get(node));
        member.is_some_and(|member| member.dead_since.is_some_and(|since| since.plus(LEASE_TIME) <= now))
    }

    /// Whether anything is leased by a node that may still be there.
    pub(in super::super) fn is_leased(&self) -> bool {
        let now = self.now();
        let holds = |lease: Lease| !self.is_gone(node_of(lease), now);
        self.state.lock().queue.values().any(|owed| owed.over.is_none() && owed.lease.is_some_and(holds))
    }

    /// Tells all nodes.
    pub(in super::super) fn tell(&self, news: &News) {
        self.nodes
            .lock()
            .iter()
            .filter(|member| member.dead_since.is_none())
            .for_each(|member| drop(member.news.send(news.clone())));
    }

    /// The power goes with the only process: what was not durable is gone, as much of it as `chance` says.
    pub(in super::super) fn lose_power(&self, dice: &mut Dice) {
        let died = self.nodes.lock().iter().filter_map(|member| member.dead_since).max().unwrap_or(Time(0));
        let Some(mut unsynced) = self.unsynced.lock().take() else { return };
        unsynced.retain(|(at, _)| at.plus(SETTLE_SYNC) > died);
        if unsynced.is_empty() {
            return;
        }
        self.count("results lost with the power");
        let at = usize::try_from(dice.below(unsynced.len() as u64)).unwrap();
        *self.state.lock() = unsynced.swap_remove(at).1;
    }

    fn before_result(&self, state: &State, now: Time) {
        if let Some(unsynced) = &mut *self.unsynced.lock() {
            if unsynced.first().is_some_and(|(since, _)| since.plus(SETTLE_SYNC) <= now) {
                unsynced.clear();
            }
            unsynced.push((now, state.clone()));
        }
    }

    fn all_is_durable(&self) {
        if let Some(unsynced) = &mut *self.unsynced.lock() {
            unsynced.clear();
        }
    }
}

/// What goes wrong with a node's verbs.
#[derive(Default)]
pub(in super::super) struct Faults {
    /// Chance; `None`: nothing goes wrong.
    pub(in super::super) dice: Option<Dice>,
    /// Of a thousand verbs, so many are refused.
    pub(in super::super) refused: u64,
    /// Of a thousand changes, so many take place and are not answered.
    pub(in super::super) unanswered: u64,
    /// The node dies at the so many-th verb from now.
    pub(in super::super) dies_at: Option<u64>,
}

/// One process.
pub(in super::super) struct Node {
    pub(in super::super) shared: Arc<Shared>,
    pub(in super::super) number: u64,
    pub(in super::super) faults: Mutex<Faults>,
    pub(in super::super) dead: AtomicBool,
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
        nodes.push(Member { dead_since: None, news: sender });
        Arc::new(Node {
            shared: shared.clone(),
            number: nodes.len() as u64 - 1,
            faults: Mutex::default(),
            dead: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            news: tokio::sync::Mutex::new(news),
        })
    }

    /// Ends the process here and now.
    pub(in super::super) fn die(&self) {
        if !self.dead.swap(true, SeqCst) {
            self.shared.steady.store(false, SeqCst);
            if let Some(member) = self.shared.nodes.lock().get_mut(usize::try_from(self.number).unwrap()) {
                member.dead_since = member.dead_since.or(Some(self.shared.now()));
            }
            self.shared.died.notify_one();
        }
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
        self.live().await;
        self.wait().await;
        self.live().await;
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
        self.live().await;
        self.wait().await;
        self.live().await;
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
            self.changed(&changes, now);
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
        lease_of(self.number, number, LATEST)
    }

    fn owns(&self, endpoint: EndpointId) -> bool {
        if !self.shared.cluster.load(SeqCst) {
            return true;
        }
        let (now, count) = (self.shared.now(), self.shared.nodes.lock().len() as u64);
        let alive = (0..count).filter(|node| !self.shared.is_gone(*node, now));
        let best = alive.max_by_key(|node| (endpoint.0 as u64 ^ (node + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7);
        best == Some(self.number)
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
            Ok(settled) => settled,
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
        self.verb(Verb::Change, |state| state.expunge(&what, self.shared.now())).await
    }

    async fn expire(&self, now: Time, limit: usize) -> Result<usize, StoreError> {
        self.verb(Verb::Change, |state| state.expire(now, limit)).await
    }

    async fn prune(&self, app: AppId, cutoff: Time, limit: usize) -> Result<usize, StoreError> {
        self.verb(Verb::Change, |state| state.prune(app, cutoff, limit)).await
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
            if let Some(member) = self.shared.nodes.lock().get_mut(usize::try_from(self.number).unwrap()) {
                member.dead_since = Some(Time(0));
            }
            self.shared.tell(&News::Queue);
        }
        Ok(())
    }
}
