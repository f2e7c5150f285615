//! The wall clock of the machine is set under the real binary, by hours and by a day, forward and back, while messages come
//! and go. It is Debian's `libfaketime` that says what the wall clock shows; the monotonic clock goes on as it does when
//! somebody sets a machine's clock.

use crate::support::{Api, Arrival, Options, Receiver, Reply, Server, database, eventually};
use postrider::clock::{Clock, SystemClock};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::Instant;

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;
/// How far the clock is off after each jump, in seconds.
const JUMPS_S: [i64; 8] = [HOUR_S, 0, -HOUR_S, DAY_S, -DAY_S, 2 * DAY_S, 5, 0];
/// Messages of each round; half of them before the jump.
const MESSAGES: usize = 40;
/// The delay of a retry, and by how much of it it may be moved.
const DELAY_S: u64 = 1;
const JITTER: f64 = 0.2;
/// How late an attempt may be on a busy machine, whatever the clock does.
const PROMPT: Duration = Duration::from_secs(8);
/// By how much a signature's timestamp may differ from what the wall clock shows.
const SLACK_S: u64 = 60;

/// A wall clock that can be set.
struct WallClock {
    folder: TempDir,
}

impl WallClock {
    fn new() -> Self {
        let clock = WallClock { folder: tempfile::tempdir().unwrap() };
        clock.set(0);
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    /// From now on it is off by so many seconds.
    fn set(&self, offset_s: i64) {
        // Moved into place: whoever reads it meanwhile reads the one or the other.
        let draft = self.folder.path().join("draft");
        fs::write(&draft, format!("{offset_s:+}\n")).unwrap();
        fs::rename(draft, self.file()).unwrap();
    }

    fn env(&self) -> Vec<(String, String)> {
        let named = |name: &str, path: PathBuf| (name.to_owned(), path.to_str().unwrap().to_owned());
        let on = ["FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"].map(|name| named(name, "1".into()));
        let files = [named("LD_PRELOAD", library()), named("FAKETIME_TIMESTAMP_FILE", self.file())];
        on.into_iter().chain(files).collect()
    }
}

/// Where Debian's package has put the library.
fn library() -> PathBuf {
    let of = |machine: fs::DirEntry| machine.path().join("faketime/libfaketimeMT.so.1");
    let found = fs::read_dir(Path::new("/usr/lib")).unwrap().map(|machine| of(machine.unwrap())).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("install libfaketime (Debian: apt-get install libfaketime), as ./test does"))
}

fn real_s() -> u64 {
    SystemClock.now().seconds()
}

fn id(arrival: &Arrival) -> String {
    arrival.header("webhook-id").to_owned()
}

/// Servers whose clock is set: one, and on PostgreSQL a second beside it, so that leases have somebody to be lost to.
struct Set {
    clock: WallClock,
    servers: Vec<Server>,
    receiver: Receiver,
    app: String,
}

impl Set {
    async fn start() -> Self {
        let (clock, receiver) = (WallClock::new(), Receiver::start().await);
        let mut servers = vec![Server::start_with(Options { args: Vec::new(), env: clock.env() }).await];
        if database::wanted() {
            servers.push(servers[0].beside().await);
        }
        let app = servers[0].api().post("/api/v1/app", r#"{"name": "clock"}"#).await.expect(201);
        Set { clock, servers, receiver, app: app["id"].as_str().unwrap().to_owned() }
    }

    async fn endpoint(&self, path: &str) {
        let body = json!({"url": self.receiver.url(path), "retryPolicy": [DELAY_S, DELAY_S, DELAY_S]}).to_string();
        self.servers[0].api().post(&format!("/api/v1/app/{}/endpoint", self.app), &body).await.expect(201);
    }

    async fn send(&self, api: &Api, number: usize) -> String {
        let body = json!({"eventType": "a.b", "payload": {"number": number}}).to_string();
        let sent = api.post(&format!("/api/v1/app/{}/msg", self.app), &body).await.expect(202);
        sent["id"].as_str().unwrap().to_owned()
    }

    /// Waits until what every server is sent goes to these endpoints.
    async fn known(&self, paths: &[&str]) -> HashSet<String> {
        let mut sent = HashSet::new();
        for server in &self.servers {
            let api = server.api();
            let known = eventually("the server knows the endpoints", || async {
                let sent = self.send(&api, 0).await;
                let path = format!("/api/v1/app/{}/msg/{sent}/endpoint", self.app);
                Some((sent, api.get(&path).await.expect(200)["data"].as_array().unwrap().len()))
            });
            let (id, count) = known.await;
            assert_eq!(count, paths.len(), "a message goes to all of them");
            sent.insert(id);
        }
        sent
    }

    fn came(&self, path: &str) -> BTreeMap<String, Vec<Arrival>> {
        let mut came = BTreeMap::<String, Vec<Arrival>>::new();
        self.receiver.at(path).into_iter().for_each(|arrival| came.entry(id(&arrival)).or_default().push(arrival));
        came
    }
}

/// Each once more for each failure, and that one after its delay by the real clock: also when the clock was set back meanwhile.
/// When it was set forward, what was planned is due at once.
fn judge_retries(came: &BTreeMap<String, Vec<Arrival>>, forward: &[Instant]) -> usize {
    let mut retries = 0;
    let soonest = Duration::from_secs(DELAY_S).mul_f64(1.0 - JITTER) - Duration::from_millis(20);
    for (id, arrivals) in came {
        for pair in arrivals.windows(2) {
            let (first, gap) = (pair[0].at, pair[1].at - pair[0].at);
            let jumped = forward.iter().any(|jump| *jump >= first && *jump <= pair[1].at);
            assert!(gap < PROMPT && (jumped || gap >= soonest), "{id} came again after {gap:?}");
            retries += 1;
        }
    }
    retries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_s_clock_that_is_set_loses_nothing_and_sends_nothing_twice() {
    let set = Set::start().await;
    set.endpoint("/good").await;
    set.endpoint("/flaps").await;
    let mut all = set.known(&["/good", "/flaps"]).await;
    set.receiver.wait("/flaps", all.len()).await;
    let mut by_server = vec![Vec::new(); set.servers.len()];
    let apis: Vec<Api> = set.servers.iter().map(Server::api).collect();
    let (mut failures, mut off, mut forward) = (0, 0, Vec::new());
    for jump in JUMPS_S {
        // Every other attempt fails, before the jump or after it, and is owed once more.
        let replies = (0..MESSAGES).map(|n| Reply::status(if n % 2 == 0 { 500 } else { 200 })).chain([Reply::status(200)]);
        set.receiver.script("/flaps", replies);
        failures += MESSAGES / 2;
        let begun = Instant::now();
        for number in 0..MESSAGES {
            if number == MESSAGES / 2 {
                if jump > off {
                    forward.push(Instant::now());
                }
                off = jump;
                set.clock.set(jump);
            }
            let server = number % apis.len();
            let id = set.send(&apis[server], number).await;
            all.insert(id.clone());
            by_server[server].push(id);
        }
        eventually("everything has arrived, also what had failed", || async {
            let (good, flaps) = (set.came("/good"), set.came("/flaps"));
            let tried: usize = flaps.values().map(Vec::len).sum();
            (good.len() == all.len() && flaps.len() == all.len() && tried >= all.len() + failures).then_some(())
        })
        .await;
        println!("clock off by {jump} s: {MESSAGES} messages and {} retries took {:?}", MESSAGES / 2, begun.elapsed());
        let last = set.receiver.at("/good").pop().unwrap();
        let (stamp, shown) = (last.header("webhook-timestamp").parse::<u64>().unwrap(), real_s().saturating_add_signed(jump));
        assert!(stamp.abs_diff(shown) < SLACK_S, "signed at {stamp} when the wall clock showed {shown}");
    }
    // Anything that were sent twice would have come by now: these go through the same lanes.
    let last = [set.send(&apis[0], MESSAGES).await];
    all.extend(last);
    eventually("the last one arrives", || async { (set.came("/flaps").len() == all.len()).then_some(()) }).await;
    let (good, flaps) = (set.came("/good"), set.came("/flaps"));
    assert!(good.keys().chain(flaps.keys()).all(|id| all.contains(id)), "nothing is invented");
    assert!(good.values().all(|arrivals| arrivals.len() == 1), "nothing is sent twice");
    assert_eq!(judge_retries(&flaps, &forward), failures, "each failure is followed by one more attempt");
    for ids in by_server {
        assert!(ids.is_sorted(), "identifiers go up, whatever the clock does");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_with_the_clock_set_back_what_is_new_goes_out_and_what_was_planned_waits_for_its_time() {
    let mut set = Set::start().await;
    set.endpoint("/x").await;
    set.clock.set(DAY_S);
    let known = set.known(&["/x"]).await;
    set.receiver.wait("/x", known.len()).await;
    set.receiver.script("/x", [Reply::status(500), Reply::status(200)]);
    let planned = set.send(&set.servers[0].api(), 1).await;
    let path = format!("/api/v1/app/{}/attempt/msg/{planned}", set.app);
    eventually("its failure is recorded", || async {
        let attempts = set.servers[0].api().get(&path).await.expect(200);
        (!attempts["data"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    set.servers.iter_mut().for_each(Server::kill);
    set.clock.set(0);
    for server in &mut set.servers {
        server.restart().await;
    }
    let fresh = set.send(&set.servers[0].api(), 2).await;
    eventually("what is new arrives", || async { set.came("/x").get(&fresh).map(|_| ()) }).await;
    // The retry is planned for a day from now by the clock that is right again. It is there, and says so.
    tokio::time::sleep(Duration::from_secs(3 * DELAY_S)).await;
    assert_eq!(set.came("/x")[&planned].len(), 1);
    let shown = set.servers[0].api().get(&format!("/api/v1/app/{}/msg/{planned}/endpoint", set.app)).await.expect(200);
    assert!(!shown["data"][0]["nextAttempt"].is_null(), "{shown}");
    set.clock.set(DAY_S);
    eventually("what was planned comes when its time has come", || async { (set.came("/x")[&planned].len() == 2).then_some(()) })
        .await;
}
