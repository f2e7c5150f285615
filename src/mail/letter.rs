//! A letter: for whom, about what, and its text twice, plain and as HTML.

use super::MailError;
use lettre::{
    Message,
    message::{Mailbox, MultiPart},
};

/// Bytes of an address at most (RFC 5321, section 4.5.3.1.3, without the angle brackets).
pub const MAX_ADDRESS_BYTES: usize = 254;
/// Characters of a subject at most.
const MAX_SUBJECT: usize = 150;

/// A letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// For whom, one address each.
    pub to: Vec<String>,
    /// About what.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// The same for each try of the same letter, so that a reader who gets it twice sees it once: a word of letters and digits.
    pub id: String,
}

/// Whether it is an address alone: without a name, a list, or anything that could become a header.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b',' | b';' | b'"' | b'\\'));
    text.len() <= MAX_ADDRESS_BYTES && plain && text.parse::<lettre::Address>().is_ok()
}

impl Letter {
    /// As it is sent.
    pub(super) fn message(&self, from: &Mailbox) -> Result<Message, MailError> {
        let refused = |error: &dyn std::fmt::Display| MailError::Refused(error.to_string());
        let id = format!("<{}@{}>", self.id, from.email.domain());
        let mut builder = Message::builder().from(from.clone()).subject(one_line(&self.subject)).message_id(Some(id));
        for to in self.to.iter().filter(|to| is_address(to)) {
            builder = builder.to(to.parse().map_err(|error: lettre::address::AddressError| refused(&error))?);
        }
        // Robots that answer letters are not to answer this one (RFC 3834).
        builder = builder.header(AutoSubmitted);
        builder.multipart(MultiPart::alternative_plain_html(self.text.clone(), self.html.clone())).map_err(|error| refused(&error))
    }
}

/// Says that no person wrote it.
#[derive(Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Text that stays on one line, whoever wrote it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c }).take(MAX_SUBJECT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_addresses_alone() {
        for good in ["ann@example.com", "a.b+c@sub.example.org", "x@localhost"] {
            assert!(is_address(good), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(MAX_ADDRESS_BYTES));
        for bad in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "Ann <ann@example.com>",
            "a@b.c, d@e.f",
            "a@b.c\r\nBcc: x@y.z",
            "a@b.c\nx",
            "a b@c.d",
            "\"a b\"@c.d",
            &long,
        ] {
            assert!(!is_address(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_strangers_wrote_becomes_no_header() {
        let letter = Letter {
            to: vec!["ann@example.com".into(), "x@y.z\r\nBcc: evil@example.com".into()],
            subject: "Down\r\nBcc: evil@example.com\r\n\r\nbody \u{2028} é".into(),
            text: ".\r\nQUIT\r\nhello".into(),
            html: "<p>hello</p>".into(),
            id: "notice1".into(),
        };
        let message = letter.message(&"Postrider <hooks@example.com>".parse().unwrap()).unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{head}");
        assert!(head.contains("Message-ID: <notice1@example.com>") && head.contains("Auto-Submitted: auto-generated"), "{head}");
        assert_eq!(head.lines().filter(|line| line.starts_with("To:")).count(), 1);
        assert!(head.contains("multipart/alternative"));
    }
}
