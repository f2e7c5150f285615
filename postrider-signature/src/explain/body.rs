//! A body as proxies, frameworks and people change it: other white space in JSON, other line ends, other escapes.

use std::fmt::Write;

/// The body in other ways of writing it, each with its name.
pub(super) fn variants(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<(&'static str, Vec<u8>)> = vec![
        ("the body without white space at its ends", body.trim_ascii().to_vec()),
        ("the body with a line end behind it", [body.trim_ascii_end(), b"\n"].concat()),
        ("the body with CRLF behind it", [body.trim_ascii_end(), b"\r\n"].concat()),
        ("an empty body", Vec::new()),
    ];
    let Ok(text) = str::from_utf8(body) else { return all };
    let crlf = text.replace("\r\n", "\n").replace('\n', "\r\n");
    all.push(("the body with LF for CRLF", text.replace("\r\n", "\n").into_bytes()));
    all.push(("the body with CRLF for LF", crlf.into_bytes()));
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return all;
    }
    let forms = [
        ("JSON without white space", Style { comma: ",", colon: ":", indent: 0 }),
        ("JSON with a space behind commas and colons", Style { comma: ", ", colon: ": ", indent: 0 }),
        ("JSON indented by 2", Style { comma: ",", colon: ": ", indent: 2 }),
        ("JSON indented by 4", Style { comma: ",", colon: ": ", indent: 4 }),
    ];
    let escapes: [(&'static str, Escape); 3] =
        [("", str::to_owned), (ESCAPED, escaped), (SLASHES, |text| text.replace('/', "\\/"))];
    for (name, style) in forms {
        for (how, write) in escapes {
            let written = write(&style.write(text));
            all.push((if how.is_empty() { name } else { how }, written.clone().into_bytes()));
            all.push((name, format!("{written}\n").into_bytes()));
        }
    }
    all
}

/// Writes the letters of a JSON text in another way.
type Escape = fn(&str) -> String;

const ESCAPED: &str = "JSON with \\u escapes for what is not ASCII";
const SLASHES: &str = "JSON with escaped slashes";

/// How JSON is laid out.
#[derive(Clone, Copy)]
struct Style {
    comma: &'static str,
    colon: &'static str,
    /// Spaces for each level; 0: on one line.
    indent: usize,
}

/// Levels beyond which nothing more is indented.
const MAX_INDENTED: usize = 64;

impl Style {
    /// Valid JSON laid out anew, everything but its white space kept.
    fn write(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let (mut level, mut quoted, mut escape, mut opened) = (0_usize, false, false, false);
        for letter in text.chars() {
            if quoted {
                out.push(letter);
                quoted = escape || letter != '"';
                escape = !escape && letter == '\\';
                continue;
            }
            if letter.is_ascii_whitespace() {
                continue;
            }
            let closes = matches!(letter, '}' | ']');
            if closes {
                level = level.saturating_sub(1);
            }
            if opened != closes {
                // Behind what opens, unless it closes at once; before what closes, unless it opened just now.
                self.line(&mut out, level);
            }
            opened = matches!(letter, '{' | '[');
            match letter {
                ',' => {
                    out.push_str(self.comma);
                    self.line(&mut out, level);
                }
                ':' => out.push_str(self.colon),
                _ => out.push(letter),
            }
            level += usize::from(opened);
            quoted = letter == '"';
        }
        out
    }

    fn line(self, out: &mut String, level: usize) {
        if self.indent > 0 {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', self.indent * level.min(MAX_INDENTED)));
        }
    }
}

/// JSON with every letter that is not ASCII as `\u` and four digits.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _a_string_takes_all = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn json_is_laid_out_as_others_do() {
        let text = r#"{ "a":[ 1,{"b":"x, \" : {"} ], "c":{}, "d":[]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(Style { comma: ",", colon: ":", indent: 0 }.write(text), value.to_string());
        assert_eq!(Style { comma: ",", colon: ": ", indent: 2 }.write(text), serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(escaped("é🦀"), "\\u00e9\\ud83e\\udd80");
    }

    proptest! {
        #[test]
        fn any_bytes_have_variants(body in proptest::collection::vec(any::<u8>(), 0..60), text in r#"[\[\]{}",: a\\]{0,40}"#) {
            prop_assert!(!variants(&body).is_empty());
            let style = Style { comma: ",", colon: ":", indent: 2 };
            prop_assert!(style.write(&text).len() <= text.len() * 200);
        }
    }
}
