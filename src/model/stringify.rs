//! JSON as JavaScript writes it: what `JSON.stringify(JSON.parse(text))` gives (ECMA-262, section 25.5). Receivers that sign
//! what they have parsed, instead of the bytes that came, agree with us on nothing else.

/// How deep arrays and objects may stand in one another.
const MAX_DEPTH: usize = 256;
/// The first number that is no array index: keys of objects below it come first, in their numerical order (ECMA-262, section
/// 10.1.11.1).
const NO_INDEX: u32 = u32::MAX;
/// Digits before the point from which on a number has an exponent (ECMA-262, section 6.1.6.1.20).
const MAX_PLAIN: i32 = 21;
/// Zeros behind the point from which on a number has an exponent.
const MAX_LEADING: i32 = 6;

/// The JSON text as JavaScript writes it. `None`: it is no JSON, or deeper than 256.
#[must_use]
pub fn stringify(text: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader { rest: std::str::from_utf8(text).ok()? };
    let mut out = Vec::with_capacity(text.len());
    reader.value(&mut out, 0)?;
    reader.blank();
    reader.rest.is_empty().then_some(out)
}

struct Reader<'t> {
    rest: &'t str,
}

/// A member of an object: its name as it is written, and its value.
struct Member {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Reader<'_> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Whether that comes next; then it is taken.
    fn takes(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        self.blank();
        if depth > MAX_DEPTH {
            return None;
        }
        if self.takes("{") {
            return self.object(out, depth);
        }
        if self.takes("[") {
            return self.array(out, depth);
        }
        if self.takes("\"") {
            return self.string(out);
        }
        for word in ["true", "false", "null"] {
            if self.takes(word) {
                out.extend_from_slice(word.as_bytes());
                return Some(());
            }
        }
        self.number(out)
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        out.push(b'[');
        self.blank();
        if self.takes("]") {
            out.push(b']');
            return Some(());
        }
        loop {
            self.value(out, depth + 1)?;
            self.blank();
            if self.takes("]") {
                out.push(b']');
                return Some(());
            }
            out.push(b',');
            self.takes(",").then_some(())?;
        }
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        let mut members: Vec<Member> = Vec::new();
        self.blank();
        let mut more = !self.takes("}");
        while more {
            self.blank();
            self.takes("\"").then_some(())?;
            let (mut name, mut value) = (Vec::new(), Vec::new());
            self.string(&mut name)?;
            self.blank();
            self.takes(":").then_some(())?;
            self.value(&mut value, depth + 1)?;
            members.push(Member { name, value });
            self.blank();
            more = self.takes(",");
            (more || self.takes("}")).then_some(())?;
        }
        write(members, out);
        Some(())
    }

    /// The rest of a string, behind its opening quote.
    fn string(&mut self, out: &mut Vec<u8>) -> Option<()> {
        out.push(b'"');
        loop {
            let special = self.rest.find(|c: char| c == '"' || c == '\\' || c < ' ')?;
            let (plain, rest) = self.rest.split_at_checked(special)?;
            out.extend_from_slice(plain.as_bytes());
            self.rest = rest;
            if self.takes("\"") {
                out.push(b'"');
                return Some(());
            }
            // A control character that stands there as it is, is no JSON.
            self.takes("\\").then_some(())?;
            let unit = self.escaped()?;
            match unit {
                0xd800..=0xdbff => match self.trailing() {
                    Some(low) => put(char::decode_utf16([unit, low]).next()?.ok()?, out),
                    None => lone(unit, out),
                },
                0xdc00..=0xdfff => lone(unit, out),
                _ => put(char::from_u32(u32::from(unit))?, out),
            }
        }
    }

    /// What an escape stands for, behind its backslash.
    fn escaped(&mut self) -> Option<u16> {
        let mut letters = self.rest.chars();
        let letter = letters.next()?;
        self.rest = letters.as_str();
        Some(match letter {
            '"' | '\\' | '/' => u16::try_from(u32::from(letter)).ok()?,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'u' => {
                let (digits, rest) = self.rest.split_at_checked(4)?;
                self.rest = rest;
                digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())??
            }
            _ => return None,
        })
    }

    /// The second half of a pair of surrogates, if that comes next.
    fn trailing(&mut self) -> Option<u16> {
        let digits = self.rest.strip_prefix("\\u")?.get(..4)?;
        let unit = u16::from_str_radix(digits, 16).ok().filter(|unit| (0xdc00..=0xdfff).contains(unit))?;
        self.rest = self.rest.get(6..)?;
        Some(unit)
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at_checked(end)?;
        serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
        self.rest = rest;
        let number: f64 = text.parse().ok()?;
        out.extend_from_slice(plain_number(number).as_bytes());
        Some(())
    }
}

/// Members in JavaScript's order: indices first, then the others as they first came; of one name the last value.
fn write(members: Vec<Member>, out: &mut Vec<u8>) {
    let mut places = std::collections::HashMap::<Vec<u8>, usize>::with_capacity(members.len());
    let mut kept: Vec<Member> = Vec::with_capacity(members.len());
    for member in members {
        match places.get(&member.name).and_then(|at| kept.get_mut(*at)) {
            Some(known) => known.value = member.value,
            None => {
                places.insert(member.name.clone(), kept.len());
                kept.push(member);
            }
        }
    }
    // Stable: those without an index keep their order.
    kept.sort_by_key(|member| index(&member.name).unwrap_or(NO_INDEX));
    out.push(b'{');
    for (at, Member { name, value }) in kept.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
}

/// The array index that a name, in its quotes, is.
fn index(name: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(name).ok()?.strip_prefix('"')?.strip_suffix('"')?;
    let canonical = digits == "0" || !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|index| canonical && *index < NO_INDEX)
}

/// A character as it stands inside a string.
fn put(c: char, out: &mut Vec<u8>) {
    let short = match c {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        '\u{8}' => Some("\\b"),
        '\u{c}' => Some("\\f"),
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        '\t' => Some("\\t"),
        _ => None,
    };
    match short {
        Some(short) => out.extend_from_slice(short.as_bytes()),
        None if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
        None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Half of a pair of surrogates.
fn lone(unit: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
}

/// A number as JavaScript writes it.
fn plain_number(number: f64) -> String {
    if !number.is_finite() {
        return "null".into();
    }
    if number == 0.0 {
        return "0".into();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    // The shortest digits that read back as this number, as JavaScript takes them.
    let shortest = format!("{:e}", number.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    let split = |at: i32| digits.split_at_checked(usize::try_from(at).unwrap_or(0)).unwrap_or((&digits, ""));
    let text = if count <= point && point <= MAX_PLAIN {
        format!("{digits}{}", zeros(point - count))
    } else if 0 < point && point <= MAX_PLAIN {
        let (whole, part) = split(point);
        format!("{whole}.{part}")
    } else if -MAX_LEADING < point && point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = split(1);
        let dot = if rest.is_empty() { "" } else { "." };
        format!("{first}{dot}{rest}e{}{}", if point > 0 { "+" } else { "-" }, (point - 1).abs())
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        stringify(text.as_bytes()).map_or_else(|| "refused".into(), |out| String::from_utf8(out).unwrap())
    }

    // What node 20 prints for `JSON.stringify(JSON.parse(text))`.
    #[test]
    fn texts_become_what_javascript_writes() {
        for (text, expected) in [
            ("{ \"a\" : 1,\n \"b\": [ 1 , 2 ]\t}", r#"{"a":1,"b":[1,2]}"#),
            (
                r#"{"b":1,"10":2,"9":3,"a":4,"010":5,"b":6,"-1":7,"4294967295":8,"4294967294":9}"#,
                r#"{"9":3,"10":2,"4294967294":9,"b":6,"a":4,"010":5,"-1":7,"4294967295":8}"#,
            ),
            (
                r#""\u00fcn\u0069 \/ \u2028 \ud83d\ude00 \u0007\u001f \"q\" \\ \b\f\n\r\t \u007f""#,
                "\"üni / \u{2028} 😀 \\u0007\\u001f \\\"q\\\" \\\\ \\b\\f\\n\\r\\t \u{7f}\"",
            ),
            (
                r#"["\ud800","\udc00x","\ud83dx","\ud83d\u0041","\ud83d\ud83d\ude00"]"#,
                r#"["\ud800","\udc00x","\ud83dx","\ud83dA","\ud83d😀"]"#,
            ),
            ("[]", "[]"),
            (" {} ", "{}"),
            ("null", "null"),
            (r#"{"\u0061":1,"a":2}"#, r#"{"a":2}"#),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_javascript_s() {
        for (text, expected) in [
            ("10.0", "10"),
            ("1e3", "1000"),
            ("1.5E-7", "1.5e-7"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("1e21", "1e+21"),
            ("123456789012345680000", "123456789012345680000"),
            ("1e400", "null"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("-12.50", "-12.5"),
            ("12345678901234567890", "12345678901234567000"),
            ("9007199254740993", "9007199254740992"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("9.99", "9.99"),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(MAX_DEPTH + 2) + &"]".repeat(MAX_DEPTH + 2);
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "01",
            "1.",
            "+1",
            "--1",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "tru",
            "1 2",
            &deep,
        ] {
            assert_eq!(of(text), "refused", "{text}");
        }
        assert_eq!(stringify(b"\"\xff\""), None);
    }
}
