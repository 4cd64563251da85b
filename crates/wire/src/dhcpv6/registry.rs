//! IANA's DHCPv6 registries: message types, option codes, status codes. What is obsolete has a name, to be shown, and is
//! otherwise opaque.

use crate::registry::registry;

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
    24 BNDUPD "Bndupd" "RFC 8156";
    25 BNDREPLY "Bndreply" "RFC 8156";
    26 POOLREQ "Poolreq" "RFC 8156";
    27 POOLRESP "Poolresp" "RFC 8156";
    28 UPDREQ "Updreq" "RFC 8156";
    29 UPDREQALL "Updreqall" "RFC 8156";
    30 UPDDONE "Upddone" "RFC 8156";
    31 CONNECT "Connect" "RFC 8156";
    32 CONNECTREPLY "Connectreply" "RFC 8156";
    33 DISCONNECT "Disconnect" "RFC 8156";
    34 STATE "State" "RFC 8156";
    35 CONTACT "Contact" "RFC 8156";
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
    5 USE_MULTICAST "UseMulticast" "RFC 8415; obsolete since RFC 9915";
    6 NO_PREFIX_AVAIL "NoPrefixAvail" "RFC 9915";
    7 UNKNOWN_QUERY_TYPE "UnknownQueryType" "RFC 5007";
    8 MALFORMED_QUERY "MalformedQuery" "RFC 5007";
    9 NOT_CONFIGURED "NotConfigured" "RFC 5007";
    10 NOT_ALLOWED "NotAllowed" "RFC 5007";
    11 QUERY_TERMINATED "QueryTerminated" "RFC 5460";
    12 DATA_MISSING "DataMissing" "RFC 7653";
    13 CATCH_UP_COMPLETE "CatchUpComplete" "RFC 7653";
    14 NOT_SUPPORTED "NotSupported" "RFC 7653";
    15 TLS_CONNECTION_REFUSED "TLSConnectionRefused" "RFC 7653";
    16 ADDRESS_IN_USE "AddressInUse" "RFC 8156";
    17 CONFIGURATION_CONFLICT "ConfigurationConflict" "RFC 8156";
    18 MISSING_BINDING_INFORMATION "MissingBindingInformation" "RFC 8156";
    19 OUTDATED_BINDING_INFORMATION "OutdatedBindingInformation" "RFC 8156";
    20 SERVER_SHUTTING_DOWN "ServerShuttingDown" "RFC 8156";
    21 DNS_UPDATE_NOT_SUPPORTED "DNSUpdateNotSupported" "RFC 8156";
    22 EXCESSIVE_TIME_SKEW "ExcessiveTimeSkew" "RFC 8156";
}

registry! {
    /// An option code. Any 16-bit number is a value; options without a name here stay opaque.
    OptionCode(u16), "option":
    1 CLIENT_ID "Client Identifier" "RFC 9915";
    2 SERVER_ID "Server Identifier" "RFC 9915";
    3 IA_NA "Identity Association for Non-temporary Addresses" "RFC 9915";
    4 IA_TA "Identity Association for Temporary Addresses" "RFC 8415; obsolete since RFC 9915";
    5 IA_ADDR "IA Address" "RFC 9915";
    6 ORO "Option Request" "RFC 9915";
    7 PREFERENCE "Preference" "RFC 9915";
    8 ELAPSED_TIME "Elapsed Time" "RFC 9915";
    9 RELAY_MSG "Relay Message" "RFC 9915";
    11 AUTH "Authentication" "RFC 9915";
    12 UNICAST "Server Unicast" "RFC 8415; obsolete since RFC 9915";
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
    27 NIS_SERVERS "NIS Servers" "RFC 3898";
    28 NISP_SERVERS "NIS+ Servers" "RFC 3898";
    29 NIS_DOMAIN_NAME "NIS Domain Name" "RFC 3898";
    30 NISP_DOMAIN_NAME "NIS+ Domain Name" "RFC 3898";
    31 SNTP_SERVERS "SNTP Servers" "RFC 4075";
    32 INFORMATION_REFRESH_TIME "Information Refresh Time" "RFC 9915";
    33 BCMCS_SERVER_D "BCMCS Domain Name List" "RFC 4280";
    34 BCMCS_SERVER_A "BCMCS IPv6 Address List" "RFC 4280";
    36 GEOCONF_CIVIC "Civic Location" "RFC 4776";
    37 REMOTE_ID "Relay Agent Remote-ID" "RFC 4649";
    38 SUBSCRIBER_ID "Relay Agent Subscriber-ID" "RFC 4580";
    39 CLIENT_FQDN "Client FQDN" "RFC 4704";
    40 PANA_AGENT "PANA Authentication Agents" "RFC 5192";
    41 NEW_POSIX_TIMEZONE "Posix Timezone" "RFC 4833";
    42 NEW_TZDB_TIMEZONE "TZDB Timezone" "RFC 4833";
    43 ERO "Relay Agent Echo Request" "RFC 4994";
    44 LQ_QUERY "Leasequery Query" "RFC 5007";
    45 CLIENT_DATA "Client Data" "RFC 5007";
    46 CLT_TIME "Client Last Transaction Time" "RFC 5007";
    47 LQ_RELAY_DATA "Leasequery Relay Data" "RFC 5007";
    48 LQ_CLIENT_LINK "Leasequery Client Link" "RFC 5007";
    49 MIP6_HNIDF "MIPv6 Home Network Identifier" "RFC 6610";
    50 MIP6_VDINF "MIPv6 Visited Home Network" "RFC 6610";
    51 V6_LOST "LoST Server" "RFC 5223";
    52 CAPWAP_AC_V6 "CAPWAP Access Controllers" "RFC 5417";
    53 RELAY_ID "Relay-ID" "RFC 5460";
    54 IPV6_ADDRESS_MOS "MoS Addresses" "RFC 5678";
    55 IPV6_FQDN_MOS "MoS Domain Names" "RFC 5678";
    56 NTP_SERVER "NTP Server" "RFC 5908";
    57 V6_ACCESS_DOMAIN "Access Network Domain Name" "RFC 5986";
    58 SIP_UA_CS_LIST "SIP User Agent Configuration Service Domains" "RFC 6011";
    59 BOOTFILE_URL "Boot File URL" "RFC 5970";
    60 BOOTFILE_PARAM "Boot File Parameters" "RFC 5970";
    61 CLIENT_ARCH_TYPE "Client System Architecture Type" "RFC 5970";
    62 NII "Client Network Interface Identifier" "RFC 5970";
    63 GEOLOCATION "Coordinate-based Location" "RFC 6225";
    64 AFTR_NAME "AFTR Name" "RFC 6334";
    65 ERP_LOCAL_DOMAIN_NAME "ERP Local Domain Name" "RFC 6440";
    66 RSOO "Relay-Supplied Options" "RFC 6422";
    67 PD_EXCLUDE "PD Exclude" "RFC 6603";
    68 VSS "Virtual Subnet Selection" "RFC 6607";
    69 MIP6_IDINF "MIPv6 Identified Home Network" "RFC 6610";
    70 MIP6_UDINF "MIPv6 Unrestricted Home Network" "RFC 6610";
    71 MIP6_HNP "MIPv6 Home Network Prefix" "RFC 6610";
    72 MIP6_HAA "MIPv6 Home Agent Address" "RFC 6610";
    73 MIP6_HAF "MIPv6 Home Agent FQDN" "RFC 6610";
    74 RDNSS_SELECTION "Recursive Name Server Selection" "RFC 6731";
    75 KRB_PRINCIPAL_NAME "Kerberos Principal Name" "RFC 6784";
    76 KRB_REALM_NAME "Kerberos Realm Name" "RFC 6784";
    77 KRB_DEFAULT_REALM_NAME "Kerberos Default Realm Name" "RFC 6784";
    78 KRB_KDC "Kerberos KDC" "RFC 6784";
    79 CLIENT_LINKLAYER_ADDR "Client Link-Layer Address" "RFC 6939";
    80 LINK_ADDRESS "Link Address" "RFC 6977";
    81 RADIUS "RADIUS" "RFC 7037";
    82 SOL_MAX_RT "SOL_MAX_RT" "RFC 9915";
    83 INF_MAX_RT "INF_MAX_RT" "RFC 9915";
    84 ADDRSEL "Address Selection" "RFC 7078";
    85 ADDRSEL_TABLE "Address Selection Policy Table" "RFC 7078";
    86 V6_PCP_SERVER "PCP Server" "RFC 7291";
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
    97 FOUR_RD "4rd" "RFC 7600";
    98 FOUR_RD_MAP_RULE "4rd Map Rule" "RFC 7600";
    99 FOUR_RD_NON_MAP_RULE "4rd Non-map Rule" "RFC 7600";
    100 LQ_BASE_TIME "Leasequery Base Time" "RFC 7653";
    101 LQ_START_TIME "Leasequery Start Time" "RFC 7653";
    102 LQ_END_TIME "Leasequery End Time" "RFC 7653";
    103 CAPTIVE_PORTAL "Captive-Portal" "RFC 8910";
    104 MPL_PARAMETERS "MPL Parameters" "RFC 7774";
    105 ANI_ATT "Access Technology Type" "RFC 7839";
    106 ANI_NETWORK_NAME "Access Network Name" "RFC 7839";
    107 ANI_AP_NAME "Access Point Name" "RFC 7839";
    108 ANI_AP_BSSID "Access Point BSSID" "RFC 7839";
    109 ANI_OPERATOR_ID "Access Network Operator Identifier" "RFC 7839";
    110 ANI_OPERATOR_REALM "Access Network Operator Realm" "RFC 7839";
    111 S46_PRIORITY "S46 Priority" "RFC 8026";
    112 MUD_URL_V6 "Manufacturer Usage Description" "RFC 8520";
    113 V6_PREFIX64 "IPv4-embedded Multicast Prefixes" "RFC 8115";
    114 F_BINDING_STATUS "Failover Binding Status" "RFC 8156";
    115 F_CONNECT_FLAGS "Failover Connect Flags" "RFC 8156";
    116 F_DNS_REMOVAL_INFO "Failover DNS Removal Information" "RFC 8156";
    117 F_DNS_HOST_NAME "Failover DNS Host Name" "RFC 8156";
    118 F_DNS_ZONE_NAME "Failover DNS Zone Name" "RFC 8156";
    119 F_DNS_FLAGS "Failover DNS Flags" "RFC 8156";
    120 F_EXPIRATION_TIME "Failover Expiration Time" "RFC 8156";
    121 F_MAX_UNACKED_BNDUPD "Failover Maximum Unacknowledged Bndupd" "RFC 8156";
    122 F_MCLT "Failover Maximum Client Lead Time" "RFC 8156";
    123 F_PARTNER_LIFETIME "Failover Partner Lifetime" "RFC 8156";
    124 F_PARTNER_LIFETIME_SENT "Failover Partner Lifetime Sent" "RFC 8156";
    125 F_PARTNER_DOWN_TIME "Failover Partner Down Time" "RFC 8156";
    126 F_PARTNER_RAW_CLT_TIME "Failover Partner Raw Client Time" "RFC 8156";
    127 F_PROTOCOL_VERSION "Failover Protocol Version" "RFC 8156";
    128 F_KEEPALIVE_TIME "Failover Keepalive Time" "RFC 8156";
    129 F_RECONFIGURE_DATA "Failover Reconfigure Data" "RFC 8156";
    130 F_RELATIONSHIP_NAME "Failover Relationship Name" "RFC 8156";
    131 F_SERVER_FLAGS "Failover Server Flags" "RFC 8156";
    132 F_SERVER_STATE "Failover Server State" "RFC 8156";
    133 F_START_TIME_OF_STATE "Failover Start Time of State" "RFC 8156";
    134 F_STATE_EXPIRATION_TIME "Failover State Expiration Time" "RFC 8156";
    135 RELAY_PORT "Relay Source Port" "RFC 8357";
    136 SZTP_REDIRECT "SZTP Redirect" "RFC 8572";
    137 S46_BIND_IPV6_PREFIX "Softwire Source Binding Prefix Hint" "RFC 8539";
    138 IA_LL "Identity Association for Link-Layer Addresses" "RFC 8947";
    139 LLADDR "Link-Layer Addresses" "RFC 8947";
    140 SLAP_QUAD "SLAP Quadrant" "RFC 8948";
    141 V6_DOTS_RI "DOTS Reference Identifier" "RFC 8973";
    142 V6_DOTS_ADDRESS "DOTS Addresses" "RFC 8973";
    143 IPV6_ADDRESS_ANDSF "ANDSF Addresses" "RFC 6153";
    144 V6_DNR "Encrypted DNS Servers" "RFC 9463";
    145 REGISTERED_DOMAIN "Registered Homenet Domain" "RFC 9527";
    146 FORWARD_DIST_MANAGER "Forward Distribution Manager" "RFC 9527";
    147 REVERSE_DIST_MANAGER "Reverse Distribution Manager" "RFC 9527";
    148 ADDR_REG_ENABLE "Address Registration" "RFC 9686";
}
