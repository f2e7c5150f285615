//! Drives a schedule: starts engines, does what the plan says, lets time pass until all is quiet.

use super::{
    dice::Dice,
    forgotten::Suspects,
    plan::{EndpointPlan, Plan, Step},
    receiver::{Manners, Receivers},
    referee::Referee,
    store::{Node, Shared},
};
use crate::{
    clock::{Clock, VirtualClock},
    crypto::Vault,
    flow::{Engine, Parts, Settings},
    model::{
        Address, AppId, Application, CatchUp, DisabledBy, Endpoint, EndpointId, Metadata, MsgId, OPERATIONAL_UID, OrgId,
        Organization, Record, ReplayState, Retention, Secret, TaskId, Time,
    },
    outbound::Outbound,
    random::Random,
    routing::SECRET_PURPOSE,
    store::{Change, Requeue, Store},
};
use parking_lot::Mutex;
use std::{
    sync::{Arc, OnceLock, atomic::Ordering::SeqCst},
    time::Duration,
};

/// When schedules begin.
pub(super) const START: Time = Time(1_800_000_000_000);
pub(super) const ORG: OrgId = OrgId(1);
/// The longest that anything may be on its way after the last step.
const PATIENCE: Duration = Duration::from_secs(400 * 86_400);
/// After which others hear that a node's leases hold no longer.
const GONE_AFTER: Duration = Duration::from_millis(30_500);
/// Between two looks while something goes on.
const LOOK: Duration = Duration::from_millis(1500);
/// Looks after which a schedule that does not become quiet is given up.
const LOOKS: usize = 20_000;

/// A node with its engine.
pub(super) struct Running {
    pub(super) node: Arc<Node>,
    pub(super) engine: Arc<Engine>,
}

/// What was acknowledged to somebody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledged {
    pub(super) app: AppId,
    pub(super) msg: MsgId,
    pub(super) at: Time,
}

/// A schedule under way.
pub(super) struct Driver {
    pub(super) plan: Plan,
    pub(super) shared: Arc<Shared>,
    pub(super) referee: Arc<Referee>,
    pub(super) manners: Arc<Manners>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    /// Endpoints in the order in which they were made.
    pub(super) endpoints: Vec<(AppId, EndpointId)>,
    /// Endpoints that somebody did something to.
    pub(super) touched: Vec<EndpointId>,
    /// When something stood still.
    pub(super) disturbed: Vec<(Time, Time)>,
    /// When a node was cut off.
    pub(super) cut_off: Vec<(Time, Time)>,
    pub(super) replays: Arc<Mutex<Vec<TaskId>>>,
    nodes: Vec<Option<Running>>,
    downs: Vec<(u64, bool)>,
    pub(super) dice: Dice,
    seed: u64,
    started: u64,
    /// What was deleted has had the time to go.
    pub(super) cleared: bool,
    /// Messages that were posted.
    pub(super) posted: u64,
    /// Moments that pass before time may pass at once: what was begun takes its course.
    restless: u32,
    /// What is due although no lane looks for it, and since when that was seen.
    pub(super) suspects: Suspects,
}

fn vault() -> Arc<Vault> {
    static VAULT: OnceLock<Arc<Vault>> = OnceLock::new();
    VAULT.get_or_init(|| Arc::new(Vault::from_text(&Vault::new_key(&Random::seeded(1))).unwrap())).clone()
}

pub(super) fn app_id(app: usize) -> AppId {
    AppId(0xa000 + app as u128)
}

impl Driver {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::draw(&mut dice);
        Self::of(plan, dice, seed)
    }

    /// A schedule that is not drawn.
    pub(super) fn of(plan: Plan, dice: Dice, seed: u64) -> Self {
        let shared: Arc<Shared> = Arc::default();
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(START));
        shared.cluster.store(plan.nodes > 1, SeqCst);
        shared.told.store(plan.nodes > 1 || plan.unanswered > 0, SeqCst);
        assert!(shared.clock.set(clock.clone()).is_ok());
        let rates = plan.apps.iter().enumerate().filter_map(|(app, plan)| Some((app_id(app), plan.rate?)));
        let referee = Arc::new(Referee {
            seen: Mutex::default(),
            shared: shared.clone(),
            slots: plan.slots,
            policy: plan.policy.clone(),
            app_rates: rates.collect(),
        });
        assert!(shared.judge.set(referee.clone()).is_ok());
        Driver {
            nodes: (0..plan.nodes).map(|_| None).collect(),
            downs: vec![(0, false); plan.nodes],
            plan,
            shared,
            referee,
            manners: Arc::default(),
            clock,
            acknowledged: Arc::default(),
            endpoints: Vec::new(),
            touched: Vec::new(),
            disturbed: Vec::new(),
            cut_off: Vec::new(),
            replays: Arc::default(),
            dice,
            seed,
            started: 0,
            cleared: false,
            posted: 0,
            restless: 0,
            suspects: Suspects::default(),
        }
    }

    /// Starts the engines.
    pub(super) async fn begin(&mut self) {
        self.set_up().await;
        for slot in 0..self.plan.nodes {
            self.start(slot).await;
        }
        self.shared.steady.store(true, SeqCst);
    }

    /// From the first engine until all is quiet.
    pub(super) async fn run(&mut self) {
        self.begin().await;
        for (at, step) in self.plan.steps.clone() {
            let at = START.plus(Duration::from_millis(at));
            while self.clock.now() < at {
                self.pass_a_little(Some(at)).await;
            }
            self.take(step);
            self.restless = 2;
        }
        self.calm_down().await;
    }

    /// Lets time pass until all is quiet.
    pub(super) async fn calm_down(&mut self) {
        let end = self.clock.now().plus(PATIENCE);
        for look in 0.. {
            self.pass_a_little(None).await;
            if look % 2 == 1 && self.is_quiet() && !self.clears_up().await {
                break;
            }
            if look == LOOKS || self.clock.now() >= end {
                let owed: Vec<_> = self.shared.state.lock().queue.iter().map(|(key, owed)| format!("{key:?} {owed:?}")).collect();
                let views: Vec<_> =
                    self.endpoints.iter().map(|(_, e)| self.engines().map(|n| n.engine.lane(*e)).collect::<Vec<_>>()).collect();
                let what = format!("never quiet, until {:?}: {owed:?} {views:?}", self.clock.now());
                self.referee.seen.lock().blame(what);
                break;
            }
        }
    }

    pub(super) fn engines(&self) -> impl Iterator<Item = &Running> {
        self.nodes.iter().flatten()
    }

    async fn set_up(&mut self) {
        let store = Node::join(&self.shared);
        let organization = Organization { id: ORG, name: String::new(), profile: None, proxy: None, created_at: START };
        let mut changes = vec![Change::Insert(Record::Organization(organization))];
        for (app, plan) in self.plan.apps.clone().into_iter().enumerate() {
            let uid = (app == 0 && self.plan.has_operator).then(|| OPERATIONAL_UID.to_owned());
            changes.push(Change::Insert(Record::Application(Application {
                id: app_id(app),
                org: ORG,
                uid,
                name: "a".into(),
                throttle_rate: plan.rate,
                metadata: Metadata::new(),
                profile: None,
                retry_policy: None,
                created_at: START,
                updated_at: START,
            })));
            for endpoint in plan.endpoints {
                let endpoint = self.endpoint(app, endpoint);
                changes.push(Change::Insert(Record::Endpoint(endpoint)));
            }
        }
        store.change(changes, START).await.unwrap();
        store.close().await.unwrap();
    }

    fn endpoint(&mut self, app: usize, plan: EndpointPlan) -> Endpoint {
        let id = EndpointId(0xe000 + self.endpoints.len() as u128);
        self.endpoints.push((app_id(app), id));
        self.manners.0.lock().insert(id, plan.manner);
        let random = Random::seeded(self.seed);
        let secret = || Secret {
            sealed: vault().seal(&random, SECRET_PURPOSE, b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(),
            created_at: START,
            expires_at: None,
        };
        Endpoint {
            retry_policy: plan.policy,
            throttle_rate: plan.rate,
            ordering: plan.ordering,
            concurrency: plan.concurrency,
            secrets: plan.has_secret.then(secret).into_iter().collect(),
            ..Endpoint::new((ORG, app_id(app), id), format!("http://hooks.test/{}", id.0), START)
        }
    }

    /// Starts a node, again and again until the store lets it.
    async fn start(&mut self, slot: usize) {
        for _ in 0..10_000 {
            let node = Node::join(&self.shared);
            self.started += 1;
            {
                let mut faults = node.faults.lock();
                (faults.dice, faults.refused) = (Some(self.dice.split()), self.plan.refused);
                faults.unanswered = self.plan.unanswered;
            }
            let receivers = Receivers {
                referee: self.referee.clone(),
                manners: self.manners.clone(),
                node: node.clone(),
                clock: self.clock.clone(),
                dice: Mutex::new(self.dice.split()),
            };
            let parts = Parts {
                store: node.clone(),
                outbound: Outbound::to_model(self.clock.clone(), Arc::new(receivers)),
                clock: self.clock.clone(),
                random: Arc::new(Random::seeded(self.seed ^ (self.started << 48))),
                vault: vault(),
                settings: Settings {
                    attempt_timeout: Duration::from_secs(self.plan.timeout_s),
                    retry_policy: self.plan.policy.clone(),
                    disable_after: Duration::from_secs(self.plan.disable_after_s),
                    max_in_flight: self.plan.slots,
                    retention: Duration::from_secs(10 * 365 * 86_400),
                    ..Settings::default()
                },
            };
            if let Ok(engine) = Engine::start(parts).await {
                tokio::spawn(crate::upkeep::run(engine.clone()));
                self.nodes[slot] = Some(Running { node, engine });
                return;
            }
            node.die();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no engine starts");
    }

    fn is_quiet(&self) -> bool {
        let replays = self.replays.lock().iter().any(|id| self.is_running(*id));
        let doomed = self.engines().any(|running| running.node.dead.load(SeqCst));
        let unrecorded = self.engines().any(|running| running.engine.results.owed() || running.node.is_cut_off());
        !replays
            && !doomed
            && !unrecorded
            && self.earliest().is_none()
            && self.engines().all(|running| running.engine.lanes.is_quiet())
    }

    fn is_running(&self, id: TaskId) -> bool {
        let state = self.shared.state.lock();
        matches!(state.records.get(&Address::replay(ORG, id)), Some(Record::Replay(replay)) if replay.state == ReplayState::Running)
    }

    /// When the next attempt is due that an enabled endpoint is owed.
    fn earliest(&self) -> Option<Time> {
        let seen = self.referee.seen.lock();
        let waits = |endpoint: &EndpointId| seen.facts.get(endpoint).is_some_and(|f| f.disabled.is_none() && f.deleted.is_none());
        let open: Vec<EndpointId> = self.endpoints.iter().map(|(_, id)| *id).filter(waits).collect();
        drop(seen);
        let state = self.shared.state.lock();
        state
            .queue
            .iter()
            .filter(|((endpoint, ..), owed)| owed.over.is_none() && open.contains(endpoint))
            .map(|(_, owed)| owed.due)
            .min()
    }

    /// Nothing goes on, so that time may pass at once.
    fn is_idle(&self) -> bool {
        let idle = |running: &Running| {
            if running.node.is_cut_off() {
                return false;
            }
            let waits = |endpoint| running.engine.lanes.get(endpoint).is_some_and(|lane| lane.waiting() > 0);
            running.engine.lanes.is_quiet() && !self.endpoints.iter().any(|(_, endpoint)| waits(*endpoint))
        };
        let replays = self.replays.lock().iter().any(|id| self.is_running(*id));
        !self.shared.is_leased() && !replays && self.engines().all(idle)
    }

    /// Lets time pass until something happens, `until` comes or a moment is over.
    async fn pass_a_little(&mut self, until: Option<Time>) {
        let far = self.earliest().into_iter().chain(until).min().map(|next| next.since(self.clock.now())).unwrap_or_default();
        let far = far.min(PATIENCE);
        let settled = self.restless == 0;
        self.restless = self.restless.saturating_sub(1);
        if settled && far > LOOK && self.is_idle() {
            tokio::time::advance(far - Duration::from_millis(1)).await;
        }
        let left = until.map_or(LOOK, |until| until.since(self.clock.now()));
        let nap = LOOK.min(left).max(Duration::from_millis(1));
        let died = tokio::select! {
            biased;
            () = self.shared.died.notified() => true,
            () = tokio::time::sleep(nap) => false,
        };
        if died {
            self.bury().await;
        }
        self.look_for_forgotten();
    }

    /// Starts others in place of nodes that have died.
    async fn bury(&mut self) {
        for slot in 0..self.nodes.len() {
            let Some(dead) = self.nodes[slot].take_if(|running| running.node.dead.load(SeqCst)) else { continue };
            let begun = self.clock.now();
            self.shared.count("deaths");
            let engine = dead.engine;
            tokio::spawn(async move { engine.shut_down(Duration::ZERO).await });
            let (down_ms, power) = self.downs[slot];
            if self.plan.nodes == 1 {
                if power {
                    self.shared.lose_power(&mut self.dice);
                }
                self.shared.state.lock().free_all();
            } else {
                let shared = self.shared.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(GONE_AFTER).await;
                    shared.tell(&crate::store::News::Queue);
                });
            }
            tokio::time::sleep(Duration::from_millis(down_ms)).await;
            self.start(slot).await;
            let over = if self.plan.nodes == 1 { self.clock.now() } else { begun.plus(Duration::from_secs(32)) };
            self.disturbed.push((begun, over.plus(Duration::from_secs(1))));
        }
    }

    fn take(&mut self, step: Step) {
        let Some(engine) = self.engines().next().map(|running| running.engine.clone()) else { return };
        match step {
            Step::Send(sending) => self.send(sending),
            Step::Disable(at) => self.edit(&engine, at, |endpoint| endpoint.disabled = Some(DisabledBy::Owner)),
            Step::Enable(at) => self.edit(&engine, at, |endpoint| endpoint.disabled = None),
            Step::CatchUp(at, rate) => {
                let (app, endpoint) = self.touch(at);
                let pace = CatchUp { app, endpoint, rate, since: self.clock.now() };
                let with = engine.clone();
                tokio::spawn(async move { with.change(vec![Change::Write(Record::CatchUp(pace))]).await });
                self.edit(&engine, at, |endpoint| endpoint.disabled = None);
            }
            Step::Rate(at, rate) => self.edit(&engine, at, move |endpoint| endpoint.throttle_rate = rate),
            Step::Policy(at, policy) => self.edit(&engine, at, move |endpoint| endpoint.retry_policy = policy),
            Step::Ordering(at, ordering) => self.edit(&engine, at, move |endpoint| endpoint.ordering = ordering),
            Step::Concurrency(at, most) => self.edit(&engine, at, move |endpoint| endpoint.concurrency = most),
            Step::Delete(at) => {
                let (app, endpoint) = self.touch(at);
                tokio::spawn(async move { engine.change(vec![Change::Delete(Address::endpoint(app, endpoint))]).await });
            }
            Step::DeleteApp(app) => self.delete_app(engine, app),
            Step::Retain(app, hours, payload_hours) => {
                let app = Some(app_id(app));
                let retention = Retention { org: ORG, app, message_hours: Some(hours), payload_hours };
                tokio::spawn(async move { engine.change(vec![Change::Write(Record::Retention(retention))]).await });
            }
            Step::Cancel { at, of_many } => self.cancel(engine, at, of_many),
            Step::CancelInVain(at) => self.cancel_in_vain(engine, at),
            Step::Add(app, plan) => {
                let endpoint = self.endpoint(app, plan);
                tokio::spawn(async move { engine.change(vec![Change::Insert(Record::Endpoint(endpoint))]).await });
            }
            Step::Resend(at) => self.resend(&engine, at),
            Step::ResendBeside(at) => self.resend_beside(engine, at),
            Step::Recover(at) => {
                let (app, endpoint) = self.touch(at);
                let which = Requeue::Exhausted { low: MsgId(0), high: MsgId(u128::MAX) };
                tokio::spawn(async move { engine.requeue(app, endpoint, which).await });
            }
            Step::Replay { app, endpoint, rate, anew, cancels } => {
                self.replay(&engine, (app, endpoint), (rate, anew, cancels));
            }
            Step::Abort => {
                let Some(id) = self.replays.lock().last().copied() else { return };
                tokio::spawn(async move { engine.abort_replay(ORG, id).await });
            }
            Step::Behave(at, manner) => {
                let (_, endpoint) = self.touch(at);
                self.manners.0.lock().insert(endpoint, manner);
            }
            trouble => self.trouble(&trouble),
        }
    }

    fn trouble(&mut self, step: &Step) {
        match *step {
            Step::Crash { node, verbs, power, down_ms } => {
                self.downs[node] = (down_ms, power);
                let Some(running) = &self.nodes[node] else { return };
                running.node.faults.lock().dies_at = Some(verbs);
                *self.shared.unsynced.lock() = power.then(Vec::new);
            }
            Step::Restart(node) => {
                let Some(running) = &self.nodes[node] else { return };
                let (engine, node) = (running.engine.clone(), running.node.clone());
                self.shared.count("restarts");
                self.downs = vec![(0, false); self.plan.nodes];
                tokio::spawn(async move {
                    let _closed = engine.shut_down(Duration::from_secs(3)).await;
                    node.die();
                });
            }
            Step::CutOff(node, ms) => {
                let Some(running) = &self.nodes[node] else { return };
                let (node, shared) = (running.node.clone(), self.shared.clone());
                if node.is_cut_off() || node.dead.load(SeqCst) {
                    return;
                }
                self.shared.count("times that a node was cut off");
                let now = self.clock.now();
                self.disturbed.push((now, now.plus(Duration::from_millis(ms + 32_000))));
                self.cut_off.push((now, now.plus(Duration::from_millis(ms))));
                node.cut_off();
                tokio::spawn(async move {
                    tokio::time::sleep(GONE_AFTER).await;
                    shared.tell(&crate::store::News::Queue);
                    tokio::time::sleep(Duration::from_millis(ms).saturating_sub(GONE_AFTER)).await;
                    node.reconnect();
                });
            }
            Step::Away(ms) => {
                self.shared.count("times that the store was away");
                self.shared.away.store(true, SeqCst);
                let now = self.clock.now();
                self.disturbed.push((now, now.plus(Duration::from_millis(ms + 1500))));
                let shared = self.shared.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    shared.away.store(false, SeqCst);
                });
            }
            _ => {}
        }
    }
}
