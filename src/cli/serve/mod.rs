//! `postrider serve`: opens everything from the bottom up, serves, and closes it from the top down.

mod again;
mod begun;
mod certificates;
mod crowd;
mod descriptors;
mod early;
mod first;
mod life;
mod moving;
mod patience;
mod people;
pub(super) mod place;
mod server;
mod weight;

use super::{
    demo,
    folder::{self, Folder},
    say,
    settings::SettingArgs,
};
use crate::{
    alerts,
    api::{self, Api, ApiOptions, Front, Rotating, TokenCache, TrustedProxies},
    clock::{Clock, SteadyClock, SystemClock},
    config::{Config, LogFormat, PortalLook, Source, StorePlace},
    dashboard::{self, Admission, Branding, OidcOptions, SignInOptions},
    flow::{Engine, Parts, Settings},
    inbound::Inbound,
    mail::{MailConfig, Mailer},
    outbound::{Outbound, OutboundConfig, read_roots},
    outbox,
    random::Random,
    shutdown::Shutdown,
    store::{
        FIRST_ORG,
        embedded::{EmbeddedOptions, EmbeddedStore},
        postgres::Outbox,
    },
    systems::{self, Options},
    telemetry, upkeep,
};
use anyhow::{Context, bail};
use descriptors::Descriptors;
use first::AdminKey;
use rustls::pki_types::CertificateDer;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::Instant};

/// Flags of `postrider serve`.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// Run a sample: a tenant, an echo receiver, a message every second; data in a temporary folder unless --data is given
    #[arg(long)]
    demo: bool,
}

/// Runs the server until a signal ends it.
pub(super) fn run(args: ServeArgs) -> anyhow::Result<()> {
    let mut config = args.settings.read()?;
    let random = Arc::new(Random::from_system().context("the system has no randomness to give")?);
    telemetry::start(&config.log, config.log_format == LogFormat::Json);
    let temporary = args.demo && config.in_force.iter().any(|s| s.name == "data" && s.source == Source::Default);
    if args.demo {
        demo::adapt(&mut config)?;
    }
    if temporary {
        config.data = folder::temporary(&random);
    }
    let descriptors = Descriptors::raise();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if config.worker_threads > 0 {
        runtime.worker_threads(config.worker_threads);
    }
    let data = config.data.clone();
    let served = runtime.enable_all().build()?.block_on(serve(config, random, args.demo, descriptors));
    if temporary {
        let _it_is_temporary = std::fs::remove_dir_all(data);
    }
    served
}

async fn serve(config: Config, random: Arc<Random>, demo: bool, descriptors: Descriptors) -> anyhow::Result<()> {
    let shutdown = Shutdown::by_signal()?;
    let clock: Arc<dyn Clock> = Arc::new(SteadyClock::over(SystemClock));
    let branding = branding(&config.portal)?;
    let listener = TcpListener::bind(&config.listen).await.with_context(|| format!("cannot listen at {}", config.listen))?;
    let address = listener.local_addr()?;
    let folder = Folder::of(&config);
    folder.make()?;
    let (store, unlocked, keys) = place::store(&folder, &config, &clock, &random).await?;
    let entrance = entrance(&config, &folder, descriptors)?;
    let admin = first::records(&folder, &*store, &config, (&*clock, &random)).await?;
    let link = people::first_link(&*store, demo, (&*clock, &random)).await.context("the first user cannot be made")?;
    let outbound = outbound(&config, descriptors, clock.clone())?;
    let mailer = mailer(&config)?;
    let ip_ranges = config.ip_ranges.iter().map(ToString::to_string).collect();
    let pages = dashboard::Options { sign_in: sign_in(&config)?, ip_ranges, branding };
    let parts = Parts { store, outbound, clock, random, vault: Arc::new(unlocked.vault), settings: settings(&config, descriptors) };
    let engine = Engine::start(parts).await.context("the engine cannot start")?;
    engine.keep_keys_in(keys).await;
    let inbound = Inbound::start(engine.clone()).await.context("the sources cannot be loaded")?;
    tokio::spawn(upkeep::run(engine.clone()));
    let telling = alerts::Options { mailer: mailer.clone(), public_url: config.public_url.clone() };
    tokio::spawn(alerts::run(engine.clone(), telling));
    if !demo {
        tokio::spawn(again::when_broken(engine.store.clone(), folder.store().to_owned()));
    }
    read_outboxes(&engine, &config)?;
    folder.note_url(&format!("{}://{}", scheme(&config), reachable(address)))?;
    announce(&config, &folder, address, (unlocked.new, &admin, link));

    let api = Api {
        engine: engine.clone(),
        inbound: inbound.clone(),
        tokens: TokenCache::default(),
        rotating: Rotating::default(),
        options: ApiOptions { mailer, ..options(&config) },
    };
    let api = Arc::new(api);
    let service = api::router(api.clone()).merge(systems::router(api.clone(), systems_options(&config)));
    let router = service.clone().merge(dashboard::router(api.clone(), service, pages));
    let front = Front::new(api, router);
    let key = config.admin_key.clone().map_or_else(|| folder.read_admin_key(), |key| Ok(Some(key)));
    let sample = match key? {
        Some(key) if demo => Some(demo::start(key, reachable(address), shutdown.clone())?),
        None if demo => bail!("the demonstration needs the admin key, and {} is not there", folder.admin_key().display()),
        _ => None,
    };
    let begun = shutdown.clone();
    let deadline = tokio::spawn(async move {
        begun.raised().await;
        Instant::now() + config.shutdown_timeout
    });
    server::serve((listener, entrance), move |peer| front.clone().facing(peer), shutdown, config.shutdown_timeout).await;
    let left = deadline.await.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()));
    folder.forget_url();
    let draining = Instant::now();
    inbound.drain(left).await;
    engine.shut_down(left.saturating_sub(draining.elapsed())).await.context("the store did not close well")?;
    if let Some(sample) = sample {
        sample.await??;
    }
    tracing::info!("stopped");
    Ok(())
}

/// How the portal looks.
fn branding(look: &PortalLook) -> anyhow::Result<Branding> {
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read the logo {}", path.display()))?;
        crate::model::Logo::read(bytes).map_err(|rule| anyhow::anyhow!("the logo {} cannot be used: {rule}", path.display()))
    };
    Ok(Branding {
        name: look.name.clone(),
        logo: look.logo.as_ref().map(read).transpose()?,
        color: look.color,
        dark_color: look.dark_color,
        origins: look.origins.clone(),
    })
}

/// Who may come in, and whether they speak TLS.
fn entrance(config: &Config, folder: &Folder, descriptors: Descriptors) -> anyhow::Result<server::Entrance> {
    let tls = match (&config.tls_cert, &config.tls_key) {
        (None, None) => {
            folder.note_certificate(None)?;
            None
        }
        (Some(cert), Some(key)) => Some(certificates::Certificates::read(cert, key, folder)?),
        _ => bail!("tls_cert and tls_key go together: set both, or neither"),
    };
    tls.iter().try_for_each(|certificates| certificates.keep_fresh())?;
    let crowd = crowd::Crowd::new(config.connections_per_address, config.trusted_proxies.clone());
    Ok(server::Entrance { crowd, tls, room: descriptors.clients })
}

fn scheme(config: &Config) -> &'static str {
    if config.tls_cert.is_some() { "https" } else { "http" }
}

/// Opens the store of a data folder.
///
/// # Errors
/// Another process has it open, or it cannot be read.
pub(super) fn open(folder: &Folder, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<EmbeddedStore>> {
    let store = EmbeddedStore::open(&EmbeddedOptions::at(folder.store()), clock);
    store.with_context(|| format!("the store in {} cannot be opened", folder.store().display()))
}

/// Trust anchors beside those of the web.
fn extra_roots(config: &Config) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let Some(path) = &config.ca_file else { return Ok(Vec::new()) };
    let pem = std::fs::read(path).with_context(|| format!("cannot read the certificates in {}", path.display()))?;
    read_roots(&pem).with_context(|| format!("{} does not hold PEM certificates", path.display()))
}

/// How people sign in to the dashboard.
fn sign_in(config: &Config) -> anyhow::Result<SignInOptions> {
    let oidc = match (&config.oidc_issuer, &config.oidc_client_id) {
        (Some(issuer), Some(client_id)) => Some(OidcOptions {
            issuer: issuer.clone(),
            client_id: client_id.clone(),
            client_secret: config.oidc_client_secret.clone(),
            scopes: config.oidc_scopes.clone(),
            label: config.oidc_label.clone(),
            admission: Admission {
                domains: config.oidc_domains.clone(),
                role_claim: config.oidc_role_claim.clone(),
                roles: config.oidc_roles.clone(),
                default_role: config.oidc_default_role,
            },
        }),
        (None, None) => None,
        _ => bail!("oidc_issuer and oidc_client_id go together: set both, or neither"),
    };
    if oidc.is_none() && !config.password_sign_in {
        bail!("password_sign_in is off and there is no identity provider: nobody could sign in but by links");
    }
    Ok(SignInOptions { password: config.password_sign_in, oidc })
}

/// What sends letters, if a mail server is configured.
fn mailer(config: &Config) -> anyhow::Result<Option<Arc<Mailer>>> {
    let (place, from) = match (&config.smtp, &config.mail_from) {
        (Some(place), Some(from)) => (place.clone(), from.clone()),
        (None, None) => return Ok(None),
        _ => bail!("smtp and mail_from go together: set both, or neither"),
    };
    let credentials = match (&config.smtp_user, &config.smtp_password) {
        (Some(user), Some(password)) => Some((user.clone(), password.clone())),
        (None, None) => None,
        _ => bail!("smtp_user and smtp_password go together: set both, or neither"),
    };
    let mail = MailConfig { place, credentials, from, extra_roots: extra_roots(config)? };
    Ok(Some(Arc::new(Mailer::new(mail).context("letters cannot be sent as smtp and mail_from say")?)))
}

fn outbound(config: &Config, descriptors: Descriptors, clock: Arc<dyn Clock>) -> anyhow::Result<Outbound> {
    let outbound = OutboundConfig {
        allow: config.allow_cidr.clone(),
        extra_roots: extra_roots(config)?,
        idle_total: descriptors.idle,
        ..OutboundConfig::default()
    };
    Outbound::new(outbound, clock).context("outgoing HTTP cannot be set up")
}

/// Begins to pick up what applications publish by INSERT: in the store's own database, and where it is configured.
fn read_outboxes(engine: &Arc<Engine>, config: &Config) -> anyhow::Result<()> {
    let own = match &config.store {
        StorePlace::Postgres(options) => Some(&**options),
        StorePlace::Data | StorePlace::Folder(_) => None,
    };
    let rules = outbox::Rules { max_payload: config.max_payload, first_org: FIRST_ORG };
    for options in own.into_iter().chain(&config.outboxes) {
        let outbox = Outbox::new(options).with_context(|| format!("the outbox at {} cannot be read", options.shown()))?;
        tokio::spawn(outbox::run(engine.clone(), outbox, rules));
    }
    Ok(())
}

fn settings(config: &Config, descriptors: Descriptors) -> Settings {
    Settings {
        attempt_timeout: config.attempt_timeout,
        retry_policy: config.retry_policy.clone(),
        retry_speed: config.retry_speed,
        disable_after: config.disable_after,
        retention: config.retention,
        max_in_flight: descriptors.attempts,
    }
}

fn options(config: &Config) -> ApiOptions {
    ApiOptions {
        max_payload: config.max_payload,
        public_url: config.public_url.clone(),
        trusted_proxies: TrustedProxies(config.trusted_proxies.clone()),
        jwt_secret: config.jwt_secret.clone(),
        scheme: scheme(config),
        ..ApiOptions::new(FIRST_ORG)
    }
}

/// What the configuration says of the documented systems.
pub(super) fn systems_options(config: &Config) -> Options {
    Options {
        on: config.systems.clone(),
        profiles: config.system_profiles.clone(),
        nudj_prefix: config.nudj_prefix.clone(),
        ip_ranges: config.ip_ranges.iter().map(ToString::to_string).collect(),
        linear_secret: config.linear_secret.clone(),
    }
}

/// Where this machine reaches a socket that may listen at every address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    reachable
}

fn announce(config: &Config, folder: &Folder, address: SocketAddr, (new, admin, link): (bool, &AdminKey, Option<String>)) {
    let scheme = scheme(config);
    let url = config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", reachable(address)));
    say(&format!("postrider {}", env!("CARGO_PKG_VERSION")));
    say(&format!("listening on   {scheme}://{address}"));
    match link {
        Some(path) => say(&format!("dashboard      {url}{path}  (signs in once, within 24 hours)")),
        None => say(&format!("dashboard      {url}/dashboard")),
    }
    say(&format!("API reference  {url}/docs"));
    say(&format!("data folder    {}", config.data.display()));
    if let StorePlace::Postgres(options) = &config.store {
        say(&format!("store          {}", options.shown()));
    }
    let note = if new { "  (made now; keep a copy: without it the stored secrets cannot be read)" } else { "" };
    say(&format!("master key     {}{note}", folder.master_key().display()));
    match admin {
        AdminKey::Made => say(&format!("admin key      {}  (made now)", folder.admin_key().display())),
        AdminKey::InFile => say(&format!("admin key      {}", folder.admin_key().display())),
        AdminKey::Configured { new } => {
            let note = if *new { "  (added now; keys that were there stay)" } else { "" };
            say(&format!("admin key      as configured{note}"));
        }
        AdminKey::Kept => say("admin key      none here; `postrider keys list` shows the keys there are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_every_address_is_reached_at_loopback() {
        let said = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(said("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(said("[::]:1"), "[::1]:1");
        assert_eq!(said("10.1.2.3:1"), "10.1.2.3:1");
    }
}
