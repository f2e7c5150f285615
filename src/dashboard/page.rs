//! What all pages have in common: the frame around them, and the headers that keep them to themselves.

use super::{HOME, assets, visitor::Visitor};
use crate::model::Role;
use askama::Template;
use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};

/// Nothing comes from elsewhere, nothing runs that is not a file of ours, and nobody puts us into a frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);

/// The frame around a page.
#[derive(Debug)]
pub(super) struct Shell {
    /// What the page is about.
    pub(super) title: String,
    /// Which entry of the menu it belongs to.
    pub(super) section: &'static str,
    /// `light`, `dark` or nothing.
    pub(super) theme: &'static str,
    /// Where the style is.
    pub(super) style: &'static str,
    /// Where the script is.
    pub(super) script: &'static str,
    /// Who looks. `None`: nobody who is signed in.
    pub(super) visitor: Option<Who>,
    /// What was just done.
    pub(super) note: Option<&'static str>,
    /// The page to which its forms lead back.
    pub(super) here: String,
}

/// Who looks.
#[derive(Debug)]
pub(super) struct Who {
    /// Name for people.
    pub(super) name: String,
    /// What they may do.
    pub(super) role: Role,
    /// What their forms carry.
    pub(super) form_token: String,
}

/// How a page without a visitor looks.
#[derive(Debug, Default)]
pub(super) struct Bare {
    /// `light`, `dark` or nothing.
    pub(super) theme: &'static str,
}

/// An entry of the menu.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its word in [`Shell::section`].
    pub(super) section: &'static str,
    /// Where it leads.
    pub(super) path: &'static str,
    /// For people.
    pub(super) label: &'static str,
}

const fn entry(section: &'static str, path: &'static str, label: &'static str) -> Entry {
    Entry { section, path, label }
}

/// The menu.
const MENU: [Entry; 12] = [
    entry("overview", HOME, "Overview"),
    entry("issues", "/dashboard/issues", "Issues"),
    entry("alerts", "/dashboard/alerts", "Alerts"),
    entry("messages", "/dashboard/messages", "Messages"),
    entry("applications", "/dashboard/applications", "Applications"),
    entry("sources", "/dashboard/sources", "Sources"),
    entry("event-types", "/dashboard/event-types", "Event types"),
    entry("replays", "/dashboard/replays", "Replays"),
    entry("keys", "/dashboard/keys", "Keys"),
    entry("users", "/dashboard/users", "Users"),
    entry("audit", "/dashboard/audit", "Audit"),
    entry("settings", "/dashboard/settings", "Settings"),
];

/// What a page says was done, by the word in its query. Only these: a link cannot put words into our mouth.
const NOTES: [(&str, &str); 29] = [
    ("saved", "Saved."),
    ("made", "Created."),
    ("deleted", "Deleted."),
    ("paused", "Paused: deliveries are held, and none is lost."),
    ("resumed", "Resumed: what was held is delivered now."),
    ("resent", "Queued again. The attempt shows here in a moment."),
    ("recovered", "Failed deliveries are queued again."),
    ("nothing", "There was nothing to queue."),
    ("rotated", "There is a new secret. The old one signs beside it until it expires."),
    ("tested", "An example is on its way. The attempt shows here in a moment."),
    ("tested-held", "An example is queued. It is disabled, so the example is held until it is enabled."),
    ("acknowledged", "Acknowledged."),
    ("muted", "Muted."),
    ("unmuted", "It tells again."),
    ("secret", "There is a new secret. The old one verifies beside it for a day."),
    ("reopened", "Open again."),
    ("revoked", "Revoked."),
    ("password", "Your password is set."),
    ("queued", "Queued."),
    ("moved", "There is a new URL. The old one works until it expires."),
    ("expunged", "The payload is deleted."),
    ("signed-out", "You are signed out."),
    ("begun", "The replay has begun."),
    ("aborted", "Aborted. What was done until then stays done."),
    ("cancelling", "Cancelling has begun."),
    ("cancelled", "Cancelled: what waited is not sent any more."),
    ("paced", "Catching up at that pace. New messages are not slowed down."),
    ("unpaced", "The pace is lifted: what waits goes out as fast as the endpoint takes it."),
    ("role", "The role is changed."),
];

impl Shell {
    /// Around a visitor's page.
    pub(super) fn new(visitor: &Visitor, title: impl Into<String>, section: &'static str) -> Self {
        let word = super::fields::Fields::parse(visitor.query.as_bytes());
        Shell {
            title: title.into(),
            section,
            theme: visitor.theme,
            style: assets::style(),
            script: assets::script(),
            visitor: Some(Who {
                name: if visitor.user.name.is_empty() { visitor.user.login.clone() } else { visitor.user.name.clone() },
                role: visitor.user.role,
                form_token: visitor.form_token.clone(),
            }),
            note: note(word.raw("note")),
            here: visitor.here.clone(),
        }
    }

    /// Around a page that anybody may see.
    pub(super) fn bare(title: impl Into<String>, bare: Bare) -> Self {
        Shell {
            title: title.into(),
            section: "",
            theme: bare.theme,
            style: assets::style(),
            script: assets::script(),
            visitor: None,
            note: None,
            here: HOME.to_owned(),
        }
    }

    /// The menu.
    pub(super) fn menu(&self) -> &'static [Entry] {
        &MENU
    }

    /// What the visitor's forms carry.
    pub(super) fn form_token(&self) -> &str {
        self.visitor.as_ref().map_or("", |who| &who.form_token)
    }

    /// Whether the visitor may do what takes that role. Pages show no control that answers 403; the server refuses anyway.
    fn may(&self, role: Role) -> bool {
        self.visitor.as_ref().is_some_and(|who| who.role >= role)
    }

    /// Whether the visitor may change things.
    pub(super) fn works(&self) -> bool {
        self.may(Role::Operator)
    }

    /// Whether the visitor may do everything.
    pub(super) fn admin(&self) -> bool {
        self.may(Role::Admin)
    }
}

/// The sentence of a word.
pub(super) fn note(word: &str) -> Option<&'static str> {
    NOTES.iter().find(|(known, _)| *known == word).map(|(_, sentence)| *sentence)
}

/// A filled template.
pub(super) struct Page<T>(pub(super) T);

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            Ok(text) => Html(text).into_response(),
            Err(error) => {
                tracing::error!(%error, "a page cannot be made");
                axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// The headers of every page. Files of ours say themselves how long they are kept.
pub(super) async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
