//! Many messages through one database with retention on: do its tables and claims stay as they were?
//!
//! Old messages are deleted row by row while new ones come, by the verb that servers use, which is harder on the tables than
//! dropping whole days; at the end the day is dropped, too.

use super::super::{
    Bench,
    database::Database,
    figure::{Figure, Measure},
    host::Host,
    outcome::Faults,
};
use super::site::Site;
use crate::{
    clock::{Clock, SystemClock},
    model::{AppId, Time},
    store::{
        Store,
        postgres::{Meter, PostgresStore},
    },
};
use anyhow::Context;
use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Looks along the way, at least; more when a step would be longer than the most.
const STEPS: u32 = 10;
/// Messages from one look to the next, at most.
const STEP_MAX: u32 = 1_000_000;
/// How long a step may take.
const STEP_TIME: Duration = Duration::from_secs(3600);
/// How long a message is kept.
const RETENTION: Duration = Duration::from_secs(60);
/// Messages that one call deletes.
const CHUNK: usize = 2000;
/// Between two rounds of deleting.
const PAUSE: Duration = Duration::from_millis(250);
/// The tables that messages pass through.
const TABLES: [&str; 4] = ["queue", "messages", "deliveries", "attempts"];

/// The rate of the last step as a multiple of the first's; how the tables were is in the notes, and printed on the way.
pub(super) async fn measure(bench: &Bench, name: &'static str) -> anyhow::Result<Figure> {
    let host = bench.host(name).await?;
    let database = database(&host).context("it needs --store")?.clone();
    let mut site = Site::new(bench, host.target()?, 1).await?;
    let app: AppId = site.app.parse().map_err(|_| anyhow::anyhow!("the application has a strange id"))?;
    let keeper = Keeper::start(&database, app).await?;
    let wanted = bench.args.soak_messages.unwrap_or(STEP_MAX);
    let step = (wanted / STEPS).clamp(1, STEP_MAX);
    let (mut notes, mut rates, mut faults, mut passed) = (Vec::new(), Vec::new(), Faults::default(), 0);
    while passed < wanted {
        let count = step.min(wanted - passed);
        let outcome = site.pass(bench, usize::try_from(count)?, STEP_TIME).await?;
        passed += count;
        rates.push(outcome.rate());
        faults.add(outcome.faults.clone());
        let note = format!(
            "{passed} passed, {:.0}/s; {} deleted; {}",
            outcome.rate(),
            keeper.deleted.load(Relaxed),
            look(&database.meter().await?).await?
        );
        let _nobody_reads = writeln!(std::io::stderr().lock(), "{note}");
        notes.push(note);
    }
    notes.push(keeper.end().await?);
    host.end(&[]).await?;
    let times = rates.first().zip(rates.last()).map(|(first, last)| Measure::Times(last / first));
    notes.insert(0, "the rate of the last step, as a multiple of the first's".into());
    Ok(Figure { name, measure: times, faults, notes, ..Figure::default() })
}

fn database(host: &Host) -> Option<&Database> {
    match host {
        Host::Own(recipe, _) => recipe.database.as_ref(),
        Host::Given(..) => None,
    }
}

/// The tables in words: live and dead rows, megabytes of rows and of indexes.
async fn look(meter: &Meter) -> anyhow::Result<String> {
    let mut words = Vec::new();
    for name in TABLES {
        let now = meter.tables(name).await?;
        let mb = |bytes: u64| bytes as f64 / 1e6;
        words.push(format!(
            "{name} {} live, {} dead, {:.1} + {:.1} MB, vacuumed {} times",
            now.live,
            now.dead,
            mb(now.bytes),
            mb(now.indexes),
            now.vacuums
        ));
    }
    words.push(format!("claim {:.2} ms", meter.claim_time().await?.as_secs_f64() * 1e3));
    Ok(words.join("; "))
}

/// Deletes what is older than the retention, until it is ended.
struct Keeper {
    store: Arc<PostgresStore>,
    deleted: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    work: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Keeper {
    async fn start(database: &Database, app: AppId) -> anyhow::Result<Self> {
        let store = PostgresStore::open_beside(&database.options(), Arc::new(SystemClock)).await?;
        let (deleted, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let work = tokio::spawn({
            let (store, deleted, over) = (store.clone(), deleted.clone(), over.clone());
            async move {
                while !over.load(Relaxed) {
                    let gone = store.prune(app, SystemClock.now().minus(RETENTION), CHUNK).await?;
                    deleted.fetch_add(u64::try_from(gone)?, Relaxed);
                    if gone < CHUNK {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                Ok(())
            }
        });
        Ok(Keeper { store, deleted, over, work })
    }

    /// Ends, and drops everything that is left as retention drops a day; how long that took, in words.
    async fn end(self) -> anyhow::Result<String> {
        self.over.store(true, Relaxed);
        self.work.await??;
        let began = Instant::now();
        let mut days = 0;
        let all = Time(u64::MAX >> 1);
        while self.store.retire(all).await? {
            days += 1;
        }
        let took = began.elapsed().as_secs_f64() * 1e3;
        self.store.close().await?;
        Ok(format!("dropping the {days} days with all that was left took {took:.0} ms"))
    }
}
