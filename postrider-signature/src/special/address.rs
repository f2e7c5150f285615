//! Addresses of certificates and callbacks that a request names: only a provider's own hosts are believed.

use crate::Refusal;

/// Bytes of an address that is looked at.
const ADDRESS_BYTES: usize = 2048;

/// Checks `https://host/…`: no user, no port but 443, and a host that the rule takes. Returns the address.
///
/// Written out, not left to a URL library: whatever one reading could take for another host (`\`, `@`, control characters, escapes)
/// is refused before the host is looked at.
pub(crate) fn own_address(address: &str, is_own: impl Fn(&str) -> bool) -> Result<&str, Refusal> {
    let foreign = || Refusal::ForeignAddress(address.chars().take(200).collect::<String>().into());
    let rest = address.strip_prefix("https://").ok_or_else(foreign)?;
    if address.len() > ADDRESS_BYTES || !address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Err(foreign());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.strip_suffix(":443").unwrap_or(authority);
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if plain && is_own(&host.to_ascii_lowercase()) { Ok(address) } else { Err(foreign()) }
}

/// `sns.<region>.amazonaws.com` or `….com.cn`.
pub(crate) fn is_sns(host: &str) -> bool {
    let region = host.strip_prefix("sns.").and_then(|rest| rest.strip_suffix(".cn").unwrap_or(rest).strip_suffix(".amazonaws.com"));
    region.is_some_and(|region| {
        !region.is_empty() && region.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    })
}

/// `paypal.com` and what is below it.
pub(crate) fn is_paypal(host: &str) -> bool {
    host == "paypal.com" || host.strip_suffix(".paypal.com").is_some_and(|label| !label.is_empty() && !label.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_hosts_pass() {
        for address in [
            "https://sns.us-east-2.amazonaws.com/x.pem",
            "https://sns.cn-north-1.amazonaws.com.cn:443/?Action=1",
            "https://SNS.eu-west-1.amazonaws.com",
        ] {
            assert!(own_address(address, is_sns).is_ok(), "{address}");
        }
        for address in [
            "http://sns.us-east-2.amazonaws.com/x.pem",
            "https://sns.us-east-2.amazonaws.com.evil.example/x.pem",
            "https://sns.us-east-2.amazonaws.com@evil.example/",
            "https://evil.example\\.sns.us-east-2.amazonaws.com/",
            "https://evil.example/.sns.us-east-2.amazonaws.com/",
            "https://evil.example?sns.us-east-2.amazonaws.com",
            "https://sns.a.b.amazonaws.com/",
            "https://sns..amazonaws.com/",
            "https://sns.amazonaws.com/",
            "https://sns.us-east-2.amazonaws.com:8443/",
            "https://xsns.us-east-2.amazonaws.com/",
            "https://",
            "",
        ] {
            assert!(matches!(own_address(address, is_sns), Err(Refusal::ForeignAddress(_))), "{address}");
        }
        assert!(own_address("https://api.sandbox.paypal.com/v1", is_paypal).is_ok());
        for address in ["https://evilpaypal.com/", "https://paypal.com.evil.example/", "https://.paypal.com/"] {
            assert!(own_address(address, is_paypal).is_err(), "{address}");
        }
    }
}
