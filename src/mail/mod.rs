//! Mail: letters by SMTP, to a server that whoever runs this one has configured. That server is theirs and trusted, so it is
//! not guarded as receivers are; what a letter says may come from strangers, and is kept from becoming headers.

mod letter;

pub use letter::{Letter, MAX_ADDRESS_BYTES, is_address};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::Mailbox,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};
use rustls::pki_types::CertificateDer;
use std::{fmt, time::Duration};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// One letter, from the connection to the server's word that it has it.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Time for each answer of the server.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Characters of the server's own words that are kept.
const WORDS_KEPT: usize = 300;

/// How the connection is kept to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (`smtps://`, port 465).
    Tls,
    /// TLS asked for before anything else is said, and nothing without it (`smtp://`, port 587).
    StartTls,
    /// None: for a relay on the same machine (`smtp+plain://`, port 25).
    None,
}

/// Where the mail server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailPlace {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub security: Security,
}

impl MailPlace {
    /// Reads `smtps://host`, `smtp://host` or `smtp+plain://host`, each with a port if it is not the usual one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (security, usual) = match scheme {
            "smtps" => (Security::Tls, 465),
            "smtp" => (Security::StartTls, 587),
            "smtp+plain" => (Security::None, 25),
            _ => return None,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok().filter(|port| *port != 0)?),
            _ => (rest, usual),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let name = |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
        let good = bare.map_or_else(|| name(host), |bare| bare.parse::<std::net::Ipv6Addr>().is_ok());
        good.then(|| MailPlace { host: bare.unwrap_or(host).to_owned(), port, security })
    }
}

/// What can be set.
#[derive(Clone)]
pub struct MailConfig {
    /// Where the mail server is.
    pub place: MailPlace,
    /// The name and the password to sign in there with.
    pub credentials: Option<(String, Zeroizing<String>)>,
    /// From whom letters are.
    pub from: String,
    /// Trust anchors beside those of the web.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

/// Why a letter did not go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// It will not go either if it is tried again.
    #[error("{0}")]
    Refused(String),
    /// It may go later.
    #[error("{0}")]
    Away(String),
    /// The settings cannot be used.
    #[error("{0}")]
    Setup(String),
}

/// Sends letters. To be shared in an `Arc`.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Mailer {
    /// A mailer; it connects with its first letter. To be made within a runtime.
    ///
    /// # Errors
    /// The sender is not an address, or TLS cannot be set up.
    pub fn new(config: MailConfig) -> Result<Self, MailError> {
        let setup = |error: &dyn fmt::Display| MailError::Setup(error.to_string());
        let from: Mailbox = config.from.parse().map_err(|error| setup(&error))?;
        let MailPlace { host, port, security } = config.place;
        let tls = || -> Result<TlsParameters, MailError> {
            let mut builder = TlsParameters::builder(host.clone());
            for root in &config.extra_roots {
                let root = Certificate::from_der(root.to_vec()).map_err(|error| setup(&error))?;
                builder = builder.add_root_certificate(root);
            }
            builder.build().map_err(|error| setup(&error))
        };
        let tls = match security {
            Security::Tls => Tls::Wrapper(tls()?),
            Security::StartTls => Tls::Required(tls()?),
            Security::None => Tls::None,
        };
        let domain = from.email.domain().to_owned();
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(ANSWER_WITHIN))
            .hello_name(ClientId::Domain(domain));
        if let Some((name, password)) = config.credentials {
            builder = builder.credentials(Credentials::new(name, password.to_string()));
        }
        Ok(Mailer { transport: builder.build(), from })
    }

    /// Sends a letter to all that it is for. Returns once the server has taken it.
    ///
    /// # Errors
    /// The server refused it, or is away.
    pub async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let message = letter.message(&self.from)?;
        match timeout(SEND_WITHIN, self.transport.send(message)).await {
            Ok(Ok(_taken)) => Ok(()),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err(MailError::Away("The mail server did not take the letter within 30 seconds.".into())),
        }
    }
}

fn told(error: &lettre::transport::smtp::Error) -> MailError {
    // The whole chain: the outermost says only that something failed.
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        cause = inner.source();
    }
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_KEPT).collect();
    if error.is_permanent() { MailError::Refused(words) } else { MailError::Away(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let of = |text: &str| MailPlace::parse(text).map(|place| (place.host, place.port, place.security));
        assert_eq!(of("smtps://mail.example.com"), Some(("mail.example.com".into(), 465, Security::Tls)));
        assert_eq!(of("smtp://mail.example.com:2525/"), Some(("mail.example.com".into(), 2525, Security::StartTls)));
        assert_eq!(of("smtp+plain://[::1]"), Some(("::1".into(), 25, Security::None)));
        assert_eq!(of("smtp+plain://[::1]:1025"), Some(("::1".into(), 1025, Security::None)));
        for bad in ["mail.example.com", "http://x", "smtp://", "smtp://x:0", "smtp://u:p@x", "smtp://x:y", "smtp://x/y"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
