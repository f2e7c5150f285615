//! How an endpoint's requests are let in: its credentials and its organization's proxy, opened and ready for each send.

use super::{RouteError, Sending};
use crate::{
    crypto::{Vault, VaultError},
    model::{Authentication, Credentials, OutgoingProxy, Sealed},
    outbound::{Target, TokenSource, Way, WayError},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What an endpoint's credentials are sealed for.
pub const CREDENTIALS_PURPOSE: &str = "endpoint credentials";
/// What an organization's proxy is sealed for.
pub const PROXY_PURPOSE: &str = "organization proxy";

/// How requests are let in.
pub(super) struct Access {
    pub(super) sending: Sending,
    /// The header `Authorization`; a stand-in where tokens are fetched.
    pub(super) authorization: Option<HeaderValue>,
}

/// Opens an endpoint's credentials.
///
/// # Errors
/// They do not open.
pub fn open_credentials(vault: &Vault, sealed: &Sealed) -> Result<Credentials, VaultError> {
    serde_json::from_slice(&vault.open(CREDENTIALS_PURPOSE, sealed)?).map_err(|_| VaultError::Damaged)
}

/// Opens an organization's proxy.
///
/// # Errors
/// It does not open.
pub fn open_proxy(vault: &Vault, sealed: &Sealed) -> Result<OutgoingProxy, VaultError> {
    serde_json::from_slice(&vault.open(PROXY_PURPOSE, sealed)?).map_err(|_| VaultError::Damaged)
}

/// Makes ready what an endpoint needs to send; `owner` is its id.
///
/// # Errors
/// The credentials, or the proxy, cannot be used.
pub(super) fn access(
    target: Target,
    owner: &str,
    credentials: Option<&Credentials>,
    proxy: Option<&OutgoingProxy>,
) -> Result<Access, RouteError> {
    let Some(credentials) = credentials else {
        let way = Way::new(owner, None, None, proxy)?;
        return Ok(Access { sending: Sending { target: Arc::new(target.by(way)), tokens: None }, authorization: None });
    };
    let (certificate, ca) = (credentials.client_certificate.as_ref(), credentials.ca.as_deref());
    let target = target.by(Way::new(owner, certificate, ca, proxy)?);
    let (text, tokens) = match &credentials.authentication {
        None => (None, None),
        Some(Authentication::Basic { username, password }) => {
            let pair = Zeroizing::new(format!("{username}:{}", password.0));
            (Some(format!("Basic {}", STANDARD.encode(&*pair))), None)
        }
        Some(Authentication::Bearer { token }) => (Some(format!("Bearer {}", token.0)), None),
        Some(Authentication::Oauth2(grant)) => {
            let way = Way::to_tokens(owner, certificate, ca, proxy)?;
            (Some("Bearer".to_owned()), Some(Arc::new(TokenSource::new(grant, way)?)))
        }
    };
    let mut authorization = text.map(HeaderValue::try_from).transpose().map_err(|_| WayError::Header)?;
    authorization.iter_mut().for_each(|value| value.set_sensitive(true));
    Ok(Access { sending: Sending { target: Arc::new(target), tokens }, authorization })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Hidden;

    #[test]
    fn what_authorizes_is_ready_and_hidden() {
        let of = |authentication| {
            let credentials = Credentials { authentication: Some(authentication), ..Credentials::default() };
            let target = Target::parse("https://example.com/").unwrap();
            access(target, "ep_1", Some(&credentials), None).map(|access| access.authorization.unwrap())
        };
        let basic = of(Authentication::Basic { username: "Aladdin".into(), password: Hidden("open sesame".into()) }).unwrap();
        assert_eq!(basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(basic.is_sensitive());
        assert_eq!(of(Authentication::Bearer { token: Hidden("abc".into()) }).unwrap(), "Bearer abc");
        assert!(of(Authentication::Bearer { token: Hidden("a\nb".into()) }).is_err());
    }
}
