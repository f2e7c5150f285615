//! Records: changed in one call, found by address or alias, listed by key.

use super::{
    link::Links,
    wire::{self, int},
};
use crate::{
    model::{Address, Kind, Record, Time},
    store::{Change, ListPage, StoreError, Stored},
};
use tokio_postgres::types::{ToSql, Type};

const CHANGE: &str = "SELECT postrider.change_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
/// By address, and by alias behind it: an id and an owner's own name for something never look alike.
const FIND: &str = "\
    SELECT body, revision FROM postrider.records \
    WHERE scope = $1 AND kind = $2 AND key = $3 AND (expires_at IS NULL OR expires_at > $4) \
    UNION ALL \
    SELECT body, revision FROM postrider.records \
    WHERE alias_scope = $1 AND kind = $2 AND alias = $3 AND (expires_at IS NULL OR expires_at > $4) \
    LIMIT 1";
const EACH: &str = "\
    SELECT scope, key, body, revision FROM postrider.records \
    WHERE kind = $1 AND (scope, key) > ($2, $3) AND (expires_at IS NULL OR expires_at > $4) \
    ORDER BY scope, key LIMIT $5";
/// Records read at once for [`each`].
const EACH_CHUNK: i64 = 1024;

/// Columns of a call that changes records.
#[derive(Default)]
pub(super) struct Columns {
    ops: Vec<i16>,
    kinds: Vec<i16>,
    scopes: Vec<String>,
    keys: Vec<String>,
    alias_scopes: Vec<Option<String>>,
    aliases: Vec<Option<String>>,
    expiries: Vec<Option<i64>>,
    bodies: Vec<Option<String>>,
    revisions: Vec<Option<i64>>,
    told: Vec<bool>,
}

impl Columns {
    /// Of these changes, in their order.
    pub(super) fn of(changes: &[Change]) -> Result<Self, StoreError> {
        let mut columns = Columns::default();
        for change in changes {
            match change {
                Change::Insert(record) => columns.add(0, record, None)?,
                Change::Replace(record, revision) => columns.add(1, record, Some(*revision))?,
                Change::Write(record) => columns.add(2, record, None)?,
                Change::Delete(address) => columns.delete(address),
            }
        }
        Ok(columns)
    }

    fn add(&mut self, op: i16, record: &Record, revision: Option<u64>) -> Result<(), StoreError> {
        self.place(op, record.address());
        let (scope, alias) = record.alias().map(|(scope, alias)| (scope, alias.to_owned())).unzip();
        self.alias_scopes.push(scope);
        self.aliases.push(alias);
        self.expiries.push(record.expires_at().map(|at| int(at.0)));
        self.bodies.push(Some(wire::write_record(record)?));
        self.revisions.push(revision.map(int));
        Ok(())
    }

    fn delete(&mut self, address: &Address) {
        self.place(3, address.clone());
        self.alias_scopes.push(None);
        self.aliases.push(None);
        self.expiries.push(None);
        self.bodies.push(None);
        self.revisions.push(None);
    }

    fn place(&mut self, op: i16, address: Address) {
        self.ops.push(op);
        self.kinds.push(wire::kind_number(address.kind));
        self.told.push(is_told(address.kind));
        self.scopes.push(address.scope);
        self.keys.push(address.key);
    }

    /// The parameters, with the time that decides what has expired.
    pub(super) fn params<'a>(&'a self, now: &'a i64) -> [(&'a (dyn ToSql + Sync), Type); 11] {
        [
            (&self.ops, Type::INT2_ARRAY),
            (&self.kinds, Type::INT2_ARRAY),
            (&self.scopes, Type::TEXT_ARRAY),
            (&self.keys, Type::TEXT_ARRAY),
            (&self.alias_scopes, Type::TEXT_ARRAY),
            (&self.aliases, Type::TEXT_ARRAY),
            (&self.expiries, Type::INT8_ARRAY),
            (&self.bodies, Type::TEXT_ARRAY),
            (&self.revisions, Type::INT8_ARRAY),
            (&self.told, Type::BOOL_ARRAY),
            (now, Type::INT8),
        ]
    }
}

/// Whether other nodes keep records of this kind in memory.
fn is_told(kind: Kind) -> bool {
    match kind {
        Kind::Organization
        | Kind::Application
        | Kind::Endpoint
        | Kind::EventType
        | Kind::Source
        | Kind::Token
        | Kind::Failing
        | Kind::Profile
        | Kind::Retention
        | Kind::CatchUp
        | Kind::Rotation => true,
        Kind::Answered
        | Kind::Purge
        | Kind::Seen
        | Kind::Rejection
        | Kind::Replay
        | Kind::Erasure
        | Kind::Audit
        | Kind::User
        | Kind::Session
        | Kind::Triage
        | Kind::Identity
        | Kind::Alert
        | Kind::AlertState
        | Kind::Notice
        | Kind::Duplicates
        | Kind::Branding => false,
    }
}

/// Applies all changes or none.
pub(super) async fn change(links: &Links, changes: &[Change], now: Time) -> Result<(), StoreError> {
    let columns = Columns::of(changes)?;
    links.run(CHANGE, &columns.params(&int(now.0))).await.map(drop)
}

/// The live record with this address or alias.
pub(super) async fn find(links: &Links, address: &Address, now: Time) -> Result<Option<Stored>, StoreError> {
    // PostgreSQL has no such texts, so that nothing has such a name.
    if address.scope.contains('\0') || address.key.contains('\0') {
        return Ok(None);
    }
    let params: [(&(dyn ToSql + Sync), Type); 4] = [
        (&address.scope, Type::TEXT),
        (&wire::kind_number(address.kind), Type::INT2),
        (&address.key, Type::TEXT),
        (&int(now.0), Type::INT8),
    ];
    links.read(FIND, &params).await?.first().map(wire::record).transpose()
}

/// Records of a kind and scope by key.
pub(super) async fn list(
    links: &Links,
    (kind, scope): (Kind, &str),
    page: ListPage<'_>,
    now: Time,
) -> Result<Vec<Stored>, StoreError> {
    let (compare, order) = if page.backwards { ("<", "DESC") } else { (">", "ASC") };
    let statement = format!(
        "SELECT body, revision FROM postrider.records \
         WHERE scope = $1 AND kind = $2 AND ($3::text IS NULL OR key {compare} $3) AND (expires_at IS NULL OR expires_at > $4) \
         ORDER BY key {order} LIMIT $5"
    );
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
    let params: [(&(dyn ToSql + Sync), Type); 5] = [
        (&scope, Type::TEXT),
        (&wire::kind_number(kind), Type::INT2),
        (&page.after, Type::TEXT),
        (&int(now.0), Type::INT8),
        (&limit, Type::INT8),
    ];
    links.read(&statement, &params).await?.iter().map(wire::record).collect()
}

/// Every live record of a kind.
pub(super) async fn each(
    links: &Links,
    kind: Kind,
    now: Time,
    visit: &mut (dyn for<'r> FnMut(Stored) + Send),
) -> Result<(), StoreError> {
    let mut after = (String::new(), String::new());
    loop {
        let params: [(&(dyn ToSql + Sync), Type); 5] = [
            (&wire::kind_number(kind), Type::INT2),
            (&after.0, Type::TEXT),
            (&after.1, Type::TEXT),
            (&int(now.0), Type::INT8),
            (&EACH_CHUNK, Type::INT8),
        ];
        let rows = links.read(EACH, &params).await?;
        for row in &rows {
            visit(wire::record(row)?);
        }
        match rows.last() {
            Some(last) if i64::try_from(rows.len()).unwrap_or(0) == EACH_CHUNK => {
                after = (wire::get(last, "scope")?, wire::get(last, "key")?);
            }
            _ => return Ok(()),
        }
    }
}
