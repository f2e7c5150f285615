//! Keys: opaque API keys (`pr_…`) and sessions (`prs_…`), made, listed and revoked. Ours, not of the compatible contract.

use super::{
    Caller, Errors, Idempotent, Path, Problem, Query, Shared, Stamp,
    body::MaybeJson,
    limits::{self, Limits},
    page::{FixedPageQuery, ListResponse, Ordering},
    patch::given,
    rules::{Check, MAX_TEXT},
};
use crate::{
    crypto::fingerprint,
    model::{Address, Grant, KeyId, Kind, OrgId, Record, Scope, Time, Token},
    random::Random,
    store::Change,
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::{Zeroize, Zeroizing};

/// What an API key's text starts with.
pub const KEY_PREFIX: &str = "pr_";
/// What a session's text starts with.
pub const SESSION_PREFIX: &str = "prs_";
/// What a portal link's token starts with.
pub const PORTAL_PREFIX: &str = "prp_";
/// Bytes of chance in a token's text.
const TOKEN_BYTES: usize = 32;
/// How long a session lasts that does not say otherwise.
pub const SESSION_LASTS: Duration = Duration::from_secs(12 * 3600);
/// The longest session, in seconds: 30 days.
const MAX_SESSION_S: u64 = 30 * 86_400;
/// The longest expiry of a key, in seconds: ten years.
const MAX_KEY_S: u64 = 3650 * 86_400;

/// The rules below, for the description of the API.
pub(super) fn limits() -> Limits {
    let name = limits::title(0, MAX_TEXT);
    let key_name = limits::title(1, MAX_TEXT);
    let scopes = json!({ "minItems": 1, "items": { "enum": ["read", "send", "manage", "portal"] } });
    vec![
        ("KeyIn", json!({ "name": key_name, "expiresIn": limits::range(1_u64, MAX_KEY_S), "scopes": scopes })),
        ("SessionIn", json!({ "name": name, "expiresIn": limits::range(1_u64, MAX_SESSION_S) })),
    ]
}

/// A token that was just made: the only time that its text is known.
#[derive(Debug)]
pub struct Issued {
    /// What its holder sends.
    pub text: Zeroizing<String>,
    /// What is stored.
    pub token: Token,
}

/// Makes a key, a session or a portal link's token of an organization. It is not stored yet.
#[must_use]
pub fn issue(random: &Random, now: Time, org: OrgId, grant: Grant, name: String) -> Issued {
    let prefix = match grant {
        Grant::Key | Grant::Limited { .. } => KEY_PREFIX,
        Grant::Session => SESSION_PREFIX,
        Grant::Portal { .. } => PORTAL_PREFIX,
    };
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + 43));
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(*Zeroizing::new(random.bytes::<TOKEN_BYTES>()), &mut text);
    let expires_at = (grant == Grant::Session).then(|| now.plus(SESSION_LASTS));
    let token = token_of(random, now, (org, grant, name), &text);
    Issued { token: Token { expires_at, ..token }, text }
}

/// What is stored of a token whose text somebody else chose.
#[must_use]
pub fn token_of(random: &Random, now: Time, (org, grant, name): (OrgId, Grant, String), text: &str) -> Token {
    let hash = fingerprint(text.as_bytes());
    Token { id: KeyId(random.id(now)), org, name, hash, grant, created_at: now, expires_at: None }
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// An API key.
    Key,
    /// A session.
    Session,
}

impl KeyKind {
    /// What a grant is, when it is one of these.
    #[must_use]
    pub fn of(grant: &Grant) -> Option<Self> {
        match grant {
            Grant::Key | Grant::Limited { .. } => Some(KeyKind::Key),
            Grant::Session => Some(KeyKind::Session),
            Grant::Portal { .. } => None,
        }
    }
}

/// What a key should be.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyIn {
    /// For people: left out, or not empty.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false)]
    pub name: Option<String>,
    /// Seconds until it is refused; absent: never.
    #[serde(default)]
    pub expires_in: Option<u64>,
    /// What it may do: `read` (look at everything but secrets), `send` (send messages), `manage` (look at and change
    /// everything but keys), `portal` (make and revoke portal links). Absent: everything.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<Vec<Scope>>,
}

/// How long a session should last.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionIn {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Seconds until it is refused; absent: 12 hours.
    #[serde(default)]
    pub expires_in: Option<u64>,
}

/// A key or session, without its text.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyOut {
    /// Its public name.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it is.
    pub kind: KeyKind,
    /// What it may do; null: everything.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<Vec<Scope>>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Stamp,
    /// From when on it is refused.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Stamp>,
}

/// A key or session that was just made. Its text is shown once.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyMadeOut {
    /// What is stored.
    #[serde(flatten)]
    pub key: KeyOut,
    /// The text to send as `Authorization: Bearer …`.
    pub token: String,
}

impl Drop for KeyMadeOut {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

impl KeyOut {
    /// A stored token for people; `None` for portal tokens.
    #[must_use]
    pub fn of(token: &Token) -> Option<Self> {
        Some(KeyOut {
            id: token.id.to_string(),
            name: token.name.clone(),
            kind: KeyKind::of(&token.grant)?,
            scopes: match &token.grant {
                Grant::Limited { scopes } => Some(scopes.clone()),
                _ => None,
            },
            created_at: Stamp(token.created_at),
            expires_at: token.expires_at.map(Stamp),
        })
    }
}

/// The routes.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(revoke)).routes(routes!(create_session))
}

/// Create Key.
///
/// Make an API key. The answer is the only place where its text is shown.
#[utoipa::path(
    post, path = "/api/v1/key", operation_id = "v1.key.create", tag = "Key", summary = "Create Key",
    request_body = Option<KeyIn>, responses(Errors, (status = 201, body = KeyMadeOut))
)]
async fn create(
    State(api): State<Shared>,
    caller: Caller,
    idempotent: Idempotent,
    MaybeJson { value: key, bytes }: MaybeJson<KeyIn>,
) -> Result<Response, Problem> {
    let grant = granted(key.scopes).ok_or_else(|| {
        Problem::field(&["body", "scopes"], "length", "It names at least one scope; leave it out for a key that may do everything.")
    })?;
    if key.name.as_ref().is_some_and(String::is_empty) {
        return Err(Problem::field(&["body", "name"], "length", format!("It has 1 to {MAX_TEXT} characters.")));
    }
    make(&api, &caller, idempotent, (grant, key.name.unwrap_or_default(), key.expires_in), &bytes).await
}

/// Create Session.
///
/// Make a session: a token that ends by itself.
#[utoipa::path(
    post, path = "/api/v1/session", operation_id = "v1.session.create", tag = "Key", summary = "Create Session",
    request_body = Option<SessionIn>, responses(Errors, (status = 201, body = KeyMadeOut))
)]
async fn create_session(
    State(api): State<Shared>,
    caller: Caller,
    idempotent: Idempotent,
    MaybeJson { value: session, bytes }: MaybeJson<SessionIn>,
) -> Result<Response, Problem> {
    make(&api, &caller, idempotent, (Grant::Session, session.name, session.expires_in), &bytes).await
}

/// What a key with these scopes may do; `None` when it could do nothing.
#[must_use]
pub fn granted(scopes: Option<Vec<Scope>>) -> Option<Grant> {
    match scopes {
        None => Some(Grant::Key),
        Some(mut scopes) => {
            scopes.sort_unstable();
            scopes.dedup();
            (!scopes.is_empty()).then_some(Grant::Limited { scopes })
        }
    }
}

async fn make(
    api: &Shared,
    caller: &Caller,
    mut idempotent: Idempotent,
    (grant, name, expires_in): (Grant, String, Option<u64>),
    body: &[u8],
) -> Result<Response, Problem> {
    // A session must not outlive itself by making its own successor.
    if caller.grant != Grant::Key {
        return Err(Problem::forbidden("Only an API key may make keys and sessions."));
    }
    let most = if grant == Grant::Session { MAX_SESSION_S } else { MAX_KEY_S };
    let mut check = Check::new();
    check.title(&["body", "name"], &name, 0..=MAX_TEXT);
    let fits = expires_in.is_none_or(|seconds| (1..=most).contains(&seconds));
    check.rule(fits, &["body", "expiresIn"], "range", format!("It is from 1 to {most} seconds."));
    check.done()?;
    if let Some(answer) = idempotent.begin(api, body).await? {
        return Ok(answer);
    }
    let now = api.engine.clock.now();
    let mut issued = issue(&api.engine.random, now, caller.org, grant, name);
    if let Some(seconds) = expires_in {
        issued.token.expires_at = Some(now.plus(Duration::from_secs(seconds)));
    }
    let key = KeyOut::of(&issued.token).ok_or(Problem::Internal)?;
    let made = KeyMadeOut { key, token: issued.text.to_string() };
    idempotent.commit_sealed(api, vec![Change::Insert(Record::Token(issued.token))], StatusCode::CREATED, &made).await
}

/// List Keys.
///
/// List the organization's keys and sessions, oldest first.
#[utoipa::path(
    get, path = "/api/v1/key", operation_id = "v1.key.list", tag = "Key", summary = "List Keys",
    params(FixedPageQuery), responses(Errors, (status = 200, body = ListResponse<KeyOut>))
)]
async fn list(State(api): State<Shared>, caller: Caller, Query(page): Query<FixedPageQuery>) -> Result<Response, Problem> {
    caller.manage()?;
    let page = page.check(Ordering::Ascending, |id| id.parse::<KeyId>().is_ok())?;
    let keep = |record| match record {
        Record::Token(token) => KeyOut::of(&token),
        _ => None,
    };
    let rows = page.records(&api.engine, Kind::Token, &caller.org.to_string(), keep).await?;
    Ok(axum::Json(page.answer(rows, |key| key.id.clone(), |key| key)).into_response())
}

/// Revoke Key.
///
/// Revoke a key or session: it is refused from then on.
#[utoipa::path(
    delete, path = "/api/v1/key/{key_id}", operation_id = "v1.key.revoke", tag = "Key", summary = "Revoke Key",
    params(("key_id" = String, Path, description = "The key's id")), responses(Errors, (status = 204))
)]
async fn revoke(State(api): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    caller.manage()?;
    let id: KeyId = id.parse().map_err(|_| Problem::not_found("key"))?;
    if matches!(caller.grant, Grant::Limited { .. }) && caller.key != Some(id) {
        return Err(Problem::forbidden("A key with scopes revokes no key but itself."));
    }
    let address = Address::token(caller.org, id);
    let found = api.engine.store.find(&address, api.engine.clock.now()).await?;
    let ours = |record: &Record| matches!(record, Record::Token(token) if KeyKind::of(&token.grant).is_some());
    if !found.is_some_and(|stored| ours(&stored.record)) {
        return Err(Problem::not_found("key"));
    }
    api.engine.change(vec![Change::Delete(address)]).await?;
    api.tokens.forget(id);
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_random_text_and_stored_as_hashes() {
        let random = Random::seeded(1);
        let one = issue(&random, Time(5), OrgId(1), Grant::Key, "ci".into());
        let two = issue(&random, Time(5), OrgId(1), Grant::Session, String::new());
        assert!(one.text.starts_with("pr_") && one.text.len() == 46, "{}", *one.text);
        assert!(two.text.starts_with("prs_") && two.text.len() == 47, "{}", *two.text);
        assert!(one.text[3..] != two.text[4..]);
        assert_eq!(one.token.hash, fingerprint(one.text.as_bytes()));
        assert_eq!(one.token.expires_at, None);
        assert_eq!(two.token.expires_at, Some(Time(5).plus(SESSION_LASTS)));
        assert_eq!(KeyOut::of(&two.token).unwrap().kind, KeyKind::Session);
    }
}
