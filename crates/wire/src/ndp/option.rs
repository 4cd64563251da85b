//! Neighbour Discovery options as views over the bytes they came in.

use super::Preference;
use crate::WireError;
use crate::bytes::{addr_at, take, u16_at, u32_at};
use crate::dhcpv6::Addresses;
use crate::domain::DomainNames;
use ipnet::Ipv6Net;
use std::fmt;
use std::net::Ipv6Addr;

/// An option type. Any octet is a value; options without a name here stay opaque.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OptionKind(pub u8);

macro_rules! kinds {
    ($($value:literal $konst:ident $text:literal $rfc:literal;)*) => {
        impl OptionKind {
            $(#[doc = concat!($text, " (", $rfc, ").")] pub const $konst: Self = Self($value);)*

            /// The registry's name for the type, if it is one that is known here.
            pub fn name(self) -> Option<&'static str> {
                match self { $(Self::$konst => Some($text),)* _ => None }
            }
        }
    };
}

kinds! {
    1 SOURCE_LINK_LAYER "Source Link-Layer Address" "RFC 4861";
    2 TARGET_LINK_LAYER "Target Link-Layer Address" "RFC 4861";
    3 PREFIX_INFORMATION "Prefix Information" "RFC 4861";
    4 REDIRECTED_HEADER "Redirected Header" "RFC 4861";
    5 MTU "MTU" "RFC 4861";
    14 NONCE "Nonce" "RFC 3971";
    24 ROUTE_INFORMATION "Route Information" "RFC 4191";
    25 RDNSS "Recursive DNS Server" "RFC 8106";
    31 DNSSL "DNS Search List" "RFC 8106";
    37 CAPTIVE_PORTAL "Captive Portal" "RFC 8910";
    38 PREF64 "PREF64" "RFC 8781";
}

impl fmt::Display for OptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "option {}", self.0),
        }
    }
}

impl fmt::Debug for OptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A run of options whose lengths have been checked against the bytes that hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a> {
    bytes: &'a [u8],
}

impl<'a> Options<'a> {
    /// Checks that the options tile `bytes` exactly and that none has length zero (RFC 4861 section 6.1).
    ///
    /// # Errors
    /// [`WireError`] where an option overruns or has length zero.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, _, rest) = split(rest)?;
        }
        Ok(Self { bytes })
    }

    /// The octets of all options, as they came.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Type and content (what follows type and length) of each option, in the order of the packet.
    pub fn raw(&self) -> impl Iterator<Item = (OptionKind, &'a [u8])> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (kind, data, after) = split(rest).ok()?;
            rest = after;
            Some((kind, data))
        })
    }

    /// Each option, decoded, in the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = NdOption<'a>> + use<'a> {
        self.raw().map(|(kind, data)| NdOption::decode(kind, data))
    }

    /// The content of the first option of this type.
    pub fn get(&self, kind: OptionKind) -> Option<&'a [u8]> {
        self.raw().find_map(|(k, data)| (k == kind).then_some(data))
    }

    /// The first option of this type, decoded.
    pub fn find(&self, kind: OptionKind) -> Option<NdOption<'a>> {
        self.get(kind).map(|data| NdOption::decode(kind, data))
    }
}

/// First option of `bytes`, and what follows it. Lengths count units of eight octets, header included.
fn split(bytes: &[u8]) -> Result<(OptionKind, &[u8], &[u8]), WireError> {
    let (&[kind, units], rest) = take::<2>(bytes, "Neighbour Discovery option header")?;
    let length = usize::from(units) * 8;
    let content = length
        .checked_sub(2)
        .ok_or(WireError::BadLength { what: "Neighbour Discovery option", length: 0 })?;
    let (data, rest) = rest.split_at_checked(content).ok_or(WireError::Truncated {
        what: "Neighbour Discovery option",
        need: content,
        have: rest.len(),
    })?;
    Ok((OptionKind(kind), data, rest))
}

/// One option. Content that does not have the form its type asks for is [`NdOption::Malformed`]; a type that is not
/// decoded here is [`NdOption::Unknown`]. Receivers ignore both and go on (RFC 4861 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NdOption<'a> {
    /// The sender's link-layer address: six octets on Ethernet.
    SourceLinkLayer(&'a [u8]),
    /// The target's link-layer address: six octets on Ethernet.
    TargetLinkLayer(&'a [u8]),
    /// A prefix of the link.
    PrefixInformation(PrefixInformation),
    /// The packet that caused a Redirect, cut to what fits.
    RedirectedHeader(&'a [u8]),
    /// The link's MTU in octets.
    Mtu(u32),
    /// A route through the sender.
    RouteInformation(RouteInformation),
    /// Recursive resolvers.
    Rdnss(Rdnss<'a>),
    /// Domains to search.
    Dnssl(Dnssl<'a>),
    /// URI of the captive portal's API, without its padding; not checked to be a URI.
    CaptivePortal(&'a [u8]),
    /// The NAT64 prefix.
    Pref64(Pref64),
    /// A nonce (RFC 3971 section 5.3.2), also used by duplicate address detection (RFC 7527).
    Nonce(&'a [u8]),
    /// An option that is not decoded here.
    Unknown {
        /// Its type.
        kind: OptionKind,
        /// What follows type and length.
        data: &'a [u8],
    },
    /// An option whose content does not have its type's form.
    Malformed {
        /// Its type.
        kind: OptionKind,
        /// What follows type and length.
        data: &'a [u8],
    },
}

impl<'a> NdOption<'a> {
    /// Decodes the content of an option: what follows type and length.
    pub fn decode(kind: OptionKind, data: &'a [u8]) -> Self {
        Self::decode_known(kind, data).unwrap_or(Self::Malformed { kind, data })
    }

    fn decode_known(kind: OptionKind, data: &'a [u8]) -> Option<Self> {
        Some(match kind {
            OptionKind::SOURCE_LINK_LAYER => Self::SourceLinkLayer(data),
            OptionKind::TARGET_LINK_LAYER => Self::TargetLinkLayer(data),
            OptionKind::PREFIX_INFORMATION => Self::PrefixInformation(PrefixInformation::decode(data)?),
            OptionKind::REDIRECTED_HEADER => Self::RedirectedHeader(data.get(6..)?),
            OptionKind::MTU if data.len() == 6 => Self::Mtu(u32_at(data, 2)),
            OptionKind::MTU => return None,
            OptionKind::ROUTE_INFORMATION => Self::RouteInformation(RouteInformation::decode(data)?),
            OptionKind::RDNSS => {
                let addresses = data.get(6..)?;
                // RFC 8106 section 5.3.1: at least one address, and whole ones.
                if addresses.is_empty() || addresses.len() % 16 != 0 {
                    return None;
                }
                Self::Rdnss(Rdnss { lifetime: u32_at(data, 2), addresses: Addresses::new(addresses) })
            }
            OptionKind::DNSSL => {
                let names = data.get(6..)?;
                if names.is_empty() {
                    return None;
                }
                Self::Dnssl(Dnssl { lifetime: u32_at(data, 2), names: DomainNames::new(names) })
            }
            OptionKind::CAPTIVE_PORTAL => {
                let end = data.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
                Self::CaptivePortal(data.get(..end)?)
            }
            OptionKind::PREF64 => Self::Pref64(Pref64::decode(data)?),
            OptionKind::NONCE => Self::Nonce(data),
            _ => Self::Unknown { kind, data },
        })
    }
}

/// A prefix of the link (RFC 4861 section 4.6.2; R: RFC 6275 section 7.2; P: RFC 9762). Lifetimes in seconds,
/// [`super::INFINITY`] for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixInformation {
    /// The prefix field as it came. Bits beyond the length may be set; with R they are the router's.
    pub address: Ipv6Addr,
    /// Length of the prefix in bits, 0 to 128.
    pub length: u8,
    /// L: addresses of the prefix are on the link.
    pub on_link: bool,
    /// A: hosts may form addresses of the prefix.
    pub autonomous: bool,
    /// R: the prefix field holds a whole address of the router.
    pub router_address: bool,
    /// P: hosts should rather ask for a prefix of their own by DHCPv6.
    pub pd_preferred: bool,
    /// Valid lifetime in seconds.
    pub valid: u32,
    /// Preferred lifetime in seconds.
    pub preferred: u32,
}

impl PrefixInformation {
    /// The prefix with the bits beyond its length cleared.
    pub fn prefix(&self) -> Ipv6Net {
        Ipv6Net::new(self.address, self.length.min(128)).unwrap_or_default().trunc()
    }

    fn decode(data: &[u8]) -> Option<Self> {
        let data = data.get(..30)?;
        let &[length, flags, ..] = data else { return None };
        (length <= 128).then(|| Self {
            address: addr_at(data, 14),
            length,
            on_link: flags & 0x80 != 0,
            autonomous: flags & 0x40 != 0,
            router_address: flags & 0x20 != 0,
            pd_preferred: flags & 0x10 != 0,
            valid: u32_at(data, 2),
            preferred: u32_at(data, 6),
        })
    }
}

/// A route through the sender (RFC 4191 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteInformation {
    /// Destinations of the route, bits beyond the length cleared.
    pub prefix: Ipv6Net,
    /// How much the sender wants to be chosen for them.
    pub preference: Preference,
    /// Lifetime in seconds; 0: withdrawn.
    pub lifetime: u32,
}

impl RouteInformation {
    fn decode(data: &[u8]) -> Option<Self> {
        let &[length, flags, _, _, _, _, ref rest @ ..] = data else { return None };
        // RFC 4191 section 2.3: 1, 2 or 3 units, as many as the prefix length needs.
        if !matches!(rest.len(), 0 | 8 | 16) || length > 128 || usize::from(length) > rest.len() * 8 {
            return None;
        }
        let mut octets = [0; 16];
        octets.get_mut(..rest.len())?.copy_from_slice(rest);
        Some(Self {
            prefix: Ipv6Net::new(octets.into(), length).ok()?.trunc(),
            // RFC 4191 section 2.3: with the reserved value the option is ignored.
            preference: Preference::from_bits(flags >> 3)?,
            lifetime: u32_at(data, 2),
        })
    }
}

/// Recursive resolvers (RFC 8106 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rdnss<'a> {
    /// Lifetime in seconds; 0: no longer to be used.
    pub lifetime: u32,
    /// The resolvers, at least one.
    pub addresses: Addresses<'a>,
}

/// Domains to search (RFC 8106 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dnssl<'a> {
    /// Lifetime in seconds; 0: no longer to be used.
    pub lifetime: u32,
    /// The domains.
    pub names: DomainNames<'a>,
}

/// The NAT64 prefix (RFC 8781 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pref64 {
    /// The prefix: of length 32, 40, 48, 56, 64 or 96.
    pub prefix: Ipv6Net,
    /// Lifetime in seconds, a multiple of eight up to 65 528; 0: no longer to be used.
    pub lifetime: u16,
}

/// Prefix lengths by prefix length code (RFC 8781 section 4).
pub(super) const PREF64_LENGTHS: [u8; 6] = [96, 64, 56, 48, 40, 32];

/// The lifetime, in seconds, as a PREF64 option can carry it: a multiple of eight, rounded up, at most 65 528
/// (RFC 8781 section 4.1).
pub fn pref64_lifetime(seconds: u32) -> u16 {
    u16::try_from(seconds.div_ceil(8).min(0x1fff) * 8).unwrap_or(0xfff8)
}

impl Pref64 {
    fn decode(data: &[u8]) -> Option<Self> {
        if data.len() != 14 {
            return None;
        }
        let scaled = u16_at(data, 0);
        let length = *PREF64_LENGTHS.get(usize::from(scaled & 7))?;
        let mut octets = [0; 16];
        octets.get_mut(..12)?.copy_from_slice(data.get(2..14)?);
        Some(Self { prefix: Ipv6Net::new(octets.into(), length).ok()?.trunc(), lifetime: scaled & !7 })
    }
}
