//! Softwire options (RFC 7598): how a home router reaches IPv4 over IPv6 by MAP-E, MAP-T or Lightweight 4over6.

use super::service::short_prefix;
use super::{Builder, OptionCode, Options};
use crate::bytes::take;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A mapping rule (RFC 7598 section 4.1).
///
/// ```text
/// |     flags     |     ea-len    |  prefix4-len  | ipv4-prefix (4 octets)
/// |  prefix6-len  | ipv6-prefix (as many octets as its length needs) | options
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct S46Rule<'a> {
    /// The lowest bit, F: the rule serves for forwarding between homes.
    pub flags: u8,
    /// How many bits of the home's IPv6 prefix are its IPv4 address and ports: 0 to 48.
    pub ea_length: u8,
    /// Length of the IPv4 prefix in bits.
    pub ipv4_length: u8,
    /// The IPv4 prefix, bits beyond its length cleared.
    pub ipv4: Ipv4Addr,
    /// The IPv6 prefix.
    pub ipv6: ipnet::Ipv6Net,
    /// Port parameters, as a rule.
    pub options: Options<'a>,
}

impl<'a> S46Rule<'a> {
    /// Flag: a forwarding mapping rule.
    pub const FORWARDING: u8 = 1;

    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        let (&[flags, ea_length, ipv4_length, a, b, c, d], rest) = take::<7>(data, "S46 rule").ok()?;
        let (ipv6, options) = short_prefix(rest)?;
        let ipv4 = cleared(Ipv4Addr::new(a, b, c, d), ipv4_length)?;
        let options = Options::parse(options).ok().filter(|_| ea_length <= 48)?;
        Some(Self { flags, ea_length, ipv4_length, ipv4, ipv6, options })
    }
}

fn cleared(address: Ipv4Addr, length: u8) -> Option<Ipv4Addr> {
    (length <= 32).then(|| {
        let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or_default();
        Ipv4Addr::from(u32::from(address) & mask)
    })
}

/// A home's IPv4 address and the IPv6 prefix that its tunnel begins in (RFC 7598 section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct S46Bind<'a> {
    /// The IPv4 address, which may be shared.
    pub ipv4: Ipv4Addr,
    /// The prefix whose address the router uses.
    pub ipv6: ipnet::Ipv6Net,
    /// Port parameters where the address is shared.
    pub options: Options<'a>,
}

impl<'a> S46Bind<'a> {
    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        let (address, rest) = take::<4>(data, "S46 binding").ok()?;
        let (ipv6, options) = short_prefix(rest)?;
        Some(Self { ipv4: Ipv4Addr::from(*address), ipv6, options: Options::parse(options).ok()? })
    }
}

/// Which ports of a shared IPv4 address are a home's (RFC 7598 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct S46PortParameters {
    /// Bits in a port before its PSID, 0 to 15; MAP's default is 6.
    pub offset: u8,
    /// Length of the PSID in bits, 0 to 16.
    pub psid_length: u8,
    /// The PSID as a number.
    pub psid: u16,
}

impl S46PortParameters {
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let &[offset, psid_length, high, low] = data else { return None };
        let left_aligned = u16::from_be_bytes([high, low]);
        let psid = left_aligned.checked_shr(16_u32.checked_sub(psid_length.into())?).unwrap_or_default();
        (offset <= 15).then_some(Self { offset, psid_length, psid })
    }
}

/// The default mapping rule of MAP-T: where IPv4 outside of the domain is (RFC 7598 section 4.3).
pub(super) fn dmr(data: &[u8]) -> Option<ipnet::Ipv6Net> {
    let (prefix, rest) = short_prefix(data)?;
    (rest.is_empty() && prefix.prefix_len() <= 96).then_some(prefix)
}

/// The border relay of MAP-E or Lightweight 4over6 (RFC 7598 section 4.2).
pub(super) fn border_relay(data: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(data).ok().map(Ipv6Addr::from)
}

impl Builder<'_> {
    /// S46 Rule; `content` adds its options.
    pub fn s46_rule(
        &mut self,
        forwarding: bool,
        ea_length: u8,
        (ipv4, ipv4_length): (Ipv4Addr, u8),
        ipv6: ipnet::Ipv6Net,
        content: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.container(OptionCode::S46_RULE, |b| {
            b.octets(&[u8::from(forwarding), ea_length, ipv4_length]).octets(&ipv4.octets());
            content(b.short_prefix(ipv6));
        })
    }

    /// S46 IPv4/IPv6 Address Binding; `content` adds its options.
    pub fn s46_bind(
        &mut self,
        ipv4: Ipv4Addr,
        ipv6: ipnet::Ipv6Net,
        content: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.container(OptionCode::S46_V4V6BIND, |b| content(b.octets(&ipv4.octets()).short_prefix(ipv6)))
    }

    /// S46 Port Parameters: the PSID stands at the left of its 16 bits.
    pub fn s46_port_parameters(&mut self, parameters: S46PortParameters) -> &mut Self {
        let S46PortParameters { offset, psid_length, psid } = parameters;
        let shift = 16_u32.saturating_sub(psid_length.into());
        let [high, low] = psid.checked_shl(shift).unwrap_or_default().to_be_bytes();
        self.option(OptionCode::S46_PORTPARAMS, &[offset, psid_length, high, low])
    }

    /// S46 DMR.
    pub fn s46_dmr(&mut self, prefix: ipnet::Ipv6Net) -> &mut Self {
        self.container(OptionCode::S46_DMR, |b| {
            b.short_prefix(prefix);
        })
    }

    /// S46 BR.
    pub fn s46_border_relay(&mut self, address: Ipv6Addr) -> &mut Self {
        self.option(OptionCode::S46_BR, &address.octets())
    }
}
