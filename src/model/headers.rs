//! Headers as they are kept of an exchange: names and values in one piece of memory, however many there are.

use serde::{Deserialize, Serialize};

/// Ends a value. No header's value contains it (RFC 9110, section 5.5).
const END: char = '\n';
/// Stands between name and value. No header's name contains it.
const BETWEEN: char = ':';

/// Headers that concern one connection, one hop or one body's framing (RFC 9110, sections 6.4 to 7.8): they say nothing of
/// the next one.
const OF_THE_CONNECTION: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header, its name in lower case, belongs to one connection, one hop or one body's framing.
#[must_use]
pub fn is_of_the_connection(name: &str) -> bool {
    OF_THE_CONNECTION.contains(&name)
}

/// Headers in the order of the exchange, names in lower case. Values that are not text are lossily decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(String);

impl Headers {
    /// No headers, with room for so many bytes of names and values.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Headers(String::with_capacity(bytes))
    }

    /// Adds a header.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        let begin = self.0.len();
        self.0.push_str(name);
        if let Some(name) = self.0.get_mut(begin..) {
            name.make_ascii_lowercase();
        }
        self.0.push(BETWEEN);
        match std::str::from_utf8(value) {
            Ok(text) => self.0.push_str(text),
            Err(_) => self.0.push_str(&String::from_utf8_lossy(value)),
        }
        self.0.push(END);
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split_terminator(END).filter_map(|line| line.split_once(BETWEEN))
    }

    /// Names and values, each on its own.
    #[must_use]
    pub fn to_pairs(&self) -> Vec<(String, String)> {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut headers = Headers::default();
        pairs.into_iter().for_each(|(name, value)| headers.push(name, value.as_bytes()));
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let pairs = [("a", "1"), ("b", ""), ("a", "x: y"), ("c", " ")];
        let headers: Headers = pairs.into_iter().collect();
        assert!(headers.iter().eq(pairs));
        let mut odd = Headers::default();
        odd.push("X", b"\xff");
        assert_eq!(odd.to_pairs(), [("x".to_owned(), "\u{fffd}".to_owned())]);
        assert_eq!(Headers::default().iter().count(), 0);
    }
}
