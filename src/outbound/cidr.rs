//! A range of addresses that configuration allows although the guard would refuse them.

use std::{fmt, net::IpAddr, str::FromStr};

/// A range of addresses in CIDR notation (RFC 4632): `10.0.0.0/8`, `fd00::/8`. A single address stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is not a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Neither an IPv4 nor an IPv6 address in front of the slash.
    #[error("`{0}` does not start with an IPv4 or IPv6 address; write it like 10.0.0.0/8 or fd00::/8")]
    Address(String),
    /// The prefix is not a number, or longer than the address.
    #[error("the prefix of `{text}` must be a whole number from 0 to {longest}")]
    Prefix {
        /// What was given.
        text: String,
        /// Bits of such an address.
        longest: u8,
    },
    /// The address has bits behind the prefix, so it is unclear what was meant.
    #[error("`{text}` has bits set behind its prefix; write {meant} for the range or leave out the prefix for one address")]
    HostBits {
        /// What was given.
        text: String,
        /// The range that holds it.
        meant: Cidr,
    },
}

impl Cidr {
    /// Whether the address lies in the range. IPv4 ranges hold IPv4 addresses only, in every spelling but the mapped one.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.first.is_ipv4() == ip.is_ipv4() && masked(ip, self.prefix) == self.first
    }
}

fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(u32::from(prefix))).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(u32::from(prefix))).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let ip: IpAddr = address.parse().map_err(|_| CidrError::Address(text.to_owned()))?;
        let longest = if ip.is_ipv4() { 32 } else { 128 };
        let digits = |p: &str| p.bytes().all(|b| b.is_ascii_digit());
        let prefix = match prefix {
            None => longest,
            Some(p) => {
                let known = p.parse().ok().filter(|n| digits(p) && *n <= longest);
                known.ok_or_else(|| CidrError::Prefix { text: text.to_owned(), longest })?
            }
        };
        let meant = Cidr { first: masked(ip, prefix), prefix };
        if meant.first == ip { Ok(meant) } else { Err(CidrError::HostBits { text: text.to_owned(), meant }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_edges_are_inside() {
        for (range, first, last, outside) in [
            ("10.0.0.0/8", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("192.168.4.0/22", "192.168.4.0", "192.168.7.255", "192.168.8.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255", "::"),
            ("fd00::/8", "fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1.2.3.4"),
            ("::1/128", "::1", "::1", "::ffff:127.0.0.1"),
        ] {
            let cidr: Cidr = range.parse().unwrap();
            assert!(cidr.contains(first.parse().unwrap()) && cidr.contains(last.parse().unwrap()), "{range}");
            assert!(!cidr.contains(outside.parse().unwrap()), "{range}");
        }
    }

    #[test]
    fn text_goes_round_and_errors_name_the_rule() {
        assert_eq!("fd00::/8".parse::<Cidr>().unwrap().to_string(), "fd00::/8");
        for (text, words) in [
            ("", "does not start with"),
            ("localhost/8", "does not start with"),
            ("10.0.0.0/33", "from 0 to 32"),
            ("10.0.0.0/+8", "from 0 to 32"),
            ("10.0.0.0/", "from 0 to 32"),
            ("::/129", "from 0 to 128"),
            ("10.0.0.1/8", "write 10.0.0.0/8"),
        ] {
            let error = text.parse::<Cidr>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
