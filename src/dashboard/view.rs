//! Small things that pages show: instants, states, sizes, ways to the next page.

use crate::model::Time;
use askama::filters::{Html, HtmlSafe, escape};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// An instant. The page's script writes it in the reader's zone; without it, it is UTC. Hovering shows it exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct When(pub(super) Time);

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.0.to_string();
        let shown = exact.get(..19).unwrap_or(&exact).replace('T', " ");
        write!(f, "<time datetime=\"{exact}\" title=\"{exact}\">{shown} UTC</time>")
    }
}

// Digits and punctuation of our own making.
impl HtmlSafe for When {}

/// What stands in a field of date and time: in UTC, as the page says beside it, until the page's script writes both in the
/// reader's zone.
#[derive(Debug)]
pub(super) struct Instant(Option<Time>);

/// The instant of a field; nothing where it is none.
pub(super) fn instant(text: &str) -> Instant {
    Instant(super::fields::instant(text))
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(at) = self.0 else { return Ok(()) };
        let exact = at.to_string();
        write!(f, " value=\"{}\" data-instant=\"{exact}\"", exact.get(..16).unwrap_or_default())
    }
}

// Digits and punctuation of our own making.
impl HtmlSafe for Instant {}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Time::parse(&text).map(When).ok_or_else(|| serde::de::Error::custom("not an instant"))
    }
}

/// A state as a coloured word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Badge(pub(super) &'static str, pub(super) &'static str);

impl Badge {
    /// Of a delivery's state.
    pub(super) fn state(word: &str) -> Self {
        match word {
            "delivered" | "success" => Badge("ok", "delivered"),
            "pending" => Badge("wait", "pending"),
            "retrying" => Badge("wait", "retrying"),
            "in_flight" | "sending" => Badge("wait", "in flight"),
            "held" => Badge("held", "held"),
            "exhausted" | "fail" | "failed" => Badge("bad", "failed"),
            "cancelled" | "canceled" => Badge("dim", "cancelled"),
            "skipped" => Badge("dim", "skipped"),
            _ => Badge("dim", "unknown"),
        }
    }
}

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<span class=\"badge {}\">{}</span>", self.0, self.1)
    }
}

// Both words are of our own making.
impl HtmlSafe for Badge {}

/// A sentence in which code stands between backticks.
pub(super) struct Marked<'t>(pub(super) &'t str);

impl fmt::Display for Marked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.split('`').enumerate() {
            let Ok(part) = escape(part, Html);
            match at % 2 {
                0 => write!(f, "{part}")?,
                _ => write!(f, "<code>{part}</code>")?,
            }
        }
        Ok(())
    }
}

// The text is escaped.
impl HtmlSafe for Marked<'_> {}

/// Milliseconds for people.
pub(super) fn millis(ms: f64) -> String {
    match ms {
        ms if ms >= 10_000.0 => format!("{:.1} s", ms / 1000.0),
        ms if ms >= 100.0 => format!("{ms:.0} ms"),
        ms if ms >= 1.0 => format!("{ms:.1} ms"),
        ms if ms > 0.0 => format!("{ms:.2} ms"),
        _ => "0 ms".to_owned(),
    }
}

/// How long, for people, by its two largest units.
pub(super) fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, name) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 && parts.len() < 2 {
            parts.push(format!("{count} {name}"));
        } else if !parts.is_empty() {
            break;
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// A number with spaces between groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// The noun, or the verb, for so many.
pub(super) fn noun(number: u64, one: &'static str, many: &'static str) -> &'static str {
    if number == 1 { one } else { many }
}

/// A share for people.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 99.95 || percent == 0.0 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// Levels of JSON that are indented: a payload that is all brackets must not become a page that is all spaces.
const MAX_INDENT: usize = 24;

/// JSON as people read it: the same names, numbers and order, on lines of their own. What is no JSON stays as it is.
pub(super) fn pretty(text: &str) -> String {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return text.to_owned();
    }
    let (mut out, mut depth, mut quoted, mut escaped) = (String::with_capacity(text.len() * 2), 0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth.min(MAX_INDENT) * 2));
    };
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if quoted {
            (quoted, escaped) = (escaped || c != '"', !escaped && c == '\\');
            out.push(c);
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                while rest.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                if let Some(end) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => {
                quoted = c == '"';
                out.push(c);
            }
        }
    }
    out
}

/// A page of the API's lists.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed<T> {
    /// The entries.
    pub(super) data: Vec<T>,
    #[serde(default)]
    iterator: Option<String>,
    #[serde(default)]
    prev_iterator: Option<String>,
    #[serde(default = "yes")]
    done: bool,
}

fn yes() -> bool {
    true
}

/// Ways to the neighbouring pages of a list, as queries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pager {
    /// To the page before.
    pub(super) previous: Option<String>,
    /// To the page behind.
    pub(super) next: Option<String>,
}

impl Pager {
    /// Whether there is any way.
    pub(super) fn is_there(&self) -> bool {
        self.previous.is_some() || self.next.is_some()
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Listed { data: Vec::new(), iterator: None, prev_iterator: None, done: true }
    }
}

impl<T> Listed<T> {
    /// A page that was put together here.
    pub(super) fn of(data: Vec<T>, iterator: Option<String>, prev_iterator: Option<String>, done: bool) -> Self {
        Listed { data, iterator, prev_iterator, done }
    }

    /// Where the list goes on in a direction, and whether nothing is there.
    pub(super) fn onwards(&self, back: bool) -> (Option<String>, bool) {
        (if back { self.prev_iterator.clone() } else { self.iterator.clone() }, self.done)
    }

    /// Where the next page begins, if there is one.
    pub(super) fn next(&self) -> Option<String> {
        self.iterator.clone().filter(|_| !self.done)
    }

    /// Ways from this page, which was asked for with that query. A page without rows has one only when it stopped early.
    pub(super) fn pager(&self, query: &str) -> Pager {
        self.pager_by(query, "iterator")
    }

    /// As [`Listed::pager`], where the page's query has another name for the place.
    pub(super) fn pager_by(&self, query: &str, name: &str) -> Pager {
        let asked = super::fields::Fields::parse(query.as_bytes());
        let from = asked.text(name);
        let (back, there) = (from.starts_with('-'), !self.data.is_empty());
        let to = |iterator: &Option<String>| iterator.as_ref().map(|at| with(query, name, at));
        // Going back, `done` says that nothing is before; what we came from is behind.
        let (before, behind) = if back { (!self.done, true) } else { (!from.is_empty(), !self.done) };
        // A page that looked at much and found nothing goes on in its direction.
        let stopped = !there && !self.done;
        Pager {
            previous: to(&self.prev_iterator).filter(|_| before && (there || (stopped && back))),
            next: to(&self.iterator).filter(|_| behind && (there || (stopped && !back))),
        }
    }
}

/// The query with one field set anew, and without the word of what was just done.
pub(super) fn with(query: &str, name: &str, value: &str) -> String {
    let kept =
        form_urlencoded::parse(query.as_bytes()).filter(|(known, value)| known != name && known != "note" && !value.is_empty());
    let mut made = form_urlencoded::Serializer::new(String::new());
    made.extend_pairs(kept);
    if !value.is_empty() {
        made.append_pair(name, value);
    }
    format!("?{}", made.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!((grouped(1_234_567), grouped(12)), ("1\u{202f}234\u{202f}567".into(), "12".into()));
        assert_eq!(
            (span(0), span(61), span(90_000), span(86_400 + 5)),
            ("0 s".into(), "1 min 1 s".into(), "1 d 1 h".into(), "1 d".into())
        );
        assert_eq!((percent(1.0), percent(0.987)), ("100 %".into(), "98.7 %".into()));
        assert_eq!((millis(0.25), millis(1234.0), millis(12_340.0)), ("0.25 ms".into(), "1234 ms".into(), "12.3 s".into()));
    }

    #[test]
    fn json_is_laid_out_and_nothing_of_it_changed() {
        let text = r#" {"z": [1.10, 12345678901234567890123, {}, [ ]],"a":"x\"{,:}[] \\","b" :{"c":null}} "#;
        let shown = pretty(text);
        let lines = [
            "{",
            "  \"z\": [",
            "    1.10,",
            "    12345678901234567890123,",
            "    {},",
            "    []",
            "  ],",
            r#"  "a": "x\"{,:}[] \\","#,
            "  \"b\": {",
            "    \"c\": null",
            "  }",
            "}",
        ];
        assert_eq!(shown, lines.join("\n"));
        assert_eq!(pretty(&shown), shown);
        for same in ["", "no json", "{\"a\":1} {", "\u{feff}{}"] {
            assert_eq!(pretty(same), same);
        }
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(pretty(&deep).lines().count() > 100);
    }

    #[test]
    fn code_in_sentences_is_marked_and_harmless() {
        assert_eq!(Marked("a `b` c").to_string(), "a <code>b</code> c");
        let text = Marked("<i> `<script>`").to_string();
        assert!(text.contains("<code>&#60;script&#62;</code>") && !text.contains("<i>"), "{text}");
    }

    #[test]
    fn an_instant_carries_itself_exactly() {
        let text = When(Time(1_700_000_000_123)).to_string();
        assert!(text.contains("datetime=\"2023-11-14T22:13:20.123Z\"") && text.contains(">2023-11-14 22:13:20 UTC<"), "{text}");
    }

    #[test]
    fn a_field_of_date_and_time_holds_what_was_asked_for_in_utc() {
        let held = " value=\"2026-01-02T03:04\" data-instant=\"2026-01-02T03:04:00.000Z\"";
        assert_eq!(instant("2026-01-02T03:04").to_string(), held);
        assert_eq!(instant("2026-01-02T05:04:00+02:00").to_string(), held);
        assert_eq!((instant("").to_string(), instant("soon").to_string()), (String::new(), String::new()));
    }

    #[test]
    fn pages_lead_both_ways() {
        let page = |done| Listed { data: vec![1], iterator: Some("b".into()), prev_iterator: Some("-a".into()), done };
        assert_eq!(page(false).pager("type=x&note=saved"), Pager { previous: None, next: Some("?type=x&iterator=b".into()) });
        assert_eq!(page(true).pager("iterator=z"), Pager { previous: Some("?iterator=-a".into()), next: None });
        assert_eq!(page(true).pager("iterator=-z"), Pager { previous: None, next: Some("?iterator=b".into()) });
        let empty = |done| Listed::<u8> { data: Vec::new(), iterator: Some("b".into()), prev_iterator: Some("-a".into()), done };
        assert_eq!(empty(false).pager("iterator=z"), Pager { previous: None, next: Some("?iterator=b".into()) });
        assert_eq!(empty(false).pager("iterator=-z"), Pager { previous: Some("?iterator=-a".into()), next: None });
        assert!(!empty(true).pager("iterator=z").is_there());
        assert_eq!(with("a=1&b=2&c=", "b", ""), "?a=1");
    }
}
