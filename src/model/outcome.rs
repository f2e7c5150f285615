//! What came of an attempt. A misbehaving endpoint is data, never an error of ours.

use super::Headers;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Why an attempt went as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A 2xx answer, complete as far as it is read.
    Success,
    /// An answer outside 2xx and 3xx.
    BadStatus,
    /// A 3xx answer; redirects are not followed.
    Redirect,
    /// The URL cannot be dialled (no host, a bad port, a scheme other than http and https).
    BadUrl,
    /// The address guard refused an address that the host resolves to.
    Blocked(AddressClass),
    /// The host name does not resolve.
    NameNotFound,
    /// The resolver failed or took too long.
    ResolverFailed,
    /// Nothing listens there.
    ConnectionRefused,
    /// The connection could not be made for another reason.
    ConnectionFailed,
    /// The certificate is not trusted, expired, or for another name.
    BadCertificate,
    /// The TLS handshake failed for another reason.
    TlsFailed,
    /// The deadline passed before a connection was made.
    ConnectTimeout,
    /// The deadline passed before the answer's headers were complete.
    HeadersTimeout,
    /// The deadline passed before the answer's body was complete.
    BodyTimeout,
    /// The peer closed or reset the connection before its answer was complete.
    Disconnected,
    /// The answer is not HTTP, or breaks its rules or our limits.
    BadAnswer,
    /// We broke; the attempt counts as failed and the log says why.
    Internal,
    /// The payload was deleted before it could be sent.
    Expunged,
    /// The receiver did not agree to deliveries when it was asked before the first one.
    NotAgreed,
    /// The request could not be signed as the endpoint's profile says.
    Unsigned,
    /// The access token that the request needs could not be had.
    NoToken,
    /// The organization's proxy did not make the connection.
    ProxyFailed,
}

/// What kind of address a host resolved to. Only `Public` is dialled unless configuration allows more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressClass {
    /// Routable on the public internet.
    Public,
    /// `0.0.0.0/8`, `::`.
    Unspecified,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// RFC 1918, `fc00::/7`, `fec0::/10`.
    Private,
    /// `169.254.0.0/16`, `fe80::/10`: cloud metadata lives here.
    LinkLocal,
    /// `100.64.0.0/10` (RFC 6598).
    SharedNat,
    /// Multicast.
    Multicast,
    /// `255.255.255.255`.
    Broadcast,
    /// Documentation and benchmarking ranges.
    Documentation,
    /// Reserved by IANA for other purposes.
    Reserved,
    /// An IPv6 address that embeds an IPv4 one (mapped, NAT64, 6to4, Teredo) which is not public.
    Embedded,
}

/// How long each part of an attempt took. A part that did not happen (a reused connection's connect) is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Name resolution, µs.
    pub dns_us: u32,
    /// TCP connect, µs.
    pub connect_us: u32,
    /// TLS handshake, µs.
    pub tls_us: u32,
    /// From the request's start to the answer's headers, µs.
    pub first_byte_us: u32,
    /// Everything, µs.
    pub total_us: u32,
}

/// What came of one HTTP try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Why it went as it did.
    pub cause: Cause,
    /// A detail in plain words for people (a status line, a TLS alert); empty when the cause says all.
    pub detail: String,
    /// The answer's status. `None`: there was no answer.
    pub status: Option<u16>,
    /// The answer's headers.
    pub headers: Headers,
    /// What was kept of the answer's body.
    pub body: Bytes,
    /// Whether the body was longer than what was kept.
    pub body_cut: bool,
    /// When the receiver asks us to come back, counted from the answer.
    pub retry_after: Option<Duration>,
    /// Timing.
    pub phases: Phases,
}

impl Outcome {
    /// An outcome without an answer.
    #[must_use]
    pub fn failed(cause: Cause, detail: impl Into<String>) -> Self {
        Outcome {
            cause,
            detail: detail.into(),
            status: None,
            headers: Headers::default(),
            body: Bytes::new(),
            body_cut: false,
            retry_after: None,
            phases: Phases::default(),
        }
    }

    /// Whether the receiver took the message.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.cause == Cause::Success
    }

    /// What went wrong, in words for people; `None` when nothing did.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        let sentence = self.cause.sentence();
        match (self.succeeded(), self.detail.as_str()) {
            (true, _) => None,
            (false, "") => Some(sentence.to_owned()),
            (false, detail) => Some(format!("{sentence} ({detail})")),
        }
    }
}

impl Cause {
    /// The cause in plain words, for the API and the screen.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Cause::Success => "The receiver accepted the message.",
            Cause::BadStatus => "The receiver answered with a status outside 2xx.",
            Cause::Redirect => "The receiver answered with a redirect, which is not followed.",
            Cause::BadUrl => "The endpoint's URL cannot be used.",
            Cause::Blocked(class) => class.sentence(),
            Cause::NameNotFound => "The host name does not resolve.",
            Cause::ResolverFailed => "The host name could not be resolved in time.",
            Cause::ConnectionRefused => "Nothing listens at the endpoint's address.",
            Cause::ConnectionFailed => "No connection could be made.",
            Cause::BadCertificate => "The receiver's certificate is not trusted, has expired or is for another name.",
            Cause::TlsFailed => "The TLS handshake failed.",
            Cause::ConnectTimeout => "No connection was made within the time allowed.",
            Cause::HeadersTimeout => "The receiver did not answer within the time allowed.",
            Cause::BodyTimeout => "The receiver did not finish its answer within the time allowed.",
            Cause::Disconnected => "The receiver closed the connection before its answer was complete.",
            Cause::BadAnswer => "The answer breaks the rules of HTTP or is larger than allowed.",
            Cause::Expunged => "The message's payload was deleted before it could be delivered.",
            Cause::NotAgreed => "The receiver did not agree to deliveries when it was asked (OPTIONS).",
            Cause::Unsigned => "The request could not be signed as the endpoint's profile says.",
            Cause::NoToken => "No access token could be had for the request.",
            Cause::ProxyFailed => "The organization's proxy did not make the connection.",
            Cause::Internal => "The attempt failed inside Postrider; its log says why.",
        }
    }
}

impl AddressClass {
    fn sentence(self) -> &'static str {
        match self {
            AddressClass::Public => "The endpoint's address is not allowed.",
            AddressClass::Unspecified => "The endpoint resolves to an unspecified address, which is not allowed.",
            AddressClass::Loopback => "The endpoint resolves to a loopback address, which is not allowed.",
            AddressClass::Private => "The endpoint resolves to a private address, which is not allowed.",
            AddressClass::LinkLocal => "The endpoint resolves to a link-local address, which is not allowed.",
            AddressClass::SharedNat => "The endpoint resolves to a carrier-NAT address, which is not allowed.",
            AddressClass::Multicast => "The endpoint resolves to a multicast address, which is not allowed.",
            AddressClass::Broadcast => "The endpoint resolves to the broadcast address, which is not allowed.",
            AddressClass::Documentation => {
                "The endpoint resolves to a documentation or benchmarking address, which is not allowed."
            }
            AddressClass::Reserved => "The endpoint resolves to a reserved address, which is not allowed.",
            AddressClass::Embedded => {
                "The endpoint resolves to an IPv6 address that hides a non-public IPv4 one, which is not allowed."
            }
        }
    }
}
