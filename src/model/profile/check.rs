//! The rules of a profile.

use super::{Profile, Template};
use crate::model::headers::is_of_the_connection;
use postrider_signature::provider;
use serde::{Deserialize, Serialize};

/// Headers of a profile beside those of its signature.
const MAX_HEADERS: usize = 20;
/// Bytes of a header's name.
const MAX_HEADER_NAME_BYTES: usize = 128;
/// Bytes of a text that is neither a template nor an envelope.
const MAX_TEXT_BYTES: usize = 1024;
/// The longest name of a profile, in characters.
pub const MAX_PROFILE_NAME: usize = 64;
/// What [`check_profile_name`] takes, as a regular expression.
pub const PROFILE_NAME_PATTERN: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";
/// Settings of a profile.
const MAX_SETTINGS: usize = 20;
/// Entries of `final`.
const MAX_FINALS: usize = 50;
/// Bytes of what stands before a secret.
const MAX_SECRET_PREFIX_BYTES: usize = 32;
/// The longest time for an attempt, in seconds.
const MAX_TIMEOUT_S: u16 = 120;

/// Why a profile is refused: the field, and the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct ProfileError {
    /// The field (`headers.X-Event`).
    pub field: String,
    /// The rule, as a sentence.
    pub rule: String,
}

/// Statuses after which nothing is tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Finals(Vec<(u16, u16)>);

impl TryFrom<Vec<String>> for Finals {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Finals, String> {
        if texts.len() > MAX_FINALS {
            return Err(format!("At most {MAX_FINALS} statuses are final."));
        }
        let range = |text: &String| {
            let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok()).filter(|class| (3..=5).contains(class));
            let range = class.map(|class| (class * 100, class * 100 + 99)).or_else(|| {
                let status = text.parse::<u16>().ok().filter(|status| (300..=599).contains(status) && text.len() == 3)?;
                Some((status, status))
            });
            range.ok_or_else(|| format!("`{text}` is no status from 300 to 599, nor 3xx, 4xx or 5xx."))
        };
        texts.iter().map(range).collect::<Result<_, _>>().map(Finals)
    }
}

impl From<Finals> for Vec<String> {
    fn from(finals: Finals) -> Vec<String> {
        let text = |(low, high): (u16, u16)| if low == high { low.to_string() } else { format!("{}xx", low / 100) };
        finals.0.into_iter().map(text).collect()
    }
}

impl Finals {
    /// Whether nothing is final.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nothing is tried again after this status.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }
}

fn refused(field: impl Into<String>, rule: impl Into<String>) -> ProfileError {
    ProfileError { field: field.into(), rule: rule.into() }
}

impl Profile {
    /// Checks what its fields' own forms do not say.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn check(&self) -> Result<(), ProfileError> {
        self.check_signing()?;
        self.check_headers()?;
        let texts = [("description", &self.description), ("handshake.origin", self.origin())];
        if let Some((field, _)) = texts.into_iter().find(|(_, text)| text.len() > MAX_TEXT_BYTES) {
            return Err(refused(field, format!("At most {MAX_TEXT_BYTES} bytes.")));
        }
        if self.handshake.is_some() && (self.origin().is_empty() || !is_visible(self.origin())) {
            return Err(refused("handshake.origin", "It is 1 to 1024 visible ASCII characters."));
        }
        if self.content_type.as_ref().is_some_and(|text| !text.contains('/') || text.len() > MAX_TEXT_BYTES || !is_value(text)) {
            return Err(refused("contentType", "It is a media type (`application/json`)."));
        }
        if self.secret_prefix.len() > MAX_SECRET_PREFIX_BYTES || !is_visible(&self.secret_prefix) {
            return Err(refused("secretPrefix", format!("At most {MAX_SECRET_PREFIX_BYTES} visible ASCII characters.")));
        }
        if self.timeout_seconds.is_some_and(|seconds| !(1..=MAX_TIMEOUT_S).contains(&seconds)) {
            return Err(refused("timeoutSeconds", format!("From 1 to {MAX_TIMEOUT_S}.")));
        }
        self.retry_policy.as_ref().map_or(Ok(()), |policy| policy.check()).map_err(|rule| refused("retryPolicy", rule))
    }

    fn origin(&self) -> &String {
        static NONE: String = String::new();
        self.handshake.as_ref().map_or(&NONE, |handshake| &handshake.origin)
    }

    fn check_signing(&self) -> Result<(), ProfileError> {
        match (&self.scheme, &self.provider) {
            (Some(scheme), None) if !scheme.signs_in_headers() => {
                return Err(refused("scheme.signature.in", "A delivery is signed in a header."));
            }
            (Some(_), None) => {}
            (None, Some(name)) => {
                let known = provider(name).ok_or_else(|| refused("provider", format!("There is no provider {name}.")))?;
                if known.scheme().is_some_and(|scheme| !scheme.signs_in_headers()) {
                    return Err(refused("provider", "A delivery is signed in a header."));
                }
            }
            _ => return Err(refused("scheme", "A profile has a scheme or a provider; {\"algorithm\": \"none\"} signs nothing.")),
        }
        let long = |(name, value): (&String, &String)| name.len() > MAX_TEXT_BYTES || value.len() > MAX_TEXT_BYTES;
        if self.settings.len() > MAX_SETTINGS || self.settings.iter().any(long) {
            return Err(refused("settings", format!("At most {MAX_SETTINGS}, of at most {MAX_TEXT_BYTES} bytes.")));
        }
        Ok(())
    }

    fn check_headers(&self) -> Result<(), ProfileError> {
        if self.headers.len() > MAX_HEADERS {
            return Err(refused("headers", format!("At most {MAX_HEADERS}.")));
        }
        let signed: Vec<String> = self.signature_headers().into_iter().map(|name| name.to_ascii_lowercase()).collect();
        if let Some(name) = signed.iter().find(|name| is_of_the_connection(name) || name.as_str() == "content-type") {
            return Err(refused("scheme", format!("The header {name} belongs to the connection or to the body.")));
        }
        let mut seen: Vec<String> = Vec::new();
        for (name, template) in &self.headers {
            let field = || format!("headers.{name}");
            let lower = name.to_ascii_lowercase();
            check_name(&lower).map_err(|rule| refused(field(), rule))?;
            // A signature may cover an id that is given as a header of its own.
            if seen.contains(&lower) {
                return Err(refused(field(), "The header is there twice."));
            }
            if !template.literal().all(is_value) || template.as_str().trim() != template.as_str() {
                return Err(refused(field(), "A value is visible text without line breaks, not beginning or ending with a blank."));
            }
            seen.push(lower);
        }
        Ok(())
    }

    /// The names of the headers that signing writes.
    #[must_use]
    pub fn signature_headers(&self) -> Vec<String> {
        let of_provider = || self.provider.as_deref().and_then(provider).map(postrider_signature::Provider::headers);
        self.scheme.as_ref().map(postrider_signature::Scheme::headers).or_else(of_provider).unwrap_or_default()
    }

    /// The templates of its headers.
    pub fn templates(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.headers.iter().map(|(name, template)| (name.as_str(), template))
    }
}

/// A profile's name.
///
/// # Errors
/// The rule that it breaks.
pub fn check_profile_name(name: &str) -> Result<(), String> {
    let plain = name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    let good = (1..=MAX_PROFILE_NAME).contains(&name.len()) && plain && !name.starts_with('-') && !name.ends_with('-');
    if good { Ok(()) } else { Err("A profile's name is 1 to 64 lower-case letters, digits and hyphens within.".into()) }
}

fn check_name(name: &str) -> Result<(), String> {
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    if name.is_empty() || name.len() > MAX_HEADER_NAME_BYTES || !name.bytes().all(token) {
        return Err(format!("A header's name is 1 to {MAX_HEADER_NAME_BYTES} letters, digits and marks (RFC 9110, section 5.1)."));
    }
    if is_of_the_connection(name) || matches!(name, "content-type" | "content-encoding") {
        return Err("This header belongs to the connection or to the body.".into());
    }
    Ok(())
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}
