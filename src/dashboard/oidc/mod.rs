//! Signing in by an identity provider (OpenID Connect): authorization code with PKCE, state and nonce. Between leaving and
//! coming back everything is in a cookie that is sealed under the master key, so that any process may finish what another
//! began.
//!
//! Whoever comes back is a user by the subject that the provider gave them before; else by their address of e-mail, if the
//! provider says that it is verified; else they are made one, if the configuration gives them a role.

mod people;
mod provider;
mod token;

pub use people::Admission;

use super::{
    Dashboard, HOME, cookies,
    error::{PageError, Shown},
    sign_in::{Guest, open, ours},
};
use crate::{
    api::{Base, Problem},
    crypto::hex,
    flow::Actor,
    model::{Sealed, Time},
};
use axum::{
    Router,
    extract::{FromRequestParts, State},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use provider::Provider;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc, time::Duration};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How long somebody may be away at the provider.
const AWAY: Duration = Duration::from_secs(600);
/// The longest path that is remembered meanwhile, in bytes: browsers keep no cookie over 4 KiB.
const MAX_NEXT: usize = 1_000;
/// What the vault is told when it seals what waits for somebody's return.
const PURPOSE: &str = "oidc sign-in";
/// Where the provider sends people back to.
const RETURN: &str = "/dashboard/oidc/return";

/// What is configured of an identity provider.
#[derive(Clone)]
pub struct OidcOptions {
    /// Its name as it is in its tokens: a URL.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there; a public client has none.
    pub client_secret: Option<Zeroizing<String>>,
    /// What is asked for, between spaces; `openid` is among them.
    pub scopes: String,
    /// What the button says.
    pub label: String,
    /// Who is let in.
    pub admission: Admission,
}

impl fmt::Debug for OidcOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcOptions").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// How people sign in.
#[derive(Clone, Debug)]
pub struct SignInOptions {
    /// Whether passwords are taken. Links that sign in once work in any case.
    pub password: bool,
    /// The identity provider, if there is one.
    pub oidc: Option<OidcOptions>,
}

impl Default for SignInOptions {
    fn default() -> Self {
        SignInOptions { password: true, oidc: None }
    }
}

/// How people sign in, ready to be used.
#[derive(Debug)]
pub(super) struct Doors {
    /// Whether passwords are taken.
    pub(super) password: bool,
    oidc: Option<Provider>,
}

impl Doors {
    pub(super) fn new(options: SignInOptions) -> Self {
        Doors { password: options.password, oidc: options.oidc.map(Provider::new) }
    }

    /// What the provider's button says, if there is a provider.
    pub(super) fn label(&self) -> Option<&str> {
        self.oidc.as_ref().map(|provider| provider.options.label.as_str())
    }
}

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard/oidc/start", get(start)).route(RETURN, get(come_back))
}

/// What waits for somebody's return, in their cookie.
#[derive(Serialize, Deserialize)]
struct Waiting {
    state: String,
    nonce: String,
    verifier: String,
    next: String,
    until: Time,
}

/// The page's own URL before its path.
struct Here(String);

impl FromRequestParts<Arc<Dashboard>> for Here {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Arc<Dashboard>) -> Result<Self, Self::Rejection> {
        let Ok(Base(base)) = Base::from_request_parts(parts, &dashboard.api).await;
        Ok(Here(base))
    }
}

fn provider(dashboard: &Dashboard) -> Result<&Provider, PageError> {
    dashboard.doors.oidc.as_ref().ok_or_else(|| PageError(Problem::not_found("page")))
}

fn refused(words: impl Into<std::borrow::Cow<'static, str>>) -> PageError {
    PageError(Problem::forbidden(words))
}

/// Leaves for the provider.
async fn start(State(dashboard): State<Arc<Dashboard>>, guest: Guest, Here(base): Here) -> Shown {
    let provider = provider(&dashboard)?;
    let engine = &dashboard.api.engine;
    let known = provider.known(engine).await.map_err(refused)?;
    let chance = || URL_SAFE_NO_PAD.encode(engine.random.bytes::<32>());
    let waiting = Waiting {
        state: chance(),
        nonce: chance(),
        verifier: chance(),
        next: Some(ours(guest.fields.raw("next"))).filter(|next| next.len() <= MAX_NEXT).unwrap_or(HOME).to_owned(),
        until: engine.clock.now().plus(AWAY),
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&waiting.verifier));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([
        ("response_type", "code"),
        ("client_id", &provider.options.client_id),
        ("redirect_uri", &format!("{base}{RETURN}")),
        ("scope", &provider.options.scopes),
        ("state", &waiting.state),
        ("nonce", &waiting.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let joint = if known.authorization.contains('?') { '&' } else { '?' };
    let to = format!("{}{joint}{}", known.authorization, query.finish());
    let plain = Zeroizing::new(serde_json::to_vec(&waiting).map_err(|_| Problem::Internal)?);
    let sealed = engine.vault.seal(&engine.random, PURPOSE, &plain).map_err(|_| Problem::Internal)?;
    let mut response = Redirect::to(&to).into_response();
    let cookie = cookies::set(cookies::OIDC, &sealed.0, AWAY, guest.secure).ok_or(Problem::Internal)?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Comes back from the provider: with a code, or with its refusal.
async fn come_back(State(dashboard): State<Arc<Dashboard>>, guest: Guest, Here(base): Here, headers: HeaderMap) -> Shown {
    let provider = provider(&dashboard)?;
    let engine = &dashboard.api.engine;
    let now = engine.clock.now();
    let stale = || refused("This took too long, or began in another browser. Sign in again.");
    let sealed = cookies::read(&headers, cookies::OIDC).ok_or_else(stale)?;
    let plain = engine.vault.open(PURPOSE, &Sealed(sealed.to_owned())).map_err(|_| stale())?;
    let waiting: Waiting = serde_json::from_slice(&plain).map_err(|_| stale())?;
    let same: bool = guest.fields.raw("state").as_bytes().ct_eq(waiting.state.as_bytes()).into();
    if !same || now > waiting.until {
        return Err(stale());
    }
    // Providers that say who they are must say it right (RFC 9207).
    if guest.fields.given("iss").is_some_and(|issuer| issuer != provider.options.issuer) {
        return Err(stale());
    }
    if let Some(error) = guest.fields.given("error") {
        let plain: String = error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
        return Err(refused(format!("The identity provider refused: {plain}.")));
    }
    let code = guest.fields.given("code").ok_or_else(stale)?;
    let redirect = format!("{base}{RETURN}");
    let claims = provider.redeem(engine, (code, &waiting.verifier, &redirect), &waiting.nonce).await;
    let claims = claims.map_err(|error| {
        tracing::warn!(error, "a sign-in by the identity provider failed");
        refused(error)
    })?;
    let key = hex(&Sha256::digest(format!("{}\n{}", provider.options.issuer, claims.sub)));
    let user = people::admit(&dashboard, &provider.options.admission, &claims, key).await?;
    Actor::is_user(&user);
    let mut response: Response = open(&dashboard, &guest, &user, &waiting.next).await?;
    if let Some(cookie) = cookies::set(cookies::OIDC, "", AWAY, guest.secure) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
