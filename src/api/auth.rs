//! Callers: who sends a request, told by its bearer token, and what that token may do.

use super::{
    Api, Shared,
    jwt::{self, Subject},
    problem::Problem,
    scope,
};
use crate::{
    crypto::hex,
    flow::Actor,
    model::{Address, AppId, AuditActor, Grant, KeyId, Kind, OrgId, Record, Scope, Time},
    routing::AppRoutes,
};
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a token is believed without asking the store again: another node may have revoked it.
const BELIEVED_FOR: Duration = Duration::from_secs(1);
/// Tokens remembered at most.
const MAX_REMEMBERED: usize = 10_000;
/// The longest token, in bytes.
const MAX_TOKEN_BYTES: usize = 8192;

/// Who sends a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The organization.
    pub org: OrgId,
    /// What the token may do.
    pub grant: Grant,
    /// The token's public name; `None` for a JWT, which cannot be revoked.
    pub key: Option<KeyId>,
}

impl Caller {
    /// The application with this id or uid.
    ///
    /// # Errors
    /// 404 when the organization has none, or a portal token is for another one.
    pub async fn application(&self, api: &Api, id_or_uid: &str) -> Result<Arc<AppRoutes>, Problem> {
        let app = api.engine.app(self.org, id_or_uid);
        app.filter(|app| self.may_see(app.application.id)).ok_or_else(|| Problem::not_found("application"))
    }

    fn may_see(&self, id: AppId) -> bool {
        match &self.grant {
            Grant::Key | Grant::Limited { .. } | Grant::Session => true,
            Grant::Portal { app, .. } => *app == id,
        }
    }

    /// Refuses portal tokens: the operation is the organization's.
    ///
    /// # Errors
    /// 403.
    pub fn manage(&self) -> Result<(), Problem> {
        match self.grant {
            // What a limited key may do was decided before the handler was asked.
            Grant::Key | Grant::Limited { .. } | Grant::Session => Ok(()),
            Grant::Portal { .. } => Err(Problem::forbidden("A portal token may not do this.")),
        }
    }

    /// Refuses keys that lack the scope.
    ///
    /// # Errors
    /// 403.
    pub fn holds(&self, needed: Scope) -> Result<(), Problem> {
        match &self.grant {
            Grant::Limited { scopes } if !scopes.iter().any(|scope| scope.covers(needed)) => {
                let name = format!("{needed:?}").to_lowercase();
                Err(Problem::forbidden(format!("This key lacks the scope `{name}`.")))
            }
            _ => Ok(()),
        }
    }

    /// Whether the caller may change things, and so sees what is as good as a secret.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.write().is_ok() && self.holds(Scope::Manage).is_ok()
    }

    /// Notes that the request that is being answered is this caller's.
    pub fn asks(&self) {
        let actor = match (&self.grant, self.key) {
            (_, None) => AuditActor::Jwt,
            (Grant::Key | Grant::Limited { .. }, _) => AuditActor::Key,
            (Grant::Session, _) => AuditActor::Session,
            (Grant::Portal { .. }, _) => AuditActor::Portal,
        };
        Actor::is(actor, self.key, self.org);
    }

    /// Refuses portal tokens that may only look.
    ///
    /// # Errors
    /// 403.
    pub fn write(&self) -> Result<(), Problem> {
        match self.grant {
            Grant::Portal { read_only: true, .. } => Err(Problem::forbidden("This portal token may only read.")),
            _ => Ok(()),
        }
    }

    /// Whether something that carries these feature flags is shown: to portal tokens with one of them, and to everybody
    /// when it carries none.
    #[must_use]
    pub fn shown(&self, flags: Option<&[String]>) -> bool {
        match (&self.grant, flags) {
            (Grant::Portal { feature_flags, .. }, Some(flags)) if !flags.is_empty() => {
                flags.iter().any(|flag| feature_flags.contains(flag))
            }
            _ => true,
        }
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        if let Some(known) = parts.extensions.get::<Caller>() {
            return Ok(known.clone());
        }
        let caller = api.bearer(parts).await?;
        caller.holds(scope::needed(&parts.method, parts.uri.path()))?;
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

/// The bearer token of a request.
pub(super) fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    let fits = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= MAX_TOKEN_BYTES;
    fits.then_some(token)
}

impl Api {
    /// Whom the bearer token of a request stands for.
    ///
    /// # Errors
    /// As [`Api::caller`].
    pub async fn bearer(&self, parts: &Parts) -> Result<Caller, Problem> {
        self.caller(bearer(parts).ok_or(Problem::Unauthorized)?).await
    }

    /// Whom a token stands for.
    ///
    /// # Errors
    /// 401 for nobody; 503 when the store has to be asked and is away.
    pub async fn caller(&self, token: &str) -> Result<Caller, Problem> {
        let caller = self.known_caller(token).await?;
        caller.asks();
        Ok(caller)
    }

    async fn known_caller(&self, token: &str) -> Result<Caller, Problem> {
        let now = self.engine.clock.now();
        if let Some(secret) = &self.options.jwt_secret
            && jwt::looks_like_one(token)
        {
            let subject = jwt::verify(secret.as_bytes(), token, self.engine.clock.wall()).ok_or(Problem::Unauthorized)?;
            return self.subject(subject).ok_or(Problem::Unauthorized);
        }
        let hash: Hash = Sha256::digest(token).into();
        match self.tokens.get(&hash, now) {
            Some(caller) => Ok(caller),
            None => self.look_up(hash, now).await,
        }
    }

    async fn look_up(&self, hash: Hash, now: Time) -> Result<Caller, Problem> {
        let address = Address::new(Kind::Token, "", hex(&hash));
        let Some(stored) = self.engine.store.find(&address, now).await? else { return Err(Problem::Unauthorized) };
        let Record::Token(token) = stored.record else { return Err(Problem::Unauthorized) };
        let caller = Caller { org: token.org, grant: token.grant, key: Some(token.id) };
        self.tokens.put(hash, caller.clone(), token.expires_at);
        Ok(caller)
    }

    fn subject(&self, subject: Subject) -> Option<Caller> {
        match subject {
            Subject::Org(org) => Some(Caller { org, grant: Grant::Key, key: None }),
            Subject::FirstOrg => Some(Caller { org: self.options.first_org, grant: Grant::Key, key: None }),
            Subject::App(app) => {
                let org = self.engine.routing.by_id(app)?.application.org;
                Some(Caller {
                    org,
                    grant: Grant::Portal { app, read_only: false, feature_flags: Vec::new(), session: None },
                    key: None,
                })
            }
        }
    }
}

/// SHA-256 of a token.
type Hash = [u8; 32];

/// Tokens seen lately, so that the hot path reads nothing from the store.
#[derive(Debug, Default)]
pub struct TokenCache(RwLock<HashMap<Hash, Remembered>>);

#[derive(Debug)]
struct Remembered {
    caller: Caller,
    expires_at: Option<Time>,
    until: Instant,
}

impl TokenCache {
    fn get(&self, hash: &Hash, now: Time) -> Option<Caller> {
        let tokens = self.0.read();
        let known = tokens.get(hash)?;
        let valid = known.until > Instant::now() && known.expires_at.is_none_or(|end| now < end);
        valid.then(|| known.caller.clone())
    }

    fn put(&self, hash: Hash, caller: Caller, expires_at: Option<Time>) {
        let mut tokens = self.0.write();
        if tokens.len() >= MAX_REMEMBERED {
            let now = Instant::now();
            tokens.retain(|_, known| known.until > now);
        }
        if tokens.len() >= MAX_REMEMBERED {
            tokens.clear();
        }
        tokens.insert(hash, Remembered { caller, expires_at, until: Instant::now() + BELIEVED_FOR });
    }

    /// Forgets a token that was revoked.
    pub fn forget(&self, key: KeyId) {
        self.0.write().retain(|_, known| known.caller.key != Some(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(grant: Grant) -> Caller {
        Caller { org: OrgId(1), grant, key: Some(KeyId(5)) }
    }

    fn portal(read_only: bool, flags: &[&str]) -> Caller {
        let feature_flags = flags.iter().map(ToString::to_string).collect();
        caller(Grant::Portal { app: AppId(2), read_only, feature_flags, session: None })
    }

    #[test]
    fn portal_tokens_are_held_to_their_application() {
        assert!(caller(Grant::Key).manage().is_ok() && caller(Grant::Session).write().is_ok());
        assert!(portal(false, &[]).manage().is_err() && portal(false, &[]).write().is_ok());
        assert!(portal(true, &[]).write().is_err());
        assert!(portal(true, &[]).may_see(AppId(2)) && !portal(true, &[]).may_see(AppId(3)));
    }

    #[test]
    fn flagged_things_are_shown_to_those_who_carry_the_flag() {
        let flags = ["beta".to_owned(), "gamma".to_owned()];
        assert!(caller(Grant::Key).shown(Some(&flags)));
        assert!(portal(false, &["gamma"]).shown(Some(&flags)) && !portal(false, &["x"]).shown(Some(&flags)));
        assert!(portal(false, &[]).shown(None) && portal(false, &[]).shown(Some(&[])));
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_believed_for_a_second_and_not_past_their_end() {
        let cache = TokenCache::default();
        cache.put([1; 32], caller(Grant::Key), Some(Time(100)));
        assert!(cache.get(&[1; 32], Time(99)).is_some());
        assert!(cache.get(&[1; 32], Time(100)).is_none());
        assert!(cache.get(&[2; 32], Time(99)).is_none());
        tokio::time::advance(BELIEVED_FOR).await;
        assert!(cache.get(&[1; 32], Time(99)).is_none());
    }

    #[tokio::test]
    async fn the_cache_is_bounded_and_forgets() {
        let cache = TokenCache::default();
        for n in 0..=u32::try_from(MAX_REMEMBERED).unwrap() {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            cache.put(hash, caller(Grant::Key), None);
        }
        assert!(cache.0.read().len() <= MAX_REMEMBERED);
        cache.forget(KeyId(5));
        assert!(cache.0.read().is_empty());
    }
}
