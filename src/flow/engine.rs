//! The engine: what the steps of the flow share, how it starts and how it stops.

use super::{
    Paces, Retentions, SourceTable,
    agreement::Agreements,
    dispatch, follow,
    health::Health,
    record::{self, Results},
    replay,
    rotation::KeyFile,
};
use crate::{
    clock::Clock,
    crypto::Vault,
    lanes::Lanes,
    model::{EndpointId, Failing, Kind, MsgId, OrgId, Record, RetryPolicy},
    outbound::Outbound,
    random::Random,
    routing::{AppRoutes, Routing},
    store::{Store, StoreError, Window},
};
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::{Mutex, Notify};

/// Locks over which changes of configuration are spread, so that the routing table takes them over in their order.
const CHANGE_LOCKS: usize = 64;
/// Between two looks at whether everything has ended.
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// What the engine is told once, at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One deadline for an attempt: name, connection, headers and body.
    pub attempt_timeout: Duration,
    /// The retry policy of endpoints and applications that name none.
    pub retry_policy: RetryPolicy,
    /// How many times faster than its schedule a failed delivery is tried again: above 1 only to try things out.
    pub retry_speed: u32,
    /// An endpoint that has failed for so long is disabled.
    pub disable_after: Duration,
    /// How long messages are kept.
    pub retention: Duration,
    /// Attempts that run at once, over all endpoints.
    pub max_in_flight: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            attempt_timeout: Duration::from_secs(15),
            retry_policy: RetryPolicy::default(),
            retry_speed: 1,
            disable_after: Duration::from_secs(5 * 86_400),
            retention: Duration::from_secs(90 * 86_400),
            max_in_flight: 4096,
        }
    }
}

/// What the engine is made of.
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The hostile network.
    pub outbound: Outbound,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<Random>,
    /// Secrets.
    pub vault: Arc<Vault>,
    /// Settings.
    pub settings: Settings,
}

/// What the steps of the flow share.
pub struct Engine {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Applications and endpoints in memory.
    pub routing: Routing,
    /// How long organizations and applications keep messages.
    pub retentions: Retentions,
    /// Endpoints that are catching up.
    pub paces: Paces,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<Random>,
    /// Secrets.
    pub vault: Arc<Vault>,
    /// Settings.
    pub settings: Settings,
    pub(crate) lanes: Lanes,
    pub(crate) outbound: Outbound,
    pub(super) health: Health,
    pub(super) agreements: Agreements,
    pub(super) leases: AtomicU64,
    pub(super) results: Results,
    pub(super) changing: Vec<Mutex<()>>,
    pub(super) sources: OnceLock<Arc<dyn SourceTable>>,
    pub(super) key_file: OnceLock<Arc<dyn KeyFile>>,
    /// Whose turn it is to take or forget master keys.
    pub(super) key_turn: Mutex<()>,
    stopping: AtomicBool,
    stop: Notify,
    ended: AtomicBool,
    end: Notify,
    purge: Notify,
    pub(super) trouble: Notify,
    /// A replay was asked for.
    pub(super) replays: Notify,
    pub(super) room: replay::Room,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads the tables, finds what is pending and begins to deliver. Whoever starts it also runs [`crate::upkeep::run`].
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(parts: Parts) -> Result<Arc<Self>, StoreError> {
        let Parts { store, outbound, clock, random, vault, settings } = parts;
        let (results, to_keep) = Results::new();
        let engine = Arc::new(Engine {
            lanes: Lanes::new(settings.max_in_flight),
            leases: AtomicU64::new(1),
            results,
            changing: std::iter::repeat_with(Mutex::default).take(CHANGE_LOCKS).collect(),
            sources: OnceLock::new(),
            key_file: OnceLock::new(),
            key_turn: Mutex::default(),
            routing: Routing::default(),
            retentions: Retentions::default(),
            paces: Paces::default(),
            health: Health::default(),
            agreements: Agreements::default(),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            ended: AtomicBool::new(false),
            end: Notify::new(),
            purge: Notify::new(),
            trouble: Notify::new(),
            replays: Notify::new(),
            room: replay::Room::default(),
            store,
            outbound,
            clock,
            random,
            vault,
            settings,
        });
        engine.load().await?;
        for (endpoint, due) in engine.store.queued_endpoints().await? {
            engine.note_due(endpoint, due);
        }
        tokio::spawn(record::keep(engine.clone(), to_keep));
        tokio::spawn(dispatch::watch(engine.clone()));
        tokio::spawn(follow::follow(engine.clone()));
        tokio::spawn(replay::watch(engine.clone()));
        Ok(engine)
    }

    async fn load(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        if let Err(error) = self.follow_rotation().await? {
            tracing::error!(%error, "a step of the master key's rotation was not followed");
        }
        let load = |stored: crate::store::Stored| match stored.record {
            Record::Organization(organization) => {
                self.routing.put_organization(organization, &self.vault);
            }
            Record::Profile(profile) => self.routing.put_profile(&profile),
            Record::Application(application) => self.routing.put_application(application),
            Record::Endpoint(endpoint) => {
                if let Err(error) = self.routing.put_endpoint(&endpoint, &self.vault) {
                    tracing::error!(%error, endpoint = %endpoint.id, "endpoint left out: its deliveries wait");
                }
            }
            Record::EventType(event_type) => self.routing.put_event_type(&event_type),
            Record::Retention(retention) => self.retentions.put(retention),
            Record::CatchUp(pace) => self.paces.put(pace),
            _ => {}
        };
        let kinds =
            [Kind::Organization, Kind::Profile, Kind::Application, Kind::Endpoint, Kind::EventType, Kind::Retention, Kind::CatchUp];
        for kind in kinds {
            self.store.each(kind, now, &mut |stored| load(stored)).await?;
        }
        let mut failing: Vec<Failing> = Vec::new();
        let mut collect = |stored: crate::store::Stored| {
            if let Record::Failing(record) = stored.record {
                failing.push(record);
            }
        };
        self.store.each(Kind::Failing, now, &mut collect).await?;
        for record in failing {
            if self.still_fails(record.endpoint).await? {
                self.health.put(record);
            }
        }
        Ok(())
    }

    /// A success that ran beside a failure may have left the record of the failure behind: the newest attempt decides.
    async fn still_fails(&self, endpoint: EndpointId) -> Result<bool, StoreError> {
        let newest = Window { above: 0, below: u128::MAX, newest_first: true, limit: 1 };
        let attempts = self.store.attempts(endpoint, newest).await?;
        Ok(attempts.first().is_some_and(|attempt| !attempt.outcome.succeeded()))
    }

    /// The application with this id or uid, if it is the organization's.
    #[must_use]
    pub fn app(&self, org: OrgId, id_or_uid: &str) -> Option<Arc<AppRoutes>> {
        self.routing.app(org, id_or_uid)
    }

    /// Whether an attempt of this delivery is running now.
    #[must_use]
    pub fn in_flight(&self, endpoint: EndpointId, msg: MsgId) -> bool {
        self.lanes.get(endpoint).is_some_and(|lane| lane.runs(msg))
    }

    /// The endpoint's lane as it is in this process; `None` when nothing goes on in it.
    #[must_use]
    pub fn lane(&self, endpoint: EndpointId) -> Option<crate::lanes::LaneView> {
        self.lanes.get(endpoint).map(|lane| lane.view(self.clock.now(), &self.lanes.budget))
    }

    /// How many attempts to this endpoint are running now.
    #[must_use]
    pub fn in_flight_count(&self, endpoint: EndpointId) -> usize {
        self.lanes.get(endpoint).map_or(0, |lane| lane.running())
    }

    /// Whether the engine is on its way down.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    /// Waits until the engine is told to stop.
    pub async fn stopped(&self) {
        let notified = self.stop.notified();
        if !self.stopping() {
            notified.await;
        }
    }

    /// Waits until the store is closed.
    pub(super) async fn ended(&self) {
        let notified = self.end.notified();
        if !self.ended.load(SeqCst) {
            notified.await;
        }
    }

    /// Something is left to upkeep that should not wait for its next round.
    pub fn ask_for_upkeep(&self) {
        self.ask_for_purge();
    }

    /// Something was deleted: upkeep need not wait for its next round.
    pub(super) fn ask_for_purge(&self) {
        self.purge.notify_one();
    }

    /// Waits until something was deleted.
    pub(crate) async fn purge_asked(&self) {
        self.purge.notified().await;
    }

    /// Starts no further attempt, waits for running ones at most `within`, and closes the store. What has not ended by
    /// then is attempted again at the next start.
    ///
    /// # Errors
    /// The store could not make its last writes durable.
    pub async fn shut_down(&self, within: Duration) -> Result<(), StoreError> {
        self.stopping.store(true, SeqCst);
        self.stop.notify_waiters();
        let busy = || !self.lanes.is_quiet() || self.results.owed();
        let deadline = tokio::time::Instant::now() + within;
        while busy() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(DRAIN_STEP).await;
        }
        let closed = self.store.close().await;
        self.ended.store(true, SeqCst);
        self.end.notify_waiters();
        closed
    }
}
