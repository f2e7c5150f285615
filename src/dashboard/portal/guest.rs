//! Guests: who looks at a page of the portal, told by the link's token in a cookie.
//!
//! The cookie is the token itself, so that revoking the link (`auth/logout`, `auth/app/{app}/expire-all`, its end) ends the
//! session too. It is held to `/portal/{application}`: portals of several applications are open side by side, and a page of
//! one application never gets the token of another. Within a frame on somebody else's site browsers keep cookies only with
//! `SameSite=None; Secure`, and apart for each such site with `Partitioned`; over plain HTTP a second one without them is
//! for portals that are nobody's frame. Forms carry a token of their own beside it, since `SameSite` then protects nothing.

use super::{
    super::{
        Dashboard, cookies,
        desk::Desk,
        fields::{Fields, dashboard_host, here, question, rest, same_site},
        page::Page,
        visitor::form_token,
    },
    brand::Brand,
    page::{PREFIX, PortalError, Shell, Shown},
};
use crate::{
    api::{Base, Problem},
    model::Grant,
};
use askama::Template;
use axum::{
    Router,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use subtle::ConstantTimeEq;

/// The token, where it may be in a frame.
const FRAMED: &str = "postrider_portal_framed";
/// The token, over plain HTTP and in nobody's frame.
const PLAIN: &str = "postrider_portal";
/// `light` or `dark`; the reader's system decides without it.
const THEME: &str = "postrider_portal_theme";
/// How long a browser keeps the cookies: as long as a link is good at most. The token's own end counts.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// The field that proves that a form is ours.
const TOKEN_FIELD: &str = "form_token";

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/portal/{app}/session", get(session))
        .route("/portal/{app}/theme", post(choose_theme))
        .route("/portal/{app}/leave", post(leave))
}

/// The application that a link is for.
#[derive(Debug, Deserialize)]
pub(super) struct App {
    /// Identifier.
    pub(super) id: String,
    /// For people.
    pub(super) name: String,
}

/// Who looks.
pub(super) struct Guest {
    /// The API with the link's rights.
    pub(super) desk: Desk,
    /// The application.
    pub(super) app: App,
    /// How its portal looks.
    pub(super) brand: Arc<Brand>,
    /// Whether the link may change things.
    pub(super) works: bool,
    /// Whether another page is around this one.
    pub(super) framed: bool,
    /// What their forms carry.
    pub(super) form_token: String,
    /// `light`, `dark` or nothing.
    pub(super) theme: &'static str,
    /// The page's query, without the question mark.
    pub(super) query: String,
    /// The page to which its forms lead back, if it is known.
    pub(super) here: Option<String>,
    /// The page's own URL before its path.
    pub(super) base: String,
}

impl Guest {
    /// Where their pages are.
    pub(super) fn home(&self) -> String {
        format!("{PREFIX}/{}", self.app.id)
    }

    /// Refuses links that may only look.
    ///
    /// # Errors
    /// 403.
    pub(super) fn may_work(&self) -> Result<(), Problem> {
        if self.works { Ok(()) } else { Err(Problem::forbidden("This link may only look.")) }
    }

    /// The API's path of their application.
    pub(super) fn api(&self) -> String {
        format!("/api/v1/app/{}", self.app.id)
    }
}

impl FromRequestParts<Arc<Dashboard>> for Guest {
    type Rejection = PortalError;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Arc<Dashboard>) -> Result<Self, PortalError> {
        let Ok(Base(base)) = Base::from_request_parts(parts, &dashboard.api).await;
        let token = cookies::read(&parts.headers, FRAMED).or_else(|| cookies::read(&parts.headers, PLAIN));
        let token = token.ok_or(Problem::Unauthorized)?.to_owned();
        let caller = dashboard.api.caller(&token).await?;
        let Grant::Portal { app, read_only, .. } = &caller.grant else { return Err(PortalError(Problem::Unauthorized)) };
        let (app, works) = (app.to_string(), !read_only);
        if parts.uri.path().split('/').nth(2) != Some(app.as_str()) {
            return Err(PortalError(Problem::not_found("page")));
        }
        let desk = Desk::new(dashboard.clone(), caller, parts);
        let app = desk.find(&format!("/api/v1/app/{app}")).await?.ok_or(Problem::Unauthorized)?;
        let told = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        Ok(Guest {
            desk,
            app,
            brand: parts.extensions.get().cloned().unwrap_or_else(|| dashboard.brand.clone()),
            works,
            framed: told("sec-fetch-dest").is_some_and(|into| matches!(into, "iframe" | "frame")),
            form_token: form_token(&token),
            theme: theme(&parts.headers),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            here: here(parts),
            base,
        })
    }
}

/// The theme that the reader has chosen.
pub(super) fn theme(headers: &HeaderMap) -> &'static str {
    match cookies::read(headers, THEME) {
        Some("light") => "light",
        Some("dark") => "dark",
        _ => "",
    }
}

/// Sets a cookie for the pages of one application, in a frame and out of it. An empty value takes it away.
fn keep((name, plain): (&str, &str), value: &str, app: &str, secure: bool) -> Vec<axum::http::HeaderValue> {
    let lasts = if value.is_empty() { 0 } else { KEPT.as_secs() };
    let common = format!("Path={PREFIX}/{app}; HttpOnly; Max-Age={lasts}");
    let mut lines = vec![format!("{name}={value}; {common}; SameSite=None; Secure; Partitioned")];
    if !secure {
        lines.push(format!("{plain}={value}; {common}; SameSite=Lax"));
    }
    lines.into_iter().filter_map(|line| line.parse().ok()).collect()
}

/// Sets the cookies of a session.
pub(super) fn begin(response: &mut Response, token: &str, app: &str, base: &str) {
    for cookie in keep((FRAMED, PLAIN), token, app, base.starts_with("https://")) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Sets the theme.
pub(super) fn dress(response: &mut Response, theme: &str, app: &str, base: &str) {
    let theme = if matches!(theme, "light" | "dark") { theme } else { "" };
    // One name for both: whichever the browser takes says the same.
    for cookie in keep((THEME, THEME), theme, app, base.starts_with("https://")) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Whether the session's cookie has come: 204, or 401.
async fn session(_guest: Guest) -> StatusCode {
    StatusCode::NO_CONTENT
}

/// A form that was sent from a page of ours by a guest. The only way to the API's changes.
pub(super) struct Sent {
    /// Who sent it.
    pub(super) guest: Guest,
    /// What it says.
    pub(super) fields: Fields,
}

impl Sent {
    /// Asks the API for a change.
    pub(super) async fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: Value) -> Result<T, Problem> {
        self.guest.desk.call(method, path, Some(body).filter(|body| !body.is_null())).await
    }

    /// Asks the API for a change, and for nothing else.
    pub(super) async fn change(&self, method: Method, path: &str, body: Value) -> Result<(), Problem> {
        self.send::<Value>(method, path, body).await.map(drop)
    }

    /// Refuses links that may only look, where no operation of the API does it.
    pub(super) fn works(&self) -> Result<(), Problem> {
        self.guest.may_work()
    }
}

/// Asks before what cannot be undone is done.
#[derive(Template)]
#[template(path = "portal/ask.html")]
struct Ask<'a> {
    shell: Shell,
    question: &'a str,
    action: String,
    fields: Vec<(&'a str, &'a str)>,
}

impl FromRequest<Arc<Dashboard>> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, dashboard: &Arc<Dashboard>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let refused = |problem| PortalError(problem).into_response();
        same_site(&parts.headers, &dashboard_host(&parts.headers)).map_err(refused)?;
        let guest = Guest::from_request_parts(&mut parts, dashboard).await.map_err(IntoResponse::into_response)?;
        let action = parts.uri.path().to_owned();
        let bytes = Bytes::from_request(Request::from_parts(parts, body), dashboard).await;
        let fields = Fields::parse(&bytes.map_err(|_| refused(Problem::TooLarge))?);
        let ours: bool = fields.raw(TOKEN_FIELD).as_bytes().ct_eq(guest.form_token.as_bytes()).into();
        if !ours {
            return Err(refused(Problem::forbidden("This form is too old, or not from this site. Load the page again.")));
        }
        if let Some(question) = question(&fields) {
            let shell = Shell::new(&guest, question, "");
            return Err(Page(Ask { shell, question, action, fields: rest(&fields) }).into_response());
        }
        Ok(Sent { guest, fields })
    }
}

async fn choose_theme(sent: Sent) -> Shown {
    let home = sent.guest.home();
    let back = sent.fields.text("back");
    let own = back.strip_prefix(&home).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let mut response = Redirect::to(if own { back } else { &home }).into_response();
    dress(&mut response, sent.fields.text("theme"), &sent.guest.app.id, &sent.guest.base);
    Ok(response)
}

/// Revokes the link, and takes its cookies away. A signed token ends by itself; its cookies go.
async fn leave(Path(app): Path<String>, sent: Sent) -> Shown {
    match sent.change(Method::POST, "/api/v1/auth/logout", json!({})).await {
        Ok(()) | Err(Problem::Forbidden(_)) => {}
        Err(problem) => return Err(PortalError(problem)),
    }
    let mut response = Redirect::to(&format!("{PREFIX}?app={}&ended=1", sent.guest.app.id)).into_response();
    begin(&mut response, "", &app, &sent.guest.base);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_for_frames_and_for_one_application() {
        let lines = |secure| keep((FRAMED, PLAIN), "x", "app_1", secure).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
        let secure: Vec<String> = lines(true);
        assert_eq!(secure.len(), 1, "over TLS there is no cookie that plain HTTP would carry");
        let plain: Vec<String> = lines(false);
        assert!(plain.iter().chain(&secure).all(|line| line.contains("Path=/portal/app_1;") && line.contains("HttpOnly")));
        assert!(secure[0].ends_with("SameSite=None; Secure; Partitioned") && plain[1].ends_with("SameSite=Lax"));
    }
}
