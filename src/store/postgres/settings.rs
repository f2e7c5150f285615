//! Small texts that all nodes share.

use super::{PostgresStore, wire};
use crate::store::StoreError;
use tokio_postgres::types::Type;

impl PostgresStore {
    /// The text of that name.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let statement = "SELECT value FROM postrider.settings WHERE name = $1";
        let rows = self.open_still()?.records.read(statement, &[(&name, Type::TEXT)]).await?;
        rows.first().map(|row| wire::get(row, "value")).transpose()
    }

    /// Keeps a text unless there is one of that name; the one that is there then.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn keep_setting(&self, name: &str, value: &str) -> Result<String, StoreError> {
        let statement = "INSERT INTO postrider.settings AS s (name, value) VALUES ($1, $2) \
                         ON CONFLICT (name) DO UPDATE SET value = s.value RETURNING value";
        let rows = self.open_still()?.records.run(statement, &[(&name, Type::TEXT), (&value, Type::TEXT)]).await?;
        wire::get(rows.first().ok_or_else(|| wire::damaged("a setting"))?, "value")
    }

    /// Sets a setting, whatever it was.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn put_setting(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let statement = "INSERT INTO postrider.settings AS s (name, value) VALUES ($1, $2) \
                         ON CONFLICT (name) DO UPDATE SET value = $2";
        self.open_still()?.records.run(statement, &[(&name, Type::TEXT), (&value, Type::TEXT)]).await.map(drop)
    }
}
