//! Structured field dictionaries (RFC 8941), as far as message signatures and digests use them: members that are inner lists of
//! strings or byte sequences, parameters that are strings, integers, tokens or true. Written here for the want of anything else of
//! that specification; values are kept so that they can be written back in canonical form.

use crate::special::text::{base64, to_base64};
use std::fmt::Write;

/// Members of a dictionary, items of a list, parameters of an item.
const ENTRIES: usize = 64;

/// A value without parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    Text(String),
    Token(String),
    Whole(i64),
    Bytes(Vec<u8>),
    Truth(bool),
}

pub(crate) type Parameters = Vec<(String, Bare)>;

/// A string of an inner list with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) value: Bare,
    pub(crate) parameters: Parameters,
}

/// What a dictionary's key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    One(Item),
    List(Vec<Item>, Parameters),
}

/// Reads a dictionary; nothing when it is not one, or has more of anything than 64. A key that comes twice is refused.
pub(crate) fn dictionary(text: &str) -> Option<Vec<(String, Member)>> {
    let mut reader = Reader(text.trim_matches(' '));
    let mut members: Vec<(String, Member)> = Vec::new();
    loop {
        let name = reader.key()?;
        let member = match reader.take('=') {
            true if reader.0.starts_with('(') => reader.list()?,
            true => Member::One(Item { value: reader.bare()?, parameters: reader.parameters()? }),
            false => Member::One(Item { value: Bare::Truth(true), parameters: reader.parameters()? }),
        };
        if members.len() == ENTRIES || members.iter().any(|(known, _)| *known == name) {
            return None;
        }
        members.push((name, member));
        reader.0 = reader.0.trim_start_matches([' ', '\t']);
        if reader.0.is_empty() {
            return Some(members);
        }
        if !reader.take(',') {
            return None;
        }
        reader.0 = reader.0.trim_start_matches([' ', '\t']);
    }
}

/// Writes an inner list in canonical form.
pub(crate) fn write_list(items: &[Item], parameters: &Parameters) -> String {
    let items: Vec<String> = items.iter().map(write_item).collect();
    format!("({}){}", items.join(" "), write_parameters(parameters))
}

/// Writes an item in canonical form.
pub(crate) fn write_item(item: &Item) -> String {
    format!("{}{}", write_bare(&item.value), write_parameters(&item.parameters))
}

fn write_parameters(parameters: &Parameters) -> String {
    parameters.iter().fold(String::new(), |mut out, (name, value)| {
        out.extend([";", name]);
        if *value != Bare::Truth(true) {
            out.extend(["=", &write_bare(value)]);
        }
        out
    })
}

fn write_bare(value: &Bare) -> String {
    let mut out = String::new();
    match value {
        Bare::Text(text) => {
            out.push('"');
            text.chars().for_each(|c| out.extend(matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c])));
            out.push('"');
        }
        Bare::Token(token) => out.push_str(token),
        Bare::Whole(number) => drop(write!(out, "{number}")),
        Bare::Bytes(bytes) => out.extend([":", &to_base64(bytes), ":"]),
        Bare::Truth(truth) => out.push_str(if *truth { "?1" } else { "?0" }),
    }
    out
}

/// What is still to be read.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn take(&mut self, wanted: char) -> bool {
        self.0.strip_prefix(wanted).map(|rest| self.0 = rest).is_some()
    }

    /// The longest run of characters of this kind.
    fn run(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let (run, rest) = self.0.split_at(self.0.find(|c| !is_part(c)).unwrap_or(self.0.len()));
        self.0 = rest;
        run
    }

    fn key(&mut self) -> Option<String> {
        self.0.starts_with(|c: char| c.is_ascii_lowercase() || c == '*').then_some(())?;
        Some(self.run(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.*".contains(c)).to_owned())
    }

    fn parameters(&mut self) -> Option<Parameters> {
        let mut parameters: Parameters = Vec::new();
        while self.take(';') {
            self.run(|c| c == ' ');
            let name = self.key()?;
            let value = if self.take('=') { self.bare()? } else { Bare::Truth(true) };
            if parameters.len() == ENTRIES || parameters.iter().any(|(known, _)| *known == name) {
                return None;
            }
            parameters.push((name, value));
        }
        Some(parameters)
    }

    fn list(&mut self) -> Option<Member> {
        let mut items = Vec::new();
        self.take('(').then_some(())?;
        loop {
            self.run(|c| c == ' ');
            if self.take(')') {
                return Some(Member::List(items, self.parameters()?));
            }
            if items.len() == ENTRIES {
                return None;
            }
            items.push(Item { value: self.bare()?, parameters: self.parameters()? });
            if !self.0.starts_with([' ', ')']) {
                return None;
            }
        }
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.0.chars().next()? {
            '"' => self.text().map(Bare::Text),
            ':' => {
                let (digits, rest) = self.0.strip_prefix(':')?.split_once(':')?;
                self.0 = rest;
                base64(digits.as_bytes()).map(Bare::Bytes)
            }
            '?' => {
                let truth = match self.0.get(..2)? {
                    "?1" => true,
                    "?0" => false,
                    _ => return None,
                };
                self.0 = self.0.get(2..)?;
                Some(Bare::Truth(truth))
            }
            '-' | '0'..='9' => {
                let digits = self.run(|c| c == '-' || c.is_ascii_digit());
                (digits.len() <= 16).then(|| digits.parse().ok().map(Bare::Whole)).flatten()
            }
            'a'..='z' | 'A'..='Z' | '*' => {
                Some(Bare::Token(self.run(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c)).to_owned()))
            }
            _ => None,
        }
    }

    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut rest = self.0.strip_prefix('"')?.char_indices();
        while let Some((_, c)) = rest.next() {
            match c {
                '"' => {
                    self.0 = rest.as_str();
                    return Some(text);
                }
                '\\' => text.push(rest.next().map(|(_, c)| c).filter(|c| matches!(c, '"' | '\\'))?),
                ' '..='~' => text.push(c),
                _ => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_read_is_written_back() {
        let text = r#"sig1=("@method" "x \"y";key="a" "b";bs);created=17;keyid="k";alg=t, s2=:AQID:, s3;x=?0"#;
        let read = dictionary(text).unwrap();
        assert_eq!(read.len(), 3);
        let Member::List(items, parameters) = &read[0].1 else { panic!("{read:?}") };
        assert_eq!(format!("sig1={}", write_list(items, parameters)), text.split(", ").next().unwrap());
        assert_eq!(read[1].1, Member::One(Item { value: Bare::Bytes(vec![1, 2, 3]), parameters: vec![] }));
        for text in ["", ",", "a=", "A=1", "a=1,", "a=1,a=2", "a=(\"x\"", "a=(\"x\"\"y\")", "a=:!:", "a=\"", "a=1 b=2", "a=\"é\""]
        {
            assert_eq!(dictionary(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r#"[a-z"=:;,()@\\ 0-9?é-]{0,60}"#) {
            let _read_or_not = dictionary(&text);
        }
    }
}
