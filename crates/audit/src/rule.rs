//! The catalogue: what each rule is about, and how to mend what it finds.

use crate::{Language, Severity};

/// A rule. Its identifier is stable: suppressions and baselines name it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The identifier.
    pub id: &'static str,
    /// How bad it is where it is true.
    pub severity: Severity,
    /// Rows of the checklist, as numbers: 63 is R63.
    pub rows: &'static [u16],
    /// What is wrong, in some words.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// How to mend it where nothing better is known for a language.
    pub mend: &'static str,
    /// How to mend it in one language.
    pub mends: &'static [(Language, &'static str)],
}

impl Rule {
    /// How to mend it in a language.
    pub fn mend(&self, language: Language) -> &'static str {
        // What serves C serves C++, where it has no remedy of its own.
        let language = if language == Language::Cpp { Language::C } else { language };
        self.mends.iter().find(|(of, _)| *of == language).map_or(self.mend, |(_, mend)| mend)
    }

    /// The rule with an identifier.
    pub fn by_id(id: &str) -> Option<&'static Self> {
        RULES.iter().copied().find(|rule| rule.id == id)
    }
}

macro_rules! rules {
    ($($name:ident $id:literal $severity:ident [$($row:literal),*] $title:literal $why:literal $mend:literal
        [$($language:ident $text:literal)*])*) => {
        $(pub(crate) static $name: Rule = Rule {
            id: $id,
            severity: Severity::$severity,
            rows: &[$($row),*],
            title: $title,
            why: $why,
            mend: $mend,
            mends: &[$((Language::$language, $text)),*],
        };)*
        /// Every rule.
        pub static RULES: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    EXPLICIT_FAMILY "explicit-family" Error [15, 17, 21, 54]
        "IPv4 named, and nothing near it that does IPv6"
        "The program works over IPv4 alone: on an IPv6-only network it has no connection, however well the \
         rest is written."
        "take the family from the address that the resolver gives, and name none"
        [
            C "getaddrinfo with ai_family = AF_UNSPEC, then socket(ai->ai_family, ...) for each result"
            Go "\"tcp\", \"udp\", \"ip\" instead of \"tcp4\", \"udp4\", \"ip4\"; netip.Addr instead of To4()"
            Rust "IpAddr and SocketAddr instead of Ipv4Addr and SocketAddrV4; or sixgate_endpoint::Endpoint"
            Python "socket.create_connection, socket.create_server(..., family=AF_INET6, \
             dualstack_ipv6=True), ipaddress.ip_address"
            Java "InetAddress instead of Inet4Address"
            Perl "IO::Socket::IP in the place of IO::Socket::INET; getaddrinfo of Socket, which names the family"
            JavaScript "leave out `family: 4`; net.isIP instead of net.isIPv4; resolve6 beside resolve4; \
             udp6 beside udp4"
        ]
    SOCKADDR_IN "sockaddr-in" Error [22, 23]
        "sockaddr_in alone: it has no room for an IPv6 address"
        "A socket address of IPv6 has 28 octets, sockaddr_in 16: a peer over IPv6 is cut off or refused."
        "struct sockaddr_storage for room, and ai_addr with ai_addrlen from getaddrinfo for content"
        [ Rust "SocketAddr, or socket2::SockAddr for the system call" ]
    OLD_RESOLVER "old-resolver" Error [36, 63]
        "a resolver of old: it knows IPv4 only, or one family at a time"
        "gethostbyname returns IPv4 addresses alone: a name that has IPv6 addresses only does not exist for \
         it."
        "resolve with getaddrinfo, or what the language has over it, and try each result"
        [
            C "getaddrinfo and getnameinfo"
            Perl "getaddrinfo and getnameinfo of Socket"
            Python "socket.getaddrinfo, or socket.create_connection, which also tries each address"
            Go "net.DefaultResolver.LookupNetIP(ctx, \"ip\", host), or net.Dial with the name"
            JavaScript "dns.lookup(name, {all: true}), or connect with the name"
        ]
    OLD_CONVERSION "old-conversion" Error [26, 36]
        "converts IPv4 addresses only"
        "inet_addr, inet_aton and inet_ntoa know no IPv6; nor do inet_pton and inet_ntop know zones \
         (fe80::1%eth0)."
        "one conversion for both families, zones included"
        [
            C "getaddrinfo with AI_NUMERICHOST to read, getnameinfo with NI_NUMERICHOST to print"
            Perl "getaddrinfo with AI_NUMERICHOST to read, getnameinfo with NI_NUMERICHOST to print; both are in Socket"
            Python "ipaddress.ip_address to read, str() to print; socket.inet_pton with the address's own \
             family for octets"
            Rust "str::parse::<IpAddr>, or sixgate_endpoint::Endpoint, which knows zones"
        ]
    OLD_INTERFACES "old-interfaces" Warning [21, 54]
        "asks the system for IPv4 only"
        "SIOCGIFCONF and its kin, and the files without a 6 in /proc/net, show IPv4 alone: IPv6 addresses \
         and peers stay unseen."
        "ask for both families"
        [
            C "getifaddrs; NETLINK_ROUTE for routes and neighbours"
            Python "psutil.net_if_addrs, or /proc/net/tcp6, udp6, if_inet6 and ipv6_route as well"
            Shell "`ip -j address`, `ip -6 route`, `ss`; or /proc/net/tcp6 and the like as well"
        ]
    SOCKET_OPTION "ipv4-option" Warning [21, 49]
        "an IPv4 socket option without its IPv6 twin"
        "Options of IPPROTO_IP do nothing for traffic over IPv6: multicast is not joined, the traffic class \
         is not set."
        "set the twin on IPv6 sockets: IPV6_JOIN_GROUP, IPV6_TCLASS, IPV6_UNICAST_HOPS, IPV6_RECVPKTINFO"
        [
            Java "NetworkInterface and joinGroup(SocketAddress, NetworkInterface), which serve both"
            Rust "join_multicast_v6, set_unicast_hops_v6, set_tclass_v6 beside the v4 ones"
        ]
    BIND_ANY "bind-ipv4-any" Error [18, 61]
        "listens on the IPv4 any address only"
        "Nobody reaches the program over IPv6, and nothing says so."
        "listen on both 0.0.0.0 and [::], two sockets with IPV6_V6ONLY set, or leave the address to the \
         configuration"
        [
            C "getaddrinfo(NULL, port, AI_PASSIVE): a socket for each result, with IPV6_V6ONLY set on the \
             IPv6 one"
            Go "net.Listen(\"tcp\", \":8080\"): without an address it listens on both"
            Rust "sixgate_endpoint::listen with Policy::Both"
            Python "socket.create_server((\"\", port), family=socket.AF_INET6, dualstack_ipv6=True)"
            Java "new ServerSocket(port): without an address it listens on both"
            JavaScript "server.listen(port): without a host it listens on both"
            Config "name `::` or `[::]` as well, or leave the address out where that means both"
            Shell "name [::] as well"
        ]
    LOOPBACK "loopback-literal" Warning [54, 55]
        "127.0.0.1 to listen or connect"
        "On a host without IPv4 there may be no 127.0.0.1: what listens on it does not start, and what \
         connects to it never \
         meets a server on ::1."
        "the name localhost, and each address that it has"
        [
            Go "net.JoinHostPort(\"localhost\", port)"
            Rust "(\"localhost\", port), and a listener on ::1 beside 127.0.0.1"
            Config "`localhost`, or ::1 beside 127.0.0.1"
        ]
    LOOPBACK_COMPARE "loopback-compare" Warning [45, 47]
        "asks \"is it this machine?\" by comparing with 127.0.0.1"
        "A local peer over IPv6 is ::1, over a socket for both families ::ffff:127.0.0.1: the comparison \
         misses both."
        "ask the address whether it is a loopback address, after unmapping it"
        [
            C "IN6_IS_ADDR_LOOPBACK, and IN6_IS_ADDR_V4MAPPED first"
            Go "addr.Unmap().IsLoopback()"
            Rust "addr.to_canonical().is_loopback(), or Endpoint::is_loopback"
            Python "ipaddress.ip_address(host).is_loopback; .ipv4_mapped first"
            Java "InetAddress.isLoopbackAddress()"
            JavaScript "net.BlockList with ::1 and 127.0.0.0/8"
        ]
    LITERAL "ipv4-literal" Warning [54, 83]
        "an IPv4 address in the source"
        "An address that is written down is not translated: behind NAT64 names work, literals do not."
        "a name, or a setting that takes either family"
        []
    ONLINE "online-check" Warning [82, 84]
        "\"am I online?\" by way of an IPv4 address"
        "On an IPv6-only network it always says no, though all works."
        "connect to a name, over whichever family it has; per family where the answer is shown"
        [ Rust "sixgate_endpoint::online" ]
    PATTERN "ipv4-pattern" Warning [29, 31, 38]
        "a pattern for addresses that knows IPv4 only"
        "It refuses, or does not find, every IPv6 address."
        "the language's address parser instead of a pattern"
        [
            C "getaddrinfo with AI_NUMERICHOST"
            Go "netip.ParseAddr"
            Rust "str::parse::<IpAddr>"
            Python "ipaddress.ip_address"
            Java "InetAddress.ofLiteral (22), or Guava's InetAddresses.forString"
            JavaScript "net.isIP, or new URL() for authorities"
            Shell "`ip -j address | jq`, or `getent ahosts`"
        ]
    SHORT_FIELD "short-field" Error [22, 31]
        "too short for an IPv6 address"
        "Text of IPv6 needs 45 characters, and a zone after it; what was made for 15 cuts it off, or \
         overflows."
        "room for 45 characters and a zone: 64 octets serve"
        [
            C "char text[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE], or NI_MAXHOST with getnameinfo"
            Sql "VARCHAR(64), or the type inet where there is one"
        ]
    UINT32 "uint32-address" Warning [21, 22]
        "an address in 32 bits"
        "An IPv6 address has 128: the type has no place for it, nor has whatever calls this."
        "a type that holds either family"
        [
            C "struct sockaddr_storage, or a union with its family beside it"
            Go "netip.Addr"
            Rust "IpAddr, or sixgate_endpoint::Endpoint"
            Python "ipaddress.ip_address; packed for octets"
            Java "InetAddress"
            JavaScript "the text, or net.BlockList for ranges"
        ]
    SPLIT "colon-split" Error [29, 38]
        "splits address and port at a colon"
        "An IPv6 address has colons of its own: of [::1]:80 the first is inside, and of ::1 the last as well."
        "a parser for [address]:port"
        [
            C "look for ']' first where the text begins with '['; then strrchr behind it"
            Go "net.SplitHostPort, or netip.ParseAddrPort"
            Rust "sixgate_endpoint::Host (names too), or str::parse::<SocketAddr>"
            Python "urllib.parse.urlsplit(\"//\" + text): .hostname and .port"
            Java "new URI(\"x://\" + text): getHost and getPort; or Guava's HostAndPort"
            JavaScript "new URL(\"x://\" + text): .hostname and .port"
            Shell "${x%:*} and ${x##*:}, then strip the brackets; a text without a port needs a case of its \
             own"
        ]
    JOIN "colon-join" Warning [30, 33]
        "address and port joined by a colon, without brackets"
        "2001:db8::1:80 is another address (RFC 5952 section 6): what reads it cannot tell the port."
        "brackets around an IPv6 address: [2001:db8::1]:80"
        [
            C "\"[%s]:%s\" where strchr(host, ':') finds a colon, \"%s:%s\" else"
            Go "net.JoinHostPort(host, port)"
            Rust "SocketAddr's or sixgate_endpoint::Endpoint's Display"
            Python "f\"[{host}]:{port}\" where \":\" in host"
            Java "HostAndPort.fromParts(host, port), or brackets where the host has a colon"
            JavaScript "`[${host}]:${port}` where net.isIPv6(host)"
        ]
    URL "url-join" Warning [27, 33]
        "a URL built without brackets around the address"
        "http://2001:db8::1:80/ is no URL (RFC 3986 section 3.2.2)."
        "brackets around an IPv6 address, no zone: http://[2001:db8::1]:80/"
        [
            Go "url.URL{Scheme: \"http\", Host: net.JoinHostPort(host, port)}"
            Rust "sixgate_endpoint::Host::authority"
            Java "new URI(scheme, null, host, port, path, null, null), which adds them"
        ]
    EAI "eai-as-errno" Error [37]
        "an error of the resolver read as errno"
        "getaddrinfo returns codes of its own: errno says something else (\"Success\"), and on Linux its \
         codes are negative, \
         elsewhere positive."
        "compare with 0, print with gai_strerror; errno only where the code is EAI_SYSTEM"
        [ Rust "sixgate_endpoint::resolve, whose errors say each in words" ]
    HINTS "hints-misuse" Warning [19, 61]
        "hints for getaddrinfo that contradict each other"
        "AI_ADDRCONFIG with AI_PASSIVE opens no listener of a family that has no address yet: a daemon that \
         starts before the \
         network stays deaf. AI_V4MAPPED does nothing unless the family is AF_INET6."
        "AI_PASSIVE alone to listen, AI_ADDRCONFIG alone to connect"
        []
    FIRST_RESULT "first-result" Warning [39, 63]
        "only the first address of a name is tried"
        "Where that one is dead, or of the family that this network has not, the connection fails although \
         another address works."
        "try each in turn, or race them (RFC 8305)"
        [
            C "a loop over ai_next, until one connects"
            Go "net.Dial with the name"
            Rust "TcpStream::connect((host, port)), or sixgate_endpoint::connect"
            Perl "a loop over what getaddrinfo gives, or IO::Socket::IP with PeerHost"
            Python "socket.create_connection((host, port))"
            Java "a loop over InetAddress.getAllByName(host)"
            JavaScript "connect with the name and autoSelectFamily, or dns.lookup with all: true"
        ]
    SIN6_UNSET "sin6-unset" Error [24]
        "sockaddr_in6 used without all its fields set"
        "sin6_flowinfo and sin6_scope_id hold what was on the stack: it works or fails by how the program \
         was started."
        "struct sockaddr_in6 address = {0}; or fill it by getaddrinfo"
        []
    V6ONLY "v6only-unset" Warning [18, 19, 20, 61]
        "listens over IPv6 and leaves IPV6_V6ONLY to the system"
        "By default Linux hands it IPv4 peers as ::ffff:192.0.2.1 and collides with a listener on 0.0.0.0; \
         the BSDs do neither."
        "set IPV6_V6ONLY before bind, to 1 as a rule, and open a socket for each family"
        [
            Python "setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1), or socket.create_server(..., \
             dualstack_ipv6=...)"
            Rust "sixgate_endpoint::listen, or socket2's set_only_v6: std never sets it"
        ]
    ACL "acl-text" Error [45, 46, 47]
        "an access rule by comparing text"
        "\"10.\" matches no mapped peer (::ffff:10.0.0.1) and no IPv6 peer at all, but does match the name \
         10.example.com: what was \
         to be kept out comes in, or nobody does."
        "parse the peer, unmap it, and ask whether a network contains it"
        [
            Go "netip.Prefix.Contains(addr.Unmap())"
            Rust "sixgate_endpoint::acl::Acl"
            Python "ipaddress.ip_address(peer) in ipaddress.ip_network(...), .ipv4_mapped first"
            Java "isSiteLocalAddress and isLoopbackAddress, or a parsed network"
            JavaScript "net.BlockList"
            C "compare octets of in_addr and in6_addr under a mask"
        ]
    TABLE "peer-table" Note [51, 52]
        "a table with an entry for each address, and no bound in sight"
        "One home has 2^64 addresses of IPv6 and may come from each: the table grows until memory ends."
        "a cap and an eviction, and one entry for each /64"
        [ Rust "sixgate_endpoint::talkers" ]
    TOOL "ipv4-tool" Warning [49, 54]
        "a command that does IPv4 only"
        "iptables filters nothing over IPv6; ifconfig, route, arp and netstat of old don't show it, or not \
         all."
        "iptables: nft with `inet` tables, or ip6tables as well; ifconfig, route, arp: `ip`; `ping` without \
         -4"
        []
    CONFIG_LISTEN "config-listen" Warning [14, 48, 61]
        "configured for IPv4 only"
        "The service does not listen over IPv6, or not at all on a host without IPv4."
        "name the IPv6 address as well ([::] or ::1), or leave the address out where that means both"
        []
    ALLOW "allow-without-reason" Warning [53]
        "a suppression that says no reason, or names no rule"
        "Who comes later cannot tell whether it is still true."
        "ipv6-audit: allow RULE because REASON"
        []
}
