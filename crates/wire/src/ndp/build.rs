//! Writing Neighbour Discovery messages into a caller's buffer.

use super::option::PREF64_LENGTHS;
use super::{
    NEIGHBOR_ADVERTISEMENT, NEIGHBOR_SOLICITATION, OptionKind, Preference, PrefixInformation, REDIRECT,
    ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION, pref64_lifetime,
};
use crate::WireError;
use crate::bytes::Writer;
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// The fixed part of a Router Advertisement (RFC 4861 section 4.2). The default is all zero, with preference Medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouterAdvertisementHeader {
    /// Hop limit that hosts should send with; 0 leaves it to them.
    pub hop_limit: u8,
    /// M: addresses can be had by DHCPv6.
    pub managed: bool,
    /// O: other configuration can be had by DHCPv6.
    pub other: bool,
    /// How much the router wants to be a default router.
    pub preference: Preference,
    /// Seconds for which the router is a default router; 0: it is none.
    pub router_lifetime: u16,
    /// Milliseconds for which a neighbour counts as reachable; 0: not specified.
    pub reachable_time: u32,
    /// Milliseconds between two Neighbor Solicitations; 0: not specified.
    pub retrans_timer: u32,
}

/// Writes one message, option after option, in the order of the calls. The checksum stays zero: the kernel fills it.
///
/// Running out of room is remembered and told by [`Builder::finish`], so that no call in between need be checked.
#[derive(Debug)]
pub struct Builder<'b> {
    out: Writer<'b>,
}

impl<'b> Builder<'b> {
    fn new(buffer: &'b mut [u8], kind: u8) -> Self {
        let mut out = Writer::new(buffer);
        out.put(&[kind, 0, 0, 0]);
        Self { out }
    }

    /// Begins a Router Solicitation.
    pub fn router_solicitation(buffer: &'b mut [u8]) -> Self {
        let mut builder = Self::new(buffer, ROUTER_SOLICITATION);
        builder.out.u32(0);
        builder
    }

    /// Begins a Router Advertisement.
    pub fn router_advertisement(buffer: &'b mut [u8], header: &RouterAdvertisementHeader) -> Self {
        let mut builder = Self::new(buffer, ROUTER_ADVERTISEMENT);
        // RFC 4191 section 2.2: with a lifetime of zero the preference must be Medium.
        let preference = if header.router_lifetime == 0 { Preference::Medium } else { header.preference };
        builder.out.u8(header.hop_limit);
        builder.out.u8(flag(header.managed, 0x80) | flag(header.other, 0x40) | (preference.bits() << 3));
        builder.out.u16(header.router_lifetime);
        builder.out.u32(header.reachable_time);
        builder.out.u32(header.retrans_timer);
        builder
    }

    /// Begins a Neighbor Solicitation.
    pub fn neighbor_solicitation(buffer: &'b mut [u8], target: Ipv6Addr) -> Self {
        let mut builder = Self::new(buffer, NEIGHBOR_SOLICITATION);
        builder.out.u32(0);
        builder.out.put(&target.octets());
        builder
    }

    /// Begins a Neighbor Advertisement: `router` R, `solicited` S, `overrides` O.
    pub fn neighbor_advertisement(
        buffer: &'b mut [u8],
        target: Ipv6Addr,
        router: bool,
        solicited: bool,
        overrides: bool,
    ) -> Self {
        let mut builder = Self::new(buffer, NEIGHBOR_ADVERTISEMENT);
        builder.out.u8(flag(router, 0x80) | flag(solicited, 0x40) | flag(overrides, 0x20));
        builder.out.put(&[0; 3]);
        builder.out.put(&target.octets());
        builder
    }

    /// Begins a Redirect: `target` is the better first hop for `destination`.
    pub fn redirect(buffer: &'b mut [u8], target: Ipv6Addr, destination: Ipv6Addr) -> Self {
        let mut builder = Self::new(buffer, REDIRECT);
        builder.out.u32(0);
        builder.out.put(&target.octets());
        builder.out.put(&destination.octets());
        builder
    }

    /// Any option, from the octets after type and length, padded with zeros to a multiple of eight.
    pub fn option(&mut self, kind: OptionKind, data: &[u8]) -> &mut Self {
        self.container(kind, |out| out.put(data))
    }

    fn container(&mut self, kind: OptionKind, content: impl FnOnce(&mut Writer<'b>)) -> &mut Self {
        let start = self.out.len();
        self.out.u8(kind.0);
        self.out.u8(0);
        content(&mut self.out);
        let length = self.out.len() - start;
        self.out.put(&[0; 7][..length.next_multiple_of(8) - length]);
        match u8::try_from(length.div_ceil(8)) {
            Ok(units) => self.out.patch(start + 1, &[units]),
            Err(_) => self.out.fail(),
        }
        self
    }

    /// Source Link-Layer Address.
    pub fn source_link_layer(&mut self, address: &[u8]) -> &mut Self {
        self.option(OptionKind::SOURCE_LINK_LAYER, address)
    }

    /// Target Link-Layer Address.
    pub fn target_link_layer(&mut self, address: &[u8]) -> &mut Self {
        self.option(OptionKind::TARGET_LINK_LAYER, address)
    }

    /// Prefix Information. Bits beyond the length are sent as zero, unless R says that they are the router's.
    pub fn prefix_information(&mut self, prefix: &PrefixInformation) -> &mut Self {
        self.container(OptionKind::PREFIX_INFORMATION, |out| {
            out.u8(prefix.length);
            out.u8(flag(prefix.on_link, 0x80)
                | flag(prefix.autonomous, 0x40)
                | flag(prefix.router_address, 0x20)
                | flag(prefix.pd_preferred, 0x10));
            out.u32(prefix.valid);
            out.u32(prefix.preferred);
            out.u32(0);
            let address = if prefix.router_address { prefix.address } else { prefix.prefix().network() };
            out.put(&address.octets());
        })
    }

    /// Redirected Header: as much of the packet as the caller wants to send.
    pub fn redirected_header(&mut self, packet: &[u8]) -> &mut Self {
        self.container(OptionKind::REDIRECTED_HEADER, |out| {
            out.put(&[0; 6]);
            out.put(packet);
        })
    }

    /// MTU of the link in octets.
    pub fn mtu(&mut self, mtu: u32) -> &mut Self {
        self.container(OptionKind::MTU, |out| {
            out.u16(0);
            out.u32(mtu);
        })
    }

    /// Route Information, as short as its prefix allows; lifetime in seconds.
    pub fn route_information(&mut self, prefix: Ipv6Net, preference: Preference, lifetime: u32) -> &mut Self {
        self.container(OptionKind::ROUTE_INFORMATION, |out| {
            let length = prefix.prefix_len();
            out.u8(length);
            out.u8(preference.bits() << 3);
            out.u32(lifetime);
            let octets = prefix.network().octets();
            out.put(match length {
                0 => &[],
                1..=64 => &octets[..8],
                _ => &octets,
            });
        })
    }

    /// Recursive DNS Server; lifetime in seconds. Nothing is written where there are no addresses: the option needs
    /// one.
    pub fn rdnss(&mut self, lifetime: u32, addresses: &[Ipv6Addr]) -> &mut Self {
        if addresses.is_empty() {
            return self;
        }
        self.container(OptionKind::RDNSS, |out| {
            out.u16(0);
            out.u32(lifetime);
            for address in addresses {
                out.put(&address.octets());
            }
        })
    }

    /// DNS Search List; lifetime in seconds. Names that cannot be encoded are left out; nothing is written where none
    /// is left.
    pub fn dnssl<S: AsRef<str>>(&mut self, lifetime: u32, names: &[S]) -> &mut Self {
        let mut octets = Vec::new();
        for name in names {
            crate::domain::encode(name.as_ref(), &mut octets);
        }
        if octets.is_empty() {
            return self;
        }
        self.container(OptionKind::DNSSL, |out| {
            out.u16(0);
            out.u32(lifetime);
            out.put(&octets);
        })
    }

    /// URI of the captive portal's API.
    pub fn captive_portal(&mut self, uri: &str) -> &mut Self {
        self.option(OptionKind::CAPTIVE_PORTAL, uri.as_bytes())
    }

    /// NAT64 prefix, its lifetime in seconds rounded up to a multiple of eight. A prefix length that RFC 6052 does not
    /// know makes the packet unwritable.
    pub fn pref64(&mut self, prefix: Ipv6Net, lifetime: u32) -> &mut Self {
        let code = PREF64_LENGTHS.iter().zip(0u16..).find(|&(&length, _)| length == prefix.prefix_len());
        let Some((_, code)) = code else {
            self.out.fail();
            return self;
        };
        self.container(OptionKind::PREF64, |out| {
            out.u16(pref64_lifetime(lifetime) | code);
            out.put(&prefix.network().octets()[..12]);
        })
    }

    /// Nonce: six octets, or six more than a multiple of eight (RFC 3971 section 5.3.2).
    pub fn nonce(&mut self, nonce: &[u8]) -> &mut Self {
        self.option(OptionKind::NONCE, nonce)
    }

    /// The message.
    ///
    /// # Errors
    /// [`WireError::NoRoom`] where the buffer, or an option's eight-bit length, was too small.
    pub fn finish(self) -> Result<&'b [u8], WireError> {
        self.out.finish()
    }
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}
