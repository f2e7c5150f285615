//! Running: who works on which replay, and the steps at their pace.

use super::{
    TURN,
    select::{Again, Chosen, Keys},
};
use crate::{
    flow::{Cancel, Engine},
    model::{Address, EndpointId, Kind, LATEST, MsgId, OrgId, Record, Replay, ReplayState, TaskId, Time},
    store::{Requeue, StoreError},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Between two looks for replays that nobody works on.
const ROUND: Duration = Duration::from_secs(2);
/// Steps a second, when the rate asks for more than one delivery each.
const STEPS: u32 = 10;
/// Deliveries that are queued at once.
const QUEUEING: usize = 16;
/// Deliveries that wait in a lane's memory above which a replay waits.
const CROWDED: usize = 64;
/// Between two looks at a crowded lane.
const LOOK: Duration = Duration::from_millis(20);
/// How long a replay of many endpoints waits for the slowest lane in one step.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait before a store that is away is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// Messages that are looked at to count what a replay will do: a second or two of work.
const COUNTED_ROWS: u64 = 10_000;

/// Why a process works on a replay no longer.
enum Over {
    /// It has ended, or is another process's.
    Left,
    /// The store is away; the next round tries again.
    Away(StoreError),
}

impl From<StoreError> for Over {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale => Over::Left,
            other => Over::Away(other),
        }
    }
}

/// This process, as one that works on replays.
#[derive(Clone, Copy)]
struct Worker {
    number: u64,
    /// The store is this process's alone: whoever else began something on it has ended.
    is_alone: bool,
}

impl Worker {
    /// Whether it may work on the replay: nobody does, or this process itself.
    fn may_work_on(self, replay: &Replay, now: Time) -> bool {
        let is_free = self.is_alone || replay.worker == self.number || replay.worker_until <= now;
        replay.state == ReplayState::Running && is_free
    }
}

/// Looks for replays to work on until the engine stops.
pub(in crate::flow) async fn watch(engine: Arc<Engine>) {
    let worker = Worker { number: u64::from_be_bytes(engine.random.bytes()), is_alone: engine.store.lease(0).until == LATEST };
    let running: Arc<Mutex<HashSet<TaskId>>> = Arc::default();
    while !engine.stopping() {
        match free(&engine, &running, worker).await {
            Ok(free) => {
                for (org, id) in free {
                    running.lock().insert(id);
                    tokio::spawn(work(engine.clone(), running.clone(), (org, id), worker));
                }
            }
            Err(error) if !engine.stopping() => tracing::error!(%error, "replays not looked for"),
            Err(_) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = engine.replays.notified() => {}
            () = engine.stopped() => {}
        }
    }
}

/// Replays that run and that nobody works on.
async fn free(engine: &Engine, running: &Mutex<HashSet<TaskId>>, worker: Worker) -> Result<Vec<(OrgId, TaskId)>, StoreError> {
    let now = engine.clock.now();
    let mut free = Vec::new();
    let mut collect = |stored: crate::store::Stored| {
        if let Record::Replay(replay) = stored.record
            && worker.may_work_on(&replay, now)
        {
            free.push((replay.org, replay.id));
        }
    };
    engine.store.each(Kind::Replay, now, &mut collect).await?;
    let running = running.lock();
    free.retain(|(_, id)| !running.contains(id));
    Ok(free)
}

async fn work(engine: Arc<Engine>, running: Arc<Mutex<HashSet<TaskId>>>, (org, id): (OrgId, TaskId), worker: Worker) {
    if let Err(Over::Away(error)) = go_on(&engine, (org, id), worker).await
        && !engine.stopping()
    {
        tracing::error!(%error, replay = %id, "replay interrupted");
        tokio::time::sleep(PAUSE).await;
    }
    running.lock().remove(&id);
}

/// The replay as it is, if it runs and is this process's, or free.
async fn mine(engine: &Engine, (org, id): (OrgId, TaskId), worker: Worker) -> Result<(Replay, u64), Over> {
    let (replay, revision) = engine.find_replay(org, id).await?.ok_or(Over::Left)?;
    if worker.may_work_on(&replay, engine.clock.now()) { Ok((replay, revision)) } else { Err(Over::Left) }
}

async fn write(engine: &Engine, replay: &mut Replay, revision: u64, worker: Worker) -> Result<(), Over> {
    let now = engine.clock.now();
    replay.updated_at = now;
    replay.worker = worker.number;
    // A process on its way down leaves the replay to others, or to its next start, at once.
    replay.worker_until = if engine.stopping() { now } else { now.plus(TURN) };
    Ok(engine.write_replay(replay, revision).await?)
}

async fn go_on(engine: &Arc<Engine>, id: (OrgId, TaskId), worker: Worker) -> Result<(), Over> {
    let (mut replay, revision) = mine(engine, id, worker).await?;
    write(engine, &mut replay, revision, worker).await?;
    let Some(mut keys) = learn(engine, &mut replay).await? else {
        let (_, revision) = mine(engine, id, worker).await?;
        return write(engine, &mut replay, revision, worker).await;
    };
    count(engine, id, worker).await?;
    let mut ready_at = Instant::now();
    while !engine.stopping() {
        if let Some(endpoint) = replay.endpoint.filter(|_| !replay.cancels()) {
            wait_for_lane(engine, id, worker, endpoint).await?;
        }
        let revision;
        (replay, revision) = mine(engine, id, worker).await?;
        let queued = step(engine, &mut replay, &mut keys).await?;
        write(engine, &mut replay, revision, worker).await?;
        if replay.state != ReplayState::Running {
            tracing::info!(replay = %replay.id, state = ?replay.state, queued = replay.queued, "replay ended");
            return Ok(());
        }
        ready_at = ready_at.max(Instant::now()) + Duration::from_secs_f64(queued as f64 / f64::from(replay.rate.max(1)));
        rest(engine, id, worker, ready_at).await?;
    }
    let (mut replay, revision) = mine(engine, id, worker).await?;
    write(engine, &mut replay, revision, worker).await
}

/// Counts, once, what there is to do, so that progress can be told by it.
async fn count(engine: &Arc<Engine>, id: (OrgId, TaskId), worker: Worker) -> Result<(), Over> {
    let (replay, _) = mine(engine, id, worker).await?;
    let Some(app) = engine.routing.by_id(replay.app).filter(|_| !replay.counted) else { return Ok(()) };
    let counted = engine.count_replay(&app, &replay, COUNTED_ROWS).await?;
    let (mut replay, revision) = mine(engine, id, worker).await?;
    replay.counted = true;
    replay.total = Some(counted.deliveries).filter(|_| counted.complete);
    write(engine, &mut replay, revision, worker).await
}

/// Waits for the pace; a long wait keeps the turn.
async fn rest(engine: &Arc<Engine>, id: (OrgId, TaskId), worker: Worker, until: Instant) -> Result<(), Over> {
    while Instant::now() < until && !engine.stopping() {
        let nap = until.min(Instant::now() + TURN / 3);
        tokio::select! {
            () = tokio::time::sleep_until(nap) => {}
            () = engine.stopped() => return Ok(()),
        }
        if nap < until {
            let (mut replay, revision) = mine(engine, id, worker).await?;
            write(engine, &mut replay, revision, worker).await?;
        }
    }
    Ok(())
}

/// What the process before knew of the values of `newestPer`; `None`: the replay cannot go on.
async fn learn(engine: &Engine, replay: &mut Replay) -> Result<Option<Keys>, Over> {
    let Some(app) = engine.routing.by_id(replay.app) else {
        gone(engine, replay).await?;
        return Ok(None);
    };
    match engine.learn_keys(&app, replay).await? {
        Ok(keys) => Ok(Some(keys)),
        Err(error) => {
            engine.end(replay, ReplayState::Failed, Some(error.sentence().into()));
            Ok(None)
        }
    }
}

/// The application is not known here: it was deleted, or is so new that this process has not heard of it.
async fn gone(engine: &Engine, replay: &mut Replay) -> Result<(), Over> {
    let address = Address::application(replay.org, replay.app);
    if engine.store.find(&address, engine.clock.now()).await?.is_some() {
        return Err(Over::Left);
    }
    engine.end(replay, ReplayState::Failed, Some("The application was deleted.".into()));
    Ok(())
}

/// One step; how many deliveries it has queued.
async fn step(engine: &Arc<Engine>, replay: &mut Replay, keys: &mut Keys) -> Result<usize, Over> {
    let Some(app) = engine.routing.by_id(replay.app) else {
        gone(engine, replay).await?;
        return Ok(0);
    };
    let wanted = usize::try_from((replay.rate / STEPS).max(1)).unwrap_or(1);
    let step = match engine.step(&app, replay, keys, wanted).await? {
        Ok(step) => step,
        Err(error) => {
            engine.end(replay, ReplayState::Failed, Some(error.sentence().into()));
            return Ok(0);
        }
    };
    if replay.endpoint.is_none() && !replay.cancels() {
        wait_for_lanes(engine, &step.chosen).await;
    }
    let queueing = step.chosen.iter().copied().map(|chosen| queue(engine, replay, chosen));
    let queued: u64 = stream::iter(queueing).buffered(QUEUEING).try_fold(0, async |sum, one| Ok(sum + one)).await?;
    replay.cursor = step.cursor;
    replay.scanned += step.scanned;
    replay.expunged += step.expunged;
    replay.queued += queued;
    if step.ended {
        engine.end(replay, ReplayState::Finished, None);
    }
    Ok(step.chosen.len())
}

async fn queue(engine: &Arc<Engine>, replay: &Replay, chosen: Chosen) -> Result<u64, StoreError> {
    let which = match chosen.again {
        Again::Once => Requeue::Once(chosen.msg),
        Again::Anew => Requeue::Exhausted { low: chosen.msg, high: MsgId(chosen.msg.0.saturating_add(1)) },
        Again::Never { ordered } => {
            let which = Cancel { app: replay.app, endpoint: chosen.endpoint, msg: chosen.msg, ordered, of_many: true };
            return engine.cancel(which).await.map(u64::from);
        }
    };
    engine.requeue(replay.app, chosen.endpoint, which).await
}

fn is_crowded(engine: &Engine, endpoint: EndpointId) -> bool {
    engine.lanes.get(endpoint).is_some_and(|lane| lane.waiting() > CROWDED)
}

/// Live traffic first: waits while the lane has enough to do, and keeps the turn.
async fn wait_for_lane(engine: &Arc<Engine>, id: (OrgId, TaskId), worker: Worker, endpoint: EndpointId) -> Result<(), Over> {
    let mut kept = Instant::now();
    while is_crowded(engine, endpoint) && !engine.stopping() {
        tokio::time::sleep(LOOK).await;
        if kept.elapsed() > TURN / 3 {
            let (mut replay, revision) = mine(engine, id, worker).await?;
            write(engine, &mut replay, revision, worker).await?;
            kept = Instant::now();
        }
    }
    Ok(())
}

/// As [`wait_for_lane`], but the slowest of many lanes does not stop a replay.
async fn wait_for_lanes(engine: &Engine, chosen: &[Chosen]) {
    let endpoints: BTreeSet<EndpointId> = chosen.iter().map(|chosen| chosen.endpoint).collect();
    let patience = Instant::now() + PATIENCE;
    while endpoints.iter().any(|endpoint| is_crowded(engine, *endpoint)) && Instant::now() < patience && !engine.stopping() {
        tokio::time::sleep(LOOK).await;
    }
}
