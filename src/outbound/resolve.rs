//! From host names to addresses, asynchronously and with a cache (hickory), by the system's configuration.

use crate::model::Cause;
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ResolverConfig, ResolverOpts},
    net::runtime::TokioRuntimeProvider,
};
use std::{net::IpAddr, time::Duration};

/// One question to one name server.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Questions before giving up.
const TRIES: usize = 2;
/// Answers that are kept.
const CACHED: u64 = 4096;
/// The longest time for which an answer is kept, whatever its own says.
const MAX_TTL: Duration = Duration::from_secs(300);

/// Resolves host names.
#[async_trait::async_trait]
pub(super) trait Resolve: Send + Sync {
    /// Every address of the name.
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, (Cause, String)>;
}

/// The system's resolver.
pub(super) struct SystemResolver(TokioResolver);

impl SystemResolver {
    /// Reads the system's configuration; without one only names of the hosts file resolve.
    pub(super) fn new() -> Result<Self, String> {
        let mut builder = TokioResolver::builder_tokio()
            .unwrap_or_else(|_| Resolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default()));
        let options: &mut ResolverOpts = builder.options_mut();
        options.timeout = TIMEOUT;
        options.attempts = TRIES;
        options.cache_size = CACHED;
        options.positive_max_ttl = Some(MAX_TTL);
        options.negative_max_ttl = Some(MAX_TTL);
        builder.build().map(SystemResolver).map_err(|error| error.to_string())
    }
}

#[async_trait::async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, (Cause, String)> {
        match self.0.lookup_ip(name).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_no_records_found() => Err((Cause::NameNotFound, String::new())),
            Err(error) => Err((Cause::ResolverFailed, error.to_string())),
        }
    }
}
