//! Words of people: what may not stand in a name, wherever it is shown.

/// What [`is_unseen`] leaves, as a regular expression of ECMA-262.
pub const SEEN_PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$";

/// Whether it is not seen and changes what is: controls (C0, C1), ends of lines and paragraphs, and whatever turns the direction of
/// writing (Unicode's `Bidi_Control`), with which one name can be made to look like another.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_stay() {
        assert!(!"Zoë's Straße, דוגמה, مثال, 例え, 👩\u{200d}💻 #1".chars().any(is_unseen));
        for unseen in ["a\u{202e}b", "a\u{2066}b", "a\nb", "\u{0}", "a\u{85}", "\u{7f}", "\u{200f}"] {
            assert!(unseen.chars().any(is_unseen), "{unseen:?}");
        }
    }

    #[test]
    fn the_pattern_says_the_same() {
        let list = SEEN_PATTERN.trim_start_matches("^[^").trim_end_matches("]*$");
        let points: Vec<char> = list
            .split("\\u")
            .skip(1)
            .map(|part| u32::from_str_radix(part.get(..4).unwrap(), 16).ok().and_then(char::from_u32).unwrap())
            .collect();
        let ranged: Vec<bool> = list.split("\\u").skip(1).map(|part| part.ends_with('-')).collect();
        let mut ranges = Vec::new();
        let mut at = 0;
        while at < points.len() {
            let end = if ranged[at] { at + 1 } else { at };
            ranges.push(points[at]..=points[end]);
            at = end + 1;
        }
        for c in '\0'..=char::MAX {
            assert_eq!(ranges.iter().any(|range| range.contains(&c)), is_unseen(c), "{c:?}");
        }
    }
}
