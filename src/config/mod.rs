//! Configuration: defaults, then a TOML file, then `POSTRIDER_*` variables, then flags. Every value knows where it came from.

mod keys;
mod layers;
#[cfg(test)]
mod tests;
mod value;

pub use keys::{KEYS, Key};
pub use layers::{Given, Source};
pub use value::duration;

use crate::{
    mail::MailPlace,
    model::{Color, MAX_BRAND_NAME, RetryPolicy, Role, System, read_origin},
    outbound::Cidr,
    store::postgres::PostgresOptions,
};
use layers::Layers;
use std::{ops::RangeInclusive, path::PathBuf, time::Duration};
use zeroize::Zeroizing;

/// What the variables of settings start with.
pub const PREFIX: &str = "POSTRIDER_";
/// Bytes that a payload may be allowed.
const PAYLOAD_BYTES: RangeInclusive<usize> = 1 << 10..=64 << 20;
/// Characters of an admin key that its owner chose.
const ADMIN_KEY_CHARS: RangeInclusive<usize> = 16..=256;
/// Bytes of a secret that somebody else signs with.
const SHARED_SECRET_BYTES: RangeInclusive<usize> = 16..=1024;
/// How many times faster than its schedule a delivery may be tried again.
const RETRY_SPEED: RangeInclusive<u32> = 1..=100_000;
/// What the masked value of a secret looks like.
const MASK: &str = "(set, not shown)";
/// A minute, in seconds.
const MINUTE_S: u64 = 60;
/// A day, in seconds.
const DAY_S: u64 = 86_400;

/// Where everything is kept.
#[derive(Clone, Debug)]
pub enum StorePlace {
    /// In the data folder.
    Data,
    /// In a folder of its own.
    Folder(PathBuf),
    /// In a database.
    Postgres(Box<PostgresOptions>),
}

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: String,
    },
    /// The file is not TOML.
    #[error("{}:{line}: not TOML: {error}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        error: String,
    },
    /// The file sets something that is no setting.
    #[error("{}:{line}: there is no setting `{name}`; `postrider config` lists them", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The name in the file.
        name: String,
    },
    /// A value breaks its setting's rule.
    #[error("{key}{} must be {rule} (from: {from})", shown(value))]
    BadValue {
        /// The setting.
        key: &'static str,
        /// The value; empty for secrets.
        value: String,
        /// Its rule.
        rule: &'static str,
        /// Where it came from.
        from: String,
    },
}

fn shown(value: &str) -> String {
    if value.is_empty() { String::new() } else { format!(" is `{value}`, but") }
}

impl ConfigError {
    fn bad(key: &Key, value: &str, source: &Source) -> Self {
        // A URL may hold a password.
        let hidden = key.secret || PostgresOptions::is_url(value);
        let value = if hidden { String::new() } else { value.to_owned() };
        ConfigError::BadValue { key: key.name, value, rule: key.rule, from: source.to_string() }
    }
}

/// How the customers' portal looks, and where it may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortalLook {
    /// The operator's name; empty: nobody's.
    pub name: String,
    /// The file of the operator's logo.
    pub logo: Option<PathBuf>,
    /// The accent.
    pub color: Option<Color>,
    /// The accent in the dark, unless it is the same.
    pub dark_color: Option<Color>,
    /// Origins whose pages may put it into a frame.
    pub origins: Vec<String>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A setting as it is in force, for people: secrets are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its name.
    pub name: &'static str,
    /// Its value; empty when it has none.
    pub value: String,
    /// Where the value came from.
    pub source: Source,
}

/// Everything that is configured.
#[derive(Clone)]
pub struct Config {
    /// The folder of everything that is kept.
    pub data: PathBuf,
    /// Address and port to listen at; port 0 is any that is free.
    pub listen: String,
    /// The certificates of the listener, if it speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// Their key.
    pub tls_key: Option<PathBuf>,
    /// Connections that one address may hold; 0 is no limit.
    pub connections_per_address: u32,
    /// Where people and browsers reach the server, without a slash at the end.
    pub public_url: Option<String>,
    /// Networks of proxies that are believed what they say of the requests they pass on.
    pub trusted_proxies: Vec<Cidr>,
    /// Networks that are not public, to which deliveries may go all the same.
    pub allow_cidr: Vec<Cidr>,
    /// Where everything is kept.
    pub store: StorePlace,
    /// Databases of applications whose outboxes are read.
    pub outboxes: Vec<PostgresOptions>,
    /// More trusted roots towards receivers.
    pub ca_file: Option<PathBuf>,
    /// An admin key that its owner chose.
    pub admin_key: Option<Zeroizing<String>>,
    /// Turns on JWTs, which it signs (HS256).
    pub jwt_secret: Option<Zeroizing<String>>,
    /// Bytes of a payload at most.
    pub max_payload: usize,
    /// One deadline for an attempt.
    pub attempt_timeout: Duration,
    /// Delays before retries.
    pub retry_policy: RetryPolicy,
    /// How many times faster than its schedule a failed delivery is tried again: to try things out.
    pub retry_speed: u32,
    /// How long messages are kept.
    pub retention: Duration,
    /// An endpoint that has failed for so long is disabled.
    pub disable_after: Duration,
    /// How long a shutdown may wait for what is running.
    pub shutdown_timeout: Duration,
    /// Levels of what is logged, as `tracing` filters are written.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The documented systems that are switched on.
    pub systems: Vec<System>,
    /// Profiles of the endpoints of systems, where they are not the system's own.
    pub system_profiles: Vec<(System, String)>,
    /// Where Nudj's routes are too; empty: nowhere.
    pub nudj_prefix: String,
    /// Networks from which deliveries come.
    pub ip_ranges: Vec<Cidr>,
    /// The mail server.
    pub smtp: Option<MailPlace>,
    /// The name to sign in with there.
    pub smtp_user: Option<String>,
    /// The password to sign in with there.
    pub smtp_password: Option<Zeroizing<String>>,
    /// From whom letters are.
    pub mail_from: Option<String>,
    /// Whether people may sign in by passwords.
    pub password_sign_in: bool,
    /// The identity provider's name as it is in its tokens.
    pub oidc_issuer: Option<String>,
    /// Our name there.
    pub oidc_client_id: Option<String>,
    /// Our secret there.
    pub oidc_client_secret: Option<Zeroizing<String>>,
    /// What is asked of it.
    pub oidc_scopes: String,
    /// What its button says.
    pub oidc_label: String,
    /// Domains of verified addresses that are let in; empty: all.
    pub oidc_domains: Vec<String>,
    /// The claim that decides about roles.
    pub oidc_role_claim: Option<String>,
    /// What its values mean.
    pub oidc_roles: Vec<(String, Role)>,
    /// The role of those of whom nothing says one.
    pub oidc_default_role: Option<Role>,
    /// With which Linear signs what it sends.
    pub linear_secret: Option<Zeroizing<String>>,
    /// How the portal is the operator's own.
    pub portal: PortalLook,
    /// Threads that serve; 0 is one a core.
    pub worker_threads: usize,
    /// Every setting, for people.
    pub in_force: Vec<InForce>,
    /// Variables that look like settings and are none.
    pub strays: Vec<String>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("in_force", &self.in_force).finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// The file cannot be read or names an unknown setting, or a value breaks its rule. The error names the setting, the
    /// rule and the place.
    pub fn read(given: &Given) -> Result<Self, ConfigError> {
        let layers = layers::layers(given)?;
        let get = Reader(&layers);
        let within =
            |text: &str, from_s: Duration, to_s: u64| duration(text).filter(|d| (from_s..=Duration::from_secs(to_s)).contains(d));
        let (zero, second) = (Duration::ZERO, Duration::from_secs(1));
        Ok(Config {
            data: get.value("data", path)?,
            listen: get.value("listen", address)?,
            tls_cert: get.optional("tls_cert", path)?,
            tls_key: get.optional("tls_key", path)?,
            connections_per_address: get.value("connections_per_address", |text| text.parse().ok().filter(|n| *n <= 16_384))?,
            public_url: get.optional("public_url", url)?,
            trusted_proxies: get.value("trusted_proxies", |text| value::list(text, |item| item.parse().ok()))?,
            allow_cidr: get.value("allow_cidr", |text| value::list(text, |item| item.parse().ok()))?,
            store: get.value("store", store)?,
            outboxes: get.value("outbox", outboxes)?,
            ca_file: get.optional("ca_file", path)?,
            admin_key: get.optional("admin_key", admin_key)?,
            jwt_secret: get.optional("jwt_secret", shared_secret)?,
            max_payload: get.value("max_payload", |text| value::size(text).filter(|n| PAYLOAD_BYTES.contains(n)))?,
            attempt_timeout: get.value("attempt_timeout", |t| within(t, second / 10, 5 * MINUTE_S))?,
            retry_policy: get.value("retry_schedule", schedule)?,
            retry_speed: get.value("retry_speed", |text| text.parse().ok().filter(|n| RETRY_SPEED.contains(n)))?,
            retention: get.value("retention", |t| within(t, second * 3600, 3650 * DAY_S))?,
            disable_after: get.value("disable_after", |t| within(t, second, 365 * DAY_S))?,
            shutdown_timeout: get.value("shutdown_timeout", |t| within(t, zero, 10 * MINUTE_S))?,
            log: get.value("log", |text| text.parse::<tracing_subscriber::EnvFilter>().is_ok().then(|| text.to_owned()))?,
            log_format: get.value("log_format", log_format)?,
            systems: get.value("systems", systems)?,
            system_profiles: get.value("system_profiles", system_profiles)?,
            nudj_prefix: get.value("nudj_prefix", prefix)?,
            ip_ranges: get.value("ip_ranges", |text| value::list(text, |item| item.parse().ok()))?,
            smtp: get.optional("smtp", MailPlace::parse)?,
            smtp_user: get.optional("smtp_user", one_line)?,
            smtp_password: get.optional("smtp_password", |text| one_line(text).map(Zeroizing::new))?,
            mail_from: get.optional("mail_from", one_line)?,
            password_sign_in: get.value("password_sign_in", on_or_off)?,
            oidc_issuer: get.optional("oidc_issuer", |text| url(text).map(|_| text.to_owned()))?,
            oidc_client_id: get.optional("oidc_client_id", one_line)?,
            oidc_client_secret: get.optional("oidc_client_secret", |text| one_line(text).map(Zeroizing::new))?,
            oidc_scopes: get.value("oidc_scopes", scopes)?,
            oidc_label: get.value("oidc_label", |text| one_line(text).filter(|text| (1..=60).contains(&text.chars().count())))?,
            oidc_domains: get.value("oidc_domains", |text| value::list(text, domain))?,
            oidc_role_claim: get.optional("oidc_role_claim", one_line)?,
            oidc_roles: get.value("oidc_roles", |text| value::list(text, claimed_role))?,
            oidc_default_role: get
                .value("oidc_default_role", |text| if text == "none" { Some(None) } else { Role::named(text).map(Some) })?,
            linear_secret: get.optional("linear_secret", shared_secret)?,
            portal: portal(&get)?,
            worker_threads: get.value("worker_threads", |text| text.parse().ok().filter(|n| *n <= 1024))?,
            in_force: KEYS.iter().map(|key| get.in_force(key)).collect(),
            strays: layers::strays(given),
        })
    }
}

struct Reader<'a>(&'a Layers);

impl Reader<'_> {
    fn text(&self, key: &Key) -> (&str, &Source) {
        self.0.get(key.name).map_or((key.default, &Source::Default), |(text, source)| (text, source))
    }

    fn value<T>(&self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T, ConfigError> {
        const NONE: Key = Key { name: "", default: "", rule: "", secret: false };
        let key = Key::named(name).unwrap_or(&NONE);
        let (text, source) = self.text(key);
        parse(text).ok_or_else(|| ConfigError::bad(key, text, source))
    }

    fn optional<T>(&self, name: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ConfigError> {
        self.value(name, |text| if text.is_empty() { Some(None) } else { parse(text).map(Some) })
    }

    fn in_force(&self, key: &Key) -> InForce {
        let (text, source) = self.text(key);
        let value = match text {
            text if key.secret && !text.is_empty() => MASK.to_owned(),
            text if PostgresOptions::is_url(text) => {
                outboxes(text).map_or(MASK.to_owned(), |urls| urls.iter().map(PostgresOptions::shown).collect::<Vec<_>>().join(" "))
            }
            text => text.to_owned(),
        };
        InForce { name: key.name, value, source: source.clone() }
    }
}

fn portal(get: &Reader<'_>) -> Result<PortalLook, ConfigError> {
    let name = |text: &str| (text.chars().count() <= MAX_BRAND_NAME && !text.contains(char::is_control)).then(|| text.to_owned());
    Ok(PortalLook {
        name: get.value("portal_name", name)?,
        logo: get.optional("portal_logo", path)?,
        color: get.optional("portal_color", Color::read)?,
        dark_color: get.optional("portal_dark_color", Color::read)?,
        origins: get.value("portal_origins", |text| value::list(text, read_origin))?,
    })
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn address(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let bare_ipv6 = host.contains(':') && !host.starts_with('[');
    (!host.is_empty() && !bare_ipv6 && port.parse::<u16>().is_ok()).then(|| text.to_owned())
}

fn url(text: &str) -> Option<String> {
    let uri: http::Uri = text.parse().ok()?;
    let usable = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none();
    usable.then(|| text.trim_end_matches('/').to_owned())
}

fn store(text: &str) -> Option<StorePlace> {
    match text {
        "embedded" => Some(StorePlace::Data),
        "" => None,
        text if PostgresOptions::is_url(text) => {
            PostgresOptions::parse(text).ok().map(|options| StorePlace::Postgres(Box::new(options)))
        }
        text if text.contains("://") => None,
        text => Some(StorePlace::Folder(PathBuf::from(text))),
    }
}

fn outboxes(text: &str) -> Option<Vec<PostgresOptions>> {
    let one = |url: &str| PostgresOptions::parse(url).ok().filter(|_| PostgresOptions::is_url(url));
    text.split_whitespace().map(one).collect()
}

fn admin_key(text: &str) -> Option<Zeroizing<String>> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    (visible && ADMIN_KEY_CHARS.contains(&text.len())).then(|| Zeroizing::new(text.to_owned()))
}

fn one_line(text: &str) -> Option<String> {
    (text.len() <= *SHARED_SECRET_BYTES.end() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn on_or_off(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn scopes(text: &str) -> Option<String> {
    one_line(text).filter(|text| text.split_whitespace().any(|scope| scope == "openid"))
}

fn domain(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    (text.contains('.') && text.bytes().all(plain)).then(|| text.to_ascii_lowercase())
}

fn claimed_role(item: &str) -> Option<(String, Role)> {
    let (value, role) = item.rsplit_once('=')?;
    Some((value.trim().to_owned(), Role::named(role.trim())?)).filter(|(value, _)| !value.is_empty())
}

fn shared_secret(text: &str) -> Option<Zeroizing<String>> {
    SHARED_SECRET_BYTES.contains(&text.len()).then(|| Zeroizing::new(text.to_owned()))
}

fn schedule(text: &str) -> Option<RetryPolicy> {
    let seconds = |item: &str| duration(item).filter(|d| d.subsec_millis() == 0).and_then(|d| u32::try_from(d.as_secs()).ok());
    value::list(text, seconds).map(RetryPolicy::Delays).filter(|policy| policy.check().is_ok())
}

fn system(name: &str) -> Option<System> {
    System::ALL.into_iter().find(|system| system.name() == name)
}

fn systems(text: &str) -> Option<Vec<System>> {
    if text.trim() == "all" { Some(System::ALL.to_vec()) } else { value::list(text, system) }
}

fn system_profiles(text: &str) -> Option<Vec<(System, String)>> {
    value::list(text, |item| {
        let (name, profile) = item.split_once('=')?;
        let profile = profile.trim();
        (!profile.is_empty()).then_some((system(name.trim())?, profile.to_owned()))
    })
}

fn prefix(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    let path = text.starts_with('/') && text.len() > 1 && !text.ends_with('/') && text.chars().all(plain);
    match text {
        "none" => Some(String::new()),
        text => path.then(|| text.to_owned()),
    }
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}
