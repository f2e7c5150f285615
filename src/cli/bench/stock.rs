//! A store full of history: messages of several applications over two days with all that came of them, written straight into
//! the store while no server runs on it.

use super::{api::Admin, server::Recipe};
use crate::{
    api::user::begin,
    cli::folder::Folder,
    clock::{Clock, SystemClock},
    model::{
        AppId, Attempt, AttemptId, Cause, Delivery, DeliveryState, EndpointId, Headers, Message, MsgId, Opens, Outcome, Phases,
        Record, Role, Time, Trigger, User, UserId,
    },
    random::Random,
    store::{
        Change, FIRST_ORG,
        embedded::{EmbeddedOptions, EmbeddedStore},
        postgres::PostgresStore,
        transfer::{Bundle, Owed, Transfer},
    },
};
use anyhow::Context;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// Applications.
const APPS: usize = 20;
/// Endpoints of each.
const ENDPOINTS: usize = 5;
/// Endpoints of each message.
const FAN: usize = 2;
/// Which of an application's endpoints fails throughout, and which is disabled.
const FAILING: usize = 2;
const DISABLED: usize = 3;
/// How far back messages go.
const SPAN: Duration = Duration::from_secs(2 * 86_400);
/// Messages written at once.
const GROUP: u64 = 1_000;
/// How long the session is good.
const SESSION: Duration = Duration::from_secs(86_400);
/// When the next attempt of what is pending is due.
const LATER: Duration = Duration::from_secs(6 * 3600);
/// Replays that are listed.
const REPLAYS: usize = 60;
/// Where endpoints are: nothing is sent there while pages are measured.
const NOWHERE: &str = "http://127.0.0.1:9/hooks";
/// Event types, the last of them rare.
const TYPES: [&str; 5] = ["invoice.paid", "invoice.created", "customer.updated", "order.shipped", "contract.ended"];
/// Every so many messages one is of the rare type, with the rare tag.
const RARE: u64 = 50_000;

/// An application of the stock.
#[derive(Debug)]
pub(super) struct Stocked {
    /// Its id.
    pub(super) app: AppId,
    /// Its endpoints.
    pub(super) endpoints: Vec<EndpointId>,
}

/// What pages can be asked about.
#[derive(Debug)]
pub(super) struct Stock {
    /// Applications.
    pub(super) apps: Vec<Stocked>,
    /// A replay.
    pub(super) replay: String,
    /// A source.
    pub(super) source: String,
    /// A message of the first application from the middle of its history.
    pub(super) middle: MsgId,
    /// Its oldest message.
    pub(super) oldest: MsgId,
    /// The text of a signed-in user's session.
    pub(super) session: String,
}

impl Stock {
    /// Configures a server.
    pub(super) async fn configure(admin: &mut Admin) -> anyhow::Result<Self> {
        for name in TYPES {
            let body = json!({ "name": name, "description": "An event of the bench", "groupName": "bench" });
            admin.make("/api/v1/event-type", &body).await?;
        }
        let mut apps = Vec::new();
        for number in 0..APPS {
            let app = admin.app(&format!("Customer {number}")).await?;
            let mut endpoints = Vec::new();
            for place in 0..ENDPOINTS {
                let body = json!({ "url": format!("{NOWHERE}/{number}/{place}"), "disabled": place == DISABLED });
                endpoints.push(parse(&admin.make_with_id(&format!("/api/v1/app/{app}/endpoint"), &body).await?)?);
            }
            apps.push(Stocked { app: parse(&app)?, endpoints });
        }
        let first = apps.first().context("no application")?.app.to_string();
        admin.source(&first, "a secret of the bench").await?;
        let source = admin.first("/api/v1/source").await?;
        let mut replay = String::new();
        for _ in 0..REPLAYS {
            let body = json!({ "appId": first, "since": SystemClock.now().minus(SPAN).to_string() });
            replay = admin.make_with_id("/api/v1/replay", &body).await?;
        }
        Ok(Stock { apps, replay, source, middle: MsgId(0), oldest: MsgId(0), session: String::new() })
    }

    /// Writes so many messages into the store of a server that has ended, and signs a user in.
    pub(super) async fn fill(&mut self, recipe: &Recipe, random: &Random, count: u64) -> anyhow::Result<()> {
        let clock = Arc::new(SystemClock);
        let now = clock.now();
        let store: Arc<dyn Transfer> = match &recipe.database {
            Some(database) => PostgresStore::open_beside(&database.options(), clock).await?,
            None => EmbeddedStore::open(&EmbeddedOptions::at(Folder::at(&recipe.data).store()), clock)?,
        };
        let id = UserId(random.id(now));
        let name = "bench".to_owned();
        let user = User {
            id,
            org: FIRST_ORG,
            login: name.clone(),
            name,
            role: Role::Admin,
            password: None,
            created_at: now,
            updated_at: now,
        };
        let (session, text) = begin(random, (now, now.plus(SESSION)), &user, (Opens::Dashboard, String::new()));
        store.change(vec![Change::Insert(Record::User(user)), Change::Insert(Record::Session(session))], now).await?;
        text.as_str().clone_into(&mut self.session);
        let start = now.minus(SPAN);
        let step = |number: u64| start.plus(SPAN.mul_f64(number as f64 / count.max(1) as f64));
        let mut from = 0;
        while from < count {
            let until = count.min(from + GROUP);
            let bundles = (from..until).map(|number| self.bundle(number, random.id(step(number)), now)).collect::<Option<Vec<_>>>();
            let bundles = bundles.context("no applications")?;
            for bundle in bundles.iter().filter(|bundle| self.apps.first().is_some_and(|first| first.app == bundle.message.app)) {
                if self.oldest == MsgId(0) {
                    self.oldest = bundle.message.id;
                }
                if from <= count / 2 {
                    self.middle = bundle.message.id;
                }
            }
            store.take_in(bundles).await?;
            from = until;
        }
        Ok(store.close().await?)
    }

    /// The message of that number: every other one is of the first application.
    fn bundle(&self, number: u64, id: u128, now: Time) -> Option<Bundle> {
        let place = if number.is_multiple_of(2) { 0 } else { usize::try_from(number / 2).ok()? % APPS };
        let stocked = self.apps.get(place)?;
        let rare = number % RARE == RARE / 2;
        let kind = if rare { TYPES.len() - 1 } else { usize::try_from(number / 3).ok()? % (TYPES.len() - 1) };
        let first = usize::try_from(number / 7).ok()? % ENDPOINTS;
        let mut places: Vec<usize> = (0..FAN).map(|next| (first + next) % ENDPOINTS).collect();
        places.sort_unstable();
        let tag = if rare { "rare" } else { "plain" };
        let text =
            json!({ "id": number, "customer": { "name": "Ann", "level": number % 10 }, "text": "A line of an event. ".repeat(12) });
        let message = Message {
            id: MsgId(id),
            app: stocked.app,
            org: FIRST_ORG,
            event_type: (*TYPES.get(kind)?).to_owned(),
            event_id: Some(format!("event-{number}")),
            channels: Vec::new(),
            tags: vec![tag.to_owned()],
            deliver_at: None,
            payload_expires_at: None,
            endpoints: places.iter().filter_map(|place| stocked.endpoints.get(*place).copied()).collect(),
            payload: text.to_string().into(),
            expunged: false,
            origin: None,
            ordering_key: None,
            ordered: Vec::new(),
        };
        let mut bundle = Bundle { message, deliveries: Vec::new(), attempts: Vec::new(), owed: Vec::new() };
        for place in places {
            add_delivery(&mut bundle, (*stocked.endpoints.get(place)?, place), number, now);
        }
        Some(bundle)
    }
}

/// What came of a message at an endpoint: taken mostly; refused where it fails, and by a quarter tried again; held where it is
/// disabled.
fn add_delivery(bundle: &mut Bundle, (endpoint, place): (EndpointId, usize), number: u64, now: Time) {
    let msg = bundle.message.id;
    let app = bundle.message.app;
    let fails = place == FAILING || number.is_multiple_of(97);
    if place == DISABLED {
        bundle.owed.push(Owed { endpoint, trigger: Trigger::Scheduled, due: msg.time() });
        return;
    }
    let attempt = AttemptId((msg.0 + (1 << 81)) ^ place as u128);
    let due = now.plus(LATER);
    let (state, failed) = match (fails, number % 4) {
        (false, _) => (DeliveryState::Delivered, 0),
        (true, 0) => (DeliveryState::Pending(due), 1),
        (true, _) => (DeliveryState::Exhausted, 1),
    };
    if let DeliveryState::Pending(due) = state {
        bundle.owed.push(Owed { endpoint, trigger: Trigger::Scheduled, due });
    }
    let (cause, status) = match (fails, number % 5) {
        (false, _) => (Cause::Success, Some(200)),
        (true, 0) => (Cause::HeadersTimeout, None),
        (true, _) => (Cause::BadStatus, Some(503)),
    };
    let mut headers = Headers::with_capacity(64);
    headers.push("content-type", b"application/json");
    let outcome = Outcome {
        cause,
        detail: String::new(),
        status,
        headers: headers.clone(),
        body: "{\"ok\":true}".into(),
        body_cut: false,
        retry_after: None,
        phases: Phases { first_byte_us: 2_000, total_us: 2_100, ..Phases::default() },
    };
    let url = format!("{NOWHERE}/{place}");
    bundle.attempts.push(Attempt {
        id: attempt,
        msg,
        endpoint,
        app,
        trigger: Trigger::Scheduled,
        number: 1,
        url,
        request_headers: headers,
        outcome,
    });
    bundle.deliveries.push(Delivery { msg, endpoint, app, state, failed, attempts: vec![attempt] });
}

fn parse<T: std::str::FromStr>(id: &str) -> anyhow::Result<T> {
    id.parse().map_err(|_| anyhow::anyhow!("{id} is a strange id"))
}
