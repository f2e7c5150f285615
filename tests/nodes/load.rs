//! Clients that post to all nodes for as long as a test lasts, and what became of what they posted.

use crate::support::{Api, Receiver, Server};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};

/// Clients that post at the same time.
const CLIENTS: u64 = 6;
/// How long everything that was accepted may take to arrive in the end.
const ARRIVAL: Duration = Duration::from_secs(60);
/// How long a client waits for an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two messages of a client.
const PAUSE: Duration = Duration::from_millis(2);

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<u64>>,
}

struct Shared {
    nodes: Mutex<Vec<Api>>,
    accepted: Mutex<Vec<(u64, u64)>>,
    refused: AtomicUsize,
    /// Refusals that do not say when to come again.
    bare: AtomicUsize,
    stop: AtomicBool,
    app: String,
}

/// What became of a load.
pub struct Outcome {
    /// How many were accepted.
    pub accepted: usize,
    /// How many different ones arrived.
    pub arrived: usize,
    /// How many arrivals were repetitions.
    pub twice: u64,
    /// How many arrived that nobody posted.
    pub invented: usize,
    /// How many were refused with 503.
    pub refused: usize,
    /// The longest time in which nothing arrived.
    pub gap: Duration,
}

impl Load {
    /// Starts posting to an application.
    pub fn start(nodes: &[Server], app: String) -> Self {
        let shared = Arc::new(Shared {
            nodes: Mutex::new(nodes.iter().map(Server::api).collect()),
            accepted: Mutex::default(),
            refused: AtomicUsize::new(0),
            bare: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            app,
        });
        let clients = (0..CLIENTS).map(|client| tokio::spawn(post(shared.clone(), client))).collect();
        Load { shared, clients }
    }

    /// A node has another address.
    pub fn moved(&self, at: usize, node: &Server) {
        self.shared.nodes.lock().unwrap()[at] = node.api();
    }

    /// How many were accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.lock().unwrap().len()
    }

    /// How many were refused so far.
    pub fn refused(&self) -> usize {
        self.shared.refused.load(SeqCst)
    }

    /// Stops posting and waits until everything that was accepted has arrived.
    pub async fn end(self, receiver: &Receiver) -> Outcome {
        self.shared.stop.store(true, SeqCst);
        let mut sent = Vec::new();
        for client in self.clients {
            sent.push(client.await.unwrap());
        }
        assert_eq!(self.shared.bare.load(SeqCst), 0, "a 503 says when to come again");
        let accepted = self.shared.accepted.lock().unwrap().clone();
        let arrived = await_arrivals(receiver, &accepted).await;
        Outcome {
            accepted: accepted.len(),
            arrived: arrived.len(),
            twice: arrived.values().map(|count| count - 1).sum(),
            invented: arrived.keys().filter(|(client, number)| *number > sent[usize::try_from(*client).unwrap()]).count(),
            refused: self.shared.refused.load(SeqCst),
            gap: longest_gap(receiver),
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Outcome { accepted, arrived, twice, invented, refused, gap } = self;
        write!(
            f,
            "{accepted} accepted, {refused} refused, {arrived} arrived, {twice} duplicates, {invented} invented, longest gap {gap:?}"
        )
    }
}

async fn post(shared: Arc<Shared>, client: u64) -> u64 {
    let path = format!("/api/v1/app/{}/msg", shared.app);
    let mut number = 0;
    while !shared.stop.load(SeqCst) {
        number += 1;
        // Each client stays with its node, so that one that hangs stops no others.
        let api = {
            let nodes = shared.nodes.lock().unwrap();
            nodes[usize::try_from(client).unwrap() % nodes.len()].clone()
        };
        let body = format!(r#"{{"eventType": "chaos.test", "payload": {{"client": {client}, "number": {number}}}}}"#);
        match tokio::time::timeout(ANSWER, api.try_post(&path, &body)).await {
            Ok(Ok(answer)) if answer.status == 202 => shared.accepted.lock().unwrap().push((client, number)),
            Ok(Ok(answer)) if answer.status == 503 => {
                shared.refused.fetch_add(1, SeqCst);
                shared.bare.fetch_add(usize::from(answer.header("retry-after").is_empty()), SeqCst);
            }
            _ => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    number
}

async fn await_arrivals(receiver: &Receiver, accepted: &[(u64, u64)]) -> HashMap<(u64, u64), u64> {
    let deadline = Instant::now() + ARRIVAL;
    loop {
        let mut arrived = HashMap::new();
        for request in receiver.requests() {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            if body["number"] == 0 {
                continue;
            }
            *arrived.entry((body["client"].as_u64().unwrap(), body["number"].as_u64().unwrap())).or_default() += 1;
        }
        let missing: Vec<_> = accepted.iter().filter(|one| !arrived.contains_key(*one)).collect();
        if missing.is_empty() {
            return arrived;
        }
        assert!(Instant::now() < deadline, "{} accepted messages never arrived: {:?}", missing.len(), missing.first());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn longest_gap(receiver: &Receiver) -> Duration {
    let times: Vec<_> = receiver.requests().iter().map(|request| request.at).collect();
    times.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default()
}
