//! One table of the options that configure hosts and home routers: by which name a person calls each, and which form its
//! content has. Whatever reads, writes, checks or lists options goes by it.

use super::OptionCode;

/// The form of an option's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing: being there is all that it says.
    Flag,
    /// One unsigned number of 1, 2 or 4 octets.
    Number(u8),
    /// Unsigned numbers of 1, 2 or 4 octets each.
    Numbers(u8),
    /// One IPv6 address.
    Address,
    /// IPv6 addresses, at least one.
    Addresses,
    /// A prefix: its length in bits in one octet, then as many octets as that length needs.
    Prefix,
    /// One domain name (RFC 9915 section 10).
    Name,
    /// Domain names, at least one.
    Names,
    /// UTF-8 without a terminator, as long as the option.
    Text,
    /// Texts, each behind its length in two octets; at least one.
    Texts,
    /// Octets that mean nothing here.
    Octets,
    /// These, one after the other. A form without a length of its own can only be the last.
    Record(&'static [Shape]),
    /// Options within the option: code, length and octets.
    Suboptions,
    /// One source of time: an address, a multicast address or a name (RFC 5908 section 4). Several are several options.
    NtpServer,
    /// An enterprise number and options of its own (RFC 9915 section 21.17). Several are several options.
    VendorOptions,
    /// One resolver by DNS over TLS, HTTPS or QUIC (RFC 9463 section 4.1). Several are several options.
    EncryptedDns,
    /// Rules and border relays of MAP-E (RFC 7598 section 5.1).
    MapE,
    /// Rules and the default mapping of MAP-T (RFC 7598 section 5.2).
    MapT,
    /// Tunnel endpoints and binding of Lightweight 4over6 (RFC 7598 section 5.3).
    Lw4over6,
}

impl Shape {
    /// What a person calls the form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Number(1) => "u8",
            Self::Number(2) => "u16",
            Self::Number(_) => "u32",
            Self::Numbers(1) => "list of u8",
            Self::Numbers(2) => "list of u16",
            Self::Numbers(_) => "list of u32",
            Self::Address => "address",
            Self::Addresses => "addresses",
            Self::Prefix => "prefix",
            Self::Name => "name",
            Self::Names => "names",
            Self::Text => "text",
            Self::Texts => "texts",
            Self::Octets => "hex",
            Self::Record(_) => "record",
            Self::Suboptions => "options",
            Self::NtpServer => "time source",
            Self::VendorOptions => "vendor options",
            Self::EncryptedDns => "encrypted resolver",
            Self::MapE => "MAP-E",
            Self::MapT => "MAP-T",
            Self::Lw4over6 => "Lightweight 4over6",
        }
    }

    /// Whether several of them are sent as several options with one code.
    pub fn repeats(self) -> bool {
        matches!(self, Self::NtpServer | Self::VendorOptions | Self::EncryptedDns)
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// What a person calls the option.
    pub name: &'static str,
    /// Its code.
    pub code: OptionCode,
    /// The form of its content.
    pub shape: Shape,
}

impl Definition {
    /// The row of an option.
    pub fn of(code: OptionCode) -> Option<&'static Self> {
        let at = DEFINITIONS.binary_search_by_key(&code, |definition| definition.code).ok()?;
        DEFINITIONS.get(at)
    }

    /// The row with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        DEFINITIONS.iter().find(|definition| definition.name == name)
    }
}

const fn row(code: OptionCode, name: &'static str, shape: Shape) -> Definition {
    Definition { name, code, shape }
}

/// Priority, weight, transport, port, address, realm (RFC 6784 section 3.4).
const KDC: &[Shape] =
    &[Shape::Number(2), Shape::Number(2), Shape::Number(1), Shape::Number(2), Shape::Address, Shape::Text];
/// Resolver, preference, domains (RFC 6731 section 4.2).
const RDNSS: &[Shape] = &[Shape::Address, Shape::Number(1), Shape::Names];

/// Every option that a server can be told to give, in the order of the codes.
pub const DEFINITIONS: &[Definition] = &[
    row(OptionCode::VENDOR_OPTS, "vendor-options", Shape::VendorOptions),
    row(OptionCode::SIP_SERVER_D, "sip-domains", Shape::Names),
    row(OptionCode::SIP_SERVER_A, "sip-servers", Shape::Addresses),
    row(OptionCode::DNS_SERVERS, "dns-servers", Shape::Addresses),
    row(OptionCode::DOMAIN_LIST, "domain-search", Shape::Names),
    row(OptionCode::NIS_SERVERS, "nis-servers", Shape::Addresses),
    row(OptionCode::NISP_SERVERS, "nisp-servers", Shape::Addresses),
    row(OptionCode::NIS_DOMAIN_NAME, "nis-domain", Shape::Name),
    row(OptionCode::NISP_DOMAIN_NAME, "nisp-domain", Shape::Name),
    row(OptionCode::SNTP_SERVERS, "sntp-servers", Shape::Addresses),
    row(OptionCode::INFORMATION_REFRESH_TIME, "information-refresh-time", Shape::Number(4)),
    row(OptionCode::BCMCS_SERVER_D, "bcmcs-domains", Shape::Names),
    row(OptionCode::BCMCS_SERVER_A, "bcmcs-servers", Shape::Addresses),
    row(OptionCode::PANA_AGENT, "pana-agents", Shape::Addresses),
    row(OptionCode::NEW_POSIX_TIMEZONE, "posix-timezone", Shape::Text),
    row(OptionCode::NEW_TZDB_TIMEZONE, "tzdb-timezone", Shape::Text),
    row(OptionCode::V6_LOST, "lost-server", Shape::Name),
    row(OptionCode::CAPWAP_AC_V6, "capwap-controllers", Shape::Addresses),
    row(OptionCode::NTP_SERVER, "ntp-server", Shape::NtpServer),
    row(OptionCode::V6_ACCESS_DOMAIN, "access-domain", Shape::Name),
    row(OptionCode::SIP_UA_CS_LIST, "sip-ua-domains", Shape::Names),
    row(OptionCode::BOOTFILE_URL, "bootfile-url", Shape::Text),
    row(OptionCode::BOOTFILE_PARAM, "bootfile-parameters", Shape::Texts),
    row(OptionCode::AFTR_NAME, "aftr-name", Shape::Name),
    row(OptionCode::ERP_LOCAL_DOMAIN_NAME, "erp-domain", Shape::Name),
    row(OptionCode::RDNSS_SELECTION, "rdnss-selection", Shape::Record(RDNSS)),
    row(OptionCode::KRB_REALM_NAME, "kerberos-realm", Shape::Text),
    row(OptionCode::KRB_DEFAULT_REALM_NAME, "kerberos-default-realm", Shape::Text),
    row(OptionCode::KRB_KDC, "kerberos-kdc", Shape::Record(KDC)),
    row(OptionCode::SOL_MAX_RT, "sol-max-rt", Shape::Number(4)),
    row(OptionCode::INF_MAX_RT, "inf-max-rt", Shape::Number(4)),
    row(OptionCode::V6_PCP_SERVER, "pcp-servers", Shape::Addresses),
    row(OptionCode::DHCP4_O_DHCP6_SERVER, "dhcp4o6-servers", Shape::Addresses),
    row(OptionCode::S46_CONT_MAPE, "s46-mape", Shape::MapE),
    row(OptionCode::S46_CONT_MAPT, "s46-mapt", Shape::MapT),
    row(OptionCode::S46_CONT_LW, "s46-lw4o6", Shape::Lw4over6),
    row(OptionCode::CAPTIVE_PORTAL, "captive-portal", Shape::Text),
    row(OptionCode::S46_PRIORITY, "s46-priority", Shape::Numbers(2)),
    row(OptionCode::SZTP_REDIRECT, "sztp-redirect", Shape::Texts),
    row(OptionCode::S46_BIND_IPV6_PREFIX, "s46-bind-prefix", Shape::Prefix),
    row(OptionCode::V6_DOTS_RI, "dots-name", Shape::Name),
    row(OptionCode::V6_DOTS_ADDRESS, "dots-servers", Shape::Addresses),
    row(OptionCode::IPV6_ADDRESS_ANDSF, "andsf-servers", Shape::Addresses),
    row(OptionCode::V6_DNR, "encrypted-dns", Shape::EncryptedDns),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_says_each_thing_once() {
        assert!(DEFINITIONS.windows(2).all(|pair| pair[0].code < pair[1].code));
        for definition in DEFINITIONS {
            assert_eq!(Definition::of(definition.code), Some(definition));
            assert_eq!(
                Definition::named(definition.name),
                Some(definition),
                "{} stands twice",
                definition.name
            );
            assert!(definition.code.source().is_some(), "{}", definition.name);
            let plain =
                definition.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            assert!(plain, "{} cannot be written as a bare key", definition.name);
        }
        assert_eq!(Definition::of(OptionCode(65_000)), None);
    }
}
