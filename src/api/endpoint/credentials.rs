//! `GET`, `PUT` and `DELETE …/credentials`: how an endpoint's deliveries prove who sends them. Ours, not of the compatible
//! contract. What is secret is taken in, and never shown again.

use super::store;
use crate::{
    api::{
        Caller, Errors, Json, Path, Problem, Shared,
        limits::{self, Limits},
        rules::Check,
    },
    model::{Authentication, ClientCertificate, ClientGrant, Credentials, Hidden, Placement},
    outbound::WayError,
    routing::{CREDENTIALS_PURPOSE, RouteError, open_credentials},
};
use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// Characters of a name, URL or scope at most.
const MAX_CHARS: usize = 2048;
/// Bytes of a password, token or secret at most.
const MAX_SECRET_BYTES: usize = 8 * 1024;
/// Bytes of certificates or of a key in PEM at most.
const MAX_PEM_BYTES: usize = 64 * 1024;

/// The rules below, for the description of the API.
pub(in crate::api) fn limits() -> Limits {
    let pem = limits::bytes(MAX_PEM_BYTES);
    vec![("CredentialsIn", json!({ "ca": pem })), ("ClientCertificateIn", json!({ "certificate": pem, "privateKey": pem }))]
}

/// How deliveries prove who sends them. What is absent is removed.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct CredentialsIn {
    /// The header `Authorization`; it stands in place of a custom header of that name.
    authentication: Option<AuthenticationIn>,
    /// Shown in the TLS handshake.
    client_certificate: Option<ClientCertificateIn>,
    /// Trust anchors (PEM) that count for this endpoint in place of the web's; for its token endpoint beside them.
    ca: Option<String>,
}

/// What the header `Authorization` says.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", tag = "type", deny_unknown_fields)]
enum AuthenticationIn {
    /// A name and a password.
    Basic {
        /// Without a colon.
        username: String,
        /// Never shown again.
        #[schema(value_type = String, write_only)]
        password: Hidden,
    },
    /// A token that does not change.
    Bearer {
        /// Never shown again.
        #[schema(value_type = String, write_only)]
        token: Hidden,
    },
    /// A token that is fetched by the client credentials grant (RFC 6749, section 4.4), and fetched again before it ends.
    #[serde(rename_all = "camelCase")]
    OAuth2 {
        /// Where tokens are had; the address guard holds for it too.
        token_url: String,
        /// The client's name there.
        client_id: String,
        /// Never shown again.
        #[schema(value_type = String, write_only)]
        client_secret: Hidden,
        /// What the token is asked for, space-separated.
        scope: Option<String>,
        /// For whom the token is, where the token endpoint wants that said.
        audience: Option<String>,
        /// Where the client's name and secret stand.
        #[serde(default)]
        client_authentication: ClientAuthentication,
    },
}

/// Where the client's name and secret stand in a request for a token.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ClientAuthentication {
    /// In the header `Authorization`.
    #[default]
    Header,
    /// In the form.
    Body,
}

/// A certificate by which Postrider is known in the TLS handshake.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientCertificateIn {
    /// PEM: the certificate, then those up to the issuer that the receiver trusts.
    certificate: String,
    /// PEM. Never shown again.
    #[schema(value_type = String, write_only)]
    private_key: Hidden,
}

/// What is shown of an endpoint's credentials.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct CredentialsOut {
    /// The header `Authorization`, without what is secret.
    authentication: Option<AuthenticationOut>,
    /// The certificate, without its key.
    client_certificate: Option<ClientCertificateOut>,
    /// Trust anchors (PEM).
    ca: Option<String>,
}

/// What is shown of an authentication.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase", tag = "type")]
enum AuthenticationOut {
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
    },
    /// A token that does not change.
    Bearer,
    /// A token that is fetched.
    #[serde(rename_all = "camelCase")]
    OAuth2 {
        /// Where.
        token_url: String,
        /// The client's name there.
        client_id: String,
        /// What the token is asked for.
        scope: Option<String>,
        /// For whom the token is.
        audience: Option<String>,
        /// Where the client's name and secret stand.
        client_authentication: ClientAuthentication,
    },
}

/// What is shown of a client certificate.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ClientCertificateOut {
    /// PEM.
    certificate: String,
}

impl CredentialsIn {
    fn check(&self) -> Result<(), Problem> {
        let mut check = Check::new();
        let long = |check: &mut Check, place: &[&str], text: &str| {
            let fits = (1..=MAX_PEM_BYTES).contains(&text.len());
            check.rule(fits, place, "length", format!("It has 1 to {MAX_PEM_BYTES} bytes."));
        };
        let auth = |check: &mut Check, name: &str, text: &str, most: usize| {
            let fits = (1..=most).contains(&text.len());
            check.rule(fits, &["body", "authentication", name], "length", format!("It has 1 to {most} bytes."));
            let visible = !text.chars().any(char::is_control);
            check.rule(visible, &["body", "authentication", name], "pattern", "It has no control characters.");
        };
        match &self.authentication {
            None => {}
            Some(AuthenticationIn::Basic { username, password }) => {
                auth(&mut check, "username", username, MAX_CHARS);
                auth(&mut check, "password", &password.0, MAX_SECRET_BYTES);
                let plain = !username.contains(':');
                check.rule(plain, &["body", "authentication", "username"], "pattern", "It has no colon (RFC 7617).");
            }
            Some(AuthenticationIn::Bearer { token }) => {
                auth(&mut check, "token", &token.0, MAX_SECRET_BYTES);
                let graphic = token.0.bytes().all(|b| b.is_ascii_graphic());
                check.rule(graphic, &["body", "authentication", "token"], "pattern", "It has no spaces and only ASCII.");
            }
            Some(AuthenticationIn::OAuth2 { token_url, client_id, client_secret, scope, audience, .. }) => {
                auth(&mut check, "tokenUrl", token_url, MAX_CHARS);
                auth(&mut check, "clientId", client_id, MAX_CHARS);
                auth(&mut check, "clientSecret", &client_secret.0, MAX_SECRET_BYTES);
                scope.iter().for_each(|text| auth(&mut check, "scope", text, MAX_CHARS));
                audience.iter().for_each(|text| auth(&mut check, "audience", text, MAX_CHARS));
            }
        }
        if let Some(given) = &self.client_certificate {
            long(&mut check, &["body", "clientCertificate", "certificate"], &given.certificate);
            long(&mut check, &["body", "clientCertificate", "privateKey"], &given.private_key.0);
        }
        self.ca.iter().for_each(|ca| long(&mut check, &["body", "ca"], ca));
        check.done()
    }

    fn read(self) -> Credentials {
        Credentials {
            authentication: self.authentication.map(|given| match given {
                AuthenticationIn::Basic { username, password } => Authentication::Basic { username, password },
                AuthenticationIn::Bearer { token } => Authentication::Bearer { token },
                AuthenticationIn::OAuth2 { token_url, client_id, client_secret, scope, audience, client_authentication } => {
                    let placed = match client_authentication {
                        ClientAuthentication::Header => Placement::Header,
                        ClientAuthentication::Body => Placement::Body,
                    };
                    Authentication::Oauth2(ClientGrant { token_url, client_id, client_secret, scope, audience, placed })
                }
            }),
            client_certificate: self
                .client_certificate
                .map(|given| ClientCertificate { certificate: given.certificate, private_key: given.private_key }),
            ca: self.ca,
        }
    }
}

impl CredentialsOut {
    fn of(credentials: Credentials) -> Self {
        CredentialsOut {
            authentication: credentials.authentication.map(|stored| match stored {
                Authentication::Basic { username, .. } => AuthenticationOut::Basic { username },
                Authentication::Bearer { .. } => AuthenticationOut::Bearer,
                Authentication::Oauth2(ClientGrant { token_url, client_id, scope, audience, placed, .. }) => {
                    let client_authentication = match placed {
                        Placement::Header => ClientAuthentication::Header,
                        Placement::Body => ClientAuthentication::Body,
                    };
                    AuthenticationOut::OAuth2 { token_url, client_id, scope, audience, client_authentication }
                }
            }),
            client_certificate: credentials
                .client_certificate
                .map(|stored| ClientCertificateOut { certificate: stored.certificate }),
            ca: credentials.ca,
        }
    }
}

/// Get Credentials.
///
/// How the endpoint's deliveries prove who sends them, without what is secret.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/credentials",
    operation_id = "v1.endpoint.get-credentials",
    tag = "Endpoint",
    summary = "Get Credentials",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    responses(Errors, (status = 200, description = "The credentials", body = CredentialsOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<axum::Json<CredentialsOut>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    let endpoint = store::find(&api, app, &endpoint).await?;
    let opened = endpoint.credentials.as_ref().map(|sealed| open_credentials(&api.engine.vault, sealed)).transpose()?;
    Ok(axum::Json(CredentialsOut::of(opened.unwrap_or_default())))
}

/// Set Credentials.
///
/// Sets how the endpoint's deliveries prove who sends them; what is absent is removed.
#[utoipa::path(
    put,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/credentials",
    operation_id = "v1.endpoint.set-credentials",
    tag = "Endpoint",
    summary = "Set Credentials",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    request_body = CredentialsIn,
    responses(Errors, (status = 204, description = "Set"))
)]
pub(super) async fn set(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
    body: Json<CredentialsIn>,
) -> Result<StatusCode, Problem> {
    caller.write()?;
    body.value.check()?;
    store_credentials(&api, &caller, (&app, &endpoint), &body.value.read()).await
}

/// Delete Credentials.
///
/// Removes the endpoint's credentials; its deliveries are signed as before.
#[utoipa::path(
    delete,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/credentials",
    operation_id = "v1.endpoint.delete-credentials",
    tag = "Endpoint",
    summary = "Delete Credentials",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    responses(Errors, (status = 204, description = "Removed"))
)]
pub(super) async fn remove(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    caller.write()?;
    store_credentials(&api, &caller, (&app, &endpoint), &Credentials::default()).await
}

/// What is said of credentials with which no request could be made: the field at fault, as this body has it.
fn unusable(error: RouteError) -> Problem {
    let place: &[&str] = match &error {
        RouteError::Way(WayError::Certificate) => &["body", "clientCertificate", "certificate"],
        RouteError::Way(WayError::Key | WayError::Mismatch) => &["body", "clientCertificate", "privateKey"],
        RouteError::Way(WayError::Roots(_)) => &["body", "ca"],
        RouteError::Way(WayError::TokenUrl(_)) => &["body", "authentication", "tokenUrl"],
        RouteError::Way(WayError::Header) => &["body", "authentication"],
        RouteError::Sealed(_) => return store::refused(error),
        // The endpoint itself, or the organization's proxy.
        _ => return Problem::conflict(error.to_string()),
    };
    Problem::field(place, "unusable", error.to_string())
}

async fn store_credentials(
    api: &Shared,
    caller: &Caller,
    (app, endpoint): (&str, &str),
    credentials: &Credentials,
) -> Result<StatusCode, Problem> {
    let app = caller.application(api, app).await?;
    let sealed = if credentials.is_empty() {
        None
    } else {
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(credentials).map_err(|_| Problem::Internal)?);
        Some(api.engine.vault.seal(&api.engine.random, CREDENTIALS_PURPOSE, &plain)?)
    };
    let now = api.engine.clock.now();
    store::revise(api, app.application.id, endpoint, |endpoint| {
        endpoint.credentials = sealed.clone();
        endpoint.updated_at = now;
        store::compiles(api, &app, endpoint).map_err(unusable)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
