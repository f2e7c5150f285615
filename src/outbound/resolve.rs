//! From a host name to all of its addresses.

use async_trait::async_trait;
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{LookupIpStrategy, ResolverConfig},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::op::ResponseCode,
};
use std::{fmt::Debug, net::IpAddr};

/// Why a name has no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolveError {
    /// The name does not exist, or has no address.
    NotFound,
    /// It is not known whether it has: the resolver failed.
    Failed(String),
}

/// Resolves names. The caller bounds the time that it takes.
#[async_trait]
pub trait Resolve: Debug + Send + Sync + 'static {
    /// Every address of a host, IPv4 and IPv6.
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError>;
}

/// The resolver that the system's configuration describes (`/etc/resolv.conf`, `/etc/hosts`), with a cache that keeps to
/// each answer's time to live.
#[derive(Clone)]
pub struct SystemResolver(TokioResolver);

impl Debug for SystemResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemResolver")
    }
}

impl SystemResolver {
    /// Reads the system's configuration. Where there is none that can be read, names of `/etc/hosts` and `localhost` still
    /// resolve.
    ///
    /// # Errors
    /// The resolver cannot be built at all.
    pub fn new() -> Result<Self, super::OutboundError> {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "no resolver configuration can be read; only names of the hosts file will resolve");
            Resolver::builder_with_config(ResolverConfig::from_parts(None, vec![], vec![]), TokioRuntimeProvider::default())
        });
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.build().map(SystemResolver).map_err(|error| super::OutboundError::Resolver(error.to_string()))
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        match self.0.lookup_ip(host).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(NetError::Dns(DnsError::NoRecordsFound(none)))
                if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
            {
                Err(ResolveError::NotFound)
            }
            Err(error) => Err(ResolveError::Failed(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_resolves_without_a_name_server() {
        let found = SystemResolver::new().unwrap().resolve("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
    }
}
