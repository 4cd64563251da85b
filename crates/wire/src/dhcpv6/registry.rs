//! IANA's DHCPv6 registries as far as they are used today: message types, option codes, status codes.

use std::fmt;

macro_rules! registry {
    ($(#[$doc:meta])* $name:ident($repr:ty), $what:literal: $($value:literal $konst:ident $text:literal $rfc:literal;)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $repr);

        impl $name {
            $(#[doc = concat!($text, " (", $rfc, ").")] pub const $konst: Self = Self($value);)*

            /// Every value that has a name here.
            pub const ALL: &'static [Self] = &[$(Self::$konst,)*];

            /// The registry's name for the value, if it is one that is known here.
            pub fn name(self) -> Option<&'static str> {
                match self { $(Self::$konst => Some($text),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() { Some(name) => f.write_str(name), None => write!(f, concat!($what, " {}"), self.0) }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

registry! {
    /// What a message asks or tells (RFC 9915 section 7.3). Any octet is a value.
    MessageType(u8), "message type":
    1 SOLICIT "Solicit" "RFC 9915";
    2 ADVERTISE "Advertise" "RFC 9915";
    3 REQUEST "Request" "RFC 9915";
    4 CONFIRM "Confirm" "RFC 9915";
    5 RENEW "Renew" "RFC 9915";
    6 REBIND "Rebind" "RFC 9915";
    7 REPLY "Reply" "RFC 9915";
    8 RELEASE "Release" "RFC 9915";
    9 DECLINE "Decline" "RFC 9915";
    10 RECONFIGURE "Reconfigure" "RFC 9915";
    11 INFORMATION_REQUEST "Information-request" "RFC 9915";
    12 RELAY_FORWARD "Relay-forward" "RFC 9915";
    13 RELAY_REPLY "Relay-reply" "RFC 9915";
    14 LEASEQUERY "Leasequery" "RFC 5007";
    15 LEASEQUERY_REPLY "Leasequery-reply" "RFC 5007";
    16 LEASEQUERY_DONE "Leasequery-done" "RFC 5460";
    17 LEASEQUERY_DATA "Leasequery-data" "RFC 5460";
    18 RECONFIGURE_REQUEST "Reconfigure-request" "RFC 6977";
    19 RECONFIGURE_REPLY "Reconfigure-reply" "RFC 6977";
    20 DHCPV4_QUERY "DHCPv4-query" "RFC 7341";
    21 DHCPV4_RESPONSE "DHCPv4-response" "RFC 7341";
    22 ACTIVELEASEQUERY "Activeleasequery" "RFC 7653";
    23 STARTTLS "StartTLS" "RFC 7653";
    36 ADDR_REG_INFORM "Addr-reg-inform" "RFC 9686";
    37 ADDR_REG_REPLY "Addr-reg-reply" "RFC 9686";
}

impl MessageType {
    /// Whether the message has a relay agent's header.
    pub fn is_relay(self) -> bool {
        matches!(self, Self::RELAY_FORWARD | Self::RELAY_REPLY)
    }
}

registry! {
    /// A status code (RFC 9915 section 21.13). Any 16-bit number is a value.
    StatusCode(u16), "status":
    0 SUCCESS "Success" "RFC 9915";
    1 UNSPEC_FAIL "UnspecFail" "RFC 9915";
    2 NO_ADDRS_AVAIL "NoAddrsAvail" "RFC 9915";
    3 NO_BINDING "NoBinding" "RFC 9915";
    4 NOT_ON_LINK "NotOnLink" "RFC 9915";
    6 NO_PREFIX_AVAIL "NoPrefixAvail" "RFC 9915";
    7 UNKNOWN_QUERY_TYPE "UnknownQueryType" "RFC 5007";
    8 MALFORMED_QUERY "MalformedQuery" "RFC 5007";
    9 NOT_CONFIGURED "NotConfigured" "RFC 5007";
    10 NOT_ALLOWED "NotAllowed" "RFC 5007";
    11 QUERY_TERMINATED "QueryTerminated" "RFC 5460";
}

registry! {
    /// An option code. Any 16-bit number is a value; options without a name here stay opaque.
    OptionCode(u16), "option":
    1 CLIENT_ID "Client Identifier" "RFC 9915";
    2 SERVER_ID "Server Identifier" "RFC 9915";
    3 IA_NA "Identity Association for Non-temporary Addresses" "RFC 9915";
    5 IA_ADDR "IA Address" "RFC 9915";
    6 ORO "Option Request" "RFC 9915";
    7 PREFERENCE "Preference" "RFC 9915";
    8 ELAPSED_TIME "Elapsed Time" "RFC 9915";
    9 RELAY_MSG "Relay Message" "RFC 9915";
    11 AUTH "Authentication" "RFC 9915";
    13 STATUS_CODE "Status Code" "RFC 9915";
    14 RAPID_COMMIT "Rapid Commit" "RFC 9915";
    15 USER_CLASS "User Class" "RFC 9915";
    16 VENDOR_CLASS "Vendor Class" "RFC 9915";
    17 VENDOR_OPTS "Vendor-specific Information" "RFC 9915";
    18 INTERFACE_ID "Interface-Id" "RFC 9915";
    19 RECONF_MSG "Reconfigure Message" "RFC 9915";
    20 RECONF_ACCEPT "Reconfigure Accept" "RFC 9915";
    21 SIP_SERVER_D "SIP Servers Domain Name List" "RFC 3319";
    22 SIP_SERVER_A "SIP Servers Address List" "RFC 3319";
    23 DNS_SERVERS "DNS Recursive Name Server" "RFC 3646";
    24 DOMAIN_LIST "Domain Search List" "RFC 3646";
    25 IA_PD "Identity Association for Prefix Delegation" "RFC 9915";
    26 IA_PREFIX "IA Prefix" "RFC 9915";
    31 SNTP_SERVERS "SNTP Servers" "RFC 4075";
    32 INFORMATION_REFRESH_TIME "Information Refresh Time" "RFC 9915";
    37 REMOTE_ID "Relay Agent Remote-ID" "RFC 4649";
    38 SUBSCRIBER_ID "Relay Agent Subscriber-ID" "RFC 4580";
    39 CLIENT_FQDN "Client FQDN" "RFC 4704";
    41 NEW_POSIX_TIMEZONE "Posix Timezone" "RFC 4833";
    42 NEW_TZDB_TIMEZONE "TZDB Timezone" "RFC 4833";
    43 ERO "Relay Agent Echo Request" "RFC 4994";
    44 LQ_QUERY "Leasequery Query" "RFC 5007";
    45 CLIENT_DATA "Client Data" "RFC 5007";
    46 CLT_TIME "Client Last Transaction Time" "RFC 5007";
    47 LQ_RELAY_DATA "Leasequery Relay Data" "RFC 5007";
    48 LQ_CLIENT_LINK "Leasequery Client Link" "RFC 5007";
    56 NTP_SERVER "NTP Server" "RFC 5908";
    59 BOOTFILE_URL "Boot File URL" "RFC 5970";
    60 BOOTFILE_PARAM "Boot File Parameters" "RFC 5970";
    61 CLIENT_ARCH_TYPE "Client System Architecture Type" "RFC 5970";
    62 NII "Client Network Interface Identifier" "RFC 5970";
    64 AFTR_NAME "AFTR Name" "RFC 6334";
    66 RSOO "Relay-Supplied Options" "RFC 6422";
    67 PD_EXCLUDE "PD Exclude" "RFC 6603";
    79 CLIENT_LINKLAYER_ADDR "Client Link-Layer Address" "RFC 6939";
    80 LINK_ADDRESS "Link Address" "RFC 6977";
    81 RADIUS "RADIUS" "RFC 7037";
    82 SOL_MAX_RT "SOL_MAX_RT" "RFC 9915";
    83 INF_MAX_RT "INF_MAX_RT" "RFC 9915";
    87 DHCPV4_MSG "DHCPv4 Message" "RFC 7341";
    88 DHCP4_O_DHCP6_SERVER "DHCP 4o6 Server Address" "RFC 7341";
    89 S46_RULE "S46 Rule" "RFC 7598";
    90 S46_BR "S46 BR" "RFC 7598";
    91 S46_DMR "S46 DMR" "RFC 7598";
    92 S46_V4V6BIND "S46 IPv4/IPv6 Address Binding" "RFC 7598";
    93 S46_PORTPARAMS "S46 Port Parameters" "RFC 7598";
    94 S46_CONT_MAPE "S46 MAP-E Container" "RFC 7598";
    95 S46_CONT_MAPT "S46 MAP-T Container" "RFC 7598";
    96 S46_CONT_LW "S46 Lightweight 4over6 Container" "RFC 7598";
    103 CAPTIVE_PORTAL "Captive-Portal" "RFC 8910";
    111 S46_PRIORITY "S46 Priority" "RFC 8026";
    135 RELAY_PORT "Relay Source Port" "RFC 8357";
    136 SZTP_REDIRECT "SZTP Redirect" "RFC 8572";
    144 V6_DNR "Encrypted DNS Servers" "RFC 9463";
    148 ADDR_REG_ENABLE "Address Registration" "RFC 9686";
}
