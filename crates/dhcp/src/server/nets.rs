//! Networks, found by an address in them without looking at all of them.

use ipnet::Ipv6Net;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// A map of networks. Each lookup costs a search for each length that there is, however many networks there are.
#[derive(Debug, Clone)]
pub(super) struct Nets<T> {
    nets: BTreeMap<Ipv6Net, T>,
    /// The lengths that there are, the longest first.
    lengths: Vec<u8>,
}

impl<T> Default for Nets<T> {
    fn default() -> Self {
        Self { nets: BTreeMap::new(), lengths: Vec::new() }
    }
}

impl<T> FromIterator<(Ipv6Net, T)> for Nets<T> {
    /// Of two networks that are the same, the first stays.
    fn from_iter<I: IntoIterator<Item = (Ipv6Net, T)>>(all: I) -> Self {
        let mut nets = BTreeMap::new();
        for (net, value) in all {
            nets.entry(net.trunc()).or_insert(value);
        }
        let mut lengths: Vec<u8> = nets.keys().map(|net: &Ipv6Net| net.prefix_len()).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        Self { nets, lengths }
    }
}

impl<T> Nets<T> {
    /// The smallest network that the address is in.
    pub(super) fn longest(&self, address: Ipv6Addr) -> Option<&T> {
        self.covering(address, 128).next()
    }

    /// Whether a network shares an address with `net`.
    pub(super) fn overlap(&self, net: Ipv6Net) -> bool {
        let within = self.nets.range(net.trunc()..=net.broadcast().into()).next();
        within.is_some() || self.covering(net.network(), net.prefix_len()).next().is_some()
    }

    /// The networks no longer than `most` that the address is in, the smallest first.
    fn covering(&self, address: Ipv6Addr, most: u8) -> impl Iterator<Item = &T> {
        self.lengths.iter().filter(move |length| **length <= most).filter_map(move |&length| {
            let net = Ipv6Net::new(address, length).ok()?;
            self.nets.get(&net.trunc())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_network_is_found_and_overlap_from_both_sides() {
        let nets: Nets<u8> =
            [("2001:db8::/32", 1), ("2001:db8:1::/48", 2), ("2001:db8:1::/48", 9), ("::1/128", 3)]
                .into_iter()
                .map(|(net, value)| (net.parse().unwrap(), value))
                .collect();
        for (address, expected) in [
            ("2001:db8:1::7", Some(2)),
            ("2001:db8:2::7", Some(1)),
            ("2001:db9::", None),
            ("::1", Some(3)),
            ("::", None),
        ] {
            assert_eq!(nets.longest(address.parse().unwrap()).copied(), expected, "{address}");
        }
        for (net, expected) in [
            ("2001:db8:1:2::/64", true),
            ("2001::/16", true),
            ("2001:db8::/32", true),
            ("2001:db9::/32", false),
            ("::1/128", true),
            ("::2/128", false),
            ("::/0", true),
        ] {
            assert_eq!(nets.overlap(net.parse().unwrap()), expected, "{net}");
        }
        assert_eq!(Nets::<u8>::default().longest("::".parse().unwrap()), None);
    }
}
