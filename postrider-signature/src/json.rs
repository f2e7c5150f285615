//! Finding single values in a JSON text without building it: what is not asked for is skipped, and depth costs no stack.

use serde::{
    Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Elements of an array that `[]` looks at.
const MAX_ELEMENTS: usize = 10_000;
/// Steps of a path.
const MAX_STEPS: usize = 16;
/// Bytes of a path.
const MAX_PATH_BYTES: usize = 256;

/// One step into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A member of an object.
    Member(String),
    /// An element of an array, from 0.
    Element(usize),
    /// Every element of an array.
    Every,
}

/// Where a value is: `data.object.id`, `0.type`, `value[].clientState`. The empty path is the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Step>);

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Path, &'static str> {
        if text.len() > MAX_PATH_BYTES {
            return Err("a path has at most 256 bytes");
        }
        let mut steps = Vec::new();
        for part in text.split('.').filter(|_| !text.is_empty()) {
            let name = part.strip_suffix("[]");
            match name.unwrap_or(part) {
                "" if name.is_some() && steps.is_empty() => {}
                "" => return Err("a path is names with dots between them"),
                digits if digits.bytes().all(|c| c.is_ascii_digit()) => {
                    steps.push(Step::Element(digits.parse().map_err(|_| "an index is too large")?));
                }
                member => steps.push(Step::Member(member.to_owned())),
            }
            steps.extend(name.map(|_| Step::Every));
        }
        if steps.len() > MAX_STEPS { Err("a path has at most 16 steps") } else { Ok(Path(steps)) }
    }

    /// The values at this place: none, one, or with `[]` one for each element. Of members of the same name the last counts.
    /// Nothing at all when the path leads nowhere for any element: a place that must be the same everywhere must be everywhere.
    pub(crate) fn find<'a>(&self, json: &'a RawValue) -> Option<Vec<&'a RawValue>> {
        let mut found = vec![json];
        for step in &self.0 {
            found = match step {
                Step::Member(name) => found.into_iter().map(|value| member(value, name)).collect::<Option<_>>()?,
                Step::Element(at) => found.into_iter().map(|value| elements(value)?.into_iter().nth(*at)).collect::<Option<_>>()?,
                Step::Every => {
                    let all: Option<Vec<Vec<&RawValue>>> = found.into_iter().map(elements).collect();
                    all?.concat()
                }
            };
        }
        Some(found).filter(|found| !found.is_empty())
    }
}

/// A body as JSON, if it is.
pub(crate) fn raw(body: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(body).ok()
}

/// A string, number or truth value as text.
pub(crate) fn scalar(value: &RawValue) -> Option<String> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str(text).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(text.to_owned()),
    }
}

/// The elements of an array, within bounds.
pub(crate) fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    struct Elements;
    impl<'de> Visitor<'de> for Elements {
        type Value = Vec<&'de RawValue>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::new();
            while let Some(element) = all.next_element()? {
                if found.len() == MAX_ELEMENTS {
                    return Err(A::Error::custom("too many elements"));
                }
                found.push(element);
            }
            Ok(found)
        }
    }
    serde_json::Deserializer::from_str(value.get()).deserialize_seq(Elements).ok()
}

fn member<'a>(value: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    struct Member<'n>(&'n str);
    impl<'de> Visitor<'de> for Member<'_> {
        type Value = Option<&'de RawValue>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(key) = all.next_key::<Cow<'de, str>>()? {
                if key == self.0 {
                    found = Some(all.next_value()?);
                } else {
                    all.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }
    serde_json::Deserializer::from_str(value.get()).deserialize_map(Member(name)).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str, path: &str) -> Option<Vec<String>> {
        let json = raw(json.as_bytes())?;
        Some(Path::parse(path).unwrap().find(json)?.iter().map(|value| value.get().to_owned()).collect())
    }

    #[test]
    fn paths_lead_to_values() {
        let json = r#"{"a":{"b":[{"c":1},{"c":"x"}]},"a2":1,"n":null,"a2":2}"#;
        assert_eq!(found(json, "a.b.1.c"), Some(vec![r#""x""#.into()]));
        assert_eq!(found(json, "a.b[].c"), Some(vec!["1".into(), r#""x""#.into()]));
        assert_eq!(found(json, "a2"), Some(vec!["2".into()]));
        assert_eq!(found(json, "a.b.2.c"), None);
        assert_eq!(found(json, "a2.x"), None);
        assert_eq!(found(r#"[{"c":1},{}]"#, "[].c"), None, "one element without it is enough");
        assert_eq!(found("[]", "[].c"), None);
        assert_eq!(found("[1]", "0"), Some(vec!["1".into()]));
        assert_eq!(found("[1]", ""), Some(vec!["[1]".into()]));
    }

    #[test]
    fn scalars_are_texts() {
        let text = |json: &str, path: &str| scalar(Path::parse(path).unwrap().find(raw(json.as_bytes())?)?.first()?);
        assert_eq!(text(r#"{"a":"\u00e9"}"#, "a"), Some("é".into()));
        assert_eq!(text(r#"{"a":12}"#, "a"), Some("12".into()));
        assert_eq!(text(r#"{"a":null}"#, "a"), None);
        assert_eq!(text(r#"{"a":{}}"#, "a"), None);
        assert_eq!(text(&format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), "0.0"), None);
    }

    #[test]
    fn bad_paths_are_refused() {
        for path in ["a..b", ".a", "a.", &"a.".repeat(200), "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
