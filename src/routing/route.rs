//! One endpoint, compiled: its URL parsed, its subscriptions ready to match, its secrets and headers decrypted.

use super::{CompiledProfile, Signer, access, catalogue::Catalogue, profile, profiles::Resolved};
use crate::{
    crypto::{Vault, VaultError},
    model::{AppId, CATEGORY, DisabledBy, Endpoint, EndpointId, Filter, Order, OrgId, Outcome, RetryPolicy, System, Time},
    outbound::{Outbound, OutboundRequest, Target, TargetError, TokenSource, WayError},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::AUTHORIZATION};
use postrider_signature::{Key, KeyError};
use std::{fmt, sync::Arc, time::Duration};
use zeroize::Zeroizing;

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
    /// A secret is none of the profile's.
    #[error("an endpoint's secret cannot sign as its profile says: {0}")]
    Secret(String),
    /// The profile wants `https://`.
    #[error("only https URLs are taken, as the profile {0} has it")]
    NotHttps(Arc<str>),
    /// The profile is not there.
    #[error("there is no profile {0}")]
    Profile(String),
    /// A custom header is not one.
    #[error("an endpoint's custom header is not a header")]
    Header,
    /// The credentials, or the organization's proxy, cannot be used.
    #[error("the endpoint's credentials cannot be used: {0}")]
    Way(#[from] WayError),
}

/// A key that signs until it expires.
#[derive(Clone, Debug)]
struct SigningKey {
    key: Key,
    expires_at: Option<Time>,
}

/// A secret that signs until it expires.
#[derive(Clone)]
struct LiveSecret {
    text: Zeroizing<String>,
    expires_at: Option<Time>,
}

impl fmt::Debug for LiveSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveSecret(…)")
    }
}

/// What signs: keys where they are made ready, texts where the scheme reads them.
#[derive(Clone, Debug)]
enum Keys {
    Standard(Vec<SigningKey>),
    Texts(Vec<LiveSecret>),
}

/// The event types that an endpoint wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Names, sorted.
    names: Vec<String>,
    /// What names begin with (`reward.` of `reward.*`).
    beginnings: Vec<String>,
    /// Categories: which types are in them, the organization's catalogue says at that moment.
    categories: Vec<String>,
    catalogue: (OrgId, Arc<Catalogue>),
}

impl Wanted {
    /// Names, patterns and categories as an endpoint has them. `None`: all are wanted.
    fn of(list: &[String], catalogue: (OrgId, Arc<Catalogue>)) -> Option<Wanted> {
        let categories = list.iter().filter_map(|name| name.strip_prefix(CATEGORY)).map(str::to_owned).collect();
        let list = list.iter().filter(|name| !name.starts_with(CATEGORY)).cloned();
        let (patterns, mut names): (Vec<String>, Vec<String>) = list.partition(|name| name.ends_with('*'));
        names.sort_unstable();
        let beginnings: Vec<String> = patterns.iter().filter_map(|pattern| pattern.strip_suffix('*')).map(str::to_owned).collect();
        (!beginnings.iter().any(String::is_empty)).then_some(Wanted { names, beginnings, categories, catalogue })
    }

    /// Whether an event type is wanted.
    #[must_use]
    pub fn contains(&self, event_type: &str) -> bool {
        self.names.binary_search_by(|name| name.as_str().cmp(event_type)).is_ok()
            || self.beginnings.iter().any(|beginning| event_type.starts_with(beginning.as_str()))
            || (!self.categories.is_empty() && self.catalogue.1.is_in(self.catalogue.0, event_type, &self.categories))
    }
}

/// Where requests go, and how they are let in.
#[derive(Clone, Debug)]
pub struct Sending {
    /// The URL, parsed, with the way there.
    pub target: Arc<Target>,
    /// Where access tokens come from, if requests need them.
    pub(super) tokens: Option<Arc<TokenSource>>,
}

impl Sending {
    /// One try of a request.
    pub async fn send(&self, outbound: &Outbound, request: OutboundRequest, deadline: Duration) -> Outcome {
        match &self.tokens {
            None => outbound.send(&self.target, request, deadline).await,
            Some(tokens) => Box::pin(tokens.send(outbound, &self.target, request, deadline)).await,
        }
    }

    /// Keeps the tokens of what it replaces, where they are the same.
    pub(super) fn inherit(&mut self, before: &Sending) {
        if let (Some(tokens), Some(old)) = (&mut self.tokens, &before.tokens)
            && tokens.is_same(old)
        {
            *tokens = old.clone();
        }
    }
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
    /// Where deliveries go, and how they are let in.
    pub sending: Sending,
    /// The URL as its owner wrote it.
    pub url: Arc<str>,
    /// Event types it wants. `None`: all.
    pub event_types: Option<Arc<Wanted>>,
    /// Channels it wants, sorted. `None`: any.
    pub channels: Option<Arc<[String]>>,
    /// What the payload must be like. `None`: anything.
    pub filter: Option<Arc<Filter>>,
    /// Whether deliveries are held, and why.
    pub disabled: Option<DisabledBy>,
    /// Deliveries a second at most. `None`: the application's limit.
    pub throttle_rate: Option<u16>,
    /// Attempts at once at most. `None`: as many as it answers well.
    pub concurrency: Option<u16>,
    /// Which of its deliveries go one after the other.
    pub ordering: Option<Order>,
    /// Custom headers.
    pub headers: HeaderMap,
    /// How its deliveries look and behave: as the endpoint says, else its application, else the organization.
    pub profile: Arc<CompiledProfile>,
    /// The method of its deliveries.
    pub method: Method,
    /// The documented surface that made it.
    pub system: Option<System>,
    /// The retry policy: its own, its profile's, or that of its application or organization. `None`: the server's.
    pub retry_policy: Option<Arc<RetryPolicy>>,
    keys: Keys,
}

impl Route {
    /// Compiles an endpoint.
    ///
    /// # Errors
    /// Something in it cannot be decrypted or read.
    pub(super) fn compile(
        endpoint: &Endpoint,
        resolved: Resolved,
        vault: &Vault,
        catalogue: &Arc<Catalogue>,
    ) -> Result<Self, RouteError> {
        let Resolved { profile, retry_policy, proxy } = resolved;
        let target = Target::parse(&endpoint.url)?;
        if profile.https_only && !target.is_https() {
            return Err(RouteError::NotHttps(profile.name.clone()));
        }
        let mut headers = HeaderMap::with_capacity(endpoint.headers.len());
        for (name, sealed) in &endpoint.headers {
            let name = HeaderName::try_from(name).map_err(|_| RouteError::Header)?;
            let mut value = HeaderValue::from_bytes(&vault.open(HEADER_PURPOSE, sealed)?).map_err(|_| RouteError::Header)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let list = endpoint.event_types.as_deref();
        let wanted = list.and_then(|list| Wanted::of(list, (endpoint.org, catalogue.clone())));
        let credentials = endpoint.credentials.as_ref().map(|sealed| access::open_credentials(vault, sealed)).transpose()?;
        let owner = endpoint.id.to_string();
        let access = access::access(target, &owner, credentials.as_ref(), proxy.as_deref())?;
        access.authorization.into_iter().for_each(|value| drop(headers.insert(AUTHORIZATION, value)));
        Ok(Route {
            id: endpoint.id,
            app: endpoint.app,
            org: endpoint.org,
            sending: access.sending,
            url: endpoint.url.as_str().into(),
            event_types: wanted.map(Arc::new),
            channels: sorted(endpoint.channels.as_deref()),
            filter: endpoint.filter.clone().map(Arc::new),
            disabled: endpoint.disabled,
            throttle_rate: endpoint.throttle_rate,
            concurrency: endpoint.concurrency,
            ordering: endpoint.ordering.clone(),
            headers,
            method: endpoint.method.map_or_else(|| profile.method.clone(), |given| profile::method(Some(given))),
            system: endpoint.system,
            retry_policy,
            keys: keys(endpoint, &profile.signer, vault)?,
            profile,
        })
    }

    /// The keys that sign at that time, the current one first.
    pub fn keys_at(&self, now: Time) -> impl Iterator<Item = &Key> {
        let keys: &[SigningKey] = if let Keys::Standard(keys) = &self.keys { keys } else { &[] };
        keys.iter().filter(move |k| k.expires_at.is_none_or(|end| now < end)).map(|k| &k.key)
    }

    /// The texts of the secrets that sign at that time, the current one first, where the scheme reads texts.
    pub fn secrets_at(&self, now: Time) -> impl Iterator<Item = &str> {
        let texts: &[LiveSecret] = if let Keys::Texts(texts) = &self.keys { texts } else { &[] };
        texts.iter().filter(move |s| s.expires_at.is_none_or(|end| now < end)).map(|s| s.text.as_str())
    }
}

/// The current secret signs first: a receiver that reads one signature reads the one that stays.
fn keys(endpoint: &Endpoint, signer: &Signer, vault: &Vault) -> Result<Keys, RouteError> {
    let secrets = endpoint.secrets.iter().rev().map(|secret| {
        vault.open_text(SECRET_PURPOSE, &secret.sealed).map(|text| (text, secret.expires_at)).map_err(RouteError::from)
    });
    if let Signer::Standard { .. } = signer {
        let keys = secrets.map(|secret| {
            let (text, expires_at) = secret?;
            Ok(SigningKey { key: Key::parse(&text)?, expires_at })
        });
        return keys.collect::<Result<_, RouteError>>().map(Keys::Standard);
    }
    let texts = secrets.map(|secret| {
        let (text, expires_at) = secret?;
        signer.check(&text).map_err(RouteError::Secret)?;
        Ok(LiveSecret { text, expires_at })
    });
    texts.collect::<Result<_, RouteError>>().map(Keys::Texts)
}

fn sorted(list: Option<&[String]>) -> Option<Arc<[String]>> {
    list.map(|list| {
        let mut list = list.to_vec();
        list.sort_unstable();
        list.into()
    })
}
