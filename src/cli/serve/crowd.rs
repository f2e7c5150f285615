//! How many connections one address holds, so that nobody takes all of them.

use crate::outbound::Cidr;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

/// Bits of an IPv6 address that tell its owner: what one customer is given, mostly.
const IPV6_OWNER_BITS: u32 = 64;

/// Connections by address.
#[derive(Debug)]
pub(super) struct Crowd {
    limit: u32,
    exempt: Vec<Cidr>,
    held: Mutex<HashMap<IpAddr, u32>>,
}

/// One connection; dropped with it.
#[derive(Debug)]
pub(super) struct Visit(Option<(Arc<Crowd>, IpAddr)>);

impl Crowd {
    /// At most `limit` connections an address, 0 for no limit; `exempt`: proxies, which stand for many.
    pub(super) fn new(limit: u32, exempt: Vec<Cidr>) -> Arc<Self> {
        Arc::new(Crowd { limit, exempt, held: Mutex::default() })
    }

    /// Counts a connection; `None` when its address holds enough.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Visit> {
        let peer = peer.to_canonical();
        if self.limit == 0 || self.exempt.iter().any(|network| network.contains(peer)) {
            return Some(Visit(None));
        }
        let owner = owner(peer);
        let mut held = self.held.lock();
        let count = held.entry(owner).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Visit(Some((Arc::clone(self), owner))))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let Some((crowd, owner)) = &self.0 else { return };
        let mut held = crowd.held.lock();
        if let Some(count) = held.get_mut(owner) {
            *count -= 1;
            if *count == 0 {
                held.remove(owner);
            }
        }
    }
}

fn owner(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << (128 - IPV6_OWNER_BITS))).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_so_many_and_no_more() {
        let crowd = Crowd::new(2, vec!["10.0.0.0/8".parse().unwrap()]);
        let enter = |text: &str| crowd.enter(text.parse().unwrap());
        let (one, _two) = (enter("192.0.2.1").unwrap(), enter("::ffff:192.0.2.1").unwrap());
        assert!(enter("192.0.2.1").is_none() && enter("192.0.2.2").is_some());
        drop(one);
        let again = enter("192.0.2.1");
        assert!(again.is_some());
        let _six = (enter("2001:db8::1"), enter("2001:db8::2"));
        assert!(enter("2001:db8::3").is_none() && enter("2001:db8:0:1::3").is_some());
        let proxied: Vec<_> = (0..9).map(|_| enter("10.1.2.3")).collect();
        assert!(proxied.iter().all(Option::is_some));
        drop((again, proxied));
        assert!(Crowd::new(0, Vec::new()).enter("192.0.2.1".parse().unwrap()).is_some());
    }
}
