//! `/api/v1/auth`: portal links, and the ends of tokens.

use super::{
    Api, Base, Caller, Errors, Idempotent, Path, Problem, Shared,
    application::{ApplicationIn, ensure},
    body::MaybeJson,
    key::{Issued, issue},
    limits::{self, Limits},
    page::MAX_LIMIT,
    rules::Check,
};
use crate::{
    model::{Address, AppId, Grant, KeyId, Kind, OrgId, Record, Token},
    store::{Change, ListPage, Stored},
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long a portal link is good at least, in seconds.
const MIN_EXPIRY_S: u64 = 3600;
/// How long a portal link is good at most, and when nothing is said, in seconds.
const MAX_EXPIRY_S: u64 = 7 * 86_400;
/// The longest delay of a revocation, in seconds.
const MAX_REVOKE_DELAY_S: u64 = 3 * 86_400;
/// Feature flags of a portal link at most.
const MAX_FLAGS: usize = 25;
/// The longest session id, in characters.
const MAX_SESSION: usize = 64;
/// Session ids of a revocation at most.
const MAX_SESSIONS: usize = 1000;

/// The rules below, for the description of the API.
pub(super) fn limits() -> Limits {
    let session = json!({ "minLength": 1, "maxLength": MAX_SESSION, "pattern": "^[a-zA-Z0-9@_-]+$" });
    vec![
        ("AppPortalAccessIn", json!({ "featureFlags": limits::list_or_null() })),
        ("ApplicationTokenExpireIn", json!({ "sessionIds": limits::list_or_null() })),
        ("AppPortalAccessIn", json!({ "featureFlags": limits::names(0, MAX_FLAGS), "sessionId": session })),
        ("ApplicationTokenExpireIn", json!({ "sessionIds": { "items": session } })),
    ]
}

/// The routes.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(portal_access)).routes(routes!(logout)).routes(routes!(expire_all)).routes(routes!(whoami))
}

/// What a portal link may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
enum AppPortalCapability {
    /// Look.
    ViewBase,
    /// Look at signing secrets.
    ViewEndpointSecret,
    /// Rotate signing secrets.
    ManageEndpointSecret,
    /// Nothing here: there are no transformations.
    ManageTransformations,
    /// Resend and send examples.
    CreateAttempts,
    /// Change endpoints.
    ManageEndpoint,
}

/// A portal link to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AppPortalAccessIn {
    /// Makes this application when the one that the path names does not exist.
    application: Option<ApplicationIn>,
    /// The set of feature flags the created token will have access to.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 25, example = json!([]))]
    feature_flags: Option<Vec<String>>,
    /// Whether the link may only look.
    read_only: Option<bool>,
    /// What the link may do; without `ManageEndpoint` it may only look. By default: everything.
    capabilities: Option<Vec<AppPortalCapability>>,
    /// How long the link is good, in seconds: from an hour to 7 days, which is the default.
    #[schema(minimum = 3600, maximum = 604_800, default = 604_800)]
    expiry: Option<u64>,
    /// Whose link it is: links can be revoked by it.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9@_-]+$", example = "user_1FB8")]
    session_id: Option<String>,
}

/// A portal link.
#[derive(Debug, Serialize, ToSchema)]
struct AppPortalAccessOut {
    /// Where to send the user; carries the token.
    #[schema(format = "uri")]
    url: String,
    /// The token, for API calls. It is shown once.
    #[schema(example = "prp_kV3ts5tKPNJN4Dl25cMTfUNdmabxbX0O")]
    token: String,
}

impl AppPortalAccessIn {
    fn check(&self) -> Result<(), Problem> {
        let mut check = Check::new();
        let in_range = self.expiry.is_none_or(|s| (MIN_EXPIRY_S..=MAX_EXPIRY_S).contains(&s));
        check.rule(in_range, &["body", "expiry"], "range", format!("It is from {MIN_EXPIRY_S} to {MAX_EXPIRY_S}."));
        let flags = self.feature_flags.as_deref().unwrap_or_default();
        check.names(&["body", "featureFlags"], flags, 0);
        check.rule(flags.len() <= MAX_FLAGS, &["body", "featureFlags"], "length", format!("It has at most {MAX_FLAGS} entries."));
        self.session_id.iter().for_each(|id| check_session(&mut check, &["body", "sessionId"], id));
        check.done()
    }

    fn read_only(&self) -> bool {
        let narrowed = self.capabilities.as_ref().is_some_and(|list| !list.contains(&AppPortalCapability::ManageEndpoint));
        self.read_only.unwrap_or(false) || narrowed
    }

    fn grant(self, app: AppId) -> Grant {
        let read_only = self.read_only();
        Grant::Portal { app, read_only, feature_flags: self.feature_flags.unwrap_or_default(), session: self.session_id }
    }
}

fn check_session(check: &mut Check, loc: &[&str], id: &str) {
    check.rule((1..=MAX_SESSION).contains(&id.len()), loc, "length", format!("It has 1 to {MAX_SESSION} characters."));
    let good = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'@' | b'_' | b'-'));
    check.rule(good, loc, "pattern", "Only letters, digits, `@`, `_` and `-` are allowed.");
}

/// Get Consumer App Portal Access.
///
/// Use this function to get magic links (and authentication codes) for connecting your users to the Consumer Application
/// Portal.
#[utoipa::path(
    post, path = "/api/v1/auth/app-portal-access/{app_id}", operation_id = "v1.authentication.app-portal-access",
    tag = "Authentication", summary = "Get Consumer App Portal Access",
    params(
        ("app_id" = String, Path, description = "The application's ID or UID."),
        ("idempotency-key" = Option<String>, Header, description = "The request's idempotency key")
    ),
    request_body = Option<AppPortalAccessIn>,
    responses((status = 200, description = "The link.", body = AppPortalAccessOut), Errors)
)]
async fn portal_access(
    State(api): State<Shared>,
    (caller, mut idempotent): (Caller, Idempotent),
    base: Base,
    Path(app_id): Path<String>,
    body: MaybeJson<AppPortalAccessIn>,
) -> Result<Response, Problem> {
    caller.manage()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    body.value.check()?;
    let app = ensure(&api, &caller, &app_id, body.value.application.as_ref()).await?.application.id;
    let now = api.engine.clock.now();
    let lasts = Duration::from_secs(body.value.expiry.unwrap_or(MAX_EXPIRY_S));
    let Issued { text, token } = issue(&api.engine.random, now, caller.org, body.value.grant(app), format!("Portal of {app}"));
    let token = Token { expires_at: Some(now.plus(lasts)), ..token };
    let out = AppPortalAccessOut { url: portal_url(&base, app, &text), token: text.to_string() };
    idempotent.commit_sealed(&api, vec![Change::Insert(Record::Token(token))], StatusCode::OK, &out).await
}

/// Where the portal is, for the look of its first page, with the token in the fragment, which browsers do not send.
fn portal_url(Base(base): &Base, app: AppId, token: &str) -> String {
    format!("{base}/portal?app={app}#key={token}")
}

/// Logout.
///
/// Logout an app token.
///
/// Trying to log out other tokens will fail. A repetition is refused as the token is gone: it needs no idempotency key.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", operation_id = "logout_api_v1_auth_logout__post", tag = "Authentication", summary = "Logout",
    params(("idempotency-key" = Option<String>, Header, description = "The request's idempotency key")),
    responses((status = 204, description = "The token is revoked."), Errors)
)]
async fn logout(State(api): State<Shared>, caller: Caller) -> Result<StatusCode, Problem> {
    match (&caller.grant, caller.key) {
        (Grant::Portal { .. } | Grant::Session, Some(key)) => {
            revoke(&api, caller.org, vec![(key, Change::Delete(Address::token(caller.org, key)))]).await?;
            Ok(StatusCode::NO_CONTENT)
        }
        (_, None) => Err(Problem::forbidden("A signed token cannot be revoked; it ends by itself.")),
        (Grant::Key | Grant::Limited { .. }, _) => Err(Problem::forbidden("API keys do not log out; revoke them.")),
    }
}

/// Revokes tokens of an organization, now or from a time on.
async fn revoke(api: &Api, org: OrgId, tokens: Vec<(KeyId, Change)>) -> Result<(), Problem> {
    tracing::debug!(%org, count = tokens.len(), "revoking tokens");
    let (keys, changes): (Vec<_>, Vec<_>) = tokens.into_iter().unzip();
    if !changes.is_empty() {
        api.engine.change(changes).await?;
    }
    keys.into_iter().for_each(|key| api.tokens.forget(key));
    Ok(())
}

/// Which portal links to revoke, and when.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationTokenExpireIn {
    /// How many seconds until they end; at once when nothing is said.
    #[schema(minimum = 0, maximum = 259_200, example = 60)]
    expiry: Option<u64>,
    /// Only links made with one of these session ids; when there are none, all.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    session_ids: Option<Vec<String>>,
}

impl ApplicationTokenExpireIn {
    fn check(&self) -> Result<(), Problem> {
        let mut check = Check::new();
        let in_range = self.expiry.is_none_or(|s| s <= MAX_REVOKE_DELAY_S);
        check.rule(in_range, &["body", "expiry"], "range", format!("It is from 0 to {MAX_REVOKE_DELAY_S}."));
        let sessions = self.session_ids.as_deref().unwrap_or_default();
        let few = sessions.len() <= MAX_SESSIONS;
        check.rule(few, &["body", "sessionIds"], "length", format!("It has at most {MAX_SESSIONS} entries."));
        sessions.iter().take(MAX_SESSIONS).for_each(|id| check_session(&mut check, &["body", "sessionIds"], id));
        check.done()
    }

    /// Whether the token is one of those.
    fn names(&self, token: &Token, id: AppId) -> bool {
        let sessions = self.session_ids.as_deref().unwrap_or_default();
        match &token.grant {
            Grant::Portal { app, session, .. } if *app == id => {
                sessions.is_empty() || session.as_ref().is_some_and(|s| sessions.contains(s))
            }
            _ => false,
        }
    }
}

/// Expire All.
///
/// Expire all of the tokens associated with a specific application.
#[utoipa::path(
    post, path = "/api/v1/auth/app/{app_id}/expire-all", operation_id = "v1.authentication.expire-all",
    tag = "Authentication", summary = "Expire All",
    params(
        ("app_id" = String, Path, description = "The application's ID or UID."),
        ("idempotency-key" = Option<String>, Header, description = "The request's idempotency key")
    ),
    request_body = Option<ApplicationTokenExpireIn>,
    responses((status = 204, description = "They end when they were told to."), Errors)
)]
async fn expire_all(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Path(app_id): Path<String>,
    body: MaybeJson<ApplicationTokenExpireIn>,
) -> Result<Response, Problem> {
    caller.manage()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    body.value.check()?;
    let app = caller.application(&api, &app_id).await?.application.id;
    let now = api.engine.clock.now();
    let end = body.value.expiry.filter(|s| *s > 0).map(|s| now.plus(Duration::from_secs(s)));
    let scope = caller.org.to_string();
    let mut after: Option<String> = None;
    loop {
        let page = ListPage { after: after.as_deref(), backwards: false, limit: MAX_LIMIT };
        let found = api.engine.store.list(Kind::Token, &scope, page, now).await?;
        let last = found.len() < MAX_LIMIT;
        after = found.last().map(|stored| stored.record.address().key);
        let ended = found.into_iter().filter_map(|Stored { record, revision }| match record {
            Record::Token(token) if body.value.names(&token, app) => Some(ending(token, revision, end)),
            _ => None,
        });
        revoke(&api, caller.org, ended.collect()).await?;
        if last {
            return idempotent.commit_empty(&api, Vec::new(), StatusCode::NO_CONTENT).await;
        }
    }
}

/// The change by which a token ends, at once or at a time.
fn ending(mut token: Token, revision: u64, end: Option<crate::model::Time>) -> (KeyId, Change) {
    let key = token.id;
    match end {
        None => (key, Change::Delete(Address::token(token.org, key))),
        Some(end) => {
            token.expires_at = Some(token.expires_at.map_or(end, |old| old.min(end)));
            (key, Change::Replace(Record::Token(token), revision))
        }
    }
}

/// How a request proved who sent it. The names are the contract's.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
enum AuthenticationSource {
    /// A session of a user who signed in.
    OidcJwt,
    /// A signed token.
    SvixJwt,
    /// A key or a portal link.
    RegionalAuthToken,
}

/// For whom a token stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WhoamiOut {
    /// The organization.
    #[schema(value_type = Option<String>, example = "org_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    env_id: Option<OrgId>,
    /// The application that the token is limited to, if there is one.
    #[schema(value_type = Option<String>, example = "app_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    app_id: Option<AppId>,
    /// How the request proved who sent it.
    permission_source: AuthenticationSource,
    /// The session that the link was made with.
    session_id: Option<String>,
}

/// Whoami.
///
/// Return information about the account associated with the current token
#[utoipa::path(
    get, path = "/api/v1/auth/whoami", operation_id = "v1.authentication.whoami", tag = "Authentication", summary = "Whoami",
    responses((status = 200, description = "For whom the token stands.", body = WhoamiOut), Errors)
)]
async fn whoami(caller: Caller) -> axum::Json<WhoamiOut> {
    let permission_source = match (&caller.grant, caller.key) {
        (_, None) => AuthenticationSource::SvixJwt,
        (Grant::Session, _) => AuthenticationSource::OidcJwt,
        _ => AuthenticationSource::RegionalAuthToken,
    };
    let (app_id, session_id) = match caller.grant {
        Grant::Portal { app, session, .. } => (Some(app), session),
        Grant::Key | Grant::Limited { .. } | Grant::Session => (None, None),
    };
    axum::Json(WhoamiOut { env_id: Some(caller.org), app_id, permission_source, session_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    fn form(text: &str) -> AppPortalAccessIn {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn links_with_fewer_rights_only_look() {
        let only_looks = |text| matches!(form(text).grant(AppId(1)), Grant::Portal { read_only: true, .. });
        assert!(!only_looks("{}") && !only_looks(r#"{"capabilities":["ViewBase","ManageEndpoint"]}"#));
        assert!(only_looks(r#"{"readOnly":true}"#) && only_looks(r#"{"capabilities":["ViewBase","CreateAttempts"]}"#));
        assert!(serde_json::from_str::<AppPortalAccessIn>(r#"{"capabilities":["Everything"]}"#).is_err());
    }

    #[test]
    fn links_have_limits() {
        assert!(form(r#"{"expiry":3600,"featureFlags":["a"],"sessionId":"user@1"}"#).check().is_ok());
        for bad in [r#"{"expiry":3599}"#, r#"{"expiry":604801}"#, r#"{"featureFlags":["a","a"]}"#, r#"{"sessionId":"a.b"}"#] {
            assert!(form(bad).check().is_err(), "{bad}");
        }
    }

    #[test]
    fn revocation_picks_the_application_s_links_by_session() {
        let token = |grant| Token {
            id: KeyId(1),
            org: OrgId(1),
            name: String::new(),
            hash: String::new(),
            grant,
            created_at: Time(0),
            expires_at: Some(Time(10)),
        };
        let link = |session: &str| form(&format!(r#"{{"sessionId":"{session}"}}"#)).grant(AppId(1));
        let all = ApplicationTokenExpireIn { expiry: None, session_ids: None };
        let one = ApplicationTokenExpireIn { expiry: None, session_ids: Some(vec!["ann".into()]) };
        assert!(all.names(&token(link("ann")), AppId(1)) && !all.names(&token(link("ann")), AppId(2)));
        assert!(one.names(&token(link("ann")), AppId(1)) && !one.names(&token(link("bob")), AppId(1)));
        assert!(!all.names(&token(Grant::Key), AppId(1)));
        let (_, Change::Replace(Record::Token(ended), 7)) = ending(token(Grant::Key), 7, Some(Time(99))) else { panic!() };
        assert_eq!(ended.expires_at, Some(Time(10)));
    }
}
