//! The outbox: a table in any PostgreSQL database to which an application writes what it publishes, in its own transaction.
//!
//! Rows are picked up under row locks that are held until their messages are accepted and the rows are deleted in the same
//! transaction: nothing is written to mark a row as taken, a process that dies gives its rows back with its connection,
//! and other nodes skip what is locked. What was accepted before such a death is accepted once all the same, since the
//! row's id is the message's event id.

use super::{
    link::{Place, failure},
    options::PostgresOptions,
    wire::{self, Id, damaged, natural},
};
use crate::{model::Time, store::StoreError};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::timeout};
use tokio_postgres::{
    AsyncMessage, Client, Row,
    types::{ToSql, Type},
};

/// Statements that make the table and what belongs to it; they may be run again.
pub const OUTBOX_SQL: &str = include_str!("sql/0005_outbox.sql");
/// Rows that are picked up at once.
const ROWS: i64 = 500;
/// Bytes of payload that are picked up at once; a larger one comes alone.
const BYTES: i64 = 8 << 20;
/// How long a statement may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Begins to pick rows up. The database takes them back from a process that was halted with its locks held.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '60s'";
/// Locks rows and reads them: as many as fit, and of payloads that are too large only the size. A row with an ordering key waits
/// for earlier ones with it that another server holds.
const TAKE: &str = "\
    WITH picked AS MATERIALIZED ( \
        SELECT o.*, octet_length(o.payload) AS size FROM postrider.outbox o ORDER BY o.seq LIMIT $1 FOR UPDATE SKIP LOCKED \
    ), sized AS ( \
        SELECT p.*, coalesce(sum(least(p.size, $3)) OVER (ORDER BY p.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) \
            AS before FROM picked p \
    ) \
    SELECT seq, id, organization, application, event_type, CASE WHEN size <= $3 THEN payload END AS payload, event_id, \
        channels, tags, payload_retention_hours, ordering_key, \
        CASE WHEN isfinite(deliver_at) THEN (extract(epoch FROM deliver_at) * 1000)::int8 \
             WHEN deliver_at > now() THEN 9000000000000000 WHEN deliver_at < now() THEN 0 END AS deliver_at \
    FROM sized s WHERE before < $2 AND (ordering_key IS NULL OR NOT EXISTS ( \
        SELECT 1 FROM postrider.outbox e WHERE e.ordering_key = s.ordering_key AND e.application = s.application AND e.seq < s.seq \
            AND e.seq NOT IN (SELECT p.seq FROM picked p))) ORDER BY seq";
const DELETE: &str = "DELETE FROM postrider.outbox WHERE seq = ANY ($1)";
const REFUSE: &str = "\
    WITH bad AS (SELECT * FROM unnest($1, $2, $3) AS b (seq, field, rule)), \
    gone AS (DELETE FROM postrider.outbox o USING bad b WHERE o.seq = b.seq RETURNING o.*, b.field, b.rule) \
    INSERT INTO postrider.outbox_refused (seq, id, organization, application, event_type, payload, event_id, channels, tags, \
        deliver_at, payload_retention_hours, created_at, ordering_key, field, rule) \
    SELECT seq, id, organization, application, event_type, payload, event_id, channels, tags, deliver_at, \
        payload_retention_hours, created_at, ordering_key, field, rule FROM gone";
const STATE: &str = "\
    SELECT (SELECT count(*) FROM postrider.outbox) AS waiting, \
        (SELECT greatest(0, extract(epoch FROM now() - min(created_at)))::int8 FROM postrider.outbox) AS oldest_s, \
        (SELECT count(*) FROM postrider.outbox_refused) AS refused";
const REFUSED: &str = "\
    SELECT seq, id, application, event_type, field, rule, to_char(refused_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS at \
    FROM postrider.outbox_refused ORDER BY seq DESC LIMIT $1";
const RETRY: &str = "\
    WITH gone AS (DELETE FROM postrider.outbox_refused WHERE $1::int8 IS NULL OR seq = $1 RETURNING *), \
    back AS ( \
        INSERT INTO postrider.outbox (seq, id, organization, application, event_type, payload, event_id, channels, tags, \
            deliver_at, payload_retention_hours, created_at, ordering_key) OVERRIDING SYSTEM VALUE \
        SELECT seq, id, organization, application, event_type, payload, event_id, channels, tags, deliver_at, \
            payload_retention_hours, created_at, ordering_key FROM gone RETURNING 1 \
    ) SELECT count(*) AS back FROM back";

/// An outbox, in a database.
pub struct Outbox {
    place: Place,
    shown: String,
}

/// What a row says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its place in the table.
    pub seq: i64,
    /// Its id.
    pub id: String,
    /// The organization's id; `None`: the first one.
    pub organization: Option<String>,
    /// The application's id or uid.
    pub application: String,
    /// Name of the event type.
    pub event_type: String,
    /// The payload; `None` when it is larger than was asked for.
    pub payload: Option<Bytes>,
    /// The producer's own id.
    pub event_id: Option<String>,
    /// Channels.
    pub channels: Option<Vec<String>>,
    /// Tags.
    pub tags: Option<Vec<String>>,
    /// Not to be delivered before.
    pub deliver_at: Option<Time>,
    /// Hours for which the payload is kept.
    pub retention_hours: Option<i64>,
    /// What the message is kept in order with.
    pub ordering_key: Option<String>,
}

/// A row that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRefusal {
    /// Its place in the table.
    pub seq: i64,
    /// The column at fault.
    pub field: String,
    /// The rule.
    pub rule: String,
}

/// How an outbox does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxState {
    /// Rows that wait.
    pub waiting: u64,
    /// Age of the oldest of them, in seconds.
    pub oldest_s: Option<u64>,
    /// Rows that were refused and wait for somebody.
    pub refused: u64,
}

/// A refused row, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRefused {
    /// What was refused.
    pub refusal: OutboxRefusal,
    /// Its id.
    pub id: String,
    /// The application that it names.
    pub application: String,
    /// The event type that it names.
    pub event_type: String,
    /// When, as RFC 3339.
    pub at: String,
}

/// A connection that picks rows up. When anything of it fails it is to be dropped, and the database takes the rows back.
pub struct OutboxSession(Client);

impl Outbox {
    /// An outbox in the database of these options.
    ///
    /// # Errors
    /// The certificates that the options name cannot be read.
    pub fn new(options: &PostgresOptions) -> Result<Self, StoreError> {
        Ok(Outbox { place: options.place()?, shown: options.shown() })
    }

    /// Its database without a password, for people.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Makes the table and what belongs to it, unless they are there.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn install(&self) -> Result<(), StoreError> {
        let mut client = self.place.connect().await?;
        let transaction = client.transaction().await.map_err(|error| failure(&error))?;
        transaction.batch_execute(OUTBOX_SQL).await.map_err(|error| failure(&error))?;
        transaction.commit().await.map_err(|error| failure(&error))
    }

    /// Rings when rows come, until the connection that is returned ends.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn listen(&self, bell: Arc<Notify>) -> Result<OutboxBell, StoreError> {
        let hear = move |message| {
            if let AsyncMessage::Notification(_) = message {
                bell.notify_one();
            }
        };
        let client = self.place.listen(hear).await?;
        within(client.batch_execute("LISTEN postrider_outbox")).await?;
        Ok(OutboxBell(client))
    }

    /// A connection to pick rows up by.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn session(&self) -> Result<OutboxSession, StoreError> {
        Ok(OutboxSession(self.place.connect().await?))
    }

    /// How it does.
    ///
    /// # Errors
    /// The database does not answer, or has no outbox.
    pub async fn state(&self) -> Result<OutboxState, StoreError> {
        let rows = self.ask(STATE, &[]).await?;
        let row = rows.first().ok_or_else(|| damaged("a state"))?;
        let count = |column| wire::get::<i64>(row, column).map(natural);
        let oldest_s = wire::get::<Option<i64>>(row, "oldest_s")?.map(natural);
        Ok(OutboxState { waiting: count("waiting")?, oldest_s, refused: count("refused")? })
    }

    /// Refused rows, the newest first.
    ///
    /// # Errors
    /// As [`Outbox::state`].
    pub async fn refused(&self, limit: u32) -> Result<Vec<OutboxRefused>, StoreError> {
        let rows = self.ask(REFUSED, &[(&i64::from(limit), Type::INT8)]).await?;
        let read = |row: &Row| {
            let refusal =
                OutboxRefusal { seq: wire::get(row, "seq")?, field: wire::get(row, "field")?, rule: wire::get(row, "rule")? };
            let (application, event_type) = (wire::get(row, "application")?, wire::get(row, "event_type")?);
            Ok(OutboxRefused { refusal, id: uuid(wire::get(row, "id")?), application, event_type, at: wire::get(row, "at")? })
        };
        rows.iter().map(read).collect()
    }

    /// Puts a refused row back, or all of them; how many.
    ///
    /// # Errors
    /// As [`Outbox::state`].
    pub async fn retry(&self, seq: Option<i64>) -> Result<u64, StoreError> {
        let rows = self.ask(RETRY, &[(&seq, Type::INT8)]).await?;
        wire::get(rows.first().ok_or_else(|| damaged("a count"))?, "back").map(natural)
    }

    async fn ask(&self, statement: &str, params: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, StoreError> {
        let client = self.place.connect().await?;
        within(client.query_typed(statement, params)).await
    }
}

/// Listens as long as it is kept.
pub struct OutboxBell(Client);

impl OutboxBell {
    /// Whether the connection has ended.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

impl OutboxSession {
    /// Locks rows and reads them. What cannot be read is a refusal.
    ///
    /// # Errors
    /// The database does not answer, or has no outbox.
    pub async fn take(&self, max_payload: usize) -> Result<Vec<Result<OutboxRow, OutboxRefusal>>, StoreError> {
        let max_payload = i32::try_from(max_payload).unwrap_or(i32::MAX);
        within(self.0.batch_execute(BEGIN)).await?;
        let params: [(&(dyn ToSql + Sync), Type); 3] = [(&ROWS, Type::INT8), (&BYTES, Type::INT8), (&max_payload, Type::INT4)];
        let rows = within(self.0.query_typed(TAKE, &params)).await?;
        rows.iter().map(read).collect()
    }

    /// Deletes what is done, puts aside what is refused, and lets go of the rest.
    ///
    /// # Errors
    /// The database does not answer; then all rows are still there.
    pub async fn finish(&self, done: &[i64], refused: &[OutboxRefusal]) -> Result<(), StoreError> {
        if !done.is_empty() {
            within(self.0.query_typed(DELETE, &[(&done, Type::INT8_ARRAY)])).await?;
        }
        if !refused.is_empty() {
            let seqs: Vec<i64> = refused.iter().map(|refusal| refusal.seq).collect();
            let fields: Vec<&str> = refused.iter().map(|refusal| refusal.field.as_str()).collect();
            let rules: Vec<&str> = refused.iter().map(|refusal| refusal.rule.as_str()).collect();
            let params: [(&(dyn ToSql + Sync), Type); 3] =
                [(&seqs, Type::INT8_ARRAY), (&fields, Type::TEXT_ARRAY), (&rules, Type::TEXT_ARRAY)];
            within(self.0.query_typed(REFUSE, &params)).await?;
        }
        within(self.0.batch_execute("COMMIT")).await
    }
}

fn read(row: &Row) -> Result<Result<OutboxRow, OutboxRefusal>, StoreError> {
    let seq = wire::get(row, "seq")?;
    Ok(columns(row, seq).map_err(|field| OutboxRefusal { seq, field: field.to_owned(), rule: "It cannot be read.".to_owned() }))
}

/// A row's columns, or the name of the one that cannot be read (a list with NULL in it, or of lists).
fn columns(row: &Row, seq: i64) -> Result<OutboxRow, &'static str> {
    let text = |column| row.try_get::<_, String>(column).map_err(|_| column);
    let optional = |column| row.try_get::<_, Option<String>>(column).map_err(|_| column);
    let list = |column| row.try_get::<_, Option<Vec<String>>>(column).map_err(|_| column);
    let hours = row.try_get::<_, Option<i32>>("payload_retention_hours").map_err(|_| "payload_retention_hours")?;
    let due = row.try_get::<_, Option<i64>>("deliver_at").map_err(|_| "deliver_at")?;
    Ok(OutboxRow {
        seq,
        id: uuid(row.try_get("id").map_err(|_| "id")?),
        organization: optional("organization")?,
        application: text("application")?,
        event_type: text("event_type")?,
        payload: optional("payload")?.map(Bytes::from),
        event_id: optional("event_id")?,
        channels: list("channels")?,
        tags: list("tags")?,
        deliver_at: due.map(|ms| Time(natural(ms))),
        retention_hours: hours.map(i64::from),
        ordering_key: optional("ordering_key")?,
    })
}

/// As the database writes it.
fn uuid(Id(number): Id) -> String {
    let hex = format!("{number:032x}");
    let parts = [hex.get(..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..)];
    parts.map(Option::unwrap_or_default).join("-")
}

async fn within<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
    match timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|error| failure(&error)),
        Err(_) => Err(StoreError::Unavailable("the database does not answer".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_the_database_writes_it() {
        assert_eq!(uuid(Id(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)), "01234567-89ab-cdef-0123-456789abcdef");
    }
}
