//! What all pages of the portal have in common: the frame around them, their headers, refusals, and the files they need.

use super::{
    super::{Dashboard, assets, error::reasons, fields::Fields, page},
    brand::Brand,
    guest::{Guest, theme},
};
use crate::api::Problem;
use askama::Template;
use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::Arc;

/// Where the portal is.
pub(in crate::dashboard) const PREFIX: &str = "/portal";
/// For good: another content has another name.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// The module that opens a link.
const OPEN_SCRIPT: &str = include_str!("../assets/portal-open.js");

/// The frame around a page.
#[derive(Debug)]
pub(super) struct Shell {
    /// What the page is about.
    pub(super) title: String,
    /// Which entry of the menu it belongs to.
    pub(super) section: &'static str,
    /// `light`, `dark` or nothing.
    pub(super) theme: &'static str,
    /// The operator's name.
    pub(super) brand: String,
    /// Where the operator's logo is; empty: there is none.
    pub(super) logo: String,
    /// Where the colours are; empty: they are ours.
    pub(super) colors: String,
    /// Who looks. `None`: nobody who has opened a link.
    pub(super) guest: Option<Who>,
    /// What was just done.
    pub(super) note: Option<&'static str>,
}

/// Who looks.
#[derive(Debug)]
pub(super) struct Who {
    /// Where their pages are.
    pub(super) home: String,
    /// The page to which its forms lead back.
    pub(super) here: String,
    /// The application's name.
    pub(super) app: String,
    /// Whether they may change things.
    pub(super) works: bool,
    /// Whether another page is around this one.
    pub(super) framed: bool,
    /// What their forms carry.
    pub(super) form_token: String,
}

impl Shell {
    /// Around a guest's page.
    pub(super) fn new(guest: &Guest, title: impl Into<String>, section: &'static str) -> Self {
        let word = Fields::parse(guest.query.as_bytes());
        let who = Who {
            home: guest.home(),
            here: guest.here.clone().unwrap_or_else(|| guest.home()),
            app: guest.app.name.clone(),
            works: guest.works,
            framed: guest.framed,
            form_token: guest.form_token.clone(),
        };
        let bare = Shell::bare(&guest.brand, title, guest.theme);
        Shell { section, guest: Some(who), note: page::note(word.raw("note")), ..bare }
    }

    /// Around a page that anybody may see.
    pub(super) fn bare(brand: &Brand, title: impl Into<String>, theme: &'static str) -> Self {
        Shell {
            title: title.into(),
            section: "",
            theme,
            brand: brand.name.clone(),
            logo: brand.logo_path.clone(),
            colors: brand.style_path.clone(),
            guest: None,
            note: None,
        }
    }

    /// Where the guest's pages are.
    pub(super) fn home(&self) -> &str {
        self.guest.as_ref().map_or("", |who| &who.home)
    }

    /// The page to which its forms lead back.
    pub(super) fn here(&self) -> &str {
        self.guest.as_ref().map_or("", |who| &who.here)
    }

    /// What the guest's forms carry.
    pub(super) fn form_token(&self) -> &str {
        self.guest.as_ref().map_or("", |who| &who.form_token)
    }

    /// Whether the guest may change things.
    pub(super) fn works(&self) -> bool {
        self.guest.as_ref().is_some_and(|who| who.works)
    }

    /// What the browser calls the page's owner.
    pub(super) fn owner(&self) -> &str {
        if self.brand.is_empty() { "Webhooks" } else { &self.brand }
    }

    /// Where a file of the dashboard's is for the portal: an operator may open `/portal` to the world and nothing else.
    fn asset(path: &str) -> String {
        path.replacen(super::super::HOME, PREFIX, 1)
    }

    pub(super) fn style(&self) -> String {
        Shell::asset(assets::style())
    }

    pub(super) fn script(&self) -> String {
        Shell::asset(assets::script())
    }

    pub(super) fn icon(&self) -> String {
        Shell::asset(assets::icon())
    }
}

/// A refusal that waits for its page, which [`guarded`] makes: only there is known for whom.
#[derive(Clone, Debug)]
struct Refused(Problem);

/// A refusal.
#[derive(Debug)]
pub(super) struct PortalError(pub(super) Problem);

/// What a page's handler answers.
pub(super) type Shown = Result<Response, PortalError>;

impl<E: Into<Problem>> From<E> for PortalError {
    fn from(error: E) -> Self {
        PortalError(error.into())
    }
}

impl IntoResponse for PortalError {
    fn into_response(self) -> Response {
        let mut response = self.0.status().into_response();
        response.extensions_mut().insert(Refused(self.0));
        response
    }
}

#[derive(Template)]
#[template(path = "portal/error.html")]
struct ErrorPage {
    shell: Shell,
    title: &'static str,
    reasons: Vec<String>,
    home: String,
    ended: bool,
}

/// The page of a refusal. Whose link has ended gets that, and nothing else.
fn refusal(brand: &Brand, problem: &Problem, theme: &'static str, path: &str) -> Response {
    let ended = matches!(problem, Problem::Unauthorized);
    let title = match problem.status().as_u16() {
        401 => "This link has ended",
        404 => "There is nothing here",
        403 => "You may not do this",
        409 => "Something is in the way",
        422 | 400 => "This cannot be done",
        500.. => "Something went wrong",
        _ => "That did not work",
    };
    let app = path.strip_prefix(PREFIX).and_then(|rest| rest.split('/').nth(1)).filter(|app| app.starts_with("app_") && !ended);
    let home = app.map(|app| format!("{PREFIX}/{app}")).unwrap_or_default();
    let shell = Shell::bare(brand, title, theme);
    (problem.status(), page::Page(ErrorPage { shell, title, reasons: reasons(problem), home, ended })).into_response()
}

/// The application that a page is about: by its path, or, before a link is open, by its query.
fn app_of(uri: &Uri) -> String {
    let named = uri.path().split('/').nth(2).filter(|name| name.starts_with("app_"));
    let asked = || Fields::parse(uri.query().unwrap_or_default().as_bytes()).text("app").to_owned();
    named.map_or_else(asked, str::to_owned)
}

/// The headers of every page, and the pages of refusals.
pub(super) async fn guarded(State(dashboard): State<Arc<Dashboard>>, mut request: Request, next: Next) -> Response {
    let (theme, path) = (theme(request.headers()), request.uri().path().to_owned());
    let brand = Brand::of_app(&dashboard, &app_of(request.uri())).await;
    request.extensions_mut().insert(brand.clone());
    let mut response = next.run(request).await;
    if let Some(Refused(problem)) = response.extensions_mut().remove::<Refused>() {
        response = refusal(&brand, &problem, theme, &path);
    }
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         frame-ancestors {}; base-uri 'none'",
        brand.ancestors
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/portal/assets/portal-open.js", get(open_script))
        .route("/portal/assets/{name}", get(assets::asset))
        .route("/portal/brand/{name}", get(brand_file))
        .route("/portal/{app}/brand/{name}", get(brand_file))
}

async fn open_script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], OPEN_SCRIPT).into_response()
}

/// The operator's logo and colours.
async fn brand_file(Extension(brand): Extension<Arc<Brand>>, request: Request) -> Response {
    let path = request.uri().path();
    match &brand.logo {
        Some(logo) if path == brand.logo_path => {
            let kind = HeaderValue::from_static(logo.kind.media());
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, FOR_GOOD)], logo.bytes.clone()).into_response()
        }
        _ if path == brand.style_path => {
            let kind = HeaderValue::from_static("text/css; charset=utf-8");
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, FOR_GOOD)], brand.style.clone()).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
