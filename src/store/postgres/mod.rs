//! The PostgreSQL engine: any number of nodes on one database, and no other service.
//!
//! # Layout
//! The tables are in `sql/0001_tables.sql`. Every key starts with the owner; messages, deliveries and attempts are
//! partitioned by the day that their identifiers carry. As in the embedded engine an entry of `queue` exists exactly while
//! an attempt is owed, and a delivery has a row from its first attempt on: the history is written once and stays, all
//! churn is in one small table, and a message to one endpoint costs five row writes from acceptance to success.
//!
//! # Round trips
//! Accepts, results and released leases go in groups (`gather`), each one call of one function and one transaction. Nothing
//! is kept in a session: no prepared statement, no setting, no lock. Only listening for notifications needs a direct
//! connection; without it, looking every second does.
//!
//! # Leases
//! See `node`. An entry is free when its lease's own time and its node's row are both over; a result counts while its
//! lease's number stands in the entry.
//!
//! What is absent: counters of statistics, which nodes would wait for one another at (they are counted when asked for);
//! a leader (upkeep skips rows that another node is at); named prepared statements (the functions' plans are kept by the
//! server).

mod accept;
mod follow;
mod gather;
mod link;
mod meter;
mod migrate;
mod node;
mod options;
mod outbox;
mod owners;
mod read;
mod records;
mod release;
mod settings;
mod settle;
#[cfg(test)]
mod tests;
mod tls;
mod transfer;
mod upkeep;
mod vacuum;
mod wire;

pub use meter::{Meter, Reading, Tables};
pub use options::PostgresOptions;
pub use outbox::{OUTBOX_SQL, Outbox, OutboxBell, OutboxRefusal, OutboxRefused, OutboxRow, OutboxSession, OutboxState};

use super::{
    Change, Claims, Expunge, Lease, ListPage, NewMessage, News, Requeue, Settled, Settlement, Stats, Store, StoreError, Stored,
    Window,
};
use crate::clock::Clock;
use crate::model::{Address, AppId, Attempt, AttemptId, Delivery, EndpointId, Kind, Message, MsgId, Time, Trigger};
use gather::{Bounds, Gather};
use link::{Links, Place};
use node::Node;
use owners::Owners;
use release::{Owed, Release};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::{Mutex, Notify, mpsc};

/// Groups of accepted messages on their way at the same time, and bytes in one.
const ACCEPTS: Bounds = Bounds { groups: 3, weight: 4 << 20 };
/// Groups of results on their way at the same time, and results in one.
const SETTLES: Bounds = Bounds { groups: 2, weight: 1024 };
/// Groups of released leases on their way at the same time, and leases in one.
const RELEASES: Bounds = Bounds { groups: 1, weight: 1024 };
/// Connections for claims, for reading, for records, for heartbeats.
const OTHERS: [usize; 4] = [2, 2, 2, 1];
/// How long an answer may take: a statement that is lost on its way must not hold its callers for ever.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long upkeep may take, which nobody waits for.
const UPKEEP_PATIENCE: Duration = Duration::from_secs(120);

/// Connections by the kind of work, so that long work is never in the way of short.
struct AllLinks {
    accepts: Arc<Links>,
    settles: Arc<Links>,
    releases: Arc<Links>,
    claims: Links,
    reads: Links,
    records: Links,
    beats: Links,
    upkeep: Links,
}

/// What the engine's tasks share.
struct Shared {
    place: Arc<Place>,
    links: AllLinks,
    owners: Arc<Owners>,
    owed: Arc<Owed>,
    node: Node,
    clock: Arc<dyn Clock>,
    closed: Arc<AtomicBool>,
    end: Notify,
    news: mpsc::UnboundedSender<News>,
    /// Endpoints of other nodes that have something due.
    calls: parking_lot::Mutex<HashSet<EndpointId>>,
    called: Notify,
    /// A node came or went: a heartbeat tells which.
    beat: Notify,
}

/// The engine, open.
pub struct PostgresStore {
    shared: Arc<Shared>,
    news: Mutex<mpsc::UnboundedReceiver<News>>,
    accepts: Gather<NewMessage, Result<(), StoreError>>,
    settles: Gather<Arc<Vec<Settlement>>, Vec<Result<Settled, StoreError>>>,
    releases: Gather<Release, Result<(), StoreError>>,
}

impl AllLinks {
    fn new(place: &Arc<Place>, closed: &Arc<AtomicBool>) -> Self {
        let links = |count| Links::new(place.clone(), closed.clone(), (count, PATIENCE));
        let [claims, reads, records, beats] = OTHERS.map(links);
        AllLinks {
            accepts: Arc::new(links(ACCEPTS.groups)),
            settles: Arc::new(links(SETTLES.groups)),
            releases: Arc::new(links(RELEASES.groups)),
            claims,
            reads,
            records,
            beats,
            upkeep: Links::new(place.clone(), closed.clone(), (1, UPKEEP_PATIENCE)),
        }
    }

    fn forget(&self) {
        let shared = [&*self.accepts, &*self.settles, &*self.releases];
        let others = [&self.claims, &self.reads, &self.records, &self.beats, &self.upkeep];
        shared.into_iter().chain(others).for_each(Links::forget);
    }
}

impl Shared {
    fn closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    async fn ended(&self) {
        let notified = self.end.notified();
        if !self.closed() {
            notified.await;
        }
    }

    fn tell(&self, news: News) {
        let _nobody_asks = self.news.send(news);
    }
}

impl PostgresStore {
    /// Migrates the database as far as needed; the names of the migrations that were applied.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn migrate(options: &PostgresOptions) -> Result<Vec<&'static str>, StoreError> {
        migrate::migrate(&options.place()?).await
    }

    /// Connects, migrates, and registers this process as a node.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer or refuses.
    pub async fn open(options: &PostgresOptions, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
        let store = Self::connect(options, clock, true).await?;
        follow::partitions(&store.shared).await?;
        let position = follow::Position::now(&store.shared).await?;
        tokio::spawn(follow::changes(store.shared.clone(), position));
        tokio::spawn(follow::heartbeats(store.shared.clone()));
        tokio::spawn(follow::calls(store.shared.clone()));
        tokio::spawn(vacuum::keep_clear(store.shared.clone()));
        Ok(store)
    }

    /// Connects and migrates beside the nodes, for a command that delivers nothing.
    ///
    /// # Errors
    /// As [`PostgresStore::open`].
    pub async fn open_beside(options: &PostgresOptions, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
        Self::connect(options, clock, false).await
    }

    async fn connect(options: &PostgresOptions, clock: Arc<dyn Clock>, node: bool) -> Result<Arc<Self>, StoreError> {
        let place = Arc::new(options.place()?);
        migrate::migrate(&place).await?;
        let closed = Arc::<AtomicBool>::default();
        let links = AllLinks::new(&place, &closed);
        let node = if node { Node::register(&links.beats, options.lease).await? } else { Node::none() };
        let (tell, news) = mpsc::unbounded_channel();
        let (owners, owed) = (Arc::<Owners>::default(), Arc::<Owed>::default());
        let shared = Arc::new(Shared {
            place,
            links,
            owners,
            owed,
            node,
            clock,
            closed,
            end: Notify::new(),
            news: tell,
            calls: parking_lot::Mutex::default(),
            called: Notify::new(),
            beat: Notify::new(),
        });
        let accepts = {
            let (links, owners) = (shared.links.accepts.clone(), shared.owners.clone());
            let weigh = |new: &NewMessage| accept::OVERHEAD + new.message.payload.len();
            Gather::start(ACCEPTS, weigh, move |group| accept::send(links.clone(), owners.clone(), group))
        };
        let settles = {
            let (links, clock) = (shared.links.settles.clone(), shared.clock.clone());
            let send = move |group| settle::send(links.clone(), clock.clone(), group);
            Gather::start(SETTLES, |settlements: &Arc<Vec<Settlement>>| settlements.len(), send)
        };
        let releases = {
            let (links, owed) = (shared.links.releases.clone(), shared.owed.clone());
            Gather::start(RELEASES, |_| 1, move |group| release::send(links.clone(), owed.clone(), group))
        };
        Ok(Arc::new(PostgresStore { shared, news: Mutex::new(news), accepts, settles, releases }))
    }

    fn open_still(&self) -> Result<&AllLinks, StoreError> {
        if self.shared.closed() {
            return Err(StoreError::Unavailable("the store is closed".into()));
        }
        Ok(&self.shared.links)
    }

    async fn owner(&self, endpoint: EndpointId) -> Result<Option<AppId>, StoreError> {
        self.shared.owners.of(&self.open_still()?.reads, endpoint).await
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.shared.closed.store(true, SeqCst);
        self.shared.end.notify_waiters();
    }
}

#[async_trait::async_trait]
impl Store for PostgresStore {
    async fn change(&self, changes: Vec<Change>, now: Time) -> Result<(), StoreError> {
        records::change(&self.open_still()?.records, &changes, now).await
    }

    async fn find(&self, address: &Address, now: Time) -> Result<Option<Stored>, StoreError> {
        records::find(&self.open_still()?.records, address, now).await
    }

    async fn list(&self, kind: Kind, scope: &str, page: ListPage<'_>, now: Time) -> Result<Vec<Stored>, StoreError> {
        records::list(&self.open_still()?.records, (kind, scope), page, now).await
    }

    async fn each(&self, kind: Kind, now: Time, visit: &mut (dyn for<'r> FnMut(Stored) + Send)) -> Result<(), StoreError> {
        records::each(&self.open_still()?.reads, kind, now, visit).await
    }

    fn lease(&self, number: u64) -> Lease {
        self.shared.node.lease(number)
    }

    fn stands(&self, lease: Lease) -> bool {
        self.shared.node.stands(lease)
    }

    fn owns(&self, endpoint: EndpointId) -> bool {
        self.shared.node.owns(endpoint)
    }

    fn call(&self, endpoint: EndpointId) {
        self.shared.calls.lock().insert(endpoint);
        self.shared.called.notify_one();
    }

    async fn news(&self) -> News {
        let told = self.news.lock().await.recv().await;
        match told {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    async fn accept(&self, message: NewMessage) -> Result<(), StoreError> {
        self.open_still()?;
        self.accepts.join(message).await?
    }

    async fn claim(&self, endpoint: EndpointId, lease: Lease, now: Time, limit: usize) -> Result<Claims, StoreError> {
        let claimed = read::claim(&self.open_still()?.claims, endpoint, lease, now, limit).await;
        if claimed.is_err() {
            // Nobody knows whether the claim was made before the answer was lost.
            self.shared.owed.add(endpoint, lease);
        }
        claimed
    }

    async fn queued_endpoints(&self) -> Result<Vec<(EndpointId, Time)>, StoreError> {
        read::queued_endpoints(&self.open_still()?.reads).await
    }

    async fn release(&self, endpoint: EndpointId, msg: MsgId, trigger: Trigger, lease: Lease) -> Result<(), StoreError> {
        let app = match self.owner(endpoint).await {
            Ok(Some(app)) => app,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.shared.owed.add(endpoint, lease);
                return Err(error);
            }
        };
        self.releases.join(Release { app, endpoint, msg, trigger, lease }).await?
    }

    async fn settle(&self, settlements: Arc<Vec<Settlement>>) -> Vec<Result<Settled, StoreError>> {
        let count = settlements.len();
        let settled = match self.open_still() {
            Ok(_) if count == 0 => return Vec::new(),
            Ok(_) => self.settles.join(settlements).await,
            Err(error) => Err(error),
        };
        settled.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn requeue(&self, app: AppId, endpoint: EndpointId, which: Requeue, now: Time) -> Result<u64, StoreError> {
        upkeep::requeue(&self.open_still()?.reads, (app, endpoint), which, now).await
    }

    async fn message(&self, app: AppId, msg: MsgId) -> Result<Option<Message>, StoreError> {
        read::message(&self.open_still()?.reads, app, msg).await
    }

    async fn message_by_event_id(&self, app: AppId, event_id: &str) -> Result<Option<Message>, StoreError> {
        read::message_by_event_id(&self.open_still()?.reads, app, event_id).await
    }

    async fn messages(&self, app: AppId, window: Window) -> Result<Vec<Message>, StoreError> {
        read::messages(&self.open_still()?.reads, app, window).await
    }

    async fn delivery(&self, message: &Message, endpoint: EndpointId) -> Result<Option<Delivery>, StoreError> {
        read::delivery(&self.open_still()?.reads, message, endpoint).await
    }

    async fn attempted(&self, endpoint: EndpointId, window: Window) -> Result<Vec<Delivery>, StoreError> {
        let Some(app) = self.owner(endpoint).await? else { return Ok(Vec::new()) };
        read::attempted(&self.open_still()?.reads, (app, endpoint), window).await
    }

    async fn attempt(&self, endpoint: EndpointId, attempt: AttemptId) -> Result<Option<Attempt>, StoreError> {
        let Some(app) = self.owner(endpoint).await? else { return Ok(None) };
        read::attempt(&self.open_still()?.reads, (app, endpoint), attempt).await
    }

    async fn attempts(&self, endpoint: EndpointId, window: Window) -> Result<Vec<Attempt>, StoreError> {
        let Some(app) = self.owner(endpoint).await? else { return Ok(Vec::new()) };
        read::attempts(&self.open_still()?.reads, (app, endpoint), window).await
    }

    async fn stats(&self, endpoint: EndpointId, since: Time, until: Time) -> Result<Stats, StoreError> {
        let Some(app) = self.owner(endpoint).await? else { return Ok(Stats::default()) };
        read::stats(&self.open_still()?.reads, (app, endpoint), since, until).await
    }

    async fn expunge(&self, what: Expunge) -> Result<bool, StoreError> {
        match what {
            Expunge::Payload(app, msg) => upkeep::expunge_payload(&self.open_still()?.reads, app, msg).await,
            Expunge::Message(app, msg) => upkeep::erase(&self.open_still()?.upkeep, app, msg, self.shared.clock.now()).await,
            Expunge::Owed(app, endpoint, msg) => {
                upkeep::cancel(&self.open_still()?.reads, (app, endpoint, msg), self.shared.clock.now()).await
            }
            Expunge::AnswerBody(endpoint, attempt) => {
                let Some(app) = self.owner(endpoint).await? else { return Ok(false) };
                upkeep::expunge_answer(&self.open_still()?.reads, (app, endpoint), attempt).await
            }
        }
    }

    async fn expire(&self, now: Time, limit: usize) -> Result<usize, StoreError> {
        upkeep::expire(&self.open_still()?.upkeep, now, limit).await
    }

    async fn prune(&self, app: AppId, cutoff: Time, limit: usize) -> Result<usize, StoreError> {
        upkeep::prune(&self.open_still()?.upkeep, app, cutoff, limit).await
    }

    async fn retire(&self, cutoff: Time) -> Result<bool, StoreError> {
        upkeep::retire(&self.open_still()?.upkeep, cutoff).await
    }

    async fn purge(&self, app: AppId, endpoint: Option<EndpointId>, limit: usize) -> Result<usize, StoreError> {
        let gone = upkeep::purge(&self.open_still()?.upkeep, app, endpoint, limit).await?;
        if gone == 0 {
            endpoint.into_iter().for_each(|endpoint| self.shared.owners.forget(endpoint));
        }
        Ok(gone)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.open_still()?.reads.read("SELECT 1", &[]).await.map(drop)
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.shared.closed() {
            return Ok(());
        }
        let _owed_until_the_row_goes = self.shared.owed.give_back(&self.shared.links.beats).await;
        let left = self.shared.node.leave(&self.shared.links.beats).await;
        self.shared.closed.store(true, SeqCst);
        self.shared.end.notify_waiters();
        self.shared.links.forget();
        left
    }
}
