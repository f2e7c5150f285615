//! The settings by name: what each is called, what it is unless set, and what it may be.

/// One setting. Its variable is `POSTRIDER_` and the name in capitals, its flag the name with hyphens
/// (see [`Key::flag`]).
#[derive(Debug)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// Its value unless set; empty when it has none.
    pub default: &'static str,
    /// What a value must be, as the end of a sentence that starts with "must be".
    pub rule: &'static str,
    /// Whether it is only ever shown masked, and has no flag (a flag is seen by every process of the machine).
    pub secret: bool,
}

const fn key(name: &'static str, default: &'static str, rule: &'static str) -> Key {
    Key { name, default, rule, secret: false }
}

const fn secret(name: &'static str, rule: &'static str) -> Key {
    Key { name, default: "", rule, secret: true }
}

/// Every setting, in the order in which they are printed.
pub const KEYS: [Key; 47] = [
    key("data", "data", "a folder's path"),
    key("listen", "127.0.0.1:8071", "an address and a port, as 127.0.0.1:8071"),
    key("tls_cert", "", "the path of a file with PEM certificates, together with tls_key"),
    key("tls_key", "", "the path of a file with a PEM key, together with tls_cert"),
    key("connections_per_address", "4096", "a number from 0 (no limit) to 16384"),
    key("public_url", "", "an http or https URL without a query"),
    key("trusted_proxies", "none", "a list of networks, as 10.0.0.0/8"),
    key("allow_cidr", "none", "a list of networks, as 10.0.0.0/8"),
    key("store", "embedded", "embedded, a folder's path, or postgres://user@host/database"),
    key("outbox", "", "URLs as postgres://user@host/database, with spaces between them"),
    key("ca_file", "", "the path of a file with PEM certificates"),
    secret("admin_key", "16 to 256 visible ASCII characters"),
    secret("jwt_secret", "16 to 1024 characters"),
    key("max_payload", "1MiB", "a size from 1KiB to 64MiB, as 512KiB or a number of bytes"),
    key("attempt_timeout", "15s", "a duration from 100ms to 5m, as 15s"),
    key("retry_schedule", "5s, 5m, 30m, 2h, 5h, 10h, 10h", "a list of at most 50 delays in whole seconds, each at most 30d"),
    key("retry_speed", "1", "a number from 1 to 100000: so many times faster than its schedule a delivery is tried again"),
    key("retention", "90d", "a duration from 1h to 3650d, as 90d"),
    key("disable_after", "5d", "a duration from 1s to 365d, as 5d"),
    key("shutdown_timeout", "10s", "a duration from 0s to 10m, as 10s"),
    key("log", "info", "levels, as info or warn,postrider=debug"),
    key("log_format", "text", "text or json"),
    key("systems", "all", "a list of documented systems (`postrider systems list` names them), all, or none"),
    key("system_profiles", "none", "a list of profiles for the endpoints of systems, as connect=acme"),
    key("nudj_prefix", "/api/v2/admin", "a path as /api/v2/admin, or none"),
    key("ip_ranges", "none", "a list of networks from which deliveries come, as 203.0.113.0/28"),
    key(
        "smtp",
        "",
        "a mail server as smtps://host, smtp://host (STARTTLS) or smtp+plain://host, with a port if it is not the usual one",
    ),
    key("smtp_user", "", "the name to sign in with at the mail server, together with smtp_password"),
    secret("smtp_password", "at most 1024 characters"),
    key("mail_from", "", "the sender of letters, as hooks@example.com or Hooks <hooks@example.com>"),
    key("password_sign_in", "on", "on, or off with an identity provider"),
    key("oidc_issuer", "", "the http or https URL by which an identity provider calls itself"),
    key("oidc_client_id", "", "the name of this server there, together with oidc_issuer"),
    secret("oidc_client_secret", "at most 1024 characters"),
    key("oidc_scopes", "openid email profile", "what is asked for, between spaces, openid among them"),
    key("oidc_label", "Sign in with your organization", "1 to 60 characters"),
    key("oidc_domains", "none", "a list of domains of e-mail that are let in, as example.com, or none for all"),
    key("oidc_role_claim", "", "the claim that decides about roles, as groups"),
    key("oidc_roles", "none", "a list of what its values mean, as admins=admin, staff=viewer"),
    key("oidc_default_role", "none", "viewer, operator, admin, or none"),
    secret("linear_secret", "16 to 1024 characters"),
    key("portal_name", "", "the operator's name on the portal, of at most 60 characters"),
    key("portal_logo", "", "the path of an SVG, PNG, JPEG, WebP or GIF of at most 256 KiB"),
    key("portal_color", "", "a colour as #0a5c8f"),
    key("portal_dark_color", "", "a colour as #7ec8ff"),
    key("portal_origins", "none", "a list of origins that may put the portal into a frame, as https://app.example.com"),
    key("worker_threads", "0", "a number from 0 (one a core) to 1024"),
];

impl Key {
    /// The setting of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Its environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", super::PREFIX, self.name.to_ascii_uppercase())
    }

    /// Its flag. One that may be repeated is called by what it gives each time.
    #[must_use]
    pub fn flag(&self) -> String {
        let name = if self.name == "trusted_proxies" { "trusted_proxy" } else { self.name };
        format!("--{}", name.replace('_', "-"))
    }
}
