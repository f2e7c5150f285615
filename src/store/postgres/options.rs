//! Where the database is, as a URL says.

use super::{link::Place, tls::Tls};
use crate::store::StoreError;
use std::{fmt, path::PathBuf, str::FromStr, time::Duration};
use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

/// How long a node's leases outlive its last heartbeat, unless the options say otherwise.
pub(super) const DEFAULT_LEASE: Duration = Duration::from_secs(30);
/// The shortest lease time.
const LEAST_LEASE: Duration = Duration::from_millis(300);
/// With which name the database sees this process.
const APPLICATION: &str = "postrider";

/// Where the database is and how nodes hold their leases.
///
/// The URL is libpq's (`postgres://user:password@host:port,host2:port/database?…`), with three parameters of its own:
/// `sslmode` `disable` or `require` (the default, except towards this machine; certificates are always checked),
/// `sslrootcert` (a PEM file that is trusted in place of the usual roots), `lease_ms` (milliseconds).
/// Of several hosts the one that takes writes is used.
#[derive(Clone)]
pub struct PostgresOptions {
    config: Config,
    roots: Option<PathBuf>,
    /// How long leases outlive the last heartbeat.
    pub lease: Duration,
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresOptions({})", self.shown())
    }
}

impl PostgresOptions {
    /// Whether a text names a database.
    #[must_use]
    pub fn is_url(text: &str) -> bool {
        text.starts_with("postgres://") || text.starts_with("postgresql://")
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// It cannot be read; the text says why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (bare, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut left, mut roots, mut lease, mut mode) = (Vec::new(), None, DEFAULT_LEASE, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("sslrootcert", path) => roots = Some(PathBuf::from(path)),
                ("lease_ms", ms) => lease = Duration::from_millis(ms.parse().map_err(|_| "lease_ms is not a number")?),
                ("sslmode", "disable") => mode = Some(SslMode::Disable),
                ("sslmode", "require" | "verify-ca" | "verify-full") => mode = Some(SslMode::Require),
                ("sslmode", _) => return Err("sslmode must be disable or require".into()),
                _ => left.push(pair),
            }
        }
        let url = if left.is_empty() { bare.to_owned() } else { format!("{bare}?{}", left.join("&")) };
        let mut config = Config::from_str(&url).map_err(|error| error.to_string())?;
        if config.get_hosts().is_empty() {
            return Err("it names no host".into());
        }
        let here = config.get_hosts().iter().all(is_here);
        config.ssl_mode(mode.unwrap_or(if here { SslMode::Disable } else { SslMode::Require }));
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.application_name(APPLICATION);
        Ok(PostgresOptions { config, roots, lease: lease.max(LEAST_LEASE) })
    }

    /// The place without its password, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        let name = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let hosts: Vec<_> = self.config.get_hosts().iter().map(name).collect();
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("postgres://{}/{database}", hosts.join(","))
    }

    pub(super) fn place(&self) -> Result<Place, StoreError> {
        Ok(Place { config: self.config.clone(), tls: Tls::new(self.roots.as_deref())? })
    }
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let options = PostgresOptions::parse("postgres://u:secret@db1:5433,db2/shop?lease_ms=2000&sslrootcert=/x.pem").unwrap();
        assert_eq!(options.shown(), "postgres://db1,db2/shop");
        assert!(!format!("{options:?}").contains("secret"));
        assert_eq!((options.lease, options.config.get_ssl_mode()), (Duration::from_secs(2), SslMode::Require));
        let here = PostgresOptions::parse("postgres://u@localhost/shop").unwrap();
        assert_eq!((here.lease, here.config.get_ssl_mode()), (DEFAULT_LEASE, SslMode::Disable));
        for bad in ["postgres://u@h/d?sslmode=prefer", "postgres://u@h/d?lease_ms=x", "postgres://u@h:x/d", "postgres:///d"] {
            assert!(PostgresOptions::parse(bad).is_err(), "{bad}");
        }
    }
}
