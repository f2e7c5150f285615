//! The profiles that every organization has, compiled in from `builtin.toml`.

use super::Profile;
use std::{collections::BTreeMap, sync::LazyLock};

/// The table as it is written.
const TABLE: &str = include_str!("builtin.toml");
/// The profile of endpoints for which nobody names one.
pub const DEFAULT_PROFILE: &str = "standard";
/// The names of the built-in profiles.
pub const BUILT_IN_PROFILES: [&str; 12] = [
    DEFAULT_PROFILE,
    "svix",
    "alakazam",
    "alumia",
    "nudj",
    "ilara",
    "connect",
    "stripe-like",
    "github-like",
    "cloudevents",
    "cloudevents-binary",
    "rfc9421",
];

/// The built-in profile of that name.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static Profile> {
    static PROFILES: LazyLock<BTreeMap<String, Profile>> = LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "the table is compiled in, and a test reads it")]
        toml::from_str(TABLE).expect("the table of profiles can be read")
    });
    PROFILES.get(name)
}
