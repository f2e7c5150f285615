//! The API: router, callers, problems, and one file per resource.

mod alert;
pub mod application;
pub mod attempt;
mod audit;
pub mod auth;
pub mod authentication;
mod base;
pub mod body;
mod branding;
pub mod creation;
mod docs;
pub mod endpoint;
mod erase;
pub mod event_type;
mod filter;
pub mod forwarded;
mod front;
pub mod health;
mod house;
pub mod idempotency;
pub mod jwt;
pub mod key;
mod ledger;
mod limits;
mod master_key;
pub mod message;
pub mod openapi;
pub mod operational;
pub mod page;
pub mod patch;
pub mod problem;
pub mod profile;
mod proxy;
pub(crate) mod receive;
mod replay;
mod retention;
pub mod revise;
mod router;
pub mod rules;
mod scope;
pub mod source;
#[cfg(test)]
mod tests;
pub mod user;

pub use auth::{Caller, TokenCache};
pub use base::Base;
pub use body::{BodyLimit, Json, Path, Query, Stamp};
pub use creation::{Needs, New};
pub use forwarded::TrustedProxies;
pub use front::Front;
pub use idempotency::Idempotent;
pub use master_key::{Rotating, RotationOut};
pub use patch::Patch;
pub use problem::{Errors, Problem};
pub use router::router;

use crate::{flow::Engine, inbound::Inbound, mail::Mailer, model::OrgId};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The largest payload of a message by default, in bytes.
pub const DEFAULT_MAX_PAYLOAD: usize = 1 << 20;

/// What the handlers share.
pub struct Api {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The sources, and what receives for them.
    pub inbound: Arc<Inbound>,
    /// Tokens seen lately.
    pub tokens: TokenCache,
    /// The rotation of the master key.
    pub rotating: Rotating,
    /// Options.
    pub options: ApiOptions,
}

/// The state of the router.
pub type Shared = Arc<Api>;

/// What the API is told once, at its start.
pub struct ApiOptions {
    /// The largest payload of a message, in bytes.
    pub max_payload: usize,
    /// Where people reach this server, without a slash at the end. `None`: as the request's `Host` says.
    pub public_url: Option<String>,
    /// Proxies that are believed what they say of the requests they pass on.
    pub trusted_proxies: TrustedProxies,
    /// Turns on JWTs that are signed with it (HS256).
    pub jwt_secret: Option<Zeroizing<String>>,
    /// By which requests come in, unless a trusted proxy says otherwise: `http` or `https`.
    pub scheme: &'static str,
    /// Sends letters, if a mail server is configured.
    pub mailer: Option<Arc<Mailer>>,
    /// The organization of a fresh data folder, for which JWTs without an organization of ours stand.
    pub first_org: OrgId,
}

impl ApiOptions {
    /// The defaults.
    #[must_use]
    pub fn new(first_org: OrgId) -> Self {
        ApiOptions {
            max_payload: DEFAULT_MAX_PAYLOAD,
            public_url: None,
            trusted_proxies: TrustedProxies::default(),
            jwt_secret: None,
            scheme: "http",
            mailer: None,
            first_org,
        }
    }
}
