//! Options that tell hosts where services are and that have a form of their own: lists of texts, sources of time, encrypted
//! resolvers.

use super::{Addresses, Builder, OptionCode, Options};
use crate::bytes::{addr_at, take};
use crate::domain::DomainNames;
use std::net::Ipv6Addr;

/// Texts or octets, each behind its length in two octets: boot file parameters (RFC 5970 section 3.2), bootstrap servers
/// (RFC 8572 section 8.3), user classes and vendor classes (RFC 9915 sections 21.15 and 21.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted<'a> {
    bytes: &'a [u8],
}

impl<'a> Counted<'a> {
    /// Checks that the lengths tile `bytes` exactly.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = counted(rest)?;
        }
        Some(Self { bytes })
    }

    /// The items, in the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (item, after) = counted(rest)?;
            rest = after;
            Some(item)
        })
    }
}

/// The first item and what follows it.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// A source of time (RFC 5908 section 4). An option holds exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NtpServer<'a> {
    /// A server's address.
    Address(Ipv6Addr),
    /// The multicast address of servers.
    Multicast(Ipv6Addr),
    /// A server's name: one.
    Name(DomainNames<'a>),
}

impl<'a> NtpServer<'a> {
    /// NTP_SUBOPTION_SRV_ADDR.
    pub const ADDRESS: OptionCode = OptionCode(1);
    /// NTP_SUBOPTION_MC_ADDR.
    pub const MULTICAST: OptionCode = OptionCode(2);
    /// NTP_SUBOPTION_SRV_FQDN.
    pub const NAME: OptionCode = OptionCode(3);

    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        let options = Options::parse(data).ok()?;
        let mut all = options.raw();
        let (code, content) = all.next()?;
        if all.next().is_some() {
            return None;
        }
        let address = || <[u8; 16]>::try_from(content).ok().map(Ipv6Addr::from);
        match code {
            Self::ADDRESS => address().map(Self::Address),
            Self::MULTICAST => address().map(Self::Multicast),
            Self::NAME => one_name(content).map(Self::Name),
            _ => None,
        }
    }
}

/// Exactly one domain name, whole.
pub(super) fn one_name(data: &[u8]) -> Option<DomainNames<'_>> {
    let names = DomainNames::new(data);
    let mut all = names.iter();
    (all.next().is_some() && all.next().is_none() && whole_names(data)).then_some(names)
}

/// Whether domain names tile the bytes exactly, each with its root label and none of them empty.
pub(super) fn whole_names(data: &[u8]) -> bool {
    let mut rest = data;
    let mut length = 0;
    let mut end = true;
    while let Some((&label, after)) = rest.split_first() {
        if label == 0 && length == 0 {
            return false;
        }
        length += usize::from(label) + 1;
        if label > 63 || length > 255 {
            return false;
        }
        let Some(after) = after.get(usize::from(label)..) else { return false };
        end = label == 0;
        if end {
            length = 0;
        }
        rest = after;
    }
    end && !data.is_empty()
}

/// A resolver that encrypts (RFC 9463 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptedDns<'a> {
    /// The lower, the better.
    pub priority: u16,
    /// The name that its certificate must show: one.
    pub name: DomainNames<'a>,
    /// Where it is; `None` where only its name is told.
    pub addresses: Option<Addresses<'a>>,
    parameters: &'a [u8],
}

impl<'a> EncryptedDns<'a> {
    /// Key of the protocols (RFC 9460 section 7.1).
    pub const ALPN: u16 = 1;
    /// Key of the port.
    pub const PORT: u16 = 3;
    /// Key of the template of DNS over HTTPS (RFC 9461 section 5).
    pub const DOHPATH: u16 = 7;

    pub(super) fn decode(data: &'a [u8]) -> Option<Self> {
        let (priority, rest) = take::<2>(data, "service priority").ok()?;
        let priority = u16::from_be_bytes(*priority);
        let (name, rest) = counted(rest)?;
        let name = one_name(name)?;
        if rest.is_empty() {
            return Some(Self { priority, name, addresses: None, parameters: &[] });
        }
        let (addresses, parameters) = counted(rest)?;
        if addresses.is_empty() || !addresses.len().is_multiple_of(16) {
            return None;
        }
        // RFC 9460 section 2.2: keys only grow.
        let mut checked = parameters;
        let mut last = None;
        while !checked.is_empty() {
            let (key, value) = checked.split_first_chunk::<2>()?;
            let key = u16::from_be_bytes(*key);
            if last.is_some_and(|last| key <= last) {
                return None;
            }
            last = Some(key);
            (_, checked) = counted(value)?;
        }
        Some(Self { priority, name, addresses: Some(Addresses::new(addresses)), parameters })
    }

    /// The service parameters: key and value.
    pub fn parameters(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = self.parameters;
        std::iter::from_fn(move || {
            let (key, value) = rest.split_first_chunk::<2>()?;
            let (value, after) = counted(value)?;
            rest = after;
            Some((u16::from_be_bytes(*key), value))
        })
    }
}

/// Texts of a value of ALPN: each behind its length in one octet.
pub fn alpn(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let (&length, after) = rest.split_first()?;
        let (item, after) = after.split_at_checked(usize::from(length))?;
        rest = after;
        Some(item)
    })
}

/// A prefix behind its length, and what follows: as many octets as the length needs (RFC 7598 sections 4.1 and 4.3).
/// Bits beyond the length are cleared.
pub fn short_prefix(data: &[u8]) -> Option<(ipnet::Ipv6Net, &[u8])> {
    let (&length, rest) = data.split_first()?;
    let (given, rest) = rest.split_at_checked(usize::from(length).div_ceil(8))?;
    let mut octets = [0; 16];
    octets.get_mut(..given.len())?.copy_from_slice(given);
    Some((ipnet::Ipv6Net::new(addr_at(&octets, 0), length).ok()?.trunc(), rest))
}

impl Builder<'_> {
    /// A prefix behind its length, in as few octets as it takes; for inside of [`Builder::container`].
    pub fn short_prefix(&mut self, prefix: ipnet::Ipv6Net) -> &mut Self {
        let octets = prefix.network().octets();
        let length = usize::from(prefix.prefix_len()).div_ceil(8);
        self.octets(&[prefix.prefix_len()]).octets(octets.get(..length).unwrap_or_default())
    }
}

/// Unsigned numbers of `width` octets.
pub fn numbers(data: &[u8], width: usize) -> impl Iterator<Item = u32> {
    data.chunks_exact(width.max(1)).map(|chunk| chunk.iter().fold(0, |n, octet| n << 8 | u32::from(*octet)))
}

/// A subnet of a delegated prefix that stays with the ISP's link, as it is written (RFC 6603 section 4.2): the bits between
/// the two lengths, left-aligned. `None` where `excluded` is not a proper part of `delegated`.
pub fn pd_exclude(delegated: ipnet::Ipv6Net, excluded: ipnet::Ipv6Net) -> Option<([u8; 17], usize)> {
    let (outer, inner) = (delegated.prefix_len(), excluded.prefix_len());
    if inner <= outer || !delegated.contains(&excluded) {
        return None;
    }
    let bits = u128::from(excluded.network()).checked_shl(u32::from(outer)).unwrap_or_default();
    let mut octets = [0; 17];
    octets[0] = inner;
    octets[1..].copy_from_slice(&bits.to_be_bytes());
    Some((octets, 1 + usize::from(inner - outer).div_ceil(8)))
}

/// What [`pd_exclude`] wrote.
pub fn excluded_from(delegated: ipnet::Ipv6Net, length: u8, subnet: &[u8]) -> Option<ipnet::Ipv6Net> {
    let bits = length.checked_sub(delegated.prefix_len()).filter(|bits| *bits > 0)?;
    let given = subnet.get(..usize::from(bits).div_ceil(8))?;
    let mut octets = [0; 16];
    octets.get_mut(..given.len())?.copy_from_slice(given);
    let below = u128::from_be_bytes(octets) >> delegated.prefix_len().min(127);
    let whole = u128::from(delegated.network()) | below;
    Some(ipnet::Ipv6Net::new(whole.into(), length).ok()?.trunc())
}
