//! One endpoint, compiled: its URL parsed, its subscriptions ready to match, its secrets and headers decrypted.

use crate::{
    crypto::{Vault, VaultError},
    model::{AppId, DisabledBy, Endpoint, EndpointId, OrgId, RetryPolicy, Time},
    outbound::{Target, TargetError},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use postrider_signature::{Key, KeyError};
use std::sync::Arc;

/// What the vault is told when it seals a signing secret.
pub const SECRET_PURPOSE: &str = "endpoint secret";
/// What the vault is told when it seals a custom header's value.
pub const HEADER_PURPOSE: &str = "endpoint header";

/// Why an endpoint cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// A secret or header does not decrypt.
    #[error("an endpoint's secret or header does not open: {0}")]
    Sealed(#[from] VaultError),
    /// A secret is not a key.
    #[error("an endpoint's secret is not a key: {0}")]
    Key(#[from] KeyError),
    /// The URL cannot be used.
    #[error("an endpoint's url cannot be used: {0}")]
    Url(#[from] TargetError),
    /// A custom header is not one.
    #[error("an endpoint's custom header is not a header")]
    Header,
}

/// A key that signs until it expires.
#[derive(Clone, Debug)]
struct SigningKey {
    key: Key,
    expires_at: Option<Time>,
}

/// One endpoint, compiled.
#[derive(Clone, Debug)]
pub struct Route {
    /// Identifier.
    pub id: EndpointId,
    /// Its application.
    pub app: AppId,
    /// Owner of the application.
    pub org: OrgId,
    /// Where deliveries go, parsed.
    pub target: Arc<Target>,
    /// The URL as its owner wrote it.
    pub url: Arc<str>,
    /// Event types it wants, sorted. `None`: all.
    pub event_types: Option<Arc<[String]>>,
    /// Channels it wants, sorted. `None`: any.
    pub channels: Option<Arc<[String]>>,
    /// Whether deliveries are held, and why.
    pub disabled: Option<DisabledBy>,
    /// Deliveries a second at most. `None`: the application's limit.
    pub throttle_rate: Option<u16>,
    /// Custom headers.
    pub headers: HeaderMap,
    /// Its own retry policy.
    pub retry_policy: Option<Arc<RetryPolicy>>,
    keys: Vec<SigningKey>,
}

impl Route {
    /// Compiles an endpoint.
    ///
    /// # Errors
    /// Something in it cannot be decrypted or read.
    pub fn compile(endpoint: &Endpoint, vault: &Vault) -> Result<Self, RouteError> {
        let mut headers = HeaderMap::with_capacity(endpoint.headers.len());
        for (name, sealed) in &endpoint.headers {
            let name = HeaderName::try_from(name).map_err(|_| RouteError::Header)?;
            let mut value = HeaderValue::from_bytes(&vault.open(HEADER_PURPOSE, sealed)?).map_err(|_| RouteError::Header)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        // The current secret signs first: a receiver that reads one signature reads the one that stays.
        let keys = endpoint.secrets.iter().rev().map(|secret| {
            let key = Key::parse(&vault.open_text(SECRET_PURPOSE, &secret.sealed)?)?;
            Ok(SigningKey { key, expires_at: secret.expires_at })
        });
        Ok(Route {
            id: endpoint.id,
            app: endpoint.app,
            org: endpoint.org,
            target: Arc::new(Target::parse(&endpoint.url)?),
            url: endpoint.url.as_str().into(),
            event_types: sorted(endpoint.event_types.as_deref()),
            channels: sorted(endpoint.channels.as_deref()),
            disabled: endpoint.disabled,
            throttle_rate: endpoint.throttle_rate,
            headers,
            retry_policy: endpoint.retry_policy.clone().map(Arc::new),
            keys: keys.collect::<Result<_, RouteError>>()?,
        })
    }

    /// The keys that sign at that time, the current one first.
    pub fn keys_at(&self, now: Time) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |k| k.expires_at.is_none_or(|end| now < end)).map(|k| &k.key)
    }
}

fn sorted(list: Option<&[String]>) -> Option<Arc<[String]>> {
    list.map(|list| {
        let mut list = list.to_vec();
        list.sort_unstable();
        list.into()
    })
}
