//! Why a request to a source is refused: a stable code for records, a status and a sentence for the sender. No sentence
//! holds a secret, or more of the request than a header's name.

use postrider_signature::{Refusal, Reply};
use std::{borrow::Cow, time::Duration};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The source is closed.
    Closed,
    /// Neither events nor handshakes come by this method; those that do.
    Method(Vec<String>),
    /// It came from an address that is not on the source's list.
    Address,
    /// Its body is longer than so many bytes.
    TooLarge(u32),
    /// There is no room for its body now. Nothing is recorded of it.
    Busy,
    /// Its body did not come in that time.
    Slow(Duration),
    /// Its body ended early.
    Broken,
    /// The signature, or what the signature needs.
    Signature(Refusal),
    /// A handshake that is not for us; what its sender is to be told.
    Handshake(Reply),
    /// Handshakes that anybody can ask for came too often.
    TooOften,
    /// A handshake offers a secret, and the source awaits none, or not this one.
    Secret,
    /// A confirmation that the sender asked for did not come about; its address was not reached because of this.
    Confirmation(String),
    /// It is genuine, but not the batch that it should be.
    Batch(Refusal),
    /// It is a batch of more elements than are taken at once.
    Elements(usize),
}

impl Reason {
    /// The codes of all reasons of which records are kept.
    pub const CODES: [&str; 22] = [
        "address",
        "bad_secret",
        "batch",
        "broken",
        "confirmation",
        "foreign_address",
        "future",
        "handshake",
        "malformed",
        "method",
        "mismatch",
        "missing_field",
        "missing_header",
        "missing_setting",
        "secret_not_awaited",
        "slow",
        "stale",
        "too_large",
        "too_many_elements",
        "too_often",
        "unknown_key",
        "wrong_algorithm",
    ];

    /// A stable code: a refusal's of the signature (`mismatch`), or `method`, `address`, `too_large`, ….
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Closed => "closed",
            Reason::Method(_) => "method",
            Reason::Address => "address",
            Reason::TooLarge(_) => "too_large",
            Reason::Busy => "busy",
            Reason::Slow(_) => "slow",
            Reason::Broken => "broken",
            Reason::Signature(refusal) => refusal.code(),
            Reason::Handshake(_) => "handshake",
            Reason::TooOften => "too_often",
            Reason::Secret => "secret_not_awaited",
            Reason::Confirmation(_) => "confirmation",
            Reason::Batch(_) => "batch",
            Reason::Elements(_) => "too_many_elements",
        }
    }

    /// The status that the sender gets. Whatever is wrong with a signature is a 401, as senders that probe with bad ones
    /// expect; a source that is set up wrongly is our fault, and worth a repetition.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Reason::Method(_) => 405,
            Reason::Closed | Reason::Address | Reason::Secret => 403,
            Reason::TooLarge(_) | Reason::Elements(_) => 413,
            Reason::Slow(_) => 408,
            Reason::TooOften => 429,
            Reason::Busy => 503,
            Reason::Broken | Reason::Batch(_) => 400,
            Reason::Signature(Refusal::BadSecret(_) | Refusal::MissingSetting(_)) => 500,
            Reason::Signature(_) => 401,
            Reason::Confirmation(_) => 502,
            Reason::Handshake(reply) => reply.status,
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn detail(&self) -> Cow<'static, str> {
        match self {
            Reason::Method(methods) => format!("The source takes {}.", methods.join(", ")).into(),
            Reason::Closed => "The source takes nothing at present.".into(),
            Reason::Address => "The source does not take requests from this address.".into(),
            Reason::TooLarge(limit) => format!("The body is longer than the {limit} bytes that the source takes.").into(),
            Reason::Busy => "Too many bodies are being received; send it again.".into(),
            Reason::Slow(limit) => format!("The body did not come within {} s.", limit.as_secs()).into(),
            Reason::Broken => "The body ended early or could not be read.".into(),
            Reason::Signature(Refusal::BadSecret(_) | Refusal::MissingSetting(_)) => "The source is not set up yet.".into(),
            Reason::Signature(refusal) => sentence(refusal),
            Reason::Handshake(_) => "The handshake is not for this source.".into(),
            Reason::TooOften => "Handshakes come too often; wait a second.".into(),
            Reason::Secret => "The source awaits no secret.".into(),
            Reason::Confirmation(why) => format!("The subscription could not be confirmed: {why}.").into(),
            Reason::Batch(refusal) => sentence(refusal),
            Reason::Elements(limit) => format!("The batch has more than the {limit} elements that are taken at once.").into(),
        }
    }

    /// The reason in words for the source's owner, who may know what is wrong with its settings.
    #[must_use]
    pub fn inside(&self) -> Cow<'static, str> {
        match self {
            Reason::Signature(refusal) => sentence(refusal),
            other => other.detail(),
        }
    }
}

fn sentence(refusal: &Refusal) -> Cow<'static, str> {
    let text = refusal.to_string();
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_codes_are_listed() {
        let refusals = [
            Refusal::MissingHeader("a".into()),
            Refusal::MissingField("a".into()),
            Refusal::Malformed("a".into(), "b"),
            Refusal::Stale,
            Refusal::Future,
            Refusal::Mismatch,
            Refusal::UnknownKey,
            Refusal::WrongAlgorithm("a".into()),
            Refusal::ForeignAddress("a".into()),
            Refusal::BadSecret("a"),
            Refusal::MissingSetting("a"),
        ];
        let reasons = [
            Reason::Method(Vec::new()),
            Reason::Address,
            Reason::TooLarge(1),
            Reason::Slow(Duration::ZERO),
            Reason::Broken,
            Reason::Handshake(Reply { status: 403, headers: Vec::new(), body: Vec::new() }),
            Reason::TooOften,
            Reason::Secret,
            Reason::Confirmation(String::new()),
            Reason::Batch(Refusal::Mismatch),
            Reason::Elements(1),
        ];
        let mut codes: Vec<_> = reasons.into_iter().chain(refusals.map(Reason::Signature)).map(|reason| reason.code()).collect();
        codes.sort_unstable();
        assert_eq!(codes, Reason::CODES);
    }

    #[test]
    fn a_bad_signature_is_a_401_and_bad_settings_are_ours() {
        let malformed = Reason::Signature(Refusal::Malformed("x-signature".into(), "it is not hex"));
        assert_eq!((malformed.status(), malformed.code()), (401, "malformed"));
        assert_eq!(malformed.detail(), "X-signature is malformed: it is not hex.");
        let unset = Reason::Signature(Refusal::BadSecret("there is none"));
        assert_eq!((unset.status(), unset.code()), (500, "bad_secret"));
        assert!(!unset.detail().contains("secret") && unset.inside().contains("there is none"));
    }
}
