//! An instant as the store and the API know it: whole milliseconds since the Unix epoch.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// Milliseconds since 1970-01-01T00:00:00Z. Ordered, `Copy`, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

/// The latest instant the API accepts or prints: 9999-12-30T22:00:00.999Z, which has four digits of its year at every offset.
pub const LATEST: Time = Time(253_402_207_200_999);

impl Time {
    /// The instant `span` later, at most [`LATEST`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(ms).min(LATEST.0))
    }

    /// The instant `span` earlier, at least the epoch.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Time(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since the epoch, as signatures carry them.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Reads an RFC 3339 instant (`2026-11-21T06:00:00Z`, any offset). `None` when it is not one or lies before 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let instant: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(instant.as_millisecond()).ok().map(Time).filter(|t| *t <= LATEST)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0.min(LATEST.0)).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(ms) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => f.write_str("9999-12-30T22:00:00.999Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_goes_round() {
        let time = Time::parse("2026-11-21T07:30:00.250+01:00").unwrap();
        assert_eq!(time.to_string(), "2026-11-21T06:30:00.250Z");
        assert_eq!(Time::parse("1969-12-31T23:59:59Z"), None);
        assert_eq!(Time::parse("tomorrow"), None);
        assert_eq!(LATEST.to_string(), "9999-12-30T22:00:00.999Z");
        assert_eq!(Time::parse(&LATEST.to_string()), Some(LATEST));
        assert_eq!(Time::parse("9999-12-30T22:00:01Z"), None);
    }
}
