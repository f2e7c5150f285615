//! Which custom headers an endpoint may carry, and whose values are never shown again. Pure.

use crate::api::rules::is_field_value;
use http::HeaderName;

/// Custom headers that an endpoint has at most.
pub(super) const MAX_HEADERS: usize = 50;
/// Bytes of a custom header's name at most.
pub(super) const MAX_NAME_BYTES: usize = 256;
/// Bytes of a custom header's value at most: 8 KiB, what common receivers accept in one line.
pub(super) const MAX_VALUE_BYTES: usize = 8 * 1024;

/// Set by Postrider for every delivery, or meaningful to one connection only (RFC 9110 §7.6.1).
const RESERVED: [&str; 16] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];
/// Headers under these prefixes carry the signature: a custom one could pass for it.
const RESERVED_PREFIXES: [&str; 2] = ["webhook-", "svix-"];
/// A name that contains one of these is taken for a credential's.
const SENSITIVE: [&str; 11] = [
    "authorization",
    "authenticate",
    "auth-token",
    "access-key",
    "api-key",
    "apikey",
    "cookie",
    "credential",
    "password",
    "secret",
    "token",
];

/// The name in lower case, as it is kept and sent.
///
/// # Errors
/// A sentence that names the rule: not a header name, or one that Postrider sets itself.
pub(super) fn name(text: &str) -> Result<String, String> {
    if text.len() > MAX_NAME_BYTES {
        return Err(format!("a header name has at most {MAX_NAME_BYTES} bytes"));
    }
    let name = HeaderName::try_from(text).map_err(|_| "not a header name (RFC 9110, section 5.1)".to_owned())?;
    let name = name.as_str();
    if RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err("this header is set by Postrider or belongs to the connection, and cannot be custom".to_owned());
    }
    Ok(name.to_owned())
}

/// Checks a value.
///
/// # Errors
/// A sentence that names the rule: too long, or bytes that no header value may have.
pub(super) fn value(text: &str) -> Result<(), String> {
    if text.len() > MAX_VALUE_BYTES {
        return Err(format!("a header value has at most {MAX_VALUE_BYTES} bytes"));
    }
    // Leading and trailing blanks would be lost on the way, and the receiver would see another value.
    if !is_field_value(text) || text.trim_matches([' ', '\t']) != text {
        let rule = "a header value is visible ASCII, with blanks and tabs only in between (RFC 9110, section 5.5)";
        return Err(rule.to_owned());
    }
    Ok(())
}

/// Whether the value of a header of this (lower-case) name is a credential.
pub(super) fn is_sensitive(name: &str) -> bool {
    SENSITIVE.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_in_lower_case() {
        assert_eq!(name("X-Custom").as_deref(), Ok("x-custom"));
        assert_eq!(name("x_y.z").as_deref(), Ok("x_y.z"));
    }

    #[test]
    fn reserved_and_malformed_names_are_refused() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for bad in ["", "a b", "a:", "x\r\ny", "é", "Host", "Content-Length", "TE", "Webhook-Id", "svix-signature", &long] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_that_split_or_grow_are_refused() {
        for bad in ["a\r\nb", "a\nb", "a\0", " a", "a\t", "caf\u{e9}", "\u{7f}", &"v".repeat(MAX_VALUE_BYTES + 1)] {
            assert!(value(bad).is_err(), "{bad:?}");
        }
        for good in ["", "Bearer x y", "a\tb", "!~", &"v".repeat(MAX_VALUE_BYTES)] {
            assert!(value(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn credentials_are_recognised() {
        for secret in ["authorization", "proxy-authorization", "x-api-key", "x-auth-token", "set-cookie"] {
            assert!(is_sensitive(secret), "{secret}");
        }
        for plain in ["x-custom", "x-tenant", "accept", "author"] {
            assert!(!is_sensitive(plain), "{plain}");
        }
    }
}
