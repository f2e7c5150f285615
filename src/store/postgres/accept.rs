//! Accepting: a group of messages in one call. Nothing of a message that is refused stays.

use super::{
    gather::Waiting,
    link::Links,
    owners::Owners,
    wire::{self, Id, int},
};
use crate::{
    model::{AppId, EndpointId, MsgId},
    store::{Conflict, NewMessage, StoreError},
};
use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
    sync::Arc,
};
use tokio_postgres::types::{ToSql, Type};

/// Weight of a message beside its payload, in bytes.
pub(super) const OVERHEAD: usize = 1024;

const STATEMENT: &str = "SELECT * FROM postrider.accept_1(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)";

const ORDERED: &str = "SELECT * FROM postrider.accept_ordered_1(\
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, \
    $25, $26, $27, $28, $29)";

type Accepting = Waiting<NewMessage, Result<(), StoreError>>;

/// Columns of the call.
#[derive(Default)]
struct Columns {
    m_app: Vec<Id>,
    m_id: Vec<Id>,
    m_endpoints: Vec<String>,
    m_expires: Vec<Option<i64>>,
    m_head: Vec<Vec<u8>>,
    m_payload: Vec<bytes::Bytes>,
    q_app: Vec<Id>,
    q_msg: Vec<Id>,
    q_endpoint: Vec<Id>,
    q_due: Vec<i64>,
    q_token: Vec<Option<i64>>,
    q_until: Vec<Option<i64>>,
    e_app: Vec<Id>,
    e_id: Vec<Vec<u8>>,
    e_msg: Vec<Id>,
    r_msg: Vec<Id>,
    r_kind: Vec<i16>,
    r_scope: Vec<String>,
    r_key: Vec<String>,
    r_expires: Vec<Option<i64>>,
    r_body: Vec<String>,
    r_now: Vec<i64>,
    l_app: Vec<Id>,
    l_endpoint: Vec<Id>,
    o_app: Vec<Id>,
    o_endpoint: Vec<Id>,
    o_key: Vec<Id>,
    o_msg: Vec<Id>,
    o_due: Vec<i64>,
}

/// Takes a group to the database and answers everybody.
pub(super) async fn send(links: Arc<Links>, owners: Arc<Owners>, mut group: Vec<Accepting>) {
    while !group.is_empty() {
        let (these, later) = apart(group);
        send_distinct(&links, &owners, these).await;
        group = later;
    }
}

/// Of messages with the same event id or mark the first goes now, the others after it.
fn apart(group: Vec<Accepting>) -> (Vec<Accepting>, Vec<Accepting>) {
    let (mut events, mut marks) = (HashSet::new(), HashSet::new());
    group.into_iter().partition(|accepting| {
        let NewMessage { message, mark, .. } = &accepting.given;
        let event = message.event_id.as_ref().is_none_or(|id| events.insert((message.app, id.clone())));
        let mark = mark.as_ref().is_none_or(|mark| marks.insert(mark.address()));
        event && mark
    })
}

async fn send_distinct(links: &Links, owners: &Owners, group: Vec<Accepting>) {
    let refused = match call(links, owners, group.iter().map(|accepting| &accepting.given)).await {
        Ok(refused) => refused,
        // One of them may be at fault: each for itself.
        Err(StoreError::Damaged(_)) if group.len() > 1 => {
            for accepting in group {
                let result = call(links, owners, [&accepting.given]).await;
                let result = result.and_then(|refused| judge(&refused, &accepting.given));
                let _caller_gone = accepting.answer.send(result);
            }
            return;
        }
        Err(error) => {
            group.into_iter().for_each(|accepting| drop(accepting.answer.send(Err(error.clone()))));
            return;
        }
    };
    for accepting in group {
        let _caller_gone = accepting.answer.send(judge(&refused, &accepting.given));
    }
}

fn judge(refused: &HashMap<MsgId, i16>, new: &NewMessage) -> Result<(), StoreError> {
    match (refused.get(&new.message.id), &new.mark) {
        (None, _) => Ok(()),
        (Some(2), Some(mark)) => Err(StoreError::Conflict(Conflict::Record(mark.address().kind))),
        _ => Err(StoreError::Conflict(Conflict::EventId)),
    }
}

async fn call<'a>(
    links: &Links,
    owners: &Owners,
    group: impl IntoIterator<Item = &'a NewMessage>,
) -> Result<HashMap<MsgId, i16>, StoreError> {
    let mut c = Columns::default();
    let mut lanes = HashMap::new();
    for new in group {
        c.add(new)?;
        let unknown = new.message.endpoints.iter().filter(|endpoint| owners.known(**endpoint).is_none());
        lanes.extend(unknown.map(|endpoint| (*endpoint, new.message.app)));
    }
    c.add_lanes(&lanes);
    let payloads: Vec<&[u8]> = c.m_payload.iter().map(|payload| &**payload).collect();
    let mut params = c.params(&payloads).to_vec();
    let statement = match c.o_app.is_empty() {
        true => STATEMENT,
        false => {
            params.extend(c.ordered());
            ORDERED
        }
    };
    let rows = links.run(statement, &params).await?;
    owners.learn(lanes);
    rows.iter().map(|row| Ok((MsgId(wire::get::<Id>(row, "msg")?.0), wire::get(row, "why")?))).collect()
}

impl Columns {
    fn add(&mut self, new: &NewMessage) -> Result<(), StoreError> {
        let NewMessage { message, leases, mark } = new;
        let (app, id) = (Id(message.app.0), Id(message.id.0));
        self.m_app.push(app);
        self.m_id.push(id);
        self.m_endpoints.push(array_text(message.endpoints.iter().map(|endpoint| endpoint.0)));
        self.m_expires.push(message.payload_expires_at.map(|at| int(at.0)));
        self.m_head.push(wire::head(message)?);
        self.m_payload.push(message.payload.clone());
        let mut leases = leases.iter();
        for endpoint in &message.endpoints {
            let lease = leases.next().copied().flatten();
            if let Some(key) = message.order(*endpoint) {
                self.o_app.push(app);
                self.o_endpoint.push(Id(endpoint.0));
                self.o_key.push(Id(key.0));
                self.o_msg.push(id);
                self.o_due.push(int(message.first_due().0));
                continue;
            }
            self.q_app.push(app);
            self.q_msg.push(id);
            self.q_endpoint.push(Id(endpoint.0));
            self.q_due.push(int(message.first_due().0));
            self.q_token.push(lease.map(|lease| int(lease.token)));
            self.q_until.push(lease.map(|lease| int(lease.until.0)));
        }
        if let Some(event_id) = &message.event_id {
            self.e_app.push(app);
            self.e_id.push(event_id.as_bytes().to_vec());
            self.e_msg.push(id);
        }
        if let Some(mark) = mark {
            if mark.alias().is_some() {
                return Err(StoreError::Damaged("a mark with an alias".into()));
            }
            let address = mark.address();
            self.r_msg.push(id);
            self.r_kind.push(wire::kind_number(address.kind));
            self.r_scope.push(address.scope);
            self.r_key.push(address.key);
            self.r_expires.push(mark.expires_at().map(|at| int(at.0)));
            self.r_body.push(wire::write_record(mark)?);
            self.r_now.push(int(message.id.time().0));
        }
        Ok(())
    }

    fn params<'a>(&'a self, payloads: &'a (dyn ToSql + Sync)) -> [(&'a (dyn ToSql + Sync), Type); 24] {
        [
            (&self.m_app, Type::UUID_ARRAY),
            (&self.m_id, Type::UUID_ARRAY),
            (&self.m_endpoints, Type::TEXT_ARRAY),
            (&self.m_expires, Type::INT8_ARRAY),
            (&self.m_head, Type::BYTEA_ARRAY),
            (payloads, Type::BYTEA_ARRAY),
            (&self.q_app, Type::UUID_ARRAY),
            (&self.q_msg, Type::UUID_ARRAY),
            (&self.q_endpoint, Type::UUID_ARRAY),
            (&self.q_due, Type::INT8_ARRAY),
            (&self.q_token, Type::INT8_ARRAY),
            (&self.q_until, Type::INT8_ARRAY),
            (&self.e_app, Type::UUID_ARRAY),
            (&self.e_id, Type::BYTEA_ARRAY),
            (&self.e_msg, Type::UUID_ARRAY),
            (&self.r_msg, Type::UUID_ARRAY),
            (&self.r_kind, Type::INT2_ARRAY),
            (&self.r_scope, Type::TEXT_ARRAY),
            (&self.r_key, Type::TEXT_ARRAY),
            (&self.r_expires, Type::INT8_ARRAY),
            (&self.r_body, Type::TEXT_ARRAY),
            (&self.r_now, Type::INT8_ARRAY),
            (&self.l_app, Type::UUID_ARRAY),
            (&self.l_endpoint, Type::UUID_ARRAY),
        ]
    }

    fn ordered(&self) -> [(&(dyn ToSql + Sync), Type); 5] {
        [
            (&self.o_app, Type::UUID_ARRAY),
            (&self.o_endpoint, Type::UUID_ARRAY),
            (&self.o_key, Type::UUID_ARRAY),
            (&self.o_msg, Type::UUID_ARRAY),
            (&self.o_due, Type::INT8_ARRAY),
        ]
    }

    fn add_lanes(&mut self, lanes: &HashMap<EndpointId, AppId>) {
        for (endpoint, app) in lanes {
            self.l_app.push(Id(app.0));
            self.l_endpoint.push(Id(endpoint.0));
        }
    }
}

/// An array of identifiers as text: arrays of arrays would have to be of one length.
pub(super) fn array_text(ids: impl ExactSizeIterator<Item = u128>) -> String {
    let mut text = String::with_capacity(2 + 33 * ids.len());
    text.push('{');
    for (n, id) in ids.enumerate() {
        let separator = if n == 0 { "" } else { "," };
        let _never_fails = write!(text, "{separator}{id:032x}");
    }
    text.push('}');
    text
}
