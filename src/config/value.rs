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

#[cfg(test)]
mod tests {
    use super::*;

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
