//! Identifiers as UUIDs, for systems whose documents show them so. An identifier of ours is 128 bits with the time in front,
//! as a UUID of version 7 (RFC 9562, section 5.7) is: one that is made for such a system gets that version's marks.

use std::fmt::Write;

/// Where the version and the variant stand, and what they are in version 7.
const MARKS: u128 = (0xf << 76) | (0b11 << 62);
const VERSION_7: u128 = (0x7 << 76) | (0b10 << 62);
/// The lengths of a UUID's five groups, in hexadecimal digits.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// The number of a new identifier with the marks of a UUID: 74 of its 80 bits of chance stay.
pub(super) fn marked(number: u128) -> u128 {
    (number & !MARKS) | VERSION_7
}

/// An identifier's number as a UUID.
pub(super) fn text(number: u128) -> String {
    let mut digits = String::with_capacity(36);
    let mut left = 128;
    for (at, group) in GROUPS.into_iter().enumerate() {
        if at > 0 {
            digits.push('-');
        }
        left -= group * 4;
        let part = (number >> left) & ((1 << (group * 4)) - 1);
        let _infallible = write!(digits, "{part:0group$x}");
    }
    digits
}

/// The number of a UUID; `None` when the text is none. Capitals are taken too.
pub(super) fn number(text: &str) -> Option<u128> {
    let mut number = 0u128;
    let mut groups = text.split('-');
    for length in GROUPS {
        let group = groups.next().filter(|group| group.len() == length && group.bytes().all(|b| b.is_ascii_hexdigit()))?;
        number = (number << (length * 4)) | u128::from_str_radix(group, 16).ok()?;
    }
    groups.next().is_none().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_a_uuid_and_comes_back() {
        let marked = marked(0x0193_4f2a_b1c2_ffff_ffff_0123_4567_89ab);
        assert_eq!(text(marked), "01934f2a-b1c2-7fff-bfff-0123456789ab");
        assert_eq!(number(&text(marked)), Some(marked));
        assert_eq!(number("01934F2A-B1C2-7FFF-BFFF-0123456789AB"), Some(marked));
        assert_eq!(text(0), "00000000-0000-0000-0000-000000000000");
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "",
            "-",
            "01934f2ab1c27fffbfff0123456789ab",
            "01934f2a-b1c2-7fff-bfff-0123456789ab-",
            "g1934f2a-b1c2-7fff-bfff-0123456789ab",
            "+1934f2a-b1c2-7fff-bfff-0123456789ab",
        ] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
