//! The stateless translator (RFC 7915 with RFC 7757), which is also the CLAT of RFC 6877.

use crate::address::{AddressMap, By, Mapping, MappingError, check_v4};
use crate::header::{V4, V6};
use crate::packet::{Action, HEADROOM, Packet, Verdict};
use crate::translate::{Config, Engine, Plan, Refusal, Rewrite, check_v6, start_of};
use crate::{Counters, Discard};
use core::time::Duration;
use ipnet::{Ipv4Net, Ipv6Net};
use sixgate_endpoint::nat64::Prefix;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A stateless translator. Packets of both families go into [`Siit::translate`].
#[derive(Debug)]
pub struct Siit {
    engine: Engine,
    addresses: AddressMap,
}

/// Whether a packet has gone through once already, as IPv4 between two IPv6 nodes (RFC 7757 section 4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leg {
    Only,
    Second,
}

impl Siit {
    /// A translator with these addresses.
    pub fn new(config: Config, addresses: AddressMap, mut random: fastrand::Rng) -> Self {
        Self { engine: Engine::new(config, &mut random), addresses }
    }

    /// A customer-side translator (RFC 6877 section 6.3): `inside`, the IPv4 network behind it, stands for
    /// `own`, IPv6 addresses that the network routes to it, and the rest of IPv4 for the `plat` prefix. One
    /// address each (/32 and /128) serves one host.
    ///
    /// # Errors Where `own` has fewer addresses than `inside`.
    pub fn clat(
        config: Config,
        inside: Ipv4Net,
        own: Ipv6Net,
        plat: Prefix,
        random: fastrand::Rng,
    ) -> Result<Self, MappingError> {
        let addresses = AddressMap::new(Some(plat), [Mapping::new(inside, own)?])?;
        Ok(Self::new(config, addresses, random))
    }

    /// Its addresses.
    pub fn addresses(&self) -> &AddressMap {
        &self.addresses
    }

    /// Counts.
    pub fn counters(&self) -> &Counters {
        &self.engine.counters
    }

    /// Translates a packet of either family in place.
    pub fn translate(
        &mut self,
        now: Duration,
        packet: &mut Packet<'_>,
        actions: &mut Vec<Action>,
    ) -> Verdict {
        let result = match packet.bytes().first().map(|octet| octet >> 4) {
            Some(4) => self.take_v4(packet, Leg::Only, actions),
            Some(6) => self.take_v6(now, packet, actions),
            _ => Err(Discard::Malformed.into()),
        };
        self.engine.verdict(now, result, packet.bytes(), actions)
    }

    fn take_v4(
        &mut self,
        packet: &mut Packet<'_>,
        leg: Leg,
        actions: &mut Vec<Action>,
    ) -> Result<Verdict, Refusal> {
        let header = V4::parse(packet.bytes())?;
        packet.truncate(header.total);
        let plan = self.engine.check_v4(packet.bytes(), &header, packet.offload())?;
        let (source, destination) = self.to_v6(header.source, header.destination, leg)?;
        if plan != Plan::Error {
            let to = Rewrite::addresses(source, destination);
            return Ok(self.engine.rewrite_v4(packet, &header, plan, &to, actions));
        }
        let quote = self.engine.quote_v4(packet.bytes(), &header)?;
        // What the error is about went the other way.
        let (to, from) = self.to_v6(quote.inner.destination, quote.inner.source, leg)?;
        let inner = Rewrite::addresses(from, to);
        let error = self.engine.error_v4(packet.bytes(), &header, &quote, (source, destination), &inner);
        actions.push(Action::Send(error));
        Ok(Verdict::Replaced)
    }

    fn to_v6(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        leg: Leg,
    ) -> Result<(Ipv6Addr, Ipv6Addr), Discard> {
        let source = match leg {
            Leg::Only => self.addresses.to_v6(source),
            // The answer has to come back here: the source is told by its IPv4 address.
            Leg::Second => self.addresses.by_prefix(source),
        };
        source.zip(self.addresses.to_v6(destination)).ok_or(Discard::Address)
    }

    fn take_v6(
        &mut self,
        now: Duration,
        packet: &mut Packet<'_>,
        actions: &mut Vec<Action>,
    ) -> Result<Verdict, Refusal> {
        let header = V6::parse(packet.bytes())?;
        packet.truncate(header.total);
        let found = self.to_v4(header.source, header.destination);
        let hairpin = found.is_some_and(|found| found.2);
        // Between two IPv6 nodes no IPv4 link limits its length.
        let mtu = if hairpin { u16::MAX } else { self.engine.config.mtu_v4 };
        let plan = check_v6(packet.bytes(), &header, packet.offload(), mtu.into())?;
        if plan != Plan::Error {
            let (source, destination, _) = found.ok_or(Discard::Address)?;
            // Behind a prefix, too, stands no address that nobody has.
            check_v4(source, destination)?;
            let to = Rewrite::addresses(source, destination);
            if !hairpin {
                return Ok(self.engine.rewrite_v6(packet, &header, plan, &to, actions));
            }
            if header.hop_limit <= 2 {
                return Err(Discard::HopLimit.into());
            }
            let original = start_of(packet.bytes());
            let _ = self.engine.rewrite_v6(packet, &header, plan, &to, actions);
            return Ok(self.second_leg(now, packet, &original, actions));
        }
        let quote = self.engine.quote_v6(packet.bytes(), &header)?;
        let destination = self.addresses.to_v4(header.destination).ok_or(Discard::Address)?;
        // Routers on the way need no IPv4 address of their own (RFC 6791).
        let source = self.addresses.to_v4(header.source).or_else(|| self.engine.error_source(header.source));
        let source = source.ok_or(Discard::Address)?;
        check_v4(source, destination)?;
        let inner = self.to_v4(quote.inner.destination, quote.inner.source).ok_or(Discard::Address)?;
        let to = Rewrite::addresses(inner.1, inner.0);
        let error = self.engine.error_v6(packet.bytes(), &header, &quote, (source, destination), &to);
        if !inner.2 {
            actions.push(Action::Send(error));
            return Ok(Verdict::Replaced);
        }
        let mut buffer = [&[0; HEADROOM], error.as_slice()].concat();
        let end = buffer.len();
        let Ok(mut again) = Packet::new(&mut buffer, HEADROOM..end) else {
            return Err(Discard::Malformed.into());
        };
        Ok(self.second_leg(now, &mut again, &[], actions))
    }

    /// Addresses, and whether the packet has to go back to IPv6 at once (RFC 7757 section 4.2.2).
    fn to_v4(&self, source: Ipv6Addr, destination: Ipv6Addr) -> Option<(Ipv4Addr, Ipv4Addr, bool)> {
        let (source, by) = self.addresses.find_v4(source)?;
        let (destination, to) = self.addresses.find_v4(destination)?;
        let hairpin = by == By::Mapping && to == By::Prefix && self.addresses.has_mapping(destination);
        Some((source, destination, hairpin))
    }

    /// Back to IPv6. `original` is the beginning of the packet as it came, for an error about it.
    fn second_leg(
        &mut self,
        now: Duration,
        packet: &mut Packet<'_>,
        original: &[u8],
        actions: &mut Vec<Action>,
    ) -> Verdict {
        match self.take_v4(packet, Leg::Second, actions) {
            Ok(verdict) => {
                self.engine.counters.hairpinned += 1;
                verdict
            }
            Err(refusal) => self.engine.refuse(now, refusal.as_v6(), original, actions),
        }
    }
}
