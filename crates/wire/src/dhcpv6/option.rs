//! DHCPv6 options as views over the bytes they came in.

use super::leasequery::{LeaseQuery, RelayData};
use super::service::{one_name, whole_names};
use super::{
    Addresses, Authentication, Counted, Definition, EncryptedDns, Fqdn, IaAddress, IaNa, IaPd, IaPrefix,
    NtpServer, OptionCode, OptionCodes, S46Bind, S46PortParameters, S46Rule, Shape, Status, StatusCode,
    VendorData, softwire,
};
use crate::WireError;
use crate::bytes::{addr_at, u16_at, u32_at};
use crate::domain::DomainNames;
use std::net::Ipv6Addr;

/// A run of options whose lengths have been checked against the bytes that hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a> {
    bytes: &'a [u8],
}

impl<'a> Options<'a> {
    /// Checks that the option headers and lengths tile `bytes` exactly.
    ///
    /// # Errors
    /// [`WireError::Truncated`] where an option overruns.
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

    /// Code and content of each option, in the order of the packet.
    pub fn raw(&self) -> impl Iterator<Item = (OptionCode, &'a [u8])> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (code, data, after) = split(rest).ok()?;
            rest = after;
            Some((code, data))
        })
    }

    /// Each option, decoded, in the order of the packet.
    pub fn iter(&self) -> impl Iterator<Item = DhcpOption<'a>> + use<'a> {
        self.raw().map(|(code, data)| DhcpOption::decode(code, data))
    }

    /// The content of the first option with this code.
    pub fn get(&self, code: OptionCode) -> Option<&'a [u8]> {
        self.raw().find_map(|(c, data)| (c == code).then_some(data))
    }

    /// The first option with this code, decoded.
    pub fn find(&self, code: OptionCode) -> Option<DhcpOption<'a>> {
        self.get(code).map(|data| DhcpOption::decode(code, data))
    }

    /// The status these options tell: Success where no Status Code option stands (RFC 9915 section 21.13).
    pub fn status(&self) -> Status<'a> {
        match self.find(OptionCode::STATUS_CODE) {
            Some(DhcpOption::StatusCode(status)) => status,
            _ => Status { code: StatusCode::SUCCESS, message: &[] },
        }
    }

    /// Whether an Option Request option names `code`.
    pub fn requests(&self, code: OptionCode) -> bool {
        matches!(self.find(OptionCode::ORO), Some(DhcpOption::Oro(codes)) if codes.iter().any(|c| c == code))
    }
}

/// First option of `bytes`, and what follows it.
fn split(bytes: &[u8]) -> Result<(OptionCode, &[u8], &[u8]), WireError> {
    let (header, rest) = crate::bytes::take::<4>(bytes, "DHCPv6 option header")?;
    let length = usize::from(u16_at(header, 2));
    let (data, rest) = rest.split_at_checked(length).ok_or(WireError::Truncated {
        what: "DHCPv6 option",
        need: length,
        have: rest.len(),
    })?;
    Ok((OptionCode(u16_at(header, 0)), data, rest))
}

/// One option. Content that does not have the form its code asks for is [`DhcpOption::Malformed`]; a code that is not
/// decoded here is [`DhcpOption::Opaque`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DhcpOption<'a> {
    /// The client's DUID, unchecked for length: see [`super::Duid::new`].
    ClientId(&'a [u8]),
    /// The server's DUID, unchecked for length.
    ServerId(&'a [u8]),
    /// Addresses asked for or given.
    IaNa(IaNa<'a>),
    /// An address inside an IA_NA.
    IaAddress(IaAddress<'a>),
    /// Options that the client would like to have.
    Oro(OptionCodes<'a>),
    /// The server's preference: 255 is taken at once.
    Preference(u8),
    /// Hundredths of a second since the client began to ask; 0xffff is that or more.
    ElapsedTime(u16),
    /// A relayed packet.
    RelayMessage(&'a [u8]),
    /// Authentication.
    Authentication(Authentication<'a>),
    /// The outcome of what was asked.
    StatusCode(Status<'a>),
    /// Two messages instead of four.
    RapidCommit,
    /// Length-prefixed user classes.
    UserClass(&'a [u8]),
    /// What made the client.
    VendorClass(VendorData<'a>),
    /// Options of a vendor's own.
    VendorOptions(VendorData<'a>),
    /// Where at the relay agent the message came in.
    InterfaceId(&'a [u8]),
    /// Which message a Reconfigure asks for.
    ReconfigureMessage(super::MessageType),
    /// The client takes, or should take, Reconfigure messages.
    ReconfigureAccept,
    /// Recursive resolvers.
    DnsServers(Addresses<'a>),
    /// Domains to search.
    DomainList(DomainNames<'a>),
    /// Prefixes asked for or given.
    IaPd(IaPd<'a>),
    /// A prefix inside an IA_PD.
    IaPrefix(IaPrefix<'a>),
    /// Seconds until a stateless client asks again.
    InformationRefreshTime(u32),
    /// The relay agent's name for the client's line.
    RemoteId(VendorData<'a>),
    /// The relay agent's name for the subscriber.
    SubscriberId(&'a [u8]),
    /// The client's name.
    ClientFqdn(Fqdn<'a>),
    /// A part of the delegated prefix that stays with the ISP's link: prefix length and subnet bits (RFC 6603).
    PdExclude {
        /// Length of the excluded prefix in bits.
        prefix_length: u8,
        /// Its bits beyond the delegated prefix, left-aligned.
        subnet: &'a [u8],
    },
    /// The client's link-layer address as its relay agent saw it.
    ClientLinkLayer {
        /// IANA's ARP hardware type; 1 is Ethernet.
        hardware: u16,
        /// The address.
        address: &'a [u8],
    },
    /// What is asked of a server about bindings.
    LeaseQuery(LeaseQuery<'a>),
    /// What is told of one client on one link.
    ClientData(Options<'a>),
    /// Seconds since the client was last heard.
    CltTime(u32),
    /// By which relay agent it was heard.
    LqRelayData(RelayData<'a>),
    /// Links on which a client has bindings.
    LqClientLink(Addresses<'a>),
    /// The relay agent's DUID, unchecked for length.
    RelayId(&'a [u8]),
    /// The server's clock, in seconds since [`super::leasequery::BASE_EPOCH`].
    LqBaseTime(u32),
    /// The time from which on bindings are asked for, likewise.
    LqStartTime(u32),
    /// The time up to which bindings are asked for, likewise.
    LqEndTime(u32),
    /// Most seconds between two Solicits.
    SolMaxRt(u32),
    /// Most seconds between two Information-requests.
    InfMaxRt(u32),
    /// URI of the captive portal's API.
    CaptivePortal(&'a [u8]),
    /// A mapping rule of MAP-E or MAP-T.
    S46Rule(S46Rule<'a>),
    /// A border relay of MAP-E or Lightweight 4over6.
    S46BorderRelay(Ipv6Addr),
    /// The default mapping of MAP-T.
    S46DefaultMapping(ipnet::Ipv6Net),
    /// A home's IPv4 address with Lightweight 4over6.
    S46Bind(S46Bind<'a>),
    /// A home's share of the ports.
    S46PortParameters(S46PortParameters),
    /// A container of softwire options: MAP-E, MAP-T or Lightweight 4over6, by its code.
    S46Container {
        /// Its code.
        code: OptionCode,
        /// What it holds.
        options: Options<'a>,
    },
    /// A source of time.
    NtpServer(NtpServer<'a>),
    /// A resolver that encrypts.
    EncryptedDns(EncryptedDns<'a>),
    /// Another option that is a list of addresses: see [`super::DEFINITIONS`].
    AddressList {
        /// Its code.
        code: OptionCode,
        /// The addresses.
        addresses: Addresses<'a>,
    },
    /// Another option that is one domain name or a list of them.
    NameList {
        /// Its code.
        code: OptionCode,
        /// The names.
        names: DomainNames<'a>,
    },
    /// Another option that is UTF-8 text.
    Text {
        /// Its code.
        code: OptionCode,
        /// The text.
        text: &'a str,
    },
    /// Another option that is a list of texts.
    Texts {
        /// Its code.
        code: OptionCode,
        /// The texts, meant as UTF-8 and not checked.
        texts: Counted<'a>,
    },
    /// An option that is not decoded here.
    Opaque {
        /// Its code.
        code: OptionCode,
        /// Its content.
        data: &'a [u8],
    },
    /// An option whose content does not have its code's form.
    Malformed {
        /// Its code.
        code: OptionCode,
        /// Its content.
        data: &'a [u8],
    },
}

impl<'a> DhcpOption<'a> {
    /// Decodes the content of an option.
    pub fn decode(code: OptionCode, data: &'a [u8]) -> Self {
        Self::decode_known(code, data).unwrap_or(Self::Malformed { code, data })
    }

    fn decode_known(code: OptionCode, data: &'a [u8]) -> Option<Self> {
        Some(match code {
            OptionCode::CLIENT_ID => Self::ClientId(data),
            OptionCode::SERVER_ID => Self::ServerId(data),
            OptionCode::IA_NA => {
                let (iaid, t1, t2, options) = ia(data)?;
                Self::IaNa(IaNa { iaid, t1, t2, options })
            }
            OptionCode::IA_PD => {
                let (iaid, t1, t2, options) = ia(data)?;
                Self::IaPd(IaPd { iaid, t1, t2, options })
            }
            OptionCode::IA_ADDR => Self::IaAddress(IaAddress {
                address: addr_at(data, 0),
                preferred: u32_at(data, 16),
                valid: u32_at(data, 20),
                options: Options::parse(data.get(24..)?).ok()?,
            }),
            OptionCode::IA_PREFIX => {
                let prefix_length = *data.get(8)?;
                if prefix_length > 128 {
                    return None;
                }
                Self::IaPrefix(IaPrefix {
                    preferred: u32_at(data, 0),
                    valid: u32_at(data, 4),
                    prefix_length,
                    prefix: addr_at(data.get(..25)?, 9),
                    options: Options::parse(data.get(25..)?).ok()?,
                })
            }
            OptionCode::ORO if data.len().is_multiple_of(2) => Self::Oro(OptionCodes { bytes: data }),
            OptionCode::PREFERENCE => match data {
                &[value] => Self::Preference(value),
                _ => return None,
            },
            OptionCode::ELAPSED_TIME => Self::ElapsedTime(u16::from_be_bytes(data.try_into().ok()?)),
            OptionCode::RELAY_MSG => Self::RelayMessage(data),
            OptionCode::AUTH if data.len() >= 11 => Self::Authentication(Authentication { bytes: data }),
            OptionCode::STATUS_CODE if data.len() >= 2 => {
                Self::StatusCode(Status { code: StatusCode(u16_at(data, 0)), message: data.get(2..)? })
            }
            OptionCode::RAPID_COMMIT if data.is_empty() => Self::RapidCommit,
            OptionCode::USER_CLASS => Self::UserClass(data),
            OptionCode::VENDOR_CLASS => Self::VendorClass(VendorData::decode(data)?),
            OptionCode::VENDOR_OPTS => Self::VendorOptions(VendorData::decode(data)?),
            OptionCode::INTERFACE_ID => Self::InterfaceId(data),
            OptionCode::RECONF_MSG => match data {
                &[value] => Self::ReconfigureMessage(super::MessageType(value)),
                _ => return None,
            },
            OptionCode::RECONF_ACCEPT if data.is_empty() => Self::ReconfigureAccept,
            OptionCode::DNS_SERVERS if data.len().is_multiple_of(16) && !data.is_empty() => {
                Self::DnsServers(Addresses { bytes: data })
            }
            OptionCode::DOMAIN_LIST => Self::DomainList(DomainNames::new(data)),
            OptionCode::INFORMATION_REFRESH_TIME => {
                Self::InformationRefreshTime(u32::from_be_bytes(data.try_into().ok()?))
            }
            OptionCode::REMOTE_ID => Self::RemoteId(VendorData::decode(data)?),
            OptionCode::SUBSCRIBER_ID => Self::SubscriberId(data),
            OptionCode::CLIENT_FQDN => {
                let (&flags, name) = data.split_first()?;
                Self::ClientFqdn(Fqdn { flags, name })
            }
            OptionCode::PD_EXCLUDE => {
                let (&prefix_length, subnet) = data.split_first()?;
                if prefix_length > 128 || subnet.is_empty() {
                    return None;
                }
                Self::PdExclude { prefix_length, subnet }
            }
            OptionCode::CLIENT_LINKLAYER_ADDR if data.len() > 2 => {
                Self::ClientLinkLayer { hardware: u16_at(data, 0), address: data.get(2..)? }
            }
            OptionCode::LQ_QUERY => Self::LeaseQuery(LeaseQuery::decode(data)?),
            OptionCode::CLIENT_DATA => Self::ClientData(Options::parse(data).ok()?),
            OptionCode::CLT_TIME => Self::CltTime(u32::from_be_bytes(data.try_into().ok()?)),
            OptionCode::LQ_RELAY_DATA => Self::LqRelayData(RelayData::decode(data)?),
            OptionCode::LQ_CLIENT_LINK if data.len().is_multiple_of(16) => {
                Self::LqClientLink(Addresses { bytes: data })
            }
            OptionCode::RELAY_ID => Self::RelayId(data),
            OptionCode::LQ_BASE_TIME => Self::LqBaseTime(u32::from_be_bytes(data.try_into().ok()?)),
            OptionCode::LQ_START_TIME => Self::LqStartTime(u32::from_be_bytes(data.try_into().ok()?)),
            OptionCode::LQ_END_TIME => Self::LqEndTime(u32::from_be_bytes(data.try_into().ok()?)),
            OptionCode::SOL_MAX_RT => Self::SolMaxRt(u32::from_be_bytes(data.try_into().ok()?)),
            OptionCode::INF_MAX_RT => Self::InfMaxRt(u32::from_be_bytes(data.try_into().ok()?)),
            OptionCode::CAPTIVE_PORTAL => Self::CaptivePortal(data),
            OptionCode::ORO
            | OptionCode::AUTH
            | OptionCode::STATUS_CODE
            | OptionCode::RAPID_COMMIT
            | OptionCode::RECONF_ACCEPT
            | OptionCode::DNS_SERVERS
            | OptionCode::LQ_CLIENT_LINK
            | OptionCode::CLIENT_LINKLAYER_ADDR => return None,
            OptionCode::S46_RULE => Self::S46Rule(S46Rule::decode(data)?),
            OptionCode::S46_BR => Self::S46BorderRelay(softwire::border_relay(data)?),
            OptionCode::S46_DMR => Self::S46DefaultMapping(softwire::dmr(data)?),
            OptionCode::S46_V4V6BIND => Self::S46Bind(S46Bind::decode(data)?),
            OptionCode::S46_PORTPARAMS => Self::S46PortParameters(S46PortParameters::decode(data)?),
            _ => match Definition::of(code) {
                Some(definition) => Self::decode_as(code, definition.shape, data)?,
                None => Self::Opaque { code, data },
            },
        })
    }

    /// Decodes the content of an option of a form that the table, or somebody else, knows; `None` where it does not have it.
    pub fn decode_as(code: OptionCode, shape: Shape, data: &'a [u8]) -> Option<Self> {
        Some(match shape {
            // RFC 7341 section 7.2: without a server's address, the multicast one is meant.
            Shape::Addresses
                if data.len().is_multiple_of(16)
                    && (!data.is_empty() || code == OptionCode::DHCP4_O_DHCP6_SERVER) =>
            {
                Self::AddressList { code, addresses: Addresses { bytes: data } }
            }
            Shape::Name => Self::NameList { code, names: one_name(data)? },
            Shape::Names if whole_names(data) => Self::NameList { code, names: DomainNames::new(data) },
            Shape::Text => Self::Text { code, text: str::from_utf8(data).ok()? },
            Shape::Texts => Self::Texts { code, texts: Counted::new(data)? },
            Shape::NtpServer => Self::NtpServer(NtpServer::decode(data)?),
            Shape::EncryptedDns => Self::EncryptedDns(EncryptedDns::decode(data)?),
            Shape::MapE | Shape::MapT | Shape::Lw4over6 => {
                Self::S46Container { code, options: Options::parse(data).ok()? }
            }
            Shape::Addresses | Shape::Names => return None,
            _ => Self::Opaque { code, data },
        })
    }
}

/// The head that IA_NA and IA_PD share: IAID, T1, T2, options.
fn ia(data: &[u8]) -> Option<(u32, u32, u32, Options<'_>)> {
    Some((u32_at(data, 0), u32_at(data, 4), u32_at(data, 8), Options::parse(data.get(12..)?).ok()?))
}
