//! Signing in and out: by password, or once by a link; and one's own account.

use super::{
    Dashboard, HOME, cookies,
    error::{PageError, Shown, reasons},
    fields::{Fields, Filled, dashboard_host, same_site},
    page::{Bare, Page, Shell, note},
    password::{self, Whence},
    refused::Refused,
    view::When,
    visitor::{self, Visitor, theme},
};
use crate::{
    api::{
        Base, Problem,
        user::{begin, sessions_of},
    },
    flow::Actor,
    model::{Address, Kind, Opens, OrgId, Record, Session, SessionId, Time, User},
    store::{Change, ListPage, StoreError},
};
use askama::Template;
use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// How long somebody stays signed in.
const SESSION_LASTS: Duration = Duration::from_secs(7 * 86_400);
/// The longest name of a browser that is kept, in characters.
const MAX_AGENT: usize = 200;
/// How long after they came by a link somebody may set a password without the one before.
const RESET_WITHIN: Duration = Duration::from_secs(3600);
/// Organizations in which a name is looked for.
const MAX_ORGS: usize = 1_000;
/// Users of the same name whose password is compared.
const MAX_NAMESAKES: usize = 5;
/// The longest form of these pages, in bytes.
const MAX_BODY: usize = 16 * 1024;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/sign-in", get(form).post(sign_in))
        .route("/dashboard/enter", get(enter_page).post(enter))
        .route("/dashboard/sign-out", post(sign_out))
        .route("/dashboard/account", get(account))
        .route("/dashboard/account/password", post(set_password))
        .route("/dashboard/account/revoke", post(revoke))
        .route("/dashboard/theme", post(set_theme))
}

#[derive(Template)]
#[template(path = "dashboard/sign_in.html")]
struct SignIn {
    shell: Shell,
    login: String,
    next: String,
    fault: Option<String>,
    /// Whether passwords are taken.
    password: bool,
    /// What the identity provider's button says.
    provider: Option<String>,
}

#[derive(Template)]
#[template(path = "dashboard/enter.html")]
struct Enter {
    shell: Shell,
    link: String,
    /// Whose link it is. `None`: nobody's any more.
    who: Option<String>,
}

#[derive(Template)]
#[template(path = "dashboard/account.html")]
struct Account {
    shell: Shell,
    user: User,
    sessions: Vec<Row>,
    refused: Refused,
    min: usize,
    /// Whether the current password is asked for.
    asks: bool,
}

struct Row {
    id: SessionId,
    agent: String,
    since: When,
    until: When,
    here: bool,
}

/// What a request of somebody unknown came with.
pub(super) struct Guest {
    theme: &'static str,
    pub(super) secure: bool,
    agent: String,
    /// From where, as wrong passwords are counted.
    whence: Whence,
    pub(super) fields: Fields,
}

impl FromRequestParts<Arc<Dashboard>> for Guest {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Arc<Dashboard>) -> Result<Self, Response> {
        let Ok(Base(base)) = Base::from_request_parts(parts, &dashboard.api).await;
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let client = peer.and_then(|peer| dashboard.api.options.trusted_proxies.client(peer, &parts.headers));
        Ok(Guest {
            theme: theme(parts),
            whence: Whence::of(client),
            secure: base.starts_with("https:"),
            agent: agent.chars().take(MAX_AGENT).collect(),
            fields: Fields::parse(parts.uri.query().unwrap_or_default().as_bytes()),
        })
    }
}

impl Guest {
    fn shell(&self, title: &str) -> Shell {
        let shell = Shell::bare(title, Bare { theme: self.theme });
        Shell { note: note(self.fields.raw("note")), ..shell }
    }
}

/// A path of ours, and nobody else's.
pub(super) fn ours(next: &str) -> &str {
    let inside = next.starts_with("/dashboard") && !next.contains(['\\', '\r', '\n']) && !next.starts_with("/dashboard/sign-");
    if inside { next } else { HOME }
}

async fn form(State(dashboard): State<Arc<Dashboard>>, guest: Guest) -> Response {
    let next = ours(guest.fields.raw("next")).to_owned();
    Page(sign_in_page(&dashboard, &guest, (String::new(), next), None)).into_response()
}

fn sign_in_page(dashboard: &Dashboard, guest: &Guest, (login, next): (String, String), fault: Option<String>) -> SignIn {
    let (password, provider) = (dashboard.doors.password, dashboard.doors.label().map(str::to_owned));
    SignIn { shell: guest.shell("Sign in"), login, next, fault, password, provider }
}

/// Everybody of that name, in whatever organization.
async fn namesakes(dashboard: &Dashboard, login: &str, now: Time) -> Result<Vec<User>, StoreError> {
    let store = &dashboard.api.engine.store;
    let page = ListPage { after: None, backwards: false, limit: MAX_ORGS };
    let mut users = Vec::new();
    for stored in store.list(Kind::Organization, "", page, now).await? {
        let Record::Organization(organization) = stored.record else { continue };
        let found = store.find(&Address::new(Kind::User, organization.id, login), now).await?;
        if let Some(Record::User(user)) = found.map(|found| found.record)
            && users.len() < MAX_NAMESAKES
        {
            users.push(user);
        }
    }
    Ok(users)
}

/// What wrong passwords for a name are counted by.
fn counted(login: &str, org: OrgId, first: OrgId) -> String {
    if org == first { login.to_owned() } else { format!("{org} {login}") }
}

/// The form of somebody who is not signed in, from a page of ours.
async fn read(request: Request) -> Result<Fields, PageError> {
    let headers: &HeaderMap = request.headers();
    same_site(headers, &dashboard_host(headers))?;
    let bytes: Bytes = axum::body::to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| PageError(Problem::TooLarge))?;
    Ok(Fields::parse(&bytes))
}

async fn sign_in(State(dashboard): State<Arc<Dashboard>>, guest: Guest, request: Request) -> Shown {
    let fields = read(request).await?;
    if !dashboard.doors.password {
        return Err(PageError(Problem::forbidden("Passwords are not taken here. Sign in by the identity provider.")));
    }
    let login = fields.text("login").to_lowercase();
    let now = dashboard.api.engine.clock.now();
    let first = dashboard.api.options.first_org;
    let users = namesakes(&dashboard, &login, now).await?;
    let mut fault = "The name or the password is wrong.".to_owned();
    if users.is_empty()
        && let Err(problem) = dashboard.doorman.admits((&login, &guest.whence), None, fields.raw("password"), now).await
    {
        fault = reasons(&problem).join(" ");
    }
    for user in users {
        let (hash, counted) = (user.password.as_deref(), counted(&login, user.org, first));
        match dashboard.doorman.admits((&counted, &guest.whence), hash, fields.raw("password"), now).await {
            Ok(true) => return open(&dashboard, &guest, &user, ours(fields.raw("next"))).await,
            Ok(false) => {}
            Err(problem) => fault = reasons(&problem).join(" "),
        }
    }
    let given = (fields.text("login").to_owned(), ours(fields.raw("next")).to_owned());
    let page = sign_in_page(&dashboard, &guest, given, Some(fault));
    Ok((StatusCode::UNPROCESSABLE_ENTITY, Page(page)).into_response())
}

/// Begins a session and leads into the dashboard.
pub(super) async fn open(dashboard: &Dashboard, guest: &Guest, user: &User, next: &str) -> Shown {
    open_by(dashboard, guest, (user, false), next).await
}

async fn open_by(dashboard: &Dashboard, guest: &Guest, (user, by_link): (&User, bool), next: &str) -> Shown {
    let engine = &dashboard.api.engine;
    let now = engine.clock.now();
    let (session, text) = begin(&engine.random, (now, now.plus(SESSION_LASTS)), user, (Opens::Dashboard, guest.agent.clone()));
    let session = Session { by_link, ..session };
    Actor::is_user(user);
    engine.change(vec![Change::Insert(Record::Session(session))]).await?;
    let mut response = Redirect::to(next).into_response();
    let cookie = cookies::set(cookies::SESSION, &text, SESSION_LASTS, guest.secure).ok_or(Problem::Internal)?;
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// A link only asks: what fetches links ahead of people does not use it up.
async fn enter_page(State(dashboard): State<Arc<Dashboard>>, guest: Guest) -> Shown {
    let link = guest.fields.raw("link").to_owned();
    let found = visitor::session(&dashboard, &link, Opens::Once).await?;
    let user = match &found {
        Some(session) => visitor::user(&dashboard, session).await?,
        None => None,
    };
    let who = user.map(|user| if user.name.is_empty() { user.login } else { user.name });
    let status = if who.is_some() { StatusCode::OK } else { StatusCode::GONE };
    Ok((status, Page(Enter { shell: guest.shell("Sign in"), link, who })).into_response())
}

async fn enter(State(dashboard): State<Arc<Dashboard>>, guest: Guest, request: Request) -> Shown {
    let fields = read(request).await?;
    let gone = || PageError(Problem::NotFound("This link was used already, or is too old. Ask for a new one.".into()));
    let link = visitor::session(&dashboard, fields.raw("link"), Opens::Once).await?.ok_or_else(gone)?;
    let engine = &dashboard.api.engine;
    let now = engine.clock.now();
    let stored = engine.store.find(&Address::new(Kind::Session, link.org, link.id), now).await?.ok_or_else(gone)?;
    let user = visitor::user(&dashboard, &link).await?.ok_or_else(gone)?;
    Actor::is_user(&user);
    // Under its revision, so that of two who come at the same moment one is too late.
    let used = Record::Session(Session { expires_at: now, ..link.clone() });
    match engine.change(vec![Change::Replace(used, stored.revision)]).await {
        Err(StoreError::Stale) => return Err(gone()),
        other => other?,
    }
    let sets_one = user.password.is_none() || fields.ticked("reset");
    open_by(&dashboard, &guest, (&user, true), if sets_one { "/dashboard/account" } else { HOME }).await
}

async fn sign_out(filled: Filled) -> Shown {
    let session = &filled.visitor.session;
    end(&filled.visitor, &[session.id]).await?;
    let mut response = Redirect::to("/dashboard/sign-in?note=signed-out").into_response();
    let secure = filled.visitor.base.starts_with("https:");
    if let Some(cookie) = cookies::set(cookies::SESSION, "", SESSION_LASTS, secure) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn end(visitor: &Visitor, sessions: &[SessionId]) -> Result<(), Problem> {
    let changes = sessions.iter().map(|id| Change::Delete(Address::new(Kind::Session, visitor.user.org, *id)));
    Ok(visitor.desk.api().engine.change(changes.collect()).await?)
}

/// The visitor's own sessions, newest first.
async fn own_sessions(visitor: &Visitor) -> Result<Vec<Session>, Problem> {
    Ok(sessions_of(&*visitor.desk.api().engine.store, &visitor.user, visitor.now()).await?)
}

/// Whether somebody must know their password to set another: not those who have just come by a link, which an admin gave them
/// because they forgot it.
fn asks_for_the_old(visitor: &Visitor) -> bool {
    let session = &visitor.session;
    let just_came = session.by_link && visitor.now() < session.created_at.plus(RESET_WITHIN);
    visitor.user.password.is_some() && !just_came
}

async fn account(visitor: Visitor) -> Shown {
    account_page(visitor, Refused::default()).await
}

async fn account_page(visitor: Visitor, refused: Refused) -> Shown {
    let sessions = own_sessions(&visitor).await?.into_iter().filter(|session| session.opens == Opens::Dashboard);
    let here = visitor.session.id;
    let sessions = sessions.map(|session| Row {
        id: session.id,
        here: session.id == here,
        since: When(session.created_at),
        until: When(session.expires_at),
        agent: session.agent,
    });
    let shell = Shell::new(&visitor, "Your account", "account");
    let (asks, min) = (asks_for_the_old(&visitor), password::MIN_PASSWORD);
    let page = Account { shell, sessions: sessions.collect(), user: visitor.user, refused, min, asks };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// Sets the password; every other session of the account ends.
async fn set_password(Filled { visitor, fields }: Filled) -> Shown {
    let dashboard = visitor.desk.dashboard().clone();
    let (now, engine) = (visitor.now(), &dashboard.api.engine);
    if let Some(hash) = visitor.user.password.as_ref().filter(|_| asks_for_the_old(&visitor)) {
        let counted = counted(&visitor.user.login, visitor.user.org, dashboard.api.options.first_org);
        let right = dashboard
            .doorman
            .admits((&counted, &Whence::Session(visitor.session.id)), Some(hash), fields.raw("current"), now)
            .await;
        if !matches!(right, Ok(true)) {
            let wrong = Problem::field(&["current"], "wrong", "The current password is wrong.");
            return account_page(visitor, Refused::new("password", wrong, fields, &[])?).await;
        }
    }
    let hash = match dashboard.doorman.hash(&engine.random, fields.raw("password")).await {
        Ok(hash) => hash,
        Err(problem) => return account_page(visitor, Refused::new("password", problem, fields, &[])?).await,
    };
    let address = Address::new(Kind::User, visitor.user.org, visitor.user.id);
    let stored = engine.store.find(&address, now).await?.ok_or(Problem::Unauthorized)?;
    let Record::User(stored_user) = stored.record else { return Err(Problem::Internal.into()) };
    // As it is now: hashing took a moment, in which somebody may have changed the role.
    let user = User { password: Some(hash), updated_at: now, ..stored_user };
    let mut changes = vec![Change::Replace(Record::User(user), stored.revision)];
    if visitor.session.by_link {
        changes.push(Change::Write(Record::Session(Session { by_link: false, ..visitor.session.clone() })));
    }
    let others = own_sessions(&visitor).await?.into_iter().filter(|session| session.id != visitor.session.id);
    changes.extend(others.map(|session| Change::Delete(Address::new(Kind::Session, session.org, session.id))));
    engine.change(changes).await?;
    Ok(Redirect::to("/dashboard/account?note=password").into_response())
}

async fn revoke(filled: Filled) -> Shown {
    let wanted = filled.fields.text("session");
    let own = own_sessions(&filled.visitor).await?;
    let found: Vec<SessionId> = own.iter().map(|session| session.id).filter(|id| id.to_string() == wanted).collect();
    end(&filled.visitor, &found).await?;
    Ok(Redirect::to("/dashboard/account?note=revoked").into_response())
}

/// Light, dark, or as the reader's system says. Nothing of anybody's is changed, so anybody may.
async fn set_theme(guest: Guest, request: Request) -> Shown {
    const LASTS: Duration = Duration::from_secs(365 * 86_400);
    let fields = read(request).await?;
    let theme = match fields.raw("theme") {
        "light" => "light",
        "dark" => "dark",
        _ => "",
    };
    let back = ours(fields.raw("back"));
    let mut response = Redirect::to(back).into_response();
    if let Some(cookie) = cookies::set(cookies::THEME, theme, LASTS, guest.secure) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_nowhere_else() {
        assert_eq!(ours("/dashboard/messages?type=x"), "/dashboard/messages?type=x");
        for bad in ["", "//evil.example", "https://evil.example", "/in/x", "/dashboard\\@evil", "/dashboard/sign-out"] {
            assert_eq!(ours(bad), HOME, "{bad}");
        }
    }
}
