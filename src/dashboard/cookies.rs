//! Cookies: which ones there are, how they are read and how they are set.

use axum::http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

/// Holds a session's text.
pub(super) const SESSION: &str = "postrider_session";
/// Holds what waits for somebody's return from the identity provider, sealed.
pub(super) const OIDC: &str = "postrider_oidc";
/// `light` or `dark`; the reader's system decides without it.
pub(super) const THEME: &str = "postrider_theme";

/// A cookie's value.
#[must_use]
pub fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Sets a cookie that no script can read and no other site's form sends. An empty value takes it away.
pub(super) fn set(name: &str, value: &str, lasts: Duration, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let lasts = if value.is_empty() { 0 } else { lasts.as_secs() };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={lasts}{secure}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "xpostrider_theme=a; postrider_theme=dark".parse().unwrap());
        headers.append(header::COOKIE, "other=1".parse().unwrap());
        assert_eq!(read(&headers, THEME), Some("dark"));
        assert_eq!(read(&headers, "other"), Some("1"));
        assert_eq!(read(&headers, SESSION), None);
    }

    #[test]
    fn a_cookie_is_for_this_site_only() {
        let cookie = set(SESSION, "x", Duration::from_secs(9), true).unwrap();
        let text = cookie.to_str().unwrap();
        assert!(
            text.contains("HttpOnly") && text.contains("SameSite=Lax") && text.contains("Max-Age=9") && text.ends_with("Secure")
        );
        assert!(set(SESSION, "", Duration::from_secs(9), false).unwrap().to_str().unwrap().contains("Max-Age=0"));
    }
}
