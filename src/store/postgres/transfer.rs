//! Carrying a database elsewhere, or making it of another store: see [`crate::store::transfer`].

use super::{
    PostgresStore,
    accept::array_text,
    read::MESSAGE,
    settle::trigger_number,
    wire::{self, Id, int, natural},
};
use crate::{
    model::{AppId, Delivery, DeliveryState, EndpointId, Message, MsgId, OrderKey, Time, Trigger},
    store::{
        PARKED, StoreError,
        transfer::{Bundle, MessagePlace, Owed, Transfer},
    },
};
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::types::{ToSql, Type};

/// Under which name the note is kept.
const NOTE: &str = "transfer";
/// Queue entries read at once.
const OWED_AT_ONCE: i64 = 10_000;
/// Days back for which partitions are made; what is older goes to the default ones, for which none will be made.
const PARTITIONED_DAYS: u64 = 100;
const DAY_MS: u64 = 86_400_000;

const OWED: &str = "\
    SELECT app, msg, endpoint, trigger, due FROM postrider.queue \
    WHERE NOT moot AND (app, msg, endpoint, trigger) > ($1, $2, $3, $4) ORDER BY app, msg, endpoint, trigger LIMIT $5";
const PLACES: &str = "SELECT app, id FROM postrider.messages WHERE (app, id) > ($1, $2) ORDER BY app, id LIMIT $3";
const DELIVERIES: &str = "\
    SELECT d.app, d.endpoint, d.msg, d.state, d.due, d.failed, d.attempts FROM unnest($1, $2, $3) AS k (app, endpoint, msg) \
    JOIN postrider.deliveries d ON d.app = k.app AND d.endpoint = k.endpoint AND d.msg = k.msg";
const ATTEMPTS: &str = "\
    SELECT a.body FROM unnest($1, $2, $3) WITH ORDINALITY AS k (app, endpoint, id, n) \
    JOIN postrider.attempts a ON a.app = k.app AND a.endpoint = k.endpoint AND a.id = k.id ORDER BY k.n";
const PARTITIONS: &str = "SELECT postrider.make_partitions_1(d, 1) FROM unnest($1) AS d";
/// Of messages that are there already nothing is inserted. Of several entries of a key that are due the newest is its head: the
/// others were brought back, and stand outside of the order.
const TAKE_IN: &str = "\
    WITH fresh AS ( \
        INSERT INTO postrider.messages (app, id, endpoints, expires_at, expunged, head, payload) \
        SELECT app, id, endpoints::uuid[], expires, expunged, head, payload \
        FROM unnest($1, $2, $3, $4, $5, $6, $7) AS m (app, id, endpoints, expires, expunged, head, payload) \
        ON CONFLICT DO NOTHING RETURNING id \
    ), events AS ( \
        INSERT INTO postrider.event_ids (app, event_id, msg) \
        SELECT e.* FROM unnest($8, $9, $10) AS e (app, event_id, msg) JOIN fresh f ON f.id = e.msg ON CONFLICT DO NOTHING \
    ), lanes AS ( \
        INSERT INTO postrider.lanes (app, endpoint) \
        SELECT DISTINCT m.app, e FROM unnest($1, $3) AS m (app, endpoints), unnest(m.endpoints::uuid[]) AS e ON CONFLICT DO NOTHING \
    ), deliveries AS ( \
        INSERT INTO postrider.deliveries (app, endpoint, msg, state, due, failed, attempts) \
        SELECT d.app, d.endpoint, d.msg, d.state, d.due, d.failed, d.attempts::uuid[] \
        FROM unnest($11, $12, $13, $14, $15, $16, $17) AS d (app, endpoint, msg, state, due, failed, attempts) \
        JOIN fresh f ON f.id = d.msg \
    ), attempts AS ( \
        INSERT INTO postrider.attempts (app, endpoint, id, body) \
        SELECT a.app, a.endpoint, a.id, a.body FROM unnest($18, $19, $20, $21, $22) AS a (app, endpoint, id, msg, body) \
        JOIN fresh f ON f.id = a.msg \
    ), heads AS ( \
        INSERT INTO postrider.heads AS old (app, endpoint, key, msg) \
        SELECT DISTINCT ON (h.app, h.endpoint, h.key) h.* FROM unnest($28, $29, $30, $31) AS h (app, endpoint, key, msg) \
        JOIN fresh f ON f.id = h.msg ORDER BY h.app, h.endpoint, h.key, h.msg DESC \
        ON CONFLICT (app, endpoint, key) DO UPDATE SET msg = excluded.msg WHERE excluded.msg > old.msg \
    ), waiting AS ( \
        INSERT INTO postrider.waiting (app, endpoint, key, msg, due) \
        SELECT w.app, w.endpoint, w.key, w.msg, w.due \
        FROM unnest($32, $33, $34, $35, $36) WITH ORDINALITY AS w (app, endpoint, key, msg, due, n) \
        JOIN fresh f ON f.id = w.msg ORDER BY w.n \
    ) \
    INSERT INTO postrider.queue (app, msg, endpoint, trigger, due) \
    SELECT q.app, q.msg, q.endpoint, q.trigger, q.due FROM unnest($23, $24, $25, $26, $27) AS q (app, msg, endpoint, trigger, due) \
    JOIN fresh f ON f.id = q.msg";

#[async_trait::async_trait]
impl Transfer for PostgresStore {
    async fn note(&self) -> Result<Option<String>, StoreError> {
        self.setting(NOTE).await
    }

    async fn set_note(&self, note: Option<&str>) -> Result<(), StoreError> {
        let statement = match note {
            Some(_) => {
                "INSERT INTO postrider.settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            }
            None => "DELETE FROM postrider.settings WHERE name = $1 AND $2::text IS NULL",
        };
        self.open_still()?.records.run(statement, &[(&NOTE, Type::TEXT), (&note, Type::TEXT)]).await.map(drop)
    }

    async fn servers(&self) -> Result<u64, StoreError> {
        let rows = self.open_still()?.reads.read("SELECT count(*) AS n FROM postrider.nodes WHERE expires_at > now()", &[]).await?;
        wire::get(rows.first().ok_or_else(|| wire::damaged("a count"))?, "n").map(natural)
    }

    async fn owed(&self) -> Result<Vec<(MessagePlace, Owed)>, StoreError> {
        let mut all: Vec<(MessagePlace, Owed)> = Vec::new();
        loop {
            let (place, owed) = match all.last() {
                Some((place, owed)) => (*place, *owed),
                None => (
                    MessagePlace { app: AppId(0), msg: MsgId(0) },
                    Owed { endpoint: EndpointId(0), trigger: Trigger::Manual, due: Time(0) },
                ),
            };
            let params: [(&(dyn ToSql + Sync), Type); 5] = [
                (&Id(place.app.0), Type::UUID),
                (&Id(place.msg.0), Type::UUID),
                (&Id(owed.endpoint.0), Type::UUID),
                (&trigger_number(owed.trigger), Type::INT2),
                (&OWED_AT_ONCE, Type::INT8),
            ];
            let rows = self.open_still()?.reads.read(OWED, &params).await?;
            for row in &rows {
                let id = |column| wire::get::<Id>(row, column).map(|id| id.0);
                let manual = wire::get::<i16>(row, "trigger")? == trigger_number(Trigger::Manual);
                let trigger = if manual { Trigger::Manual } else { Trigger::Scheduled };
                let due = wire::time(row, "due")?.unwrap_or_default();
                let place = MessagePlace { app: AppId(id("app")?), msg: MsgId(id("msg")?) };
                all.push((place, Owed { endpoint: EndpointId(id("endpoint")?), trigger, due }));
            }
            if i64::try_from(rows.len()).unwrap_or(0) < OWED_AT_ONCE {
                all.sort_unstable();
                return Ok(all);
            }
        }
    }

    async fn places(&self, after: Option<MessagePlace>, limit: usize) -> Result<Vec<MessagePlace>, StoreError> {
        let after = after.unwrap_or(MessagePlace { app: AppId(0), msg: MsgId(0) });
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let params: [(&(dyn ToSql + Sync), Type); 3] =
            [(&Id(after.app.0), Type::UUID), (&Id(after.msg.0), Type::UUID), (&limit, Type::INT8)];
        let rows = self.open_still()?.reads.read(PLACES, &params).await?;
        let id = |row, column| wire::get::<Id>(row, column).map(|id| id.0);
        rows.iter().map(|row| Ok(MessagePlace { app: AppId(id(row, "app")?), msg: MsgId(id(row, "id")?) })).collect()
    }

    async fn bundles(&self, places: &[MessagePlace]) -> Result<Vec<Bundle>, StoreError> {
        let messages = self.messages_at(places).await?;
        let mut deliveries = self.deliveries_of(&messages).await?;
        let mut bundles = Vec::with_capacity(messages.len());
        for message in messages {
            let mut deliveries = deliveries.remove(&message.id).unwrap_or_default();
            deliveries.sort_unstable_by_key(|delivery| delivery.endpoint);
            bundles.push(Bundle { message, deliveries, attempts: Vec::new(), owed: Vec::new() });
        }
        self.add_attempts(&mut bundles).await?;
        Ok(bundles)
    }

    async fn take_in(&self, bundles: Vec<Bundle>) -> Result<(), StoreError> {
        let links = &self.open_still()?.upkeep;
        let today = self.shared.clock.now().0 / DAY_MS;
        let days = days(&bundles, today.saturating_sub(PARTITIONED_DAYS)..=today);
        if !days.is_empty() {
            links.run(PARTITIONS, &[(&days, Type::INT8_ARRAY)]).await?;
        }
        let mut columns = Columns::default();
        bundles.iter().try_for_each(|bundle| columns.add(bundle))?;
        links.run(TAKE_IN, &columns.params()).await.map(drop)
    }
}

impl PostgresStore {
    async fn messages_at(&self, places: &[MessagePlace]) -> Result<Vec<Message>, StoreError> {
        let statement = format!(
            "SELECT m.app, m.id, {MESSAGE} FROM unnest($1, $2) AS k (app, id) \
             JOIN postrider.messages m ON m.app = k.app AND m.id = k.id ORDER BY m.app, m.id"
        );
        let apps: Vec<Id> = places.iter().map(|place| Id(place.app.0)).collect();
        let msgs: Vec<Id> = places.iter().map(|place| Id(place.msg.0)).collect();
        let rows = self.open_still()?.reads.read(&statement, &[(&apps, Type::UUID_ARRAY), (&msgs, Type::UUID_ARRAY)]).await?;
        let id = |row, column| wire::get::<Id>(row, column).map(|id| id.0);
        rows.iter().map(|row| wire::message(row, AppId(id(row, "app")?), MsgId(id(row, "id")?))).collect()
    }

    async fn deliveries_of(&self, messages: &[Message]) -> Result<HashMap<MsgId, Vec<Delivery>>, StoreError> {
        let (mut apps, mut endpoints, mut msgs) = (Vec::new(), Vec::new(), Vec::new());
        for (message, endpoint) in messages.iter().flat_map(|message| message.endpoints.iter().map(move |e| (message, e))) {
            apps.push(Id(message.app.0));
            endpoints.push(Id(endpoint.0));
            msgs.push(Id(message.id.0));
        }
        let params: [(&(dyn ToSql + Sync), Type); 3] =
            [(&apps, Type::UUID_ARRAY), (&endpoints, Type::UUID_ARRAY), (&msgs, Type::UUID_ARRAY)];
        let mut found = HashMap::<MsgId, Vec<Delivery>>::new();
        for row in &self.open_still()?.reads.read(DELIVERIES, &params).await? {
            let id = |column| wire::get::<Id>(row, column).map(|id| id.0);
            let msg = MsgId(id("msg")?);
            let delivery = wire::delivery(row, (AppId(id("app")?), EndpointId(id("endpoint")?), msg))?;
            found.entry(msg).or_default().push(delivery);
        }
        Ok(found)
    }

    async fn add_attempts(&self, bundles: &mut [Bundle]) -> Result<(), StoreError> {
        let (mut apps, mut endpoints, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for delivery in bundles.iter().flat_map(|bundle| &bundle.deliveries) {
            for attempt in &delivery.attempts {
                apps.push(Id(delivery.app.0));
                endpoints.push(Id(delivery.endpoint.0));
                ids.push(Id(attempt.0));
            }
        }
        let params: [(&(dyn ToSql + Sync), Type); 3] =
            [(&apps, Type::UUID_ARRAY), (&endpoints, Type::UUID_ARRAY), (&ids, Type::UUID_ARRAY)];
        let rows = self.open_still()?.reads.read(ATTEMPTS, &params).await?;
        let mut bundles: HashMap<MsgId, &mut Bundle> = bundles.iter_mut().map(|bundle| (bundle.message.id, bundle)).collect();
        for row in &rows {
            let attempt = wire::read_attempt(wire::get(row, "body")?)?;
            if let Some(bundle) = bundles.get_mut(&attempt.msg) {
                bundle.attempts.push(attempt);
            }
        }
        Ok(())
    }
}

/// The days, of those, of which something is.
fn days(bundles: &[Bundle], of: std::ops::RangeInclusive<u64>) -> Vec<i64> {
    let times = bundles.iter().flat_map(|bundle| {
        let attempts = bundle.attempts.iter().map(|attempt| attempt.id.time());
        attempts.chain([bundle.message.id.time()])
    });
    let days: BTreeSet<u64> = times.map(|time| time.0 / DAY_MS).filter(|day| of.contains(day)).collect();
    days.into_iter().map(int).collect()
}

/// Columns of the call.
#[derive(Default)]
struct Columns {
    m_app: Vec<Id>,
    m_id: Vec<Id>,
    m_endpoints: Vec<String>,
    m_expires: Vec<Option<i64>>,
    m_expunged: Vec<bool>,
    m_head: Vec<Vec<u8>>,
    m_payload: Vec<Vec<u8>>,
    e_app: Vec<Id>,
    e_id: Vec<Vec<u8>>,
    e_msg: Vec<Id>,
    d_app: Vec<Id>,
    d_endpoint: Vec<Id>,
    d_msg: Vec<Id>,
    d_state: Vec<i16>,
    d_due: Vec<Option<i64>>,
    d_failed: Vec<i32>,
    d_attempts: Vec<String>,
    a_app: Vec<Id>,
    a_endpoint: Vec<Id>,
    a_id: Vec<Id>,
    a_msg: Vec<Id>,
    a_body: Vec<Vec<u8>>,
    q_app: Vec<Id>,
    q_msg: Vec<Id>,
    q_endpoint: Vec<Id>,
    q_trigger: Vec<i16>,
    q_due: Vec<i64>,
    h_app: Vec<Id>,
    h_endpoint: Vec<Id>,
    h_key: Vec<Id>,
    h_msg: Vec<Id>,
    w_app: Vec<Id>,
    w_endpoint: Vec<Id>,
    w_key: Vec<Id>,
    w_msg: Vec<Id>,
    w_due: Vec<i64>,
}

impl Columns {
    fn add(&mut self, bundle: &Bundle) -> Result<(), StoreError> {
        let message = &bundle.message;
        let (app, msg) = (Id(message.app.0), Id(message.id.0));
        self.m_app.push(app);
        self.m_id.push(msg);
        self.m_endpoints.push(array_text(message.endpoints.iter().map(|endpoint| endpoint.0)));
        self.m_expires.push(message.payload_expires_at.filter(|_| !message.expunged).map(|at| int(at.0)));
        self.m_expunged.push(message.expunged);
        self.m_head.push(wire::head(message)?);
        self.m_payload.push(message.payload.to_vec());
        if let Some(event_id) = &message.event_id {
            self.e_app.push(app);
            self.e_id.push(event_id.as_bytes().to_vec());
            self.e_msg.push(msg);
        }
        bundle.deliveries.iter().for_each(|delivery| self.add_delivery(delivery));
        for attempt in &bundle.attempts {
            self.a_app.push(app);
            self.a_endpoint.push(Id(attempt.endpoint.0));
            self.a_id.push(Id(attempt.id.0));
            self.a_msg.push(msg);
            self.a_body.push(wire::write_attempt(attempt)?);
        }
        for owed in &bundle.owed {
            self.q_app.push(app);
            self.q_msg.push(msg);
            self.q_endpoint.push(Id(owed.endpoint.0));
            self.q_trigger.push(trigger_number(owed.trigger));
            self.q_due.push(int(owed.due.0));
            if let Some(key) = message.order(owed.endpoint).filter(|_| owed.trigger == Trigger::Scheduled) {
                self.add_order(message, owed, key);
            }
        }
        Ok(())
    }

    fn add_order(&mut self, message: &Message, owed: &Owed, key: OrderKey) {
        let place = (Id(message.app.0), Id(owed.endpoint.0), Id(key.0), Id(message.id.0));
        if owed.due == PARKED {
            self.w_app.push(place.0);
            self.w_endpoint.push(place.1);
            self.w_key.push(place.2);
            self.w_msg.push(place.3);
            self.w_due.push(int(message.first_due().0));
        } else {
            self.h_app.push(place.0);
            self.h_endpoint.push(place.1);
            self.h_key.push(place.2);
            self.h_msg.push(place.3);
        }
    }

    fn add_delivery(&mut self, delivery: &Delivery) {
        let (state, due) = match delivery.state {
            DeliveryState::Pending(due) => (0, Some(int(due.0))),
            DeliveryState::Delivered => (1, None),
            DeliveryState::Exhausted => (2, None),
            DeliveryState::Cancelled => (3, None),
        };
        self.d_app.push(Id(delivery.app.0));
        self.d_endpoint.push(Id(delivery.endpoint.0));
        self.d_msg.push(Id(delivery.msg.0));
        self.d_state.push(state);
        self.d_due.push(due);
        self.d_failed.push(i32::try_from(delivery.failed).unwrap_or(i32::MAX));
        self.d_attempts.push(array_text(delivery.attempts.iter().map(|attempt| attempt.0)));
    }

    fn params(&self) -> [(&(dyn ToSql + Sync), Type); 36] {
        [
            (&self.m_app, Type::UUID_ARRAY),
            (&self.m_id, Type::UUID_ARRAY),
            (&self.m_endpoints, Type::TEXT_ARRAY),
            (&self.m_expires, Type::INT8_ARRAY),
            (&self.m_expunged, Type::BOOL_ARRAY),
            (&self.m_head, Type::BYTEA_ARRAY),
            (&self.m_payload, Type::BYTEA_ARRAY),
            (&self.e_app, Type::UUID_ARRAY),
            (&self.e_id, Type::BYTEA_ARRAY),
            (&self.e_msg, Type::UUID_ARRAY),
            (&self.d_app, Type::UUID_ARRAY),
            (&self.d_endpoint, Type::UUID_ARRAY),
            (&self.d_msg, Type::UUID_ARRAY),
            (&self.d_state, Type::INT2_ARRAY),
            (&self.d_due, Type::INT8_ARRAY),
            (&self.d_failed, Type::INT4_ARRAY),
            (&self.d_attempts, Type::TEXT_ARRAY),
            (&self.a_app, Type::UUID_ARRAY),
            (&self.a_endpoint, Type::UUID_ARRAY),
            (&self.a_id, Type::UUID_ARRAY),
            (&self.a_msg, Type::UUID_ARRAY),
            (&self.a_body, Type::BYTEA_ARRAY),
            (&self.q_app, Type::UUID_ARRAY),
            (&self.q_msg, Type::UUID_ARRAY),
            (&self.q_endpoint, Type::UUID_ARRAY),
            (&self.q_trigger, Type::INT2_ARRAY),
            (&self.q_due, Type::INT8_ARRAY),
            (&self.h_app, Type::UUID_ARRAY),
            (&self.h_endpoint, Type::UUID_ARRAY),
            (&self.h_key, Type::UUID_ARRAY),
            (&self.h_msg, Type::UUID_ARRAY),
            (&self.w_app, Type::UUID_ARRAY),
            (&self.w_endpoint, Type::UUID_ARRAY),
            (&self.w_key, Type::UUID_ARRAY),
            (&self.w_msg, Type::UUID_ARRAY),
            (&self.w_due, Type::INT8_ARRAY),
        ]
    }
}
