//! IANA's DHCPv4 registries: message types and options. One table says of each option what it is called,
//! where it is defined and which form its content has.

use crate::registry::registry;

registry! {
    /// What a message asks or tells (RFC 2132 section 9.6). Any octet is a value.
    MessageType(u8), "message type":
    1 DISCOVER "Discover" "RFC 2131";
    2 OFFER "Offer" "RFC 2131";
    3 REQUEST "Request" "RFC 2131";
    4 DECLINE "Decline" "RFC 2131";
    5 ACK "Ack" "RFC 2131";
    6 NAK "Nak" "RFC 2131";
    7 RELEASE "Release" "RFC 2131";
    8 INFORM "Inform" "RFC 2131";
    9 FORCERENEW "Forcerenew" "RFC 3203";
    10 LEASEQUERY "Leasequery" "RFC 4388";
    11 LEASEUNASSIGNED "Leaseunassigned" "RFC 4388";
    12 LEASEUNKNOWN "Leaseunknown" "RFC 4388";
    13 LEASEACTIVE "Leaseactive" "RFC 4388";
    14 BULKLEASEQUERY "Bulkleasequery" "RFC 6926";
    15 LEASEQUERYDONE "Leasequerydone" "RFC 6926";
    16 ACTIVELEASEQUERY "Activeleasequery" "RFC 7724";
    17 LEASEQUERYSTATUS "Leasequerystatus" "RFC 7724";
    18 TLS "TLS" "RFC 7724";
}

/// Which form the content of an option has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One IPv4 address.
    Address,
    /// One IPv4 address or more.
    Addresses,
    /// One octet.
    U8,
    /// A 16-bit number.
    U16,
    /// A 32-bit number.
    U32,
    /// Characters. RFC 2132 section 2: a zero octet at their end is to be tolerated.
    Text,
    /// Option codes, one octet each.
    Codes,
    /// Nothing: that it is there says all.
    Empty,
    /// Octets that are not looked into here.
    Opaque,
}

macro_rules! options {
    ($($value:literal $konst:ident $text:literal $rfc:literal $form:ident;)*) => {
        registry! {
            /// An option code. Any octet is a value; options without a name here stay opaque.
            OptionCode(u8), "option":
            $($value $konst $text $rfc;)*
        }

        impl OptionCode {
            /// The form that the option's content has.
            pub fn form(self) -> Form {
                match self { $(Self::$konst => Form::$form,)* _ => Form::Opaque }
            }
        }
    };
}

options! {
    0 PAD "Pad" "RFC 2132" Empty;
    1 SUBNET_MASK "Subnet Mask" "RFC 2132" Address;
    2 TIME_OFFSET "Time Offset" "RFC 2132" U32;
    3 ROUTERS "Router" "RFC 2132" Addresses;
    4 TIME_SERVERS "Time Server" "RFC 2132" Addresses;
    6 DNS_SERVERS "Domain Name Server" "RFC 2132" Addresses;
    7 LOG_SERVERS "Log Server" "RFC 2132" Addresses;
    12 HOST_NAME "Host Name" "RFC 2132" Text;
    15 DOMAIN_NAME "Domain Name" "RFC 2132" Text;
    17 ROOT_PATH "Root Path" "RFC 2132" Text;
    26 MTU "Interface MTU" "RFC 2132" U16;
    28 BROADCAST_ADDRESS "Broadcast Address" "RFC 2132" Address;
    31 ROUTER_DISCOVERY "Perform Router Discovery" "RFC 2132" U8;
    33 STATIC_ROUTES "Static Route" "RFC 2132" Opaque;
    42 NTP_SERVERS "Network Time Protocol Servers" "RFC 2132" Addresses;
    43 VENDOR_SPECIFIC "Vendor-Specific Information" "RFC 2132" Opaque;
    44 NETBIOS_NAME_SERVERS "NetBIOS Name Server" "RFC 2132" Addresses;
    46 NETBIOS_NODE_TYPE "NetBIOS Node Type" "RFC 2132" U8;
    47 NETBIOS_SCOPE "NetBIOS Scope" "RFC 2132" Text;
    50 REQUESTED_ADDRESS "Requested IP Address" "RFC 2132" Address;
    51 LEASE_TIME "IP Address Lease Time" "RFC 2132" U32;
    52 OVERLOAD "Option Overload" "RFC 2132" U8;
    53 MESSAGE_TYPE "DHCP Message Type" "RFC 2132" U8;
    54 SERVER_ID "Server Identifier" "RFC 2132" Address;
    55 PARAMETER_REQUEST_LIST "Parameter Request List" "RFC 2132" Codes;
    56 MESSAGE "Message" "RFC 2132" Text;
    57 MAX_MESSAGE_SIZE "Maximum DHCP Message Size" "RFC 2132" U16;
    58 RENEWAL_TIME "Renewal (T1) Time" "RFC 2132" U32;
    59 REBINDING_TIME "Rebinding (T2) Time" "RFC 2132" U32;
    60 VENDOR_CLASS "Vendor Class Identifier" "RFC 2132" Opaque;
    61 CLIENT_ID "Client Identifier" "RFC 2132" Opaque;
    66 TFTP_SERVER "TFTP Server Name" "RFC 2132" Text;
    67 BOOT_FILE "Bootfile Name" "RFC 2132" Text;
    77 USER_CLASS "User Class" "RFC 3004" Opaque;
    80 RAPID_COMMIT "Rapid Commit" "RFC 4039" Empty;
    81 CLIENT_FQDN "Client FQDN" "RFC 4702" Opaque;
    82 RELAY_AGENT_INFORMATION "Relay Agent Information" "RFC 3046" Opaque;
    90 AUTHENTICATION "Authentication" "RFC 3118" Opaque;
    93 CLIENT_ARCHITECTURE "Client System Architecture" "RFC 4578" Opaque;
    94 CLIENT_NDI "Client Network Device Interface" "RFC 4578" Opaque;
    97 CLIENT_UUID "Client Machine Identifier" "RFC 4578" Opaque;
    100 POSIX_TIMEZONE "POSIX Timezone" "RFC 4833" Text;
    101 TZDB_TIMEZONE "TZDB Timezone" "RFC 4833" Text;
    108 IPV6_ONLY_PREFERRED "IPv6-Only Preferred" "RFC 8925" U32;
    114 CAPTIVE_PORTAL "Captive-Portal" "RFC 8910" Text;
    116 AUTO_CONFIGURE "Auto-Configure" "RFC 2563" U8;
    118 SUBNET_SELECTION "Subnet Selection" "RFC 3011" Address;
    119 DOMAIN_SEARCH "Domain Search" "RFC 3397" Opaque;
    120 SIP_SERVERS "SIP Servers" "RFC 3361" Opaque;
    121 CLASSLESS_STATIC_ROUTES "Classless Static Route" "RFC 3442" Opaque;
    124 VENDOR_IDENTIFYING_CLASS "Vendor-Identifying Vendor Class" "RFC 3925" Opaque;
    125 VENDOR_IDENTIFYING_SPECIFIC "Vendor-Identifying Vendor-Specific Information" "RFC 3925" Opaque;
    138 CAPWAP_AC "CAPWAP Access Controllers" "RFC 5417" Addresses;
    145 FORCERENEW_NONCE "Forcerenew Nonce Capable" "RFC 6704" Opaque;
    150 TFTP_SERVERS "TFTP Server Address" "RFC 5859" Addresses;
    161 MUD_URL "Manufacturer Usage Description" "RFC 8520" Text;
    162 DNR "Encrypted DNS Servers" "RFC 9463" Opaque;
    212 SIX_RD "6rd" "RFC 5969" Opaque;
    249 MICROSOFT_CLASSLESS_ROUTES "Classless Static Route (Microsoft)" "private use" Opaque;
    252 WPAD "Web Proxy Auto-Discovery" "private use" Text;
    255 END "End" "RFC 2132" Empty;
}
