//! An identity provider: discovery, keys, and tokens that say what they are told to say.

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Redirect,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, task::JoinHandle};

const RSA_PEM: &str = include_str!("../../postrider-signature/src/special/test_keys/rsa-private.pem");
pub(crate) const CLIENT: &str = "postrider";
pub(crate) const SECRET: &str = "a secret: of the client's";

/// Who signs in next, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Next {
    /// Claims beside the usual ones, or in their place; null takes one away.
    pub(crate) claims: Value,
    /// The token's algorithm: `RS256` unless it is said.
    pub(crate) alg: Option<&'static str>,
}

struct Shared {
    base: String,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    next: Mutex<Next>,
    /// Challenges and nonces of those who are away here, by their codes.
    away: Mutex<HashMap<String, (String, String, String)>>,
    /// Whether the keys are shown under other names than before.
    renamed: Mutex<bool>,
}

pub(crate) struct Provider {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let body: String = RSA_PEM.lines().filter(|line| !line.starts_with("---")).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        let shared = Arc::new(Shared {
            base: format!("http://{}", listener.local_addr().unwrap()),
            rsa: RsaKeyPair::from_pkcs8(&der).or_else(|_| RsaKeyPair::from_der(&der)).unwrap(),
            ec: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap(),
            next: Mutex::default(),
            away: Mutex::default(),
            renamed: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/authorize", get(authorize))
            .route("/next", post(set_next))
            .with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Provider { shared, serving }
    }

    pub(crate) fn issuer(&self) -> String {
        self.shared.base.clone()
    }

    pub(crate) fn next(&self, next: Next) {
        *self.shared.next.lock().unwrap() = next;
    }

    /// Has its keys under other names from now on.
    pub(crate) fn rename_keys(&self) {
        *self.shared.renamed.lock().unwrap() = true;
    }

    /// Somebody comes with this query; the code and the state with which they are sent back.
    pub(crate) fn visited(&self, query: &str) -> (String, String) {
        visited(&self.shared, query)
    }
}

/// Somebody comes with this query; the code and the state with which they are sent back.
fn visited(shared: &Shared, query: &str) -> (String, String) {
    let asked: HashMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    assert_eq!((asked["response_type"].as_str(), asked["client_id"].as_str()), ("code", CLIENT));
    assert_eq!((asked["code_challenge_method"].as_str(), asked["scope"].as_str()), ("S256", "openid email profile"));
    let code = format!("code-{}", shared.away.lock().unwrap().len());
    let kept = (asked["code_challenge"].clone(), asked["nonce"].clone(), asked["redirect_uri"].clone());
    shared.away.lock().unwrap().insert(code.clone(), kept);
    (code, asked["state"].clone())
}

/// The page of the provider, where everybody is known already.
async fn authorize(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Redirect {
    let query = query.unwrap_or_default();
    let (code, state) = visited(&shared, &query);
    let back = shared.away.lock().unwrap()[&code].2.clone();
    Redirect::to(&format!("{back}?code={code}&state={state}"))
}

/// Claims of whoever comes next, for tests that have a browser in between.
async fn set_next(State(shared): State<Arc<Shared>>, claims: String) {
    *shared.next.lock().unwrap() = Next { claims: serde_json::from_str(&claims).unwrap(), alg: None };
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let base = &shared.base;
    Json(json!({
        "issuer": base, "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/keys"),
    }))
}

fn coded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn names(shared: &Shared) -> (&'static str, &'static str) {
    if *shared.renamed.lock().unwrap() { ("rsa-2", "ec-2") } else { ("rsa-1", "ec-1") }
}

async fn keys(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let rsa = PublicKeyComponents::<Vec<u8>>::from(shared.rsa.public());
    let point = shared.ec.public_key().as_ref();
    let (rsa_name, ec_name) = names(&shared);
    Json(json!({"keys": [
        {"kty": "RSA", "kid": rsa_name, "use": "sig", "n": coded(&rsa.n), "e": coded(&rsa.e)},
        {"kty": "EC", "crv": "P-256", "kid": ec_name, "x": coded(&point[1..33]), "y": coded(&point[33..])},
        {"kty": "oct", "kid": "shared"},
    ]}))
}

async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    form: String,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let form: HashMap<String, String> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let refused = |word: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": word })));
    let pair: String = [CLIENT, SECRET].map(|text| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()).join(":");
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    if headers["authorization"] != basic.as_str() {
        return Err(refused("invalid_client"));
    }
    let Some((challenge, nonce, redirect)) = shared.away.lock().unwrap().remove(&form["code"]) else {
        return Err(refused("invalid_grant"));
    };
    if coded(&Sha256::digest(&form["code_verifier"])) != challenge || form["redirect_uri"] != redirect {
        return Err(refused("invalid_grant"));
    }
    let next = shared.next.lock().unwrap().clone();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut claims = json!({
        "iss": shared.base, "aud": CLIENT, "sub": "subject-1", "iat": now, "exp": now + 300, "nonce": nonce,
        "email": "ann@example.com", "email_verified": true, "name": "Ann",
    });
    for (name, value) in next.claims.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    Ok(Json(
        json!({"access_token": "x", "token_type": "Bearer", "id_token": signed(&shared, next.alg.unwrap_or("RS256"), &claims)}),
    ))
}

fn signed(shared: &Shared, alg: &str, claims: &Value) -> String {
    let (rsa_name, ec_name) = names(shared);
    let kid = if alg == "ES256" { ec_name } else { rsa_name };
    let text =
        format!("{}.{}", coded(json!({"alg": alg, "kid": kid}).to_string().as_bytes()), coded(claims.to_string().as_bytes()));
    let random = SystemRandom::new();
    let signature = match alg {
        "none" => Vec::new(),
        "ES256" => shared.ec.sign(&random, text.as_bytes()).unwrap().as_ref().to_vec(),
        _ => {
            let mut signature = vec![0; shared.rsa.public().modulus_len()];
            shared.rsa.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
            signature
        }
    };
    format!("{text}.{}", coded(&signature))
}
