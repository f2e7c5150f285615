//! The page that shows a secret: the one that was just made, or one that somebody asked for. It is never the answer to a `GET`, so
//! that no history leads back to it.

use super::{
    error::Shown,
    page::{Page, Shell},
    visitor::Visitor,
};
use askama::Template;
use axum::response::IntoResponse;

/// A secret and whose it is.
pub(super) struct Secret<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// What it belongs to, as people call it.
    pub(super) owner: &'a str,
    /// Where the reader goes on.
    pub(super) next: &'a str,
    /// Which entry of the menu it belongs to.
    pub(super) section: &'static str,
    /// What there is to say of it.
    pub(super) about: &'static str,
}

#[derive(Template)]
#[template(path = "dashboard/secret.html")]
struct SecretPage<'a> {
    shell: Shell,
    secret: &'a str,
    owner: &'a str,
    next: &'a str,
    about: &'static str,
}

/// Shows a secret.
pub(super) fn shown(visitor: &Visitor, Secret { text: secret, owner, next, section, about }: Secret<'_>) -> Shown {
    let shell = Shell::new(visitor, "Signing secret", section);
    Ok(Page(SecretPage { shell, secret, owner, next, about }).into_response())
}
