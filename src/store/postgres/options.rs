//! Where the database is, as a URL says.

use super::{
    link::{Hosts, Place},
    tls::Tls,
};
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
/// A connection without traffic for so long is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// What the network has not acknowledged after so long ends its connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// With which name the database sees this process.
const APPLICATION: &str = "postrider";

/// Where the database is and how nodes hold their leases.
///
/// The URL is libpq's (`postgres://user:password@host:port,host2:port/database?…`), with three parameters of its own:
/// `sslmode` `disable`, `require` or `verify-full` (the last two mean the same: certificates and names are always checked;
/// the default, except towards this machine), `sslrootcert` (a PEM file that is trusted in place of the usual roots),
/// `direct` (hosts, as `host:port,host2:port`, that reach the server itself when the URL's own are a pooler's),
/// `lease_ms` (milliseconds). Of several hosts the one that takes writes is used.
#[derive(Clone)]
pub struct PostgresOptions {
    /// One for each host, in the URL's order.
    hosts: Vec<Config>,
    /// Where notifications come from.
    direct: Vec<Config>,
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
        let (mut left, mut roots, mut lease, mut mode, mut direct) = (Vec::new(), None, DEFAULT_LEASE, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("sslrootcert", path) => roots = Some(PathBuf::from(path)),
                ("lease_ms", ms) => lease = Duration::from_millis(ms.parse().map_err(|_| "lease_ms is not a number")?),
                ("direct", hosts) => direct = Some(hosts),
                ("sslmode", "disable") => mode = Some(SslMode::Disable),
                ("sslmode", "require" | "verify-full") => mode = Some(SslMode::Require),
                ("sslmode", _) => return Err("sslmode must be disable, require or verify-full".into()),
                ("target_session_attrs", "read-write") => {}
                ("target_session_attrs", _) => return Err("target_session_attrs must be read-write: nodes write".into()),
                _ => left.push(pair),
            }
        }
        let place = Parts::of(bare)?;
        let configs = |hosts: &str| place.configs(hosts, &left.join("&"), mode);
        let hosts = configs(place.hosts)?;
        let direct = direct.map_or_else(|| Ok(hosts.clone()), configs)?;
        Ok(PostgresOptions { hosts, direct, roots, lease: lease.max(LEAST_LEASE) })
    }

    /// The same server, another database.
    #[must_use]
    pub fn in_database(mut self, name: &str) -> Self {
        for config in self.hosts.iter_mut().chain(&mut self.direct) {
            config.dbname(name);
        }
        self
    }

    /// Whether all hosts are this machine.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.hosts.iter().flat_map(|config| config.get_hosts()).all(is_here)
    }

    /// The place without its password, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        let name = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        let hosts: Vec<_> = self.hosts.iter().flat_map(|config| config.get_hosts().iter().map(name)).collect();
        let first = self.hosts.first();
        let database = first.and_then(|config| config.get_dbname().or(config.get_user())).unwrap_or_default();
        format!("postgres://{}/{database}", hosts.join(","))
    }

    pub(super) fn place(&self) -> Result<Place, StoreError> {
        let tls = Tls::new(self.roots.as_deref())?;
        Ok(Place { hosts: Hosts::of(&self.hosts), direct: Hosts::of(&self.direct), tls })
    }
}

/// A URL's parts, so that a URL can be made of each host: one that is silent must not keep its callers from the others.
struct Parts<'a> {
    scheme: &'a str,
    user: &'a str,
    hosts: &'a str,
    database: &'a str,
}

impl<'a> Parts<'a> {
    /// Of a URL without parameters.
    fn of(url: &'a str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("it is no URL")?;
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        Ok(Parts { scheme, user, hosts, database })
    }

    fn configs(&self, hosts: &str, query: &str, mode: Option<SslMode>) -> Result<Vec<Config>, String> {
        let Parts { scheme, user, database, .. } = self;
        let at = if user.is_empty() { "" } else { "@" };
        let config = |host| Config::from_str(&format!("{scheme}://{user}{at}{host}/{database}?{query}")).map_err(|e| e.to_string());
        let mut configs = hosts.split(',').map(config).collect::<Result<Vec<_>, _>>()?;
        if configs.iter().any(|config| config.get_hosts().is_empty()) {
            return Err("it names no host".into());
        }
        let here = configs.iter().flat_map(|config| config.get_hosts()).all(is_here);
        for config in &mut configs {
            config.ssl_mode(mode.unwrap_or(if here { SslMode::Disable } else { SslMode::Require }));
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
            config.application_name(APPLICATION);
            config.keepalives_idle(KEEPALIVE);
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        Ok(configs)
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
        let text = "postgres://u:secret@db1:5433,db2/shop?lease_ms=2000&sslrootcert=/x.pem&target_session_attrs=read-write";
        let options = PostgresOptions::parse(text).unwrap();
        assert_eq!(options.shown(), "postgres://db1,db2/shop");
        assert!(!format!("{options:?}").contains("secret"));
        let first = &options.hosts[0];
        assert_eq!((options.lease, first.get_ssl_mode()), (Duration::from_secs(2), SslMode::Require));
        assert_eq!((first.get_ports(), first.get_password()), (&[5433][..], Some(&b"secret"[..])));
        let here = PostgresOptions::parse("postgres://u@localhost/shop").unwrap();
        assert_eq!((here.lease, here.hosts[0].get_ssl_mode()), (DEFAULT_LEASE, SslMode::Disable));
        assert_eq!(here.hosts, here.direct);
        for bad in [
            "postgres://u@h/d?sslmode=prefer",
            "postgres://u@h/d?lease_ms=x",
            "postgres://u@h:x/d",
            "postgres:///d",
            "postgres://u@a,b/d?target_session_attrs=read-only",
        ] {
            assert!(PostgresOptions::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pooler_is_passed_by_where_that_is_needed() {
        let options = PostgresOptions::parse("postgres://u@pool:6432/shop?direct=db1:5432,db2").unwrap();
        let names = |configs: &[Config]| configs.iter().map(|config| config.get_ports().to_vec()).collect::<Vec<_>>();
        assert_eq!((names(&options.hosts), names(&options.direct)), (vec![vec![6432]], vec![vec![5432], vec![5432]]));
        assert_eq!(options.direct[1].get_dbname(), Some("shop"));
        assert_eq!(options.in_database("other").direct[1].get_dbname(), Some("other"));
    }
}
