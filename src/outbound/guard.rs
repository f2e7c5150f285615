//! The address guard: what kind of address is this? Pure; the ranges are those of IANA's special-purpose registries.

use crate::model::AddressClass;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The class of an address. An IPv6 address that carries an IPv4 one is as good as the address it carries.
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
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [169, 254, ..] => AddressClass::LinkLocal,
        [100, 64..=127, ..] => AddressClass::SharedNat,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18..=19, ..] => AddressClass::Documentation,
        // IETF protocol assignments, AS112, AMT and the withdrawn 6to4 relays.
        [192, 0, 0, _] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 88, 99, _] | [192, 175, 48, _] => AddressClass::Reserved,
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn classify_v6(ip: Ipv6Addr) -> AddressClass {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // Mapped, translated (RFC 2765) and NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            embedded(&[joined(high, low)])
        }
        // NAT64 for local use (RFC 8215): each network chooses where the IPv4 address sits, so it cannot be judged.
        [0x64, 0xff9b, 1, ..] => AddressClass::Embedded,
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => embedded(&[joined(high, low)]),
        // Teredo (RFC 4380): the server, and the client with its bits turned.
        [0x2001, 0, high, low, _, _, client_high, client_low] => embedded(&[joined(high, low), joined(!client_high, !client_low)]),
        [0x2001, 2, 0, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressClass::Documentation,
        // The rest of the IETF protocol assignments, ORCHID among them.
        [0x2001, 0..=0x01ff, ..] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => AddressClass::Private,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        _ => AddressClass::Reserved,
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low))
}

fn embedded(carried: &[Ipv4Addr]) -> AddressClass {
    let public = carried.iter().all(|ip| classify_v4(*ip) == AddressClass::Public);
    if public { AddressClass::Public } else { AddressClass::Embedded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AddressClass::*;

    /// First and last address of each range, with the addresses just outside it.
    const EDGES: &[(&str, AddressClass)] = &[
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
        ("192.0.1.255", Public),
        ("192.0.2.0", Documentation),
        ("192.0.2.255", Documentation),
        ("192.0.3.0", Public),
        ("192.31.195.255", Public),
        ("192.31.196.0", Reserved),
        ("192.31.196.255", Reserved),
        ("192.31.197.0", Public),
        ("192.52.192.255", Public),
        ("192.52.193.0", Reserved),
        ("192.52.193.255", Reserved),
        ("192.52.194.0", Public),
        ("192.88.98.255", Public),
        ("192.88.99.0", Reserved),
        ("192.88.99.255", Reserved),
        ("192.88.100.0", Public),
        ("192.167.255.255", Public),
        ("192.168.0.0", Private),
        ("192.168.255.255", Private),
        ("192.169.0.0", Public),
        ("192.175.47.255", Public),
        ("192.175.48.0", Reserved),
        ("192.175.48.255", Reserved),
        ("192.175.49.0", Public),
        ("198.17.255.255", Public),
        ("198.18.0.0", Documentation),
        ("198.19.255.255", Documentation),
        ("198.20.0.0", Public),
        ("198.51.99.255", Public),
        ("198.51.100.0", Documentation),
        ("198.51.100.255", Documentation),
        ("198.51.101.0", Public),
        ("203.0.112.255", Public),
        ("203.0.113.0", Documentation),
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
        ("::2", Reserved),
        ("::7f00:1", Reserved),
        ("::ffff:7f00:1", Embedded),
        ("::ffff:169.254.169.254", Embedded),
        ("::ffff:9.255.255.255", Public),
        ("::ffff:10.0.0.0", Embedded),
        ("::ffff:10.255.255.255", Embedded),
        ("::ffff:11.0.0.0", Public),
        ("::ffff:0:10.0.0.1", Embedded),
        ("::ffff:0:8.8.8.8", Public),
        ("64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
        ("64:ff9b::127.0.0.1", Embedded),
        ("64:ff9b::9.255.255.255", Public),
        ("64:ff9b::10.0.0.0", Embedded),
        ("64:ff9b::10.255.255.255", Embedded),
        ("64:ff9b::11.0.0.0", Public),
        ("64:ff9b::169.254.169.254", Embedded),
        ("::ffff:0:169.254.169.254", Embedded),
        ("::ffff:100.64.0.0", Embedded),
        ("::ffff:100.127.255.255", Embedded),
        ("::ffff:224.0.0.0", Embedded),
        ("64:ff9b::8.8.8.8", Public),
        ("64:ff9b::1:0:0", Reserved),
        ("64:ff9b:1::", Embedded),
        ("64:ff9b:1::8.8.8.8", Embedded),
        ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Embedded),
        ("64:ff9b:2::", Reserved),
        ("100::", Reserved),
        ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
        ("2000::", Public),
        ("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
        ("2001::7f00:1", Embedded),
        // Teredo of the server 65.54.227.120 for the client 192.0.2.45 (documentation) and for 8.8.8.8.
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Embedded),
        ("2001:0:4136:e378:8000:63bf:f7f7:f7f7", Public),
        ("2001:0:a00:1:8000:63bf:f7f7:f7f7", Embedded),
        // The client 10.0.0.0 and 10.255.255.255, and its neighbours.
        ("2001:0:4136:e378:8000:63bf:f600:0", Public),
        ("2001:0:4136:e378:8000:63bf:f5ff:ffff", Embedded),
        ("2001:0:4136:e378:8000:63bf:f500:0", Embedded),
        ("2001:0:4136:e378:8000:63bf:f4ff:ffff", Public),
        ("2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Embedded),
        ("2001:1::", Reserved),
        ("2001:2::", Documentation),
        ("2001:2:0:ffff:ffff:ffff:ffff:ffff", Documentation),
        ("2001:2:1::", Reserved),
        ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
        ("2001:200::", Public),
        ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", Public),
        ("2001:db8::", Documentation),
        ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
        ("2001:db9::", Public),
        ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
        ("2002:7f00:1::", Embedded),
        ("2002:9ff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
        ("2002:a00::", Embedded),
        ("2002:aff:ffff:ffff:ffff:ffff:ffff:ffff", Embedded),
        ("2002:b00::", Public),
        ("2002:808:808::1", Public),
        ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Embedded),
        ("2003::", Public),
        ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
        ("3fff::", Documentation),
        ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
        ("3fff:1000::", Public),
        ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
        ("4000::", Reserved),
        ("5f00::", Reserved),
        ("fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
        ("fc00::", Private),
        ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
        ("fe00::", Reserved),
        ("fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
        ("fe80::", LinkLocal),
        ("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LinkLocal),
        ("fec0::", Private),
        ("feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
        ("ff00::", Multicast),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Multicast),
    ];

    #[test]
    fn both_edges_of_every_range() {
        for (text, class) in EDGES {
            assert_eq!(classify(text.parse().unwrap()), *class, "{text}");
        }
    }
}
