//! Rules for what comes in, as the contract states them. Each names the place it found broken.

use super::problem::{Problem, ValidationErrorItem};
use crate::model::{Metadata, RetryPolicy, is_unseen};
use std::borrow::Cow;

/// The longest uid, event type name, channel, tag or feature flag, in characters.
pub const MAX_NAME: usize = 256;
/// The longest text for people (names, descriptions), in characters.
pub const MAX_TEXT: usize = 4096;
/// What [`Check::name`] takes, as a regular expression.
pub const NAME_PATTERN: &str = r"^[a-zA-Z0-9\-_.]+$";
/// Entries of metadata at most.
pub const MAX_METADATA: usize = 50;
/// The longest key of metadata, in characters.
pub const MAX_METADATA_KEY: usize = 40;
/// The longest value of metadata, in characters.
pub const MAX_METADATA_VALUE: usize = 500;
/// Entries of a list (filters, channels, flags) at most.
pub const MAX_LIST: usize = 1000;

/// Whether a text can be the value of a header that somebody configures: visible ASCII, blanks and tabs. What is beyond (`obs-text`
/// of RFC 9110, section 5.5) receivers read each in their own way.
#[must_use]
pub fn is_field_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
}

/// Collects faults, so that one answer names them all.
#[derive(Debug, Default)]
pub struct Check(Vec<ValidationErrorItem>);

impl Check {
    /// No fault so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a fault of `loc` unless `good`.
    pub fn rule(&mut self, good: bool, loc: &[&str], kind: &'static str, msg: impl Into<Cow<'static, str>>) {
        if !good {
            let loc = loc.iter().map(ToString::to_string).collect();
            self.0.push(ValidationErrorItem { loc, msg: msg.into(), kind: kind.into() });
        }
    }

    /// `[a-zA-Z0-9\-_.]`, 1 to 256 characters: uids, event types, channels, flags.
    pub fn name(&mut self, loc: &[&str], text: &str) {
        self.rule((1..=MAX_NAME).contains(&text.len()), loc, "length", "It has 1 to 256 characters.");
        self.rule(is_name_text(text), loc, "pattern", "Only letters, digits, `-`, `_` and `.` are allowed.");
        self.rule(text != "." && text != "..", loc, "pattern", "A path cannot hold `.` or `..` as a name.");
    }

    /// Text for people, `least` to [`MAX_TEXT`] characters.
    pub fn text(&mut self, loc: &[&str], text: &str, least: usize) {
        let good = (least..=MAX_TEXT).contains(&text.chars().count());
        self.rule(good, loc, "length", format!("It has {least} to {MAX_TEXT} characters."));
        self.rule(!text.contains('\0'), loc, "pattern", "It has no NUL character.");
    }

    /// A name for people, of so many characters: none of them unseen ([`is_unseen`]).
    pub fn title(&mut self, loc: &[&str], text: &str, count: std::ops::RangeInclusive<usize>) {
        self.characters(loc, text, count);
        let rule = "It has no control characters, and none that turn the direction of writing.";
        self.rule(!text.chars().any(is_unseen), loc, "pattern", rule);
    }

    /// Text of so many characters.
    pub fn characters(&mut self, loc: &[&str], text: &str, count: std::ops::RangeInclusive<usize>) {
        let rule = || format!("It has {} to {} characters.", count.start(), count.end());
        self.rule(count.contains(&text.chars().count()), loc, "length", rule());
    }

    /// A list of names without repetition, `least` to [`MAX_LIST`] of them.
    pub fn names(&mut self, loc: &[&str], list: &[String], least: usize) {
        let good = (least..=MAX_LIST).contains(&list.len());
        self.rule(good, loc, "length", format!("It has {least} to {MAX_LIST} entries."));
        if !good {
            return;
        }
        for (at, name) in list.iter().enumerate() {
            let at = at.to_string();
            self.name(&[loc, &[at.as_str()]].concat(), name);
        }
        let unique: std::collections::HashSet<_> = list.iter().collect();
        self.rule(unique.len() == list.len(), loc, "unique", "No entry may be repeated.");
    }

    /// Metadata within its limits.
    pub fn metadata(&mut self, loc: &[&str], metadata: &Metadata) {
        self.rule(metadata.len() <= MAX_METADATA, loc, "length", format!("It has at most {MAX_METADATA} entries."));
        let key_fits = |key: &str| (1..=MAX_METADATA_KEY).contains(&key.chars().count());
        let value_fits = |value: &str| value.chars().count() <= MAX_METADATA_VALUE;
        let good = metadata.iter().all(|(key, value)| key_fits(key) && value_fits(value));
        let msg = format!("A key has 1 to {MAX_METADATA_KEY} characters, a value at most {MAX_METADATA_VALUE}.");
        self.rule(good, loc, "length", msg);
    }

    /// A rate of at least one a second.
    pub fn rate(&mut self, loc: &[&str], rate: u16) {
        self.rule(rate >= 1, loc, "range", "It is from 1 to 65535.");
    }

    /// A retry policy within its limits.
    pub fn retry_policy(&mut self, loc: &[&str], policy: &RetryPolicy) {
        if let Err(msg) = policy.check() {
            self.rule(false, loc, "range", msg);
        }
    }

    /// Refuses when there were faults.
    ///
    /// # Errors
    /// 422 with all of them.
    pub fn done(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::Invalid(self.0)) }
    }
}

/// Whether it is a name: `[a-zA-Z0-9\-_.]`, 1 to 256 characters.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && is_name_text(text)
}

fn is_name_text(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(check: Check) -> Vec<(String, String)> {
        match check.done() {
            Ok(()) => Vec::new(),
            Err(Problem::Invalid(items)) => items.into_iter().map(|i| (i.loc.join("."), i.kind.into_owned())).collect(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_follow_the_pattern() {
        assert!(is_name("invoice.paid-2_B") && is_name(&"a".repeat(256)));
        for bad in ["", "a b", "ä", "a/b", &"a".repeat(257)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn every_fault_is_named() {
        let mut check = Check::new();
        check.name(&["body", "uid"], "a b");
        check.names(&["body", "channels"], &["x".into(), "y z".into(), "x".into()], 1);
        check.names(&["body", "filter"], &[], 1);
        check.rate(&["body", "rate"], 0);
        check.text(&["body", "name"], "", 1);
        check.title(&["body", "title"], "a\u{202e}b", 1..=3);
        check.metadata(&["body", "metadata"], &[("k".repeat(41), String::new())].into());
        let pair = |loc: &str, kind: &str| (loc.to_owned(), kind.to_owned());
        assert_eq!(
            faults(check),
            [
                pair("body.uid", "pattern"),
                pair("body.channels.1", "pattern"),
                pair("body.channels", "unique"),
                pair("body.filter", "length"),
                pair("body.rate", "range"),
                pair("body.name", "length"),
                pair("body.title", "pattern"),
                pair("body.metadata", "length"),
            ]
        );
    }

    #[test]
    fn a_huge_list_is_one_fault() {
        let mut check = Check::new();
        check.names(&["body", "filterTypes"], &vec!["?".to_owned(); 1_000_000], 1);
        assert_eq!(faults(check).len(), 1);
    }
}
