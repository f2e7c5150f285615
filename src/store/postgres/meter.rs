//! Measuring a database from outside: what its statements cost and how healthy its tables are. For measurements only;
//! nothing here is on any path of a server.

use super::{
    PostgresOptions,
    link::failure,
    wire::{self, natural},
};
use crate::store::StoreError;
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::{Client, types::Type};

/// Statements by kind. The marks keep what this file asks out of its own counts.
const STATEMENTS: &str = "SELECT /* meter */ CASE \
        WHEN query LIKE '%postrider.accept\\_%' THEN 'accept' \
        WHEN query LIKE '%postrider.settle\\_%' THEN 'settle' \
        WHEN query LIKE '%postrider.claim\\_%' THEN 'claim' ELSE 'other' END AS kind, \
        sum(calls)::int8 AS calls \
    FROM pg_stat_statements JOIN pg_database d ON d.oid = dbid \
    WHERE d.datname = current_database() AND toplevel AND query NOT LIKE '%/* meter */%' GROUP BY 1";
/// Transactions, each of which is one statement here.
const TRANSACTIONS: &str = "SELECT /* meter */ (xact_commit + xact_rollback)::int8 AS calls \
    FROM pg_stat_database WHERE datname = current_database()";
const WAL: &str = "SELECT /* meter */ pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8 AS bytes";
/// Tables with their partitions: rows, dead rows, bytes of tables and of indexes, rounds of vacuum.
const TABLES: &str = "SELECT /* meter */ coalesce(sum(s.n_live_tup), 0)::int8 AS live, coalesce(sum(s.n_dead_tup), 0)::int8 AS dead, \
        coalesce(sum(pg_table_size(s.relid)), 0)::int8 AS bytes, coalesce(sum(pg_indexes_size(s.relid)), 0)::int8 AS indexes, \
        coalesce(sum(s.autovacuum_count + s.vacuum_count), 0)::int8 AS vacuums \
    FROM pg_stat_user_tables s WHERE s.schemaname = 'postrider' AND s.relname ~ ('^' || $1 || '(_[0-9]+|_default)?$')";

/// A connection that measures one database.
pub struct Meter {
    client: Client,
    backend: u32,
    here: bool,
    by_kind: bool,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Meter(backend {})", self.backend)
    }
}

/// Counts since the database was made; differences between two mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Statements of servers.
    pub statements: u64,
    /// Calls of accepting, settling and claiming among them; `None` without the extension that tells.
    pub kinds: Option<[u64; 3]>,
    /// Bytes of write-ahead log of the whole server.
    pub wal: u64,
}

/// How a table and its partitions are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Rows, as the statistics have it.
    pub live: u64,
    /// Dead rows that were not vacuumed yet.
    pub dead: u64,
    /// Bytes of the tables.
    pub bytes: u64,
    /// Bytes of their indexes.
    pub indexes: u64,
    /// Rounds of vacuum so far.
    pub vacuums: u64,
}

impl Meter {
    /// Connects. Where the role may, statements are told apart by the extension `pg_stat_statements`.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn connect(options: &PostgresOptions) -> Result<Self, StoreError> {
        let client = options.place()?.connect().await?;
        let row = client.query_typed("SELECT /* meter */ pg_backend_pid() AS pid", &[]).await.map_err(|error| failure(&error))?;
        let pid: i32 = wire::get(row.first().ok_or_else(|| wire::damaged("a process"))?, "pid")?;
        let _not_allowed = client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await;
        let by_kind = client.query_typed(STATEMENTS, &[]).await.is_ok();
        Ok(Meter { client, backend: u32::try_from(pid).unwrap_or(0), here: options.is_here(), by_kind })
    }

    /// The process that serves this connection, if the database is on this machine.
    #[must_use]
    pub fn backend(&self) -> Option<u32> {
        self.here.then_some(self.backend)
    }

    /// Makes a database.
    ///
    /// # Errors
    /// It is there, or the role may not.
    pub async fn create(&self, database: &str) -> Result<(), StoreError> {
        self.run(&format!("CREATE DATABASE \"{database}\"")).await
    }

    /// Removes a database, whoever is connected.
    ///
    /// # Errors
    /// The role may not.
    pub async fn remove(&self, database: &str) -> Result<(), StoreError> {
        self.run(&format!("DROP DATABASE IF EXISTS \"{database}\" WITH (FORCE)")).await
    }

    async fn run(&self, statement: &str) -> Result<(), StoreError> {
        self.client.batch_execute(statement).await.map_err(|error| failure(&error))
    }

    /// The counts now.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn read(&self) -> Result<Reading, StoreError> {
        let wal = natural(self.number(WAL, "bytes").await?);
        if !self.by_kind {
            return Ok(Reading { statements: natural(self.number(TRANSACTIONS, "calls").await?), kinds: None, wal });
        }
        let rows = self.client.query_typed(STATEMENTS, &[]).await.map_err(|error| failure(&error))?;
        let (mut kinds, mut statements) = ([0; 3], 0);
        for row in &rows {
            let (kind, calls) = (wire::get::<String>(row, "kind")?, natural(wire::get(row, "calls")?));
            statements += calls;
            let known = ["accept", "settle", "claim"].iter().zip(&mut kinds).find(|(name, _)| **name == kind);
            known.into_iter().for_each(|(_, count)| *count = calls);
        }
        Ok(Reading { statements, kinds: Some(kinds), wal })
    }

    /// How a table is, by its name without the day of its partitions.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn tables(&self, name: &str) -> Result<Tables, StoreError> {
        let rows = self.client.query_typed(TABLES, &[(&name, Type::TEXT)]).await.map_err(|error| failure(&error))?;
        let row = rows.first().ok_or_else(|| wire::damaged("statistics"))?;
        let number = |name| wire::get::<i64>(row, name).map(natural);
        Ok(Tables {
            live: number("live")?,
            dead: number("dead")?,
            bytes: number("bytes")?,
            indexes: number("indexes")?,
            vacuums: number("vacuums")?,
        })
    }

    /// How long a claim takes at the busiest endpoint; nothing stays claimed.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn claim_time(&self) -> Result<Duration, StoreError> {
        let busiest = "SELECT /* meter */ endpoint FROM postrider.lanes LIMIT 1";
        let rows = self.client.query_typed(busiest, &[]).await.map_err(|error| failure(&error))?;
        let Some(row) = rows.first() else { return Ok(Duration::ZERO) };
        let endpoint: wire::Id = wire::get(row, "endpoint")?;
        let claim =
            format!("BEGIN; SELECT /* meter */ count(*) FROM postrider.claim_1('{:032x}', 0, 0, {}, 100)", endpoint.0, i64::MAX);
        self.run(&claim).await?;
        self.run("ROLLBACK").await?;
        let began = Instant::now();
        self.run(&claim).await?;
        let took = began.elapsed();
        self.run("ROLLBACK").await?;
        Ok(took)
    }

    async fn number(&self, statement: &str, column: &str) -> Result<i64, StoreError> {
        let rows = self.client.query_typed(statement, &[]).await.map_err(|error| failure(&error))?;
        wire::get(rows.first().ok_or_else(|| wire::damaged("a number"))?, column)
    }
}
