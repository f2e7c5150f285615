//! Paths into a payload: `properties.amount`, `items."price.net"`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Keys of a path.
const MAX_KEYS: usize = 16;

/// Keys, from the outside in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<String>);

impl Path {
    /// # Errors
    /// The rule that the text breaks, as a sentence.
    pub(super) fn parse(text: &str) -> Result<Path, String> {
        let mut keys = Vec::new();
        let mut rest = text;
        loop {
            if keys.len() == MAX_KEYS {
                return Err(format!("A path has at most {MAX_KEYS} keys."));
            }
            let (key, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted_key(quoted)?,
                None => plain_key(rest)?,
            };
            keys.push(key);
            match after.strip_prefix('.') {
                Some(more) => rest = more,
                None if after.is_empty() => return Ok(Path(keys)),
                None => return Err("Behind a quoted key comes a dot or the end.".into()),
            }
        }
    }

    /// Everything that the path leads to: one value, or several where an array stands on the way; an array at its end, and
    /// its elements. `found` says whether it is enough.
    pub(super) fn any(&self, payload: &Value, found: &mut dyn FnMut(&Value) -> bool) -> bool {
        walk(payload, &self.0, found)
    }
}

/// A path into a payload, as filters write it, by which something is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PayloadPath(Path);

impl PayloadPath {
    /// Reads a path: keys with dots between them.
    ///
    /// # Errors
    /// The rule that the text breaks, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        Path::parse(text).map(PayloadPath)
    }

    /// The first value that the path leads to, as JSON without spaces; `None` when it is absent.
    #[must_use]
    pub fn value(&self, payload: &Value) -> Option<String> {
        let mut first = None;
        self.0.any(payload, &mut |value| {
            first = Some(value.to_string());
            true
        });
        first
    }
}

impl TryFrom<String> for PayloadPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        PayloadPath::parse(&text)
    }
}

impl From<PayloadPath> for String {
    fn from(path: PayloadPath) -> String {
        path.0.to_string()
    }
}

fn walk(value: &Value, keys: &[String], found: &mut dyn FnMut(&Value) -> bool) -> bool {
    let Some((key, rest)) = keys.split_first() else {
        return found(value) || value.as_array().is_some_and(|elements| elements.iter().any(|one| walk(one, keys, found)));
    };
    match value {
        Value::Object(members) => members.get(key).is_some_and(|member| walk(member, rest, found)),
        Value::Array(elements) => elements.iter().any(|element| walk(element, keys, found)),
        _ => false,
    }
}

fn plain_key(text: &str) -> Result<(String, &str), String> {
    let (key, after) = text.split_at_checked(text.find('.').unwrap_or(text.len())).unwrap_or((text, ""));
    if key.is_empty() {
        return Err("A key of a path is not empty; an empty one is written \"\".".into());
    }
    if key.contains('"') {
        return Err("A key with a double quote is written in double quotes, with a backslash before it.".into());
    }
    Ok((key.to_owned(), after))
}

/// The key up to the closing quote, in which a backslash takes the next character as it is.
fn quoted_key(text: &str) -> Result<(String, &str), String> {
    let mut key = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next() {
            Some('"') => return Ok((key, characters.as_str())),
            Some('\\') => key.push(characters.next().ok_or("A quoted key ends in a double quote.")?),
            Some(character) => key.push(character),
            None => return Err("A quoted key ends in a double quote.".into()),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, key) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            let word = matches!(key.as_str(), "any" | "all" | "not") && self.0.len() == 1;
            if word || key.is_empty() || key.contains(['.', '"']) {
                write!(f, "\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))?;
            } else {
                f.write_str(key)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written() {
        for text in ["a", "a.b.c", r#""a.b".c"#, r#""any""#, r#""""#, r#"a."x\"y""#, "é.ü"] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Path::parse(r#""a"."b""#).unwrap(), Path::parse("a.b").unwrap());
        for text in ["", ".", "a.", ".a", "a..b", "\"a", "\"a\\", "\"a\"b", "a\"b", &["a"; 17].join(".")] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arrays_are_walked_through() {
        let payload = serde_json::json!({"a": [{"b": 1}, {"b": [2, [3]]}, 4]});
        let mut seen = Vec::new();
        Path::parse("a.b").unwrap().any(&payload, &mut |value| {
            seen.push(value.to_string());
            false
        });
        assert_eq!(seen, ["1", "[2,[3]]", "2", "[3]", "3"]);
        assert!(!Path::parse("a.c").unwrap().any(&payload, &mut |_| true));
    }
}
