//! `application/x-www-form-urlencoded`: pairs in the order in which they came, duplicates and blank values kept, bytes that are no
//! UTF-8 kept too. Queries are written the same way.

use crate::special::text::unescape;

/// Pairs that are read of a form. Twilio sends some 50.
const PAIRS: usize = 2000;

/// The pairs of a form; nothing when there are more than 2,000.
pub(crate) fn pairs(form: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut pairs = Vec::new();
    for part in form.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
        if pairs.len() == PAIRS {
            return None;
        }
        let (name, value) = match part.iter().position(|byte| *byte == b'=').and_then(|at| part.split_at_checked(at)) {
            Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
            None => (part, &[][..]),
        };
        pairs.push((decode(name), decode(value)));
    }
    Some(pairs)
}

/// The first value of that name in the query of a URL.
pub(crate) fn query_value(url: &str, name: &str) -> Option<Vec<u8>> {
    let (_, query) = url.split_once('?')?;
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    pairs(query.as_bytes())?.into_iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value)
}

fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    unescape(&spaced, |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_duplicates_and_blanks_are_kept() {
        let read = pairs(b"b=1&a=+x%2B&b=2&&c&d=&e=%zz=").unwrap();
        let text: Vec<_> =
            read.iter().map(|(k, v)| format!("{}:{}", String::from_utf8_lossy(k), String::from_utf8_lossy(v))).collect();
        assert_eq!(text, ["b:1", "a: x+", "b:2", "c:", "d:", "e:%zz="]);
        assert_eq!(pairs(&b"a&".repeat(PAIRS + 1)), None);
    }

    #[test]
    fn a_query_is_searched() {
        assert_eq!(query_value("https://a/b?x=1&challenge=a%20b#f", "challenge").as_deref(), Some(&b"a b"[..]));
        assert_eq!(query_value("https://a/b", "challenge"), None);
    }
}
