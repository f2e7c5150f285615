//! What people do in a schedule: they post messages, change endpoints, and ask for attempts again.

use super::{
    driver::{Acknowledged, Driver, ORG, START, app_id},
    plan::{PAYLOAD_KEY, Sending},
    referee::Referee,
};
use crate::{
    flow::{Cancel, Draft, Engine},
    model::{Address, AppId, Endpoint, EndpointId, MsgId, Record, Replay, ReplayState, ReplayTask, Selection, TaskId},
    store::{Change, Conflict, Requeue, StoreError},
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// After which a client that posts one message after the other waits no longer for an answer.
const HANGS_UP: Duration = Duration::from_secs(5);
/// Looks for an attempt beside which another one is to be made.
const LOOKS_BESIDE: usize = 100;
/// How often a message with an event id is posted.
const TRIES: usize = 8;
/// Before it is posted again.
const PAUSE: Duration = Duration::from_millis(700);
/// How long after a deletion what has flowed is deleted at the latest: upkeep's round, and for how long its order stays.
const CLEARED_IN: Duration = Duration::from_secs(30 + 60 + 10);
/// How long after its retention a message is deleted at the latest: upkeep's long round.
const PRUNED_IN: Duration = Duration::from_secs(600 + 30 + 10);

/// Posts a message, and notes when it was posted and when it was answered. One with an event id is posted again until somebody
/// says that it is there.
async fn post(
    engine: Arc<Engine>,
    app: AppId,
    draft: Draft,
    (referee, acknowledged): (Arc<Referee>, Arc<Mutex<Vec<Acknowledged>>>),
) {
    let number = draft.tags[0].parse().unwrap();
    referee.posts(number, draft.payload_expires_at);
    let tries = if draft.event_id.is_some() { TRIES } else { 1 };
    for _ in 0..tries {
        let Some(routes) = engine.routing.by_id(app) else { return };
        let msg = match (engine.accept(&routes, draft.clone(), None).await, &draft.event_id) {
            (Ok(message), _) => Some(message.id),
            (Err(StoreError::Conflict(Conflict::EventId)), Some(event_id)) => {
                referee.shared.count("messages posted again");
                let found = engine.store.message_by_event_id(app, event_id).await;
                found.ok().flatten().map(|message| message.id)
            }
            _ => None,
        };
        if let Some(msg) = msg {
            acknowledged.lock().push(Acknowledged { app, msg, at: engine.clock.now() });
            return referee.posted(msg);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Driver {
    pub(super) fn touch(&mut self, at: usize) -> (AppId, EndpointId) {
        let at = self.endpoints[at % self.endpoints.len()];
        self.touched.push(at.1);
        at
    }

    pub(super) fn send(&mut self, sending: Sending) {
        let engines: Vec<Arc<Engine>> = self.engines().map(|running| running.engine.clone()).collect();
        let deliver_at = (sending.later > 0).then(|| self.clock.now().plus(Duration::from_secs(sending.later)));
        let app = app_id(sending.app);
        let mut posts = Vec::new();
        for n in 0..sending.count {
            let key = (sending.keys > 0).then(|| format!("key {}", n % sending.keys));
            let payload = key.as_ref().map_or("{}".into(), |key| format!(r#"{{"n":{n},"{PAYLOAD_KEY}":"{key}"}}"#));
            let draft = Draft {
                event_type: "a.b".into(),
                payload: payload.into(),
                ordering_key: key,
                tags: vec![self.posted.to_string()],
                event_id: sending.again.then(|| format!("event {}", self.posted)),
                deliver_at,
                payload_expires_at: sending.kept_s.map(|kept| self.clock.now().plus(Duration::from_secs(kept))),
                ..Draft::default()
            };
            self.posted += 1;
            let engine = engines[usize::try_from(n).unwrap() % engines.len()].clone();
            posts.push(post(engine, app, draft, (self.referee.clone(), self.acknowledged.clone())));
        }
        if sending.in_turn {
            tokio::spawn(async move {
                for post in posts {
                    let _hung_up = tokio::time::timeout(HANGS_UP, post).await;
                }
            });
        } else {
            posts.into_iter().for_each(|post| drop(tokio::spawn(post)));
        }
    }

    pub(super) fn edit(&mut self, engine: &Arc<Engine>, at: usize, edit: impl FnOnce(&mut Endpoint) + Send + 'static) {
        let (app, id) = self.touch(at);
        let engine = engine.clone();
        tokio::spawn(async move {
            let found = engine.store.find(&Address::endpoint(app, id), engine.clock.now()).await;
            let Ok(Some((Record::Endpoint(mut endpoint), revision))) = found.map(|found| found.map(|f| (f.record, f.revision)))
            else {
                return;
            };
            edit(&mut endpoint);
            let _lost = engine.change(vec![Change::Replace(Record::Endpoint(endpoint), revision)]).await;
        });
    }

    pub(super) fn resend(&mut self, engine: &Arc<Engine>, at: usize) {
        let (app, endpoint) = self.touch(at);
        let sent: Vec<MsgId> = self.acknowledged.lock().iter().filter(|one| one.app == app).map(|one| one.msg).collect();
        if sent.is_empty() {
            return;
        }
        let (msg, engine) = (self.dice.one(&sent), engine.clone());
        if engine.routing.endpoint(endpoint).is_none() {
            return;
        }
        tokio::spawn(async move { engine.requeue(app, endpoint, Requeue::Once(msg)).await });
    }

    pub(super) fn delete_app(&mut self, engine: Arc<Engine>, app: usize) {
        if app == 0 && self.plan.has_operator {
            return;
        }
        let app = app_id(app);
        let own = self.endpoints.iter().filter(|(of, _)| *of == app).map(|(_, endpoint)| *endpoint);
        self.touched.extend(own);
        tokio::spawn(async move { engine.change(vec![Change::Delete(Address::application(ORG, app))]).await });
    }

    pub(super) fn cancel(&mut self, engine: Arc<Engine>, at: usize, of_many: bool) {
        let (app, endpoint) = self.touch(at);
        let sent: Vec<MsgId> = self.acknowledged.lock().iter().filter(|one| one.app == app).map(|one| one.msg).collect();
        if sent.is_empty() {
            return;
        }
        // Most often the last one: it may be pending still.
        let msg = if self.dice.permille(700) { sent[sent.len() - 1] } else { self.dice.one(&sent) };
        let (referee, shared) = (self.referee.clone(), self.shared.clone());
        let node = self.engines().next().map(|running| running.node.number());
        tokio::spawn(async move {
            let Ok(Some(message)) = engine.store.message(app, msg).await else { return };
            if engine.routing.endpoint(endpoint).is_none() {
                return;
            }
            let ordered = message.order(endpoint).is_some();
            if engine.cancel(Cancel { app, endpoint, msg, ordered, of_many }).await == Ok(true) {
                shared.count("deliveries cancelled");
                // What had begun in the lane may come to the receiver in the same moment.
                let begun = engine.in_flight(endpoint, msg);
                referee.is_cancelled(node.filter(|_| !begun), (endpoint, msg));
            }
        });
    }

    /// Something that waits in a lane's memory is to be cancelled, at a moment at which the store refuses that, or another verb.
    pub(super) fn cancel_in_vain(&mut self, engine: Arc<Engine>, at: usize) {
        let ((app, endpoint), shared, referee) = (self.touch(at), self.shared.clone(), self.referee.clone());
        let Some(node) = self.engines().next().map(|running| running.node.clone()) else { return };
        tokio::spawn(async move {
            for _ in 0..LOOKS_BESIDE {
                let waits = shared.state.lock().waits(endpoint, node.number());
                if let Some((msg, ordered)) = waits {
                    shared.count("deliveries cancelled in vain");
                    node.faults.lock().refuses_next = true;
                    if engine.cancel(Cancel { app, endpoint, msg, ordered, of_many: true }).await == Ok(true) {
                        let begun = engine.in_flight(endpoint, msg);
                        referee.is_cancelled(Some(node.number()).filter(|_| !begun), (endpoint, msg));
                    }
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }

    /// What was deleted, or is too old, is given the time to go; whether there was anything.
    pub(super) async fn clears_up(&mut self) -> bool {
        let (deleted, retained) = {
            let seen = self.referee.seen.lock();
            (
                !seen.deleted_apps.is_empty() || seen.facts.values().any(|facts| facts.deleted.is_some()),
                seen.kept.values().map(|kept| kept.now).max(),
            )
        };
        let now = self.clock.now();
        let payloads = self.shared.state.lock().last_payload().map(|end| end.since(now) + CLEARED_IN);
        if self.cleared || !(deleted || retained.is_some() || payloads.is_some()) {
            return false;
        }
        self.cleared = true;
        for running in self.engines() {
            let mut faults = running.node.faults.lock();
            (faults.refused, faults.unanswered, faults.dies_at) = (0, 0, None);
        }
        let retained = retained.map_or(CLEARED_IN, |kept| kept + PRUNED_IN);
        tokio::time::sleep(retained.max(payloads.unwrap_or_default())).await;
        true
    }

    pub(super) fn resend_beside(&mut self, engine: Arc<Engine>, at: usize) {
        let ((app, endpoint), shared) = (self.touch(at), self.shared.clone());
        tokio::spawn(async move {
            for _ in 0..LOOKS_BESIDE {
                let begun = shared.state.lock().begun(endpoint);
                if let Some(msg) = begun {
                    let _refused = engine.requeue(app, endpoint, Requeue::Once(msg)).await;
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }

    pub(super) fn replay(
        &mut self,
        engine: &Arc<Engine>,
        (app, endpoint): (usize, Option<usize>),
        (rate, anew, cancels): (u32, bool, bool),
    ) {
        let now = self.clock.now();
        let endpoint = endpoint.map(|at| self.touch(at));
        let app = endpoint.map_or(app_id(app), |(app, _)| app);
        let of_app: Vec<EndpointId> = self.endpoints.iter().filter(|(other, _)| *other == app).map(|(_, id)| *id).collect();
        self.touched.extend(of_app);
        let id = TaskId(self.replays.lock().len() as u128 + 1);
        let selection = Selection {
            since: START,
            until: now.plus(Duration::from_secs(1)),
            event_types: vec![],
            channel: None,
            tag: None,
            filter: None,
            statuses: vec![],
            code_class: None,
            newest_per: None,
            newest_per_key: false,
        };
        let replay = Replay {
            total: None,
            counted: false,
            id,
            org: ORG,
            app,
            endpoint: endpoint.map(|(_, endpoint)| endpoint),
            task: if cancels { ReplayTask::Cancel } else { ReplayTask::Replay },
            selection,
            anew,
            rate,
            state: ReplayState::Running,
            error: None,
            cursor: MsgId(0),
            scanned: 0,
            queued: 0,
            expunged: 0,
            created_at: now,
            updated_at: now,
            worker: 0,
            worker_until: now,
            expires_at: None,
        };
        let (engine, replays) = (engine.clone(), self.replays.clone());
        replays.lock().push(id);
        tokio::spawn(async move { engine.start_replay(replay, Vec::new()).await });
    }
}
