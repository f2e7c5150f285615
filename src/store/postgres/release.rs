//! Giving leases back, in groups. What could not be given back because the database was away is kept in mind and given
//! back later: this node's row would otherwise keep it for as long as the node lives.

use super::{
    gather::Waiting,
    link::Links,
    settle::trigger_number,
    wire::{Id, int},
};
use crate::{
    model::{AppId, EndpointId, MsgId, Trigger},
    store::{Lease, StoreError},
};
use parking_lot::Mutex;
use std::{collections::HashSet, sync::Arc};
use tokio_postgres::types::{ToSql, Type};

/// Rows of these leases, of entries that are owed still; entries that became moot go.
const RELEASE: &str = "SELECT count(postrider.release_1(g.app, g.msg, g.endpoint, g.trigger, g.token)) \
    FROM unnest($1, $2, $3, $4, $5) AS g (app, msg, endpoint, trigger, token)";
/// All rows of an endpoint under one of these leases.
const RELEASE_ALL: &str = "SELECT count(postrider.release_all_1(g.endpoint, g.token)) FROM unnest($1, $2) AS g (endpoint, token)";

/// A lease to be given back.
#[derive(Clone, Copy)]
pub(super) struct Release {
    pub(super) app: AppId,
    pub(super) endpoint: EndpointId,
    pub(super) msg: MsgId,
    pub(super) trigger: Trigger,
    pub(super) lease: Lease,
}

pub(super) type Releasing = Waiting<Release, Result<(), StoreError>>;

/// Leases that were not given back yet.
#[derive(Default)]
pub(super) struct Owed(Mutex<HashSet<(EndpointId, u64)>>);

impl Owed {
    /// Remembers one.
    pub(super) fn add(&self, endpoint: EndpointId, lease: Lease) {
        self.0.lock().insert((endpoint, lease.token));
    }

    /// Gives them back; whether there were any.
    pub(super) async fn give_back(&self, links: &Links) -> Result<bool, StoreError> {
        let owed: Vec<_> = self.0.lock().iter().copied().collect();
        if owed.is_empty() {
            return Ok(false);
        }
        let (endpoints, tokens): (Vec<Id>, Vec<i64>) = owed.iter().map(|(e, token)| (Id(e.0), int(*token))).unzip();
        links.run(RELEASE_ALL, &[(&endpoints, Type::UUID_ARRAY), (&tokens, Type::INT8_ARRAY)]).await?;
        let mut left = self.0.lock();
        left.retain(|one| !owed.contains(one));
        Ok(true)
    }
}

/// Takes a group to the database and answers everybody.
pub(super) async fn send(links: Arc<Links>, owed: Arc<Owed>, group: Vec<Releasing>) {
    let each = || group.iter().map(|releasing| releasing.given);
    let app: Vec<Id> = each().map(|r| Id(r.app.0)).collect();
    let msg: Vec<Id> = each().map(|r| Id(r.msg.0)).collect();
    let endpoint: Vec<Id> = each().map(|r| Id(r.endpoint.0)).collect();
    let trigger: Vec<i16> = each().map(|r| trigger_number(r.trigger)).collect();
    let token: Vec<i64> = each().map(|r| int(r.lease.token)).collect();
    let params: [(&(dyn ToSql + Sync), Type); 5] = [
        (&app, Type::UUID_ARRAY),
        (&msg, Type::UUID_ARRAY),
        (&endpoint, Type::UUID_ARRAY),
        (&trigger, Type::INT2_ARRAY),
        (&token, Type::INT8_ARRAY),
    ];
    let result = links.run(RELEASE, &params).await.map(drop);
    if result.is_err() {
        each().for_each(|r| owed.add(r.endpoint, r.lease));
    }
    for releasing in group {
        let _caller_gone = releasing.answer.send(result.clone());
    }
}
