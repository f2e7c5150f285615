//! Small readers that every special provider needs: a header as text, base64, hex, percent escapes, HMAC, an RFC 3339 instant.
//! All of them refuse, none panics.

use crate::{Refusal, Request};
use ::base64::{Engine, alphabet, engine::DecodePaddingMode, engine::GeneralPurpose, engine::GeneralPurposeConfig};
use ring::hmac;
use std::collections::BTreeMap;

/// Seconds by which a signed instant may differ from the receiver's clock, unless the setting [`TOLERANCE`] says otherwise.
pub(crate) const TOLERANCE_S: u64 = 300;
/// The setting that replaces [`TOLERANCE_S`], in seconds.
pub(crate) const TOLERANCE: &str = "tolerance_s";
/// Bytes of a header that is read.
const HEADER_BYTES: usize = 8 * 1024;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

/// Standard base64, padded or not.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// The header of that name as text, without white space around it.
pub(crate) fn header<'a>(request: &Request<'a>, name: &'static str) -> Result<&'a str, Refusal> {
    let bytes = request.header(name).ok_or(Refusal::MissingHeader(name.into()))?;
    if bytes.len() > HEADER_BYTES {
        return Err(Refusal::Malformed(name.into(), "it is longer than 8 KiB"));
    }
    let text = str::from_utf8(bytes).map_err(|_| Refusal::Malformed(name.into(), "it is not UTF-8"))?.trim();
    if text.is_empty() { Err(Refusal::Malformed(name.into(), "it is empty")) } else { Ok(text) }
}

pub(crate) fn base64(digits: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(digits).ok()
}

pub(crate) fn to_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Hexadecimal digits of either case, an even number of them.
pub(crate) fn hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|&[high, low]| Some(nibble(high)? << 4 | nibble(low)?)).collect()
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Undoes `%xx`, where `which` says of which bytes; other escapes stay as they are.
pub(crate) fn unescape(text: &[u8], which: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match tail {
            [high, low, ..] if first == b'%' => nibble(*high).zip(nibble(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        match escaped.filter(|byte| which(*byte)) {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

/// Escapes every byte but those that `keep` names, as upper-case `%XX`.
pub(crate) fn escape(bytes: &[u8], keep: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if keep(*byte) {
            out.push(char::from(*byte));
        } else {
            out.push('%');
            out.push_str(&to_hex(&[*byte]).to_ascii_uppercase());
        }
    }
    out
}

/// The key of an HMAC. An empty secret would verify what anyone can make, so it is none.
pub(crate) fn mac_key(algorithm: hmac::Algorithm, secret: &[u8]) -> Result<hmac::Key, Refusal> {
    if secret.is_empty() { Err(Refusal::BadSecret("it is empty")) } else { Ok(hmac::Key::new(algorithm, secret)) }
}

/// Compares an HMAC in constant time.
pub(crate) fn check_mac(key: &hmac::Key, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
    hmac::verify(key, message, signature).map_err(|_| Refusal::Mismatch)
}

/// Judges a signed instant against the tolerance.
pub(crate) fn check_instant(signed_ms: u64, now_ms: u64, settings: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let tolerance_ms = tolerance_s(settings)?.saturating_mul(1000);
    if signed_ms.saturating_add(tolerance_ms) < now_ms {
        return Err(Refusal::Stale);
    }
    if signed_ms > now_ms.saturating_add(tolerance_ms) { Err(Refusal::Future) } else { Ok(()) }
}

fn tolerance_s(settings: &BTreeMap<String, String>) -> Result<u64, Refusal> {
    let Some(text) = settings.get(TOLERANCE) else { return Ok(TOLERANCE_S) };
    text.parse().map_err(|_| Refusal::Malformed("the setting tolerance_s".into(), "it is not a number of seconds"))
}

/// Milliseconds since the epoch of `2015-05-18T15:45:13.250+02:00` (RFC 3339); nothing for what is not one, or is before 1970.
pub(crate) fn instant_ms(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-')?;
    let at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(at)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [hour, minute, second] = numbers(clock, ':')?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 || year > 9999 {
        return None;
    }
    let millis = format!("{fraction:0<3.3}");
    let millis: i64 = if fraction.bytes().all(|c| c.is_ascii_digit()) { millis.parse().ok()? } else { return None };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_s(zone)?;
    u64::try_from(seconds * 1000 + millis).ok()
}

fn offset_s(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let [hours] = numbers(hours, ':')?;
    let [minutes] = numbers(minutes, ':')?;
    let seconds = (hours <= 23 && minutes <= 59).then_some(hours * 3600 + minutes * 60)?;
    Some(if zone.starts_with('-') { -seconds } else { seconds })
}

/// Days since the epoch in the proleptic Gregorian calendar, counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - DAYS_TO_EPOCH
}

/// An instant as `2015-05-18T15:45:13Z`: the reverse of [`instant_ms`], without the milliseconds.
pub(crate) fn rfc3339(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or_default();
    let (since, clock) = (seconds.div_euclid(86_400) + DAYS_TO_EPOCH, seconds.rem_euclid(86_400));
    let (era, of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let march = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * march + 2) / 5 + 1, if march < 10 { march + 3 } else { march - 9 });
    let year = era * 400 + years + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", clock / 3600, clock / 60 % 60, clock % 60)
}

/// Exactly `N` runs of one to four digits.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let parse = |part: &str| ((1..=4).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit())).then(|| part.parse().ok());
    let all: Option<Vec<i64>> = text.split(separator).take(N + 1).map(|part| parse(part).flatten()).collect();
    all?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read() {
        assert_eq!(instant_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(instant_ms("2015-05-18T15:45:13Z"), Some(1_431_963_913_000));
        assert_eq!(instant_ms("2019-05-06T17:15:34.121+02:00"), Some(1_557_155_734_121));
        assert_eq!(instant_ms("2024-02-29T23:59:59.9-01:30"), Some(1_709_256_599_900));
        for text in
            ["", "T", "2015-05-18", "2015-13-18T15:45:13Z", "2015-05-18T15:45Z", "2015-05-18T15:45:13", "1969-01-01T00:00:00Z"]
        {
            assert_eq!(instant_ms(text), None, "{text}");
        }
    }

    #[test]
    fn instants_are_written() {
        for text in
            ["1970-01-01T00:00:00Z", "2015-05-18T15:45:13Z", "2024-02-29T23:59:59Z", "2000-12-31T00:00:01Z", "2100-03-01T12:00:00Z"]
        {
            assert_eq!(rfc3339(instant_ms(text).unwrap()), text);
        }
    }

    #[test]
    fn only_chosen_escapes_are_undone() {
        assert_eq!(unescape(b"a%40b%20c%4", |byte| byte == b'@'), b"a@b%20c%4");
        assert_eq!(escape("é b".as_bytes(), |byte| byte.is_ascii_alphanumeric()), "%C3%A9%20b");
    }

    #[test]
    fn hex_is_even_and_of_either_case() {
        assert_eq!(hex("00fFA1"), Some(vec![0, 255, 161]));
        assert_eq!(hex("0"), None);
        assert_eq!(hex("0g"), None);
        assert_eq!(to_hex(&[0, 255, 161]), "00ffa1");
    }
}
