//! No descriptors left: who is there is served, the log says so once, nothing spins, and everything goes on afterwards.

use crate::{
    idle_share,
    support::{Api, DESCRIPTORS, Options, Receiver, Server, database, eventually},
};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use std::{collections::HashSet, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// What the server may have.
const FEW: u64 = 400;
/// Connections that would take more than that.
const CROWD: usize = 600;
/// Messages that are sent meanwhile.
const MESSAGES: u64 = 60;
/// The most of a processor that waiting for a descriptor costs.
const IDLE: f64 = 0.3;

struct Poor {
    server: Server,
    receiver: Receiver,
    api: Api,
    app: String,
}

impl Poor {
    async fn start() -> Self {
        let env = vec![(DESCRIPTORS.to_owned(), FEW.to_string())];
        let (server, receiver) = (Server::start_with(Options { args: Vec::new(), env }).await, Receiver::start().await);
        let api = server.api();
        let app = api.post("/api/v1/app", r#"{"name": "poor"}"#).await.expect(201)["id"].as_str().unwrap().to_owned();
        let body = json!({"url": receiver.url("/a"), "retryPolicy": [1, 1, 1]}).to_string();
        api.post(&format!("/api/v1/app/{app}/endpoint"), &body).await.expect(201);
        Poor { server, receiver, api, app }
    }

    /// Sends a message, again while the database cannot be reached.
    async fn send(&self, number: u64) {
        eventually("it is accepted", || async { self.try_send(number).await.then_some(()) }).await;
    }

    /// Whether a message is accepted. Without a descriptor a connection to the database may be missing, and that is said.
    async fn try_send(&self, number: u64) -> bool {
        let body = json!({"eventType": "a.b", "payload": {"number": number}}).to_string();
        let answer = self.api.post(&format!("/api/v1/app/{}/msg", self.app), &body).await;
        if database::wanted() && answer.status == 503 {
            return false;
        }
        answer.expect(202);
        true
    }

    async fn all_arrive(&self, numbers: std::ops::Range<u64>) {
        let wanted: HashSet<u64> = numbers.collect();
        eventually("everything accepted has arrived", || async {
            let bodies = self.receiver.at("/a").into_iter().map(|arrival| serde_json::from_slice::<Value>(&arrival.body).unwrap());
            let came: HashSet<u64> = bodies.filter_map(|body| body["number"].as_u64()).collect();
            wanted.is_subset(&came).then_some(())
        })
        .await;
    }

    fn said(&self, words: &str) -> usize {
        self.server.log().iter().filter(|line| line.contains(words)).count()
    }

    /// A new connection is answered.
    async fn lets_in(&self) -> bool {
        let asked = Api::new(self.server.address(), None);
        let answer = timeout(Duration::from_secs(1), asked.try_send("GET", "/api/v1/health", &[], "".into())).await;
        matches!(answer, Ok(Ok(answer)) if answer.status == 204)
    }
}

/// Connects until the server takes no more, and its backlog neither.
async fn crowd(server: &Server) -> Vec<TcpStream> {
    let mut held = Vec::new();
    while held.len() < CROWD
        && let Ok(Ok(stream)) = timeout(Duration::from_secs(1), TcpStream::connect(server.address())).await
    {
        held.push(stream);
    }
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_cannot_take_the_descriptors_that_deliveries_need() {
    const SAID: &str = "all connections are taken";
    let p = Poor::start().await;
    let held = crowd(&p.server).await;
    eventually("it says so", || async { (p.said(SAID) > 0).then_some(()) }).await;
    assert!(!p.lets_in().await, "others wait");
    // Who has a connection is served, and what is sent goes out.
    for number in 0..MESSAGES {
        p.send(number).await;
    }
    p.all_arrive(0..MESSAGES).await;
    let share = idle_share(p.server.pid()).await;
    assert!(share < IDLE, "{share}");
    drop(held);
    eventually("others are let in again", || async { p.lets_in().await.then_some(()) }).await;
    assert_eq!(p.said(SAID), 1, "{:?}", p.server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_descriptor_nothing_spins_and_nothing_is_lost() {
    const SAID: &str = "connections cannot be accepted";
    let p = Poor::start().await;
    p.send(0).await;
    p.all_arrive(0..1).await;
    // Taken away while it runs: so few that what is open already is too much.
    let pid = Pid::from_raw(i32::try_from(p.server.pid()).unwrap());
    let limit = |current| {
        prlimit(pid, Resource::Nofile, Rlimit { current: Some(current), maximum: Some(FEW) }).unwrap();
    };
    limit(8);
    let held = crowd(&p.server).await;
    eventually("it says so", || async { (p.said(SAID) > 0).then_some(()) }).await;
    // The connection that is there is served; to send, a new one is needed mostly.
    let mut refused = Vec::new();
    for number in 1..MESSAGES {
        if !p.try_send(number).await {
            refused.push(number);
        }
    }
    let share = idle_share(p.server.pid()).await;
    assert!(share < IDLE, "{share}");
    limit(FEW);
    for number in refused {
        p.send(number).await;
    }
    p.all_arrive(0..MESSAGES).await;
    drop(held);
    eventually("others are let in again", || async { p.lets_in().await.then_some(()) }).await;
    assert_eq!(p.said(SAID), 1, "{:?}", p.server.log());
    let attempts = p.api.get(&format!("/api/v1/app/{}/msg?limit=250", p.app)).await.expect(200);
    assert_eq!(attempts["data"].as_array().unwrap().len() as u64, MESSAGES);
}
