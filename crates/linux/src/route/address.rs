//! IPv6 addresses of interfaces.

use std::net::{IpAddr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};
use nix::errno::Errno;

use super::{Error, FAMILY, Netlink};

/// A lifetime without end, in seconds.
pub const FOREVER: u32 = u32::MAX;

/// How far an address is valid (RFC 4007).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Everywhere, unique local addresses included.
    Global,
    /// Site-local (deprecated by RFC 3879).
    Site,
    /// On its link.
    Link,
    /// Within the machine.
    Host,
}

/// An address of an interface, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Number of the interface.
    pub interface: u32,
    /// The address.
    pub address: Ipv6Addr,
    /// Length of its prefix, in bits.
    pub prefix_len: u8,
    /// How far it is valid.
    pub scope: Scope,
    /// Duplicate address detection still runs, or has failed.
    pub tentative: bool,
    /// Duplicate address detection found another owner.
    pub dadfailed: bool,
    /// Its preferred lifetime is over.
    pub deprecated: bool,
    /// A temporary address (RFC 8981). The kernel shares this flag with IPv4's "secondary".
    pub temporary: bool,
    /// Made by the kernel with lifetimes, or given without end.
    pub permanent: bool,
    /// The kernel made no route to its prefix.
    pub noprefixroute: bool,
    /// Preferred lifetime left, in seconds, or [`FOREVER`].
    pub preferred: u32,
    /// Valid lifetime left, in seconds, or [`FOREVER`].
    pub valid: u32,
}

/// An address to give to an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressConfig {
    /// The address.
    pub address: Ipv6Addr,
    /// Length of its prefix, in bits.
    pub prefix_len: u8,
    /// Preferred lifetime, in seconds, or [`FOREVER`].
    pub preferred: u32,
    /// Valid lifetime, in seconds, or [`FOREVER`]. Zero is refused by the kernel: remove the address instead.
    pub valid: u32,
    /// Skip duplicate address detection. Only for addresses that nobody else can have.
    pub nodad: bool,
    /// Make no route to the prefix, since a DHCPv6 address says nothing about what is on-link (RFC 9915,
    /// section 18.2.10.1).
    pub noprefixroute: bool,
}

impl AddressConfig {
    /// An address without end, with duplicate address detection and a route to its prefix.
    pub fn new(address: Ipv6Addr, prefix_len: u8) -> Self {
        Self { address, prefix_len, preferred: FOREVER, valid: FOREVER, nodad: false, noprefixroute: false }
    }

    /// With these lifetimes, in seconds.
    #[must_use]
    pub fn lifetimes(self, preferred: u32, valid: u32) -> Self {
        Self { preferred, valid, ..self }
    }

    /// Without duplicate address detection.
    #[must_use]
    pub fn nodad(self) -> Self {
        Self { nodad: true, ..self }
    }

    /// Without a route to its prefix.
    #[must_use]
    pub fn noprefixroute(self) -> Self {
        Self { noprefixroute: true, ..self }
    }
}

/// Reads an address; `None` if it is not IPv6.
pub(crate) fn address_of(message: &AddressMessage) -> Option<Address> {
    if message.header.family != FAMILY {
        return None;
    }
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    let (mut address, mut local, mut preferred, mut valid) = (None, None, FOREVER, FOREVER);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(IpAddr::V6(ip)) => address = Some(*ip),
            AddressAttribute::Local(IpAddr::V6(ip)) => local = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            AddressAttribute::CacheInfo(info) => {
                (preferred, valid) = (info.ifa_preferred, info.ifa_valid);
            }
            _ => {}
        }
    }
    Some(Address {
        interface: message.header.index,
        // On a point-to-point link `Address` is the peer's.
        address: local.or(address)?,
        prefix_len: message.header.prefix_len,
        scope: match message.header.scope {
            AddressScope::Site => Scope::Site,
            AddressScope::Link => Scope::Link,
            AddressScope::Host => Scope::Host,
            _ => Scope::Global,
        },
        tentative: flags.contains(AddressFlags::Tentative),
        dadfailed: flags.contains(AddressFlags::Dadfailed),
        deprecated: flags.contains(AddressFlags::Deprecated),
        temporary: flags.contains(AddressFlags::Secondary),
        permanent: flags.contains(AddressFlags::Permanent),
        noprefixroute: flags.contains(AddressFlags::Noprefixroute),
        preferred,
        valid,
    })
}

fn message(interface: u32, address: Ipv6Addr, prefix_len: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = FAMILY;
    message.header.index = interface;
    message.header.prefix_len = prefix_len;
    message.attributes.push(AddressAttribute::Local(IpAddr::V6(address)));
    message
}

impl Netlink {
    /// The IPv6 addresses of one interface, or of all.
    pub fn addresses(&mut self, interface: Option<u32>) -> Result<Vec<Address>, Error> {
        let mut message = AddressMessage::default();
        message.header.family = FAMILY;
        message.header.index = interface.unwrap_or(0);
        let answers =
            match self.dump(&RouteNetlinkMessage::GetAddress(message), &|| "list addresses".to_owned()) {
                // The kernel filters by interface, and says so when it is gone.
                Err(Error::Refused { source: Errno::ENODEV, .. }) => return Ok(Vec::new()),
                answers => answers?,
            };
        let addresses = answers.iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(message) => address_of(message),
            _ => None,
        });
        Ok(addresses.filter(|address| interface.is_none_or(|index| address.interface == index)).collect())
    }

    /// Gives an interface an address, or renews lifetimes and flags of one that it has.
    pub fn set_address(&mut self, interface: u32, config: &AddressConfig) -> Result<(), Error> {
        let mut message = message(interface, config.address, config.prefix_len);
        let mut flags = AddressFlags::empty();
        flags.set(AddressFlags::Nodad, config.nodad);
        flags.set(AddressFlags::Noprefixroute, config.noprefixroute);
        message.attributes.push(AddressAttribute::Flags(flags));
        let mut cache = CacheInfo::default();
        (cache.ifa_preferred, cache.ifa_valid) = (config.preferred, config.valid);
        message.attributes.push(AddressAttribute::CacheInfo(cache));
        let request = RouteNetlinkMessage::NewAddress(message);
        self.change(request, NLM_F_CREATE | NLM_F_REPLACE, &|| {
            format!("give {}/{} to interface {interface}", config.address, config.prefix_len)
        })
    }

    /// Takes an address away. `false`: the interface did not have it, or is gone.
    pub fn remove_address(
        &mut self,
        interface: u32,
        address: Ipv6Addr,
        prefix_len: u8,
    ) -> Result<bool, Error> {
        let request = RouteNetlinkMessage::DelAddress(message(interface, address, prefix_len));
        self.remove(request, &[Errno::EADDRNOTAVAIL, Errno::ENODEV, Errno::ENXIO], &|| {
            format!("take {address}/{prefix_len} from interface {interface}")
        })
    }
}
