//! How deliveries prove who sends them, beyond the signature, and by which way they leave. Stored encrypted as a whole.

use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroize;

/// A text that is never shown: not in logs, not in answers; wiped when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What an endpoint's deliveries carry to be let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The header `Authorization`.
    pub authentication: Option<Authentication>,
    /// Shown in the TLS handshake.
    pub client_certificate: Option<ClientCertificate>,
    /// Trust anchors (PEM) that count for this endpoint in place of the web's.
    pub ca: Option<String>,
}

impl Credentials {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Credentials::default()
    }
}

/// What the header `Authorization` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Authentication {
    /// RFC 7617.
    Basic {
        /// Without a colon.
        username: String,
        /// Never shown again.
        password: Hidden,
    },
    /// RFC 6750, a token that does not change.
    Bearer {
        /// Never shown again.
        token: Hidden,
    },
    /// RFC 6749, section 4.4: a token that is fetched, and fetched again before it ends.
    Oauth2(ClientGrant),
}

/// The client credentials grant of OAuth 2 (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientGrant {
    /// Where tokens are had.
    pub token_url: String,
    /// The client's name there.
    pub client_id: String,
    /// Never shown again.
    pub client_secret: Hidden,
    /// What the token is asked for, space-separated.
    pub scope: Option<String>,
    /// For whom the token is, where the token endpoint wants that said.
    pub audience: Option<String>,
    /// Where the client's name and secret stand.
    pub placed: Placement,
}

/// Where the client's name and secret stand in a request for a token (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// In the header `Authorization`.
    #[default]
    Header,
    /// In the form.
    Body,
}

/// A certificate by which we are known in a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// PEM, our certificate first, then those up to the issuer that the receiver trusts.
    pub certificate: String,
    /// PEM (PKCS #8, PKCS #1 or SEC 1). Never shown again.
    pub private_key: Hidden,
}

/// A proxy through which an organization's requests leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingProxy {
    /// `http://host:port` (CONNECT) or `socks5://host:port`.
    pub url: String,
    /// For proxies that want one.
    pub username: Option<String>,
    /// Never shown again.
    pub password: Option<Hidden>,
    /// Who resolves the receivers' names.
    pub resolved_by: ResolvedBy,
}

/// Who resolves the names of receivers that are reached through a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolvedBy {
    /// We do: the address guard vets every address, and the proxy is given a vetted one.
    #[default]
    Us,
    /// The proxy does: it is given the name, and what it may reach is its own to guard.
    Proxy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_not_printed() {
        let grant = ClientGrant {
            token_url: "https://id.example/token".into(),
            client_id: "me".into(),
            client_secret: Hidden("canary".into()),
            scope: None,
            audience: None,
            placed: Placement::Header,
        };
        let key = ClientCertificate { certificate: String::new(), private_key: Hidden("canary".into()) };
        let all = Credentials { authentication: Some(Authentication::Oauth2(grant)), client_certificate: Some(key), ca: None };
        assert!(!format!("{all:?}").contains("canary"));
        let stored = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Credentials>(&stored).unwrap(), all);
    }
}
