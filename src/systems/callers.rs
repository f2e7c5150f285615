//! Who may call a surface: some are managed with API keys, one with user sessions.

use super::Surface;
use crate::{
    api::{Caller, Problem, Shared},
    model::{Grant, Scope},
};
use axum::{extract::FromRequestParts, http::request::Parts};

/// A caller with a user session. Anything else is told what is needed.
#[derive(Clone, Debug)]
pub(crate) struct SessionCaller(pub(crate) Caller);

impl FromRequestParts<Shared> for SessionCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, api).await?;
        match caller.grant {
            Grant::Session => Ok(SessionCaller(caller)),
            Grant::Key | Grant::Limited { .. } => Err(Problem::forbidden(
                "An API key may not do this: it takes a user session, the token of a user who is signed in.",
            )),
            Grant::Portal { .. } => Err(Problem::forbidden("A portal token may not do this: it takes a user session.")),
        }
    }
}

/// A caller with an API key, or with a session of somebody who holds one.
#[derive(Clone, Debug)]
pub(crate) struct KeyCaller(pub(crate) Caller);

impl FromRequestParts<Shared> for KeyCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let header = parts.extensions.get::<&'static Surface>().and_then(|surface| surface.token_header);
        let caller = match header.and_then(|name| parts.headers.get(name)) {
            Some(token) => {
                let caller = api.caller(token.to_str().unwrap_or_default().trim()).await?;
                caller.holds(Scope::Manage)?;
                caller
            }
            None => Caller::from_request_parts(parts, api).await?,
        };
        caller.manage()?;
        Ok(KeyCaller(caller))
    }
}
