//! What people do in a schedule: they post messages, change endpoints, and ask for attempts again.

use super::{
    driver::{Acknowledged, Driver, ORG, START, app_id},
    plan::{PAYLOAD_KEY, Sending},
    referee::Referee,
};
use crate::{
    flow::{Draft, Engine},
    model::{Address, AppId, Endpoint, EndpointId, MsgId, Record, Replay, ReplayState, ReplayTask, Selection, TaskId},
    store::{Change, Requeue},
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// After which a client that posts one message after the other waits no longer for an answer.
const HANGS_UP: Duration = Duration::from_secs(5);
/// Looks for an attempt beside which another one is to be made.
const LOOKS_BESIDE: usize = 100;

/// Posts a message, and notes when it was posted and when it was answered.
async fn post(
    engine: Arc<Engine>,
    app: AppId,
    draft: Draft,
    (referee, acknowledged): (Arc<Referee>, Arc<Mutex<Vec<Acknowledged>>>),
) {
    let Some(routes) = engine.routing.by_id(app) else { return };
    let number = draft.tags[0].parse().unwrap();
    referee.posts(number);
    if let Ok(message) = engine.accept(&routes, draft, None).await {
        acknowledged.lock().push(Acknowledged { app, msg: message.id, at: engine.clock.now() });
        referee.posted(message.id);
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
                deliver_at,
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
        tokio::spawn(async move { engine.requeue(app, endpoint, Requeue::Once(msg)).await });
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

    pub(super) fn replay(&mut self, engine: &Arc<Engine>, (app, endpoint): (usize, Option<usize>), (rate, anew): (u32, bool)) {
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
            task: ReplayTask::Replay,
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
