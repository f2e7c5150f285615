//! The two loads: a closed loop (the next request waits for the last answer) and an open loop (a fixed pace, whatever
//! the answers do).

use super::{
    board::{Board, MESSAGES_MAX, Stamp},
    client::{Connection, Route},
    letter::Letter,
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

/// Pause of a connection after an error, so that errors stay few.
const AFTER_ERROR: Duration = Duration::from_millis(20);

/// What to send, and over how many connections.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Where stamps come from.
    pub(super) board: Arc<Board>,
    /// Where to.
    pub(super) route: Route,
    /// Where else to: connections are dealt out among all.
    pub(super) others: Vec<Route>,
    /// What.
    pub(super) letter: Letter,
    /// Number of the first message.
    pub(super) from: u32,
    /// Connections, each with one request at a time.
    pub(super) connections: usize,
}

/// One message, as the client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// When it was to be sent; equal to `start` in a closed loop.
    pub(super) due: Stamp,
    /// When sending began; waiting for a free connection counts.
    pub(super) start: Stamp,
    /// When the 2xx had been read; zero: there was none.
    pub(super) accepted: Stamp,
}

/// All messages of a load, by number, and what went wrong.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The messages.
    pub(super) sent: Vec<Sent>,
    /// Requests without a 2xx.
    pub(super) errors: u64,
    /// The first of these in words.
    pub(super) first_error: Option<String>,
}

impl Log {
    /// How many were accepted.
    pub(super) fn accepted(&self) -> u64 {
        self.sent.iter().filter(|sent| sent.accepted > 0).count() as u64
    }

    fn begin(&mut self, due: Stamp, start: Stamp) -> Option<u32> {
        let number = u32::try_from(self.sent.len()).ok().filter(|number| *number < MESSAGES_MAX)?;
        self.sent.push(Sent { due, start, accepted: 0 });
        Some(number)
    }

    fn end(&mut self, number: u32, result: Result<Stamp, String>) {
        match result {
            Ok(stamp) => {
                if let Some(sent) = usize::try_from(number).ok().and_then(|at| self.sent.get_mut(at)) {
                    sent.accepted = stamp;
                }
            }
            Err(error) => {
                self.errors += 1;
                self.first_error.get_or_insert(error);
            }
        }
    }
}

impl Load {
    /// Sends for as long as `window` or until `count` messages, whichever is first.
    pub(super) async fn closed(&self, window: Duration, count: usize) -> Log {
        let until = Instant::now() + window;
        let log = Arc::new(Mutex::new(Log::default()));
        let mut workers = JoinSet::new();
        for number in 0..self.connections {
            let (load, log) = (self.dealt(number), Arc::clone(&log));
            workers.spawn(async move {
                let mut connection = Connection::default();
                while Instant::now() < until {
                    let now = load.board.now();
                    let begun = { Some(log.lock()).filter(|log| log.sent.len() < count).and_then(|mut log| log.begin(now, now)) };
                    let Some(number) = begun else { break };
                    load.exchange(&mut connection, &log, number).await;
                }
            });
        }
        workers.join_all().await;
        finish(&log)
    }

    /// Sends `rate` messages a second, spaced evenly, for as long as `window`.
    ///
    /// # Errors
    /// No thread can be started for the pace.
    pub(super) async fn open(&self, rate: u64, window: Duration) -> std::io::Result<Log> {
        let log = Arc::new(Mutex::new(Log::default()));
        let (release, released) = mpsc::unbounded_channel();
        let released = Arc::new(tokio::sync::Mutex::new(released));
        let pacer = std::thread::Builder::new().name("bench-pacer".into()).spawn(move || pace(rate, window, &release))?;
        let mut workers = JoinSet::new();
        for number in 0..self.connections {
            let (load, log, released) = (self.dealt(number), Arc::clone(&log), Arc::clone(&released));
            workers.spawn(async move {
                let mut connection = Connection::default();
                loop {
                    let Some((due, start)) = released.lock().await.recv().await else { break };
                    let begun = { log.lock().begin(load.board.stamp(due), load.board.stamp(start)) };
                    let Some(number) = begun else { break };
                    load.exchange(&mut connection, &log, number).await;
                }
            });
        }
        workers.join_all().await;
        let _ = pacer.join();
        Ok(finish(&log))
    }

    /// The load of one connection.
    fn dealt(&self, number: usize) -> Self {
        let turn = number % (self.others.len() + 1);
        let route = turn.checked_sub(1).and_then(|at| self.others.get(at)).unwrap_or(&self.route).clone();
        Load { route, ..self.clone() }
    }

    async fn exchange(&self, connection: &mut Connection, log: &Mutex<Log>, number: u32) {
        let result = match connection.send(&self.route, self.letter.body(self.from.saturating_add(number))).await {
            Ok((status, _)) if status.is_success() => Ok(self.board.now()),
            Ok((status, body)) => Err(format!("{status}: {}", String::from_utf8_lossy(&body))),
            Err(error) => Err(format!("{error:#}")),
        };
        let failed = result.is_err();
        log.lock().end(number, result);
        if failed {
            tokio::time::sleep(AFTER_ERROR).await;
        }
    }
}

fn finish(log: &Mutex<Log>) -> Log {
    std::mem::take(&mut *log.lock())
}

/// Releases messages at their times. A thread of its own, because the runtime's timers are no finer than a millisecond.
fn pace(rate: u64, window: Duration, release: &mpsc::UnboundedSender<(Instant, Instant)>) {
    let begin = Instant::now();
    let count = window.as_secs().saturating_mul(rate);
    for number in 0..count {
        let due = begin + Duration::from_nanos(number.saturating_mul(1_000_000_000) / rate.max(1));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if release.send((due, Instant::now())).is_err() {
            break;
        }
    }
}
