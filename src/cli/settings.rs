//! The flags that set settings. They are text here: the configuration's rules judge them, wherever a value comes from.

use super::complain;
use crate::config::{Config, Given};
use std::{collections::HashMap, path::PathBuf};

/// Where the configuration and the data are.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct PlaceArgs {
    /// Configuration file [default: postrider.toml in the data folder or the working folder]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Folder of everything that is kept [default: data]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<String>,
}

/// Every setting that has a flag.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct SettingArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Address to listen at [default: 127.0.0.1:8071]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// File of the certificates with which to speak TLS; read again at SIGHUP and when it changes
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    tls_cert: Option<String>,
    /// File of their key
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    tls_key: Option<String>,
    /// Connections that one address may hold, trusted proxies aside; 0 for no limit [default: 4096]
    #[arg(long, value_name = "N")]
    connections_per_address: Option<String>,
    /// Where people reach this server, if not at the address it listens at
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Network of proxies that are believed who sent what they pass on (Forwarded, X-Forwarded-*); may be repeated
    #[arg(long, value_name = "CIDR")]
    trusted_proxy: Vec<String>,
    /// Network that is not public, to which deliveries may go all the same; may be repeated
    #[arg(long, value_name = "CIDR")]
    allow_cidr: Vec<String>,
    /// Store: embedded, or the folder of one [default: embedded]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Database of an application whose outbox is read (see `postrider outbox`); may be repeated
    #[arg(long, value_name = "URL")]
    outbox: Vec<String>,
    /// File of more trusted root certificates towards receivers
    #[arg(long, value_name = "PEM")]
    ca_file: Option<String>,
    /// Largest payload of a message [default: 1MiB]
    #[arg(long, value_name = "SIZE")]
    max_payload: Option<String>,
    /// One deadline for an attempt [default: 15s]
    #[arg(long, value_name = "DURATION")]
    attempt_timeout: Option<String>,
    /// Delays before retries, between commas; none for no retries [default: 5s,5m,30m,2h,5h,10h,10h]
    #[arg(long, value_name = "DELAYS")]
    retry_schedule: Option<String>,
    /// How many times faster than its schedule a delivery is tried again, to try things out [default: 1]
    #[arg(long, value_name = "N")]
    retry_speed: Option<String>,
    /// How long messages are kept [default: 90d]
    #[arg(long, value_name = "DURATION")]
    retention: Option<String>,
    /// An endpoint that has failed for so long is disabled [default: 5d]
    #[arg(long, value_name = "DURATION")]
    disable_after: Option<String>,
    /// How long a shutdown may wait for what is running [default: 10s]
    #[arg(long, value_name = "DURATION")]
    shutdown_timeout: Option<String>,
    /// Levels of what is logged, as warn,postrider=debug [default: info]
    #[arg(long, value_name = "LEVELS")]
    log: Option<String>,
    /// How log lines look: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Documented systems to serve, between commas; all, or none [default: all]
    #[arg(long, value_name = "NAMES")]
    systems: Option<String>,
    /// Profiles of the endpoints of systems, as connect=acme [default: each system's own]
    #[arg(long, value_name = "PAIRS")]
    system_profiles: Option<String>,
    /// Where Nudj's routes are too [default: /api/v2/admin]
    #[arg(long, value_name = "PATH")]
    nudj_prefix: Option<String>,
    /// Networks from which deliveries come, for receivers to let in [default: none]
    #[arg(long, value_name = "CIDRS")]
    ip_ranges: Option<String>,
    /// Operator's name on the customers' portal
    #[arg(long, value_name = "NAME")]
    portal_name: Option<String>,
    /// File of the operator's logo on the portal
    #[arg(long, value_name = "IMAGE")]
    portal_logo: Option<String>,
    /// Accent of the portal, made darker or lighter until it is legible
    #[arg(long, value_name = "#RRGGBB")]
    portal_color: Option<String>,
    /// Accent of the portal in the dark, unless it is the same
    #[arg(long, value_name = "#RRGGBB")]
    portal_dark_color: Option<String>,
    /// Origins that may put the portal into a frame, between commas
    #[arg(long, value_name = "ORIGINS")]
    portal_origins: Option<String>,
    /// Mail server for alerts, as smtps://host, smtp://host (STARTTLS) or smtp+plain://host [default: none]
    #[arg(long, value_name = "URL")]
    smtp: Option<String>,
    /// Name to sign in with there; the password is POSTRIDER_SMTP_PASSWORD
    #[arg(long, value_name = "NAME")]
    smtp_user: Option<String>,
    /// Sender of letters
    #[arg(long, value_name = "ADDRESS")]
    mail_from: Option<String>,
    /// Whether people may sign in by passwords [default: on]
    #[arg(long, value_name = "ON|OFF")]
    password_sign_in: Option<String>,
    /// Identity provider (OpenID Connect) for people who sign in [default: none]
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<String>,
    /// This server's name there; its secret is POSTRIDER_OIDC_CLIENT_SECRET
    #[arg(long, value_name = "ID")]
    oidc_client_id: Option<String>,
    /// What is asked of it [default: openid email profile]
    #[arg(long, value_name = "SCOPES")]
    oidc_scopes: Option<String>,
    /// What its button says [default: Sign in with your organization]
    #[arg(long, value_name = "TEXT")]
    oidc_label: Option<String>,
    /// Domains of verified e-mail that are let in, between commas [default: all]
    #[arg(long, value_name = "DOMAINS")]
    oidc_domains: Option<String>,
    /// Claim that decides about roles, at every sign-in [default: none]
    #[arg(long, value_name = "NAME")]
    oidc_role_claim: Option<String>,
    /// What its values mean, as admins=admin,staff=viewer
    #[arg(long, value_name = "PAIRS")]
    oidc_roles: Option<String>,
    /// Role of those of whom nothing says one; none: they are not let in [default: none]
    #[arg(long, value_name = "ROLE")]
    oidc_default_role: Option<String>,
    /// Threads that serve; 0 is one a core [default: 0]
    #[arg(long, value_name = "N")]
    worker_threads: Option<String>,
}

impl PlaceArgs {
    /// These places; `None` is the default.
    pub(super) fn of(config: Option<PathBuf>, data: Option<String>) -> Self {
        PlaceArgs { config, data }
    }

    /// The configuration, with no other flags.
    pub(super) fn read(&self) -> anyhow::Result<Config> {
        SettingArgs { place: self.clone(), ..SettingArgs::default() }.read()
    }
}

impl SettingArgs {
    /// The configuration, as flags, environment and file say.
    pub(super) fn read(&self) -> anyhow::Result<Config> {
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let given = Given { file: self.place.config.clone(), variables: variables.collect(), flags: self.flags() };
        let config = Config::read(&given)?;
        for stray in &config.strays {
            complain(&format!("warning: {stray} is set, but there is no such setting"));
        }
        Ok(config)
    }

    fn flags(&self) -> HashMap<&'static str, String> {
        let joined = |list: &[String]| (!list.is_empty()).then(|| list.join(","));
        let (cidrs, proxies) = (joined(&self.allow_cidr), joined(&self.trusted_proxy));
        let outboxes = (!self.outbox.is_empty()).then(|| self.outbox.join(" "));
        let flags = [
            ("data", &self.place.data),
            ("listen", &self.listen),
            ("tls_cert", &self.tls_cert),
            ("tls_key", &self.tls_key),
            ("connections_per_address", &self.connections_per_address),
            ("public_url", &self.public_url),
            ("trusted_proxies", &proxies),
            ("allow_cidr", &cidrs),
            ("store", &self.store),
            ("outbox", &outboxes),
            ("ca_file", &self.ca_file),
            ("max_payload", &self.max_payload),
            ("attempt_timeout", &self.attempt_timeout),
            ("retry_schedule", &self.retry_schedule),
            ("retry_speed", &self.retry_speed),
            ("retention", &self.retention),
            ("disable_after", &self.disable_after),
            ("shutdown_timeout", &self.shutdown_timeout),
            ("log", &self.log),
            ("log_format", &self.log_format),
            ("systems", &self.systems),
            ("system_profiles", &self.system_profiles),
            ("nudj_prefix", &self.nudj_prefix),
            ("ip_ranges", &self.ip_ranges),
            ("portal_name", &self.portal_name),
            ("portal_logo", &self.portal_logo),
            ("portal_color", &self.portal_color),
            ("portal_dark_color", &self.portal_dark_color),
            ("portal_origins", &self.portal_origins),
            ("smtp", &self.smtp),
            ("smtp_user", &self.smtp_user),
            ("mail_from", &self.mail_from),
            ("password_sign_in", &self.password_sign_in),
            ("oidc_issuer", &self.oidc_issuer),
            ("oidc_client_id", &self.oidc_client_id),
            ("oidc_scopes", &self.oidc_scopes),
            ("oidc_label", &self.oidc_label),
            ("oidc_domains", &self.oidc_domains),
            ("oidc_role_claim", &self.oidc_role_claim),
            ("oidc_roles", &self.oidc_roles),
            ("oidc_default_role", &self.oidc_default_role),
            ("worker_threads", &self.worker_threads),
        ];
        flags.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KEYS;
    use clap::Args;

    #[test]
    fn every_setting_that_is_no_secret_has_a_flag() {
        let command = SettingArgs::augment_args(clap::Command::new("x"));
        let flags: Vec<_> = command.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect();
        for key in &KEYS {
            assert_eq!(flags.contains(&key.flag()), !key.secret, "{}", key.name);
        }
        let all = SettingArgs {
            place: PlaceArgs { config: None, data: Some("d".into()) },
            trusted_proxy: vec!["127.0.0.1".into()],
            allow_cidr: vec!["10.0.0.0/8".into(), "::1/128".into()],
            ..SettingArgs::default()
        };
        assert_eq!(all.flags()["trusted_proxies"], "127.0.0.1");
        assert_eq!(all.flags()["allow_cidr"], "10.0.0.0/8,::1/128");
    }
}
