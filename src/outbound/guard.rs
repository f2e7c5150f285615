//! The address guard: what kind of address a host resolves to, and whether it may be dialled. Pure.
//!
//! Ranges: the IANA special-purpose address registries (RFC 6890 and its updates).

use crate::model::AddressClass;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A network that may be dialled although it is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// The text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address and a prefix length, such as 10.0.0.0/8 or fd00::/8")]
pub struct BadCidr;

impl FromStr for Cidr {
    type Err = BadCidr;
    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| BadCidr)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadCidr)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        if bits > width { Err(BadCidr) } else { Ok(Cidr { address, bits }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Cidr {
    /// Whether the address lies in the network. An IPv4 network has no IPv6 address in it, mapped ones included.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (network, ip, width) = match (self.address, ip) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => (u128::from(u32::from(network)), u128::from(u32::from(ip)), 32),
            (IpAddr::V6(network), IpAddr::V6(ip)) => (u128::from(network), u128::from(ip), 128),
            _ => return false,
        };
        (network ^ ip).checked_shr(width - u32::from(self.bits)).unwrap_or(0) == 0
    }
}

/// What kind of address this is.
#[must_use]
pub fn classify(ip: IpAddr) -> AddressClass {
    match ip {
        IpAddr::V4(ip) => classify_v4(ip),
        IpAddr::V6(ip) => classify_v6(ip),
    }
}

fn classify_v4(ip: Ipv4Addr) -> AddressClass {
    match ip.octets() {
        [0, ..] => AddressClass::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [127, ..] => AddressClass::Loopback,
        [169, 254, ..] => AddressClass::LinkLocal,
        [100, 64..=127, ..] => AddressClass::SharedNat,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18..=19, ..] => AddressClass::Documentation,
        [192, 0, 0, _] | [192, 88, 99, _] => AddressClass::Reserved,
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn classify_v6(ip: Ipv6Addr) -> AddressClass {
    let tail = |bits: u32| embedded(Ipv4Addr::from(bits));
    let [_, _, _, _, _, _, high, low] = ip.segments();
    let last = (u32::from(high) << 16) | u32::from(low);
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // IPv4-compatible, IPv4-mapped, IPv4-translated (RFC 4291, RFC 7915), NAT64 (RFC 6052)
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => tail(last),
        // NAT64 of a network's own (RFC 8215): where it leads is that network's business
        [0x64, 0xff9b, 1, ..] => AddressClass::Embedded,
        // Teredo (RFC 4380): a server, and a client hidden by inversion
        [0x2001, 0, a, b, _, _, _, _] => match (tail((u32::from(a) << 16) | u32::from(b)), tail(!last)) {
            (AddressClass::Public, client) => client,
            (server, _) => server,
        },
        // 6to4 (RFC 3056)
        [0x2002, a, b, ..] => tail((u32::from(a) << 16) | u32::from(b)),
        [0x2001, 0xdb8, ..] | [0x2001, 2, 0, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Documentation,
        [0x2001, 1..=0x1ff, ..] => AddressClass::Reserved,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => AddressClass::Private,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

fn embedded(ip: Ipv4Addr) -> AddressClass {
    match classify_v4(ip) {
        AddressClass::Public => AddressClass::Public,
        _ => AddressClass::Embedded,
    }
}

/// Vets a resolver's whole answer: one address that may not be dialled refuses all, so that nobody can hide an inner
/// address among outer ones.
///
/// # Errors
/// The class of the first address that may not be dialled.
pub(super) fn vet(addresses: &[IpAddr], allowed: &[Cidr]) -> Result<(), AddressClass> {
    let refused = |ip: &IpAddr| match classify(*ip) {
        AddressClass::Public => None,
        _ if allowed.iter().any(|network| network.contains(*ip)) => None,
        class => Some(class),
    };
    addresses.iter().find_map(refused).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use AddressClass::*;

    /// Both edges of every range, and their outer neighbours.
    const TABLE: &[(&str, AddressClass)] = &[
        ("0.0.0.0", Unspecified),
        ("0.255.255.255", Unspecified),
        ("1.0.0.0", Public),
        ("9.255.255.255", Public),
        ("10.0.0.0", Private),
        ("10.255.255.255", Private),
        ("11.0.0.0", Public),
        ("100.63.255.255", Public),
        ("100.64.0.0", SharedNat),
        ("100.127.255.255", SharedNat),
        ("100.128.0.0", Public),
        ("126.255.255.255", Public),
        ("127.0.0.0", Loopback),
        ("127.255.255.255", Loopback),
        ("128.0.0.0", Public),
        ("169.253.255.255", Public),
        ("169.254.0.0", LinkLocal),
        ("169.254.169.254", LinkLocal),
        ("169.254.255.255", LinkLocal),
        ("169.255.0.0", Public),
        ("172.15.255.255", Public),
        ("172.16.0.0", Private),
        ("172.31.255.255", Private),
        ("172.32.0.0", Public),
        ("191.255.255.255", Public),
        ("192.0.0.0", Reserved),
        ("192.0.0.255", Reserved),
        ("192.0.1.0", Public),
        ("192.0.2.0", Documentation),
        ("192.0.2.255", Documentation),
        ("192.0.3.0", Public),
        ("192.88.98.255", Public),
        ("192.88.99.0", Reserved),
        ("192.88.100.0", Public),
        ("192.167.255.255", Public),
        ("192.168.0.0", Private),
        ("192.168.255.255", Private),
        ("192.169.0.0", Public),
        ("198.17.255.255", Public),
        ("198.18.0.0", Documentation),
        ("198.19.255.255", Documentation),
        ("198.20.0.0", Public),
        ("198.51.99.255", Public),
        ("198.51.100.0", Documentation),
        ("198.51.101.0", Public),
        ("203.0.112.255", Public),
        ("203.0.113.255", Documentation),
        ("203.0.114.0", Public),
        ("223.255.255.255", Public),
        ("224.0.0.0", Multicast),
        ("239.255.255.255", Multicast),
        ("240.0.0.0", Reserved),
        ("255.255.255.254", Reserved),
        ("255.255.255.255", Broadcast),
        ("::", Unspecified),
        ("::1", Loopback),
        ("::2", Embedded),
        ("::7f00:1", Embedded),
        ("::ffff:127.0.0.1", Embedded),
        ("::ffff:8.8.8.8", Public),
        ("::ffff:0:10.0.0.1", Embedded),
        ("::1:0:0:0", Reserved),
        ("64:ff9b::10.0.0.1", Embedded),
        ("64:ff9b::8.8.8.8", Public),
        ("64:ff9b:1::8.8.8.8", Embedded),
        ("64:ff9b:2::", Reserved),
        ("100::1", Reserved),
        ("1fff:ffff::", Reserved),
        ("2000::", Public),
        ("2001:0:808:808::f7f7:f7f7", Public),
        ("2001:0:808:808::f5ff:fffe", Embedded),
        ("2001:0:a00:1::f7f7:f7f7", Embedded),
        ("2001:1::", Reserved),
        ("2001:2::1", Documentation),
        ("2001:1ff:ffff::", Reserved),
        ("2001:200::", Public),
        ("2001:db7:ffff::", Public),
        ("2001:db8::", Documentation),
        ("2001:db8:ffff::1", Documentation),
        ("2001:db9::", Public),
        ("2002:a00:1::", Embedded),
        ("2002:808:808::", Public),
        ("3ffe:ffff::", Public),
        ("3fff::", Documentation),
        ("3fff:fff:ffff::", Documentation),
        ("3fff:1000::", Public),
        ("4000::", Reserved),
        ("fbff:ffff::", Reserved),
        ("fc00::", Private),
        ("fdff:ffff::", Private),
        ("fe00::", Reserved),
        ("fe7f:ffff::", Reserved),
        ("fe80::", LinkLocal),
        ("febf:ffff::", LinkLocal),
        ("fec0::", Private),
        ("feff:ffff::", Private),
        ("ff00::", Multicast),
        ("ffff:ffff::", Multicast),
    ];

    #[test]
    fn every_range_ends_where_it_should() {
        for (ip, class) in TABLE {
            assert_eq!(classify(ip.parse().unwrap()), *class, "{ip}");
        }
    }

    #[test]
    fn one_inner_address_refuses_the_whole_answer() {
        let ips = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        let loopback: Cidr = "127.0.0.0/8".parse().unwrap();
        assert_eq!(vet(&ips(&["8.8.8.8", "10.0.0.1"]), &[]), Err(Private));
        assert_eq!(vet(&ips(&["8.8.8.8", "2001:4860::1"]), &[]), Ok(()));
        assert_eq!(vet(&ips(&["127.0.0.1"]), &[loopback]), Ok(()));
        assert_eq!(vet(&ips(&["127.0.0.1", "::1"]), &[loopback]), Err(Loopback));
        assert_eq!(vet(&ips(&["::ffff:127.0.0.1"]), &[loopback]), Err(Embedded));
    }

    #[test]
    fn networks_are_read_and_contain_what_they_should() {
        let cidr = |text: &str| text.parse::<Cidr>();
        assert!(cidr("0.0.0.0/0").unwrap().contains("255.1.2.3".parse().unwrap()));
        assert!(cidr("::/0").unwrap().contains("ff::1".parse().unwrap()));
        assert!(cidr("10.1.2.3").unwrap().contains("10.1.2.3".parse().unwrap()));
        assert!(!cidr("10.0.0.0/9").unwrap().contains("10.128.0.0".parse().unwrap()));
        assert_eq!(cidr("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        for bad in ["", "10.0.0.0/33", "::/129", "10.0/8", "x/8", "10.0.0.0/-1", "10.0.0.0/"] {
            assert_eq!(cidr(bad), Err(BadCidr), "{bad}");
        }
    }
}
