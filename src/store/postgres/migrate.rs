//! Migrations: inside the binary, forward only, each once.
//!
//! All of them run in one transaction under an advisory lock of that transaction, so that nodes which start at the same
//! time wait for each other, also behind a pooler. Functions carry a version in their names and are never changed once
//! they were released: nodes of an older version go on beside a newer schema.

use super::link::{Place, failure};
use crate::store::StoreError;

/// Name and statements of each migration, in order.
const MIGRATIONS: [(&str, &str); 10] = [
    ("tables", include_str!("sql/0001_tables.sql")),
    ("records", include_str!("sql/0002_records.sql")),
    ("flow", include_str!("sql/0003_flow.sql")),
    ("upkeep", include_str!("sql/0004_upkeep.sql")),
    ("outbox", super::outbox::OUTBOX_SQL),
    ("erase", include_str!("sql/0006_erase.sql")),
    ("order", include_str!("sql/0007_order.sql")),
    ("cancel", include_str!("sql/0008_cancel.sql")),
    // Once more: it had no ordering keys before.
    ("outbox_order", super::outbox::OUTBOX_SQL),
    ("counts", include_str!("sql/0010_counts.sql")),
];
/// The advisory lock of this database that a migration holds: "postride" in ASCII.
const LOCK: i64 = 0x706f_7374_7269_6465;
/// Makes what migrations need themselves. The schema may have been made by somebody with more rights.
const FIRST: &str = "DO $$ BEGIN
    IF to_regnamespace('postrider') IS NULL THEN CREATE SCHEMA postrider; END IF;
    IF to_regclass('postrider.migrations') IS NULL THEN
        CREATE TABLE postrider.migrations (
            number int4 PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
    END IF;
END $$";

/// Applies what is missing; the names of what was.
pub(super) async fn migrate(place: &Place) -> Result<Vec<&'static str>, StoreError> {
    let mut client = place.connect().await?;
    let transaction = client.transaction().await.map_err(|error| failure(&error))?;
    let run = async {
        transaction.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
        transaction.batch_execute(FIRST).await?;
        let known = transaction.query_typed("SELECT coalesce(max(number), 0) FROM postrider.migrations", &[]).await?;
        let known = known.first().map_or(Ok(0), |row| row.try_get::<_, i32>(0))?;
        let mut applied = Vec::new();
        for (number, (name, statements)) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > known) {
            transaction.batch_execute(statements).await?;
            let note = format!("INSERT INTO postrider.migrations (number, name) VALUES ({number}, '{name}')");
            transaction.batch_execute(&note).await?;
            applied.push(name);
        }
        Ok(applied)
    };
    let applied = run.await.map_err(|error: tokio_postgres::Error| failure(&error))?;
    transaction.commit().await.map_err(|error| failure(&error))?;
    Ok(applied)
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    /// Why: the head of `0003_flow.sql`.
    #[test]
    fn no_list_is_joined_with_a_table_that_is_changed() {
        for (name, statements) in MIGRATIONS {
            let code = statements.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join(" ");
            for statement in code.split(';') {
                let joins = |verb: &str, link: &str| {
                    statement.split(verb).skip(1).any(|rest| {
                        // Up to the end of this part of a WITH, if it is one.
                        let part = rest.split(" ), ").next().unwrap_or(rest);
                        part.split(" WHERE ").next().unwrap_or(part).contains(link)
                    })
                };
                let says = statement.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(!joins("DELETE FROM ", " USING "), "{name}: {says}");
                assert!(!joins("UPDATE postrider.", " FROM "), "{name}: {says}");
            }
        }
    }
}
