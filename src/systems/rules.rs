//! Rules that several systems have.

use crate::api::Problem;
use url::Url;

/// Refuses a URL that is not `https`. What else a URL must be, the engine says.
///
/// # Errors
/// 400 naming the field.
pub(crate) fn https(url: &str) -> Result<(), Problem> {
    let plain = Url::parse(url).is_ok_and(|url| url.scheme() != "https");
    if plain { Err(Problem::field(&["body", "url"], "https", "Only https URLs are taken.")) } else { Ok(()) }
}
