//! Sessions of users, and links that begin one.

use super::each;
use crate::{
    crypto::fingerprint,
    model::{Kind, Opens, Record, Session, SessionId, Time, User},
    random::Random,
    store::{Store, StoreError},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a link to sign in works, once.
pub const LINK_LASTS: Duration = Duration::from_secs(24 * 3600);
/// What a session's text starts with, and a link's.
const TEXT_PREFIX: &str = "prs_";
/// Bytes of chance in a text.
const TEXT_BYTES: usize = 32;

/// The path of a link with that text.
#[must_use]
pub fn link_path(text: &str) -> String {
    format!("/dashboard/enter?link={text}")
}

/// A session, and its text. It is not stored yet.
#[must_use]
pub fn begin(
    random: &Random,
    (now, end): (Time, Time),
    user: &User,
    (opens, agent): (Opens, String),
) -> (Session, Zeroizing<String>) {
    let mut text = Zeroizing::new(String::from(TEXT_PREFIX));
    URL_SAFE_NO_PAD.encode_string(*Zeroizing::new(random.bytes::<TEXT_BYTES>()), &mut text);
    let hash = fingerprint(text.as_bytes());
    let id = SessionId(random.id(now));
    let session =
        Session { id, org: user.org, user: user.id, hash, opens, agent, by_link: false, created_at: now, expires_at: end };
    (session, text)
}

/// A link to sign in once; what is stored of it, and its text.
#[must_use]
pub fn new_link(random: &Random, now: Time, user: &User) -> (Session, Zeroizing<String>) {
    begin(random, (now, now.plus(LINK_LASTS)), user, (Opens::Once, String::new()))
}

/// A user's sessions, and their links.
///
/// # Errors
/// The store is away.
pub async fn sessions_of(store: &dyn Store, user: &User, now: Time) -> Result<Vec<Session>, StoreError> {
    let mut sessions = Vec::new();
    each(store, (Kind::Session, user.org, now), |record| {
        if let Record::Session(session) = record
            && session.user == user.id
        {
            sessions.push(session);
        }
        true
    })
    .await?;
    sessions.reverse();
    Ok(sessions)
}
