//! Visitors: who looks at a page, told by the session's cookie.

use super::{
    Dashboard, HOME, cookies,
    desk::Desk,
    fields::{here, segment},
};
use crate::{
    api::{Base, Caller, Problem},
    crypto::fingerprint,
    flow::Actor,
    model::{Address, Grant, Kind, Opens, Record, Role, Scope, Session, Time, User},
};
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use std::sync::Arc;

/// What a session's text is hashed with for its forms.
const FORM_PURPOSE: &str = "postrider form ";

/// A user who is signed in, and what their request came with.
pub(super) struct Visitor {
    /// The API with their rights.
    pub(super) desk: Desk,
    /// Who.
    pub(super) user: User,
    /// By which session.
    pub(super) session: Session,
    /// What their forms carry.
    pub(super) form_token: String,
    /// `light`, `dark` or nothing.
    pub(super) theme: &'static str,
    /// The page's path.
    pub(super) path: String,
    /// The page's query, without the question mark.
    pub(super) query: String,
    /// The page to which its forms lead back.
    pub(super) here: String,
    /// The page's own URL before its path.
    pub(super) base: String,
}

impl Visitor {
    /// Now.
    pub(super) fn now(&self) -> Time {
        self.desk.api().engine.clock.now()
    }

    /// Whether they may do what takes that role.
    pub(super) fn may(&self, role: Role) -> bool {
        self.user.role >= role
    }

    /// Refuses who may not do what takes that role.
    ///
    /// # Errors
    /// 403.
    pub(super) fn need(&self, role: Role) -> Result<(), Problem> {
        if self.may(role) {
            return Ok(());
        }
        Err(Problem::forbidden(format!("This takes the role {}; yours is {}.", role.word(), self.user.role.word())))
    }
}

impl FromRequestParts<Arc<Dashboard>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Arc<Dashboard>) -> Result<Self, Response> {
        let Ok(Base(base)) = Base::from_request_parts(parts, &dashboard.api).await;
        let theme = theme(parts);
        let Some(text) = cookies::read(&parts.headers, cookies::SESSION).map(str::to_owned) else { return Err(to_sign_in(parts)) };
        let found = signed_in(dashboard, &text).await.map_err(|p| super::error::PageError(p).into_response())?;
        let Some((user, session)) = found else { return Err(to_sign_in(parts)) };
        Actor::is_user(&user);
        // What the API refuses by role is refused in `Filled`; who may only look sees what such a key sees.
        let looks = || Grant::Limited { scopes: vec![Scope::Read] };
        let grant = if user.role >= Role::Operator { Grant::Key } else { looks() };
        let caller = Caller { org: user.org, grant, key: None };
        Ok(Visitor {
            desk: Desk::new(dashboard.clone(), caller, parts),
            form_token: form_token(&text),
            theme,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            here: here(parts).unwrap_or_else(|| HOME.to_owned()),
            base,
            user,
            session,
        })
    }
}

/// The theme that the reader has chosen.
pub(super) fn theme(parts: &Parts) -> &'static str {
    match cookies::read(&parts.headers, cookies::THEME) {
        Some("light") => "light",
        Some("dark") => "dark",
        _ => "",
    }
}

/// What forms of a session carry: a form that somebody else's page sends has it not.
pub(super) fn form_token(text: &str) -> String {
    fingerprint(format!("{FORM_PURPOSE}{text}").as_bytes())
}

/// The user and the session of a text.
async fn signed_in(dashboard: &Dashboard, text: &str) -> Result<Option<(User, Session)>, Problem> {
    let found = session(dashboard, text, Opens::Dashboard).await?;
    let Some(session) = found else { return Ok(None) };
    Ok(user(dashboard, &session).await?.map(|user| (user, session)))
}

/// The live session of a text.
pub(super) async fn session(dashboard: &Dashboard, text: &str, opens: Opens) -> Result<Option<Session>, Problem> {
    let engine = &dashboard.api.engine;
    let address = Address::new(Kind::Session, "", fingerprint(text.as_bytes()));
    let found = engine.store.find(&address, engine.clock.now()).await?;
    Ok(found.and_then(|stored| match stored.record {
        Record::Session(session) if session.opens == opens => Some(session),
        _ => None,
    }))
}

/// The user of a session.
pub(super) async fn user(dashboard: &Dashboard, session: &Session) -> Result<Option<User>, Problem> {
    let engine = &dashboard.api.engine;
    let found = engine.store.find(&Address::new(Kind::User, session.org, session.user), engine.clock.now()).await?;
    Ok(found.and_then(|stored| if let Record::User(user) = stored.record { Some(user) } else { None }))
}

/// A page is shown after signing in; a change is not made then.
fn to_sign_in(parts: &Parts) -> Response {
    // A part of a page that is asked for by script says so by its status.
    if parts.headers.contains_key("x-part") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let shows = parts.method == axum::http::Method::GET;
    let wanted = parts.uri.path_and_query().map_or(HOME, |wanted| wanted.as_str());
    let next = if shows && wanted != HOME { format!("?next={}", segment(wanted)) } else { String::new() };
    let mut response = Redirect::to(&format!("{HOME}/sign-in{next}")).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, axum::http::HeaderValue::from_static("no-store"));
    response
}
