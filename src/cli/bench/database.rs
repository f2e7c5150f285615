//! The PostgreSQL that servers are measured on: a fresh database for each case, and what it cost.

use super::{process::Family, throwaway::Throwaway};
use crate::store::postgres::{Meter, PostgresOptions, Reading};
use anyhow::Context;
use serde::Serialize;
use std::{path::Path, time::Duration};

/// The word that asks for a throw-away server in place of a URL.
pub(super) const THROWAWAY: &str = "postgres";
/// How databases of a bench are called, before the bytes that tell them apart.
const PREFIX: &str = "postrider_bench_";

/// A server, given or of our own.
#[derive(Debug)]
pub(super) struct Databases {
    url: String,
    _own: Option<Throwaway>,
}

/// One database.
#[derive(Clone, Debug)]
pub(super) struct Database {
    server: PostgresOptions,
    name: String,
    /// What servers are given.
    pub(super) url: String,
}

/// What the database has done so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    reading: Reading,
    cpu: Option<Duration>,
}

/// What it did for one message.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct DatabaseCost {
    /// Statements, each a round trip and a transaction.
    statements: f64,
    /// Of these, calls of accepting, settling and claiming.
    #[serde(skip_serializing_if = "Option::is_none")]
    kinds: Option<[f64; 3]>,
    /// Bytes of write-ahead log.
    wal_bytes: f64,
    /// CPU time of all of PostgreSQL's processes, in nanoseconds; `None` when they are elsewhere.
    cpu_ns: Option<f64>,
}

impl Databases {
    /// What `--store` says. A throw-away server keeps its data in `folder`.
    pub(super) fn at(store: &str, folder: &Path) -> anyhow::Result<Self> {
        if store != THROWAWAY {
            return Ok(Databases { url: store.to_owned(), _own: None });
        }
        let port = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let own = Throwaway::start(folder, port)?;
        Ok(Databases { url: own.url().to_owned(), _own: Some(own) })
    }

    /// Makes a database.
    pub(super) async fn fresh(&self, tag: [u8; 8]) -> anyhow::Result<Database> {
        let server = PostgresOptions::parse(&self.url).map_err(|error| anyhow::anyhow!("--store: {error}"))?;
        let name = format!("{PREFIX}{:016x}", u64::from_be_bytes(tag));
        Meter::connect(&server).await?.create(&name).await.context("the bench makes a database of its own for each case")?;
        let url = in_database(&self.url, &name).context("--store is no URL")?;
        Ok(Database { server, name, url })
    }
}

impl Database {
    /// A connection that measures it.
    pub(super) async fn meter(&self) -> anyhow::Result<Meter> {
        Ok(Meter::connect(&self.options()).await?)
    }

    /// How to get there.
    pub(super) fn options(&self) -> PostgresOptions {
        self.server.clone().in_database(&self.name)
    }

    /// What it has done so far.
    pub(super) async fn spent(&self) -> anyhow::Result<Spent> {
        let meter = self.meter().await?;
        let cpu = meter.backend().and_then(|backend| Family::above(backend).ok()).map(|family| family.cpu);
        Ok(Spent { reading: meter.read().await?, cpu })
    }

    /// Removes it.
    pub(super) async fn remove(self) -> anyhow::Result<()> {
        Ok(Meter::connect(&self.server).await?.remove(&self.name).await?)
    }
}

impl Spent {
    /// The difference, for each of so many messages.
    pub(super) fn since(self, before: Spent, messages: u64) -> Option<DatabaseCost> {
        let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / messages as f64;
        let kinds = self.reading.kinds.zip(before.reading.kinds);
        let kinds = kinds.map(|([a, b, c], [x, y, z])| [each(a, x), each(b, y), each(c, z)]);
        let cpu = self.cpu.zip(before.cpu).map(|(after, before)| after.saturating_sub(before));
        (messages > 0).then(|| DatabaseCost {
            statements: each(self.reading.statements, before.reading.statements),
            kinds,
            wal_bytes: each(self.reading.wal, before.reading.wal),
            cpu_ns: cpu.map(|cpu| cpu.as_nanos() as f64 / messages as f64),
        })
    }
}

impl std::fmt::Display for DatabaseCost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgreSQL, a message: {:.4} statements", self.statements)?;
        if let Some([accept, settle, claim]) = self.kinds {
            write!(f, " (accept {accept:.4}, settle {settle:.4}, claim {claim:.4})")?;
        }
        write!(f, ", {:.0} bytes of WAL, ", self.wal_bytes)?;
        match self.cpu_ns {
            Some(ns) => write!(f, "{:.1} µs of CPU", ns / 1e3),
            None => write!(f, "CPU not seen: it is another machine's"),
        }
    }
}

/// The URL with another database.
fn in_database(url: &str, name: &str) -> Option<String> {
    let (bare, query) = url.split_once('?').map_or((url, None), |(bare, query)| (bare, Some(query)));
    let (scheme, rest) = bare.split_once("://")?;
    let authority = rest.split('/').next()?;
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{scheme}://{authority}/{name}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_all_but_its_database() {
        assert_eq!(in_database("postgres://u:p@h:1,i/x?a=b/c", "y").unwrap(), "postgres://u:p@h:1,i/y?a=b/c");
        assert_eq!(in_database("postgres://h", "y").unwrap(), "postgres://h/y");
        assert_eq!(in_database("h", "y"), None);
    }

    #[test]
    fn costs_are_differences_for_each_message() {
        let spent = |statements, kinds, wal, ms| Spent {
            reading: Reading { statements, kinds, wal },
            cpu: Some(Duration::from_millis(ms)),
        };
        let before = spent(100, Some([10, 20, 30]), 1000, 5);
        let cost = spent(120, Some([20, 28, 30]), 31_000, 6).since(before, 10).unwrap();
        assert_eq!(cost, DatabaseCost { statements: 2.0, kinds: Some([1.0, 0.8, 0.0]), wal_bytes: 3000.0, cpu_ns: Some(1e5) });
        assert!(cost.to_string().contains("3000 bytes of WAL, 100.0 µs of CPU"), "{cost}");
        assert_eq!(before.since(before, 0), None);
    }
}
