//! Values as people write them: durations, sizes, lists.

use std::time::Duration;

/// Units of durations, in milliseconds. Longer names first, so that `ms` is not read as `m`.
const DURATION_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// Units of sizes, in bytes.
const SIZE_UNITS: [(&str, u64); 6] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("KB", 1000), ("MB", 1_000_000), ("B", 1), ("", 1)];

/// Reads a duration: whole numbers with units (`90d`, `1h30m`, `250ms`); a number alone is seconds.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at_checked(letters)?;
        let (_, ms) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*ms)?)?;
        rest = after.trim_start();
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// Reads a size: a whole number of bytes, or with a unit (`512KiB`, `1 MiB`).
#[must_use]
pub(super) fn size(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    usize::try_from(number.parse::<u64>().ok()?.checked_mul(*bytes)?).ok()
}

/// Reads a list: values between commas; `none` is the empty list.
pub(super) fn list<T>(text: &str, item: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    match text.trim() {
        "" | "none" => Some(Vec::new()),
        text => text.split(',').map(|part| item(part.trim())).collect(),
    }
}

/// Reads a colour: `#0a5c8f`.
pub(super) fn color(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.bytes().all(|c| c.is_ascii_hexdigit()))?;
    let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some([red, green, blue])
}

/// Reads an origin: scheme, host and port, and nothing behind them. `https://*.example.com` stands for all below it.
pub(super) fn origin(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
    let labels = host.strip_prefix("*.").unwrap_or(host);
    let plain = !labels.is_empty() && labels.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-'));
    (matches!(scheme, "http" | "https") && plain && port.parse::<u16>().is_ok()).then(|| text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_and_origins() {
        assert_eq!(color("#0a1B2c"), Some([10, 27, 44]));
        for bad in ["", "#fff", "0a1b2c", "#0a1b2g", "#+a1b2c", "red", "#0a1b2c;}"] {
            assert_eq!(color(bad), None, "{bad}");
        }
        assert_eq!(origin("https://App.example.com/").as_deref(), Some("https://app.example.com"));
        for good in ["http://localhost:3000", "https://*.example.com", "http://127.0.0.1:1"] {
            assert_eq!(origin(good).as_deref(), Some(good));
        }
        for bad in [
            "*",
            "https://*",
            "app.example.com",
            "https://a b",
            "https://a;script-src *",
            "https://a/b",
            "ftp://a",
            "https://a:x",
            "https://'none'",
        ] {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations() {
        let ms = |text| duration(text).map(|d| d.as_millis());
        assert_eq!(ms("15"), Some(15_000));
        assert_eq!(ms("15s"), Some(15_000));
        assert_eq!(ms("250ms"), Some(250));
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("1h 30m"), Some(5_400_000));
        assert_eq!(ms("90d"), Some(7_776_000_000));
        for bad in ["", "s", "-1s", "1.5s", "5 s", "15sec", "1h30", "99999999999999999999d", "184467440737095516d", "é"] {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("1024"), Some(1024));
        assert_eq!(size("1 MiB"), Some(1 << 20));
        assert_eq!(size("64KB"), Some(64_000));
        for bad in ["", "MiB", "1.5MiB", "-1", "1GiB", "99999999999999MiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn lists() {
        assert_eq!(list("5s, 1m", duration).map(|l| l.len()), Some(2));
        assert_eq!(list("none", duration), Some(vec![]));
        assert_eq!(list("5s,,1m", duration), None);
    }
}
