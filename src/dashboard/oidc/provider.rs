//! The provider: what it says of itself (OpenID Connect Discovery), its keys, and a code in exchange for a token. It is asked
//! through the client that deliveries go through, so that its addresses are vetted, its answers bounded and its time limited.

use super::{
    OidcOptions,
    token::{Claims, Expected, Fault, Jwk, verify},
};
use crate::{
    flow::Engine,
    outbound::{OutboundRequest, Target},
    store::FIRST_ORG,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};

/// One deadline for each request.
const WITHIN: Duration = Duration::from_secs(10);
/// How long what the provider says of itself is believed.
const BELIEVED: Duration = Duration::from_secs(600);
/// Between two looks for new keys, when a token is signed by one that is not known.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Keys that are taken from a set.
const MAX_KEYS: usize = 64;

/// An identity provider.
pub(super) struct Provider {
    pub(super) options: OidcOptions,
    known: Mutex<Option<Arc<Known>>>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

/// What a provider has said of itself.
pub(super) struct Known {
    pub(super) authorization: String,
    token: String,
    basic: bool,
    keys: Vec<Jwk>,
    at: Instant,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Granted {
    id_token: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Provider {
    pub(super) fn new(options: OidcOptions) -> Self {
        Provider { options, known: Mutex::new(None) }
    }

    /// What the provider says of itself.
    pub(super) async fn known(&self, engine: &Engine) -> Result<Arc<Known>, String> {
        self.known_within(engine, BELIEVED).await
    }

    async fn known_within(&self, engine: &Engine, age: Duration) -> Result<Arc<Known>, String> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < age) {
            return Ok(known.clone());
        }
        let issuer = &self.options.issuer;
        let said: Discovery = get(engine, &format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))).await?;
        if said.issuer != *issuer {
            return Err("The identity provider calls itself by another name than the one that is configured.".into());
        }
        let secure = issuer.starts_with("https://");
        let places = [&said.authorization_endpoint, &said.token_endpoint, &said.jwks_uri];
        if places.iter().any(|place| !(place.starts_with("https://") || !secure && place.starts_with("http://"))) {
            return Err("The identity provider names a place that is not https.".into());
        }
        let set: KeySet = get(engine, &said.jwks_uri).await?;
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).take(MAX_KEYS).collect();
        let methods = &said.token_endpoint_auth_methods_supported;
        let fresh = Arc::new(Known {
            authorization: said.authorization_endpoint,
            token: said.token_endpoint,
            // What is not said is `client_secret_basic` (OpenID Connect Discovery, section 3).
            basic: methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic"),
            keys,
            at: Instant::now(),
        });
        *known = Some(fresh.clone());
        Ok(fresh)
    }

    /// What the token says that the provider gives for a code.
    pub(super) async fn redeem(
        &self,
        engine: &Engine,
        (code, verifier, redirect): (&str, &str, &str),
        nonce: &str,
    ) -> Result<Claims, String> {
        let known = self.known(engine).await?;
        let granted: Granted = self.exchange(engine, &known, (code, verifier, redirect)).await?;
        let expected =
            Expected { issuer: &self.options.issuer, client: &self.options.client_id, nonce, now_s: engine.clock.now().seconds() };
        let judged = match verify(&granted.id_token, &known.keys, &expected) {
            // It may have new keys since.
            Err(Fault::UnknownKey) => {
                let known = self.known_within(engine, LOOK_AGAIN).await?;
                verify(&granted.id_token, &known.keys, &expected)
            }
            judged => judged,
        };
        judged.map_err(|fault| format!("The identity provider's token is refused: {fault}."))
    }

    async fn exchange(&self, engine: &Engine, known: &Known, given: (&str, &str, &str)) -> Result<Granted, String> {
        ask(engine, &known.token, self.exchanging(known, given)?).await
    }

    fn exchanging(&self, known: &Known, (code, verifier, redirect): (&str, &str, &str)) -> Result<OutboundRequest, String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ]);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        match &self.options.client_secret {
            Some(secret) if known.basic => {
                // Each is form-encoded before they are joined (RFC 6749, section 2.3.1).
                let coded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", coded(&self.options.client_id), coded(secret));
                let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
                let mut value = value.map_err(|_| "The client's name and secret cannot be sent.".to_owned())?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            secret => {
                form.append_pair("client_id", &self.options.client_id);
                form.extend_pairs(secret.iter().map(|secret| ("client_secret", secret.as_str())));
            }
        }
        Ok(OutboundRequest { method: Method::POST, headers, body: Bytes::from(form.finish()) })
    }
}

async fn get<T: DeserializeOwned>(engine: &Engine, url: &str) -> Result<T, String> {
    ask(engine, url, OutboundRequest { method: Method::GET, headers: HeaderMap::new(), body: Bytes::new() }).await
}

async fn ask<T: DeserializeOwned>(engine: &Engine, url: &str, mut request: OutboundRequest) -> Result<T, String> {
    let target = Target::parse(url).map_err(|error| format!("The identity provider's URL cannot be used: {error}."))?;
    let target = engine.routing.reached(FIRST_ORG, target).map_err(|error| format!("The proxy cannot be used: {error}."))?;
    request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let outcome = engine.outbound.send(&target, request, WITHIN).await;
    let Some(status) = outcome.status else {
        return Err(format!("The identity provider cannot be asked. {}", outcome.cause.sentence()));
    };
    if !outcome.succeeded() {
        let word = serde_json::from_slice::<Refusal>(&outcome.body).ok().map(|refusal| refusal.error);
        let plain = |word: &String| word.len() <= 64 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let word = word.filter(plain).map(|word| format!(" ({word})")).unwrap_or_default();
        return Err(format!("The identity provider answered {status}{word}."));
    }
    if outcome.body_cut {
        return Err("The identity provider's answer is too long.".into());
    }
    serde_json::from_slice(&outcome.body).map_err(|_| "The identity provider's answer is not understood.".into())
}
