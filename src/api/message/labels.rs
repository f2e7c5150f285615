//! Rules for the names that messages and endpoints carry: event types, channels, tags.

use crate::api::{problem::Problem, rules::Check};
use serde_json::{Value, json};

/// Characters of a channel or a tag at most.
const MAX_LABEL: usize = 128;

/// What a channel may be, as a regular expression.
const CHANNEL_PATTERN: &str = r"^[a-zA-Z0-9\-_.:+]+$";
/// What a tag may be, as a regular expression.
const TAG_PATTERN: &str = r"^[a-zA-Z0-9\-_./\\#]+$";

/// What a channel may be, for the description of the API.
pub(in crate::api) fn channel_limits() -> Value {
    json!({ "minLength": 1, "maxLength": MAX_LABEL, "pattern": CHANNEL_PATTERN })
}

/// What a tag may be, for the description of the API.
pub(in crate::api) fn tag_limits() -> Value {
    json!({ "minLength": 1, "maxLength": MAX_LABEL, "pattern": TAG_PATTERN })
}

/// A rule for one name, at a place.
pub(in crate::api) type Rule = fn(&[&str], &str) -> Result<(), Problem>;

/// An event type, event id or uid.
///
/// # Errors
/// Not 1 to 256 of `[a-zA-Z0-9\-_.]`.
pub(crate) fn name(loc: &[&str], text: &str) -> Result<(), Problem> {
    let mut check = Check::new();
    check.name(loc, text);
    check.done()
}

/// A channel. The current clients' pattern; the contract's has no `:` and `+`.
///
/// # Errors
/// Not 1 to 128 of `[a-zA-Z0-9\-_.:+]`.
pub(in crate::api) fn channel(loc: &[&str], text: &str) -> Result<(), Problem> {
    label(loc, text, b"-_.:+", "Only letters, digits and `-_.:+` are allowed.")
}

/// A tag.
///
/// # Errors
/// Not 1 to 128 of `[a-zA-Z0-9\-_./\\#]`.
pub(in crate::api) fn tag(loc: &[&str], text: &str) -> Result<(), Problem> {
    label(loc, text, b"-_./\\#", "Only letters, digits and `-_./\\#` are allowed.")
}

fn label(loc: &[&str], text: &str, extra: &[u8], pattern: &'static str) -> Result<(), Problem> {
    let mut check = Check::new();
    check.rule((1..=MAX_LABEL).contains(&text.len()), loc, "length", "It has 1 to 128 characters.");
    check.rule(text.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b)), loc, "pattern", pattern);
    check.done()
}

/// Checks each name of a list and leaves out repetitions.
///
/// # Errors
/// There are more than `max`, or one breaks the rule; the problem names its place in the body.
pub(crate) fn names(field: &str, names: Option<Vec<String>>, max: usize, rule: Rule) -> Result<Vec<String>, Problem> {
    let Some(names) = names else { return Ok(Vec::new()) };
    if names.len() > max {
        return Err(Problem::field(&["body", field], "length", format!("At most {max} entries.")));
    }
    let mut kept: Vec<String> = Vec::with_capacity(names.len());
    for (at, name) in names.into_iter().enumerate() {
        rule(&["body", field, &at.to_string()], &name)?;
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_the_clients() {
        let at = ["body", "x"];
        assert!(channel(&at, "a:b+c-d_e.f").is_ok() && tag(&at, "a/b\\c#d").is_ok() && name(&at, "a.b-c_d").is_ok());
        for bad in ["", "a b", "é", "a/b", &"c".repeat(MAX_LABEL + 1)] {
            assert!(channel(&at, bad).is_err(), "{bad}");
        }
        assert!(tag(&at, "a:b").is_err() && name(&at, "a:b").is_err() && name(&at, &"n".repeat(257)).is_err());
    }

    #[test]
    fn the_place_of_a_fault_is_named() {
        let list = |items: &[&str]| Some(items.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names("channels", list(&["a", "b", "a"]), 3, channel).unwrap(), ["a", "b"]);
        let Err(Problem::Invalid(faults)) = names("channels", list(&["a", "b c"]), 3, channel) else { panic!() };
        assert_eq!(faults[0].loc, ["body", "channels", "1"]);
        assert!(names("channels", list(&["a", "b", "c", "d"]), 3, channel).is_err());
        assert!(names("channels", None, 3, channel).unwrap().is_empty());
    }
}
